//! Passkeys of users, and the challenges that were answered. No private key is here: authenticators keep them.

use cardea_domain::{ObjectId, PasskeyId, Permit, SecretId, Timestamp, Verb};

use crate::{
    StoreError, Tx,
    row::{micros, must_cover, parse, time},
    tx::{execute, fetch_all, fetch_one, fetch_optional},
};

/// A passkey of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasskeyRow {
    pub id: PasskeyId,
    pub user: ObjectId,
    /// What its user calls it.
    pub name: String,
    /// The id that its authenticator gave it.
    pub credential: Vec<u8>,
    /// Public key and signature counter, as the vault reads them.
    pub kept: String,
    pub created_at: Timestamp,
    pub used_at: Option<Timestamp>,
}

/// Which second factors a user has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeldFactors {
    pub totp: bool,
    pub passkey: bool,
}

impl HeldFactors {
    /// Whether there is one.
    pub fn any(self) -> bool {
        self.totp || self.passkey
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    user_id: String,
    name: String,
    credential: Vec<u8>,
    kept: String,
    created_at: i64,
    used_at: Option<i64>,
}

impl TryFrom<Row> for PasskeyRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: parse("passkey.id", &row.id)?,
            user: parse("passkey.user_id", &row.user_id)?,
            name: row.name,
            credential: row.credential,
            kept: row.kept,
            created_at: Timestamp::from_micros(row.created_at),
            used_at: time(row.used_at),
        })
    }
}

impl Tx {
    /// Which second factors the user has.
    pub async fn held_factors(&mut self, user: ObjectId) -> Result<HeldFactors, StoreError> {
        const SQL: &str = "select exists(select 1 from totp where user_id = $1), \
            exists(select 1 from passkey where user_id = $1)";
        let (totp, passkey) = fetch_one!((bool, bool), self, SQL, user.to_string())?;
        Ok(HeldFactors { totp, passkey })
    }

    /// The passkeys of a user, oldest first.
    pub async fn passkeys(&mut self, user: ObjectId) -> Result<Vec<PasskeyRow>, StoreError> {
        const SQL: &str = "select id, user_id, name, credential, kept, created_at, used_at from passkey \
            where user_id = $1 order by id";
        fetch_all!(Row, self, SQL, user.to_string())?.into_iter().map(PasskeyRow::try_from).collect()
    }

    /// The passkey that its authenticator calls so, if its user is who the handle stands for.
    pub async fn passkey_of(&mut self, credential: &[u8], handle: &[u8]) -> Result<Option<PasskeyRow>, StoreError> {
        const SQL: &str = "select p.id, p.user_id, p.name, p.credential, p.kept, p.created_at, p.used_at \
            from passkey p join passkey_handle h on h.user_id = p.user_id where p.credential = $1 and h.handle = $2";
        let row = fetch_optional!(Row, self, SQL, credential, handle)?;
        row.map(PasskeyRow::try_from).transpose()
    }

    /// What stands for the user at their authenticators: `fresh`, unless there is something already.
    pub async fn passkey_handle(
        &mut self,
        permit: &Permit,
        user: ObjectId,
        fresh: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        const SQL: &str =
            "insert into passkey_handle (user_id, handle) values ($1, $2) on conflict (user_id) do nothing";
        const KNOWN: &str = "select handle from passkey_handle where user_id = $1";
        must_cover(permit, &[Verb::ChangeFactors], "passkey_handle")?;
        execute!(self, SQL, user.to_string(), fresh)?;
        let (handle,) = fetch_one!((Vec<u8>,), self, KNOWN, user.to_string())?;
        Ok(handle)
    }

    /// Registers a passkey. A name that its user has given already is a [`StoreError::Duplicate`] of `passkey`, `name`.
    pub async fn insert_passkey(&mut self, permit: &Permit, row: &PasskeyRow) -> Result<(), StoreError> {
        const SQL: &str = "insert into passkey (id, user_id, name, credential, kept, created_at, used_at) \
            values ($1, $2, $3, $4, $5, $6, $7)";
        must_cover(permit, &[Verb::ChangeFactors], "passkey")?;
        let (id, user) = (row.id.to_string(), row.user.to_string());
        let (created, used) = (row.created_at.as_micros(), micros(row.used_at));
        execute!(self, SQL, id, user, &row.name, row.credential.as_slice(), &row.kept, created, used)?;
        Ok(())
    }

    /// Notes that a passkey was shown, and what is kept of it from now on. False if another answer of it came first.
    pub async fn passkey_shown(&mut self, row: &PasskeyRow, kept: &str, now: Timestamp) -> Result<bool, StoreError> {
        const SQL: &str = "update passkey set kept = $3, used_at = $4 where id = $1 and kept = $2";
        Ok(execute!(self, SQL, row.id.to_string(), &row.kept, kept, now.as_micros())? == 1)
    }

    /// Takes a passkey of this user's away; its name, if there was one.
    pub async fn delete_passkey(
        &mut self,
        permit: &Permit,
        user: ObjectId,
        id: PasskeyId,
    ) -> Result<Option<String>, StoreError> {
        const SQL: &str = "delete from passkey where user_id = $1 and id = $2 returning name";
        must_cover(permit, &[Verb::ChangeFactors], "passkey")?;
        let row = fetch_optional!((String,), self, SQL, user.to_string(), id.to_string())?;
        Ok(row.map(|(name,)| name))
    }

    /// Uses a challenge up: true once, until `expires_at`, when it is over anyway.
    pub async fn answer_passkey_challenge(
        &mut self,
        id: SecretId,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const OVER: &str = "delete from passkey_answered where expires_at <= $1";
        const SQL: &str = "insert into passkey_answered (id, expires_at) values ($1, $2) on conflict (id) do nothing";
        execute!(self, OVER, now.as_micros())?;
        Ok(execute!(self, SQL, id.to_string(), expires_at.as_micros())? == 1)
    }
}
