//! Approvals: what a session's approvers decide, and asking them again when what they decided about has changed.

mod round;
pub(crate) mod votes;
mod wish;

use cardea_domain::{
    Actor, Approval, ApprovalId, Decision, Grant, GrantState, Period, Permit, Reason, Refusal, Session, SessionId,
    Stage, Status, Timestamp, Verb,
};
use serde_json::json;

use self::round::Round;
use crate::{
    App, AppError, SessionDetail,
    change::Note,
    plan::{offer_of, pins_of},
    session::{check_reason, detail},
};

/// A yes, and under which conditions.
#[derive(Clone, Debug, Default)]
pub struct Approve {
    pub reason: String,
    /// Makes the session shorter. Never longer.
    pub duration: Option<Period>,
    /// Makes it begin later. Never earlier.
    pub start_at: Option<Timestamp>,
}

impl App {
    /// Refuses whoever would have to show a factor again before they decide about anything.
    pub async fn must_be_fresh_to_decide(&self, actor: &Actor) -> Result<(), AppError> {
        self.must_be_fresh(actor, Verb::DecideSession, "several requests").await
    }

    /// Says yes to a request that waits. It begins when enough approvers of each tier of its profile have, one tier after the
    /// other.
    pub async fn approve_session(
        &self,
        actor: &Actor,
        id: SessionId,
        approve: Approve,
    ) -> Result<SessionDetail, AppError> {
        check_given(&approve.reason)?;
        self.must_be_fresh(actor, Verb::DecideSession, &id.to_string()).await?;
        let approved = self.retried(|| self.approve_once(actor, id, &approve)).await;
        if let Err(error @ (AppError::Denied(_) | AppError::Refused { .. })) = &approved {
            self.refused(actor, Verb::DecideSession, id.to_string(), error).await;
        }
        approved
    }

    /// Says no to a request that waits. One no is enough.
    pub async fn deny_session(&self, actor: &Actor, id: SessionId, reason: &str) -> Result<SessionDetail, AppError> {
        check_given(reason)?;
        self.must_be_fresh(actor, Verb::DecideSession, &id.to_string()).await?;
        let denied = self.retried(|| self.deny_once(actor, id, reason)).await;
        if let Err(error @ (AppError::Denied(_) | AppError::Refused { .. })) = &denied {
            self.refused(actor, Verb::DecideSession, id.to_string(), error).await;
        }
        denied
    }

    async fn approve_once(&self, actor: &Actor, id: SessionId, approve: &Approve) -> Result<SessionDetail, AppError> {
        let (app, actor, approve) = (self.clone(), actor.clone(), approve.clone());
        let configuration = self.configuration();
        let approved = self.0.store.write(move |tx| {
            Box::pin(async move {
                let mut session = app.visible(tx, &actor, id).await?;
                let permit = Permit::to_decide(&actor, &session, &configuration)?;
                if session.is_waiting().is_err() && session.question().is_some() {
                    return app.approve_wish(tx, &permit, session, &approve).await.map(Some);
                }
                app.is_in_time(&session)?;
                let offer = offer_of(&configuration, &session, app.0.clock.now())?;
                if pins_of(&offer) != session.pins || session.asked.is_none() {
                    return Ok(None);
                }
                let before = tx.approvals_of(&[id]).await?;
                let now = app.0.clock.now();
                let round = Round { configuration: &configuration, offer, before: &before, now };
                let tier = round.apply(&mut session, &permit, &approve)?;
                let approval = app.decision(&permit, &session, Decision::Approved, tier, &approve.reason)?;
                tx.insert_approval(&permit, &approval).await?;
                let message = round.message(&session, &approval);
                let note = Note::info(Stage::Request, message).with(json!({
                    "reason": approval.reason, "pins": approval.pins, "tier": tier + 1, "duration": session.duration,
                    "wanted_start_at": session.wanted_start_at,
                }));
                app.save_session(tx, &permit, &mut session, note).await?;
                app.announce_approval(tx, &session, Some(&approval));
                detail(tx, session).await.map(Some)
            })
        });
        let Some(detail) = approved.await? else { return Err(self.changed_since(id).await?) };
        self.nudge();
        Ok(detail)
    }

    /// Nobody approves what they have not seen: the request is brought up to date and has to be read again.
    async fn changed_since(&self, id: SessionId) -> Result<AppError, AppError> {
        self.ask_again(id).await?;
        let sentence = "the policy, activity, profile or resource was changed since the request, which is up to date now: \
                        read it again, then decide";
        Ok(AppError::refused("changed-since-request", sentence))
    }

    async fn deny_once(&self, actor: &Actor, id: SessionId, reason: &str) -> Result<SessionDetail, AppError> {
        let (app, actor, reason) = (self.clone(), actor.clone(), reason.to_owned());
        let configuration = self.configuration();
        let denied = self.0.store.write(move |tx| {
            Box::pin(async move {
                let mut session = app.visible(tx, &actor, id).await?;
                let permit = Permit::to_decide(&actor, &session, &configuration)?;
                if session.is_waiting().is_err() && session.question().is_some() {
                    return app.deny_wish(tx, &permit, session, &reason).await;
                }
                app.is_in_time(&session)?;
                let tier = session.asked.as_ref().map_or(Ok(0), |asked| round::tier_of_no(asked, &permit))?;
                let approval = app.decision(&permit, &session, Decision::Denied, tier, &reason)?;
                let sentence = format!("Denied by {}: {}", approval.approver_name, approval.reason);
                session.denied(Reason::new("denied", sentence.clone()), approval.at)?;
                tx.insert_approval(&permit, &approval).await?;
                app.never_begun(tx, &mut session).await?;
                let note = Note::info(Stage::Request, sentence)
                    .with(json!({ "reason": approval.reason, "pins": approval.pins, "tier": tier + 1 }));
                app.save_session(tx, &permit, &mut session, note).await?;
                app.announce_approval(tx, &session, Some(&approval));
                detail(tx, session).await
            })
        });
        let denied = denied.await?;
        self.nudge();
        Ok(denied)
    }

    /// Whether it waits, and its window is not over: the engine may not have come to look yet.
    fn is_in_time(&self, session: &Session) -> Result<(), Refusal> {
        session.is_waiting()?;
        let is_over = session.approve_by.is_some_and(|by| by <= self.0.clock.now());
        if is_over { Err(Refusal::NotWaiting(Status::Expired)) } else { Ok(()) }
    }

    fn decision(
        &self,
        permit: &Permit,
        session: &Session,
        decision: Decision,
        tier: usize,
        reason: &str,
    ) -> Result<Approval, AppError> {
        let now = self.0.clock.now();
        let approver = permit.user_id().ok_or_else(|| AppError::Internal("a decision of nobody".to_owned()))?;
        Ok(Approval {
            id: ApprovalId::mint(now, &*self.0.entropy),
            session: session.id,
            approver,
            approver_name: permit.actor().to_string(),
            decision,
            reason: reason.trim().to_owned(),
            pins: session.pins.clone(),
            tier,
            at: now,
            extension: 0,
            fell_at: None,
        })
    }

    /// What a session was judged by has changed before anything was touched. If its policy still gives it and somebody has to
    /// approve it, it is brought up to date and waits for them, whoever had approved it before. Whether that is so.
    pub(crate) async fn ask_again(&self, id: SessionId) -> Result<bool, AppError> {
        let configuration = self.configuration();
        let read = self.0.store.read(move |tx| Box::pin(async move { tx.session(id).await }));
        let session = read.await?.ok_or(AppError::NotFound)?;
        let (Ok(offer), Some(user)) =
            (offer_of(&configuration, &session, self.0.clock.now()), configuration.get(session.user))
        else {
            return Ok(false);
        };
        let plan = match self.plan(&configuration, user, &offer).await {
            Ok(plan) => plan,
            Err(AppError::Invalid(_)) => return Ok(false),
            Err(other) => return Err(other),
        };
        let Some((asks, window)) = plan.asks.clone() else { return Ok(false) };
        let app = self.clone();
        let asked = self.0.store.write(move |tx| {
            Box::pin(async move {
                let mut session = tx.session(id).await?.ok_or(AppError::NotFound)?;
                if session.status != Status::Provisioning && session.is_waiting().is_err() {
                    return Ok(false);
                }
                if session.pins == plan.pins && session.asked.is_some() {
                    // Somebody else brought it up to date meanwhile.
                    return Ok(false);
                }
                if !tx.grants_of(id).await?.iter().all(is_untouched_or_gone) {
                    // Approved and begun meanwhile: what is out has to be taken away, and only an end does that.
                    return Err(AppError::Conflict);
                }
                let permit = Permit::ask(&Actor::Engine, Verb::DriveSession)?;
                app.replan(tx, &permit, &mut session, plan).await?;
                let until = session.approve_by.unwrap_or_else(|| app.0.clock.now().plus(window.get()));
                session.wait_for_approval(asks, until);
                let note = Note::warn(
                    Stage::Request,
                    "The policy, activity, profile or resource was changed since the request: it has to be approved as it is \
                     now, and earlier approvals do not count",
                )
                .with(json!({ "pins": session.pins, "account": session.account }));
                app.save_session(tx, &permit, &mut session, note).await?;
                app.announce_approval(tx, &session, None);
                Ok::<_, AppError>(true)
            })
        });
        asked.await
    }
}

/// Whether nothing of it is, or could be, on the resource.
fn is_untouched_or_gone(grant: &Grant) -> bool {
    matches!(grant.state, GrantState::Planned | GrantState::Preexisting | GrantState::Removed)
}

/// A decision carries its reason.
pub(crate) fn check_given(reason: &str) -> Result<(), AppError> {
    if reason.trim().is_empty() {
        return Err(AppError::field("/reason", "say why: the requester and auditors read it"));
    }
    check_reason(reason)
}

#[cfg(test)]
mod tests;
