//! The sealed form, version 1: `1 | key id (8) | nonce (12), sealed data key (32), tag (16) | nonce (12), sealed value,
//! tag (16)`. Everything before the tags is authenticated, the key id by the key that it names.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use cardea_domain::Entropy;
use zeroize::Zeroizing;

use crate::{System, VaultError};

pub(crate) const KEY_ID_LENGTH: usize = 8;
const FORMAT: u8 = 1;
const KEY_LENGTH: usize = 32;
const TAG_LENGTH: usize = 16;
const VALUE_AT: usize = 1 + KEY_ID_LENGTH + NONCE_LENGTH + KEY_LENGTH + TAG_LENGTH;
const NONCE_LENGTH: usize = NONCE_LEN;

/// Seals data keys, and knows its own name.
pub(crate) struct Wrapper {
    pub(crate) key: RandomizedNonceKey,
    pub(crate) id: [u8; KEY_ID_LENGTH],
}

impl Wrapper {
    /// Seals `value` under a data key of its own; both are bound to `bound_to`.
    pub(crate) fn seal(&self, bound_to: &[u8], value: &[u8]) -> Vec<u8> {
        let mut data_key = Zeroizing::new([0; KEY_LENGTH]);
        System.fill(data_key.as_mut_slice());
        let mut out = Vec::with_capacity(VALUE_AT + NONCE_LENGTH + value.len() + TAG_LENGTH);
        out.push(FORMAT);
        out.extend_from_slice(&self.id);
        seal_part(&self.key, &Self::aad(b"data key", bound_to), data_key.as_slice(), &mut out);
        seal_part(&aes(data_key.as_slice()), &Self::aad(b"value", bound_to), value, &mut out);
        out
    }

    /// Opens what [`Wrapper::seal`] made for the same `bound_to`.
    pub(crate) fn open(&self, bound_to: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (&format, rest) = sealed.split_first().ok_or(VaultError::Damaged)?;
        if format != FORMAT {
            return Err(VaultError::Format(format));
        }
        let wrapped = sealed.get(1 + KEY_ID_LENGTH..VALUE_AT).ok_or(VaultError::Damaged)?;
        if rest[..KEY_ID_LENGTH] != self.id {
            return Err(VaultError::OtherKey);
        }
        let data_key = open_part(&self.key, &Self::aad(b"data key", bound_to), wrapped)?;
        open_part(&aes(&data_key), &Self::aad(b"value", bound_to), &sealed[VALUE_AT..])
    }

    /// Says which of the two layers it is, so that one never passes for the other.
    fn aad(layer: &[u8], bound_to: &[u8]) -> Vec<u8> {
        [b"cardea secret 1\0", layer, b"\0", bound_to].concat()
    }
}

pub(crate) fn aes(key: &[u8]) -> RandomizedNonceKey {
    RandomizedNonceKey::new(&AES_256_GCM, key).expect("AES-256 takes any 32 bytes")
}

fn seal_part(key: &RandomizedNonceKey, aad: &[u8], plain: &[u8], out: &mut Vec<u8>) {
    let mut buffer = Zeroizing::new(plain.to_vec());
    let sealing = key.seal_in_place_separate_tag(Aad::from(aad), &mut buffer);
    let (nonce, tag) = sealing.expect("AES-GCM seals up to 64 GiB, and requests are bounded far below");
    out.extend_from_slice(nonce.as_ref());
    out.extend_from_slice(&buffer);
    out.extend_from_slice(tag.as_ref());
}

fn open_part(key: &RandomizedNonceKey, aad: &[u8], part: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let (nonce, body) = part.split_at_checked(NONCE_LENGTH).ok_or(VaultError::Damaged)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| VaultError::Damaged)?;
    let mut buffer = Zeroizing::new(body.to_vec());
    let opened = key.open_in_place(nonce, Aad::from(aad), &mut buffer).map_err(|_| VaultError::Damaged)?;
    let length = opened.len();
    buffer.truncate(length);
    Ok(buffer)
}
