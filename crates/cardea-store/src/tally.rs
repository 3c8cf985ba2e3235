//! What the store was asked to do so far: the measure of what a session costs. Counts only, never what was in them.

use std::sync::atomic::{AtomicU64, Ordering};

/// How much a store has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Units that only read.
    pub reads: u64,
    /// Units that may write, also those that were rolled back.
    pub writes: u64,
    /// Statements of all units; the writes that PostgreSQL gets together as one statement count once. What opens and closes
    /// units (begin, savepoint, commit) is not among them.
    pub statements: u64,
    /// Durable commits. On SQLite units that wait together share one.
    pub commits: u64,
}

/// The running numbers behind a [`Tally`].
#[derive(Default)]
pub(crate) struct Counters {
    reads: AtomicU64,
    writes: AtomicU64,
    statements: AtomicU64,
    commits: AtomicU64,
}

impl Counters {
    pub(crate) fn read(&self) {
        self.reads.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn write(&self) {
        self.writes.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn statement(&self) {
        self.statements.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn commit(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn tally(&self) -> Tally {
        Tally {
            reads: self.reads.load(Ordering::Relaxed),
            writes: self.writes.load(Ordering::Relaxed),
            statements: self.statements.load(Ordering::Relaxed),
            commits: self.commits.load(Ordering::Relaxed),
        }
    }
}
