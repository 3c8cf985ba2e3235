//! Whose turn it is on a host. What finds no room there stays in the store, due and for any node: a host that is slow or overrun
//! keeps a bounded number of sessions in this node's hands, and nobody is asked to hurry for commands that wait for a shell.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cardea_domain::{Lane, ObjectId, Room, Session};
use tokio::sync::Notify;

/// What is left on all hosts.
#[derive(Clone)]
pub(crate) struct Turns {
    room: Arc<Mutex<Room>>,
    /// Wakes the engine: somebody may wait for a turn that was given back.
    nudge: Arc<Notify>,
}

/// The right to work on a host, while it lives.
pub(super) struct Turn {
    turns: Turns,
    lane: Lane,
    resource: ObjectId,
}

impl Turns {
    /// All turns are free; one that is given back wakes whoever waits for `nudge`.
    pub(crate) fn new(nudge: Arc<Notify>) -> Self {
        Self { room: Arc::default(), nudge }
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A turn on the host of `resource`, if there is room for it at this moment. Who gets none leaves its session as it is: due, and
    /// looked at again as soon as any worker is done.
    pub(super) fn take(&self, lane: Lane, resource: ObjectId) -> Option<Turn> {
        self.room().take(lane, resource).then(|| Turn { turns: self.clone(), lane, resource })
    }

    /// Whether a session finds room on its resource at this moment, if it needs any.
    pub(crate) fn has_room(&self, session: &Session) -> bool {
        session.lane().is_none_or(|lane| self.room().has(lane, session.resource))
    }

    /// Where there is room now.
    pub(super) fn left(&self) -> Room {
        self.room().clone()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.room().give_back(self.lane, self.resource);
        self.turns.nudge.notify_one();
    }
}
