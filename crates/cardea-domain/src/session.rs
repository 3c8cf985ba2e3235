//! One activity session: its states, who may move it, and when it wants to be looked at next.
//!
//! Transitions are methods that check the state they leave; the engine and the use cases call them inside the unit of
//! work that also writes the log line and the audit entry. `wake_at` is the one timer: every wait is a row, not a sleep.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{Actor, LoginAccount, ObjectId, Period, RequestId, Revision, SessionId, Timestamp};

/// Where a session is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The pre-session stage is running.
    Provisioning,
    /// Ready.
    Available,
    /// Its user is on the resource.
    LoggedIn,
    /// Ended; clean-up is running, however long it takes.
    Canceling,
    /// A step of the pre-session stage failed; what was placed is being taken away under it.
    Failed,
    /// Over: reached its end, or its user ended it.
    Completed,
    /// Over: somebody else ended it, or it never started.
    Canceled,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 7] = [
        Self::Provisioning,
        Self::Available,
        Self::LoggedIn,
        Self::Canceling,
        Self::Failed,
        Self::Completed,
        Self::Canceled,
    ];

    /// The status on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::Available => "available",
            Self::LoggedIn => "logged_in",
            Self::Canceling => "canceling",
            Self::Failed => "failed",
            Self::Completed => "completed",
            Self::Canceled => "canceled",
        }
    }

    /// Whether the person may connect.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Available | Self::LoggedIn)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Status {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not a status: write one of {}", Self::ALL.map(Self::as_str).join(", ")))
    }
}

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

/// The stage that a log line belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Request,
    PreSession,
    Session,
    PostSession,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Self; 4] = [Self::Request, Self::PreSession, Self::Session, Self::PostSession];

    /// The stage on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::PreSession => "pre_session",
            Self::Session => "session",
            Self::PostSession => "post_session",
        }
    }
}

/// How much a log line matters. Order: debug < info < warn < error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

impl LogLevel {
    /// Every level.
    pub const ALL: [Self; 4] = [Self::Debug, Self::Info, Self::Warn, Self::Error];

    /// The level on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// One line of a session's action log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// From 1, without gaps within a session.
    pub line: i64,
    pub at: Timestamp,
    pub level: LogLevel,
    pub stage: Stage,
    pub message: String,
}

/// Who or what ends a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndCause {
    /// Its maximum duration is over.
    ReachedEnd,
    /// Somebody ended it, perhaps with a reason.
    By { actor: Actor, reason: Option<String> },
}

/// Why a transition is not possible. Each names its rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the session is {0} already: there is nothing left to end")]
    AlreadyEnding(Status),
    #[error("only a failed session whose clean-up is complete can be dismissed; this one is {0}")]
    NotDismissable(Status),
    #[error("privileges of this session are still out there: it can be dismissed when they are gone")]
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
            Self::NotDismissable(_) => "not-dismissable",
            Self::NotClean => "not-clean",
            Self::NotOpen(_) => "not-open",
            Self::NotProvisioning(_) => "not-provisioning",
        }
    }
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
    pub account: LoginAccount,
    pub notes: String,
    pub ticket: String,
    pub requested_at: Timestamp,
    /// When the pre-session stage was done.
    pub start_at: Option<Timestamp>,
    /// Start plus the maximum duration; when it is over, the time that it ended.
    pub end_at: Option<Timestamp>,
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
    /// Failed rounds of clean-up so far.
    pub cleanup_attempts: i64,
    /// Clean-up has been failing for more than a minute.
    pub cleanup_stalled: bool,
    /// When the engine looks at it next; the one deadline index.
    pub wake_at: Option<Timestamp>,
    /// Rises with every claim; goes to the target with every command.
    pub fence: i64,
    /// Rises with every write; a write with an old one is refused by the store.
    pub version: i64,
}

impl Session {
    /// A failed session whose clean-up is complete stays on the list this long.
    pub const FAILED_LISTED: Duration = Duration::from_secs(3600);
    /// Clean-up that fails for longer than this is called stalled.
    pub const STALLED_AFTER: Duration = Duration::from_secs(60);
    /// How far beyond a session's end the target's own expiry lies: clocks differ, and clean-up comes first.
    pub const EXPIRY_MARGIN: Duration = Duration::from_secs(300);
    /// Retries of clean-up never end; they come at most this far apart.
    const RETRY_MAX: Duration = Duration::from_secs(300);
    /// The scan for forgotten files comes this long after clean-up, so that one scan serves many sessions.
    const SCAN_AFTER: Duration = Duration::from_secs(20);

    /// The pre-session stage is done: the session starts now.
    pub fn provisioned(&mut self, now: Timestamp) -> Result<(), Refusal> {
        if self.status != Status::Provisioning {
            return Err(Refusal::NotProvisioning(self.status));
        }
        self.status = Status::Available;
        self.progress = None;
        self.start_at = Some(now);
        self.end_at = Some(now.plus(self.pins.max_duration.get()));
        self.wake_at = self.end_at;
        Ok(())
    }

    /// A step failed: what was placed is taken away at once, under the status Failed.
    pub fn failed(&mut self, reason: Reason, now: Timestamp) -> Result<(), Refusal> {
        if self.status != Status::Provisioning {
            return Err(Refusal::NotProvisioning(self.status));
        }
        self.status = Status::Failed;
        self.reason = Some(reason);
        self.progress = None;
        self.end_at = Some(now);
        self.cleanup_since = Some(now);
        self.wake_at = Some(now);
        Ok(())
    }

    /// The first connection is open.
    pub fn logged_in(&mut self) -> Result<(), Refusal> {
        if !self.status.is_open() {
            return Err(Refusal::NotOpen(self.status));
        }
        self.status = Status::LoggedIn;
        Ok(())
    }

    /// The last connection is closed. Nothing to do if the session is ending.
    pub fn logged_out(&mut self) {
        if self.status == Status::LoggedIn {
            self.status = Status::Available;
        }
    }

    /// Ends the session: from now on nobody connects, and everything is taken away.
    pub fn end(&mut self, cause: &EndCause, now: Timestamp) -> Result<(), Refusal> {
        if !matches!(self.status, Status::Provisioning | Status::Available | Status::LoggedIn) {
            return Err(Refusal::AlreadyEnding(self.status));
        }
        let own = matches!(cause, EndCause::By { actor, .. } if actor.user_id() == Some(self.user));
        let started = self.start_at.is_some();
        self.closes_as = Some(match cause {
            EndCause::ReachedEnd => Status::Completed,
            EndCause::By { .. } if own && started => Status::Completed,
            EndCause::By { .. } => Status::Canceled,
        });
        self.reason = Some(match cause {
            EndCause::ReachedEnd => Reason::new("reached_end", "The session reached its end."),
            EndCause::By { reason, .. } if own => {
                Reason::new("ended_by_user", said("Ended by its user", reason.as_deref()))
            }
            EndCause::By { actor: Actor::User { name, .. }, reason } => {
                Reason::new("ended_by_administrator", said(&format!("Ended by {name}"), reason.as_deref()))
            }
            EndCause::By { actor, reason } => {
                Reason::new("ended_by_operator", said(&format!("Ended by {actor}"), reason.as_deref()))
            }
        });
        self.status = Status::Canceling;
        self.progress = None;
        self.end_at = Some(now);
        self.cleanup_since = Some(now);
        self.wake_at = Some(now);
        Ok(())
    }

    /// Nothing of it is out there any more, read back and stored.
    pub fn cleaned(&mut self, now: Timestamp) {
        self.clean = true;
        self.cleanup_stalled = false;
        self.progress = None;
        match self.closes_as {
            Some(status) => {
                self.status = status;
                self.listed = false;
                self.wake_at = Some(now.plus(Self::SCAN_AFTER));
            }
            // Failed: stays to be read, then leaves the list by itself.
            None => self.wake_at = Some(now.plus(Self::SCAN_AFTER)),
        }
    }

    /// A round of clean-up failed: when to try again. Doubles from half a second to five minutes; `jitter` (0 to 255)
    /// spreads it by up to a quarter.
    pub fn cleanup_failed(&mut self, now: Timestamp, jitter: u8) {
        let doubled = Duration::from_millis(500).saturating_mul(1 << self.cleanup_attempts.clamp(0, 12));
        let pause = doubled.min(Self::RETRY_MAX);
        self.cleanup_attempts += 1;
        self.wake_at = Some(now.plus(pause - pause / 4 * u32::from(jitter) / 256));
        self.cleanup_stalled = self.cleanup_since.is_some_and(|since| now.since(since) > Self::STALLED_AFTER);
    }

    /// The scan for forgotten files is done; a failed session still has to leave the list later.
    pub fn scanned(&mut self) {
        self.wake_at = (self.listed && self.status == Status::Failed)
            .then(|| self.end_at.map(|at| at.plus(Self::FAILED_LISTED)))
            .flatten();
    }

    /// Takes a failed session off the list.
    pub fn dismiss(&mut self) -> Result<(), Refusal> {
        if self.status != Status::Failed || !self.listed {
            return Err(Refusal::NotDismissable(self.status));
        }
        if !self.clean {
            return Err(Refusal::NotClean);
        }
        self.listed = false;
        Ok(())
    }
}

fn said(what: &str, reason: Option<&str>) -> String {
    match reason {
        Some(reason) if !reason.trim().is_empty() => format!("{what}: {}", reason.trim()),
        _ => format!("{what}."),
    }
}

#[cfg(test)]
mod tests;
