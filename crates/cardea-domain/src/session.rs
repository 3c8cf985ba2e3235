//! One activity session: its states, who may move it, and when it wants to be looked at next.
//!
//! Transitions are methods that check the state they leave; the engine and the use cases call them inside the unit of
//! work that also writes the log line and the audit entry. `wake_at` is the one timer: every wait is a row, not a sleep.

mod lane;
mod life;
mod lock;
mod log;
mod rules;
mod status;

use serde::{Deserialize, Serialize};

pub use self::{
    lane::{Lane, Room},
    lock::{Lock, LockScope, LockStage},
    log::{LogLevel, LogLine, Stage},
    rules::{
        CustomField, CustomValues, DirectLogin, Extension, FieldType, GroupProcesses, Leftovers, OnChange,
        PasswordAccess, Rules,
    },
    status::Status,
};
use crate::{Actor, Asked, LoginAccount, ObjectId, Period, RequestId, Revision, SessionId, Timestamp, Wish};

/// Why a session is where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// Stable: `ended_by_user`, `ended_by_administrator`, `reached_end`, `unreachable`, …
    pub code: String,
    /// A sentence for people.
    pub detail: String,
}

impl Reason {
    /// A reason.
    pub fn new(code: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { code: code.into(), detail: detail.into() }
    }
}

/// How far the running stage is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// From 1.
    pub step: u32,
    pub of: u32,
    /// What the step does.
    pub text: String,
}

/// What a request pinned: the revisions that it was judged by. Checked again before the first touch of the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pins {
    pub policy: Revision,
    pub activity: Revision,
    pub profile: Revision,
    pub resource: Revision,
    pub max_duration: Period,
}

/// Who or what ends a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndCause {
    /// Its maximum duration is over, or its policy's hours are.
    ReachedEnd,
    /// Nobody was on it for as long as its profile allows.
    Idle,
    /// What gave it gives it no more: says what.
    GroundLost(String),
    /// Somebody logged in past the gateway, which its profile forbids: says who, from where.
    DirectLogin(String),
    /// It has no log-in, and its actions ran.
    Done,
    /// Somebody ended it, perhaps with a reason.
    By { actor: Actor, reason: Option<String> },
}

/// Why a transition is not possible. Each names its rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the session is {0} already: there is nothing left to end")]
    AlreadyEnding(Status),
    #[error("the session is {0}, so there is nothing to extend")]
    NotExtendable(Status),
    #[error("the profile does not allow to extend this session")]
    ExtensionNotAllowed,
    #[error("the session was extended {0} times, which is as often as its profile allows: request a new one")]
    ExtensionUsedUp(u32),
    #[error("the profile allows to extend by at most {0} at a time")]
    ExtensionTooLong(Period),
    #[error("the policy's hours end before that: the session can run until {0}")]
    BeyondHours(Timestamp),
    #[error("the session is {0}, so it cannot be locked")]
    NotLockable(Status),
    #[error("the session is locked already")]
    AlreadyLocked,
    #[error("the session is not locked")]
    NotLocked,
    #[error("{0} is locked as a whole: unlock that first")]
    LockedAsAWhole(String),
    #[error("the session is {0}, not waiting for approval")]
    NotWaiting(Status),
    #[error("an extension of this session waits for approval already")]
    ExtensionWaits,
    #[error("the session is {0}: only a failed one that is clean can be tried again")]
    NotRetryable(Status),
    #[error("only a failed session whose clean-up is complete can be dismissed; this one is {0}")]
    NotDismissable(Status),
    #[error("privileges of this session are still out there: wait until they are gone")]
    NotClean,
    #[error("the session is {0}, so nobody can connect to it")]
    NotOpen(Status),
    #[error("the session is {0}, not provisioning")]
    NotProvisioning(Status),
}

impl Refusal {
    /// A stable code for problems and logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::AlreadyEnding(_) => "already-ending",
            Self::NotExtendable(_) => "not-extendable",
            Self::ExtensionNotAllowed => "extension-not-allowed",
            Self::ExtensionUsedUp(_) => "extension-used-up",
            Self::ExtensionTooLong(_) => "extension-too-long",
            Self::BeyondHours(_) => "beyond-hours",
            Self::NotLockable(_) => "not-lockable",
            Self::AlreadyLocked => "already-locked",
            Self::NotLocked => "not-locked",
            Self::LockedAsAWhole(_) => "locked-as-a-whole",
            Self::NotWaiting(_) => "not-waiting",
            Self::ExtensionWaits => "extension-waits",
            Self::NotRetryable(_) => "not-retryable",
            Self::NotDismissable(_) => "not-dismissable",
            Self::NotClean => "not-clean",
            Self::NotOpen(_) => "not-open",
            Self::NotProvisioning(_) => "not-provisioning",
        }
    }
}

/// Which node works on a session, and until when nobody else does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub node: String,
    pub until: Timestamp,
}

/// One activity session: one user, one activity, one resource, from request to proven clean-up.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    pub id: SessionId,
    pub request: RequestId,
    pub user: ObjectId,
    pub user_name: String,
    pub activity: ObjectId,
    pub activity_name: String,
    pub resource: ObjectId,
    pub resource_name: String,
    pub policy: ObjectId,
    pub policy_name: String,
    pub profile: ObjectId,
    pub profile_name: String,
    pub pins: Pins,
    pub rules: Rules,
    pub account: LoginAccount,
    pub notes: String,
    pub ticket: String,
    pub custom: CustomValues,
    pub requested_at: Timestamp,
    /// When its user wants it to begin, if not at once.
    pub wanted_start_at: Option<Timestamp>,
    /// Until when somebody must have approved it; set while it waits.
    pub approve_by: Option<Timestamp>,
    /// Whom it asked for approval, from the request until it is over.
    pub asked: Option<Asked>,
    /// How long it lasts from its start: the profile's maximum, or less if an approver said so.
    pub duration: Period,
    /// When the pre-session stage was done.
    pub start_at: Option<Timestamp>,
    /// Start plus duration plus extensions, or the end of the policy's hours; when it is over, the time that it ended.
    pub end_at: Option<Timestamp>,
    /// When the policy's hours end, if that ends the session.
    pub closes_at: Option<Timestamp>,
    /// How often it was extended.
    pub extensions: u32,
    /// An extension that waits for approval, or for the host after it.
    pub wish: Option<Wish>,
    /// How many of the warnings before its end were given.
    pub warned: u32,
    /// Since when nobody is on it; only while it is open and nobody is.
    pub idle_since: Option<Timestamp>,
    pub lock: Option<Lock>,
    pub status: Status,
    pub reason: Option<Reason>,
    pub progress: Option<Progress>,
    /// Whether it is on the active list.
    pub listed: bool,
    /// Whether nothing of it is out there any more.
    pub clean: bool,
    /// What it will be when clean-up is done.
    pub closes_as: Option<Status>,
    /// When the running clean-up began.
    pub cleanup_since: Option<Timestamp>,
    /// Failed rounds of clean-up, or of locking, so far.
    pub cleanup_attempts: i64,
    /// Clean-up has been failing for more than a minute.
    pub cleanup_stalled: bool,
    /// When the engine looks at it next; the one deadline index.
    pub wake_at: Option<Timestamp>,
    /// Who works on it now.
    pub claim: Option<Claim>,
    /// Rises with every claim; goes to the target with every command.
    pub fence: i64,
    /// Rises with every write; a write with an old one is refused by the store.
    pub version: i64,
}

#[cfg(test)]
mod tests;
