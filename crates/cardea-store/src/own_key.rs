//! Keys that people registered themselves, and when keys last let somebody in.

use std::collections::HashMap;

use cardea_domain::{ObjectId, OwnKeyId, Timestamp};

use crate::{
    StoreError, Tx,
    row::{micros, parse, time, to_json},
    tx::{execute, fetch_all, fetch_optional},
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
    /// When its user first came in with it: nobody else has it from then on.
    pub proven_at: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    user_id: String,
    name: String,
    body: String,
    created_at: i64,
    proven_at: Option<i64>,
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
            proven_at: time(row.proven_at),
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

    /// Registers a key. One that this user has is a [`StoreError::Duplicate`] of `own_key`, `claim`.
    pub async fn insert_own_key(&mut self, key: &OwnKey) -> Result<(), StoreError> {
        const SQL: &str = "insert into own_key (id, user_id, name, body, created_at, proven_at) \
            values ($1, $2, $3, $4, $5, $6)";
        let (id, user) = (key.id.to_string(), key.user.to_string());
        execute!(self, SQL, id, user, &key.name, &key.body, key.created_at.as_micros(), micros(key.proven_at))?;
        Ok(())
    }

    /// Makes a key its user's alone, who has shown that they hold it, and takes it away from whoever else said so: what it is now,
    /// and what is gone. `None` if the user has no such key; one that somebody else has shown is a [`StoreError::Duplicate`] of
    /// `own_key`, `body`.
    pub async fn prove_own_key(
        &mut self,
        user: ObjectId,
        body: &str,
        now: Timestamp,
    ) -> Result<Option<(OwnKey, Vec<OwnKey>)>, StoreError> {
        const PROVE: &str = "update own_key set proven_at = coalesce(proven_at, $3) where user_id = $1 and body = $2 \
            returning *";
        const TAKE: &str = "delete from own_key where body = $2 and user_id <> $1 returning *";
        let user = user.to_string();
        let proven = fetch_optional!(Row, self, PROVE, &user, body, now.as_micros())?;
        let Some(proven) = proven else { return Ok(None) };
        let gone = fetch_all!(Row, self, TAKE, &user, body)?;
        let gone: Result<Vec<_>, _> = gone.into_iter().map(OwnKey::try_from).collect();
        Ok(Some((proven.try_into()?, gone?)))
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
