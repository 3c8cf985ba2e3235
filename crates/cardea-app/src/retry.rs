//! Trying a failed session again, judged by the configuration of today.

use cardea_domain::{Actor, Asked, Period, Session, SessionId, Stage, Status, Timestamp, Verb};
use cardea_store::Tx;
use serde_json::json;

use crate::{
    App, AppError, SessionDetail,
    change::Note,
    engine::drive,
    plan::{Plan, closed_at, offer_of},
    request::must_ask_no_more,
    session::{detail, permit},
};

impl App {
    /// Begins a failed session again that left nothing behind: with a fresh account, and approved again if what was approved
    /// has changed.
    pub async fn retry_session(&self, actor: &Actor, id: SessionId) -> Result<SessionDetail, AppError> {
        let retried = self.retried(|| self.retry_once(actor, id)).await;
        if let Err(error @ (AppError::Denied(_) | AppError::Refused { .. })) = &retried {
            self.refused(actor, Verb::RetrySession, id.to_string(), error).await;
        }
        retried
    }

    async fn retry_once(&self, actor: &Actor, id: SessionId) -> Result<SessionDetail, AppError> {
        let session = self.session(actor, id).await?.session;
        permit(actor, Verb::RetrySession, &session)?;
        session.clone().retry(self.0.clock.now())?;
        let plan = self.plan_again(&session).await?;
        let (app, actor) = (self.clone(), actor.clone());
        let begun = self.0.store.write(move |tx| {
            Box::pin(async move {
                let now = app.0.clock.now();
                let mut session = app.visible(tx, &actor, id).await?;
                let permit = permit(&actor, Verb::RetrySession, &session)?;
                session.retry(now)?;
                app.must_be_unlocked(tx, [&session].into_iter()).await?;
                let (step, asks) = (plan.first_step(), plan.asks.clone());
                if let Some((_, window)) = &asks {
                    app.forget_old_votes(tx, id, now, *window).await?;
                }
                let approvals = tx.approvals_of(&[id]).await?;
                let is_approved = session.asked.as_ref().is_none_or(|asked| {
                    asked.open_tier(&app.configuration().counting(&session, &approvals, now)) >= asked.tiers.len()
                });
                let (same, duration) = (plan.pins == session.pins, session.duration);
                app.replan(tx, &permit, &mut session, plan).await?;
                session.progress = Some(step);
                if same {
                    // Whoever made it shorter meant what it still is.
                    session.shorten(duration);
                }
                if let Some((asked, window)) = asks.filter(|_| !same || !is_approved) {
                    session.wait_for_approval(asked, now.plus(window.get()));
                    let approvals = app.configuration().counting(&session, &approvals, now);
                    let tier = session.asked.as_ref().map_or(0, |asked| asked.open_tier(&approvals));
                    session.turn_to(tier, now);
                    if session.asked.as_ref().is_some_and(Asked::is_complete) {
                        session.ready(now);
                    }
                }
                let waits = session.status == Status::WaitingForApproval;
                must_ask_no_more(tx, std::iter::once(&session)).await?;
                let again = if waits {
                    "; what was said for it does not hold any more, and it has to be approved again"
                } else {
                    ""
                };
                let note = Note::info(Stage::Request, format!("{actor} had it tried again{again}"))
                    .with(json!({ "pins": session.pins, "account": session.account }));
                app.save_session(tx, &permit, &mut session, note).await?;
                if waits {
                    app.announce_approval(tx, &session, None);
                }
                detail(tx, session).await
            })
        });
        let detail = begun.await?;
        self.nudge();
        Ok(detail)
    }

    /// A yes holds for a retry no longer than a request waits for one.
    async fn forget_old_votes(
        &self,
        tx: &mut Tx,
        id: SessionId,
        now: Timestamp,
        window: Period,
    ) -> Result<(), AppError> {
        let mut said = tx.approvals_of(&[id]).await?;
        said.retain(|approval| approval.fell_at.is_none() && approval.at.plus(window.get()) <= now);
        let old: Vec<_> = said.iter().map(|approval| approval.id).collect();
        if !old.is_empty() {
            tx.let_votes_fall(&drive()?, &old, now).await?;
        }
        Ok(())
    }

    /// The session as it would be requested now.
    async fn plan_again(&self, session: &Session) -> Result<Plan, AppError> {
        let configuration = self.configuration();
        let offer = offer_of(&configuration, session, self.0.clock.now())?;
        if let Some(closed) = closed_at(&offer, self.0.clock.now()) {
            return Err(AppError::refused("outside-hours", closed));
        }
        let user = configuration.get(session.user).ok_or(AppError::NotFound)?;
        self.plan(&configuration, user, &offer).await
    }
}
