//! How many sessions are worked on at once on one resource.

use std::collections::HashMap;

use crate::ObjectId;

use super::{Session, Status};

/// What is done for a session on its resource. What goes on in one lane never waits for another: taking away does not wait behind
/// placing. Locks, warnings and the end of connections are in none: they wait for nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Provisioning.
    Placing,
    /// Clean-up.
    Removing,
    /// What comes when everything was taken away: a second look, and a search through all of its files.
    Scanning,
    /// That search itself, which takes long.
    Searching,
    /// A script of an administrator, which takes as long as it takes.
    Scripting,
}

impl Lane {
    /// In which lane a session of this status is worked on.
    pub fn of(status: Status, clean: bool) -> Option<Self> {
        match status {
            _ if clean => Some(Self::Scanning),
            Status::Provisioning => Some(Self::Placing),
            Status::Canceling | Status::Failed => Some(Self::Removing),
            _ => None,
        }
    }

    /// Sessions that one node works on at once on one resource: twice the shells that it has there, so that none of them waits
    /// for our own store; one search, because it serves all whose accounts were removed before; and as many scripts as have a shell
    /// of their own beside it.
    pub fn at_once(self) -> usize {
        match self {
            Self::Placing | Self::Removing | Self::Scanning => 8,
            Self::Searching => 1,
            Self::Scripting => 4,
        }
    }
}

/// How many turns of each lane are taken on which resource.
#[derive(Clone, Debug, Default)]
pub struct Room(HashMap<(Lane, ObjectId), usize>);

impl Room {
    /// Whether there is a turn.
    pub fn has(&self, lane: Lane, resource: ObjectId) -> bool {
        self.0.get(&(lane, resource)).is_none_or(|taken| *taken < lane.at_once())
    }

    /// Takes a turn; `false` if there is none.
    pub fn take(&mut self, lane: Lane, resource: ObjectId) -> bool {
        let has = self.has(lane, resource);
        if has {
            *self.0.entry((lane, resource)).or_default() += 1;
        }
        has
    }

    /// Gives back one that was taken.
    pub fn give_back(&mut self, lane: Lane, resource: ObjectId) {
        if let Some(taken) = self.0.get_mut(&(lane, resource)) {
            *taken = taken.saturating_sub(1);
            if *taken == 0 {
                self.0.remove(&(lane, resource));
            }
        }
    }

    /// The resources that have no turn left in this lane.
    pub fn full(&self, lane: Lane) -> Vec<ObjectId> {
        let full = self.0.iter().filter(|((of, _), taken)| *of == lane && **taken >= lane.at_once());
        full.map(|((_, resource), _)| *resource).collect()
    }
}

impl Session {
    /// What is done for it on its resource now, if anything.
    pub fn lane(&self) -> Option<Lane> {
        Lane::of(self.status, self.clean)
    }
}
