//! What is due for a session while its worker waits for a script: an hour is too long for a lock, a warning or an end.

use std::{
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use cardea_domain::{EndCause, LockStage, Session, SessionId, Timestamp};
use futures_util::StreamExt as _;
use tokio::time::sleep;

use super::{STORE_PAUSE, Stop, drive, stand::Then};
use crate::{
    App, AppError,
    event::{Event, Subscription},
};

/// How long a worker that waits relies on its timer at most.
const LOOK_MAX: Duration = Duration::from_secs(60);

/// What a look at a standing session came to.
pub(super) enum Care {
    /// It has to end.
    Ends(EndCause),
    /// Its lock was brought further, or put off.
    Locks,
    /// An extension that it was given was carried out, or put off.
    Lasts,
    /// Nothing was due.
    Nothing,
}

impl App {
    /// Waits for `work`. What is due for the session meanwhile, and needs nothing of it, is done beside it. `None` if the session is
    /// over or has to end: nobody waits for it any more then.
    pub(super) async fn attended<T>(&self, id: SessionId, work: impl Future<Output = T>) -> Option<T> {
        // Before the first look: what changes behind it is heard.
        let mut events = self.0.hub.subscribe(None, None);
        let mut work = pin!(work);
        let cared = AtomicBool::new(false);
        loop {
            let mut look = pin!(self.attending(id, &cared));
            // Side by side: one may wait for what the other holds.
            let (looked, done) = tokio::select! {
                looked = &mut look => (looked, None),
                done = &mut work => (look.await, Some(done)),
            };
            let due = match looked {
                Ok(None) => return done,
                Ok(due) => due,
                // Somebody else writes of it, or the store is away.
                Err(_) => None,
            };
            let done = match done {
                Some(done) => Some(done),
                None => tokio::select! {
                    done = &mut work => Some(done),
                    () = self.stirred(id, due, &mut events) => None,
                },
            };
            if let Some(done) = done {
                if cared.load(Ordering::Relaxed) {
                    // A rest in between was not the worker's: it has more to do.
                    self.wake_now(id).await;
                }
                return Some(done);
            }
        }
    }

    async fn attending(&self, id: SessionId, cared: &AtomicBool) -> Result<Option<Timestamp>, Stop> {
        #[cfg(test)]
        let _seen = self.0.attending.enter();
        self.attend(id, cared).await
    }

    /// One look: when the next is due. `None` if it is over or has to end. Whether anything was done is noted.
    async fn attend(&self, id: SessionId, cared: &AtomicBool) -> Result<Option<Timestamp>, Stop> {
        let mut session = self.newest(id).await?;
        if !session.status.can_end() {
            return Ok(None);
        }
        let now = self.0.clock.now();
        if !session.status.is_standing() {
            // It can only be ended: a lock stands when it does.
            return Ok(Some(now.plus(LOOK_MAX)));
        }
        // What was put off, as a lock that the host refused, waits for its time.
        if session.wake_at.is_none_or(|at| at <= now) {
            match self.care(&session, Then::Stay).await? {
                Care::Ends(_) => return Ok(None),
                Care::Nothing => {}
                Care::Locks | Care::Lasts => {
                    cared.store(true, Ordering::Relaxed);
                    // At once, if there is more to do.
                    let more = self.newest(id).await?.wake_at.filter(|at| *at <= now);
                    if more.is_some() {
                        return Ok(more);
                    }
                }
            }
            if session.clone().warn(now).is_some() {
                self.warn(id, Then::Stay).await?;
            }
            session = self.newest(id).await?;
        }
        if session.wake_at.is_none_or(|at| at <= now) {
            // It is only due because its worker is not done with it.
            session.rest(now);
        }
        let next = session.wake_at.filter(|at| *at > now);
        Ok(Some(next.unwrap_or_else(|| now.plus(LOOK_MAX))))
    }

    /// Does what is due for a session that stands on its resource, whatever else its worker has to do.
    pub(super) async fn care(&self, session: &Session, then: Then) -> Result<Care, Stop> {
        let now = self.0.clock.now();
        if session.end_at.is_none_or(|end| end <= now) {
            return Ok(Care::Ends(EndCause::ReachedEnd));
        }
        if session.idle_until().is_some_and(|until| until <= now) {
            return Ok(Care::Ends(EndCause::Idle));
        }
        if self.settle_wish(session).await? {
            return Ok(Care::Lasts);
        }
        if session.lock.as_ref().is_some_and(|lock| lock.stage != LockStage::Locked) {
            self.settle_lock(session.clone(), then).await?;
            return Ok(Care::Locks);
        }
        Ok(Care::Nothing)
    }

    /// The session as it is now.
    pub(super) async fn newest(&self, id: SessionId) -> Result<Session, AppError> {
        let read = self.store().read(move |tx| Box::pin(async move { tx.session(id).await.map_err(AppError::from) }));
        read.await?.ok_or(AppError::NotFound)
    }

    async fn wake_now(&self, id: SessionId) {
        let woken = self.retried(|| {
            let now = self.0.clock.now();
            self.store().write(move |tx| {
                Box::pin(async move {
                    let mut session = tx.session(id).await?.ok_or(AppError::NotFound)?;
                    if session.status.is_standing() {
                        session.wake_at = Some(now);
                        tx.save_session(&drive()?, &mut session).await?;
                    }
                    Ok::<_, AppError>(())
                })
            })
        });
        if let Err(error) = woken.await {
            tracing::error!(session.id = %id, %error, "What a session still has to do waits for its next look");
        }
    }

    /// Resolves when the session changed, or something of it may be due.
    async fn stirred(&self, id: SessionId, due: Option<Timestamp>, events: &mut Subscription) {
        let Some(due) = due else { return sleep(STORE_PAUSE).await };
        loop {
            let left = due.since(self.0.clock.now());
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = sleep(left.min(LOOK_MAX)) => return,
                () = self.0.stir.notified() => {}
                event = events.next() => match event {
                    Some((_, Event::Session(other))) if other.id == id => return,
                    Some((_, Event::Reset)) | None => return,
                    Some(_) => {}
                },
            }
        }
    }
}

/// Who is at such a look now: the walk does not go on before.
#[cfg(test)]
#[derive(Default)]
pub(crate) struct Attending(std::sync::Mutex<std::collections::HashSet<tokio::task::Id>>);

#[cfg(test)]
impl Attending {
    fn enter(&self) -> impl Drop + '_ {
        struct Left<'a>(&'a Attending, Option<tokio::task::Id>);
        impl Drop for Left<'_> {
            fn drop(&mut self) {
                if let Some(id) = self.1 {
                    self.0.0.lock().expect("nobody panics with it").remove(&id);
                }
            }
        }
        let id = tokio::task::try_id();
        self.0.lock().expect("nobody panics with it").extend(id);
        Left(self, id)
    }

    pub(super) fn tasks(&self) -> std::collections::HashSet<tokio::task::Id> {
        self.0.lock().expect("nobody panics with it").clone()
    }
}
