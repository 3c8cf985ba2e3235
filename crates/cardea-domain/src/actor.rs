//! Who acts: a signed-in user, the operator beside the data, the engine or the gateway.

use std::fmt;

use crate::{Holder, ObjectId, Permission, Reach, Role, SignInId, TokenId, TokenScopes};

/// By what a user is known to be themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// A certificate of Cardea's own authority, at the gateway.
    Certificate,
    /// A key registered by the user, at the gateway.
    Key,
    /// A one-time token of theirs, at the gateway.
    Launch,
    /// Their password and a second factor, at the gateway.
    Password,
    /// A sign-in in the browser.
    SignIn(SignInId),
    /// An API token. One that the operator issued keeps only some permissions of its user.
    Token { id: TokenId, operator_issued: bool, scopes: TokenScopes },
}

/// Who acts. Every transition and every audit entry names one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Cardea's own engine.
    Engine,
    /// Cardea's own gateway, reporting what a client did.
    Gateway,
    /// Whoever runs commands beside the data directory, by numeric user id.
    Operator { uid: u32 },
    /// A user.
    User { id: ObjectId, name: String, roles: Vec<Role>, via: Via },
}

impl Actor {
    /// The user, if it is one.
    pub fn user_id(&self) -> Option<ObjectId> {
        match self {
            Self::User { id, .. } => Some(*id),
            Self::Engine | Self::Gateway | Self::Operator { .. } => None,
        }
    }

    /// Whether the actor is a user with this role.
    pub fn has(&self, role: &Role) -> bool {
        matches!(self, Self::User { roles, .. } if roles.contains(role))
    }

    /// Whether the actor came by a token that the operator issued.
    pub fn is_operator_issued(&self) -> bool {
        matches!(self, Self::User { via: Via::Token { operator_issued: true, .. }, .. })
    }

    /// Where the actor has a permission.
    pub fn reach(&self, permission: Permission) -> Reach<'_> {
        if self.is_operator_issued() && !permission.is_of(Holder::OperatorsToken) {
            return Reach::Nowhere;
        }
        self.reach_by_roles(permission)
    }

    /// The same for whoever it is, whatever they came by.
    fn reach_by_roles(&self, permission: Permission) -> Reach<'_> {
        let roles = match self {
            Self::Engine | Self::Gateway if permission.is_of(Holder::Cardea) => return Reach::Everywhere,
            Self::Operator { .. } if permission.is_of(Holder::Operator) => return Reach::Everywhere,
            Self::Engine | Self::Gateway | Self::Operator { .. } => return Reach::Nowhere,
            Self::User { roles, .. } => roles.iter().filter(|role| role.gives(permission)),
        };
        let mut scopes = Vec::new();
        for role in roles {
            match role.scope() {
                None => return Reach::Everywhere,
                Some(scope) => scopes.push(scope),
            }
        }
        if scopes.is_empty() { Reach::Nowhere } else { Reach::Within(scopes) }
    }

    /// Whether the actor has a permission everywhere.
    pub fn may(&self, permission: Permission) -> bool {
        self.reach(permission) == Reach::Everywhere
    }

    /// Whether the actor sees sessions of everybody.
    pub fn sees_all(&self) -> bool {
        self.may(Permission::SessionsSeeAll)
    }

    /// The first permission of a role that the actor does not have as widely; `None` if they have it all. Who works beside the data
    /// has everything. What the actor came by does not count: a token that carries less makes nobody less than they are.
    pub fn lacks(&self, role: &Role) -> Option<Permission> {
        if matches!(self, Self::Operator { .. }) {
            return None;
        }
        let has = |permission: Permission| match role.scope() {
            None => self.reach_by_roles(permission) == Reach::Everywhere,
            Some(scope) => self.reach_by_roles(permission).has(|mine| scope.is_within(mine)),
        };
        Permission::ALL.iter().copied().find(|permission| role.gives(*permission) && !has(*permission))
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine => f.write_str("engine"),
            Self::Gateway => f.write_str("gateway"),
            Self::Operator { uid } => write!(f, "operator (uid {uid})"),
            Self::User { name, .. } => f.write_str(name),
        }
    }
}
