//! PostgreSQL: a transaction per unit, and a lock that keeps a second Cardea off the same database.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::{
    Connection as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use crate::{
    StoreError,
    tally::Counters,
    tx::{Conn, Tx},
    unit::{UNIT_TIME_MAX, Unit, run_effects},
    url,
};

const CONNECTIONS_MAX: u32 = 10;
/// For a connection, a commit, a question: anything that crosses the network once.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Only one process at a time holds this advisory lock of a database: "cardea" in ASCII, then 1.
pub(crate) const OWNER_LOCK: i64 = 0x6361_7264_6561_0001;
/// The server needs a moment to notice that a killed process is gone.
const OWNER_WAIT_MAX: Duration = Duration::from_secs(3);
/// How often the lock is looked after.
const OWNER_CHECK: Duration = Duration::from_secs(2);

pub(crate) struct PostgresStore {
    pool: PgPool,
    commits: Arc<Commits>,
    owner: JoinHandle<()>,
    /// The lock went to somebody else while the server was away: nothing may be written any more.
    disowned: Arc<AtomicBool>,
    counters: Arc<Counters>,
}

impl PostgresStore {
    pub(crate) async fn open(address: &str, counters: Arc<Counters>) -> Result<Self, StoreError> {
        let options = url::options(address)?.application_name("cardea");
        let mut owner = own(&options).await?;
        sqlx::migrate!("migrations/postgres").run_direct(None, &mut owner, false).await?;
        // The server gives up before the caller does, so that nothing goes on behind its back.
        let options = options.options([
            ("statement_timeout", "20s"),
            ("lock_timeout", "10s"),
            ("idle_in_transaction_session_timeout", "60s"),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(ANSWER_MAX)
            .connect_with(options.clone())
            .await?;
        let disowned = Arc::new(AtomicBool::new(false));
        let owner = tokio::spawn(keep_owning(owner, options, disowned.clone()));
        Ok(Self { pool, commits: Arc::default(), owner, disowned, counters })
    }

    /// Starts a unit. It runs to its end even if its caller goes away, as it does on SQLite.
    pub(crate) async fn submit(&self, mut unit: Box<dyn Unit>) -> Result<(), StoreError> {
        if self.disowned.load(Ordering::Relaxed) {
            return Err(StoreError::InUse);
        }
        let transaction = timeout(ANSWER_MAX * 2, self.pool.begin()).await.map_err(|_| StoreError::TooSlow)??;
        let (commits, counters) = (self.commits.clone(), Arc::clone(&self.counters));
        // Ends within the unit's and the commit's time; closing the pool waits for it.
        tokio::spawn(async move {
            let mut tx = Tx::new(Conn::Postgres(transaction), counters);
            if !unit.run(&mut tx).await {
                if !matches!(timeout(ANSWER_MAX, tx.rollback()).await, Ok(Ok(()))) {
                    tracing::warn!("A rollback got no answer; PostgreSQL rolls back when the connection is gone");
                }
                return unit.finish(Ok(()));
            }
            let effects = tx.take_effects();
            let (turn, done) = commits.take_turn();
            let committed = timeout(UNIT_TIME_MAX, tx.commit()).await.unwrap_or_else(|_| Err(no_answer().into()));
            // An error says that the one before is done, too: it dropped its end.
            drop(turn.await);
            if committed.is_ok() {
                run_effects(effects);
            }
            drop(done);
            unit.finish(committed);
        });
        Ok(())
    }

    /// All reads of a unit see the same moment, as on SQLite.
    pub(crate) async fn begin_read(&self) -> Result<Tx, StoreError> {
        let begin = self.pool.begin_with("begin isolation level repeatable read read only");
        let transaction = timeout(ANSWER_MAX * 2, begin).await.map_err(|_| StoreError::TooSlow)??;
        Ok(Tx::new(Conn::Postgres(transaction), Arc::clone(&self.counters)))
    }

    /// Connections that units hold.
    pub(crate) fn units(&self) -> usize {
        usize::try_from(self.pool.size()).unwrap_or(usize::MAX).saturating_sub(self.pool.num_idle())
    }

    /// Waits for running units, then lets go of the database.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
        self.owner.abort();
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.owner.abort();
    }
}

/// Commits run side by side, but their effects run in the order in which the commits were asked for. A unit that waited
/// for another's rows asks after the other's commit, so nobody hears of an older state behind a newer one.
#[derive(Default)]
struct Commits(Mutex<Option<oneshot::Receiver<()>>>);

impl Commits {
    /// What to wait for before running effects, and what to drop after them.
    fn take_turn(&self) -> (oneshot::Receiver<()>, oneshot::Sender<()>) {
        let (done, next) = oneshot::channel();
        let previous = self.0.lock().unwrap_or_else(PoisonError::into_inner).replace(next);
        (previous.unwrap_or_else(|| oneshot::channel().1), done)
    }
}

/// A commit that got no answer may have happened.
fn no_answer() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())
}

/// A connection that holds the owner's lock.
async fn own(options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
    let mut connection =
        timeout(ANSWER_MAX, PgConnection::connect_with(options)).await.map_err(|_| StoreError::TooSlow)??;
    let deadline = Instant::now() + OWNER_WAIT_MAX;
    loop {
        let ask = sqlx::query_as("select pg_try_advisory_lock($1)").bind(OWNER_LOCK).fetch_one(&mut connection);
        let (held,): (bool,) = timeout(ANSWER_MAX, ask).await.map_err(|_| StoreError::TooSlow)??;
        if held {
            return Ok(connection);
        }
        if Instant::now() > deadline {
            return Err(StoreError::InUse);
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Looks after the lock: it is lost with its connection, and then taken again or found to be somebody else's.
async fn keep_owning(mut owner: PgConnection, options: PgConnectOptions, disowned: Arc<AtomicBool>) {
    loop {
        sleep(OWNER_CHECK).await;
        if matches!(timeout(ANSWER_MAX, owner.ping()).await, Ok(Ok(()))) {
            continue;
        }
        match own(&options).await {
            Ok(connection) => owner = connection,
            Err(StoreError::InUse) => {
                tracing::error!("Another Cardea process took over this database: nothing is written any more");
                return disowned.store(true, Ordering::Relaxed);
            }
            Err(error) => tracing::warn!(%error, "The database does not answer"),
        }
    }
}
