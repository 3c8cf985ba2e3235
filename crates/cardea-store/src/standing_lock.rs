//! Users and resources that are locked as a whole.

use cardea_domain::{ObjectId, Permit, Timestamp, Verb};

use crate::{
    StoreError, Tx,
    row::{must_cover, parse},
    tx::{execute, fetch_all},
};

/// A user or a resource that is locked as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingLock {
    /// The user or resource.
    pub object: ObjectId,
    /// What people who meet the lock read.
    pub title: String,
    pub text: String,
    /// Who locked it.
    pub by: String,
    pub at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row {
    object_id: String,
    title: String,
    text: String,
    locked_by: String,
    at: i64,
}

impl Tx {
    /// Locks a user or a resource. [`StoreError::Duplicate`] if it is locked.
    pub async fn insert_standing_lock(&mut self, permit: &Permit, lock: &StandingLock) -> Result<(), StoreError> {
        const SQL: &str =
            "insert into standing_lock (object_id, title, text, locked_by, at) values ($1, $2, $3, $4, $5)";
        must_cover(permit, &[Verb::Lock], "standing_lock")?;
        let object = lock.object.to_string();
        execute!(self, SQL, object, &lock.title, &lock.text, &lock.by, lock.at.as_micros())?;
        Ok(())
    }

    /// Unlocks a user or a resource. Whether it was locked.
    pub async fn delete_standing_lock(&mut self, permit: &Permit, object: ObjectId) -> Result<bool, StoreError> {
        must_cover(permit, &[Verb::Lock], "standing_lock")?;
        Ok(execute!(self, "delete from standing_lock where object_id = $1", object.to_string())? > 0)
    }

    /// Every lock, oldest first.
    pub async fn standing_locks(&mut self) -> Result<Vec<StandingLock>, StoreError> {
        let rows = fetch_all!(Row, self, "select * from standing_lock order by at, object_id")?;
        let read = |row: Row| {
            let object = parse("standing_lock.object_id", &row.object_id)?;
            let at = Timestamp::from_micros(row.at);
            Ok(StandingLock { object, title: row.title, text: row.text, by: row.locked_by, at })
        };
        rows.into_iter().map(read).collect()
    }
}
