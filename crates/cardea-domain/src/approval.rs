//! Approvals: who must say yes before a session begins, and what they said.

mod asked;

use serde::{Deserialize, Serialize};

pub use self::asked::{Asked, AskedEscalation, AskedTier, OwnChange, Question, Shortage, Wish};
use crate::{ApprovalId, ObjectId, Period, Pins, SessionId, Timestamp};

/// Stands in lists of approvers for the manager of whoever requests. No user or group can have such a name.
pub const MANAGER: &str = "+manager";

/// What a profile demands before a session begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalSpec {
    /// Asked one after the other: 1 to 5. Nobody counts in two of them.
    pub tiers: Vec<Tier>,
    /// How long a request may wait for all of them.
    #[serde(default = "day")]
    pub window: Period,
}

impl ApprovalSpec {
    /// How many have to say yes, in all tiers.
    pub fn quorum(&self) -> u32 {
        self.tiers.iter().map(|tier| tier.quorum).sum()
    }

    /// The longest time that a request may wait.
    const WINDOW_MAX: Period = Period::from_seconds(31 * 86_400);
    const TIERS_MAX: usize = 5;
    const MINUTE: Period = Period::from_seconds(60);

    /// What is wrong: the key, and what to write instead.
    pub(crate) fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut check = |bad: bool, key: String, message: &str| {
            if bad {
                faults.push((key, message.to_owned()));
            }
        };
        check(
            self.tiers.is_empty() || self.tiers.len() > Self::TIERS_MAX,
            "approval/tiers".to_owned(),
            "name who may approve: 1 to 5 tiers, asked one after the other",
        );
        check(
            self.window < Self::MINUTE || self.window > Self::WINDOW_MAX,
            "approval/window".to_owned(),
            "write 1m to 31 days (744h)",
        );
        for (index, tier) in self.tiers.iter().enumerate() {
            let key = |key: &str| format!("approval/tiers/{index}/{key}");
            check(
                tier.approvers.is_empty() || tier.approvers.len() > Tier::NAMES_MAX,
                key("approvers"),
                "name 1 to 100 users or groups, or `+manager` for the manager of whoever requests",
            );
            check(
                tier.quorum == 0 || tier.quorum > 100,
                key("quorum"),
                "write how many of them must say yes: 1 to 100",
            );
            let Some(escalation) = &tier.escalation else { continue };
            check(
                escalation.to.is_empty() || escalation.to.len() > Tier::NAMES_MAX,
                key("escalation/to"),
                "name 1 to 100 users or groups who may decide too when nobody did for so long",
            );
            check(
                escalation.after < Self::MINUTE || escalation.after >= self.window,
                key("escalation/after"),
                "write at least 1m and less than the window, which is for all tiers together",
            );
        }
        faults
    }
}

fn day() -> Period {
    Period::from_seconds(86_400)
}

/// Some people, and how many of them must say yes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// Users and groups, and `+manager` for the manager of whoever requests.
    pub approvers: Vec<String>,
    #[serde(default = "one")]
    pub quorum: u32,
    /// Who may decide as well when the tier has not for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalation: Option<Escalation>,
}

impl Tier {
    const NAMES_MAX: usize = 100;

    /// Everybody whom it names: at once, and after a while.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.approvers.iter().chain(self.escalation.iter().flat_map(|escalation| &escalation.to))
    }
}

/// Who joins a tier's approvers when it has not decided for so long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Escalation {
    /// Counted from when the tier's turn came.
    pub after: Period,
    /// Users and groups, and `+manager`.
    pub to: Vec<String>,
}

fn one() -> u32 {
    1
}

/// What an approver said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    Approved,
    Denied,
}

impl Decision {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Approved, Self::Denied];

    /// The decision on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Denied => "denied",
        }
    }
}

/// One approver's decision about one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    pub id: ApprovalId,
    pub session: SessionId,
    pub approver: ObjectId,
    pub approver_name: String,
    pub decision: Decision,
    pub reason: String,
    /// What was approved: an approval of other revisions does not count.
    pub pins: Pins,
    /// The tier that it was given in; the first is 0.
    pub tier: usize,
    pub at: Timestamp,
    /// Which extension it is about; 0 if it is about the session itself.
    pub extension: u32,
    /// When it ceased to count, because whoever gave it lost the right to. They may give it anew if they get that back.
    pub fell_at: Option<Timestamp>,
}

impl Approval {
    /// Whether it is a yes to exactly this, that did not fall.
    pub fn counts_for(&self, pins: &Pins) -> bool {
        self.decision == Decision::Approved && self.pins == *pins && self.fell_at.is_none()
    }
}
