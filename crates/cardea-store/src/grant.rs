//! The grant ledger.

use cardea_domain::{Grant, GrantId, GrantState, LoginAccount, ObjectId, SessionId, Status, Timestamp};
use sqlx::QueryBuilder;

use crate::{
    StoreError, Tx,
    row::{exactly_one, from_json, from_json_optional, id_list, micros, one_of, parse, time, to_json, uid},
    tx::{execute, fetch_all, fetch_optional, on_conn},
};

/// Accounts that one scan answers for.
const UNSCANNED_MAX: i64 = 1000;
/// Rows of one insert: 18 parameters each, and PostgreSQL takes 65,535 of them.
const INSERT_MAX: usize = 500;

#[derive(sqlx::FromRow)]
struct GrantRow {
    id: String,
    session_id: String,
    ordinal: i64,
    target: String,
    account_name: String,
    account_uid: i64,
    privilege: String,
    token: String,
    state: String,
    expires_at: Option<i64>,
    observed_before: Option<String>,
    placed_at: Option<i64>,
    removed_at: Option<i64>,
    attempts: i64,
    last_error: Option<String>,
    evidence: Option<String>,
    scanned_at: Option<i64>,
}

#[derive(sqlx::FromRow)]
struct OutRow {
    #[sqlx(flatten)]
    grant: GrantRow,
    session_status: String,
}

impl TryFrom<GrantRow> for Grant {
    type Error = StoreError;

    fn try_from(row: GrantRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: parse("grant_entry.id", &row.id)?,
            session: parse("grant_entry.session_id", &row.session_id)?,
            ordinal: row.ordinal,
            target: from_json("grant_entry.target", &row.target)?,
            account: LoginAccount { name: row.account_name, uid: uid("grant_entry.account_uid", row.account_uid)? },
            privilege: from_json("grant_entry.privilege", &row.privilege)?,
            token: row.token,
            state: one_of("grant_entry.state", GrantState::ALL, GrantState::as_str, &row.state)?,
            expires_at: time(row.expires_at),
            before: from_json_optional("grant_entry.observed_before", row.observed_before.as_deref())?,
            placed_at: time(row.placed_at),
            removed_at: time(row.removed_at),
            attempts: row.attempts,
            last_error: row.last_error,
            evidence: from_json_optional("grant_entry.evidence", row.evidence.as_deref())?,
            scanned_at: time(row.scanned_at),
        })
    }
}

impl Tx {
    /// Writes new grants, in one statement unless there are very many.
    pub async fn insert_grants(&mut self, grants: &[Grant]) -> Result<(), StoreError> {
        const SQL: &str = "insert into grant_entry (id, session_id, ordinal, resource_id, target, account_name, \
            account_uid, kind, privilege, token, state, expires_at, observed_before, placed_at, removed_at, attempts, \
            last_error, evidence, scanned_at) ";
        for grants in grants.chunks(INSERT_MAX) {
            let answer = on_conn!(self, conn => {
                let mut query = QueryBuilder::new(SQL);
                query.push_values(grants, |mut row, grant| {
                    row.push_bind(grant.id.to_string())
                        .push_bind(grant.session.to_string())
                        .push_bind(grant.ordinal)
                        .push_bind(grant.target.resource.to_string())
                        .push_bind(to_json(&grant.target))
                        .push_bind(grant.account.name.as_str())
                        .push_bind(i64::from(grant.account.uid))
                        .push_bind(grant.privilege.kind())
                        .push_bind(to_json(&grant.privilege))
                        .push_bind(grant.token.as_str())
                        .push_bind(grant.state.as_str())
                        .push_bind(micros(grant.expires_at))
                        .push_bind(grant.before.as_ref().map(to_json))
                        .push_bind(micros(grant.placed_at))
                        .push_bind(micros(grant.removed_at))
                        .push_bind(grant.attempts)
                        .push_bind(grant.last_error.as_deref())
                        .push_bind(grant.evidence.as_ref().map(to_json))
                        .push_bind(micros(grant.scanned_at));
                });
                query.build().execute(conn).await.map(drop)
            });
            self.heard(answer)?;
        }
        Ok(())
    }

    /// The grant of this id.
    pub async fn grant(&mut self, id: GrantId) -> Result<Option<Grant>, StoreError> {
        let row = fetch_optional!(GrantRow, self, "select * from grant_entry where id = $1", id.to_string())?;
        row.map(Grant::try_from).transpose()
    }

    /// A session's grants in the order of placing.
    pub async fn grants_of(&mut self, session: SessionId) -> Result<Vec<Grant>, StoreError> {
        const SQL: &str = "select * from grant_entry where session_id = $1 order by ordinal";
        fetch_all!(GrantRow, self, SQL, session.to_string())?.into_iter().map(Grant::try_from).collect()
    }

    /// The grants of several sessions, by session and in the order of placing.
    pub async fn grants_of_many(&mut self, sessions: &[SessionId]) -> Result<Vec<Grant>, StoreError> {
        const SQL: &str = "select * from grant_entry where session_id in (select value from json_each($1)) \
            order by session_id, ordinal";
        fetch_all!(GrantRow, self, SQL, id_list(sessions))?.into_iter().map(Grant::try_from).collect()
    }

    /// Saves what can change in a grant: all but whose it is, where it is and what it is. Who saves a grant holds its
    /// session, whose version guards both.
    pub async fn save_grant(&mut self, grant: &Grant) -> Result<(), StoreError> {
        const SQL: &str = "update grant_entry set state = $2, expires_at = $3, observed_before = $4, placed_at = $5, \
            removed_at = $6, attempts = $7, last_error = $8, evidence = $9, scanned_at = $10 where id = $1";
        let saved = execute!(
            self,
            SQL,
            grant.id.to_string(),
            grant.state.as_str(),
            micros(grant.expires_at),
            grant.before.as_ref().map(to_json),
            micros(grant.placed_at),
            micros(grant.removed_at),
            grant.attempts,
            grant.last_error.as_deref(),
            grant.evidence.as_ref().map(to_json),
            micros(grant.scanned_at)
        )?;
        exactly_one(saved)
    }

    /// At most `limit` grants that are, or could be, on a target, behind the grant `after`; of one user's sessions or
    /// of all. With each the status of its session.
    pub async fn grants_out(
        &mut self,
        after: Option<GrantId>,
        limit: u32,
        user: Option<ObjectId>,
    ) -> Result<Vec<(Grant, Status)>, StoreError> {
        const SQL: &str = "select g.*, s.status as session_status \
            from grant_entry g join session s on s.id = g.session_id \
            where g.state in ('placing', 'placed', 'removing') \
            and ($1 is null or g.id > $1) and ($2 is null or s.user_id = $2) order by g.id limit $3";
        let (after, user) = (after.map(|id| id.to_string()), user.map(|id| id.to_string()));
        let rows = fetch_all!(OutRow, self, SQL, after, user, i64::from(limit))?;
        let read = |row: OutRow| Ok((row.grant.try_into()?, parse("session.status", &row.session_status)?));
        rows.into_iter().map(read).collect()
    }

    /// At most 1,000 accounts that were on a resource, were removed by then, and whose files were not searched for yet.
    /// Oldest removal first.
    pub async fn unscanned_accounts(
        &mut self,
        resource: ObjectId,
        removed_before: Timestamp,
    ) -> Result<Vec<Grant>, StoreError> {
        const SQL: &str = "select * from grant_entry where resource_id = $1 and removed_at <= $2 \
            and kind = 'account' and state = 'removed' and scanned_at is null and expires_at is not null \
            order by removed_at, id limit $3";
        let rows = fetch_all!(GrantRow, self, SQL, resource.to_string(), removed_before.as_micros(), UNSCANNED_MAX)?;
        rows.into_iter().map(Grant::try_from).collect()
    }

    /// Notes that a scan answered for these grants.
    pub async fn mark_scanned(&mut self, grants: &[GrantId], at: Timestamp) -> Result<(), StoreError> {
        const SQL: &str = "update grant_entry set scanned_at = $2 where id in (select value from json_each($1))";
        execute!(self, SQL, id_list(grants), at.as_micros())?;
        Ok(())
    }
}
