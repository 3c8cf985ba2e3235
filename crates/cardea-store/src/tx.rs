//! A transaction on either database, and the statements that run in it.

use std::sync::Arc;

use cardea_domain::SessionId;
use sqlx::{Postgres, Sqlite, Transaction};

use crate::{StoreError, audit::PendingEntry, log::PendingLine, tally::Counters};

/// An open transaction, lent to a unit of work.
pub struct Tx {
    pub(crate) conn: Conn,
    effects: Vec<Effect>,
    /// A statement failed: PostgreSQL refuses the rest of the transaction, so nothing of it may be kept.
    broken: bool,
    counters: Arc<Counters>,
    /// Log lines and audit entries are written at the end of the unit, all in one statement each.
    pub(crate) lines: Vec<PendingLine>,
    pub(crate) entries: Vec<PendingEntry>,
    /// Sessions whose row this unit has written, and so holds.
    pub(crate) held: Vec<SessionId>,
}

pub(crate) enum Conn {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// Something that happens when a unit's work is durable.
pub(crate) type Effect = Box<dyn FnOnce() + Send>;

impl Tx {
    pub(crate) fn new(conn: Conn, counters: Arc<Counters>) -> Self {
        let (lines, entries, held) = (Vec::new(), Vec::new(), Vec::new());
        Self { conn, effects: Vec::new(), broken: false, counters, lines, entries, held }
    }

    /// Runs `effect` when this unit's work is durable, before the caller of [`crate::Store::write`] hears of it; drops
    /// it if the unit is rolled back. Effects run in the order of the commits, and must be short: others wait.
    pub fn after_commit(&mut self, effect: Box<dyn FnOnce() + Send>) {
        self.effects.push(effect);
    }

    /// Counts a statement, notes one that failed and translates its error.
    pub(crate) fn heard<T>(&mut self, answer: sqlx::Result<T>) -> Result<T, StoreError> {
        self.counters.statement();
        answer.map_err(|error| {
            self.broken = true;
            error.into()
        })
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Makes the transaction ready for the next unit, and hands over the last one's effects.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        self.broken = false;
        self.lines.clear();
        self.entries.clear();
        self.held.clear();
        std::mem::take(&mut self.effects)
    }

    /// Writes what was kept for the end of the unit.
    pub(crate) async fn flush(&mut self) -> Result<(), StoreError> {
        self.write_lines().await?;
        self.write_entries().await
    }

    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self.conn {
            Conn::Sqlite(transaction) => transaction.commit().await?,
            Conn::Postgres(transaction) => transaction.commit().await?,
        }
        self.counters.commit();
        Ok(())
    }

    pub(crate) async fn rollback(self) -> Result<(), StoreError> {
        match self.conn {
            Conn::Sqlite(transaction) => transaction.rollback().await.map_err(StoreError::from),
            Conn::Postgres(transaction) => transaction.rollback().await.map_err(StoreError::from),
        }
    }
}

/// Evaluates an expression with the connection of whichever database it is.
macro_rules! on_conn {
    ($tx:expr, $conn:ident => $body:expr) => {
        match &mut $tx.conn {
            $crate::tx::Conn::Sqlite(transaction) => {
                let $conn = &mut **transaction;
                $body
            }
            $crate::tx::Conn::Postgres(transaction) => {
                let $conn = &mut **transaction;
                $body
            }
        }
    };
}

// Bind only &str, String, i64, bool, f64, bytes and Option of these, always the same type for the same statement:
// PostgreSQL keeps prepared statements by text, with the types of the first call.

/// Runs a statement; the number of rows that it touched.
macro_rules! execute {
    ($tx:expr, $sql:expr $(, $arg:expr)* $(,)?) => {{
        let answer = $crate::tx::on_conn!($tx, conn =>
            sqlx::query($sql)$(.bind($arg))*.execute(conn).await.map(|done| done.rows_affected()));
        $tx.heard(answer)
    }};
}

/// Reads one row that is always there.
macro_rules! fetch_one {
    ($row:ty, $tx:expr, $sql:expr $(, $arg:expr)* $(,)?) => {{
        let answer = $crate::tx::on_conn!($tx, conn =>
            sqlx::query_as::<_, $row>($sql)$(.bind($arg))*.fetch_one(conn).await);
        $tx.heard(answer)
    }};
}

/// Reads at most one row.
macro_rules! fetch_optional {
    ($row:ty, $tx:expr, $sql:expr $(, $arg:expr)* $(,)?) => {{
        let answer = $crate::tx::on_conn!($tx, conn =>
            sqlx::query_as::<_, $row>($sql)$(.bind($arg))*.fetch_optional(conn).await);
        $tx.heard(answer)
    }};
}

/// Reads every row.
macro_rules! fetch_all {
    ($row:ty, $tx:expr, $sql:expr $(, $arg:expr)* $(,)?) => {{
        let answer = $crate::tx::on_conn!($tx, conn =>
            sqlx::query_as::<_, $row>($sql)$(.bind($arg))*.fetch_all(conn).await);
        $tx.heard(answer)
    }};
}

pub(crate) use {execute, fetch_all, fetch_one, fetch_optional, on_conn};
