//! SQLite: one writer that shares commits among waiting units, and readers beside it.
//!
//! A durable commit costs a flush of the disk, however much is in it. So all units that wait when the writer is free go
//! into one transaction, each in a savepoint of its own, and everybody hears when that one is durable.

use std::{
    collections::VecDeque,
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use crate::{
    StoreError,
    tally::Counters,
    tx::{Conn, Effect, Tx},
    unit::{Unit, run_effects},
};

/// Units that share a commit.
const GROUP_MAX: usize = 64;
/// Units that wait for the writer.
const QUEUE_MAX: usize = 1024;
const QUEUE_WAIT_MAX: Duration = Duration::from_secs(30);
const READERS_MAX: u32 = 4;
const READER_WAIT_MAX: Duration = Duration::from_secs(10);
/// Another process, such as a backup, may hold the file for a moment.
const BUSY_MAX: Duration = Duration::from_secs(5);
const MIGRATION_WAIT_MAX: Duration = Duration::from_secs(60);

type Queue = mpsc::Sender<Box<dyn Unit>>;

pub(crate) struct SqliteStore {
    queue: RwLock<Option<Queue>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    writers: SqlitePool,
    readers: SqlitePool,
    counters: Arc<Counters>,
}

impl SqliteStore {
    pub(crate) async fn open(path: &Path, counters: Arc<Counters>) -> Result<Self, StoreError> {
        let unusable = |error| StoreError::File { path: path.to_owned(), source: Arc::new(error) };
        // sqlx takes no lock while it migrates SQLite; held until the file is ready for the next process.
        let lock = hold_lock(path).await?;
        // The file holds what nobody else may read; SQLite gives its side files the same mode.
        open_private(path).map_err(unusable)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_MAX)
            .foreign_keys(true);
        let pool = || SqlitePoolOptions::new().idle_timeout(None).max_lifetime(None).test_before_acquire(false);
        let writers = pool().max_connections(1).connect_with(options.clone()).await?;
        sqlx::migrate!("migrations/sqlite").run(&writers).await?;
        drop(lock);
        let readers = pool()
            .max_connections(READERS_MAX)
            .acquire_timeout(READER_WAIT_MAX)
            .connect_lazy_with(options.read_only(true).create_if_missing(false));
        let (queue, units) = mpsc::channel(QUEUE_MAX);
        let writer = tokio::spawn(drive(writers.clone(), units, Arc::clone(&counters)));
        Ok(Self { queue: RwLock::new(Some(queue)), writer: Mutex::new(Some(writer)), writers, readers, counters })
    }

    /// Puts a unit in the writer's queue.
    pub(crate) async fn submit(&self, unit: Box<dyn Unit>) -> Result<(), StoreError> {
        let queue = self.queue.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or(StoreError::Closed)?;
        match timeout(QUEUE_WAIT_MAX, queue.send(unit)).await {
            Ok(sent) => sent.map_err(|_| StoreError::Closed),
            Err(_) => Err(StoreError::Busy),
        }
    }

    pub(crate) async fn begin_read(&self) -> Result<Tx, StoreError> {
        Ok(Tx::new(Conn::Sqlite(self.readers.begin().await?), Arc::clone(&self.counters)))
    }

    /// Units in the writer's queue.
    pub(crate) fn units(&self) -> usize {
        let queue = self.queue.read().unwrap_or_else(PoisonError::into_inner);
        queue.as_ref().map_or(0, |queue| queue.max_capacity() - queue.capacity())
    }

    /// Finishes what waits, then closes the file.
    pub(crate) async fn close(&self) {
        drop(self.queue.write().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(writer) = self.writer.lock().await.take()
            && let Err(error) = writer.await
        {
            tracing::error!(%error, "The store's writer ended badly");
        }
        self.readers.close().await;
        // The last connection to close moves the log into the file.
        self.writers.close().await;
    }
}

async fn drive(pool: SqlitePool, mut units: mpsc::Receiver<Box<dyn Unit>>, counters: Arc<Counters>) {
    let mut waiting = Vec::with_capacity(GROUP_MAX);
    while units.recv_many(&mut waiting, GROUP_MAX).await > 0 {
        let mut group: VecDeque<_> = waiting.drain(..).collect();
        while !group.is_empty() {
            run_group(&pool, &mut group, &counters).await;
        }
    }
}

/// Runs units from the front of `group` in one transaction; those that it leaves want another.
async fn run_group(pool: &SqlitePool, group: &mut VecDeque<Box<dyn Unit>>, counters: &Arc<Counters>) {
    let mut tx = match pool.begin_with("begin immediate").await {
        Ok(transaction) => Tx::new(Conn::Sqlite(transaction), Arc::clone(counters)),
        Err(error) => {
            renew(pool).await;
            let error = StoreError::from(error);
            return group.drain(..).for_each(|unit| unit.finish(Err(error.clone())));
        }
    };
    let mut savepoint = if group.len() == 1 { Savepoint::Needless } else { Savepoint::Closed };
    let mut kept = Vec::new();
    let mut lost = None;
    while let Some(mut unit) = group.pop_front() {
        match run_unit(&mut tx, &mut *unit, &mut savepoint).await {
            Ok(Some(effects)) => kept.push((unit, effects)),
            Ok(None) => unit.finish(Ok(())),
            Err(error) => {
                unit.finish(Err(error.clone()));
                lost = Some(error);
                break;
            }
        }
    }
    let over = match lost {
        Some(error) => {
            drop(tx);
            Err(error)
        }
        None if kept.is_empty() => tx.rollback().await,
        None => tx.commit().await,
    };
    if over.is_err() {
        renew(pool).await;
    }
    for (unit, effects) in kept {
        if over.is_ok() {
            run_effects(effects);
        }
        unit.finish(over.clone());
    }
}

/// What keeps the units of a group apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Savepoint {
    /// The unit is alone.
    Needless,
    Closed,
    /// The last unit's; a commit or the next unit closes it.
    Open,
}

/// Runs one unit in its savepoint. `Some` if its work is to be kept. An error means that the whole
/// transaction is lost: SQLite rolls back by itself when the disk is full, and then there is no savepoint to go to.
async fn run_unit(
    tx: &mut Tx,
    unit: &mut dyn Unit,
    savepoint: &mut Savepoint,
) -> Result<Option<Vec<Effect>>, StoreError> {
    match savepoint {
        Savepoint::Needless => {}
        Savepoint::Closed => step(tx, "savepoint unit").await?,
        Savepoint::Open => step(tx, "release unit; savepoint unit").await?,
    }
    let keep = unit.run(tx).await;
    let effects = tx.take_effects();
    if *savepoint != Savepoint::Needless {
        *savepoint = if keep { Savepoint::Open } else { Savepoint::Closed };
        if !keep {
            step(tx, "rollback to unit; release unit").await?;
        }
    }
    Ok(keep.then_some(effects))
}

async fn step(tx: &mut Tx, sql: &'static str) -> Result<(), StoreError> {
    match &mut tx.conn {
        Conn::Sqlite(transaction) => sqlx::query(sql).execute(&mut **transaction).await?,
        Conn::Postgres(_) => unreachable!("the SQLite writer opens SQLite transactions only"),
    };
    Ok(())
}

/// Replaces the writer's connection: after a failed commit or rollback, sqlx counts a transaction that is not there.
async fn renew(pool: &SqlitePool) {
    if let Ok(connection) = pool.acquire().await
        && let Err(error) = connection.close().await
    {
        tracing::warn!(%error, "The store's connection did not close cleanly; a new one is opened");
    }
}

fn open_private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Holds the lock beside the file until it is dropped.
async fn hold_lock(path: &Path) -> Result<File, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push("-migration");
    let lock_path = Path::new(&name);
    let unusable = |error| StoreError::File { path: lock_path.to_owned(), source: Arc::new(error) };
    let lock = open_private(lock_path).map_err(unusable)?;
    let deadline = Instant::now() + MIGRATION_WAIT_MAX;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
            Err(TryLockError::WouldBlock) if Instant::now() > deadline => return Err(StoreError::InUse),
            Err(TryLockError::WouldBlock) => sleep(Duration::from_millis(20)).await,
        }
    }
}
