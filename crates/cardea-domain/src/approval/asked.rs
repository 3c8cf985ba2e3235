//! Whom a request asked, and whose turn it is.
//!
//! The people are those of the moment of the request. Who came later has no say in it, and who left since is found out
//! each time that votes are counted: see [`crate::Configuration::counting`].

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Approval;
use crate::{ObjectId, Period, Timestamp};

/// Whom a request asked, tier by tier, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    pub tiers: Vec<AskedTier>,
    /// Whose turn it is; the number of tiers when all have said yes.
    pub tier: usize,
    /// Since when it is that tier's turn.
    pub since: Timestamp,
    /// Whether the others whom the tier names for that may decide now, too.
    pub is_escalated: bool,
    /// What the requester themselves had changed lately of the rules that the request goes by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub own_changes: Vec<OwnChange>,
}

/// A rule that whoever asks by it changed lately.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnChange {
    pub object: ObjectId,
    pub name: String,
    pub at: Timestamp,
}

/// The people of one tier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedTier {
    pub quorum: u32,
    pub approvers: BTreeSet<ObjectId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalation: Option<AskedEscalation>,
}

/// Who joins them, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedEscalation {
    pub after: Period,
    pub to: BTreeSet<ObjectId>,
}

/// Tiers with too few people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// `tier 2`, `tiers 1 and 2`.
    pub tiers: String,
    pub needed: u32,
    pub people: usize,
}

/// A wish to make a session longer that has to be approved. The session's end does not move before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// Tells the votes about it from those about the session and its other extensions; the first is 1.
    pub number: u32,
    pub by: Period,
    /// Who wishes it: has no say in it.
    pub user: Option<ObjectId>,
    /// Their name.
    pub who: String,
    pub at: Timestamp,
    /// Until when it has to be approved.
    pub until: Timestamp,
    pub asked: Asked,
    /// When to try again what the host did not do at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub try_at: Option<Timestamp>,
}

impl Wish {
    /// When it wants to be looked at.
    pub fn wake_at(&self) -> Option<Timestamp> {
        if self.asked.is_complete() {
            return Some(self.try_at.unwrap_or(self.asked.since));
        }
        [Some(self.until), self.asked.escalates_at()].into_iter().flatten().min()
    }
}

/// What is asked now: the people, and which votes are about it.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub asked: &'a Asked,
    /// Which extension; 0 for the session itself.
    pub extension: u32,
}

impl AskedTier {
    /// Everybody who may come to decide in it.
    pub fn people(&self) -> impl Iterator<Item = ObjectId> {
        self.approvers.iter().chain(self.escalation.iter().flat_map(|escalation| &escalation.to)).copied()
    }

    /// Whether this is one of them.
    pub fn asks(&self, user: ObjectId) -> bool {
        self.people().any(|asked| asked == user)
    }
}

impl Asked {
    /// Asks them from now on, the first tier first.
    pub fn new(tiers: Vec<AskedTier>, now: Timestamp) -> Self {
        Self { tiers, tier: 0, since: now, is_escalated: false, own_changes: Vec::new() }
    }

    /// Tiers that ask for more people than there are; `None` if there are enough. Whoever counts in one tier counts in no other, so
    /// tiers that share people are looked at together.
    pub fn shortage(&self) -> Option<Shortage> {
        let mut choices: Vec<_> = (1..1_u32 << self.tiers.len()).collect();
        choices.sort_by_key(|choice| choice.count_ones());
        choices.into_iter().find_map(|choice| {
            let chosen = self.tiers.iter().enumerate().filter(|(index, _)| choice & (1 << index) != 0);
            let (names, tiers): (Vec<_>, Vec<_>) = chosen.map(|(index, tier)| ((index + 1).to_string(), tier)).unzip();
            let people = tiers.iter().flat_map(|tier| tier.people()).collect::<BTreeSet<_>>().len();
            let needed = tiers.iter().map(|tier| tier.quorum).sum();
            let word = if names.len() > 1 { "tiers" } else { "tier" };
            let is_short = people < usize::try_from(needed).unwrap_or(usize::MAX);
            is_short.then(|| Shortage { tiers: format!("{word} {}", names.join(" and ")), needed, people })
        })
    }

    /// Whether every tier has said yes.
    pub fn is_complete(&self) -> bool {
        self.tier >= self.tiers.len()
    }

    /// Whether this user was asked in the tier whose turn it is, by now.
    pub fn asks_now(&self, user: ObjectId) -> bool {
        self.tiers.get(self.tier).is_some_and(|tier| {
            let joined = tier.escalation.as_ref().filter(|_| self.is_escalated);
            tier.approvers.contains(&user) || joined.is_some_and(|escalation| escalation.to.contains(&user))
        })
    }

    /// The first tier that lacks a yes, or the number of tiers. `counting` are votes that count.
    pub fn open_tier(&self, counting: &[&Approval]) -> usize {
        let lacks = |tier: &usize| Self::have(counting, *tier) < self.tiers[*tier].quorum;
        (0..self.tiers.len()).find(lacks).unwrap_or(self.tiers.len())
    }

    /// How many said yes in a tier.
    pub fn have(counting: &[&Approval], tier: usize) -> u32 {
        let votes = counting.iter().filter(|approval| approval.tier == tier).count();
        u32::try_from(votes).unwrap_or(u32::MAX)
    }

    /// It is this tier's turn. Whether it was not before.
    pub fn turn_to(&mut self, tier: usize, now: Timestamp) -> bool {
        let is_new = tier != self.tier;
        if is_new {
            (self.tier, self.since, self.is_escalated) = (tier, now, false);
        }
        is_new
    }

    /// When more people are to be asked.
    pub fn escalates_at(&self) -> Option<Timestamp> {
        let escalation = self.tiers.get(self.tier)?.escalation.as_ref().filter(|_| !self.is_escalated)?;
        Some(self.since.plus(escalation.after.get()))
    }

    /// Asks more people, if it is time to. Whether it was.
    pub fn escalate(&mut self, now: Timestamp) -> bool {
        let is_time = self.escalates_at().is_some_and(|at| at <= now);
        self.is_escalated |= is_time;
        is_time
    }
}
