//! What shows a provider that a code comes back from where it was asked for (RFC 7636).

use aws_lc_rs::digest;
use cardea_domain::Secret;

/// The challenge of a verifier, by `S256`.
pub fn pkce_challenge(verifier: &Secret) -> String {
    let digest = verifier.expose(|verifier| digest::digest(&digest::SHA256, verifier.as_bytes()));
    data_encoding::BASE64URL_NOPAD.encode(digest.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_appendix_b_has() {
        let verifier = Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned());
        assert_eq!(pkce_challenge(&verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
