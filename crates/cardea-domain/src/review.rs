//! Break-glass: a session that begins without anybody's yes, and what somebody else says of it afterwards.

use serde::{Deserialize, Serialize};

use crate::{ObjectId, Period, SessionId, Timestamp};

/// Lets sessions begin at once and has each of them reviewed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BreakGlassSpec {
    /// Users and groups who review its sessions, and `+manager` for the manager of whoever requests.
    pub reviewers: Vec<String>,
    /// How soon after the request one of them must have.
    #[serde(default = "day")]
    pub review_within: Period,
}

fn day() -> Period {
    Period::from_seconds(86_400)
}

impl BreakGlassSpec {
    const REVIEWERS_MAX: usize = 100;
    const WITHIN_MIN: Period = Period::from_seconds(60);
    const WITHIN_MAX: Period = Period::from_seconds(31 * 86_400);

    /// What is wrong: the key, and what to write instead.
    pub(crate) fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        if self.reviewers.is_empty() || self.reviewers.len() > Self::REVIEWERS_MAX {
            let message = "name 1 to 100 users or groups, or `+manager` for the manager of whoever requests";
            faults.push(("break_glass/reviewers".to_owned(), message.to_owned()));
        }
        if self.review_within < Self::WITHIN_MIN || self.review_within > Self::WITHIN_MAX {
            faults.push(("break_glass/review_within".to_owned(), "write 1m to 31 days (744h)".to_owned()));
        }
        faults
    }
}

/// What a reviewer found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Justified,
    Unjustified,
}

impl Verdict {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Justified, Self::Unjustified];

    /// The verdict on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Justified => "justified",
            Self::Unjustified => "unjustified",
        }
    }
}

/// That a session has to be reviewed, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    pub session: SessionId,
    pub profile: ObjectId,
    /// The session's user.
    pub user: ObjectId,
    pub due_at: Timestamp,
    pub finding: Option<ReviewFinding>,
}

/// Who said what of a session, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewFinding {
    pub verdict: Verdict,
    pub reason: String,
    pub reviewer: ObjectId,
    pub reviewer_name: String,
    pub at: Timestamp,
}

impl Review {
    /// Whether somebody should have reviewed it by now.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.finding.is_none() && self.due_at <= now
    }
}
