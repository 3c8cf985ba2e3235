//! Reads the certificate that a key is offered with: whether Cardea's authority signed it, for a person, without conditions.

use cardea_domain::{Certificate, Timestamp};
use russh::keys::{PublicKey, ssh_key};

use crate::key::public_line;

/// What it says, if `authority` (one OpenSSH line) signed it. Its times are the product's to judge.
///
/// Every critical option is refused: one that is not known must be (PROTOCOL.certkeys), and Cardea gives none.
pub(crate) fn read(shown: &ssh_key::Certificate, authority: &str) -> Option<Certificate> {
    let authority = PublicKey::from_openssh(authority).ok()?;
    let is_ours = shown.signature_key() == authority.key_data() && shown.verify_signature().is_ok();
    let is_plain = shown.cert_type().is_user() && shown.critical_options().is_empty();
    if !is_ours || !is_plain || shown.valid_principals().is_empty() {
        return None;
    }
    Some(Certificate {
        key_id: shown.key_id().to_owned(),
        public_key: public_line(&PublicKey::new(shown.public_key().clone(), "")),
        principals: shown.valid_principals().to_vec(),
        valid_after: time(shown.valid_after())?,
        valid_before: time(shown.valid_before())?,
    })
}

/// None for OpenSSH's "for ever", which Cardea never gives.
fn time(seconds: u64) -> Option<Timestamp> {
    i64::try_from(seconds).ok()?.checked_mul(1_000_000).map(Timestamp::from_micros)
}
