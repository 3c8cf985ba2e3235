//! For how long a node that shares its store trusts what it knows: it is watched by a task of its own, because whatever waits for
//! the store may wait for long.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::App;

/// A node whose knowledge was last found to be the store's longer ago lets nothing through any more. That is before the others
/// give it up.
pub(crate) const TRUST: Duration = Duration::from_secs(6);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(250);

const AWAY: &str = "This node of Cardea cannot reach its database; the connection goes on when it can.";

/// When what is known here was last found to be what the store has, by the monotonic clock: time in which the process was
/// stopped counts. `None` where nobody else can change the store.
#[derive(Default)]
pub(crate) struct Trust(Mutex<Option<Instant>>);

impl App {
    /// Shuts the gateway's connections when nobody has found for too long that what is known is what the store has.
    pub(crate) async fn watch_trust(self) {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            self.judge_trust();
        }
    }

    /// All that is known here, and every open connection, agreed with a store that was asked at `asked`.
    pub(crate) fn trust(&self, asked: Instant) {
        self.judge_trust();
        let mut since = self.0.trust.0.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.elapsed() <= TRUST {
            *since = Some(asked);
            self.0.doors.shut(None);
        }
    }

    /// Whether what is known is trusted still. If not, nothing passes.
    pub(crate) fn judge_trust(&self) -> bool {
        let since = self.0.trust.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_trusted = since.is_none_or(|since| since.elapsed() <= TRUST);
        if !is_trusted && !self.0.doors.are_shut() {
            tracing::error!(
                "The database cannot be reached, or not all of it be read: open connections are frozen until it can"
            );
            self.0.doors.shut(Some(AWAY));
        }
        is_trusted
    }
}
