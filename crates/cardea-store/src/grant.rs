//! The grant ledger.

use cardea_domain::{Grant, GrantId, GrantState, LoginAccount, ObjectId, SessionId, Stage, Status, Timestamp};

use crate::{
    StoreError, Tx, Whose,
    batch::{Write, places, values},
    row::{count, exactly_one, from_json, from_json_optional, id_list, micros, one_of, parse, time, to_json},
    tx::{execute, fetch_all, fetch_one, fetch_optional},
};

/// Accounts that one scan answers for.
const UNSCANNED_MAX: i64 = 1000;
/// Rows of one insert.
const INSERT_MAX: usize = 500;

/// Rows of one update.
const SAVE_MAX: usize = 1000;

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
    mark_id: Option<String>,
    share_key: Option<String>,
    stage: String,
    continue_on_error: bool,
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
            account: LoginAccount { name: row.account_name, uid: count("grant_entry.account_uid", row.account_uid)? },
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
            mark: parse("grant_entry.mark_id", row.mark_id.as_ref().unwrap_or(&row.id))?,
            share_key: row.share_key,
            stage: one_of("grant_entry.stage", Stage::ALL, Stage::as_str, &row.stage)?,
            continue_on_error: row.continue_on_error,
        })
    }
}

impl Tx {
    /// Writes new grants, in one statement unless there are very many.
    pub async fn insert_grants(&mut self, grants: &[Grant]) -> Result<(), StoreError> {
        const SQL: &str = "insert into grant_entry (id, session_id, ordinal, resource_id, target, account_name, \
            account_uid, kind, privilege, token, state, expires_at, observed_before, placed_at, removed_at, attempts, \
            last_error, evidence, scanned_at, mark_id, share_key, stage, continue_on_error) values ";
        for grants in grants.chunks(INSERT_MAX) {
            let row = |grant: &Grant| {
                values![
                    grant.id.to_string(),
                    grant.session.to_string(),
                    grant.ordinal,
                    grant.target.resource.to_string(),
                    to_json(&grant.target),
                    &grant.account.name,
                    i64::from(grant.account.uid),
                    grant.privilege.kind(),
                    to_json(&grant.privilege),
                    &grant.token,
                    grant.state.as_str(),
                    micros(grant.expires_at),
                    grant.before.as_ref().map(to_json),
                    micros(grant.placed_at),
                    micros(grant.removed_at),
                    grant.attempts,
                    grant.last_error.as_deref(),
                    grant.evidence.as_ref().map(to_json),
                    micros(grant.scanned_at),
                    grant.mark.to_string(),
                    grant.share_key.as_deref(),
                    grant.stage.as_str(),
                    grant.continue_on_error,
                ]
            };
            let (sql, values) = (format!("{SQL}{}", places(grants.len(), 23)), grants.iter().flat_map(row).collect());
            self.keep(Write { sql, values, rows: grants.len(), ids: ids_of(grants) }).await?;
        }
        Ok(())
    }

    /// The grant of this id.
    pub async fn grant(&mut self, id: GrantId) -> Result<Option<Grant>, StoreError> {
        let row = fetch_optional!(GrantRow, self, "select * from grant_entry where id = $1", id.to_string())?;
        row.map(Grant::try_from).transpose()
    }

    /// The grants that hold one shared privilege, of whichever session. On PostgreSQL nobody else changes them until the
    /// unit ends.
    pub async fn holders(&mut self, share_key: &str) -> Result<Vec<Grant>, StoreError> {
        if let Some(sql) = self.hold_share_sql() {
            fetch_all!((i64,), self, sql, share_key)?;
        }
        const SQL: &str = "select * from grant_entry where share_key = $1 \
            and is_out order by id";
        fetch_all!(GrantRow, self, SQL, share_key)?.into_iter().map(Grant::try_from).collect()
    }

    /// Writes what a grant that was not placed yet is for and what it is, which [`Tx::save_grant`] leaves alone.
    pub async fn replan_grant(&mut self, grant: &Grant) -> Result<(), StoreError> {
        const SQL: &str = "update grant_entry set account_name = $2, account_uid = $3, privilege = $4 \
            where id = $1 and state in ('planned', 'placing')";
        let (account, privilege) = (&grant.account, to_json(&grant.privilege));
        let saved = execute!(self, SQL, grant.id.to_string(), &account.name, i64::from(account.uid), privilege)?;
        exactly_one(saved)
    }

    /// Writes anew what a grant is that is out: what a dead man's switch undoes. [`StoreError::Conflict`] if it is on its way back.
    pub async fn restate_grant(&mut self, grant: &Grant) -> Result<(), StoreError> {
        const SQL: &str = "update grant_entry set privilege = $2 where id = $1 and state in ('placing', 'placed')";
        exactly_one(execute!(self, SQL, grant.id.to_string(), to_json(&grant.privilege))?)
    }

    /// Writes by which way these grants are reached from now on, which [`Tx::save_grants`] leaves alone.
    pub async fn retarget_grants(&mut self, grants: &[Grant]) -> Result<(), StoreError> {
        const SQL: &str = "update grant_entry set target = $2 where id in (select value from json_each($1))";
        let mut targets: Vec<_> = grants.iter().map(|grant| &grant.target).collect();
        targets.dedup();
        for target in targets {
            let ids: Vec<_> = grants.iter().filter(|grant| grant.target == *target).map(|grant| grant.id).collect();
            execute!(self, SQL, id_list(&ids), to_json(target))?;
        }
        Ok(())
    }

    /// Whether a session has grants of this stage that were not begun.
    pub async fn has_planned(&mut self, session: SessionId, stage: Stage) -> Result<bool, StoreError> {
        const SQL: &str = "select count(*) from grant_entry where session_id = $1 and stage = $2 and state = 'planned'";
        Ok(fetch_one!((i64,), self, SQL, session.to_string(), stage.as_str())?.0 > 0)
    }

    /// Which of these grants the ledger knows, whatever their state.
    pub async fn known_grants(&mut self, ids: &[GrantId]) -> Result<Vec<Grant>, StoreError> {
        const SQL: &str = "select * from grant_entry where id in (select value from json_each($1)) order by id";
        fetch_all!(GrantRow, self, SQL, id_list(ids))?.into_iter().map(Grant::try_from).collect()
    }

    /// The grants that these marks on a host stand for, whatever their state: those that they are named after, and those that
    /// share the privilege.
    pub async fn grants_marked(&mut self, marks: &[GrantId]) -> Result<Vec<Grant>, StoreError> {
        const SQL: &str = "select * from grant_entry where id in (select value from json_each($1)) \
            union all select * from grant_entry where mark_id <> id and mark_id in (select value from json_each($1))";
        fetch_all!(GrantRow, self, SQL, id_list(marks))?.into_iter().map(Grant::try_from).collect()
    }

    /// What is, or could be, on these resources for accounts of one of these numbers.
    pub async fn grants_out_for(&mut self, resources: &[ObjectId], uids: &[u32]) -> Result<Vec<Grant>, StoreError> {
        const SQL: &str = "select * from grant_entry where is_out \
            and resource_id in (select value from json_each($1)) \
            and cast(account_uid as text) in (select value from json_each($2)) order by id";
        let rows = fetch_all!(GrantRow, self, SQL, id_list(resources), id_list(uids))?;
        rows.into_iter().map(Grant::try_from).collect()
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

    /// Saves what can change in grants: all but whose they are, where they are and what they are. Who saves a grant holds its
    /// session, whose version guards both.
    pub async fn save_grants(&mut self, grants: &[Grant]) -> Result<(), StoreError> {
        for grants in grants.chunks(SAVE_MAX) {
            let row = |grant: &Grant| {
                values![
                    grant.id.to_string(),
                    grant.state.as_str(),
                    micros(grant.expires_at),
                    grant.before.as_ref().map(to_json),
                    micros(grant.placed_at),
                    micros(grant.removed_at),
                    grant.attempts,
                    grant.last_error.as_deref(),
                    grant.evidence.as_ref().map(to_json),
                    micros(grant.scanned_at),
                    grant.mark.to_string(),
                    &grant.token,
                ]
            };
            let sql = format!(
                "with fresh (id, state, expires_at, observed_before, placed_at, removed_at, attempts, last_error, \
                 evidence, scanned_at, mark_id, token) as (values {}) \
                 update grant_entry set state = fresh.state, expires_at = fresh.expires_at, \
                 observed_before = fresh.observed_before, placed_at = fresh.placed_at, \
                 removed_at = fresh.removed_at, attempts = fresh.attempts, last_error = fresh.last_error, \
                 evidence = fresh.evidence, scanned_at = fresh.scanned_at, mark_id = fresh.mark_id, \
                 token = fresh.token from fresh where grant_entry.id = fresh.id",
                places(grants.len(), 12)
            );
            let values = grants.iter().flat_map(row).collect();
            self.keep(Write { sql, values, rows: grants.len(), ids: ids_of(grants) }).await?;
        }
        Ok(())
    }

    /// Saves one: see [`Tx::save_grants`].
    pub async fn save_grant(&mut self, grant: &Grant) -> Result<(), StoreError> {
        self.save_grants(std::slice::from_ref(grant)).await
    }

    /// At most `limit` grants that are, or could be, on a target, behind the grant `after`; of one user's sessions, of these and
    /// those within an area, or of all. With each the status of its session.
    pub async fn grants_out(
        &mut self,
        after: Option<GrantId>,
        limit: u32,
        whose: &Whose,
    ) -> Result<Vec<(Grant, Status)>, StoreError> {
        const SQL: &str = "select g.*, s.status as session_status \
            from grant_entry g join session s on s.id = g.session_id \
            where g.is_out \
            and ($1 is null or g.id > $1) and ($2 is null or s.user_id = $2 or ($7 \
            and ($4 is null or s.user_id in (select value from json_each($4))) \
            and ($5 is null or s.policy_id in (select value from json_each($5))) \
            and ($6 is null or s.resource_id in (select value from json_each($6))))) order by g.id limit $3";
        let (after, user, [users, policies, resources]) = (after.map(|id| id.to_string()), whose.user(), whose.area());
        let has_area = matches!(whose, Whose::Within(..));
        let limit = i64::from(limit);
        let rows = fetch_all!(OutRow, self, SQL, after, user, limit, users, policies, resources, has_area)?;
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

fn ids_of(grants: &[Grant]) -> Vec<String> {
    grants.iter().map(|grant| grant.id.to_string()).collect()
}
