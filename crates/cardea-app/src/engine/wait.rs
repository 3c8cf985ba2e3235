//! Sessions that have not begun: approvals that nobody gave, and starts that have come.

use cardea_domain::{Kind, Session, SessionId, Stage, Status, Timestamp};

use super::{Stop, drive};
use crate::{App, AppError, change::Note};

impl App {
    /// The approval window is over.
    pub(super) async fn expire(&self, id: SessionId) -> Result<(), Stop> {
        let app = self.clone();
        let expired = self.store().write(move |tx| {
            Box::pin(async move {
                let mut session = tx.session(id).await?.ok_or(AppError::NotFound)?;
                session.expired(app.0.clock.now())?;
                app.never_begun(tx, &mut session).await?;
                let note = Note::warn(Stage::Request, "Nobody approved it within the approval window");
                app.save_session(tx, &drive()?, &mut session, note).await?;
                app.announce_approval(tx, &session, None);
                Ok::<_, AppError>(())
            })
        });
        Ok(expired.await?)
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
