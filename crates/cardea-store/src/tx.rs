//! A transaction on either database, and the statements that run in it.

use std::sync::Arc;

use cardea_domain::SessionId;
use sqlx::{AssertSqlSafe, Sqlite, Transaction};

use crate::{
    StoreError,
    audit::PendingEntry,
    batch::Batch,
    log::PendingLine,
    news::{News, Seat},
    notice::NoticeRow,
    postgres::{PostgresTransaction, Turn},
    tally::Counters,
};

/// An open transaction, lent to a unit of work.
pub struct Tx {
    pub(crate) conn: Conn,
    effects: Vec<Effect>,
    /// A statement failed: PostgreSQL refuses the rest of the transaction, so nothing of it may be kept.
    broken: bool,
    counters: Arc<Counters>,
    /// Writes that wait for the end of the unit.
    pub(crate) batch: Batch,
    /// Log lines and audit entries are written at the end of the unit, all in one statement each.
    pub(crate) lines: Vec<PendingLine>,
    pub(crate) entries: Vec<PendingEntry>,
    /// Sessions whose row this unit has written, and so holds.
    pub(crate) held: Vec<SessionId>,
    /// What is told outside; written at the end of the unit.
    pub(crate) notices: Vec<NoticeRow>,
    /// What other nodes hear with the commit.
    pub(crate) news: Vec<News>,
    /// This process's place among the nodes, if there can be others.
    pub(crate) seat: Option<Arc<Seat>>,
}

pub(crate) enum Conn {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(PostgresTransaction),
}

/// Something that happens when a unit's work is durable.
pub(crate) type Effect = Box<dyn FnOnce() + Send>;

impl Tx {
    pub(crate) fn new(conn: Conn, counters: Arc<Counters>) -> Self {
        Self {
            conn,
            effects: Vec::new(),
            broken: false,
            counters,
            batch: Batch::default(),
            lines: Vec::new(),
            entries: Vec::new(),
            held: Vec::new(),
            notices: Vec::new(),
            news: Vec::new(),
            seat: None,
        }
    }

    /// The same, for a node that others may hear.
    pub(crate) fn seated(self, seat: Option<Arc<Seat>>) -> Self {
        Self { seat, ..self }
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
            if let Conn::Postgres(transaction) = &self.conn {
                transaction.heard(&error);
            }
            error.into()
        })
    }

    /// Counts statements that went together with one that is counted by itself.
    pub(crate) fn count_statements(&self, more: usize) {
        (0..more).for_each(|_| self.counters.statement());
    }

    /// Opens the transaction if it is not open: on PostgreSQL that waits for the first statement that needs one.
    pub(crate) async fn begin(&mut self) -> Result<(), StoreError> {
        match &mut self.conn {
            Conn::Sqlite(_) => Ok(()),
            Conn::Postgres(transaction) => transaction.begin().await,
        }
    }

    /// Makes ready for a statement that is not kept for the end: what was kept comes before it, and what changes or holds
    /// anything is in the transaction.
    pub(crate) async fn make_ready(&mut self, is_plain_read: bool) -> Result<(), StoreError> {
        self.settle().await?;
        if is_plain_read { Ok(()) } else { self.begin().await }
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Makes the transaction ready for the next unit, and hands over the last one's effects.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        self.broken = false;
        self.batch.clear();
        self.lines.clear();
        self.entries.clear();
        self.held.clear();
        self.notices.clear();
        self.news.clear();
        std::mem::take(&mut self.effects)
    }

    /// Writes what was kept for the end of the unit.
    pub(crate) async fn flush(&mut self) -> Result<(), StoreError> {
        self.keep_lines().await?;
        self.keep_entries().await?;
        self.keep_notices().await?;
        self.send_news().await?;
        if let (false, Conn::Postgres(transaction)) = (self.batch.is_empty(), &mut self.conn)
            && transaction.commits_alone()
        {
            self.counters.commit();
        }
        self.send().await
    }

    /// Its turn among the commits, if it asked to commit.
    pub(crate) fn take_turn(&mut self) -> Option<Turn> {
        match &mut self.conn {
            Conn::Sqlite(_) => None,
            Conn::Postgres(transaction) => transaction.take_turn(),
        }
    }

    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self.conn {
            Conn::Sqlite(transaction) => transaction.commit().await?,
            // It was none, or its only statement was one.
            Conn::Postgres(transaction) if !transaction.is_open() => return Ok(()),
            Conn::Postgres(transaction) => transaction.commit().await?,
        }
        self.counters.commit();
        Ok(())
    }

    pub(crate) async fn rollback(self) -> Result<(), StoreError> {
        match self.conn {
            Conn::Sqlite(transaction) => transaction.rollback().await.map_err(StoreError::from),
            Conn::Postgres(transaction) => transaction.rollback().await,
        }
    }
}

/// The text of a statement.
pub(crate) trait SqlText {
    fn text(&self) -> &str;

    /// Whether it changes nothing and holds nothing, so that outside a transaction it does the same. In doubt it does not.
    fn is_plain_read(&self) -> bool {
        let text = self.text();
        text.starts_with("select ") && !text.contains(" for ") && !text.contains("pg_advisory")
    }
}

impl SqlText for &'static str {
    fn text(&self) -> &str {
        self
    }
}

impl SqlText for AssertSqlSafe<String> {
    fn text(&self) -> &str {
        &self.0
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
                let $conn = transaction.connection();
                $body
            }
        }
    };
}

// Bind only &str, String, i64, bool, f64, bytes and Option of these, always the same type for the same statement:
// PostgreSQL keeps prepared statements by text, with the types of the first call.

/// Runs a statement that writes; the number of rows that it touched.
macro_rules! execute {
    ($tx:expr, $sql:expr $(, $arg:expr)* $(,)?) => {
        match $tx.make_ready(false).await {
            Err(error) => Err(error),
            Ok(()) => {
                let answer = $crate::tx::on_conn!($tx, conn =>
                    sqlx::query($sql)$(.bind($arg))*.execute(conn).await.map(|done| done.rows_affected()));
                $tx.heard(answer)
            }
        }
    };
}

/// Reads one row that is always there.
macro_rules! fetch_one {
    ($row:ty, $tx:expr, $sql:expr $(, $arg:expr)* $(,)?) => {{
        let sql = $sql;
        match $tx.make_ready($crate::tx::SqlText::is_plain_read(&sql)).await {
            Err(error) => Err(error),
            Ok(()) => {
                let answer = $crate::tx::on_conn!($tx, conn =>
                    sqlx::query_as::<_, $row>(sql)$(.bind($arg))*.fetch_one(conn).await);
                $tx.heard(answer)
            }
        }
    }};
}

/// Reads at most one row.
macro_rules! fetch_optional {
    ($row:ty, $tx:expr, $sql:expr $(, $arg:expr)* $(,)?) => {{
        let sql = $sql;
        match $tx.make_ready($crate::tx::SqlText::is_plain_read(&sql)).await {
            Err(error) => Err(error),
            Ok(()) => {
                let answer = $crate::tx::on_conn!($tx, conn =>
                    sqlx::query_as::<_, $row>(sql)$(.bind($arg))*.fetch_optional(conn).await);
                $tx.heard(answer)
            }
        }
    }};
}

/// Reads every row.
macro_rules! fetch_all {
    ($row:ty, $tx:expr, $sql:expr $(, $arg:expr)* $(,)?) => {{
        let sql = $sql;
        match $tx.make_ready($crate::tx::SqlText::is_plain_read(&sql)).await {
            Err(error) => Err(error),
            Ok(()) => {
                let answer = $crate::tx::on_conn!($tx, conn =>
                    sqlx::query_as::<_, $row>(sql)$(.bind($arg))*.fetch_all(conn).await);
                $tx.heard(answer)
            }
        }
    }};
}

pub(crate) use {execute, fetch_all, fetch_one, fetch_optional, on_conn};
