//! Sign-ins on the word of an identity provider: browsers on their way there, what came of them, and words that somebody has left.

use cardea_domain::{ObjectId, SignInId, Timestamp};

use crate::{
    StoreError, Tx,
    row::{parse, parse_optional},
    tx::{execute, fetch_all, fetch_one, fetch_optional},
};

/// A browser that was sent to a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trip {
    /// Of what the provider gives back unchanged.
    pub digest: Vec<u8>,
    pub provider: ObjectId,
    /// The sign-in that shows again who it is; `None` to make one.
    pub sign_in: Option<SignInId>,
    /// The page that was asked for.
    pub return_to: String,
    /// The network that it set out from.
    pub peer: String,
    pub expires_at: Timestamp,
}

/// On whose word a sign-in was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalSignIn {
    pub sign_in: SignInId,
    pub provider: ObjectId,
    pub subject: String,
    /// The provider's own name for it.
    pub sid: Option<String>,
}

#[derive(sqlx::FromRow)]
struct TripRow {
    digest: Vec<u8>,
    provider_id: String,
    sign_in_id: Option<String>,
    return_to: String,
    peer: String,
    expires_at: i64,
}

impl Tx {
    /// Keeps a trip, and forgets those that took too long. How many there are now, in all and from this network.
    pub async fn insert_trip(&mut self, trip: &Trip, now: Timestamp) -> Result<(i64, i64), StoreError> {
        const SQL: &str = "insert into oidc_trip (digest, provider_id, sign_in_id, return_to, peer, expires_at) \
            values ($1, $2, $3, $4, $5, $6)";
        const COUNT: &str = "select count(*), (select count(*) from oidc_trip where peer = $1) from oidc_trip";
        execute!(self, "delete from oidc_trip where expires_at <= $1", now.as_micros())?;
        let Trip { digest, provider, sign_in, return_to, peer, expires_at } = trip;
        let (provider, sign_in) = (provider.to_string(), sign_in.map(|id| id.to_string()));
        execute!(self, SQL, digest.as_slice(), provider, sign_in, return_to, peer, expires_at.as_micros())?;
        fetch_one!((i64, i64), self, COUNT, peer)
    }

    /// Ends a trip: once, and not after it expired.
    pub async fn end_trip(&mut self, digest: &[u8], now: Timestamp) -> Result<Option<Trip>, StoreError> {
        const SQL: &str = "delete from oidc_trip where digest = $1 and expires_at > $2 returning *";
        let row = fetch_optional!(TripRow, self, SQL, digest, now.as_micros())?;
        let trip = |row: TripRow| {
            Ok(Trip {
                digest: row.digest,
                provider: parse("oidc_trip.provider_id", &row.provider_id)?,
                sign_in: parse_optional("oidc_trip.sign_in_id", row.sign_in_id.as_deref())?,
                return_to: row.return_to,
                peer: row.peer,
                expires_at: Timestamp::from_micros(row.expires_at),
            })
        };
        row.map(trip).transpose()
    }

    /// Notes on whose word a sign-in was made.
    pub async fn insert_external_sign_in(&mut self, made: &ExternalSignIn) -> Result<(), StoreError> {
        const SQL: &str =
            "insert into external_sign_in (sign_in_id, provider_id, subject, sid) values ($1, $2, $3, $4)";
        let ExternalSignIn { sign_in, provider, subject, sid } = made;
        execute!(self, SQL, sign_in.to_string(), provider.to_string(), subject, sid.as_deref())?;
        Ok(())
    }

    /// On whose word a sign-in was made; `None` if it was made without.
    pub async fn external_sign_in(&mut self, id: SignInId) -> Result<Option<ExternalSignIn>, StoreError> {
        const SQL: &str = "select provider_id, subject, sid from external_sign_in where sign_in_id = $1";
        let row = fetch_optional!((String, String, Option<String>), self, SQL, id.to_string())?;
        let made = |(provider, subject, sid): (String, String, Option<String>)| {
            let provider = parse("external_sign_in.provider_id", &provider)?;
            Ok(ExternalSignIn { sign_in: id, provider, subject, sid })
        };
        row.map(made).transpose()
    }

    /// Ends the sign-ins that were made on a provider's word: by its own name for one of them, or all of a person. Which, and whose.
    pub async fn end_external_sign_ins(
        &mut self,
        provider: ObjectId,
        (sid, subject): (Option<&str>, Option<&str>),
        now: Timestamp,
    ) -> Result<Vec<(SignInId, ObjectId)>, StoreError> {
        const ONE: &str = "update sign_in set ended_at = $4 where ended_at is null and id in (select sign_in_id \
            from external_sign_in where provider_id = $1 and sid = $2 and ($3 = '' or subject = $3)) returning id, user_id";
        const ALL: &str = "update sign_in set ended_at = $3 where ended_at is null and id in (select sign_in_id \
            from external_sign_in where provider_id = $1 and subject = $2) returning id, user_id";
        let (provider, now) = (provider.to_string(), now.as_micros());
        let rows = match sid {
            Some(sid) => fetch_all!((String, String), self, ONE, provider, sid, subject.unwrap_or_default(), now)?,
            None => fetch_all!((String, String), self, ALL, provider, subject.unwrap_or_default(), now)?,
        };
        rows.iter().map(|(id, user)| Ok((parse("sign_in.id", id)?, parse("sign_in.user_id", user)?))).collect()
    }

    /// Notes a word that somebody has left, and forgets those that nobody takes any more. False if it was noted before.
    pub async fn note_logout(
        &mut self,
        provider: ObjectId,
        digest: &[u8],
        (now, until): (Timestamp, Timestamp),
    ) -> Result<bool, StoreError> {
        const SQL: &str = "insert into oidc_logout (provider_id, digest, expires_at) values ($1, $2, $3) \
            on conflict (provider_id, digest) do nothing";
        execute!(self, "delete from oidc_logout where expires_at <= $1", now.as_micros())?;
        Ok(execute!(self, SQL, provider.to_string(), digest, until.as_micros())? == 1)
    }
}
