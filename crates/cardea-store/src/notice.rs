//! The outbox: what is told outside. A notice is written with what it tells of, and sent by whoever claims it.

use cardea_domain::{
    Claim, Facts, InvitationId, NoticeId, NoticeKind, NoticeState, ObjectId, RequestId, SessionId, Timestamp,
};

use crate::{
    StoreError, Tx,
    batch::{Write, places, values},
    row::{
        corrupt, count, exactly_one, from_json, id_list, micros, one_of, parse, parse_optional, time, to_json,
        without_nul,
    },
    tx::{execute, fetch_all, fetch_optional},
};

/// Notices of one insert.
const INSERT_MAX: usize = 500;

/// One notice to one receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct NoticeRow {
    pub id: NoticeId,
    pub kind: NoticeKind,
    /// What it goes out by: `mail`, or a webhook.
    pub outlet: String,
    /// A mail address, or the webhook's name.
    pub receiver: String,
    /// Whom it is for, if it is for a person.
    pub user: Option<ObjectId>,
    /// What it is about.
    pub request: Option<RequestId>,
    pub sessions: Vec<SessionId>,
    pub invitation: Option<InvitationId>,
    pub facts: Facts,
    pub state: NoticeState,
    pub created_at: Timestamp,
    /// When it is to be sent, or sent again.
    pub wake_at: Option<Timestamp>,
    /// From then on it is not tried any more.
    pub give_up_at: Timestamp,
    pub attempts: u32,
    pub last_error: Option<String>,
    /// When it was sent, dropped or given up.
    pub done_at: Option<Timestamp>,
    pub claim: Option<Claim>,
    pub version: i64,
}

/// How much is in the outbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoticeFigures {
    pub waiting: u64,
    pub failed: u64,
    /// Since when the one that waited longest is due.
    pub due_since: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    kind: String,
    outlet: String,
    receiver: String,
    user_id: Option<String>,
    request_id: Option<String>,
    sessions: String,
    invitation_id: Option<String>,
    facts: String,
    state: String,
    created_at: i64,
    wake_at: Option<i64>,
    give_up_at: i64,
    attempts: i64,
    last_error: Option<String>,
    done_at: Option<i64>,
    claim_node: Option<String>,
    claim_until: Option<i64>,
    version: i64,
}

impl TryFrom<Row> for NoticeRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: parse("notice.id", &row.id)?,
            kind: parse("notice.kind", &row.kind)?,
            outlet: row.outlet,
            receiver: row.receiver,
            user: parse_optional("notice.user_id", row.user_id.as_deref())?,
            request: parse_optional("notice.request_id", row.request_id.as_deref())?,
            sessions: from_json("notice.sessions", &row.sessions)?,
            invitation: parse_optional("notice.invitation_id", row.invitation_id.as_deref())?,
            facts: from_json("notice.facts", &row.facts)?,
            state: one_of("notice.state", NoticeState::ALL, NoticeState::as_str, &row.state)?,
            created_at: Timestamp::from_micros(row.created_at),
            wake_at: time(row.wake_at),
            give_up_at: Timestamp::from_micros(row.give_up_at),
            attempts: count("notice.attempts", row.attempts)?,
            last_error: row.last_error,
            done_at: time(row.done_at),
            claim: row.claim_node.zip(time(row.claim_until)).map(|(node, until)| Claim { node, until }),
            version: row.version,
        })
    }
}

impl Tx {
    /// Notices that this unit leaves behind, written at its end: what is pushed here goes out once the unit is committed.
    pub fn notices(&mut self) -> &mut Vec<NoticeRow> {
        &mut self.notices
    }

    pub(crate) async fn keep_notices(&mut self) -> Result<(), StoreError> {
        const SQL: &str = "insert into notice (id, kind, outlet, receiver, user_id, request_id, sessions, invitation_id, \
            facts, state, created_at, wake_at, give_up_at, attempts, version) values ";
        let mut notices = std::mem::take(&mut self.notices).into_iter().peekable();
        while notices.peek().is_some() {
            let some: Vec<_> = notices.by_ref().take(INSERT_MAX).collect();
            let rows = some.len();
            let row = |notice: NoticeRow| {
                values![
                    notice.id.to_string(),
                    notice.kind.as_str(),
                    notice.outlet,
                    notice.receiver,
                    notice.user.map(|id| id.to_string()),
                    notice.request.map(|id| id.to_string()),
                    to_json(&notice.sessions),
                    notice.invitation.map(|id| id.to_string()),
                    to_json(&notice.facts),
                    notice.state.as_str(),
                    notice.created_at.as_micros(),
                    micros(notice.wake_at),
                    notice.give_up_at.as_micros(),
                    i64::from(notice.attempts),
                    notice.version,
                ]
            };
            let values = some.into_iter().flat_map(row).collect();
            self.keep(Write { sql: format!("{SQL}{}", places(rows, 15)), values, rows, ids: Vec::new() }).await?;
        }
        Ok(())
    }

    /// When the next notice of an outlet is due that this node could send, but for those of `exclude`.
    pub async fn next_notice_wake(
        &mut self,
        outlet: &str,
        (now, node): (Timestamp, &str),
        exclude: &[NoticeId],
    ) -> Result<Option<Timestamp>, StoreError> {
        const SQL: &str = "select wake_at from notice where outlet = $1 and wake_at is not null \
            and id not in (select value from json_each($2)) \
            and (claim_node is null or claim_node = $3 or claim_until <= $4) order by wake_at, id limit 1";
        let row = fetch_optional!((i64,), self, SQL, outlet, id_list(exclude), node, now.as_micros())?;
        Ok(row.map(|(at,)| Timestamp::from_micros(at)))
    }

    /// Claims at most `limit` notices of an outlet that are due, but none of `exclude`.
    pub async fn claim_notices(
        &mut self,
        outlet: &str,
        (now, claim): (Timestamp, &Claim),
        exclude: &[NoticeId],
        limit: u32,
    ) -> Result<Vec<NoticeRow>, StoreError> {
        let (sql, until) = (self.claim_notices_sql(), claim.until.as_micros());
        let (exclude, limit) = (id_list(exclude), i64::from(limit));
        let rows = fetch_all!(Row, self, sql, now.as_micros(), exclude, limit, &claim.node, until, outlet)?;
        rows.into_iter().map(NoticeRow::try_from).collect()
    }

    /// Writes down how an attempt went and lets the notice go, if nobody claimed or changed it since.
    pub async fn settle_notice(&mut self, notice: &NoticeRow) -> Result<(), StoreError> {
        const SQL: &str = "update notice set state = $3, wake_at = $4, give_up_at = $5, attempts = $6, last_error = $7, \
            done_at = $8, claim_node = null, claim_until = null, version = version + 1 where id = $1 and version = $2";
        let settled = execute!(
            self,
            SQL,
            notice.id.to_string(),
            notice.version,
            notice.state.as_str(),
            micros(notice.wake_at),
            notice.give_up_at.as_micros(),
            i64::from(notice.attempts),
            notice.last_error.as_deref().map(without_nul),
            micros(notice.done_at)
        )?;
        exactly_one(settled)
    }

    /// Gives up at most `limit` notices whose time is over and that nobody works on: those of an outlet that no node has.
    pub async fn give_up_notices(&mut self, now: Timestamp, why: &str, limit: u32) -> Result<u64, StoreError> {
        const SQL: &str = "update notice set state = 'failed', wake_at = null, done_at = $1, \
            last_error = coalesce(last_error, $2), claim_node = null, claim_until = null, version = version + 1 \
            where id in (select id from notice where state = 'waiting' and give_up_at <= $1 \
            and (claim_until is null or claim_until <= $1) order by id limit $3)";
        execute!(self, SQL, now.as_micros(), why, i64::from(limit))
    }

    /// Forgets at most `limit` notices that were done before `before`, or given up before `failed_before`.
    pub async fn forget_notices(
        &mut self,
        before: Timestamp,
        failed_before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        const SQL: &str = "delete from notice where id in (select id from notice \
            where (state in ('sent', 'dropped') and done_at < $1) or (state = 'failed' and done_at < $2) \
            order by id limit $3)";
        execute!(self, SQL, before.as_micros(), failed_before.as_micros(), i64::from(limit))
    }

    /// The notice of this id.
    pub async fn notice(&mut self, id: NoticeId) -> Result<Option<NoticeRow>, StoreError> {
        let row = fetch_optional!(Row, self, "select * from notice where id = $1", id.to_string())?;
        row.map(NoticeRow::try_from).transpose()
    }

    /// At most `limit` notices, newest first, from behind `before`; only those in this state, if one is given.
    pub async fn list_notices(
        &mut self,
        state: Option<NoticeState>,
        before: Option<NoticeId>,
        limit: u32,
    ) -> Result<Vec<NoticeRow>, StoreError> {
        const SQL: &str = "select * from notice where state in (select value from json_each($1)) and id < $2 \
            order by id desc limit $3";
        let states: Vec<_> =
            NoticeState::ALL.into_iter().filter(|known| state.is_none_or(|state| state == *known)).collect();
        // Sorts behind every id: they are of smaller letters.
        let before = before.map_or_else(|| "~".to_owned(), |id| id.to_string());
        let states = to_json(&states.iter().map(|state| state.as_str()).collect::<Vec<_>>());
        let rows = fetch_all!(Row, self, SQL, states, before, i64::from(limit))?;
        rows.into_iter().map(NoticeRow::try_from).collect()
    }

    /// How much waits, and how much was given up.
    pub async fn notice_figures(&mut self) -> Result<NoticeFigures, StoreError> {
        const SQL: &str = "select state, count(*), min(wake_at) from notice \
            where state in ('waiting', 'failed') group by state";
        let mut figures = NoticeFigures::default();
        for (state, count, due) in fetch_all!((String, i64, Option<i64>), self, SQL)? {
            let count = u64::try_from(count).map_err(|error| corrupt("count", error))?;
            match state.as_str() {
                "waiting" => (figures.waiting, figures.due_since) = (count, time(due)),
                _ => figures.failed = count,
            }
        }
        Ok(figures)
    }
}
