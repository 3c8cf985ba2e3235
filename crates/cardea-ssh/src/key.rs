//! Ed25519 keys, made from the product's own source of randomness.

use cardea_domain::{Entropy, Secret};
use russh::keys::{
    PrivateKey,
    ssh_key::{LineEnding, private::Ed25519Keypair},
};
use zeroize::Zeroizing;

/// A new private key for a gateway, in OpenSSH form: what [`crate::Settings::host_key`] takes.
pub fn generate_host_key(entropy: &dyn Entropy) -> Secret {
    let pem = generate(entropy).to_openssh(LineEnding::LF).expect("an unencrypted Ed25519 key has an OpenSSH form");
    Secret::new(pem.to_string())
}

/// A new key pair: the private half in OpenSSH form, and the public half as one OpenSSH line without comment.
pub fn generate_key_pair(entropy: &dyn Entropy) -> (Secret, String) {
    let key = generate(entropy);
    let pem = key.to_openssh(LineEnding::LF).expect("an unencrypted Ed25519 key has an OpenSSH form");
    (Secret::new(pem.to_string()), public_line(key.public_key()))
}

pub(crate) fn generate(entropy: &dyn Entropy) -> PrivateKey {
    let mut seed = Zeroizing::new([0; 32]);
    entropy.fill(seed.as_mut());
    PrivateKey::from(Ed25519Keypair::from_seed(&seed))
}

/// The public half as one OpenSSH line without comment.
pub(crate) fn public_line(key: &russh::keys::PublicKey) -> String {
    let algorithm = key.algorithm();
    let bare = russh::keys::PublicKey::new(key.key_data().clone(), "");
    bare.to_openssh().unwrap_or_else(|_| algorithm.to_string())
}
