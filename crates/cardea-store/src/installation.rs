//! The record that makes a store this installation's.

use cardea_domain::Timestamp;

use crate::{
    StoreError, Tx,
    tx::{execute, fetch_optional},
};

/// One installation of Cardea. A store holds exactly one, from its first start on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// Random, hex. Ownership tokens on hosts are derived under it.
    pub id: String,
    pub created_at: Timestamp,
}

impl Tx {
    /// The installation's record, once it was made.
    pub async fn installation(&mut self) -> Result<Option<Installation>, StoreError> {
        let row = fetch_optional!((String, i64), self, "select id, created_at from installation")?;
        Ok(row.map(|(id, created_at)| Installation { id, created_at: Timestamp::from_micros(created_at) }))
    }

    /// Writes the installation's record. A second one is a [`StoreError::Duplicate`].
    pub async fn insert_installation(&mut self, installation: &Installation) -> Result<(), StoreError> {
        const SQL: &str = "insert into installation (id, created_at, single) values ($1, $2, 1)";
        execute!(self, SQL, &installation.id, installation.created_at.as_micros())?;
        Ok(())
    }
}
