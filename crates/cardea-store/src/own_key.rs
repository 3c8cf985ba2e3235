//! Keys that people registered themselves, and when keys last let somebody in.

use std::collections::HashMap;

use cardea_domain::{ObjectId, OwnKeyId, Timestamp};

use crate::{
    StoreError, Tx,
    row::{parse, to_json},
    tx::{execute, fetch_all},
};

/// A key that its user registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnKey {
    pub id: OwnKeyId,
    pub user: ObjectId,
    /// What its user calls it.
    pub name: String,
    /// Type and base64 of the OpenSSH line.
    pub body: String,
    pub created_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    user_id: String,
    name: String,
    body: String,
    created_at: i64,
}

impl TryFrom<Row> for OwnKey {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: parse("own_key.id", &row.id)?,
            user: parse("own_key.user_id", &row.user_id)?,
            name: row.name,
            body: row.body,
            created_at: Timestamp::from_micros(row.created_at),
        })
    }
}

impl Tx {
    /// Every key that somebody registered themselves, oldest first.
    pub async fn own_keys(&mut self) -> Result<Vec<OwnKey>, StoreError> {
        let rows = fetch_all!(Row, self, "select * from own_key order by id")?;
        rows.into_iter().map(OwnKey::try_from).collect()
    }

    /// The keys that this user registered themselves, oldest first.
    pub async fn own_keys_of(&mut self, user: ObjectId) -> Result<Vec<OwnKey>, StoreError> {
        let rows = fetch_all!(Row, self, "select * from own_key where user_id = $1 order by id", user.to_string())?;
        rows.into_iter().map(OwnKey::try_from).collect()
    }

    /// Registers a key. One that somebody has is a [`StoreError::Duplicate`] of `own_key`, `body`.
    pub async fn insert_own_key(&mut self, key: &OwnKey) -> Result<(), StoreError> {
        const SQL: &str = "insert into own_key (id, user_id, name, body, created_at) values ($1, $2, $3, $4, $5)";
        let (id, user) = (key.id.to_string(), key.user.to_string());
        execute!(self, SQL, id, user, &key.name, &key.body, key.created_at.as_micros())?;
        Ok(())
    }

    /// Takes a key of this user's away. Whether there was one.
    pub async fn delete_own_key(&mut self, id: OwnKeyId, user: ObjectId) -> Result<bool, StoreError> {
        const SQL: &str = "delete from own_key where id = $1 and user_id = $2";
        Ok(execute!(self, SQL, id.to_string(), user.to_string())? == 1)
    }

    /// Notes that a key let somebody in.
    pub async fn touch_key(&mut self, fingerprint: &str, now: Timestamp) -> Result<(), StoreError> {
        const SQL: &str = "insert into key_use (fingerprint, used_at) values ($1, $2) \
            on conflict (fingerprint) do update set used_at = excluded.used_at";
        execute!(self, SQL, fingerprint, now.as_micros())?;
        Ok(())
    }

    /// When these keys last let somebody in.
    pub async fn key_uses(&mut self, fingerprints: &[String]) -> Result<HashMap<String, Timestamp>, StoreError> {
        const SQL: &str = "select fingerprint, used_at from key_use \
            where fingerprint in (select value from json_each($1))";
        let rows = fetch_all!((String, i64), self, SQL, to_json(&fingerprints))?;
        Ok(rows.into_iter().map(|(fingerprint, at)| (fingerprint, Timestamp::from_micros(at))).collect())
    }
}
