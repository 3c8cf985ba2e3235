//! Invitations to choose a password. Only the digest of what the link holds.

use cardea_domain::{InvitationId, ObjectId, Timestamp};

use crate::{
    StoreError, Tx,
    row::{parse, time},
    tx::{execute, fetch_optional},
};

/// An invitation. Whether it still counts is the caller's to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvitationRow {
    pub id: InvitationId,
    pub user: ObjectId,
    /// Of what the link holds.
    pub digest: Vec<u8>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub used_at: Option<Timestamp>,
    /// When a newer one took its place.
    pub voided_at: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    user_id: String,
    digest: Vec<u8>,
    created_at: i64,
    expires_at: i64,
    used_at: Option<i64>,
    voided_at: Option<i64>,
}

impl TryFrom<Row> for InvitationRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: parse("invitation.id", &row.id)?,
            user: parse("invitation.user_id", &row.user_id)?,
            digest: row.digest,
            created_at: Timestamp::from_micros(row.created_at),
            expires_at: Timestamp::from_micros(row.expires_at),
            used_at: time(row.used_at),
            voided_at: time(row.voided_at),
        })
    }
}

impl Tx {
    /// Writes a new invitation, and makes the user's others void.
    pub async fn insert_invitation(&mut self, invitation: &InvitationRow) -> Result<(), StoreError> {
        const SQL: &str =
            "insert into invitation (id, user_id, digest, created_at, expires_at) values ($1, $2, $3, $4, $5)";
        self.void_invitations(invitation.user, invitation.created_at).await?;
        let (user, now) = (invitation.user.to_string(), invitation.created_at.as_micros());
        let (id, expires_at) = (invitation.id.to_string(), invitation.expires_at.as_micros());
        execute!(self, SQL, id, user, invitation.digest.as_slice(), now, expires_at)?;
        Ok(())
    }

    /// Makes a user's open invitations void: there is another way in by now, or what they would open has changed.
    pub async fn void_invitations(&mut self, user: ObjectId, now: Timestamp) -> Result<(), StoreError> {
        const SQL: &str = "update invitation set voided_at = $2 \
            where user_id = $1 and used_at is null and voided_at is null";
        execute!(self, SQL, user.to_string(), now.as_micros())?;
        Ok(())
    }

    /// The invitation of this id.
    pub async fn invitation(&mut self, id: InvitationId) -> Result<Option<InvitationRow>, StoreError> {
        let row = fetch_optional!(Row, self, "select * from invitation where id = $1", id.to_string())?;
        row.map(InvitationRow::try_from).transpose()
    }

    /// The invitation of this digest, used, void and expired ones too.
    pub async fn invitation_by_digest(&mut self, digest: &[u8]) -> Result<Option<InvitationRow>, StoreError> {
        let row = fetch_optional!(Row, self, "select * from invitation where digest = $1", digest)?;
        row.map(InvitationRow::try_from).transpose()
    }

    /// Uses an invitation up. True once, and only before it expires or is void.
    pub async fn use_invitation(&mut self, digest: &[u8], now: Timestamp) -> Result<bool, StoreError> {
        const SQL: &str = "update invitation set used_at = $2 \
            where digest = $1 and used_at is null and voided_at is null and expires_at > $2";
        Ok(execute!(self, SQL, digest, now.as_micros())? == 1)
    }
}
