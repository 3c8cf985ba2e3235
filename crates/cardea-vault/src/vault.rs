//! Seals and opens secrets, and makes keyed digests, all under one master key.

use std::path::Path;

use aws_lc_rs::{hkdf, hmac};
use cardea_domain::{Secret, SecretId};
use zeroize::Zeroizing;

use crate::{
    VaultError,
    envelope::{KEY_ID_LENGTH, Wrapper, aes},
    key_file,
};

/// Where a sealed secret stands. It opens only there.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// The installation's id: a row copied into another store does not open, even under the same key.
    pub installation: &'a str,
    /// The row.
    pub id: SecretId,
    /// Which field of its object the secret is: `password`, `private_key`, ….
    pub field: &'a str,
}

/// Opens and seals. Keeps only keys derived from the master key, one for each purpose.
pub struct Vault {
    wrapper: Wrapper,
    root: hkdf::Prk,
}

impl Vault {
    /// Writes a new master key: 256 random bits, mode 0600. Never overwrites ([`VaultError::KeyFileExists`]).
    pub fn create_key_file(path: &Path) -> Result<(), VaultError> {
        key_file::create(path)
    }

    /// Reads the master key. Refuses a file that others may read or that somebody else owns.
    pub fn open(key_file: &Path) -> Result<Self, VaultError> {
        let master = key_file::read(key_file)?;
        // RFC 5869: extract once, expand per purpose, so that no key serves two ends.
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, b"cardea vault 1").extract(master.as_slice());
        let key = Zeroizing::new(expand(&root, "wrap"));
        let mut id = [0; KEY_ID_LENGTH];
        id.copy_from_slice(&expand(&root, "key id")[..KEY_ID_LENGTH]);
        Ok(Self { wrapper: Wrapper { key: aes(key.as_slice()), id }, root })
    }

    /// Seals a secret for one place. Sealing the same twice gives different bytes.
    pub fn seal(&self, binding: &Binding<'_>, secret: &Secret) -> Vec<u8> {
        secret.expose(|text| self.wrapper.seal(&binding.to_bytes(), text.as_bytes()))
    }

    /// Opens what was sealed for the same place.
    pub fn unseal(&self, binding: &Binding<'_>, sealed: &[u8]) -> Result<Secret, VaultError> {
        let mut value = self.wrapper.open(&binding.to_bytes(), sealed)?;
        match String::from_utf8(std::mem::take(&mut *value)) {
            Ok(text) => Ok(Secret::new(text)),
            Err(error) => {
                drop(Zeroizing::new(error.into_bytes()));
                Err(VaultError::NotText)
            }
        }
    }

    /// A keyed digest (HMAC-SHA256): the same bytes give the same digest for the same purpose, and nobody without the
    /// master key can make or test one. For looking up tokens, telling whether a secret changed, and marks of ownership.
    pub fn digest(&self, purpose: &str, bytes: &[u8]) -> [u8; 32] {
        let subkey = Zeroizing::new(expand(&self.root, &format!("digest {purpose}")));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, subkey.as_slice()), bytes);
        let mut digest = [0; 32];
        digest.copy_from_slice(tag.as_ref());
        digest
    }
}

impl Binding<'_> {
    /// Each part behind its length, so that no two places give the same bytes.
    fn to_bytes(self) -> Vec<u8> {
        let id = self.id.to_string();
        let mut bytes = Vec::with_capacity(128);
        for part in [self.installation, &id, self.field] {
            bytes.extend_from_slice(&u64::try_from(part.len()).expect("lengths fit 64 bits").to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }
}

fn expand(root: &hkdf::Prk, purpose: &str) -> [u8; 32] {
    let mut key = [0; 32];
    root.expand(&[purpose.as_bytes()], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut key))
        .expect("HKDF-SHA256 gives up to 8160 bytes");
    key
}

#[cfg(test)]
mod tests;
