//! Second factors of users: the sealed secrets of their authenticator apps, and digests of their recovery codes.

use cardea_domain::{ObjectId, Permit, SecretId, Timestamp, Verb};

use crate::{
    StoreError, Tx,
    row::{count, must_cover, parse},
    tx::{execute, fetch_one, fetch_optional},
};

/// The secret of a user's authenticator app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TotpRow {
    pub user: ObjectId,
    /// What the sealed secret is bound to.
    pub secret: SecretId,
    /// What the vault made of it.
    pub sealed: Vec<u8>,
    /// When it was proven; of one that is not yet, when it is given up.
    pub at: Timestamp,
    /// The newest time step whose code was taken.
    pub last_step: i64,
}

#[derive(sqlx::FromRow)]
struct Row {
    user_id: String,
    secret_id: String,
    sealed: Vec<u8>,
    at: i64,
    last_step: i64,
}

impl TryFrom<Row> for TotpRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            user: parse("totp.user_id", &row.user_id)?,
            secret: parse("totp.secret_id", &row.secret_id)?,
            sealed: row.sealed,
            at: Timestamp::from_micros(row.at),
            last_step: row.last_step,
        })
    }
}

impl Tx {
    /// The user's authenticator app, if they proved one.
    pub async fn totp(&mut self, user: ObjectId) -> Result<Option<TotpRow>, StoreError> {
        const SQL: &str = "select user_id, secret_id, sealed, created_at as at, last_step from totp where user_id = $1";
        let row = fetch_optional!(Row, self, SQL, user.to_string())?;
        row.map(TotpRow::try_from).transpose()
    }

    /// Takes a time step of the user's app: true once for each step, and never for an older one.
    pub async fn use_totp_step(&mut self, user: ObjectId, secret: SecretId, step: i64) -> Result<bool, StoreError> {
        const SQL: &str = "update totp set last_step = $3 where user_id = $1 and secret_id = $2 and last_step < $3";
        Ok(execute!(self, SQL, user.to_string(), secret.to_string(), step)? == 1)
    }

    /// The user's authenticator app that is not proven yet.
    pub async fn totp_enrolment(&mut self, user: ObjectId) -> Result<Option<TotpRow>, StoreError> {
        const SQL: &str = "select user_id, secret_id, sealed, expires_at as at, cast(0 as bigint) as last_step \
            from totp_enrolment where user_id = $1";
        let row = fetch_optional!(Row, self, SQL, user.to_string())?;
        row.map(TotpRow::try_from).transpose()
    }

    /// Keeps an app that is to be proven until `row.at`, in place of one before.
    pub async fn put_totp_enrolment(&mut self, permit: &Permit, row: &TotpRow) -> Result<(), StoreError> {
        const SQL: &str = "insert into totp_enrolment (user_id, secret_id, sealed, expires_at) values ($1, $2, $3, $4) \
            on conflict (user_id) do update set secret_id = excluded.secret_id, sealed = excluded.sealed, \
            expires_at = excluded.expires_at";
        must_cover(permit, &[Verb::ChangeFactors], "totp_enrolment")?;
        let (user, secret) = (row.user.to_string(), row.secret.to_string());
        execute!(self, SQL, user, secret, row.sealed.as_slice(), row.at.as_micros())?;
        Ok(())
    }

    /// Makes an app that was proven the user's, in place of one before. False if the enrolment was used or replaced meanwhile.
    pub async fn put_totp(&mut self, permit: &Permit, row: &TotpRow) -> Result<bool, StoreError> {
        const TAKE: &str = "delete from totp_enrolment where user_id = $1 and secret_id = $2";
        const SQL: &str = "insert into totp (user_id, secret_id, sealed, created_at, last_step) values ($1, $2, $3, $4, $5) \
            on conflict (user_id) do update set secret_id = excluded.secret_id, sealed = excluded.sealed, \
            created_at = excluded.created_at, last_step = excluded.last_step";
        must_cover(permit, &[Verb::ChangeFactors], "totp")?;
        let (user, secret) = (row.user.to_string(), row.secret.to_string());
        if execute!(self, TAKE, user.as_str(), secret.as_str())? != 1 {
            return Ok(false);
        }
        execute!(self, SQL, user, secret, row.sealed.as_slice(), row.at.as_micros(), row.last_step)?;
        Ok(true)
    }

    /// Forgets everything that a user could show beside their password; whether there was anything.
    pub async fn delete_factors(&mut self, permit: &Permit, user: ObjectId) -> Result<bool, StoreError> {
        must_cover(permit, &[Verb::ChangeFactors, Verb::ResetFactors], "totp")?;
        let gone = execute!(self, "delete from totp where user_id = $1", user.to_string())?
            + execute!(self, "delete from passkey where user_id = $1", user.to_string())?;
        execute!(self, "delete from totp_enrolment where user_id = $1", user.to_string())?;
        execute!(self, "delete from recovery_code where user_id = $1", user.to_string())?;
        Ok(gone > 0)
    }

    /// Gives a user new recovery codes; the ones before are of no use any more.
    pub async fn replace_recovery_codes(
        &mut self,
        permit: &Permit,
        user: ObjectId,
        digests: &[Vec<u8>],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str = "insert into recovery_code (user_id, digest, created_at) values ($1, $2, $3)";
        must_cover(permit, &[Verb::ChangeFactors], "recovery_code")?;
        execute!(self, "delete from recovery_code where user_id = $1", user.to_string())?;
        for digest in digests {
            execute!(self, SQL, user.to_string(), digest.as_slice(), now.as_micros())?;
        }
        Ok(())
    }

    /// How many recovery codes a user has left.
    pub async fn recovery_codes_left(&mut self, user: ObjectId) -> Result<u32, StoreError> {
        const SQL: &str = "select count(*) from recovery_code where user_id = $1 and used_at is null";
        let (left,) = fetch_one!((i64,), self, SQL, user.to_string())?;
        count("recovery_code", left)
    }

    /// Uses a recovery code up. True once.
    pub async fn use_recovery_code(
        &mut self,
        user: ObjectId,
        digest: &[u8],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str =
            "update recovery_code set used_at = $3 where user_id = $1 and digest = $2 and used_at is null";
        Ok(execute!(self, SQL, user.to_string(), digest, now.as_micros())? == 1)
    }
}
