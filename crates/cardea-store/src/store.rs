//! Opening the store, and running units of work in it.

use std::{any::type_name, sync::Arc};

use cardea_domain::fail_point;
use futures_util::future::BoxFuture;
use tokio::{sync::mpsc, time::timeout};

use crate::{
    Heard, StoreError, StoreUrl, Tally, Tx,
    postgres::PostgresStore,
    sqlite::SqliteStore,
    tally::Counters,
    unit::{Pending, UNIT_TIME_MAX},
};

/// A handle to the data. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<Opened>);

struct Opened {
    backend: Backend,
    counters: Arc<Counters>,
}

enum Backend {
    Postgres(PostgresStore),
    Sqlite(SqliteStore),
}

impl Store {
    /// Opens the data and brings it to this version's schema. A SQLite file is made if it is not there, readable by its
    /// owner only; that one process alone uses it is the caller's to see to.
    ///
    /// # Errors
    /// [`StoreError::InUse`] if processes of another version hold the database, [`StoreError::Newer`] if a newer version wrote
    /// it, [`StoreError::Unavailable`] and [`StoreError::File`] if it cannot be reached.
    pub async fn open(url: &StoreUrl) -> Result<Self, StoreError> {
        Self::open_with(url, None).await
    }

    /// Opens it for a node that may share it with others. One process at a time is a node: the database sees to it.
    ///
    /// # Errors
    /// As [`Store::open`], and [`StoreError::NodeInUse`].
    pub async fn open_as(url: &StoreUrl, node: &str) -> Result<Self, StoreError> {
        Self::open_with(url, Some(node)).await
    }

    async fn open_with(url: &StoreUrl, node: Option<&str>) -> Result<Self, StoreError> {
        let counters = Arc::new(Counters::default());
        let backend = match url {
            StoreUrl::Postgres(address) => {
                Backend::Postgres(PostgresStore::open(address, node, Arc::clone(&counters)).await?)
            }
            StoreUrl::Sqlite(path) => Backend::Sqlite(SqliteStore::open(path, Arc::clone(&counters)).await?),
        };
        Ok(Self(Arc::new(Opened { backend, counters })))
    }

    /// Runs a unit of work that may write. When this returns Ok, everything that the unit wrote is on disk and its
    /// effects ([`Tx::after_commit`]) have run; when it returns an error, nothing of it is there. Once started it runs
    /// to its end, even if the caller goes away. The unit waits for nothing but the database: others wait for it.
    ///
    /// # Errors
    /// The unit's own; else what kept the store from running or committing it. A unit that panics, that goes on after a
    /// failed statement, or that takes longer than 30 seconds is rolled back.
    pub async fn write<T, E, F>(&self, unit: F) -> Result<T, E>
    where
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.0.counters.write();
        let (unit, heard) = Pending::new(unit);
        match &self.0.backend {
            Backend::Postgres(store) => store.submit(Box::new(unit)).await?,
            Backend::Sqlite(store) => store.submit(Box::new(unit)).await?,
        }
        let written = heard.await.unwrap_or_else(|_| Err(StoreError::Closed.into()));
        if written.is_ok() {
            // The closure's type says which unit it was.
            fail_point("committed", type_name::<F>());
        }
        written
    }

    /// Runs a unit of work that only reads: all that it sees is of one moment. Writes in it fail.
    ///
    /// # Errors
    /// The unit's own; else what kept the store from running it.
    pub async fn read<T, E, F>(&self, unit: F) -> Result<T, E>
    where
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.0.counters.read();
        let mut tx = match &self.0.backend {
            Backend::Postgres(store) => store.begin_read().await?,
            Backend::Sqlite(store) => store.begin_read().await?,
        };
        let work = async move {
            let result = unit(&mut tx).await;
            // There is nothing to keep; the rollback only gives the connection back.
            drop(tx.rollback().await);
            result
        };
        timeout(UNIT_TIME_MAX, work).await.unwrap_or_else(|_| Err(StoreError::TooSlow.into()))
    }

    /// What other nodes tell from now on. `None` where there can be no others: on SQLite, and without a name.
    pub fn hear(&self) -> Option<mpsc::Receiver<Heard>> {
        match &self.0.backend {
            Backend::Postgres(store) => store.hear(),
            Backend::Sqlite(_) => None,
        }
    }

    /// Whether another node works on the same database, as far as is known: then [`Tx::tell`] tells.
    pub fn is_shared(&self) -> bool {
        match &self.0.backend {
            Backend::Postgres(store) => store.seat().is_some_and(|seat| seat.is_shared()),
            Backend::Sqlite(_) => false,
        }
    }

    /// Says whether another node works on the same database.
    pub fn set_shared(&self, shared: bool) {
        match &self.0.backend {
            Backend::Postgres(store) => store.seat().into_iter().for_each(|seat| seat.set_shared(shared)),
            Backend::Sqlite(_) => {}
        }
    }

    /// What this store was asked to do since it was opened.
    pub fn tally(&self) -> Tally {
        self.0.counters.tally()
    }

    /// How many units keep the store busy: those that wait for SQLite's writer, or that hold a connection to PostgreSQL.
    pub fn units(&self) -> usize {
        match &self.0.backend {
            Backend::Postgres(store) => store.units(),
            Backend::Sqlite(store) => store.units(),
        }
    }

    /// Finishes the units that run or wait, and closes. Later units are answered [`StoreError::Closed`].
    pub async fn close(&self) {
        match &self.0.backend {
            Backend::Postgres(store) => store.close().await,
            Backend::Sqlite(store) => store.close().await,
        }
    }
}
