//! Who acts: a signed-in user, the operator beside the data, the engine or the gateway.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{ObjectId, SignInId, TokenId};

/// A built-in role of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Describes everything, sees and ends every session.
    Administrator,
    /// Sees everything, changes nothing.
    Auditor,
    /// Requests what policies give.
    User,
}

impl Role {
    /// The role's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Auditor => "auditor",
            Self::User => "user",
        }
    }
}

/// By what a user is known to be themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// A key registered by the user, at the gateway.
    Key,
    /// A sign-in in the browser.
    SignIn(SignInId),
    /// An API token. One that the operator issued may not touch users, tokens or policies.
    Token { id: TokenId, operator_issued: bool },
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
    pub fn has(&self, role: Role) -> bool {
        matches!(self, Self::User { roles, .. } if roles.contains(&role))
    }

    /// Whether the actor sees sessions of everybody.
    pub fn sees_all(&self) -> bool {
        match self {
            Self::Engine | Self::Gateway | Self::Operator { .. } => true,
            Self::User { .. } => self.has(Role::Administrator) || self.has(Role::Auditor),
        }
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
