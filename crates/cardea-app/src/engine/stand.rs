//! Sessions that stand on their resource: what they do meanwhile, warnings before the end, the end itself, and keys of
//! gateways that are gone.

use cardea_domain::{Actor, EndCause, Permit, Session, SessionId, Stage, Verb};

use super::{Stop, drive, meanwhile::Care};
use crate::{App, AppError, change::Note};

/// What becomes of a session in its worker's hands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// It is let go, until it wants to be looked at next.
    Rest,
    /// It is not done with yet.
    Stay,
}

impl App {
    /// Does what is due for a session that stands on its resource.
    pub(super) async fn stand(&self, mut session: Session) -> Result<(), Stop> {
        let id = session.id;
        match self.care(&session, Then::Rest).await? {
            Care::Ends(cause) => {
                self.end_because(id, &cause).await?;
                return self.clean_up(&session).await;
            }
            // It rests, or its lock is asked for again in its time; what was given back is due.
            Care::Locks => return Ok(()),
            Care::Lasts => session = self.newest(id).await?,
            Care::Nothing => {}
        }
        if session.lock.is_none() && self.during(&mut session).await? {
            return Ok(());
        }
        if !self.has_strays(id).await? {
            return self.warn(id, Then::Rest).await;
        }
        self.warn(id, Then::Stay).await?;
        self.remove_strays(id).await
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

    /// Says that the end is near, if it is time to.
    pub(super) async fn warn(&self, id: SessionId, then: Then) -> Result<(), Stop> {
        let app = self.clone();
        let warned = self.retried(|| {
            let app = app.clone();
            self.store().write(move |tx| {
                Box::pin(async move {
                    let now = app.0.clock.now();
                    let mut session = tx.session(id).await?.ok_or(AppError::NotFound)?;
                    let left = session.warn(now);
                    if then == Then::Rest {
                        session.rest(now);
                    }
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
