//! Opens sealed secrets for connectors, at the moment that they dial.

use std::sync::Arc;

use async_trait::async_trait;
use cardea_domain::{Credentials, ObjectId, Secret, SecretField, SecretId, Timestamp};
use cardea_store::{SecretRow, Store};
use cardea_vault::{Binding, Totp, Vault};

use crate::error::with_causes;

/// The vault and the rows that it sealed.
#[derive(Clone)]
pub struct Keyring {
    store: Store,
    vault: Arc<Vault>,
    installation: String,
}

impl Keyring {
    /// A keyring over a store's secrets. `installation` is the id that they are bound to.
    pub fn new(store: Store, vault: Arc<Vault>, installation: String) -> Self {
        Self { store, vault, installation }
    }

    /// A keyed digest: tells whether two secrets are the same without keeping either.
    pub(crate) fn digest(&self, purpose: &str, bytes: &[u8]) -> [u8; 32] {
        self.vault.digest(purpose, bytes)
    }

    /// Seals a secret for a row of this id.
    pub(crate) fn seal(
        &self,
        id: SecretId,
        object: ObjectId,
        field: SecretField,
        value: &Secret,
        now: Timestamp,
    ) -> SecretRow {
        let binding = Binding { installation: &self.installation, id, field: field.as_str() };
        let sealed = self.vault.seal(&binding, value);
        let digest = value.expose(|text| self.digest("secret", text.as_bytes())).to_vec();
        SecretRow { id, object, field, sealed, digest, created_at: now }
    }

    /// Seals the gateway's host key under an id of its own.
    pub(crate) fn seal_host_key(&self, id: SecretId, key: &Secret) -> Vec<u8> {
        self.vault.seal(&self.host_key(id), key)
    }

    /// Opens it. Fails if another master key sealed it.
    pub(crate) fn open_host_key(&self, id: &str, sealed: &[u8]) -> Result<Secret, String> {
        let id = id.parse().map_err(|_| "the gateway's host key has no id that can be read".to_owned())?;
        self.vault.unseal(&self.host_key(id), sealed).map_err(|error| {
            format!(
                "the gateway's host key cannot be opened, so this is not the installation's master key: {}",
                with_causes(&error)
            )
        })
    }

    /// Seals the secret of an authenticator app under an id of its own.
    pub(crate) fn seal_totp(&self, id: SecretId, secret: &Secret) -> Vec<u8> {
        self.vault.seal(&self.totp(id), secret)
    }

    /// Opens it.
    pub(crate) fn open_totp(&self, id: SecretId, sealed: &[u8]) -> Result<Totp, String> {
        let secret = self.vault.unseal(&self.totp(id), sealed).map_err(|error| with_causes(&error))?;
        Totp::read(&secret).ok_or_else(|| "the secret of an authenticator app cannot be read".to_owned())
    }

    /// Seals what somebody is asked with a passkey under an id of its own.
    pub(crate) fn seal_question(&self, id: SecretId, question: &Secret) -> Vec<u8> {
        self.vault.seal(&self.question(id), question)
    }

    /// Opens it. Fails for what somebody else made up.
    pub(crate) fn open_question(&self, id: SecretId, sealed: &[u8]) -> Result<Secret, String> {
        self.vault.unseal(&self.question(id), sealed).map_err(|error| with_causes(&error))
    }

    fn question(&self, id: SecretId) -> Binding<'_> {
        Binding { installation: &self.installation, id, field: "passkey_question" }
    }

    fn totp(&self, id: SecretId) -> Binding<'_> {
        Binding { installation: &self.installation, id, field: "totp" }
    }

    /// Seals the key that certifies people's keys under an id of its own.
    pub(crate) fn seal_authority(&self, id: SecretId, key: &Secret) -> Vec<u8> {
        self.vault.seal(&self.authority(id), key)
    }

    /// Opens it. Fails if another master key sealed it.
    pub(crate) fn open_authority(&self, id: &str, sealed: &[u8]) -> Result<Secret, String> {
        let id = id.parse().map_err(|_| "the authority's key has no id that can be read".to_owned())?;
        self.vault.unseal(&self.authority(id), sealed).map_err(|error| with_causes(&error))
    }

    fn authority(&self, id: SecretId) -> Binding<'_> {
        Binding { installation: &self.installation, id, field: "user_authority" }
    }

    fn host_key(&self, id: SecretId) -> Binding<'_> {
        Binding { installation: &self.installation, id, field: "gateway_host_key" }
    }
}

#[async_trait]
impl Credentials for Keyring {
    async fn open(&self, id: SecretId) -> Result<Secret, String> {
        let row = self.store.read(move |tx| Box::pin(async move { tx.secret(id).await })).await;
        let row = row.map_err(|error| with_causes(&error))?;
        let row = row.ok_or_else(|| format!("the secret {id} is not in the store: set it anew with `cardea apply`"))?;
        let binding = Binding { installation: &self.installation, id, field: row.field.as_str() };
        self.vault.unseal(&binding, &row.sealed).map_err(|error| with_causes(&error))
    }
}
