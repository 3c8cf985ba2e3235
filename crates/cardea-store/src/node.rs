//! The nodes that share this database: who lives, and which configuration is the newest.

use cardea_domain::Timestamp;

use crate::{
    StoreError, Tx,
    tx::{execute, fetch_all, fetch_optional},
};

/// A process that works on this database, or did until a moment ago.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRow {
    pub name: String,
    pub started_at: Timestamp,
    /// Its last sign of life, by its own clock.
    pub seen_at: Timestamp,
    /// How often it gave one.
    pub beats: i64,
}

#[derive(sqlx::FromRow)]
struct Row {
    name: String,
    started_at: i64,
    seen_at: i64,
    beats: i64,
}

impl Tx {
    /// Writes down that a node has come, or come again.
    pub async fn insert_node(&mut self, name: &str, now: Timestamp) -> Result<(), StoreError> {
        const SQL: &str = "insert into node (name, started_at, seen_at, beats) values ($1, $2, $2, 1) \
            on conflict (name) do update set started_at = excluded.started_at, seen_at = excluded.seen_at, \
            beats = node.beats + 1";
        execute!(self, SQL, name, now.as_micros())?;
        Ok(())
    }

    /// Gives a node's sign of life. False if the others have given it up, or it never came.
    pub async fn beat(&mut self, name: &str, now: Timestamp) -> Result<bool, StoreError> {
        const SQL: &str = "update node set seen_at = $2, beats = beats + 1 where name = $1";
        Ok(execute!(self, SQL, name, now.as_micros())? == 1)
    }

    /// Every node, by name.
    pub async fn nodes(&mut self) -> Result<Vec<NodeRow>, StoreError> {
        let rows = fetch_all!(Row, self, "select * from node order by name")?;
        let read = |row: Row| NodeRow {
            name: row.name,
            started_at: Timestamp::from_micros(row.started_at),
            seen_at: Timestamp::from_micros(row.seen_at),
            beats: row.beats,
        };
        Ok(rows.into_iter().map(read).collect())
    }

    /// Gives a node up that gave no sign of life since `beats`. False if it did, or somebody else was first.
    pub async fn delete_node(&mut self, name: &str, beats: i64) -> Result<bool, StoreError> {
        Ok(execute!(self, "delete from node where name = $1 and beats = $2", name, beats)? == 1)
    }

    /// A node goes by itself.
    pub async fn leave(&mut self, name: &str) -> Result<(), StoreError> {
        execute!(self, "delete from node where name = $1", name)?;
        Ok(())
    }

    /// Which change of the configuration was the last.
    pub async fn revision(&mut self) -> Result<i64, StoreError> {
        let row = fetch_optional!((i64,), self, "select revision from installation")?;
        Ok(row.map_or(0, |(revision,)| revision))
    }

    /// Counts a change of the configuration. Until the unit ends nobody else changes it. [`StoreError::Conflict`] if somebody
    /// did since `known`; `None` if that does not matter to the change.
    pub async fn raise_revision(&mut self, known: Option<i64>) -> Result<i64, StoreError> {
        const SQL: &str = "update installation set revision = revision + 1 \
            where revision = coalesce($1, revision) returning revision";
        let row = fetch_optional!((i64,), self, SQL, known)?;
        row.map(|(revision,)| revision).ok_or(StoreError::Conflict)
    }

    /// The gateway's host key with the id that it is sealed under, once it was made.
    pub async fn gateway_host_key(&mut self) -> Result<Option<(String, Vec<u8>)>, StoreError> {
        const SQL: &str = "select host_key_id, host_key from installation where host_key is not null";
        fetch_optional!((String, Vec<u8>), self, SQL)
    }

    /// Keeps the gateway's host key, unless there is one: the first stays.
    pub async fn keep_gateway_host_key(&mut self, id: &str, sealed: &[u8]) -> Result<(), StoreError> {
        const SQL: &str = "update installation set host_key_id = $1, host_key = $2 where host_key is null";
        execute!(self, SQL, id, sealed)?;
        Ok(())
    }

    /// The key that signs certificates for people with the id that it is sealed under, once it was made.
    pub async fn user_authority(&mut self) -> Result<Option<(String, Vec<u8>)>, StoreError> {
        const SQL: &str = "select user_ca_id, user_ca from installation where user_ca is not null";
        fetch_optional!((String, Vec<u8>), self, SQL)
    }

    /// Keeps the key that signs certificates for people, unless there is one: the first stays.
    pub async fn keep_user_authority(&mut self, id: &str, sealed: &[u8]) -> Result<(), StoreError> {
        const SQL: &str = "update installation set user_ca_id = $1, user_ca = $2 where user_ca is null";
        execute!(self, SQL, id, sealed)?;
        Ok(())
    }
}
