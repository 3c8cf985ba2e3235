//! Who approves whose requests, and whose votes count.

use std::collections::BTreeSet;

use super::{Configuration, Object, ObjectId, Session};
use crate::{
    Approval, ApprovalSpec, Asked, AskedEscalation, AskedTier, Kind, MANAGER, Question, Timestamp, approval::Tier,
};

/// Whose sessions a user approves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Approves {
    /// Everybody's, under these connection profiles.
    pub profiles: Vec<ObjectId>,
    /// Their reports', under these.
    pub as_manager: Vec<ObjectId>,
    pub reports: Vec<ObjectId>,
}

impl Configuration {
    /// Whether this user is among these names, for what this requester asks. Nobody is for their own.
    fn is_named(&self, names: &[String], user: ObjectId, requester: ObjectId) -> bool {
        user != requester
            && names.iter().any(|name| match name.as_str() {
                MANAGER => self.manager_of(requester) == Some(user),
                name => self.is_user(name, user) || self.group_has(name, user),
            })
    }

    /// The user's manager, if they have one and it is somebody else.
    fn manager_of(&self, user: ObjectId) -> Option<ObjectId> {
        let name = self.get(user).and_then(Object::as_user)?.manager.as_ref()?;
        self.find(Kind::User, name).map(|manager| manager.id).filter(|manager| *manager != user)
    }

    fn approval_of(&self, profile: ObjectId) -> Option<&ApprovalSpec> {
        self.get(profile).and_then(Object::as_profile)?.approval.as_ref()
    }

    fn is_in_tier(&self, tier: &Tier, user: ObjectId, requester: ObjectId) -> bool {
        let later = tier.escalation.as_ref();
        self.is_named(&tier.approvers, user, requester)
            || later.is_some_and(|escalation| self.is_named(&escalation.to, user, requester))
    }

    /// Whether a profile names this user as an approver of what this requester asks for, in any tier, or as a reviewer of it: by
    /// themselves, by a group, or as a manager.
    pub fn names_approver(&self, user: ObjectId, profile: ObjectId, requester: ObjectId) -> bool {
        let mut tiers = self.approval_of(profile).into_iter().flat_map(|approval| &approval.tiers);
        tiers.any(|tier| self.is_in_tier(tier, user, requester)) || self.names_reviewer(user, profile, requester)
    }

    /// Whether a profile names this user as a reviewer of what this requester began without approval.
    pub fn names_reviewer(&self, user: ObjectId, profile: ObjectId, requester: ObjectId) -> bool {
        self.is_named(self.reviewers_of(profile), user, requester)
    }

    fn reviewers_of(&self, profile: ObjectId) -> &[String] {
        let break_glass =
            self.get(profile).and_then(Object::as_profile).and_then(|profile| profile.break_glass.as_ref());
        break_glass.map_or(&[], |break_glass| &break_glass.reviewers)
    }

    /// Whose sessions this user approves.
    pub fn approves(&self, user: ObjectId) -> Approves {
        let mut approves = Approves::default();
        for profile in self.of(Kind::ConnectionProfile) {
            let tiers = self.approval_of(profile.id).into_iter().flat_map(|approval| &approval.tiers);
            let names: Vec<_> = tiers.flat_map(Tier::names).chain(self.reviewers_of(profile.id)).collect();
            if names.iter().any(|name| self.is_user(name, user) || self.group_has(name, user)) {
                approves.profiles.push(profile.id);
            } else if names.iter().any(|name| name.as_str() == MANAGER) {
                approves.as_manager.push(profile.id);
            }
        }
        if !approves.as_manager.is_empty() {
            let users = self.of(Kind::User).map(|report| report.id);
            approves.reports = users.filter(|report| self.manager_of(*report) == Some(user)).collect();
        }
        approves
    }

    /// Whom a request of this user asks by these rules, from now on.
    pub fn ask(&self, approval: &ApprovalSpec, requester: ObjectId, now: Timestamp) -> Asked {
        let people = |names: &[String]| -> BTreeSet<ObjectId> {
            let users = self.of(Kind::User).map(|user| user.id);
            users.filter(|user| self.may_act(*user, now) && self.is_named(names, *user, requester)).collect()
        };
        let tiers = approval.tiers.iter().map(|tier| AskedTier {
            quorum: tier.quorum,
            approvers: people(&tier.approvers),
            escalation: tier
                .escalation
                .as_ref()
                .map(|escalation| AskedEscalation { after: escalation.after, to: people(&escalation.to) }),
        });
        Asked::new(tiers.collect(), now)
    }

    /// Whether a user who was asked in this tier is still one of its approvers. Where the profile was rewritten since, its tiers
    /// are others: then any of them will do. One that asks nobody any more takes nothing from what was said.
    pub fn still_approves(&self, user: ObjectId, session: &Session, tier: usize, now: Timestamp) -> bool {
        if !self.may_act(user, now) || self.locked.contains(&user) {
            return false;
        }
        let Some(approval) = self.approval_of(session.profile) else { return true };
        let is_as_it_was = self.get(session.profile).map(Object::revision) == Some(session.pins.profile);
        let tiers = approval.tiers.iter().enumerate();
        let mut tiers = tiers.filter(|(index, _)| !is_as_it_was || *index == tier);
        tiers.any(|(_, tier)| self.is_in_tier(tier, user, session.user))
    }

    /// The votes that count for what the session is now: a yes to just this, by people who were asked and who are still whom it
    /// would ask, each once.
    pub fn counting<'a>(&self, session: &Session, approvals: &'a [Approval], now: Timestamp) -> Vec<&'a Approval> {
        let asked = session.asked.as_ref().map(|asked| Question { asked, extension: 0 });
        asked.map(|question| self.counting_for(session, question, approvals, now)).unwrap_or_default()
    }

    /// The same for any question about it.
    pub fn counting_for<'a>(
        &self,
        session: &Session,
        question: Question<'_>,
        approvals: &'a [Approval],
        now: Timestamp,
    ) -> Vec<&'a Approval> {
        let mut seen = BTreeSet::new();
        let counts = |approval: &&Approval| {
            was_given(session, question, approval)
                && self.still_approves(approval.approver, session, approval.tier, now)
        };
        approvals.iter().filter(counts).filter(|approval| seen.insert(approval.approver)).collect()
    }

    /// Whether this user said yes to it already, also with a say that they lack at the moment: that counts again when they have it
    /// again, unless it fell meanwhile.
    pub fn has_approved(session: &Session, question: Question<'_>, approvals: &[Approval], user: ObjectId) -> bool {
        approvals.iter().any(|approval| approval.approver == user && was_given(session, question, approval))
    }

    /// The votes that counted until whoever gave them lost the right to.
    pub fn falling<'a>(&self, session: &Session, approvals: &'a [Approval], now: Timestamp) -> Vec<&'a Approval> {
        let start = session.asked.as_ref().map(|asked| Question { asked, extension: 0 });
        let wish = session.wish.as_ref().map(|wish| Question { asked: &wish.asked, extension: wish.number });
        let falls = |approval: &&Approval| {
            let questions = [start, wish];
            questions.into_iter().flatten().any(|question| was_given(session, question, approval))
                && !self.still_approves(approval.approver, session, approval.tier, now)
        };
        approvals.iter().filter(falls).collect()
    }

    /// The people who may decide now, by name, but for those whose vote is in.
    pub fn deciders(&self, session: &Session, counting: &[&Approval], now: Timestamp) -> Vec<&Object> {
        let Some(Question { asked, .. }) = session.question() else { return Vec::new() };
        let people = asked.tiers.get(asked.tier).into_iter().flat_map(|tier| tier.people());
        let people: BTreeSet<_> = people.collect();
        let may = |user: &ObjectId| {
            asked.asks_now(*user)
                && self.still_approves(*user, session, asked.tier, now)
                && !is_wish_of(session, *user)
                && !counting.iter().any(|vote| vote.approver == *user)
        };
        let mut people: Vec<_> = people.into_iter().filter(may).filter_map(|user| self.get(user)).collect();
        people.sort_by_key(|user| user.name.folded());
        people
    }
}

/// Whether this user wishes the extension that is asked about.
fn is_wish_of(session: &Session, user: ObjectId) -> bool {
    session.is_waiting().is_err() && session.wish.as_ref().is_some_and(|wish| wish.user == Some(user))
}

/// Whether it is a yes to what the session is now, by somebody who was asked.
fn was_given(session: &Session, question: Question<'_>, approval: &Approval) -> bool {
    approval.session == session.id
        && approval.extension == question.extension
        && approval.counts_for(&session.pins)
        && approval.approver != session.user
        && question.asked.tiers.get(approval.tier).is_some_and(|tier| tier.asks(approval.approver))
}
