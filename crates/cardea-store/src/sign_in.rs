//! Sign-ins in the browser, and the one-time token of the first set-up. Only digests of what the browser holds.

use cardea_domain::{ObjectId, SignInId, Timestamp};

use crate::{
    StoreError, Tx,
    row::{micros, parse, time},
    tx::{execute, fetch_optional},
};

/// A sign-in. Whether it still counts is the caller's to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInRow {
    pub id: SignInId,
    pub user: ObjectId,
    /// Of the cookie's value.
    pub digest: Vec<u8>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub last_seen_at: Timestamp,
    pub ended_at: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    user_id: String,
    digest: Vec<u8>,
    created_at: i64,
    expires_at: i64,
    last_seen_at: i64,
    ended_at: Option<i64>,
}

impl TryFrom<Row> for SignInRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: parse("sign_in.id", &row.id)?,
            user: parse("sign_in.user_id", &row.user_id)?,
            digest: row.digest,
            created_at: Timestamp::from_micros(row.created_at),
            expires_at: Timestamp::from_micros(row.expires_at),
            last_seen_at: Timestamp::from_micros(row.last_seen_at),
            ended_at: time(row.ended_at),
        })
    }
}

impl Tx {
    /// Writes a new sign-in.
    pub async fn insert_sign_in(&mut self, sign_in: &SignInRow) -> Result<(), StoreError> {
        const SQL: &str = "insert into sign_in (id, user_id, digest, created_at, expires_at, last_seen_at, ended_at) \
            values ($1, $2, $3, $4, $5, $6, $7)";
        execute!(
            self,
            SQL,
            sign_in.id.to_string(),
            sign_in.user.to_string(),
            sign_in.digest.as_slice(),
            sign_in.created_at.as_micros(),
            sign_in.expires_at.as_micros(),
            sign_in.last_seen_at.as_micros(),
            micros(sign_in.ended_at)
        )?;
        Ok(())
    }

    /// The sign-in of this digest, ended or expired ones too.
    pub async fn sign_in_by_digest(&mut self, digest: &[u8]) -> Result<Option<SignInRow>, StoreError> {
        let row = fetch_optional!(Row, self, "select * from sign_in where digest = $1", digest)?;
        row.map(SignInRow::try_from).transpose()
    }

    /// Notes that a sign-in was used.
    pub async fn touch_sign_in(&mut self, id: SignInId, now: Timestamp) -> Result<(), StoreError> {
        const SQL: &str = "update sign_in set last_seen_at = $2 where id = $1";
        execute!(self, SQL, id.to_string(), now.as_micros())?;
        Ok(())
    }

    /// Ends a sign-in; nothing happens if it is over.
    pub async fn end_sign_in(&mut self, id: SignInId, now: Timestamp) -> Result<(), StoreError> {
        const SQL: &str = "update sign_in set ended_at = $2 where id = $1 and ended_at is null";
        execute!(self, SQL, id.to_string(), now.as_micros())?;
        Ok(())
    }

    /// Keeps the digest of a one-time token for the first set-up.
    pub async fn insert_set_up(&mut self, digest: &[u8], expires_at: Timestamp) -> Result<(), StoreError> {
        const SQL: &str = "insert into set_up (digest, expires_at) values ($1, $2)";
        execute!(self, SQL, digest, expires_at.as_micros())?;
        Ok(())
    }

    /// Uses a one-time token up. True once, and only before it expires.
    pub async fn use_set_up(&mut self, digest: &[u8], now: Timestamp) -> Result<bool, StoreError> {
        const SQL: &str = "update set_up set used_at = $2 where digest = $1 and used_at is null and expires_at > $2";
        Ok(execute!(self, SQL, digest, now.as_micros())? == 1)
    }
}
