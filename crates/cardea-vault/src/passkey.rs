//! Passkeys (WebAuthn): what a browser is asked, and whether its answer is right.
//!
//! Every passkey is discoverable and verifies its user by PIN or by finger, so that it can stand alone. What is begun here is
//! kept by the caller until it is answered, once. The challenges are made by `webauthn-rs`, from the system's randomness.

use serde::Deserialize as _;
use serde_json::Value;
use webauthn_rs::{
    Webauthn,
    prelude::{
        CreationChallengeResponse, DiscoverableAuthentication, DiscoverableKey, Passkey, PasskeyRegistration,
        PublicKeyCredential, RegisterPublicKeyCredential, Url, Uuid, WebauthnBuilder, WebauthnError,
    },
};

/// Random bytes that stand for a user at their authenticators, which give them out to nobody but us.
pub type PasskeyHandle = [u8; 16];

/// The site that passkeys are made for.
#[derive(Clone, Debug)]
pub struct RelyingParty(Webauthn);

/// Something that was begun.
pub struct PasskeyAsked {
    /// For `navigator.credentials`, in the JSON form of WebAuthn level 3.
    pub options: Value,
    /// What the answer is compared with. Nobody but us may hold it.
    pub state: String,
}

/// A passkey that was made.
pub struct NewPasskey {
    pub credential: Vec<u8>,
    /// Public key and signature counter.
    pub kept: String,
}

/// Which passkey answers, and for whom, before anything is proven.
pub struct PasskeyClaim {
    pub credential: Vec<u8>,
    pub handle: PasskeyHandle,
}

/// Why an answer does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasskeyFault {
    /// The signature is right, but its counter went back: there are two of this key.
    Copied,
    Wrong,
}

impl RelyingParty {
    /// `public_url` is where browsers find the site: its host must be a name, not an address (WebAuthn, section 5.1.2).
    pub fn new(public_url: &str) -> Option<Self> {
        let url = Url::parse(public_url).ok()?;
        let host = url.domain()?;
        let site = WebauthnBuilder::new(host, &url).ok()?.rp_name("Cardea").build().ok()?;
        Some(Self(site))
    }

    /// Asks for a new passkey of a user. `known` are the credentials that they have: none is made beside them.
    pub fn begin(
        &self,
        handle: PasskeyHandle,
        (name, full_name): (&str, &str),
        known: &[Vec<u8>],
    ) -> Option<PasskeyAsked> {
        let known = known.to_vec();
        let (handle, site) = (Uuid::from_bytes(handle), &self.0);
        let (asked, state) = site.start_passkey_registration(handle, name, full_name, Some(known)).ok()?;
        Some(PasskeyAsked { options: discoverable(&asked)?, state: serde_json::to_string(&state).ok()? })
    }

    /// Reads the answer to [`RelyingParty::begin`].
    pub fn finish(&self, state: &str, answer: &Value) -> Option<NewPasskey> {
        let state: PasskeyRegistration = serde_json::from_str(state).ok()?;
        let answer = RegisterPublicKeyCredential::deserialize(answer).ok()?;
        let passkey = self.0.finish_passkey_registration(&answer, &state).ok()?;
        let kept = serde_json::to_string(&passkey).ok()?;
        Some(NewPasskey { credential: passkey.cred_id().to_vec(), kept })
    }

    /// Asks for any passkey of this site.
    pub fn ask(&self) -> Option<PasskeyAsked> {
        let (mut asked, state) = self.0.start_discoverable_authentication().ok()?;
        // People press a button for it.
        asked.mediation = None;
        let options = serde_json::to_value(&asked.public_key).ok()?;
        Some(PasskeyAsked { options, state: serde_json::to_string(&state).ok()? })
    }

    /// Who the answer to [`RelyingParty::ask`] says that it is from.
    pub fn claim(&self, answer: &Value) -> Option<PasskeyClaim> {
        let answer = PublicKeyCredential::deserialize(answer).ok()?;
        let (handle, credential) = self.0.identify_discoverable_authentication(&answer).ok()?;
        Some(PasskeyClaim { handle: handle.into_bytes(), credential: credential.to_vec() })
    }

    /// Whether the passkey that is `kept` gave this answer; what is to be kept from now on.
    pub fn verify(&self, state: &str, answer: &Value, kept: &str) -> Result<String, PasskeyFault> {
        let state: DiscoverableAuthentication = serde_json::from_str(state).map_err(|_| PasskeyFault::Wrong)?;
        let answer = PublicKeyCredential::deserialize(answer).map_err(|_| PasskeyFault::Wrong)?;
        let mut passkey: Passkey = serde_json::from_str(kept).map_err(|_| PasskeyFault::Wrong)?;
        let key = DiscoverableKey::from(&passkey);
        let shown =
            self.0.finish_discoverable_authentication_v2(&answer, state, &key).map_err(|error| match error {
                WebauthnError::CredentialPossibleCompromise => PasskeyFault::Copied,
                _ => PasskeyFault::Wrong,
            })?;
        if !shown.user_verified() {
            return Err(PasskeyFault::Wrong);
        }
        passkey.update_credential(&shown);
        serde_json::to_string(&passkey).map_err(|_| PasskeyFault::Wrong)
    }
}

/// The options, with the one wish that the library leaves open: a key that is found without a user name.
fn discoverable(asked: &CreationChallengeResponse) -> Option<Value> {
    let mut options = serde_json::to_value(&asked.public_key).ok()?;
    let wanted = options.get_mut("authenticatorSelection")?.as_object_mut()?;
    wanted.insert("residentKey".to_owned(), "required".into());
    wanted.insert("requireResidentKey".to_owned(), true.into());
    Some(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_has_a_name() {
        for good in ["https://cardea.example.com", "https://localhost:8443"] {
            assert!(RelyingParty::new(good).is_some(), "{good}");
        }
        for bad in ["https://192.0.2.1", "https://[::1]:8443", "", "cardea"] {
            assert!(RelyingParty::new(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn what_is_asked_wants_a_verified_user_and_a_key_that_is_found_without_a_name() {
        let site = RelyingParty::new("https://cardea.example.com").expect("a site");
        let known = vec![7; 32];
        let begun = site.begin([1; 16], ("alice", "Alice"), &[known]).expect("options").options;
        assert_eq!(begun["rp"]["id"], "cardea.example.com");
        assert_eq!(begun["authenticatorSelection"]["residentKey"], "required");
        assert_eq!(begun["authenticatorSelection"]["userVerification"], "required");
        assert_eq!(begun["excludeCredentials"].as_array().map(Vec::len), Some(1));
        assert_eq!(begun["attestation"], "none");
        let (first, second) = (site.ask().expect("options").options, site.ask().expect("options").options);
        assert_eq!(first["userVerification"], "required");
        assert_eq!(first["rpId"], "cardea.example.com");
        assert_ne!(first["challenge"], second["challenge"]);
    }
}
