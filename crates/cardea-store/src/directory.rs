//! What looks at directories found: users whom they let in no more, and when each is looked at.

use cardea_domain::{Absence, AbsenceReason, ObjectId, Permit, Timestamp, Verb};

use crate::{
    StoreError, Tx,
    row::{exactly_one, micros, must_cover, one_of, parse, time, without_nul},
    tx::{execute, fetch_all},
};

/// How the looks at a directory go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectorySyncRow {
    pub provider: ObjectId,
    /// When it is looked at next.
    pub due_at: Timestamp,
    /// When the last look ended.
    pub ended_at: Option<Timestamp>,
    /// Why it changed nothing; `None` if it did what was to do.
    pub error: Option<String>,
    pub succeeded_at: Option<Timestamp>,
}

/// Who takes a look at a directory into their hands, and until when. With `is_due`, only if it is due.
#[derive(Clone, Debug)]
pub struct DirectoryClaim {
    pub node: String,
    pub now: Timestamp,
    pub until: Timestamp,
    pub is_due: bool,
}

#[derive(sqlx::FromRow)]
struct AbsenceRow {
    user_id: String,
    provider_id: String,
    reason: String,
    since: i64,
}

#[derive(sqlx::FromRow)]
struct SyncRow {
    provider_id: String,
    due_at: i64,
    ended_at: Option<i64>,
    error: Option<String>,
    succeeded_at: Option<i64>,
}

impl Tx {
    /// Everybody whom a directory lets in no more.
    pub async fn absences(&mut self) -> Result<Vec<Absence>, StoreError> {
        let read = |row: AbsenceRow| {
            let column = "directory_absence.reason";
            Ok(Absence {
                user: parse("directory_absence.user_id", &row.user_id)?,
                provider: parse("directory_absence.provider_id", &row.provider_id)?,
                reason: one_of(column, AbsenceReason::ALL, AbsenceReason::as_str, &row.reason)?,
                since: Timestamp::from_micros(row.since),
            })
        };
        let rows = fetch_all!(AbsenceRow, self, "select * from directory_absence order by user_id")?;
        rows.into_iter().map(read).collect()
    }

    /// A directory lets a user in no more, or for another reason.
    pub async fn set_absence(&mut self, permit: &Permit, absence: &Absence) -> Result<(), StoreError> {
        const SQL: &str = "insert into directory_absence (user_id, provider_id, reason, since) values ($1, $2, $3, $4) \
            on conflict (user_id) do update set provider_id = excluded.provider_id, reason = excluded.reason, \
            since = excluded.since";
        must_cover(permit, &[Verb::SyncDirectory], "directory_absence")?;
        let Absence { user, provider, reason, since } = absence;
        execute!(self, SQL, user.to_string(), provider.to_string(), reason.as_str(), since.as_micros())?;
        Ok(())
    }

    /// A directory lets a user in again.
    pub async fn delete_absence(&mut self, permit: &Permit, user: ObjectId) -> Result<(), StoreError> {
        must_cover(permit, &[Verb::SyncDirectory], "directory_absence")?;
        execute!(self, "delete from directory_absence where user_id = $1", user.to_string())?;
        Ok(())
    }

    /// Every directory that was looked at.
    pub async fn directory_syncs(&mut self) -> Result<Vec<DirectorySyncRow>, StoreError> {
        const SQL: &str = "select provider_id, due_at, ended_at, error, succeeded_at from directory_sync \
            order by provider_id";
        let read = |row: SyncRow| {
            Ok(DirectorySyncRow {
                provider: parse("directory_sync.provider_id", &row.provider_id)?,
                due_at: Timestamp::from_micros(row.due_at),
                ended_at: time(row.ended_at),
                error: row.error,
                succeeded_at: time(row.succeeded_at),
            })
        };
        fetch_all!(SyncRow, self, SQL)?.into_iter().map(read).collect()
    }

    /// Takes a look at a directory into a node's hands, until its time is up or the node is gone. False if another node has it.
    pub async fn claim_directory(&mut self, provider: ObjectId, claim: &DirectoryClaim) -> Result<bool, StoreError> {
        const MAKE: &str = "insert into directory_sync (provider_id, due_at) values ($1, $2) \
            on conflict (provider_id) do nothing";
        const CLAIM: &str = "update directory_sync set claim_node = $2, claim_until = $4 where provider_id = $1 \
            and due_at <= $5 and (claim_until is null or claim_until <= $3 or claim_node = $2 \
            or claim_node not in (select name from node))";
        let DirectoryClaim { node, now, until, is_due } = claim;
        let (id, now) = (provider.to_string(), now.as_micros());
        let due_by = if *is_due { now } else { i64::MAX };
        execute!(self, MAKE, &id, now)?;
        Ok(execute!(self, CLAIM, &id, node, now, until.as_micros(), due_by)? == 1)
    }

    /// Writes down how a look ended, and lets go of it. [`StoreError::Conflict`] if it is in other hands by now.
    pub async fn directory_looked_at(&mut self, row: &DirectorySyncRow, node: &str) -> Result<(), StoreError> {
        const SQL: &str = "update directory_sync set due_at = $2, ended_at = $3, error = $4, \
            succeeded_at = coalesce($5, succeeded_at), claim_node = null, claim_until = null \
            where provider_id = $1 and claim_node = $6";
        let DirectorySyncRow { provider, due_at, ended_at, error, succeeded_at } = row;
        let (ended_at, succeeded_at) = (micros(*ended_at), micros(*succeeded_at));
        let error = error.as_deref().map(without_nul);
        exactly_one(execute!(self, SQL, provider.to_string(), due_at.as_micros(), ended_at, error, succeeded_at, node)?)
    }
}
