//! Numbers for the operator's view, of one moment. What they cost grows with what is listed and out, not with history.

use cardea_domain::{Status, Timestamp};

use crate::{
    StoreError, Tx,
    row::{corrupt, parse, time},
    tx::fetch_all,
};

/// How much of what there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreFigures {
    /// Sessions on the active list, by status; a status that none has is not named.
    pub sessions: Vec<(Status, u64)>,
    /// Grants that are, or could be, on a target.
    pub grants_out: u64,
    /// Sessions whose clean-up has been failing for too long.
    pub stalled: u64,
    /// When the oldest of these clean-ups began.
    pub stalled_since: Option<Timestamp>,
    /// Sessions that want to be looked at, those that are being looked at among them.
    pub due: u64,
    /// Since when the one that waited longest is due.
    pub due_since: Option<Timestamp>,
    /// Reviews that should have been made by now.
    pub reviews_overdue: u64,
}

impl Tx {
    /// The figures at `now`, by one statement.
    pub async fn figures(&mut self, now: Timestamp) -> Result<StoreFigures, StoreError> {
        const SQL: &str = "select 'sessions', status, count(*), cast(null as bigint) from session \
                where listed = $2 group by status \
            union all select 'out', '', count(*), cast(null as bigint) from grant_entry \
                where is_out \
            union all select 'stalled', '', count(*), min(cleanup_since) from session \
                where not clean and cleanup_stalled = $2 \
            union all select 'reviews', '', count(*), cast(null as bigint) from review \
                where reviewed_at is null and due_at <= $1 \
            union all select 'due', '', count(*), min(wake_at) from session where wake_at <= $1";
        let rows = fetch_all!((String, String, i64, Option<i64>), self, SQL, now.as_micros(), true)?;
        let mut figures = StoreFigures::default();
        for (what, status, count, since) in rows {
            let count = u64::try_from(count).map_err(|error| corrupt("count", error))?;
            match what.as_str() {
                "sessions" => figures.sessions.push((parse("session.status", &status)?, count)),
                "out" => figures.grants_out = count,
                "reviews" => figures.reviews_overdue = count,
                "stalled" => (figures.stalled, figures.stalled_since) = (count, time(since)),
                _ => (figures.due, figures.due_since) = (count, time(since)),
            }
        }
        Ok(figures)
    }
}
