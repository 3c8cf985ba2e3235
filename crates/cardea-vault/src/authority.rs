//! The authority that certifies people's SSH keys: its private half is a secret like any other, sealed wherever it rests.

use cardea_domain::{Entropy, Secret};
use ssh_key::{
    LineEnding, PrivateKey, PublicKey,
    certificate::{Builder, CertType},
    private::Ed25519Keypair,
};
use zeroize::Zeroizing;

use crate::VaultError;

/// The random part of a certificate, in bytes: what OpenSSH uses.
const NONCE_LENGTH: usize = 32;
/// What a certificate lets its owner have; the gateway and the session's profile decide what they get.
const EXTENSIONS: [&str; 4] = ["permit-agent-forwarding", "permit-port-forwarding", "permit-pty", "permit-user-rc"];

/// An Ed25519 key that signs user certificates.
pub struct Authority(PrivateKey);

/// What a certificate is to say.
#[derive(Clone, Debug)]
pub struct CertificateWish {
    /// The person's public key, one OpenSSH line.
    pub public_key: String,
    /// What logs name it by.
    pub key_id: String,
    pub serial: u64,
    /// At least one.
    pub principals: Vec<String>,
    /// Seconds since 1970: from then on, and until before then.
    pub valid_after: u64,
    pub valid_before: u64,
}

impl Authority {
    /// A new private key, in OpenSSH form: to be sealed.
    pub fn generate(entropy: &dyn Entropy) -> Secret {
        let mut seed = Zeroizing::new([0; 32]);
        entropy.fill(seed.as_mut());
        let key = PrivateKey::from(Ed25519Keypair::from_seed(&seed));
        let pem = key.to_openssh(LineEnding::LF).expect("an unencrypted Ed25519 key has an OpenSSH form");
        Secret::new(pem.to_string())
    }

    /// Reads what [`Authority::generate`] made.
    pub fn open(key: &Secret) -> Result<Self, VaultError> {
        key.expose(|pem| PrivateKey::from_openssh(pem)).map(Self).map_err(|_| VaultError::NotAKey)
    }

    /// The public half, as one OpenSSH line without comment: what trusts certificates of this authority.
    pub fn public_key(&self) -> String {
        let bare = PublicKey::new(self.0.public_key().key_data().clone(), "");
        bare.to_openssh().expect("an Ed25519 key has an OpenSSH form")
    }

    /// Signs a user certificate, as one OpenSSH line without comment.
    pub fn certify(&self, wish: &CertificateWish, entropy: &dyn Entropy) -> Result<String, VaultError> {
        let mut nonce = vec![0; NONCE_LENGTH];
        entropy.fill(&mut nonce);
        let signed = || {
            let key = PublicKey::from_openssh(&wish.public_key)?.key_data().clone();
            let mut builder = Builder::new(nonce, key, wish.valid_after, wish.valid_before)?;
            builder.serial(wish.serial)?.cert_type(CertType::User)?.key_id(&wish.key_id)?;
            for principal in &wish.principals {
                builder.valid_principal(principal)?;
            }
            for extension in EXTENSIONS {
                builder.extension(extension, "")?;
            }
            builder.sign(&self.0)?.to_openssh()
        };
        signed().map_err(|_: ssh_key::Error| VaultError::NotCertifiable)
    }
}

#[cfg(test)]
mod tests {
    use ssh_key::Certificate;

    use super::*;
    use crate::System;

    fn wish(public_key: &str) -> CertificateWish {
        CertificateWish {
            public_key: public_key.to_owned(),
            key_id: "cardea usr_1 sgn_1".to_owned(),
            serial: 7,
            principals: vec!["usr_1".to_owned(), "alice".to_owned()],
            valid_after: 1_000,
            valid_before: 2_000,
        }
    }

    #[test]
    fn a_certificate_says_what_was_wished_and_is_the_authoritys() {
        let authority = Authority::open(&Authority::generate(&System)).expect("a key");
        let person = Authority::open(&Authority::generate(&System)).expect("a key").public_key();
        let line = authority.certify(&wish(&person), &System).expect("a certificate");
        let certificate = Certificate::from_openssh(&line).expect("it is one");
        let ours = PublicKey::from_openssh(&authority.public_key()).expect("a key");
        let print = ours.fingerprint(ssh_key::HashAlg::Sha256);
        assert!(certificate.validate_at(1_500, [&print]).is_ok());
        assert!(certificate.validate_at(2_000, [&print]).is_err() && certificate.validate_at(999, [&print]).is_err());
        assert_eq!((certificate.serial(), certificate.valid_principals().len()), (7, 2));
        assert!(certificate.cert_type().is_user() && certificate.critical_options().is_empty());
        let again = authority.certify(&wish(&person), &System).expect("a certificate");
        assert_ne!(line, again, "no two have the same nonce");
    }

    #[test]
    fn what_is_no_key_is_not_certified() {
        let authority = Authority::open(&Authority::generate(&System)).expect("a key");
        for wrong in ["", "ssh-ed25519 AAAA", "ssh-ed25519-cert-v01@openssh.com AAAA"] {
            assert!(matches!(authority.certify(&wish(wrong), &System), Err(VaultError::NotCertifiable)), "{wrong}");
        }
        assert!(matches!(Authority::open(&Secret::new("no key".to_owned())), Err(VaultError::NotAKey)));
    }
}
