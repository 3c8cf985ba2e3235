//! Reviews of sessions that began without anybody's yes.

use cardea_domain::{Approves, ObjectId, Permit, Review, ReviewFinding, SessionId, Status, Timestamp, Verb, Verdict};
use sqlx::AssertSqlSafe;

use crate::{
    StoreError, Tx,
    row::{corrupt, id_list, must_cover, one_of, parse},
    tx::{execute, fetch_all, fetch_optional},
};

/// A review, and what its session was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewRow {
    pub review: Review,
    pub user_name: String,
    pub activity_name: String,
    pub resource_name: String,
    pub profile_name: String,
    pub notes: String,
    pub requested_at: Timestamp,
    /// What became of its session so far.
    pub status: Status,
}

/// Which reviews.
#[derive(Clone, Debug)]
pub struct ReviewFilter {
    /// This user's own and those that they may make; everybody's if `None`.
    pub whose: Option<(ObjectId, Approves)>,
    /// Made already, instead of still to be made.
    pub is_done: bool,
    /// Due by then.
    pub due_by: Timestamp,
    /// Behind this one.
    pub after: Option<SessionId>,
    pub limit: u32,
}

#[derive(sqlx::FromRow)]
struct Row {
    session_id: String,
    profile_id: String,
    user_id: String,
    due_at: i64,
    verdict: Option<String>,
    reason: Option<String>,
    reviewer_id: Option<String>,
    reviewer_name: Option<String>,
    reviewed_at: Option<i64>,
    user_name: String,
    activity_name: String,
    resource_name: String,
    profile_name: String,
    notes: String,
    requested_at: i64,
    status: String,
}

impl TryFrom<Row> for ReviewRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let finding = match (row.verdict, row.reason, row.reviewer_id, row.reviewer_name, row.reviewed_at) {
            (Some(verdict), Some(reason), Some(reviewer), Some(reviewer_name), Some(at)) => Some(ReviewFinding {
                verdict: one_of("review.verdict", Verdict::ALL, Verdict::as_str, &verdict)?,
                reason,
                reviewer: parse("review.reviewer_id", &reviewer)?,
                reviewer_name,
                at: Timestamp::from_micros(at),
            }),
            (None, None, None, None, None) => None,
            _ => return Err(corrupt("review.verdict", "half a finding")),
        };
        let review = Review {
            session: parse("review.session_id", &row.session_id)?,
            profile: parse("review.profile_id", &row.profile_id)?,
            user: parse("review.user_id", &row.user_id)?,
            due_at: Timestamp::from_micros(row.due_at),
            finding,
        };
        Ok(Self {
            review,
            user_name: row.user_name,
            activity_name: row.activity_name,
            resource_name: row.resource_name,
            profile_name: row.profile_name,
            notes: row.notes,
            requested_at: Timestamp::from_micros(row.requested_at),
            status: parse("session.status", &row.status)?,
        })
    }
}

const COLUMNS: &str = "select r.*, s.user_name, s.activity_name, s.resource_name, s.profile_name, s.notes, s.requested_at, s.status \
    from review r join session s on s.id = r.session_id where ";

impl Tx {
    /// Writes down that a session has to be reviewed, again if that was done for an earlier try. Whether it had not to before.
    pub async fn insert_review(&mut self, permit: &Permit, review: &Review) -> Result<bool, StoreError> {
        const SQL: &str = "insert into review (session_id, profile_id, user_id, due_at) values ($1, $2, $3, $4) \
            on conflict (session_id) do update set due_at = excluded.due_at, verdict = null, reason = null, \
            reviewer_id = null, reviewer_name = null, reviewed_at = null where review.reviewed_at is not null";
        must_cover(permit, &[Verb::CreateSession, Verb::DriveSession, Verb::RetrySession], "review")?;
        let (session, profile, user) = (review.session, review.profile, review.user);
        let written =
            execute!(self, SQL, session.to_string(), profile.to_string(), user.to_string(), review.due_at.as_micros())?;
        Ok(written > 0)
    }

    /// Writes down what a reviewer found, unless somebody did before. Whether it is written.
    pub async fn close_review(
        &mut self,
        permit: &Permit,
        session: SessionId,
        finding: &ReviewFinding,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "update review set verdict = $2, reason = $3, reviewer_id = $4, reviewer_name = $5, reviewed_at = $6 \
            where session_id = $1 and reviewed_at is null";
        must_cover(permit, &[Verb::ReviewSession], "review")?;
        let written = execute!(
            self,
            SQL,
            session.to_string(),
            finding.verdict.as_str(),
            &finding.reason,
            finding.reviewer.to_string(),
            &finding.reviewer_name,
            finding.at.as_micros()
        )?;
        Ok(written > 0)
    }

    /// The review of a session, if it has to have one.
    pub async fn review(&mut self, session: SessionId) -> Result<Option<ReviewRow>, StoreError> {
        let sql = AssertSqlSafe(format!("{COLUMNS} r.session_id = $1"));
        fetch_optional!(Row, self, sql, session.to_string())?.map(ReviewRow::try_from).transpose()
    }

    /// Reviews, of the oldest session first.
    pub async fn reviews(&mut self, filter: &ReviewFilter) -> Result<Vec<ReviewRow>, StoreError> {
        let done = if filter.is_done { "not null" } else { "null" };
        let sql = AssertSqlSafe(format!(
            "{COLUMNS} r.reviewed_at is {done} and r.due_at <= $1 and r.session_id > $2 \
             and ($3 is null or r.user_id = $3 or r.profile_id in (select value from json_each($4)) \
             or (r.profile_id in (select value from json_each($5)) and r.user_id in (select value from json_each($6)))) \
             order by r.session_id limit $7"
        ));
        let whose = filter.whose.as_ref();
        let list = |of: fn(&Approves) -> &Vec<ObjectId>| whose.map(|(_, approves)| id_list(of(approves)));
        let rows = fetch_all!(
            Row,
            self,
            sql,
            filter.due_by.as_micros(),
            filter.after.map(|id| id.to_string()).unwrap_or_default(),
            whose.map(|(user, _)| user.to_string()),
            list(|approves| &approves.profiles),
            list(|approves| &approves.as_manager),
            list(|approves| &approves.reports),
            i64::from(filter.limit)
        )?;
        rows.into_iter().map(ReviewRow::try_from).collect()
    }
}
