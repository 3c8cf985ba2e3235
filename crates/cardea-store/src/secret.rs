//! Sealed secrets and hashed passwords. The store sees ciphertext, digests and hashes only.

use cardea_domain::{ObjectId, SecretField, SecretId, Timestamp};

use crate::{
    StoreError, Tx,
    row::{one_of, parse},
    tx::{execute, fetch_all, fetch_optional},
};

/// A sealed secret of a configuration object.
pub struct SecretRow {
    pub id: SecretId,
    pub object: ObjectId,
    pub field: SecretField,
    /// What the vault made of it.
    pub sealed: Vec<u8>,
    /// Keyed digest: tells whether a new value is the same.
    pub digest: Vec<u8>,
    pub created_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    object_id: String,
    field: String,
    sealed: Vec<u8>,
    digest: Vec<u8>,
    created_at: i64,
}

impl TryFrom<Row> for SecretRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: parse("secret.id", &row.id)?,
            object: parse("secret.object_id", &row.object_id)?,
            field: one_of("secret.field", SecretField::ALL, SecretField::as_str, &row.field)?,
            sealed: row.sealed,
            digest: row.digest,
            created_at: Timestamp::from_micros(row.created_at),
        })
    }
}

impl Tx {
    /// Keeps a sealed secret.
    pub async fn insert_secret(&mut self, secret: &SecretRow) -> Result<(), StoreError> {
        const SQL: &str = "insert into secret (id, object_id, field, sealed, digest, created_at) \
            values ($1, $2, $3, $4, $5, $6)";
        execute!(
            self,
            SQL,
            secret.id.to_string(),
            secret.object.to_string(),
            secret.field.as_str(),
            secret.sealed.as_slice(),
            secret.digest.as_slice(),
            secret.created_at.as_micros()
        )?;
        Ok(())
    }

    /// The secrets that an object has now.
    pub async fn secrets_of(&mut self, object: ObjectId) -> Result<Vec<SecretRow>, StoreError> {
        const SQL: &str = "select * from secret where object_id = $1 and retired_at is null order by id";
        fetch_all!(Row, self, SQL, object.to_string())?.into_iter().map(SecretRow::try_from).collect()
    }

    /// A secret, retired or not.
    pub async fn secret(&mut self, id: SecretId) -> Result<Option<SecretRow>, StoreError> {
        let row = fetch_optional!(Row, self, "select * from secret where id = $1", id.to_string())?;
        row.map(SecretRow::try_from).transpose()
    }

    /// Takes a secret out of use; it stays readable by its id until [`Tx::purge_retired_secrets`].
    pub async fn retire_secret(&mut self, id: SecretId, at: Timestamp) -> Result<(), StoreError> {
        const SQL: &str = "update secret set retired_at = $2 where id = $1 and retired_at is null";
        execute!(self, SQL, id.to_string(), at.as_micros())?;
        Ok(())
    }

    /// Deletes retired secrets that no grant needs any more: neither to be placed or removed, nor for the scan after.
    /// Returns how many.
    pub async fn purge_retired_secrets(&mut self) -> Result<u64, StoreError> {
        const SQL: &str = "delete from secret where retired_at is not null and not exists (select 1 from grant_entry g \
            where (g.state in ('planned', 'placing', 'placed', 'removing') \
                or (g.kind = 'account' and g.state = 'removed' and g.scanned_at is null and g.expires_at is not null)) \
            and g.target like '%' || secret.id || '%')";
        execute!(self, SQL)
    }

    /// Forgets a secret that was made for one session and is of no use any more.
    pub async fn delete_secret(&mut self, id: SecretId) -> Result<(), StoreError> {
        execute!(self, "delete from secret where id = $1", id.to_string())?;
        Ok(())
    }

    /// A user's password hash, in PHC form.
    pub async fn password(&mut self, user: ObjectId) -> Result<Option<String>, StoreError> {
        let row = fetch_optional!((String,), self, "select hash from password where user_id = $1", user.to_string())?;
        Ok(row.map(|(hash,)| hash))
    }

    /// Sets a user's password hash, and makes their invitations void. The user must be there already.
    pub async fn set_password(&mut self, user: ObjectId, hash: &str, at: Timestamp) -> Result<(), StoreError> {
        const SQL: &str = "insert into password (user_id, hash, changed_at) values ($1, $2, $3) \
            on conflict (user_id) do update set hash = excluded.hash, changed_at = excluded.changed_at";
        execute!(self, SQL, user.to_string(), hash, at.as_micros())?;
        self.void_invitations(user, at).await
    }
}
