//! Sessions that the unit which makes them due claims in the same write, and hands to the engine of this process when it is
//! durable. A claim of its own would be one more version of the row, with all its index entries, and a question more.
//!
//! It is only a short cut: what is not handed over is due in the store like anything else, in this node's hands or nobody's.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use cardea_domain::{Grant, Session, SessionId};
use cardea_store::Tx;
use tokio::sync::Notify;

use crate::App;

/// Sessions that are worked on at once, beyond which nothing is handed over: in a crowd the engine claims what it has time for.
const HANDED_MAX: usize = 128;

/// Claimed sessions on their way to the engine, with their grants once they are durable.
#[derive(Default)]
pub(crate) struct Handover {
    way: Mutex<Way>,
    arrived: Notify,
}

#[derive(Default)]
struct Way {
    /// How many are taken; none while no engine is there.
    room: usize,
    coming: HashMap<SessionId, Option<(Session, Vec<Grant>)>>,
}

impl Handover {
    fn way(&self) -> MutexGuard<'_, Way> {
        self.way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is on its way; the engine leaves it alone until it is there.
    pub(super) fn coming(&self) -> Vec<SessionId> {
        self.way().coming.keys().copied().collect()
    }

    /// Waits until something arrives.
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// What has arrived; what is `held` by a worker stays until that puts it down.
    pub(super) fn take(&self, held: impl Fn(&SessionId) -> bool) -> Vec<(Session, Vec<Grant>)> {
        let mut way = self.way();
        let there = way.coming.extract_if(|id, there| there.is_some() && !held(id));
        there.filter_map(|(_, there)| there).collect()
    }

    /// So many workers there are: how much is taken depends on it.
    pub(super) fn count(&self, workers: usize) {
        self.way().room = HANDED_MAX.saturating_sub(workers);
    }
}

/// While it lives, the engine takes what is handed over.
pub(super) struct Open(App);

impl Drop for Open {
    fn drop(&mut self) {
        *self.0.0.handover.way() = Way::default();
    }
}

/// A session that its unit claimed.
pub(crate) struct Hand {
    app: App,
    id: SessionId,
}

impl Hand {
    fn over(self, session: Session, grants: Vec<Grant>) {
        if let Some(there) = self.app.0.handover.way().coming.get_mut(&self.id) {
            *there = Some((session, grants));
            self.app.0.handover.arrived.notify_one();
        }
    }
}

impl Drop for Hand {
    /// If nothing became of the unit, the session is as it was, and the engine left it alone meanwhile.
    fn drop(&mut self) {
        let mut way = self.app.0.handover.way();
        if way.coming.get(&self.id).is_some_and(Option::is_none) {
            way.coming.remove(&self.id);
            drop(way);
            self.app.nudge();
        }
    }
}

impl App {
    /// The engine of this process is there, until what this gives is dropped.
    pub(super) fn open_handover(&self) -> Open {
        self.0.handover.count(0);
        Open(self.clone())
    }

    /// Claims a session that is due, in the unit that is about to write it. `None` if the engine is not there, has enough
    /// on that resource or in all, or gets this session already: then it claims it itself, later.
    pub(crate) fn take_in_hand(&self, session: &mut Session) -> Option<Hand> {
        let now = self.0.clock.now();
        let mut way = self.0.handover.way();
        let is_due = session.wake_at.is_some_and(|at| at <= now);
        if !is_due
            || !self.0.turns.has_room(session)
            || way.coming.len() >= way.room
            || way.coming.contains_key(&session.id)
        {
            return None;
        }
        way.coming.insert(session.id, None);
        session.fence += 1;
        session.claim = Some(self.claim(now));
        Some(Hand { app: self.clone(), id: session.id })
    }

    /// Hands a session over when the unit is durable, as it was written; `grants` are all of it. Without a hand, the engine is told
    /// to look.
    pub(crate) fn hand_over(&self, tx: &mut Tx, hand: Option<Hand>, session: &Session, grants: &[Grant]) {
        match hand {
            Some(hand) => {
                let (session, grants) = (session.clone(), grants.to_vec());
                tx.after_commit(Box::new(move || hand.over(session, grants)));
            }
            None => {
                let waker = self.clone();
                tx.after_commit(Box::new(move || waker.nudge()));
            }
        }
    }
}
