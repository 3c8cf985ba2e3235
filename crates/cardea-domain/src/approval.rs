//! Approvals: who must say yes before a session begins, and what they said.

use serde::{Deserialize, Serialize};

use crate::{ApprovalId, ObjectId, Period, Pins, SessionId, Timestamp};

/// What a profile demands before a session begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalSpec {
    /// Asked one after the other. One for now.
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

    /// What is wrong: the key, and what to write instead.
    pub(crate) fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut check = |bad: bool, key: String, message: &str| {
            if bad {
                faults.push((key, message.to_owned()));
            }
        };
        check(self.tiers.is_empty(), "approval/tiers".to_owned(), "name who may approve: one tier");
        check(
            self.tiers.len() > 1,
            "approval/tiers/1".to_owned(),
            "this version of Cardea asks one tier only: take the others out",
        );
        check(
            self.window < Period::from_seconds(60) || self.window > Self::WINDOW_MAX,
            "approval/window".to_owned(),
            "write 1m to 31 days (744h)",
        );
        for (index, tier) in self.tiers.iter().enumerate() {
            check(
                tier.approvers.is_empty() || tier.approvers.len() > 100,
                format!("approval/tiers/{index}/approvers"),
                "name 1 to 100 users or groups",
            );
            check(
                tier.quorum == 0 || tier.quorum > 100,
                format!("approval/tiers/{index}/quorum"),
                "write how many of them must say yes: 1 to 100",
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
    /// Users and groups.
    pub approvers: Vec<String>,
    #[serde(default = "one")]
    pub quorum: u32,
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
    pub at: Timestamp,
}

impl Approval {
    /// Whether it is a yes to exactly this.
    pub fn counts_for(&self, pins: &Pins) -> bool {
        self.decision == Decision::Approved && self.pins == *pins
    }
}
