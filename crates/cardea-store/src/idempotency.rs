//! What a caller's idempotency key stood for.

use cardea_domain::{ObjectId, RequestId, Timestamp};

use crate::{
    StoreError, Tx,
    row::parse,
    tx::{execute, fetch_optional},
};

/// A key that a user gave with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    pub user: ObjectId,
    pub key: String,
    /// Of what was requested: the same key with another request is a mistake.
    pub digest: Vec<u8>,
    pub request: RequestId,
    pub at: Timestamp,
}

impl Tx {
    /// Writes a key down. [`StoreError::Duplicate`] if the user gave it before.
    pub async fn insert_idempotency_key(&mut self, key: &IdempotencyKey) -> Result<(), StoreError> {
        const SQL: &str = "insert into idempotency (user_id, key, digest, request_id, at) values ($1, $2, $3, $4, $5)";
        let (user, request) = (key.user.to_string(), key.request.to_string());
        execute!(self, SQL, user, &key.key, key.digest.as_slice(), request, key.at.as_micros())?;
        Ok(())
    }

    /// What the user's key stood for, if it was given since `since`.
    pub async fn idempotency_key(
        &mut self,
        user: ObjectId,
        key: &str,
        since: Timestamp,
    ) -> Result<Option<IdempotencyKey>, StoreError> {
        const SQL: &str = "select digest, request_id, at from idempotency where user_id = $1 and key = $2 and at > $3";
        let row = fetch_optional!((Vec<u8>, String, i64), self, SQL, user.to_string(), key, since.as_micros())?;
        row.map(|(digest, request, at)| {
            let request = parse("idempotency.request_id", &request)?;
            Ok(IdempotencyKey { user, key: key.to_owned(), digest, request, at: Timestamp::from_micros(at) })
        })
        .transpose()
    }

    /// Forgets keys that are older.
    pub async fn purge_idempotency_keys(&mut self, before: Timestamp) -> Result<(), StoreError> {
        execute!(self, "delete from idempotency where at <= $1", before.as_micros())?;
        Ok(())
    }
}
