//! What service accounts log in with: the ids of their secrets, never the secrets, remembered until the account changes.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use cardea_domain::{Object, ObjectId, SecretField, SecretId};
use cardea_store::Store;

use crate::AppError;

/// Accounts that are remembered; whoever has more reads some again.
const REMEMBERED: usize = 1000;

type Secrets = Vec<(SecretField, SecretId)>;

/// The secrets of service accounts, each with the version of the account that had them: a new secret is a new version.
#[derive(Default)]
pub(crate) struct LogIns(Mutex<HashMap<ObjectId, (i64, Secrets)>>);

impl LogIns {
    /// The secrets that this account has.
    pub(crate) async fn of(&self, store: &Store, account: &Object) -> Result<Secrets, AppError> {
        let (id, version) = (account.id, account.version);
        if let Some((known, secrets)) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id)
            && *known == version
        {
            return Ok(secrets.clone());
        }
        let rows = store.read(move |tx| Box::pin(async move { tx.secrets_of(id).await })).await?;
        let secrets: Secrets = rows.into_iter().map(|row| (row.field, row.id)).collect();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(id, (version, secrets.clone()));
        Ok(secrets)
    }
}
