//! The statuses of a session, as people, the wire and the store name them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Where a session is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Somebody has to say yes first.
    WaitingForApproval,
    /// It may begin, at a time that is still to come.
    Scheduled,
    /// The pre-session stage is running.
    Provisioning,
    /// Ready.
    Available,
    /// Its user is on the resource.
    LoggedIn,
    /// An administrator froze it.
    Locked,
    /// Ended; clean-up is running, however long it takes.
    Canceling,
    /// A step of the pre-session stage failed; what was placed is being taken away under it.
    Failed,
    /// Over: reached its end, or its user ended it.
    Completed,
    /// Over: somebody else ended it, or it never started.
    Canceled,
    /// Over: an approver said no.
    Denied,
    /// Over: nobody answered within the approval window.
    Expired,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 12] = [
        Self::WaitingForApproval,
        Self::Scheduled,
        Self::Provisioning,
        Self::Available,
        Self::LoggedIn,
        Self::Locked,
        Self::Canceling,
        Self::Failed,
        Self::Completed,
        Self::Canceled,
        Self::Denied,
        Self::Expired,
    ];

    /// The status on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WaitingForApproval => "waiting_for_approval",
            Self::Scheduled => "scheduled",
            Self::Provisioning => "provisioning",
            Self::Available => "available",
            Self::LoggedIn => "logged_in",
            Self::Locked => "locked",
            Self::Canceling => "canceling",
            Self::Failed => "failed",
            Self::Completed => "completed",
            Self::Canceled => "canceled",
            Self::Denied => "denied",
            Self::Expired => "expired",
        }
    }

    /// Whether the person may connect.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Available | Self::LoggedIn)
    }

    /// Whether what it gives is on the resource and meant to be: open, or frozen for a while.
    pub fn is_standing(self) -> bool {
        self.is_open() || self == Self::Locked
    }

    /// Whether nothing was ever placed for it, because it has not begun.
    pub fn is_ahead(self) -> bool {
        matches!(self, Self::WaitingForApproval | Self::Scheduled)
    }

    /// Whether somebody can still end it.
    pub fn can_end(self) -> bool {
        self.is_ahead() || self == Self::Provisioning || self.is_standing()
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
