//! What browsers are asked to answer with a passkey. A question is sealed and handed to whoever asked for it, and nothing of it is
//! kept: asking for many takes no room, and so keeps nobody else from asking. Only that it was answered is written down.

use std::time::Duration;

use cardea_domain::{Secret, SecretId, SignInId, Timestamp};
use cardea_vault::PasskeyAsked;
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{App, Device};

/// What a browser is to do with an authenticator.
pub struct AskedPasskey {
    /// To be sent with the answer.
    pub challenge: Secret,
    /// For `navigator.credentials`, in the JSON form of WebAuthn level 3.
    pub options: Value,
    pub expires_at: Timestamp,
}

/// A question, as it is sealed.
#[derive(Serialize, Deserialize)]
struct Sealed {
    /// What the answer is compared with.
    state: String,
    /// The sign-in that makes a new passkey; nobody's if one is to be shown.
    sign_in: Option<SignInId>,
    /// The network that asked for it.
    network: String,
    expires_at: Timestamp,
}

/// A question of ours that is not over.
pub(crate) struct Question {
    pub(crate) id: SecretId,
    pub(crate) state: String,
    pub(crate) expires_at: Timestamp,
}

/// As long as browsers wait by default.
const LASTS: Duration = Duration::from_secs(300);
/// Longer texts are no questions: one to somebody with many passkeys has some thousand.
const LENGTH_MAX: usize = 64 << 10;
const PREFIX: &str = "cardea-passkey-";

impl App {
    /// Hands a question out, for this network and, if a passkey is to be made, this sign-in.
    pub(crate) fn hand_question(
        &self,
        asked: PasskeyAsked,
        sign_in: Option<SignInId>,
        device: &Device,
    ) -> AskedPasskey {
        let PasskeyAsked { options, state } = asked;
        let now = self.0.clock.now();
        let (id, expires_at) = (SecretId::mint(now, &*self.0.entropy), now.plus(LASTS));
        let sealed = Sealed { state, sign_in, network: device.network(), expires_at };
        let text = Secret::new(serde_json::to_string(&sealed).expect("texts and numbers have a JSON form"));
        let sealed = BASE64URL_NOPAD.encode(&self.0.keyring.seal_question(id, &text));
        AskedPasskey { challenge: Secret::new(format!("{PREFIX}{id}.{sealed}")), options, expires_at }
    }

    /// Reads a question that was handed out to this network and for this sign-in, while it may be answered.
    pub(crate) fn question(
        &self,
        challenge: &Secret,
        sign_in: Option<SignInId>,
        device: &Device,
        now: Timestamp,
    ) -> Option<Question> {
        let (id, sealed) = challenge.expose(|text| {
            let (id, sealed) = text.strip_prefix(PREFIX).filter(|text| text.len() <= LENGTH_MAX)?.split_once('.')?;
            Some((id.parse().ok()?, BASE64URL_NOPAD.decode(sealed.as_bytes()).ok()?))
        })?;
        let text = self.0.keyring.open_question(id, &sealed).ok()?;
        let question: Sealed = text.expose(|text| serde_json::from_str(text)).ok()?;
        let is_for = question.sign_in == sign_in && question.network == device.network();
        let Sealed { state, expires_at, .. } = question;
        (is_for && now < expires_at).then_some(Question { id, state, expires_at })
    }
}
