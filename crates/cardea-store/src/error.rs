//! What can go wrong in the store.

use std::{path::PathBuf, sync::Arc};

use sqlx::migrate::MigrateError;

use crate::dialect;

/// Why the store did not do as asked. Nothing was written, unless it says that this is unknown.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    #[error("this is not a cursor that a list gave out for this sort order: start without one")]
    BadCursor,
    #[error("the address of the store cannot be read: {0}")]
    BadUrl(&'static str),
    #[error("the store is busy with other writes: try again")]
    Busy,
    #[error("the store is closed: Cardea is stopping")]
    Closed,
    /// A guarded write found another version than the one that was read, or nothing.
    #[error("somebody else changed this first: read it again and repeat")]
    Conflict,
    #[error(
        "the store holds something that this version of Cardea cannot read: {0}. Restore a backup, or ask for help"
    )]
    Corrupt(String),
    /// A row with the same unique value is there already. `column` is the one that people know.
    #[error("there is a {table} with this {column} already")]
    Duplicate { table: &'static str, column: &'static str },
    #[error("the database failed; its log may say more")]
    Failed(#[source] Arc<sqlx::Error>),
    #[error("{} cannot be used: check that its folder exists and that Cardea may write there", path.display())]
    File { path: PathBuf, source: Arc<std::io::Error> },
    #[error("the disk of the store is full: nothing was written. Free some space")]
    Full,
    #[error("Cardea processes of another version use this database: stop all nodes, then start them with one version")]
    InUse,
    #[error("the store could not be brought to this version's schema")]
    Migration(#[source] Arc<MigrateError>),
    #[error(
        "another process works on this database as node `{0}`: stop it. A data directory is one node's and is never copied; a further node makes its own with `cardea init --join`"
    )]
    NodeInUse(String),
    #[error("the store was written by a newer Cardea (schema {0}): install that version, or restore a backup")]
    Newer(i64),
    /// The permit is for something else: a mistake in the caller.
    #[error("a permit for `{verb}` does not cover this write to {table}")]
    NotCovered { verb: &'static str, table: &'static str },
    #[error("a unit of work panicked; it was rolled back")]
    Panicked,
    /// A rule of the schema: a reference to nothing, a value out of its set.
    #[error("a rule of the database refused the row")]
    Rule(#[source] Arc<sqlx::Error>),
    /// The unit went on after a statement had failed; PostgreSQL would have dropped its work in silence.
    #[error("a unit of work ignored a failed statement; it was rolled back")]
    Swallowed,
    #[error("a unit of work took too long and was rolled back: the database may be overloaded")]
    TooSlow,
    /// Of a commit: whether it happened is unknown.
    #[error("the database cannot be reached: check that it runs")]
    Unavailable(#[source] Arc<sqlx::Error>),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        if let Some(database) = error.as_database_error() {
            return match dialect::fault(database) {
                dialect::Fault::Busy => Self::Busy,
                dialect::Fault::Conflict => Self::Conflict,
                dialect::Fault::Corrupt => Self::Corrupt("the database reports a damaged file".to_owned()),
                dialect::Fault::Duplicate { table, column } => Self::Duplicate { table, column },
                dialect::Fault::Full => Self::Full,
                dialect::Fault::Other => Self::Failed(Arc::new(error)),
                dialect::Fault::Rule => Self::Rule(Arc::new(error)),
                dialect::Fault::Unavailable => Self::Unavailable(Arc::new(error)),
            };
        }
        match error {
            E::ColumnDecode { .. } | E::ColumnNotFound(_) | E::Decode(_) => Self::Corrupt(error.to_string()),
            E::PoolClosed => Self::Closed,
            E::Io(_) | E::PoolTimedOut | E::Protocol(_) | E::Tls(_) | E::WorkerCrashed => {
                Self::Unavailable(Arc::new(error))
            }
            _ => Self::Failed(Arc::new(error)),
        }
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::VersionMissing(version) => Self::Newer(version),
            MigrateError::Execute(error) => error.into(),
            other => Self::Migration(Arc::new(other)),
        }
    }
}
