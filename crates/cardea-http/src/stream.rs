//! Event streams: how many one caller may hold, how they are kept alive, and when they end by themselves.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::response::{IntoResponse, Response, Sse, sse::Event};
use cardea_domain::ObjectId;
use futures_util::Stream;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use crate::{Api, actor::Caller, problem::Problem};

/// Open streams by user; the operator counts as one.
#[derive(Default)]
pub(crate) struct Streams(Mutex<HashMap<Option<ObjectId>, usize>>);

/// One open stream. Dropping it makes room.
struct Seat {
    streams: Arc<Streams>,
    user: Option<ObjectId>,
}

impl Streams {
    const PER_USER_MAX: usize = 20;
    const RETRY_AFTER: Duration = Duration::from_secs(15);

    fn take(self: &Arc<Self>, user: Option<ObjectId>) -> Result<Seat, Problem> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(user).or_default();
        if *count >= Self::PER_USER_MAX {
            let detail = "You have 20 event streams open: close windows or programs that are not needed.";
            return Err(Problem::wait("too-many-streams", detail, Self::RETRY_AFTER));
        }
        *count += 1;
        Ok(Seat { streams: self.clone(), user })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.streams.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.user);
            }
        }
    }
}

/// What every stream carries beside its events.
pub(crate) struct Lifeline {
    pub(crate) api: Api,
    pub(crate) caller: Caller,
    heartbeat: Interval,
    _seat: Seat,
}

/// What a [`Lifeline`] says.
pub(crate) enum Pulse {
    /// It is time for [`Lifeline::beat`].
    Beat,
    /// The server stops: close.
    Stop,
}

impl Lifeline {
    pub(crate) fn new(api: Api, caller: Caller) -> Result<Self, Problem> {
        let seat = api.streams.take(caller.actor.user_id())?;
        let mut heartbeat = tokio::time::interval_at(Instant::now() + api.heartbeat, api.heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { api, caller, heartbeat, _seat: seat })
    }

    /// Waits for the next pulse. Loses nothing when it is dropped while it waits.
    pub(crate) async fn pulse(&mut self) -> Pulse {
        tokio::select! {
            () = self.api.stop.cancelled() => Pulse::Stop,
            _ = self.heartbeat.tick() => Pulse::Beat,
        }
    }

    /// A comment, which clients ignore, so that nobody between takes the line for dead; or nothing more, when the
    /// sign-in is over or the caller's roles are others now.
    pub(crate) async fn beat(&self) -> Option<Event> {
        self.caller.still_stands(&self.api.app).await.then(|| Event::default().comment(""))
    }
}

/// An event of this name with JSON data.
pub(crate) fn named(name: &str, data: &impl serde::Serialize) -> Event {
    let data = serde_json::to_string(data).expect("views hold only texts, numbers, lists and maps with text keys");
    Event::default().event(name).data(data)
}

/// Answers with the events.
pub(crate) fn respond(events: impl Stream<Item = Event> + Send + 'static) -> Response {
    use futures_util::StreamExt as _;
    Sse::new(events.map(Ok::<_, Infallible>)).into_response()
}
