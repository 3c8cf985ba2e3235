//! Sessions that have not begun: approvals that nobody gave, and starts that have come.

use cardea_domain::{Kind, Session, SessionId, Stage, Status, Timestamp};

use super::{Stop, drive};
use crate::{App, AppError, change::Note};

impl App {
    /// The approval window is over, or it is time to ask more people.
    pub(super) async fn wait_on(&self, id: SessionId) -> Result<(), Stop> {
        let app = self.clone();
        let waited = self.store().write(move |tx| {
            Box::pin(async move {
                let now = app.0.clock.now();
                let mut session = tx.session(id).await?.ok_or(AppError::NotFound)?;
                session.is_waiting()?;
                let note = if session.approve_by.is_none_or(|by| by <= now) {
                    session.expired(now)?;
                    app.never_begun(tx, &mut session).await?;
                    Note::warn(Stage::Request, "Nobody approved it within the approval window")
                } else if session.escalate(now) {
                    let tier = session.asked.as_ref().map_or(0, |asked| asked.tier) + 1;
                    Note::warn(
                        Stage::Request,
                        format!("Nobody decided in time: more people are asked in tier {tier} now"),
                    )
                } else {
                    // Decided meanwhile, and the next tier has its own time.
                    return Ok(tx.save_session(&drive()?, &mut session).await?);
                };
                app.save_session(tx, &drive()?, &mut session, note).await?;
                app.announce_approval(tx, &session, None);
                Ok::<_, AppError>(())
            })
        });
        Ok(waited.await?)
    }

    /// The time has come that its user wanted it to begin at. What is locked waits until it is unlocked.
    pub(super) async fn begin_scheduled(&self, id: SessionId) -> Result<(), Stop> {
        let app = self.clone();
        let begun = self.store().write(move |tx| {
            Box::pin(async move {
                let mut session = tx.session(id).await?.ok_or(AppError::NotFound)?;
                if session.status != Status::Scheduled {
                    // Ended, or begun by another node.
                    return Ok(());
                }
                let note = match &session.lock {
                    Some(lock) => {
                        let sentence = format!("It does not begin, because it is locked by {}", lock.by);
                        session.wait_for_unlock();
                        Note::warn(Stage::Request, sentence)
                    }
                    None => {
                        session.ready(app.0.clock.now());
                        Note::info(Stage::Request, "The time of its start has come")
                    }
                };
                app.save_session(tx, &drive()?, &mut session, note).await?;
                Ok::<_, AppError>(())
            })
        });
        begun.await?;
        self.nudge();
        Ok(())
    }

    /// When the hours of the session's policy end, if it has any.
    pub(crate) fn hours_close(&self, session: &Session, now: Timestamp) -> Option<Timestamp> {
        let configuration = self.configuration();
        let policy = configuration.get(session.policy).filter(|policy| policy.id.kind() == Kind::AccessPolicy)?;
        // Shut already: it ends at once.
        Some(policy.as_policy()?.schedule.as_ref()?.open_until(now).unwrap_or(now))
    }
}
