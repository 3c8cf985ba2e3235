//! Roles: sets of permissions, the built-in ones and those that administrators make, and where the latter hold.

use std::{collections::BTreeSet, fmt, sync::Arc};

use crate::{Holder, ObjectId, Permission, Session};

/// A role of a user, with all that follows from it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Describes everything, sees and ends every session.
    Administrator,
    /// Sees everything, changes nothing.
    Auditor,
    /// Requests what policies give.
    User,
    /// One that administrators made.
    Custom(Arc<CustomRole>),
}

/// A set of named permissions, and where they hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CustomRole {
    pub id: ObjectId,
    pub name: String,
    pub permissions: BTreeSet<Permission>,
    /// Everywhere if `None`.
    pub scope: Option<Scope>,
}

/// Where a custom role holds: what is within every list that there is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    pub resources: Option<BTreeSet<ObjectId>>,
    pub policies: Option<BTreeSet<ObjectId>>,
    pub users: Option<BTreeSet<ObjectId>>,
}

/// Where an actor has a permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach<'a> {
    Nowhere,
    Everywhere,
    /// Within any of these.
    Within(Vec<&'a Scope>),
}

impl Role {
    /// The built-in roles that users take.
    pub const BUILT_IN: [Self; 3] = [Self::Administrator, Self::Auditor, Self::User];

    /// The built-in role of this name.
    pub fn built_in(name: &str) -> Option<Self> {
        Self::BUILT_IN.into_iter().find(|role| role.name() == name)
    }

    /// Whether no role that administrators make may have this name.
    pub fn is_reserved(folded_name: &str) -> bool {
        Holder::ALL.into_iter().any(|holder| holder.as_str() == folded_name)
    }

    /// The role's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Administrator => Holder::Administrator.as_str(),
            Self::Auditor => Holder::Auditor.as_str(),
            Self::User => Holder::User.as_str(),
            Self::Custom(role) => &role.name,
        }
    }

    /// Whether it gives this permission, somewhere.
    pub fn gives(&self, permission: Permission) -> bool {
        match self {
            Self::Administrator => permission.is_of(Holder::Administrator),
            Self::Auditor => permission.is_of(Holder::Auditor),
            Self::User => permission.is_of(Holder::User),
            Self::Custom(role) => role.permissions.contains(&permission),
        }
    }

    /// Where it holds; everywhere if `None`.
    pub fn scope(&self) -> Option<&Scope> {
        match self {
            Self::Custom(role) => role.scope.as_ref(),
            Self::Administrator | Self::Auditor | Self::User => None,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Scope {
    /// Whether sessions of this user, under this policy, on this resource are within.
    pub fn has(&self, user: ObjectId, policy: ObjectId, resource: ObjectId) -> bool {
        let within = |list: &Option<BTreeSet<_>>, id| list.as_ref().is_none_or(|list| list.contains(&id));
        within(&self.users, user) && within(&self.policies, policy) && within(&self.resources, resource)
    }

    /// Whether all of it is within another.
    pub fn is_within(&self, other: &Self) -> bool {
        let fits = |mine: &Option<BTreeSet<_>>, theirs: &Option<BTreeSet<_>>| match (mine, theirs) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(mine), Some(theirs)) => mine.is_subset(theirs),
        };
        fits(&self.resources, &other.resources)
            && fits(&self.policies, &other.policies)
            && fits(&self.users, &other.users)
    }
}

impl Reach<'_> {
    /// Whether the permission is held anywhere at all.
    pub fn is_somewhere(&self) -> bool {
        *self != Self::Nowhere
    }

    /// Whether it holds for this session.
    pub fn has_session(&self, session: &Session) -> bool {
        self.has(|scope| scope.has(session.user, session.policy, session.resource))
    }

    /// Whether it holds for something, given what that means within one scope.
    pub fn has(&self, is_within: impl Fn(&Scope) -> bool) -> bool {
        match self {
            Self::Nowhere => false,
            Self::Everywhere => true,
            Self::Within(scopes) => scopes.iter().any(|scope| is_within(scope)),
        }
    }
}
