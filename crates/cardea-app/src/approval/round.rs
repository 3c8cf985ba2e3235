//! One approver's turn: whether it is, what their yes changes, and what the log says of it.

use cardea_domain::{Approval, Asked, Configuration, FieldError, Offer, Permit, Refusal, Session, Status, Timestamp};

use super::Approve;
use crate::{AppError, plan::closed_at, request::AHEAD_MAX};

/// The request as it is offered now, and what others said before.
pub(super) struct Round<'a> {
    pub(super) configuration: &'a Configuration,
    pub(super) offer: Offer<'a>,
    pub(super) before: &'a [Approval],
    pub(super) now: Timestamp,
}

impl Round<'_> {
    /// Puts the conditions on the session, and lets it begin if this yes is the last that it needs. The tier that the yes is for.
    pub(super) fn apply(&self, session: &mut Session, permit: &Permit, approve: &Approve) -> Result<usize, AppError> {
        let has_approved = |user, question| Configuration::has_approved(session, question, self.before, user);
        if permit.user_id().zip(session.question()).is_some_and(|(user, question)| has_approved(user, question)) {
            let sentence = "you approved this request already: the others that it needs must be somebody else's";
            return Err(AppError::refused("approved-already", sentence));
        }
        let counting = self.configuration.counting(session, self.before, self.now);
        let asked = session.asked.as_ref().ok_or(Refusal::NotWaiting(session.status))?;
        // Votes of people who lost their say since.
        let tier = asked.open_tier(&counting).min(asked.tier);
        session.turn_to(tier, self.now);
        if let Some(asked) = &session.asked {
            must_be_asked(asked, session, (self.configuration, self.now), permit)?;
        }
        self.condition(session, approve)?;
        if self.have(session, tier) >= self.quorum(session, tier) {
            let open = self.open_tier_with(session, tier);
            session.turn_to(open, self.now);
            if session.asked.as_ref().is_some_and(Asked::is_complete) {
                self.begin(session);
            }
        }
        Ok(tier)
    }

    fn condition(&self, session: &mut Session, approve: &Approve) -> Result<(), AppError> {
        let mut errors = Vec::new();
        if let Some(duration) = approve.duration {
            if duration > session.duration {
                let message = format!("an approval makes a session shorter: write at most {}", session.duration);
                errors.push(FieldError::new("/duration", message));
            }
            session.shorten(duration);
        }
        if let Some(at) = approve.start_at {
            errors.extend(self.start_fault(session, at).map(|message| FieldError::new("/start_at", message)));
            session.wanted_start_at = Some(at);
        }
        if errors.is_empty() { Ok(()) } else { Err(AppError::Invalid(errors)) }
    }

    fn start_fault(&self, session: &Session, at: Timestamp) -> Option<String> {
        if at <= self.now || at > self.now.plus(AHEAD_MAX) {
            return Some("write a time to come, at most 366 days ahead".to_owned());
        }
        let wanted = session.wanted_start_at.filter(|wanted| at < *wanted);
        let earlier = wanted.map(|wanted| format!("an approval makes a session begin later: write {wanted} or later"));
        earlier.or_else(|| closed_at(&self.offer, at))
    }

    /// Approved outside of the policy's hours, it begins when they do.
    fn begin(&self, session: &mut Session) {
        let start = session.wanted_start_at.filter(|at| *at > self.now).unwrap_or(self.now);
        let schedule = self.offer.schedule().filter(|schedule| schedule.open_until(start).is_none());
        if let Some(opens) = schedule.and_then(|schedule| schedule.opens_after(start)) {
            session.wanted_start_at = Some(opens);
        }
        session.ready(self.now);
    }

    /// How many said yes in this tier, with this one.
    fn have(&self, session: &Session, tier: usize) -> u32 {
        Asked::have(&self.configuration.counting(session, self.before, self.now), tier) + 1
    }

    fn quorum(&self, session: &Session, tier: usize) -> u32 {
        session.asked.as_ref().and_then(|asked| asked.tiers.get(tier)).map_or(1, |tier| tier.quorum)
    }

    /// The tier whose turn it is when this one has said yes: later ones may have voted before an earlier one lost a vote.
    fn open_tier_with(&self, session: &Session, done: usize) -> usize {
        let counting = self.configuration.counting(session, self.before, self.now);
        session.asked.as_ref().map_or(0, |asked| next_tier(asked, &counting, done))
    }

    pub(super) fn message(&self, session: &Session, approval: &Approval) -> String {
        let tiers = session.asked.as_ref().map_or(1, |asked| asked.tiers.len());
        let (have, needed) = (self.have(session, approval.tier), self.quorum(session, approval.tier));
        let of = if tiers > 1 { format!(" in tier {} of {tiers}", approval.tier + 1) } else { String::new() };
        let then = match (session.status, session.wanted_start_at) {
            (Status::Scheduled, Some(at)) => format!("; it begins at {at}"),
            (Status::WaitingForApproval, _) if have >= needed => "; the next tier is asked now".to_owned(),
            _ => String::new(),
        };
        format!("{} approved it: {} ({have} of {needed}{of}){then}", approval.approver_name, approval.reason)
    }
}

/// The tier whose turn it is when this one has said yes.
pub(super) fn next_tier(asked: &Asked, counting: &[&Approval], done: usize) -> usize {
    let lacks = |tier: &usize| Asked::have(counting, *tier) < asked.tiers[*tier].quorum;
    (done + 1..asked.tiers.len()).find(lacks).unwrap_or(asked.tiers.len())
}

/// Whether it is this approver's turn.
pub(super) fn must_be_asked(
    asked: &Asked,
    session: &Session,
    (configuration, now): (&Configuration, Timestamp),
    permit: &Permit,
) -> Result<(), AppError> {
    let may = |user| asked.asks_now(user) && configuration.still_approves(user, session, asked.tier, now);
    if permit.user_id().is_some_and(may) { Ok(()) } else { Err(not_your_turn(asked)) }
}

/// The tier that somebody's no is for: one no is enough, by whoever is asked now or was asked before.
pub(super) fn tier_of_no(asked: &Asked, permit: &Permit) -> Result<usize, AppError> {
    let Some(user) = permit.user_id() else { return Err(not_your_turn(asked)) };
    if asked.asks_now(user) {
        return Ok(asked.tier);
    }
    let earlier = asked.tiers.iter().take(asked.tier).position(|tier| tier.asks(user));
    earlier.ok_or_else(|| not_your_turn(asked))
}

fn not_your_turn(asked: &Asked) -> AppError {
    let (tier, tiers) = (asked.tier + 1, asked.tiers.len());
    let sentence =
        format!("it is the turn of tier {tier} of {tiers}, and you are not asked in it: see who may decide now");
    AppError::refused("not-your-turn", sentence)
}
