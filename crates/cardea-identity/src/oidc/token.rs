//! Tokens that providers sign: whose signature it is, and to whom. Their times are looked at with the claims: time is an argument.

use std::collections::HashSet;

use cardea_domain::{OidcSpec, OpenIdFault};
use jsonwebtoken::{
    Algorithm, DecodingKey, TokenData, Validation, decode, decode_header,
    errors::ErrorKind,
    jwk::{Jwk, PublicKeyUse},
};
use serde_json::Value;

use super::wrong;

/// Larger tokens are nobody's.
const TOKEN_BYTES_MAX: usize = 64 << 10;
/// A provider that rolls its keys over has a few.
const KEYS_MAX: usize = 100;
/// What is signed with a key that only the provider has. Not `none`, and nothing with a shared key: what is published would be it.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// The keys that a provider signs with, each with its name if it has one.
pub(super) struct Keys(Vec<(Option<String>, DecodingKey)>);

impl Keys {
    /// Reads a key set. What it holds of other kinds is passed over.
    pub(super) fn read(document: &Value) -> Result<Self, OpenIdFault> {
        let keys = document["keys"].as_array().ok_or_else(|| wrong("its key set has no `keys`"))?;
        if keys.len() > KEYS_MAX {
            return Err(wrong(format!("its key set has more than {KEYS_MAX} keys")));
        }
        let keys = keys.iter().filter_map(|key| serde_json::from_value::<Jwk>(key.clone()).ok());
        let signs =
            keys.filter(|key| key.common.public_key_use.as_ref().is_none_or(|is| *is == PublicKeyUse::Signature));
        let named = |key: Jwk| Some((key.common.key_id.clone(), DecodingKey::from_jwk(&key).ok()?));
        Ok(Self(signs.filter_map(named).collect()))
    }

    /// The claims of a token that one of them signed, by this issuer to this client; `None` if none did.
    pub(super) fn open(&self, token: &str, spec: &OidcSpec) -> Result<Option<Value>, OpenIdFault> {
        let unreadable = |_| wrong("its token cannot be read, or is signed in a way that Cardea does not take");
        if token.len() > TOKEN_BYTES_MAX {
            return Err(wrong("its token is too long"));
        }
        let header = decode_header(token).map_err(unreadable)?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(wrong("its token is signed in a way that Cardea does not take"));
        }
        // What has to be understood, and is not (RFC 7515, 4.1.11).
        if header.crit.is_some() {
            return Err(wrong("its token asks for something that Cardea does not know"));
        }
        let mut validation = Validation::new(header.alg);
        validation.required_spec_claims = HashSet::from(["aud", "iss"].map(str::to_owned));
        validation.set_issuer(&[&spec.issuer]);
        validation.set_audience(&[&spec.client_id]);
        validation.validate_exp = false;
        let fitting = self.0.iter().filter(|(name, _)| header.kid.is_none() || *name == header.kid);
        for (_, key) in fitting.filter(|(_, key)| key.family() == header.alg.family()) {
            match decode::<Value>(token, key, &validation) {
                Ok(TokenData { claims, .. }) => return Ok(Some(claims)),
                Err(error) => match error.kind() {
                    ErrorKind::InvalidIssuer => return Err(wrong("its token was made by another issuer")),
                    ErrorKind::InvalidAudience => return Err(wrong("its token is meant for somebody else")),
                    ErrorKind::MissingRequiredClaim(claim) => {
                        return Err(wrong(format!("its token has no `{claim}` that can be read")));
                    }
                    _ => {}
                },
            }
        }
        Ok(None)
    }
}
