//! Sessions that stand on their resource: what they do meanwhile, warnings before the end, the end itself, and keys of
//! gateways that are gone.

use cardea_domain::{Actor, EndCause, LockStage, Permit, Session, SessionId, Stage, Verb};

use super::{Stop, drive};
use crate::{App, AppError, change::Note};

impl App {
    /// Does what is due for a session that stands on its resource.
    pub(super) async fn stand(&self, mut session: Session) -> Result<(), Stop> {
        let now = self.0.clock.now();
        let cause = if session.end_at.is_none_or(|end| end <= now) {
            EndCause::ReachedEnd
        } else if session.idle_until().is_some_and(|until| until <= now) {
            EndCause::Idle
        } else if self.settle_wish(&session).await? {
            self.warn_and_rest(session.id).await?;
            return Ok(());
        } else if session.lock.as_ref().is_some_and(|lock| lock.stage != LockStage::Locked) {
            return self.settle_lock(session).await;
        } else {
            if session.lock.is_none() && self.during(&mut session).await? {
                return Ok(());
            }
            self.warn_and_rest(session.id).await?;
            return self.remove_strays(session.id).await;
        };
        self.end_because(session.id, &cause).await?;
        self.clean_up(&session).await
    }
    /// Ends a session for a reason of the engine's own.
    pub(crate) async fn end_because(&self, id: SessionId, cause: &EndCause) -> Result<(), AppError> {
        let ended = self.retried(|| {
            let (app, cause) = (self.clone(), cause.clone());
            self.0.store.write(move |tx| {
                Box::pin(async move {
                    let mut session = tx.session(id).await?.ok_or(AppError::NotFound)?;
                    let permit = Permit::for_session(&Actor::Engine, Verb::EndSession, &session)?;
                    app.end(tx, &permit, &mut session, &cause).await.map(drop)
                })
            })
        });
        match ended.await {
            // Somebody ended it in the same moment: the clean-up is the same.
            Ok(()) | Err(AppError::Refused { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Says that the end is near, if it is time to, and lets the session go.
    async fn warn_and_rest(&self, id: SessionId) -> Result<(), Stop> {
        let app = self.clone();
        let warned = self.retried(|| {
            let app = app.clone();
            self.store().write(move |tx| {
                Box::pin(async move {
                    let now = app.0.clock.now();
                    let mut session = tx.session(id).await?.ok_or(AppError::NotFound)?;
                    let left = session.warn(now);
                    session.rest(now);
                    let Some(left) = left else { return Ok(tx.save_session(&drive()?, &mut session).await?) };
                    app.tell_ending(tx, &session, &spoken(left));
                    let note = Note::warn(Stage::Session, format!("It ends in {}", spoken(left)));
                    let sentence = note.message.clone();
                    app.save_session(tx, &drive()?, &mut session, note).await?;
                    app.say_on_terminals(tx, id, sentence);
                    Ok(())
                })
            })
        });
        Ok(warned.await?)
    }
}

/// A length of time as people say it, to the minute where that is enough.
fn spoken(left: std::time::Duration) -> String {
    let seconds = left.as_secs();
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, seconds) if minutes < 5 => format!("{minutes} min {seconds} s"),
        (minutes, _) => format!("{minutes} min"),
    }
}
