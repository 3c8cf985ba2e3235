//! Votes that fall: a yes counts only while whoever gave it may still give it.

use cardea_domain::{Configuration, EndCause, OnChange, Period, Session, SessionId, Stage, Status};
use cardea_store::Tx;
use serde_json::json;

use super::is_untouched_or_gone;
use crate::{App, AppError, change::Note, engine::drive};

impl App {
    /// Votes of this session fall. Below its quorum, what has not begun waits again, and what has begun goes by its profile.
    pub(crate) async fn votes_fall(&self, id: SessionId) -> Result<(), AppError> {
        let ends = self.retried(|| self.let_votes_fall(id)).await?;
        if let Some(why) = ends {
            self.end_because(id, &EndCause::GroundLost(why)).await?;
        }
        Ok(())
    }

    /// Writes down that they fell; says why the session ends, if it does.
    async fn let_votes_fall(&self, id: SessionId) -> Result<Option<String>, AppError> {
        let (app, configuration) = (self.clone(), self.configuration());
        let fallen = self.0.store.write(move |tx| {
            Box::pin(async move {
                let mut session = tx.session(id).await?.ok_or(AppError::NotFound)?;
                let (approvals, now) = (tx.approvals_of(&[id]).await?, app.0.clock.now());
                let falling = configuration.falling(&session, &approvals, now);
                let Some(asked) = session.asked.as_ref().filter(|_| !falling.is_empty()) else { return Ok(None) };
                let votes: Vec<_> = falling.iter().map(|approval| approval.id).collect();
                let who: Vec<_> = falling.iter().map(|approval| approval.approver_name.as_str()).collect();
                let sentence = format!("{} may not approve it any more", who.join(", "));
                tx.let_votes_fall(&drive()?, &votes, now).await?;
                let tier = asked.open_tier(&configuration.counting(&session, &approvals, now));
                let is_enough = tier >= asked.tier;
                // What was said about an extension is counted anew when it is carried out.
                session.wish_moved();
                let is_untouched =
                    session.status == Status::Provisioning && tx.grants_of(id).await?.iter().all(is_untouched_or_gone);
                if session.status.is_ahead() || (is_untouched && !is_enough) {
                    // It looks at the host anew when it begins.
                    tx.check_in(id).await?;
                    tx.delete_snapshot(id).await?;
                    let window = window_of(&configuration, &session);
                    app.back_to(tx, &mut session, (tier, window), sentence).await?;
                    return Ok(None);
                }
                let lacks = if is_enough { "; enough others do" } else { ", so that it lacks approval" };
                let note = Note::warn(Stage::Session, format!("{sentence}{lacks}"));
                app.save_session(tx, &drive()?, &mut session, note).await?;
                let ends = !is_enough && session.rules.on_policy_change == OnChange::End;
                Ok::<_, AppError>(ends.then(|| format!("{sentence}{lacks}.")))
            })
        });
        fallen.await
    }

    /// It is that tier's turn again, if it was not; what is scheduled and lacks a yes waits for so long.
    async fn back_to(
        &self,
        tx: &mut Tx,
        session: &mut Session,
        (tier, window): (usize, Period),
        sentence: String,
    ) -> Result<(), AppError> {
        let now = self.0.clock.now();
        let is_back = session.asked.as_ref().is_some_and(|asked| tier < asked.tier);
        if is_back {
            session.turn_to(tier, now);
        }
        if let (true, None, Some(asked)) = (is_back, session.approve_by, session.asked.clone()) {
            session.wait_for_approval(asked, now.plus(window.get()));
        }
        let then = if is_back { format!(": it waits for tier {} again", tier + 1) } else { String::new() };
        let note = Note::warn(Stage::Request, format!("{sentence}{then}"))
            .with(json!({ "tier": tier + 1, "approve_by": session.approve_by }));
        self.save_session(tx, &drive()?, session, note).await?;
        self.announce_approval(tx, session, None);
        Ok(())
    }
}

/// How long it may wait once more.
fn window_of(configuration: &Configuration, session: &Session) -> Period {
    let profile = configuration.get(session.profile).and_then(cardea_domain::Object::as_profile);
    let window = profile.and_then(|profile| profile.approval.as_ref()).map(|approval| approval.window);
    window.unwrap_or(Period::from_seconds(86_400))
}
