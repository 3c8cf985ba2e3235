//! Sessions: written whole once, then saved under a version guard. The row is also the engine's unit of work.

use cardea_domain::{
    Approval, Claim, Lane, LoginAccount, ObjectId, Period, Permit, Pins, RequestId, Revision, Room, Session, SessionId,
    Status, Timestamp, Verb, fold,
};

use crate::{
    StoreError, Tx,
    batch::{Write, values},
    row::{
        corrupt, count, exactly_one, from_json, from_json_optional, id_list, micros, must_cover, parse, parse_optional,
        time, to_json,
    },
    tx::{execute, fetch_all, fetch_one, fetch_optional},
};

/// Sessions that are looked at to claim some of them: others may be behind many that find no room.
const LOOKED_AT: i64 = 256;

/// Whether there is room for it, where `$4`, `$5` and `$6` say that there is none in a lane.
macro_rules! finds_room {
    () => {
        "not (status = 'provisioning' and resource_id in (select value from json_each($4))) \
         and not (not clean and status in ('canceling', 'failed') and resource_id in (select value from json_each($5))) \
         and not (clean and resource_id in (select value from json_each($6)))"
    };
}

fn full(room: &Room) -> [String; 3] {
    [Lane::Placing, Lane::Removing, Lane::Scanning].map(|lane| id_list(&room.full(lane)))
}

/// A session that is due.
#[derive(sqlx::FromRow)]
struct DueRow {
    id: String,
    resource_id: String,
    status: String,
    clean: bool,
}

#[derive(sqlx::FromRow)]
pub(crate) struct SessionRow {
    id: String,
    request_id: String,
    user_id: String,
    user_name: String,
    activity_id: String,
    activity_name: String,
    resource_id: String,
    resource_name: String,
    policy_id: String,
    policy_name: String,
    profile_id: String,
    profile_name: String,
    pins: String,
    account_name: String,
    account_uid: i64,
    notes: String,
    ticket: String,
    requested_at: i64,
    start_at: Option<i64>,
    end_at: Option<i64>,
    status: String,
    reason: Option<String>,
    progress: Option<String>,
    listed: bool,
    clean: bool,
    closes_as: Option<String>,
    cleanup_since: Option<i64>,
    cleanup_attempts: i64,
    cleanup_stalled: bool,
    wake_at: Option<i64>,
    fence: i64,
    version: i64,
    rules: String,
    custom: String,
    wanted_start_at: Option<i64>,
    approve_by: Option<i64>,
    duration: Option<i64>,
    closes_at: Option<i64>,
    extensions: i64,
    warned: i64,
    idle_since: Option<i64>,
    locked: Option<String>,
    claim_node: Option<String>,
    claim_until: Option<i64>,
    asked: Option<String>,
    wish: Option<String>,
}

#[derive(sqlx::FromRow)]
struct DecidedRow {
    #[sqlx(flatten)]
    session: SessionRow,
    is_decided: bool,
}

impl TryFrom<SessionRow> for Session {
    type Error = StoreError;

    fn try_from(row: SessionRow) -> Result<Self, StoreError> {
        let pins: Pins = from_json("session.pins", &row.pins)?;
        Ok(Self {
            id: parse("session.id", &row.id)?,
            request: parse("session.request_id", &row.request_id)?,
            user: parse("session.user_id", &row.user_id)?,
            user_name: row.user_name,
            activity: parse("session.activity_id", &row.activity_id)?,
            activity_name: row.activity_name,
            resource: parse("session.resource_id", &row.resource_id)?,
            resource_name: row.resource_name,
            policy: parse("session.policy_id", &row.policy_id)?,
            policy_name: row.policy_name,
            profile: parse("session.profile_id", &row.profile_id)?,
            profile_name: row.profile_name,
            duration: match row.duration {
                Some(micros) => Period::from_micros(micros).map_err(|error| corrupt("session.duration", error))?,
                None => pins.max_duration,
            },
            pins,
            rules: from_json("session.rules", &row.rules)?,
            custom: from_json("session.custom", &row.custom)?,
            wanted_start_at: time(row.wanted_start_at),
            approve_by: time(row.approve_by),
            asked: from_json_optional("session.asked", row.asked.as_deref())?,
            wish: from_json_optional("session.wish", row.wish.as_deref())?,
            closes_at: time(row.closes_at),
            extensions: count("session.extensions", row.extensions)?,
            warned: count("session.warned", row.warned)?,
            idle_since: time(row.idle_since),
            lock: from_json_optional("session.locked", row.locked.as_deref())?,
            claim: row.claim_node.zip(time(row.claim_until)).map(|(node, until)| Claim { node, until }),
            account: LoginAccount { name: row.account_name, uid: count("session.account_uid", row.account_uid)? },
            notes: row.notes,
            ticket: row.ticket,
            requested_at: Timestamp::from_micros(row.requested_at),
            start_at: time(row.start_at),
            end_at: time(row.end_at),
            status: parse("session.status", &row.status)?,
            reason: from_json_optional("session.reason", row.reason.as_deref())?,
            progress: from_json_optional("session.progress", row.progress.as_deref())?,
            listed: row.listed,
            clean: row.clean,
            closes_as: parse_optional("session.closes_as", row.closes_as.as_deref())?,
            cleanup_since: time(row.cleanup_since),
            cleanup_attempts: row.cleanup_attempts,
            cleanup_stalled: row.cleanup_stalled,
            wake_at: time(row.wake_at),
            fence: row.fence,
            version: row.version,
        })
    }
}

impl Tx {
    /// Writes a new session. [`StoreError::Conflict`] if its user or its resource is locked as a whole.
    pub async fn insert_session(&mut self, permit: &Permit, session: &Session) -> Result<(), StoreError> {
        const SQL: &str = "insert into session (id, request_id, user_id, user_name, user_fold, activity_id, \
            activity_name, activity_fold, resource_id, resource_name, resource_fold, policy_id, policy_name, \
            profile_id, profile_name, pins, account_name, account_uid, notes, ticket, requested_at, start_at, end_at, \
            status, reason, progress, listed, clean, closes_as, cleanup_since, cleanup_attempts, cleanup_stalled, \
            wake_at, fence, version, search_fold, rules, custom, wanted_start_at, approve_by, duration, closes_at, \
            extensions, warned, idle_since, locked, claim_node, claim_until, asked, wish) \
            select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, \
            $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, \
            $43, $44, $45, $46, $47, $48, $49, $50 \
            where not exists (select 1 from standing_lock where object_id in ($3, $9))";
        must_cover(permit, &[Verb::CreateSession], "session")?;
        let values = values![
            session.id.to_string(),
            session.request.to_string(),
            session.user.to_string(),
            &session.user_name,
            fold(&session.user_name),
            session.activity.to_string(),
            &session.activity_name,
            fold(&session.activity_name),
            session.resource.to_string(),
            &session.resource_name,
            fold(&session.resource_name),
            session.policy.to_string(),
            &session.policy_name,
            session.profile.to_string(),
            &session.profile_name,
            to_json(&session.pins),
            &session.account.name,
            i64::from(session.account.uid),
            &session.notes,
            &session.ticket,
            session.requested_at.as_micros(),
            micros(session.start_at),
            micros(session.end_at),
            session.status.as_str(),
            session.reason.as_ref().map(to_json),
            session.progress.as_ref().map(to_json),
            session.listed,
            session.clean,
            session.closes_as.map(Status::as_str),
            micros(session.cleanup_since),
            session.cleanup_attempts,
            session.cleanup_stalled,
            micros(session.wake_at),
            session.fence,
            session.version,
            search_text(session),
            to_json(&session.rules),
            to_json(&session.custom),
            micros(session.wanted_start_at),
            micros(session.approve_by),
            session.duration.as_micros(),
            micros(session.closes_at),
            i64::from(session.extensions),
            i64::from(session.warned),
            micros(session.idle_since),
            session.lock.as_ref().map(to_json),
            session.claim.as_ref().map(|claim| claim.node.as_str()),
            session.claim.as_ref().map(|claim| claim.until.as_micros()),
            session.asked.as_ref().map(to_json),
            session.wish.as_ref().map(to_json)
        ];
        self.keep(Write { sql: SQL.to_owned(), values, rows: 1, ids: vec![session.id.to_string()] }).await?;
        self.held.push(session.id);
        Ok(())
    }

    /// Every session that is not cleaned up yet and that one of these users decided about.
    pub async fn sessions_decided_by(&mut self, users: &[ObjectId]) -> Result<Vec<Session>, StoreError> {
        const SQL: &str = "select * from session where not clean and id in (select session_id from approval \
            where approver_id in (select value from json_each($1))) order by id";
        fetch_all!(SessionRow, self, SQL, id_list(users))?.into_iter().map(Session::try_from).collect()
    }

    /// The sessions of one request, in the order in which they were written.
    pub async fn sessions_of_request(&mut self, request: RequestId) -> Result<Vec<Session>, StoreError> {
        const SQL: &str = "select * from session where request_id = $1 order by id";
        fetch_all!(SessionRow, self, SQL, request.to_string())?.into_iter().map(Session::try_from).collect()
    }

    /// Every session that still has or awaits something, of these users, policies, activities, resources or profiles.
    pub async fn sessions_on(&mut self, objects: &[ObjectId]) -> Result<Vec<Session>, StoreError> {
        const SQL: &str = "with wanted as (select value from json_each($1)) select * from session where not clean \
            and (user_id in (select value from wanted) or policy_id in (select value from wanted) \
            or activity_id in (select value from wanted) or resource_id in (select value from wanted) \
            or profile_id in (select value from wanted)) order by id";
        fetch_all!(SessionRow, self, SQL, id_list(objects))?.into_iter().map(Session::try_from).collect()
    }

    /// Every session that is not cleaned up yet.
    pub async fn live_sessions(&mut self) -> Result<Vec<Session>, StoreError> {
        const SQL: &str = "select * from session where not clean order by id";
        fetch_all!(SessionRow, self, SQL)?.into_iter().map(Session::try_from).collect()
    }

    /// Writes what a session is judged by and with which account it works, which [`Tx::save_session`] leaves alone. Comes
    /// before it in the same unit, which guards the version.
    pub async fn repin_session(&mut self, permit: &Permit, session: &Session) -> Result<(), StoreError> {
        const SQL: &str = "update session set pins = $3, rules = $4, duration = $5, account_name = $6, account_uid = $7 \
            where id = $1 and version = $2";
        must_cover(permit, MOVES, "session")?;
        let saved = execute!(
            self,
            SQL,
            session.id.to_string(),
            session.version,
            to_json(&session.pins),
            to_json(&session.rules),
            session.duration.as_micros(),
            &session.account.name,
            i64::from(session.account.uid)
        )?;
        exactly_one(saved)
    }

    /// The session of this id.
    pub async fn session(&mut self, id: SessionId) -> Result<Option<Session>, StoreError> {
        let row = fetch_optional!(SessionRow, self, "select * from session where id = $1", id.to_string())?;
        row.map(Session::try_from).transpose()
    }

    /// The session of this id, with every decision about it, oldest first. Most have none, and then that is one statement.
    pub async fn session_with_approvals(
        &mut self,
        id: SessionId,
    ) -> Result<Option<(Session, Vec<Approval>)>, StoreError> {
        const SQL: &str = "select *, exists (select 1 from approval where session_id = session.id) as is_decided \
            from session where id = $1";
        let Some(row) = fetch_optional!(DecidedRow, self, SQL, id.to_string())? else { return Ok(None) };
        let approvals = if row.is_decided { self.approvals_of(&[id]).await? } else { Vec::new() };
        Ok(Some((row.session.try_into()?, approvals)))
    }

    /// Saves what can change in a session, if nobody saved or claimed it since it was read; `version` rises by one. The
    /// unit fails with [`StoreError::Conflict`] if somebody did.
    /// A hold that was renewed since lasts as long as it was renewed for.
    /// Names, pins, account, notes and ticket are fixed when the session is written. Drop `session` if the unit fails.
    pub async fn save_session(&mut self, permit: &Permit, session: &mut Session) -> Result<(), StoreError> {
        self.save_session_while(permit, session, &[]).await
    }

    /// As [`Tx::save_session`], if every one of these objects is still as it was at that version, too.
    pub async fn save_session_while(
        &mut self,
        permit: &Permit,
        session: &mut Session,
        revisions: &[Revision],
    ) -> Result<(), StoreError> {
        const SQL: &str = "update session set start_at = $3, end_at = $4, status = $5, reason = $6, progress = $7, \
            listed = $8, clean = $9, closes_as = $10, cleanup_since = $11, cleanup_attempts = $12, \
            cleanup_stalled = $13, wake_at = $14, search_fold = $15, fence = $16, wanted_start_at = $17, approve_by = $18, \
            duration = $19, closes_at = $20, extensions = $21, warned = $22, idle_since = $23, locked = $24, \
            claim_node = $25, \
            claim_until = case when claim_node = $25 and claim_until > $26 then claim_until else $26 end, \
            asked = $27, wish = $28, version = version + 1 where id = $1 and version = $2";
        must_cover(permit, MOVES, "session")?;
        let mut values = values![
            session.id.to_string(),
            session.version,
            micros(session.start_at),
            micros(session.end_at),
            session.status.as_str(),
            session.reason.as_ref().map(to_json),
            session.progress.as_ref().map(to_json),
            session.listed,
            session.clean,
            session.closes_as.map(Status::as_str),
            micros(session.cleanup_since),
            session.cleanup_attempts,
            session.cleanup_stalled,
            micros(session.wake_at),
            search_text(session),
            session.fence,
            micros(session.wanted_start_at),
            micros(session.approve_by),
            session.duration.as_micros(),
            micros(session.closes_at),
            i64::from(session.extensions),
            i64::from(session.warned),
            micros(session.idle_since),
            session.lock.as_ref().map(to_json),
            session.claim.as_ref().map(|claim| claim.node.as_str()),
            session.claim.as_ref().map(|claim| claim.until.as_micros()),
            session.asked.as_ref().map(to_json),
            session.wish.as_ref().map(to_json)
        ];
        let mut sql = SQL.to_owned();
        for revision in revisions {
            let (id, version) = (values.len() + 1, values.len() + 2);
            sql.push_str(&format!(" and exists (select 1 from object where id = ${id} and version = ${version})"));
            values.extend(values![revision.object.to_string(), revision.version]);
        }
        self.keep(Write { sql, values, rows: 1, ids: vec![session.id.to_string()] }).await?;
        self.held.push(session.id);
        session.version += 1;
        Ok(())
    }

    /// Claims at most `limit` sessions that are due and in no other node's hands, but none of those that this node has in hand
    /// already: raises `fence` and `version` of each. Most overdue first.
    ///
    /// `in_hand` is asked again when it is known which are due: one that was taken in hand before it was seen to be due is on that
    /// list by then. What finds no `room` on its resource stays as it is.
    pub async fn claim_due(
        &mut self,
        now: Timestamp,
        claim: &Claim,
        in_hand: impl Fn() -> Vec<SessionId>,
        mut room: Room,
        limit: u32,
    ) -> Result<Vec<Session>, StoreError> {
        const DUE: &str = concat!(
            "select id, resource_id, status, clean from session \
             where wake_at <= $1 and id not in (select value from json_each($2)) \
             and (claim_node is null or claim_node = $3 or claim_until <= $1) and ",
            finds_room!(),
            " order by wake_at, id limit $7"
        );
        let ([placing, removing, scanning], exclude) = (full(&room), id_list(&in_hand()));
        let now_micros = now.as_micros();
        let rows =
            fetch_all!(DueRow, self, DUE, now_micros, exclude, &claim.node, placing, removing, scanning, LOOKED_AT)?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut due = Vec::new();
        for row in rows {
            let resource = parse("session.resource_id", &row.resource_id)?;
            let lane = Lane::of(parse("session.status", &row.status)?, row.clean);
            if due.len() < limit && lane.is_none_or(|lane| room.take(lane, resource)) {
                due.push(parse("session.id", &row.id)?);
            }
        }
        let taken = in_hand();
        due.retain(|id| !taken.contains(id));
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let (sql, until) = (self.claim_due_sql(), claim.until.as_micros());
        let rows = fetch_all!(SessionRow, self, sql, now.as_micros(), id_list(&due), &claim.node, until)?;
        let claimed: Result<Vec<Session>, _> = rows.into_iter().map(Session::try_from).collect();
        let mut claimed = claimed?;
        claimed.sort_by_key(|session| (session.wake_at, session.id));
        Ok(claimed)
    }

    /// Claims one session, due or not: raises `fence` and `version`. [`StoreError::Conflict`] if there is none, or if it is
    /// in another node's hands.
    pub async fn claim(&mut self, id: SessionId, claim: &Claim, now: Timestamp) -> Result<Session, StoreError> {
        const SQL: &str = "update session set fence = fence + 1, version = version + 1, claim_node = $2, claim_until = $3 \
            where id = $1 and (claim_node is null or claim_node = $2 or claim_until <= $4) returning *";
        let (node, until) = (&claim.node, claim.until.as_micros());
        let row = fetch_optional!(SessionRow, self, SQL, id.to_string(), node, until, now.as_micros())?;
        row.ok_or(StoreError::Conflict)?.try_into()
    }

    /// Raises `fence` and `version` of a session without taking it out of anybody's hands: for a command beside the engine's.
    /// [`StoreError::Conflict`] if there is none.
    pub async fn raise_fence(&mut self, id: SessionId) -> Result<Session, StoreError> {
        const SQL: &str = "update session set fence = fence + 1, version = version + 1 where id = $1 returning *";
        let row = fetch_optional!(SessionRow, self, SQL, id.to_string())?;
        row.ok_or(StoreError::Conflict)?.try_into()
    }

    /// Raises the fence of a session to `fence`, if it is lower: the host has seen that number.
    pub async fn raise_fence_to(&mut self, id: SessionId, fence: i64) -> Result<(), StoreError> {
        const SQL: &str = "update session set fence = $2, version = version + 1 where id = $1 and fence < $2";
        execute!(self, SQL, id.to_string(), fence)?;
        Ok(())
    }

    /// The newest fence of a session. Nobody else saves or claims it until the unit ends: for units that write of a session
    /// without saving it.
    pub async fn hold_session(&mut self, id: SessionId) -> Result<Option<i64>, StoreError> {
        let sql = self.hold_fence_sql();
        let row = fetch_optional!((i64,), self, sql, id.to_string())?;
        if row.is_some() {
            self.held.push(id);
        }
        Ok(row.map(|(fence,)| fence))
    }

    /// Keeps sessions in this node's hands until a later time. Those that are in others' by now stay there.
    pub async fn renew_claims(&mut self, claim: &Claim, sessions: &[SessionId]) -> Result<(), StoreError> {
        const SQL: &str = "update session set claim_until = $2 \
            where claim_node = $1 and id in (select value from json_each($3))";
        execute!(self, SQL, &claim.node, claim.until.as_micros(), id_list(sessions))?;
        Ok(())
    }

    /// Those of these sessions that are in other nodes' hands.
    pub async fn claimed_by_others(
        &mut self,
        node: &str,
        sessions: &[SessionId],
    ) -> Result<Vec<SessionId>, StoreError> {
        const SQL: &str = "select id from session where claim_node <> $1 and id in (select value from json_each($2))";
        let rows = fetch_all!((String,), self, SQL, node, id_list(sessions))?;
        rows.iter().map(|(id,)| parse("session.id", id)).collect()
    }

    /// When the first of the other nodes' holds is over on a session that is due or will be by then: this node may take it up.
    /// Only of sessions that are due by `by`.
    pub async fn next_lease_end(
        &mut self,
        node: &str,
        now: Timestamp,
        by: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        const SQL: &str = "select min(case when wake_at > claim_until then wake_at else claim_until end) from session \
            where claim_node <> $1 and claim_until > $2 and wake_at <= $3";
        let (at,) = fetch_one!((Option<i64>,), self, SQL, node, now.as_micros(), by.as_micros())?;
        Ok(time(at))
    }

    /// The sessions of these ids.
    pub async fn sessions_by_id(&mut self, ids: &[SessionId]) -> Result<Vec<Session>, StoreError> {
        const SQL: &str = "select * from session where id in (select value from json_each($1)) order by id";
        fetch_all!(SessionRow, self, SQL, id_list(ids))?.into_iter().map(Session::try_from).collect()
    }

    /// When the next session is due that this node could take, but for those of `exclude` and those that find no `room`.
    pub async fn next_wake(
        &mut self,
        now: Timestamp,
        node: &str,
        exclude: &[SessionId],
        room: &Room,
    ) -> Result<Option<Timestamp>, StoreError> {
        const SQL: &str = concat!(
            "select wake_at from session where wake_at is not null and id not in (select value from json_each($2)) \
             and (claim_node is null or claim_node = $3 or claim_until <= $1) and ",
            finds_room!(),
            " order by wake_at, id limit 1"
        );
        let [placing, removing, scanning] = full(room);
        let row =
            fetch_optional!((i64,), self, SQL, now.as_micros(), id_list(exclude), node, placing, removing, scanning)?;
        Ok(row.map(|(at,)| Timestamp::from_micros(at)))
    }

    /// How many sessions of a user wait for approval.
    pub async fn waiting_of(&mut self, user: ObjectId) -> Result<i64, StoreError> {
        const SQL: &str = "select count(*) from session \
            where user_id = $1 and listed and status = 'waiting_for_approval'";
        Ok(fetch_one!((i64,), self, SQL, user.to_string())?.0)
    }

    /// How many sessions that are not cleaned up yet hang on a configuration object, as their user, activity,
    /// resource, policy or connection profile.
    pub async fn live_sessions_of(&mut self, object: ObjectId) -> Result<i64, StoreError> {
        const SQL: &str = "select count(*) from session where not clean \
            and $1 in (user_id, activity_id, resource_id, policy_id, profile_id)";
        Ok(fetch_one!((i64,), self, SQL, object.to_string())?.0)
    }
}

/// What may move a session on.
const MOVES: &[Verb] = &[
    Verb::Connect,
    Verb::DecideSession,
    Verb::DismissSession,
    Verb::DriveSession,
    Verb::EndSession,
    Verb::ExtendSession,
    Verb::Launch,
    Verb::Lock,
    Verb::RetrySession,
    Verb::RevealPassword,
    Verb::TryRemoval,
];

/// What searching looks through: everything of a session that a table shows as text, folded.
fn search_text(session: &Session) -> String {
    let mut parts = vec![
        session.user_name.as_str(),
        &session.activity_name,
        &session.resource_name,
        &session.account.name,
        &session.notes,
        &session.ticket,
        session.status.as_str(),
    ];
    if let Some(reason) = &session.reason {
        parts.extend([reason.code.as_str(), &reason.detail]);
    }
    fold(&parts.join("\n"))
}
