//! Locks: an administrator freezes a session, or everything of a user, and thaws it again.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// How far a lock reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LockScope {
    /// This session.
    #[default]
    Session,
    /// Every session, sign-in, token and pending request of its user.
    User,
    /// Every session on its resource.
    Resource,
}

impl LockScope {
    /// The scope on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::User => "user",
            Self::Resource => "resource",
        }
    }
}

/// How far a lock has come on the resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LockStage {
    /// Connections are frozen; the resource has not confirmed yet.
    Locking,
    /// Read back: the account is shut and its processes stand still.
    Locked,
    /// On its way to what was before.
    Unlocking,
}

/// A lock on a session. Where it does not stand on a resource yet it only keeps the session from beginning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// What the person reads.
    pub title: String,
    pub text: String,
    pub scope: LockScope,
    pub stage: LockStage,
    /// Who locked it.
    pub by: String,
    pub at: Timestamp,
    /// What the resource said when it could not do as asked; it is asked again.
    pub last_error: Option<String>,
}
