//! Accounts that are kept on hosts between sessions, and who has them.

use cardea_domain::SessionId;

use crate::{
    StoreError, Tx,
    row::{count, parse_optional},
    tx::{execute, fetch_one, fetch_optional},
};

/// A kept account on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedAccount {
    pub host: String,
    pub name: String,
    pub uid: u32,
    /// The session that has it checked out.
    pub holder: Option<SessionId>,
}

#[derive(sqlx::FromRow)]
struct Row {
    host: String,
    name: String,
    uid: i64,
    holder: Option<String>,
}

impl TryFrom<Row> for ManagedAccount {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            uid: count("managed_account.uid", row.uid)?,
            holder: parse_optional("managed_account.holder", row.holder.as_deref())?,
            host: row.host,
            name: row.name,
        })
    }
}

impl Tx {
    /// The account of this name on a host, if Cardea keeps it.
    pub async fn managed_account(&mut self, host: &str, name: &str) -> Result<Option<ManagedAccount>, StoreError> {
        const SQL: &str = "select * from managed_account where host = $1 and name = $2";
        fetch_optional!(Row, self, SQL, host, name)?.map(ManagedAccount::try_from).transpose()
    }

    /// Checks an account out for a session; writes it down if it was not known. Answers who has it afterwards: another
    /// session if that had it before, and then nothing was changed.
    pub async fn check_out(&mut self, account: &ManagedAccount, session: SessionId) -> Result<SessionId, StoreError> {
        const SQL: &str = "insert into managed_account (host, name, uid, holder) values ($1, $2, $3, $4) \
            on conflict (host, name) do update set holder = coalesce(managed_account.holder, excluded.holder) \
            returning *";
        let (uid, session) = (i64::from(account.uid), session.to_string());
        let row = fetch_one!(Row, self, SQL, &account.host, &account.name, uid, &session)?;
        let holder = ManagedAccount::try_from(row)?.holder;
        holder.ok_or_else(|| StoreError::Corrupt("managed_account.holder: none after a check-out".to_owned()))
    }

    /// Checks in what a session had checked out.
    pub async fn check_in(&mut self, session: SessionId) -> Result<(), StoreError> {
        execute!(self, "update managed_account set holder = null where holder = $1", session.to_string())?;
        Ok(())
    }

    /// Writes down the number that a kept account has on its host.
    pub async fn set_managed_uid(&mut self, host: &str, name: &str, uid: u32) -> Result<(), StoreError> {
        const SQL: &str = "update managed_account set uid = $3 where host = $1 and name = $2";
        execute!(self, SQL, host, name, i64::from(uid))?;
        Ok(())
    }
}
