//! Hosts as the clock asks them: who is logged in, and whether a mark is there that the ledger does not know.

use cardea_domain::{Claim, ObjectId, Period, Rules, SessionId, Status, Target, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, Tx,
    batch::{Write, values},
    row::{count, exactly_one, from_json, id_list, micros, parse, time, to_json},
    tx::{execute, fetch_all, fetch_one, fetch_optional},
};

/// What is known of one host, whichever resources it is.
#[derive(Clone, Debug, PartialEq)]
pub struct HostRow {
    /// Its host key; two resources may be one host.
    pub key: String,
    /// A resource that is this host.
    pub resource: ObjectId,
    /// How to get there.
    pub target: Target,
    /// When it is to be asked who is logged in; not while no session stands on it.
    pub poll_at: Option<Timestamp>,
    /// When it is to be searched for marks.
    pub sweep_at: Option<Timestamp>,
    /// How often in a row it did not answer.
    pub failures: u32,
    /// Marks that were told about and left, as the product names them.
    pub reported: Vec<String>,
    /// Whether somebody said that marks which no row stands for may be taken away.
    pub may_remove: bool,
    pub claim: Option<Claim>,
    pub version: i64,
}

/// The column `reported`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Reported {
    Left(Vec<String>),
    Leaving { marks: Vec<String> },
}

impl Reported {
    fn of(marks: &[String], may_remove: bool) -> String {
        let marks = marks.to_vec();
        to_json(&if may_remove { Self::Leaving { marks } } else { Self::Left(marks) })
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    key: String,
    resource_id: String,
    target: String,
    poll_at: Option<i64>,
    sweep_at: Option<i64>,
    failures: i64,
    reported: String,
    claim_node: Option<String>,
    claim_until: Option<i64>,
    version: i64,
}

impl TryFrom<Row> for HostRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let (reported, may_remove) = match from_json("host.reported", &row.reported)? {
            Reported::Left(marks) => (marks, false),
            Reported::Leaving { marks } => (marks, true),
        };
        Ok(Self {
            reported,
            may_remove,
            resource: parse("host.resource_id", &row.resource_id)?,
            target: from_json("host.target", &row.target)?,
            poll_at: time(row.poll_at),
            sweep_at: time(row.sweep_at),
            failures: count("host.failures", row.failures)?,
            claim: row.claim_node.zip(time(row.claim_until)).map(|(node, until)| Claim { node, until }),
            key: row.key,
            version: row.version,
        })
    }
}

impl Tx {
    /// Whether a host will be asked at `poll_at` or sooner who is logged in. On PostgreSQL another unit may be changing that.
    pub async fn is_polled(&mut self, key: &str, poll_at: Timestamp) -> Result<bool, StoreError> {
        const SQL: &str = "select count(*) from host where key = $1 and poll_at <= $2";
        Ok(fetch_one!((i64,), self, SQL, key, poll_at.as_micros())?.0 > 0)
    }

    /// Has a host asked at `poll_at` or sooner who is logged in, by the way that `target` is; writes it down if it was not
    /// known.
    pub async fn poll_host(&mut self, key: &str, target: &Target, poll_at: Timestamp) -> Result<(), StoreError> {
        const SQL: &str = "insert into host (key, resource_id, target, wake_at, poll_at, failures, reported, version) \
            values ($1, $2, $3, $4, $4, 0, '[]', 1) \
            on conflict (key) do update set resource_id = excluded.resource_id, target = excluded.target, \
            wake_at = case when host.wake_at < excluded.wake_at then host.wake_at else excluded.wake_at end, \
            poll_at = case when host.poll_at < excluded.poll_at then host.poll_at else excluded.poll_at end, \
            version = host.version + 1";
        let values = values![key, target.resource.to_string(), to_json(target), poll_at.as_micros()];
        self.keep(Write { sql: SQL.to_owned(), values, rows: 1, ids: vec![key.to_owned()] }).await
    }

    /// Has a host searched for marks at `sweep_at` or sooner; writes it down if it was not known.
    pub async fn sweep_host(&mut self, key: &str, target: &Target, sweep_at: Timestamp) -> Result<(), StoreError> {
        const SQL: &str = "insert into host (key, resource_id, target, wake_at, sweep_at, failures, reported, version) \
            values ($1, $2, $3, $4, $4, 0, '[]', 1) \
            on conflict (key) do update set \
            wake_at = case when host.wake_at < excluded.wake_at then host.wake_at else excluded.wake_at end, \
            sweep_at = case when host.sweep_at < excluded.sweep_at then host.sweep_at else excluded.sweep_at end, \
            version = host.version + 1";
        execute!(self, SQL, key, target.resource.to_string(), to_json(target), sweep_at.as_micros())?;
        Ok(())
    }

    /// Writes down that marks on a host which no row stands for may be taken away, with its next search.
    pub async fn allow_removal(&mut self, key: &str) -> Result<(), StoreError> {
        const SQL: &str = "update host set reported = $2, version = version + 1 where key = $1 and version = $3";
        let host = self.host(key).await?.ok_or(StoreError::Conflict)?;
        exactly_one(execute!(self, SQL, key, Reported::of(&host.reported, true), host.version)?)
    }

    /// The host of this key.
    pub async fn host(&mut self, key: &str) -> Result<Option<HostRow>, StoreError> {
        fetch_optional!(Row, self, "select * from host where key = $1", key)?.map(HostRow::try_from).transpose()
    }

    /// When the next host wants to be asked that this node could ask, but for those of `exclude`.
    pub async fn next_host_wake(
        &mut self,
        now: Timestamp,
        node: &str,
        exclude: &[String],
    ) -> Result<Option<Timestamp>, StoreError> {
        const SQL: &str = "select wake_at from host where wake_at is not null \
            and key not in (select value from json_each($1)) \
            and (claim_node is null or claim_node = $2 or claim_until <= $3) order by wake_at, key limit 1";
        let row = fetch_optional!((i64,), self, SQL, to_json(&exclude), node, now.as_micros())?;
        Ok(row.map(|(at,)| Timestamp::from_micros(at)))
    }

    /// Claims at most `limit` hosts that are due, but none of `exclude`.
    pub async fn claim_hosts(
        &mut self,
        now: Timestamp,
        claim: &Claim,
        exclude: &[String],
        limit: u32,
    ) -> Result<Vec<HostRow>, StoreError> {
        let (sql, until) = (self.claim_hosts_sql(), claim.until.as_micros());
        let (exclude, limit) = (to_json(&exclude), i64::from(limit));
        let rows = fetch_all!(Row, self, sql, now.as_micros(), exclude, limit, &claim.node, until)?;
        rows.into_iter().map(HostRow::try_from).collect()
    }

    /// Who stands on these resources: the sessions with an account there, the number of each account, and what they are at.
    pub async fn standing_on(&mut self, resources: &[ObjectId]) -> Result<Vec<(SessionId, u32, Status)>, StoreError> {
        const SQL: &str = "select id, account_uid, status from session \
            where status in ('available', 'logged_in', 'locked') and account_uid > 0 \
            and id in (select session_id from grant_entry where is_out \
            and resource_id in (select value from json_each($1))) order by id";
        let rows = fetch_all!((String, i64, String), self, SQL, id_list(resources))?;
        let standing = |(id, uid, status): (String, i64, String)| {
            Ok((parse("session.id", &id)?, count("session.account_uid", uid)?, parse("session.status", &status)?))
        };
        rows.into_iter().map(standing).collect()
    }

    /// How often these resources are to be asked who is logged in: the smallest interval of the sessions with a log-in that
    /// stand on them; `None` if none does.
    pub async fn monitor_interval(&mut self, resources: &[ObjectId]) -> Result<Option<Period>, StoreError> {
        const SQL: &str = "select distinct rules from session where status in ('available', 'logged_in', 'locked') \
            and id in (select session_id from grant_entry where is_out \
            and resource_id in (select value from json_each($1)))";
        let rows = fetch_all!((String,), self, SQL, id_list(resources))?;
        let rules: Result<Vec<Rules>, _> = rows.iter().map(|(text,)| from_json("session.rules", text)).collect();
        Ok(rules?.iter().filter(|rules| rules.has_login).map(|rules| rules.monitor_interval).min())
    }

    /// Keeps hosts in this node's hands until a later time.
    pub async fn renew_host_claims(&mut self, claim: &Claim, keys: &[String]) -> Result<(), StoreError> {
        const SQL: &str = "update host set claim_until = $2 \
            where claim_node = $1 and key in (select value from json_each($3))";
        execute!(self, SQL, &claim.node, claim.until.as_micros(), to_json(&keys))?;
        Ok(())
    }

    /// Saves what was learned of a host and lets it go, if nobody claimed or changed it since.
    pub async fn save_host(&mut self, host: &HostRow) -> Result<(), StoreError> {
        const SQL: &str = "update host set wake_at = $3, poll_at = $4, sweep_at = $5, failures = $6, reported = $7, \
            claim_node = null, claim_until = null, version = version + 1 where key = $1 and version = $2";
        let wake_at = [host.poll_at, host.sweep_at].into_iter().flatten().min();
        let saved = execute!(
            self,
            SQL,
            &host.key,
            host.version,
            micros(wake_at),
            micros(host.poll_at),
            micros(host.sweep_at),
            i64::from(host.failures),
            Reported::of(&host.reported, host.may_remove)
        )?;
        exactly_one(saved)
    }
}
