//! One-time tokens that open the gateway for one session, by digest. A token that was used is gone.

use cardea_domain::{ObjectId, SessionId, Timestamp};

use crate::{
    StoreError, Tx,
    row::parse,
    tx::{execute, fetch_one, fetch_optional},
};

impl Tx {
    /// Keeps the digest of a fresh token, and forgets those whose time is over.
    pub async fn insert_launch(
        &mut self,
        digest: &[u8],
        (session, user): (SessionId, ObjectId),
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        execute!(self, "delete from launch_token where expires_at <= $1", now.as_micros())?;
        const SQL: &str = "insert into launch_token (digest, session_id, user_id, expires_at) values ($1, $2, $3, $4)";
        execute!(self, SQL, digest, session.to_string(), user.to_string(), expires_at.as_micros())?;
        Ok(())
    }

    /// How many unused tokens a session has whose time is not over.
    pub async fn launches_of(&mut self, session: SessionId, now: Timestamp) -> Result<i64, StoreError> {
        const SQL: &str = "select count(*) from launch_token where session_id = $1 and expires_at > $2";
        Ok(fetch_one!((i64,), self, SQL, session.to_string(), now.as_micros())?.0)
    }

    /// Uses up the token of this digest for this session: whose it was. `None` the second time, for another session, and when its
    /// time is over.
    pub async fn use_launch(
        &mut self,
        digest: &[u8],
        session: SessionId,
        now: Timestamp,
    ) -> Result<Option<ObjectId>, StoreError> {
        const SQL: &str = "delete from launch_token where digest = $1 and session_id = $2 and expires_at > $3 \
            returning user_id";
        let row = fetch_optional!((String,), self, SQL, digest, session.to_string(), now.as_micros())?;
        row.map(|(user,)| parse("launch_token.user_id", &user)).transpose()
    }
}
