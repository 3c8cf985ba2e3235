//! Every permission by its name: what it allows, who has it, and what a scope narrows it to.
//!
//! The one table. Checks, the API's `x-permission` and `GET /permissions`, `docs/permissions.md` and the web read it; nothing
//! beside it says who may do what.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::Kind;

/// Who can hold a permission without a custom role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Users with the role `administrator`.
    Administrator,
    /// Whom a connection profile names as an approver, about its sessions.
    Approver,
    /// Users with the role `auditor`.
    Auditor,
    /// Cardea's own engine and gateway.
    Cardea,
    /// Whoever runs commands beside the data directory.
    Operator,
    /// A token that the operator issued, if its user has the permission.
    OperatorsToken,
    /// Users with the role `user`.
    User,
}

impl Holder {
    /// Every holder.
    pub const ALL: [Self; 7] = [
        Self::Administrator,
        Self::Auditor,
        Self::User,
        Self::Approver,
        Self::Operator,
        Self::OperatorsToken,
        Self::Cardea,
    ];

    /// The holder on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Approver => "approver",
            Self::Auditor => "auditor",
            Self::Cardea => "cardea",
            Self::Operator => "operator",
            Self::OperatorsToken => "operators_token",
            Self::User => "user",
        }
    }
}

/// What a permission is about, and so what the scope of a custom role narrows it to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern {
    /// The installation as a whole: no scope narrows it, so no role with a scope has it.
    Everything,
    /// Resources, policies and users.
    Objects,
    Policies,
    Resources,
    Sessions,
    Users,
}

impl Concern {
    /// The concern on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Everything => "everything",
            Self::Objects => "objects",
            Self::Policies => "policies",
            Self::Resources => "resources",
            Self::Sessions => "sessions",
            Self::Users => "users",
        }
    }
}

macro_rules! permissions { ($($variant:ident $name:literal [$($holder:ident)*] $concern:ident $words:literal;)*) => {
    /// Something that a role may give.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Permission { $(#[doc = $words] $variant,)* }

    impl Permission {
        /// Every permission, by name.
        pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

        /// The name that roles and the API write.
        pub fn as_str(self) -> &'static str {
            match self { $(Self::$variant => $name,)* }
        }

        /// What it allows, in a sentence.
        pub fn words(self) -> &'static str {
            match self { $(Self::$variant => $words,)* }
        }

        /// Who has it without a custom role.
        pub fn holders(self) -> &'static [Holder] {
            match self { $(Self::$variant => &[$(Holder::$holder,)*],)* }
        }

        /// What it is about.
        pub fn concern(self) -> Concern {
            match self { $(Self::$variant => Concern::$concern,)* }
        }
    }
} }

permissions! {
    AccessExplain "access.explain" [Administrator Auditor Operator OperatorsToken] Users
        "Ask why anybody may, or may not, do something. Everybody may for themselves.";
    AuditSee "audit.see" [Administrator Auditor Operator OperatorsToken] Everything
        "Read the audit log.";
    ChangeAccessPolicies "configuration.change.access_policy" [Administrator Operator] Policies
        "Change access policies: who gets which activities on which resources.";
    ChangeActivities "configuration.change.activity" [Administrator Operator] Everything
        "Change activities: what a session places, as root, on resources.";
    ChangeConnectionProfiles "configuration.change.connection_profile" [Administrator Operator OperatorsToken] Everything
        "Change connection profiles: the rules of sessions, approval among them.";
    ChangeGroups "configuration.change.group" [Administrator Operator] Everything
        "Change groups: who belongs to them, and the roles that they give.";
    ChangeIdentityProviders "configuration.change.identity_provider" [Administrator Operator] Everything
        "Change identity providers: who is vouched for outside, and the groups that this gives. Nobody who may do less than they.";
    ChangeResources "configuration.change.resource" [Administrator Operator] Resources
        "Change resources: their address, host key and service account.";
    ChangeResourceGroups "configuration.change.resource_group" [Administrator Operator] Everything
        "Change resource groups, and with them what policies give.";
    ChangeRoles "configuration.change.role" [Administrator Operator] Everything
        "Change custom roles. Nobody puts into a role what they do not have.";
    ChangeServiceAccounts "configuration.change.service_account" [Administrator Operator] Everything
        "Change the accounts that Cardea itself uses on resources.";
    ChangeUsers "configuration.change.user" [Administrator Operator] Users
        "Change users: their roles, keys, accounts and expiry. Nobody changes a user who may do more than they.";
    ConfigurationSee "configuration.see" [Administrator Auditor Operator OperatorsToken] Objects
        "See the configuration, without secrets. With a scope: the resources, policies and users within.";
    FactorsReset "factors.reset" [Administrator Operator] Users
        "Take off the second factor of somebody who lost it, which ends their sign-ins, or an SSH key. No token is enough.";
    FiguresSee "figures.see" [Administrator Auditor Operator OperatorsToken] Everything
        "See the figures at `/metrics`.";
    NoticesManage "notices.manage" [Administrator Operator OperatorsToken] Everything
        "See what is told by mail and webhook, and have a notice sent now.";
    RemovalsTry "removals.try" [Administrator Operator OperatorsToken] Sessions
        "Have a removal that keeps failing tried at once.";
    ResourcesLock "resources.lock" [Administrator Operator OperatorsToken] Resources
        "Lock and unlock a resource with everything on it.";
    ResourcesSweep "resources.sweep" [Administrator Operator OperatorsToken Cardea] Resources
        "Have a resource searched for marks that the ledger does not know.";
    SessionsDecide "sessions.decide" [Approver] Sessions
        "Approve or deny requests of others. Only connection profiles give it, to the approvers that they name.";
    SessionsDismissAny "sessions.dismiss_any" [Administrator Operator OperatorsToken Cardea] Sessions
        "Take anybody's failed session off the active list. Everybody may with their own.";
    SessionsEndAny "sessions.end_any" [Administrator Operator OperatorsToken Cardea] Sessions
        "End anybody's session. Everybody may end their own.";
    SessionsExtendAny "sessions.extend_any" [Administrator Operator OperatorsToken Cardea] Sessions
        "Extend anybody's session as far as its profile allows. Everybody may extend their own.";
    SessionsLock "sessions.lock" [Administrator Operator OperatorsToken] Sessions
        "Lock and unlock a session.";
    SessionsRequest "sessions.request" [Administrator User OperatorsToken] Everything
        "Request what policies give.";
    SessionsRetryAny "sessions.retry_any" [Administrator Operator OperatorsToken Cardea] Sessions
        "Begin anybody's failed session again. Everybody may with their own.";
    SessionsSeeAll "sessions.see_all" [Administrator Auditor Operator OperatorsToken Cardea] Sessions
        "See sessions of everybody, with their logs, connections and privileges. Everybody sees their own.";
    SignInsEnd "sign_ins.end" [Administrator Operator OperatorsToken] Users
        "End sign-ins and tokens of others. Everybody may end their own.";
    SignInsSee "sign_ins.see" [Administrator Auditor Operator OperatorsToken] Users
        "See sign-ins, tokens, second factors and SSH keys of others. Everybody sees their own.";
    SshKeysCertify "ssh_keys.certify" [Administrator Auditor User] Everything
        "Have an SSH key certified for the gateway, for oneself and for some hours.";
    TokensCreate "tokens.create" [Administrator Auditor User] Everything
        "Make API tokens for oneself. No token is enough.";
    UsersLock "users.lock" [Administrator Operator OperatorsToken] Users
        "Lock and unlock a user with everything of theirs, but never oneself.";
}

impl Permission {
    /// To change objects of this kind.
    pub fn to_change(kind: Kind) -> Self {
        match kind {
            Kind::AccessPolicy => Self::ChangeAccessPolicies,
            Kind::Activity => Self::ChangeActivities,
            Kind::ConnectionProfile => Self::ChangeConnectionProfiles,
            Kind::Group => Self::ChangeGroups,
            Kind::IdentityProvider => Self::ChangeIdentityProviders,
            Kind::Resource => Self::ChangeResources,
            Kind::ResourceGroup => Self::ChangeResourceGroups,
            Kind::Role => Self::ChangeRoles,
            Kind::ServiceAccount => Self::ChangeServiceAccounts,
            Kind::User => Self::ChangeUsers,
        }
    }

    /// Whether it is held this way.
    pub fn is_of(self, holder: Holder) -> bool {
        self.holders().contains(&holder)
    }

    /// What is of no use without: who may not see a thing cannot do anything to it.
    pub fn requires(self) -> Option<Self> {
        match self.concern() {
            _ if self == Self::SessionsSeeAll || self == Self::ConfigurationSee => None,
            _ if self == Self::SignInsEnd => Some(Self::SignInsSee),
            Concern::Sessions => Some(Self::SessionsSeeAll),
            _ if self.as_str().starts_with("configuration.") => Some(Self::ConfigurationSee),
            _ => None,
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Permission {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|permission| permission.as_str() == text);
        found.copied().ok_or_else(|| format!("`{text}` is not a permission: docs/permissions.md lists them"))
    }
}

impl Serialize for Permission {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Permission {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl schemars::JsonSchema for Permission {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Permission".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let names: Vec<_> = Self::ALL.iter().map(|permission| permission.as_str()).collect();
        schemars::json_schema!({ "type": "string", "enum": names, "description": "A permission, by its name." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_says_the_same_of_all() {
        assert!(Permission::ALL.windows(2).all(|pair| pair[0].as_str() < pair[1].as_str()), "by name");
        for permission in Permission::ALL {
            assert_eq!(permission.as_str().parse(), Ok(*permission));
            assert!(permission.words().ends_with('.'), "{permission}: a sentence");
            // Whom an auditor or a user becomes administrator would else lose something.
            for holder in [Holder::Auditor, Holder::User] {
                assert!(!permission.is_of(holder) || permission.is_of(Holder::Administrator), "{permission}");
            }
            assert!(permission.requires().is_none_or(|needed| needed.requires().is_none()), "{permission}");
        }
    }

    #[test]
    fn a_token_of_the_operator_touches_neither_decisions_nor_who_may_do_what() {
        let kept: Vec<_> =
            Permission::ALL.iter().filter(|permission| permission.is_of(Holder::OperatorsToken)).collect();
        for never in [Permission::SessionsDecide, Permission::TokensCreate, Permission::ChangeServiceAccounts] {
            assert!(!kept.contains(&&never), "{never}");
        }
        let changes: Vec<_> = kept.iter().filter(|kept| kept.as_str().starts_with("configuration.change")).collect();
        assert_eq!(changes, [&&Permission::ChangeConnectionProfiles]);
    }
}
