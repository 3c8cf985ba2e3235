//! API tokens, by digest.

use cardea_domain::{ObjectId, Timestamp, TokenId, TokenScopes};

use crate::{
    StoreError, Tx,
    row::{micros, parse, time},
    tx::{execute, fetch_all, fetch_optional},
};

/// An API token. Whether it still counts is the caller's to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    pub id: TokenId,
    pub user: ObjectId,
    pub name: String,
    /// Of the token's value.
    pub digest: Vec<u8>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// Made by the operator, beside the data, and not by its user.
    pub operator_issued: bool,
    pub last_used_at: Option<Timestamp>,
    /// What it may be used for.
    pub scopes: TokenScopes,
    pub revoked_at: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    user_id: String,
    name: String,
    digest: Vec<u8>,
    created_at: i64,
    expires_at: i64,
    operator_issued: bool,
    last_used_at: Option<i64>,
    scopes: Option<String>,
    revoked_at: Option<i64>,
}

impl TryFrom<Row> for TokenRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: parse("token.id", &row.id)?,
            user: parse("token.user_id", &row.user_id)?,
            name: row.name,
            digest: row.digest,
            created_at: Timestamp::from_micros(row.created_at),
            expires_at: Timestamp::from_micros(row.expires_at),
            operator_issued: row.operator_issued,
            last_used_at: time(row.last_used_at),
            scopes: row.scopes.map_or(Ok(TokenScopes::ALL), |words| parse("token.scopes", &words))?,
            revoked_at: time(row.revoked_at),
        })
    }
}

impl Tx {
    /// Writes a new token.
    pub async fn insert_token(&mut self, token: &TokenRow) -> Result<(), StoreError> {
        const SQL: &str = "insert into token \
            (id, user_id, name, digest, created_at, expires_at, operator_issued, last_used_at, scopes, revoked_at) \
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        execute!(
            self,
            SQL,
            token.id.to_string(),
            token.user.to_string(),
            &token.name,
            token.digest.as_slice(),
            token.created_at.as_micros(),
            token.expires_at.as_micros(),
            token.operator_issued,
            micros(token.last_used_at),
            token.scopes.to_string(),
            micros(token.revoked_at)
        )?;
        Ok(())
    }

    /// The token of this digest, expired ones too.
    pub async fn token_by_digest(&mut self, digest: &[u8]) -> Result<Option<TokenRow>, StoreError> {
        let row = fetch_optional!(Row, self, "select * from token where digest = $1", digest)?;
        row.map(TokenRow::try_from).transpose()
    }

    /// A token, expired and revoked ones too.
    pub async fn token(&mut self, id: TokenId) -> Result<Option<TokenRow>, StoreError> {
        let row = fetch_optional!(Row, self, "select * from token where id = $1", id.to_string())?;
        row.map(TokenRow::try_from).transpose()
    }

    /// The tokens of a user that nobody revoked and that end after `now`, newest first, at most 200.
    pub async fn open_tokens(&mut self, user: ObjectId, now: Timestamp) -> Result<Vec<TokenRow>, StoreError> {
        const SQL: &str = "select * from token where user_id = $1 and revoked_at is null and expires_at > $2 \
            order by id desc limit 200";
        fetch_all!(Row, self, SQL, user.to_string(), now.as_micros())?.into_iter().map(TokenRow::try_from).collect()
    }

    /// Ends a token; nothing happens if it is revoked.
    pub async fn revoke_token(&mut self, id: TokenId, now: Timestamp) -> Result<(), StoreError> {
        const SQL: &str = "update token set revoked_at = $2 where id = $1 and revoked_at is null";
        execute!(self, SQL, id.to_string(), now.as_micros())?;
        Ok(())
    }

    /// Ends every token of a user. How many.
    pub async fn revoke_tokens(&mut self, user: ObjectId, now: Timestamp) -> Result<u64, StoreError> {
        const SQL: &str =
            "update token set revoked_at = $2 where user_id = $1 and revoked_at is null and expires_at > $2";
        execute!(self, SQL, user.to_string(), now.as_micros())
    }

    /// Notes that a token was used.
    pub async fn touch_token(&mut self, id: TokenId, now: Timestamp) -> Result<(), StoreError> {
        execute!(self, "update token set last_used_at = $2 where id = $1", id.to_string(), now.as_micros())?;
        Ok(())
    }
}
