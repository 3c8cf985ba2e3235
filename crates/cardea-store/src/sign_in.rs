//! Sign-ins in the browser, and the one-time tokens before there is one. Only digests of what the browser holds.

use cardea_domain::{ObjectId, SignInId, Timestamp};

use crate::{
    StoreError, Tx,
    row::{micros, parse, time},
    tx::{execute, fetch_all, fetch_one, fetch_optional},
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
    /// The network that it was made from.
    pub peer: Option<String>,
    /// What the browser called itself.
    pub agent: Option<String>,
    /// When a password was last shown in it.
    pub password_at: Option<Timestamp>,
    /// When a second factor was last shown in it.
    pub factor_at: Option<Timestamp>,
}

/// Between the password and the second factor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInTicket {
    /// Of the ticket's value.
    pub digest: Vec<u8>,
    pub user: ObjectId,
    /// The address that showed the password.
    pub peer: String,
    pub expires_at: Timestamp,
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
    peer: Option<String>,
    agent: Option<String>,
    password_at: Option<i64>,
    factor_at: Option<i64>,
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
            peer: row.peer,
            agent: row.agent,
            password_at: time(row.password_at),
            factor_at: time(row.factor_at),
        })
    }
}

impl Tx {
    /// Writes a new sign-in.
    pub async fn insert_sign_in(&mut self, sign_in: &SignInRow) -> Result<(), StoreError> {
        const SQL: &str = "insert into sign_in (id, user_id, digest, created_at, expires_at, last_seen_at, ended_at, \
            peer, agent, password_at, factor_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
        execute!(
            self,
            SQL,
            sign_in.id.to_string(),
            sign_in.user.to_string(),
            sign_in.digest.as_slice(),
            sign_in.created_at.as_micros(),
            sign_in.expires_at.as_micros(),
            sign_in.last_seen_at.as_micros(),
            micros(sign_in.ended_at),
            sign_in.peer.as_deref(),
            sign_in.agent.as_deref(),
            micros(sign_in.password_at),
            micros(sign_in.factor_at)
        )?;
        Ok(())
    }

    /// The sign-in of this digest, ended or expired ones too.
    pub async fn sign_in_by_digest(&mut self, digest: &[u8]) -> Result<Option<SignInRow>, StoreError> {
        let row = fetch_optional!(Row, self, "select * from sign_in where digest = $1", digest)?;
        row.map(SignInRow::try_from).transpose()
    }

    /// A sign-in, ended or expired ones too.
    pub async fn sign_in(&mut self, id: SignInId) -> Result<Option<SignInRow>, StoreError> {
        let row = fetch_optional!(Row, self, "select * from sign_in where id = $1", id.to_string())?;
        row.map(SignInRow::try_from).transpose()
    }

    /// The sign-ins of a user that nobody ended and that end after `now`, newest first, at most 200.
    pub async fn open_sign_ins(&mut self, user: ObjectId, now: Timestamp) -> Result<Vec<SignInRow>, StoreError> {
        const SQL: &str = "select * from sign_in where user_id = $1 and ended_at is null and expires_at > $2 \
            order by id desc limit 200";
        fetch_all!(Row, self, SQL, user.to_string(), now.as_micros())?.into_iter().map(SignInRow::try_from).collect()
    }

    /// Whether the user signed in before, ever and from this network with this browser.
    pub async fn knows_device(&mut self, user: ObjectId, peer: &str, agent: &str) -> Result<(bool, bool), StoreError> {
        const SQL: &str = "select exists(select 1 from sign_in where user_id = $1), \
            exists(select 1 from sign_in where user_id = $1 and peer = $2 and agent = $3)";
        fetch_one!((bool, bool), self, SQL, user.to_string(), peer, agent)
    }

    /// Whether the user signed in from this network since `since`.
    pub async fn knows_network(&mut self, user: ObjectId, peer: &str, since: Timestamp) -> Result<bool, StoreError> {
        const SQL: &str = "select exists(select 1 from sign_in where user_id = $1 and peer = $2 and created_at >= $3)";
        let (known,) = fetch_one!((bool,), self, SQL, user.to_string(), peer, since.as_micros())?;
        Ok(known)
    }

    /// Notes that a password was shown again.
    pub async fn password_shown(&mut self, id: SignInId, now: Timestamp) -> Result<(), StoreError> {
        execute!(self, "update sign_in set password_at = $2 where id = $1", id.to_string(), now.as_micros())?;
        Ok(())
    }

    /// Notes that a second factor was shown.
    pub async fn factor_shown(&mut self, id: SignInId, now: Timestamp) -> Result<(), StoreError> {
        execute!(self, "update sign_in set factor_at = $2 where id = $1", id.to_string(), now.as_micros())?;
        Ok(())
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

    /// Ends every sign-in of a user but one; how many.
    pub async fn end_sign_ins(
        &mut self,
        user: ObjectId,
        but: Option<SignInId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        const SQL: &str = "update sign_in set ended_at = $3 where user_id = $1 and id <> $2 and ended_at is null";
        let but = but.map(|id| id.to_string()).unwrap_or_default();
        execute!(self, SQL, user.to_string(), but, now.as_micros())
    }

    /// Forgets the sign-ins of a user that were over before `before`, and their tickets that are over `now`.
    pub async fn forget_sign_ins(
        &mut self,
        user: ObjectId,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str = "delete from sign_in where user_id = $1 and expires_at < $2";
        const TICKETS: &str = "delete from sign_in_ticket where user_id = $1 and expires_at <= $2";
        execute!(self, SQL, user.to_string(), before.as_micros())?;
        execute!(self, TICKETS, user.to_string(), now.as_micros())?;
        Ok(())
    }

    /// Keeps a ticket for the second step.
    pub async fn insert_ticket(&mut self, ticket: &SignInTicket) -> Result<(), StoreError> {
        const SQL: &str = "insert into sign_in_ticket (digest, user_id, peer, expires_at, attempts) \
            values ($1, $2, $3, $4, 0)";
        let SignInTicket { digest, user, peer, expires_at } = ticket;
        execute!(self, SQL, digest.as_slice(), user.to_string(), peer, expires_at.as_micros())?;
        Ok(())
    }

    /// Whose ticket this is, if there is one.
    pub async fn ticket_user(&mut self, digest: &[u8]) -> Result<Option<ObjectId>, StoreError> {
        let row = fetch_optional!((String,), self, "select user_id from sign_in_ticket where digest = $1", digest)?;
        row.map(|(user,)| parse("sign_in_ticket.user_id", &user)).transpose()
    }

    /// Counts an attempt with a ticket, and gives its user: only to the address that it was made for, only before it ends, and
    /// only `limit` times.
    pub async fn try_ticket(
        &mut self,
        digest: &[u8],
        peer: &str,
        now: Timestamp,
        limit: i64,
    ) -> Result<Option<ObjectId>, StoreError> {
        const SQL: &str = "update sign_in_ticket set attempts = attempts + 1 \
            where digest = $1 and peer = $2 and expires_at > $3 and attempts < $4 returning user_id";
        let row = fetch_optional!((String,), self, SQL, digest, peer, now.as_micros(), limit)?;
        row.map(|(user,)| parse("sign_in_ticket.user_id", &user)).transpose()
    }

    /// Uses a ticket up.
    pub async fn delete_ticket(&mut self, digest: &[u8]) -> Result<(), StoreError> {
        execute!(self, "delete from sign_in_ticket where digest = $1", digest)?;
        Ok(())
    }

    /// Takes back every ticket of a user.
    pub async fn delete_tickets_of(&mut self, user: ObjectId) -> Result<(), StoreError> {
        execute!(self, "delete from sign_in_ticket where user_id = $1", user.to_string())?;
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
