//! Writes that a unit keeps and that go to the database together: what a statement costs is mostly the way there and back.
//!
//! On PostgreSQL a batch is one statement, each write a part of it, and so all or nothing even outside a transaction; on
//! SQLite it is one text of several statements inside the unit's savepoint. Parts do not see each other's work, so a row is
//! written at most once in a batch.

use sqlx::AssertSqlSafe;

use crate::{StoreError, Tx, tx::on_conn};

/// Values of one batch: SQLite takes 32,766 of them and PostgreSQL 65,535.
const VALUES_MAX: usize = 16_000;
/// Parts of one batch: a long one is another statement to prepare for every length.
const PARTS_MAX: usize = 16;

/// What a statement takes. Always the same kind in the same place: PostgreSQL keeps prepared statements by their text.
pub(crate) enum Value {
    Bytes(Vec<u8>),
    Flag(bool),
    Number(i64),
    OptionalNumber(Option<i64>),
    OptionalText(Option<String>),
    Text(String),
}

macro_rules! value_from {
    ($($kind:ident($from:ty)),*) => {
        $(impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Self::$kind(value)
            }
        })*
    };
}

value_from!(
    Bytes(Vec<u8>),
    Flag(bool),
    Number(i64),
    OptionalNumber(Option<i64>),
    OptionalText(Option<String>),
    Text(String)
);

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}

impl From<Option<&str>> for Value {
    fn from(value: Option<&str>) -> Self {
        Self::OptionalText(value.map(str::to_owned))
    }
}

/// The values of a statement, in the order of its places.
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$($crate::batch::Value::from($value)),*] };
}

pub(crate) use values;

/// Writes that wait for the end of their unit.
#[derive(Default)]
pub(crate) struct Batch {
    parts: Vec<String>,
    values: Vec<Value>,
    /// How many rows all of it changes, if nobody else was faster.
    rows: usize,
    /// The rows that it writes, by their ids.
    ids: Vec<String>,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    fn has_room(&self, write: &Write) -> bool {
        self.parts.len() < PARTS_MAX
            && self.values.len() + write.values.len() <= VALUES_MAX
            && !write.ids.iter().any(|id| self.ids.contains(id))
    }

    fn add(&mut self, write: Write) {
        self.parts.push(renumbered(&write.sql, self.values.len()));
        self.values.extend(write.values);
        self.ids.extend(write.ids);
        self.rows += write.rows;
    }

    /// One statement that fails with a division by zero if it does not change every row that it should.
    fn for_postgres(&self) -> String {
        let (mut text, mut rows) = (String::from("with "), String::new());
        for (number, part) in self.parts.iter().enumerate() {
            let (comma, union) = if number == 0 { ("", "") } else { (", ", " union all ") };
            text.push_str(&format!("{comma}part{number} as ({part} returning 1)"));
            rows.push_str(&format!("{union}select from part{number}"));
        }
        let expected = self.values.len() + 1;
        format!(
            "{text} select cast(1 / (case when count(*) = ${expected} then 1 else 0 end) as bigint) from ({rows}) changed"
        )
    }
}

/// One of the writes of a batch.
pub(crate) struct Write {
    /// An insert or update whose places are numbered from one, without `returning`.
    pub(crate) sql: String,
    pub(crate) values: Vec<Value>,
    /// How many rows it changes; if it does not, somebody else was faster.
    pub(crate) rows: usize,
    /// Of the rows that it changes, if others may change them in the same unit.
    pub(crate) ids: Vec<String>,
}

/// Moves every place `$n` of a statement by `by`.
fn renumbered(sql: &str, by: usize) -> String {
    let mut parts = sql.split('$');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: usize = part[..digits].parse().expect("a place of our own statements has a number");
        out.push_str(&format!("${}{}", number + by, &part[digits..]));
    }
    out
}

/// `(($1, $2), ($3, $4), …)` without the outer brackets: places of rows that are bound one after the other.
pub(crate) fn places(rows: usize, columns: usize) -> String {
    let row = |row: usize| {
        let places: Vec<_> = (1..=columns).map(|column| format!("${}", row * columns + column)).collect();
        format!("({})", places.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

macro_rules! bound {
    ($query:expr, $values:expr) => {{
        let mut query = $query;
        for value in $values {
            query = match value {
                Value::Bytes(value) => query.bind(value),
                Value::Flag(value) => query.bind(value),
                Value::Number(value) => query.bind(value),
                Value::OptionalNumber(value) => query.bind(value),
                Value::OptionalText(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
            };
        }
        query
    }};
}

impl Tx {
    /// Keeps a write for the end of the unit, or until the unit reads or writes something else.
    pub(crate) async fn keep(&mut self, write: Write) -> Result<(), StoreError> {
        if !self.batch.has_room(&write) {
            self.settle().await?;
        }
        self.batch.add(write);
        Ok(())
    }

    /// Sends what was kept, because something else of the unit comes behind it.
    pub(crate) async fn settle(&mut self) -> Result<(), StoreError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.begin().await?;
        self.send().await
    }

    /// Sends what was kept; outside a transaction on PostgreSQL that is its commit, too.
    pub(crate) async fn send(&mut self) -> Result<(), StoreError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        let rows = i64::try_from(batch.rows).unwrap_or(i64::MAX);
        if self.writes_in_one_statement() {
            let text = AssertSqlSafe(batch.for_postgres());
            let values = batch.values.into_iter().chain([Value::Number(rows)]);
            let answer = on_conn!(self, conn => bound!(sqlx::query(text), values).execute(conn).await.map(drop));
            return self.heard(answer);
        }
        self.count_statements(batch.parts.len() - 1);
        let is_new = batch.parts.iter().any(|part| part.starts_with("insert into session ("));
        let text = AssertSqlSafe(batch.parts.join("; "));
        let answer = on_conn!(self, conn =>
            bound!(sqlx::query(text), batch.values).execute(conn).await.map(|done| done.rows_affected()));
        // What comes with a new session finds none if the session's own guard kept it out.
        let is_guard = matches!(&answer, Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation());
        let changed = match self.heard(answer) {
            Err(_) if is_guard && is_new => return Err(StoreError::Conflict),
            other => other?,
        };
        if i64::try_from(changed) == Ok(rows) { Ok(()) } else { Err(StoreError::Conflict) }
    }
}
