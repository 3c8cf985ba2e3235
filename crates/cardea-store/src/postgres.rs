//! PostgreSQL: a transaction per unit; locks that keep two processes from being the same node, and other versions off; and what
//! nodes tell each other.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::{
    Connection as _, PgConnection, PgPool, Postgres,
    migrate::Migrator,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use crate::{
    StoreError,
    news::{CHANNEL, Heard, Seat},
    tally::Counters,
    tx::{Conn, Tx},
    unit::{UNIT_TIME_MAX, Unit, run_effects},
    url,
};

/// Commits that come together share a flush of the disk, so that a slow disk wants many. Three nodes stay below PostgreSQL's usual 100.
const CONNECTIONS_MAX: u32 = 24;
/// For a connection, a commit, a question: anything that crosses the network once.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// A connection that was used so recently is not asked whether it is still there: that would cost as much as the unit.
const IDLE_TRUST: Duration = Duration::from_millis(100);
/// For so long after one was found cut, all are asked.
const DOUBT: Duration = Duration::from_secs(5);
/// Every process holds this advisory lock of a database together with the others; alone only while it changes the schema.
/// "cardea" in ASCII, then 1. It is also the seed of the names of the nodes' own locks.
pub(crate) const OWNER_LOCK: i64 = 0x6361_7264_6561_0001;
/// The server needs a moment to notice that a killed process is gone.
const OWNER_WAIT_MAX: Duration = Duration::from_secs(3);
const LOCK_PAUSE: Duration = Duration::from_millis(100);
/// How often the lock is looked after.
const OWNER_CHECK: Duration = Duration::from_secs(2);
/// How much of what others tell may wait to be read; beyond that everything is read anew.
const HEARD_MAX: usize = 1024;
/// A listener that hears nothing for so long, not even this node's own sign of life, is taken for deaf.
const SILENCE_MAX: Duration = Duration::from_secs(8);
const LISTEN_PAUSE: Duration = Duration::from_secs(1);

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

pub(crate) struct PostgresStore {
    pool: PgPool,
    shared: Arc<Shared>,
    options: Box<PgConnectOptions>,
    seat: Option<Arc<Seat>>,
    owner: JoinHandle<()>,
    /// The lock went to somebody else while the server was away: nothing may be written any more.
    disowned: Arc<AtomicBool>,
    counters: Arc<Counters>,
}

impl PostgresStore {
    /// `node` is the name of this process among those that work on the database; without one it hears nobody and tells nothing.
    pub(crate) async fn open(address: &str, node: Option<&str>, counters: Arc<Counters>) -> Result<Self, StoreError> {
        let options = url::options(address)?.application_name("cardea");
        let seat = node.map(|node| Arc::new(Seat::new(node)));
        let mut owner = own(&options, seat.as_deref()).await?;
        migrate(&mut owner).await?;
        // The server gives up before the caller does, so that nothing goes on behind its back.
        let options = options.options([
            ("statement_timeout", "20s"),
            ("lock_timeout", "10s"),
            ("idle_in_transaction_session_timeout", "60s"),
            // What is asked for has an index. Without it a young table, of which the server has no statistics, is read from end to end.
            ("enable_seqscan", "off"),
            // Compiling a statement takes longer than any of ours runs.
            ("jit", "off"),
        ]);
        let shared = Arc::<Shared>::default();
        let doubts = shared.clone();
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(ANSWER_MAX)
            .test_before_acquire(false)
            .before_acquire(move |connection, known| {
                let ask = known.idle_for > IDLE_TRUST || doubts.is_doubtful();
                Box::pin(async move {
                    if ask {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_with(options.clone())
            .await?;
        let disowned = Arc::new(AtomicBool::new(false));
        let owner = tokio::spawn(keep_owning(owner, options.clone(), seat.clone(), disowned.clone()));
        Ok(Self { pool, shared, options: Box::new(options), seat, owner, disowned, counters })
    }

    /// Starts a unit. It runs to its end even if its caller goes away, as it does on SQLite.
    pub(crate) async fn submit(&self, mut unit: Box<dyn Unit>) -> Result<(), StoreError> {
        if self.disowned.load(Ordering::Relaxed) {
            return Err(StoreError::InUse);
        }
        let connection = timeout(ANSWER_MAX * 2, self.pool.acquire()).await.map_err(|_| StoreError::TooSlow)??;
        let transaction = PostgresTransaction::new(connection, self.shared.clone());
        let (counters, seat) = (Arc::clone(&self.counters), self.seat.clone());
        // Ends within the unit's and the commit's time; closing the pool waits for it.
        tokio::spawn(async move {
            let mut tx = Tx::new(Conn::Postgres(transaction), counters).seated(seat);
            let keep = unit.run(&mut tx).await;
            let effects = tx.take_effects();
            let turn = tx.take_turn();
            if !keep {
                if !matches!(timeout(ANSWER_MAX, tx.rollback()).await, Ok(Ok(()))) {
                    tracing::warn!("A rollback got no answer; PostgreSQL rolls back when the connection is gone");
                }
                if let Some(turn) = turn {
                    turn.come().await;
                }
                return unit.finish(Ok(()));
            }
            let committed = timeout(UNIT_TIME_MAX, tx.commit()).await.unwrap_or_else(|_| Err(no_answer().into()));
            let done = match turn {
                Some(turn) => Some(turn.come().await),
                None => None,
            };
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
        let begin = async {
            let mut again = true;
            loop {
                let connection = self.pool.acquire().await?;
                let mut transaction = PostgresTransaction::new(connection, self.shared.clone());
                match transaction.begin_with("begin isolation level repeatable read read only").await {
                    // It was cut since it was used last; the next one is asked first.
                    Err(StoreError::Unavailable(_)) if again => again = false,
                    begun => return begun.map(|()| transaction),
                }
            }
        };
        let transaction = timeout(ANSWER_MAX * 2, begin).await.map_err(|_| StoreError::TooSlow)??;
        Ok(Tx::new(Conn::Postgres(transaction), Arc::clone(&self.counters)))
    }

    /// This process's place among the nodes.
    pub(crate) fn seat(&self) -> Option<&Arc<Seat>> {
        self.seat.as_ref()
    }

    /// What other nodes tell from now on; begins with [`Heard::Lost`]. It ends when the receiver is dropped.
    pub(crate) fn hear(&self) -> Option<mpsc::Receiver<Heard>> {
        let seat = self.seat.clone()?;
        let (sender, receiver) = mpsc::channel(HEARD_MAX);
        tokio::spawn(listen((*self.options).clone(), seat, sender));
        Some(receiver)
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

/// A connection that is lent to a unit, and the transaction on it once a statement needs one.
pub(crate) struct PostgresTransaction {
    connection: PoolConnection<Postgres>,
    is_open: bool,
    shared: Arc<Shared>,
    turn: Option<Turn>,
}

impl PostgresTransaction {
    fn new(connection: PoolConnection<Postgres>, shared: Arc<Shared>) -> Self {
        Self { connection, is_open: false, shared, turn: None }
    }

    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Opens the transaction, unless it is open.
    pub(crate) async fn begin(&mut self) -> Result<(), StoreError> {
        if self.is_open { Ok(()) } else { self.begin_with("begin").await }
    }

    async fn begin_with(&mut self, sql: &'static str) -> Result<(), StoreError> {
        // Before the answer: dropped in between, it is as good as open.
        self.is_open = true;
        let begun = sqlx::raw_sql(sql).execute(&mut *self.connection).await;
        begun.map(drop).map_err(|error| {
            self.heard(&error);
            error.into()
        })
    }

    /// Notes that a connection was cut: others may be, too.
    pub(crate) fn heard(&self, error: &sqlx::Error) {
        if matches!(error, sqlx::Error::Io(_)) {
            self.shared.doubt();
        }
    }

    /// Whether the next statement is a commit in itself, because no transaction is open. Then it asks for its turn.
    pub(crate) fn commits_alone(&mut self) -> bool {
        if !self.is_open {
            self.turn = Some(self.shared.ask());
        }
        !self.is_open
    }

    /// Its turn among the commits: the one that it asked for, or one that it asks for now.
    pub(crate) fn take_turn(&mut self) -> Option<Turn> {
        self.turn.take().or_else(|| self.is_open.then(|| self.shared.ask()))
    }

    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        sqlx::raw_sql("commit").execute(&mut *self.connection).await?;
        self.is_open = false;
        Ok(())
    }

    pub(crate) async fn rollback(mut self) -> Result<(), StoreError> {
        if self.is_open {
            sqlx::raw_sql("rollback").execute(&mut *self.connection).await?;
            self.is_open = false;
        }
        Ok(())
    }
}

impl Drop for PostgresTransaction {
    /// Nobody gets a connection with another's open transaction on it; PostgreSQL rolls back when it is closed.
    fn drop(&mut self) {
        if self.is_open {
            self.connection.close_on_drop();
        }
    }
}

/// Commits run side by side, but their effects run in the order in which the commits were asked for. A unit that waited
/// for another's rows asks after the other's commit, so nobody hears of an older state behind a newer one. One that commits
/// by its only statement asks before; it cannot have waited, because its guards would find another version.
#[derive(Default)]
struct Shared {
    last: Mutex<Option<oneshot::Receiver<()>>>,
    doubted_at: Mutex<Option<Instant>>,
}

impl Shared {
    fn ask(&self) -> Turn {
        let (done, next) = oneshot::channel();
        let previous = self.last.lock().unwrap_or_else(PoisonError::into_inner).replace(next);
        Turn { previous: previous.unwrap_or_else(|| oneshot::channel().1), done }
    }

    fn doubt(&self) {
        *self.doubted_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether a connection was found cut a moment ago.
    fn is_doubtful(&self) -> bool {
        self.doubted_at.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|at| at.elapsed() < DOUBT)
    }
}

/// A place in the order of commits.
pub(crate) struct Turn {
    previous: oneshot::Receiver<()>,
    done: oneshot::Sender<()>,
}

impl Turn {
    /// Waits for everybody before; what it gives is to be dropped when the effects ran.
    async fn come(self) -> oneshot::Sender<()> {
        // An error says that the one before is done, too: it dropped its end.
        drop(self.previous.await);
        self.done
    }
}

/// A commit that got no answer may have happened.
fn no_answer() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())
}

/// A connection that holds this node's lock, and with the other nodes the one of this version's schema.
async fn own(options: &PgConnectOptions, seat: Option<&Seat>) -> Result<PgConnection, StoreError> {
    let mut connection =
        timeout(ANSWER_MAX, PgConnection::connect_with(options)).await.map_err(|_| StoreError::TooSlow)??;
    if !lock(&mut connection, "select pg_try_advisory_lock_shared($1)").await? {
        return Err(StoreError::InUse);
    }
    let Some(seat) = seat else { return Ok(connection) };
    let deadline = Instant::now() + OWNER_WAIT_MAX;
    loop {
        const SQL: &str = "select pg_try_advisory_lock(hashtextextended($2, $1))";
        let ask = sqlx::query_as(SQL).bind(OWNER_LOCK).bind(&seat.node).fetch_one(&mut connection);
        let (held,): (bool,) = timeout(ANSWER_MAX, ask).await.map_err(|_| StoreError::TooSlow)??;
        if held {
            return Ok(connection);
        }
        if Instant::now() > deadline {
            return Err(StoreError::NodeInUse(seat.node.clone()));
        }
        sleep(LOCK_PAUSE).await;
    }
}

/// Asks for [`OWNER_LOCK`] until it is had, or the time is over.
async fn lock(connection: &mut PgConnection, sql: &'static str) -> Result<bool, StoreError> {
    let deadline = Instant::now() + OWNER_WAIT_MAX;
    loop {
        let ask = sqlx::query_as(sql).bind(OWNER_LOCK).fetch_one(&mut *connection);
        let (held,): (bool,) = timeout(ANSWER_MAX, ask).await.map_err(|_| StoreError::TooSlow)??;
        if held || Instant::now() > deadline {
            return Ok(held);
        }
        sleep(LOCK_PAUSE).await;
    }
}

/// Brings the database to this version's schema. Only while no other process uses it as it was.
async fn migrate(owner: &mut PgConnection) -> Result<(), StoreError> {
    if !is_behind(owner).await? {
        // Looks only that nothing is newer or damaged.
        return Ok(MIGRATIONS.run_direct(None, owner, false).await?);
    }
    sqlx::query("select pg_advisory_unlock_shared($1)").bind(OWNER_LOCK).execute(&mut *owner).await?;
    // Whoever came at the same moment may have been first: then its schema is there already, and it stays.
    let alone = lock(owner, "select pg_try_advisory_lock($1)").await?;
    if alone {
        MIGRATIONS.run_direct(None, owner, false).await?;
    } else if is_behind(owner).await? {
        return Err(StoreError::InUse);
    }
    if !lock(owner, "select pg_try_advisory_lock_shared($1)").await? {
        return Err(StoreError::InUse);
    }
    if alone {
        sqlx::query("select pg_advisory_unlock($1)").bind(OWNER_LOCK).execute(owner).await?;
    }
    Ok(())
}

/// Whether migrations of this version are not in the database yet.
async fn is_behind(owner: &mut PgConnection) -> Result<bool, StoreError> {
    let (is_there,): (bool,) =
        sqlx::query_as("select to_regclass('_sqlx_migrations') is not null").fetch_one(&mut *owner).await?;
    let applied: Vec<(i64,)> = match is_there {
        true => sqlx::query_as("select version from _sqlx_migrations where success").fetch_all(owner).await?,
        false => Vec::new(),
    };
    Ok(MIGRATIONS.iter().any(|migration| !applied.contains(&(migration.version,))))
}

/// Looks after the locks: they are lost with their connection, and then taken again or found to be somebody else's.
async fn keep_owning(
    mut owner: PgConnection,
    options: PgConnectOptions,
    seat: Option<Arc<Seat>>,
    disowned: Arc<AtomicBool>,
) {
    loop {
        sleep(OWNER_CHECK).await;
        if matches!(timeout(ANSWER_MAX, owner.ping()).await, Ok(Ok(()))) {
            continue;
        }
        match own(&options, seat.as_deref()).await {
            Ok(connection) => owner = connection,
            Err(StoreError::InUse | StoreError::NodeInUse(_)) => {
                tracing::error!(
                    "Another Cardea process took over this node's place in the database: nothing is written any more"
                );
                return disowned.store(true, Ordering::Relaxed);
            }
            Err(error) => tracing::warn!(%error, "The database does not answer"),
        }
    }
}

/// Hands on what is told on the database's channel. A connection that was lost is made anew, and the receiver is told that it
/// may have missed something.
async fn listen(options: PgConnectOptions, seat: Arc<Seat>, sender: mpsc::Sender<Heard>) {
    // A receiver that is gone ends the loop.
    while sender.send(Heard::Lost).await.is_ok() {
        if let Err(error) = hand_on(&options, &seat, &sender).await {
            tracing::warn!(%error, "What other nodes tell is not heard; trying again");
        }
        sleep(LISTEN_PAUSE).await;
    }
}

/// Until the connection is lost or silent, or nobody listens.
async fn hand_on(options: &PgConnectOptions, seat: &Seat, sender: &mpsc::Sender<Heard>) -> Result<(), StoreError> {
    // The listener wants a pool of its own.
    let pool = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
    let pool = pool.acquire_timeout(ANSWER_MAX).connect_with(options.clone()).await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.ignore_pool_close_event(true);
    listener.eager_reconnect(false);
    timeout(ANSWER_MAX, listener.listen(CHANNEL)).await.map_err(|_| StoreError::TooSlow)??;
    // What was told before it listened was missed.
    let mut overflown = true;
    loop {
        if overflown && sender.try_send(Heard::Lost).is_ok() {
            overflown = false;
        }
        let told = match timeout(SILENCE_MAX, listener.try_recv()).await {
            Err(_) => return Err(StoreError::TooSlow),
            Ok(told) => told?,
        };
        let Some(told) = told else { return Ok(()) };
        if sender.is_closed() {
            return Ok(());
        }
        let Some(heard) = seat.read(told.payload()) else { continue };
        overflown |= sender.try_send(heard).is_err();
    }
}
