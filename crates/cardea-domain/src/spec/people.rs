//! Who there is: users, and groups of users and of groups.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{UserIdentity, is_public_key};
use crate::{Concern, Holder, Permission, Timestamp, account::is_account_name, is_mail_address, is_unprintable};

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UserSpec {
    /// The name that people read.
    #[serde(default)]
    pub full_name: String,
    /// Mail address.
    #[serde(default)]
    pub email: String,
    /// What the user may do beside what policies give: `administrator`, `auditor`, `user`, and names of roles.
    #[serde(default = "only_user")]
    pub roles: Vec<String>,
    /// Public keys in OpenSSH form, one line each; the user connects through the gateway with any of them.
    #[serde(default)]
    pub ssh_keys: Vec<String>,
    /// The user's own accounts on resources, by the resource's name: what activities with a requester account use.
    #[serde(default)]
    pub accounts: BTreeMap<String, String>,
    /// Name of the user who approves this one's requests where a profile asks `+manager`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<String>,
    /// A disabled user does nothing any more, and their sessions end.
    #[serde(default)]
    pub disabled: bool,
    /// From this moment on the user is as if disabled; never if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Who vouches for the user outside, and what for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<UserIdentity>,
}

fn only_user() -> Vec<String> {
    vec![Holder::User.as_str().to_owned()]
}

/// A user or a group has at most so many roles.
const ROLES_MAX: usize = 20;

impl UserSpec {
    /// Why the user may do nothing at this moment, in a word; `None` if they may.
    pub fn keeps_out(&self, now: Timestamp) -> Option<&'static str> {
        if self.disabled {
            return Some("disabled");
        }
        self.expires_at.is_some_and(|at| at <= now).then_some("expired")
    }

    /// What is wrong: the key, and what to write instead.
    pub(super) fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut check = |bad: bool, key: String, message: &str| {
            if bad {
                faults.push((key, message.to_owned()));
            }
        };
        let is_no_line = self.full_name.chars().count() > 200 || self.full_name.contains(is_unprintable);
        check(is_no_line, "full_name".to_owned(), "at most 200 printable characters");
        let is_no_address = !self.email.is_empty() && !is_mail_address(&self.email);
        check(is_no_address, "email".to_owned(), "write one mail address, as alice@example.com");
        let roles = "list 1 to 20 of administrator, auditor, user, and names of roles";
        check(self.roles.is_empty() || self.roles.len() > ROLES_MAX, "roles".to_owned(), roles);
        check(self.ssh_keys.len() > 50, "ssh_keys".to_owned(), "at most 50 keys");
        if let Some((key, message)) = self.identity.as_ref().and_then(UserIdentity::fault) {
            check(true, key.to_owned(), message);
        }
        for (resource, account) in &self.accounts {
            let key = format!("accounts/{}", resource.replace('~', "~0").replace('/', "~1"));
            check(!is_account_name(account), key, "write the name of the account: at most 32 of `a-z0-9_-`");
        }
        for (index, key) in self.ssh_keys.iter().enumerate() {
            let message = "write a public key as `ssh-keygen` prints it: type, key, comment, on one line";
            check(!is_public_key(key), format!("ssh_keys/{index}"), message);
        }
        faults
    }
}

/// A set of users: those named, and those of the groups that are named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupSpec {
    /// Names of users and of groups.
    #[serde(default)]
    pub members: Vec<String>,
    /// Roles of all its members, beside their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// Whether its members must have a second factor: without one they can do nothing but set it up.
    #[serde(default)]
    pub require_second_factor: bool,
}

impl GroupSpec {
    /// What is wrong: the key, and what to write instead.
    pub(super) fn faults(&self) -> Option<(&'static str, &'static str)> {
        (self.roles.len() > ROLES_MAX).then_some(("roles", "at most 20 roles"))
    }
}

/// A set of permissions, and where they hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleSpec {
    /// By their names, as `docs/permissions.md` lists them.
    pub permissions: Vec<Permission>,
    /// Where they hold; everywhere if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ScopeSpec>,
}

/// Where a role holds: what is within every list that is not empty. Resources and resource groups are one list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScopeSpec {
    #[serde(default)]
    pub resources: Vec<String>,
    #[serde(default)]
    pub resource_groups: Vec<String>,
    #[serde(default)]
    pub policies: Vec<String>,
    /// Groups of users.
    #[serde(default)]
    pub groups: Vec<String>,
}

impl ScopeSpec {
    /// Why a permission would never hold in this scope.
    fn refuses(&self, permission: Permission) -> Option<&'static str> {
        let names_resources = !self.resources.is_empty() || !self.resource_groups.is_empty();
        match permission.concern() {
            Concern::Everything => {
                Some("this permission is about the installation as a whole: give it by a role without a scope")
            }
            Concern::Resources if !names_resources => {
                Some("this permission is about resources: name some in the scope")
            }
            Concern::Users if self.groups.is_empty() => {
                Some("this permission is about users: name groups in the scope")
            }
            Concern::Objects | Concern::Policies | Concern::Resources | Concern::Sessions | Concern::Users => None,
        }
    }
}

impl RoleSpec {
    /// What is wrong: the key, and what to write instead.
    pub(super) fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        if self.permissions.is_empty() {
            faults.push(("permissions".to_owned(), "name at least one permission".to_owned()));
        }
        for (index, permission) in self.permissions.iter().enumerate() {
            let missing = permission.requires().filter(|needed| !self.permissions.contains(needed));
            let message = if *permission == Permission::SessionsDecide {
                Some("only connection profiles give this, to the approvers that they name".to_owned())
            } else if self.permissions[..index].contains(permission) {
                Some("this permission stands in the role twice".to_owned())
            } else if let Some(needed) = missing {
                Some(format!("of no use to who does not see what it is about: name `{needed}` too"))
            } else {
                self.scope.as_ref().and_then(|scope| scope.refuses(*permission)).map(ToOwned::to_owned)
            };
            faults.extend(message.map(|message| (format!("permissions/{index}"), message)));
        }
        if self.scope.as_ref().is_some_and(|scope| *scope == ScopeSpec::default()) {
            faults.push(("scope".to_owned(), "name something, or leave `scope` out for everywhere".to_owned()));
        }
        faults
    }
}
