//! An authenticator in software: makes passkeys (WebAuthn level 2, ES256, no attestation) and answers with them.
//!
//! It does as a browser and a security key do together, and also what neither would: another page, a counter that goes back.

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

/// A key of one user at one site.
#[derive(Clone)]
pub struct SoftPasskey {
    pkcs8: Vec<u8>,
    id: Vec<u8>,
    handle: Vec<u8>,
    site: String,
    /// The page that the browser says it is on.
    origin: String,
    /// Signatures made so far.
    counter: u32,
    /// Whether the person showed their finger or typed the PIN.
    verifies: bool,
}

const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 4;
const HAS_CREDENTIAL: u8 = 64;

impl SoftPasskey {
    /// Makes one as the options of the server say; the key, and the answer to be sent.
    pub fn make(options: &Value, origin: &str) -> (Self, Value) {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
        let pkcs8 = pkcs8.expect("a key").as_ref().to_vec();
        let id = digest(&SHA256, &pkcs8).as_ref().to_vec();
        let handle = decoded(&options["user"]["id"]);
        let site = text(&options["rp"]["id"]);
        let key = Self { pkcs8, id, handle, site, origin: origin.to_owned(), counter: 0, verifies: true };
        let answer = key.registration(options);
        (key, answer)
    }

    /// The same key, in a browser that is on another page.
    pub fn on_page(&self, origin: &str) -> Self {
        Self { origin: origin.to_owned(), ..self.clone() }
    }

    /// The same key, of a person who was not asked who they are.
    pub fn unverified(&self) -> Self {
        Self { verifies: false, ..self.clone() }
    }

    /// A copy of the key from before it was ever used.
    pub fn set_back(&self) -> Self {
        Self { counter: 0, ..self.clone() }
    }

    /// The answer that registers it.
    pub fn registration(&self, options: &Value) -> Value {
        let mut data = self.data(HAS_CREDENTIAL);
        // AAGUID of an authenticator that does not say what it is, length of the id, id, public key.
        data.extend([0; 16]);
        data.extend([0, u8::try_from(self.id.len()).expect("32 bytes")]);
        data.extend(&self.id);
        data.extend(self.public_key());
        // CBOR: { "fmt": "none", "attStmt": {}, "authData": bytes }.
        let mut object = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".to_vec();
        object.push(u8::try_from(data.len()).expect("less than 256 bytes"));
        object.extend(data);
        self.answer(&json!({
            "clientDataJSON": encoded(&self.client_data("webauthn.create", options)),
            "attestationObject": encoded(&object),
        }))
    }

    /// The answer to a question for a passkey.
    pub fn show(&mut self, options: &Value) -> Value {
        self.counter += 1;
        let (data, client) = (self.data(0), self.client_data("webauthn.get", options));
        let signed = [data.as_slice(), digest(&SHA256, &client).as_ref()].concat();
        let signature = self.pair().sign(&SystemRandom::new(), &signed).expect("a signature");
        self.answer(&json!({
            "clientDataJSON": encoded(&client),
            "authenticatorData": encoded(&data),
            "signature": encoded(signature.as_ref()),
            "userHandle": encoded(&self.handle),
        }))
    }

    fn pair(&self) -> EcdsaKeyPair {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &self.pkcs8).expect("a key that was made here")
    }

    fn data(&self, flags: u8) -> Vec<u8> {
        let verified = if self.verifies { USER_VERIFIED } else { 0 };
        let site = digest(&SHA256, self.site.as_bytes());
        [site.as_ref(), &[flags | USER_PRESENT | verified], &self.counter.to_be_bytes()].concat()
    }

    /// COSE: { 1: 2 (EC2), 3: -7 (ES256), -1: 1 (P-256), -2: x, -3: y }.
    fn public_key(&self) -> Vec<u8> {
        let pair = self.pair();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        [b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20", x, b"\x22\x58\x20", y].concat()
    }

    fn client_data(&self, kind: &str, options: &Value) -> Vec<u8> {
        let data = json!({
            "type": kind,
            "challenge": options["challenge"],
            "origin": self.origin,
            "crossOrigin": false,
        });
        data.to_string().into_bytes()
    }

    fn answer(&self, response: &Value) -> Value {
        let id = encoded(&self.id);
        json!({ "id": id, "rawId": id, "type": "public-key", "response": response, "clientExtensionResults": {} })
    }
}

fn encoded(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text in the options").to_owned()
}

fn decoded(value: &Value) -> Vec<u8> {
    BASE64URL_NOPAD.decode(text(value).as_bytes()).expect("base64url")
}
