//! Certificates of Cardea's own authority for people's SSH keys: good only while the sign-in or token stands by which they were
//! asked for, and no longer than a sign-in may be idle. So a key that was left in an agent is of no use soon after its owner left.

use std::{sync::Arc, time::Duration};

use cardea_domain::{
    Actor, Certificate, GateRefusal, Kind, ObjectId, Permit, Secret, SecretId, Timestamp, TokenScopes, Verb, Via,
    is_public_key,
};
use cardea_store::{AuditEntry, Outcome, Tx};
use cardea_vault::{Authority, CertificateWish};
use serde_json::json;

use crate::{App, AppError, apply::key_body, gate::refusal, own_key::fingerprint_of};

/// A certificate that was just signed.
pub struct NewCertificate {
    /// One OpenSSH line.
    pub certificate: String,
    pub serial: u64,
    pub expires_at: Timestamp,
}

/// The shortest and the longest that a certificate may last.
pub const CERTIFICATE_LASTS: std::ops::RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(86_400);
/// It is good from a little before it was made: clocks of nodes differ.
const BACKDATED: Duration = Duration::from_secs(5);
/// The first word of every certificate's key id; the user and what it hangs on follow.
const KEY_ID: &str = "cardea";
/// The last word of one for a key that its user had registered: it goes with that key.
const REGISTERED: &str = "registered";

impl App {
    /// The public half of the authority, as one OpenSSH line. It is made at its first use.
    pub async fn authority_key(&self) -> Result<String, AppError> {
        Ok(self.authority().await?.public_key())
    }

    /// The same, for somebody who looks.
    pub async fn show_authority(&self, actor: &Actor) -> Result<String, AppError> {
        Permit::ask(actor, Verb::SignIn)?;
        self.authority_key().await
    }

    async fn authority(&self) -> Result<Arc<Authority>, AppError> {
        self.0.authority.get_or_try_init(|| self.load_authority()).await.cloned()
    }

    async fn load_authority(&self) -> Result<Arc<Authority>, AppError> {
        let find = || self.0.store.read(|tx| Box::pin(async move { tx.user_authority().await }));
        let mut known = find().await?;
        if known.is_none() {
            let id = SecretId::mint(self.0.clock.now(), &*self.0.entropy);
            let sealed = self.0.keyring.seal_authority(id, &Authority::generate(&*self.0.entropy));
            let keep = self
                .0
                .store
                .write(move |tx| Box::pin(async move { tx.keep_user_authority(&id.to_string(), &sealed).await }));
            keep.await?;
            // Another node may have been first.
            known = find().await?;
        }
        let (id, sealed) = known.ok_or_else(|| AppError::Internal("the authority's key was not kept".to_owned()))?;
        let key: Secret = self.0.keyring.open_authority(&id, &sealed).map_err(AppError::Internal)?;
        Authority::open(&key).map(Arc::new).map_err(|error| AppError::Internal(error.to_string()))
    }

    /// Certifies a key of the actor's for at most `lasts`, and not beyond the sign-in or token that they came by.
    pub async fn issue_certificate(
        &self,
        actor: &Actor,
        public_key: &str,
        lasts: Duration,
    ) -> Result<NewCertificate, AppError> {
        let issued = self.certify(actor, public_key.trim(), lasts).await;
        if let Err(error @ (AppError::Denied(_) | AppError::FactorNeeded { .. } | AppError::Invalid(_))) = &issued {
            self.refused(actor, Verb::Certify, "own key".to_owned(), error).await;
        }
        issued
    }

    async fn certify(&self, actor: &Actor, line: &str, lasts: Duration) -> Result<NewCertificate, AppError> {
        let permit = Permit::ask(actor, Verb::Certify)?;
        self.is_fresh(actor).await?;
        let Actor::User { id: user, name, via, .. } = actor else { return Err(AppError::NotFound) };
        if !is_public_key(line) {
            let wanted = "write a public key as `ssh-keygen` prints it: type, key, comment, on one line";
            return Err(AppError::field("/public_key", wanted));
        }
        if self.owner_of(key_body(line)).is_some_and(|owner| owner != *user) {
            return Err(AppError::field(
                "/public_key",
                "somebody else has registered this key: a key names one person",
            ));
        }
        let (user, via, now) = (*user, *via, self.0.clock.now());
        let app = self.clone();
        let read = self.0.store.read(move |tx| Box::pin(async move { app.ends_at(tx, via, user).await }));
        let stands_until = read.await?.ok_or_else(|| AppError::Denied(needs_sign_in()))?;
        let lasts = lasts.clamp(*CERTIFICATE_LASTS.start(), *CERTIFICATE_LASTS.end());
        let expires_at = now.plus(lasts.min(self.0.sign_in.idle)).min(stands_until);
        let is_registered = self.holders_of(key_body(line)).contains(&user);
        let last_word = if is_registered { format!(" {REGISTERED}") } else { String::new() };
        let mut serial = [0; 8];
        self.0.entropy.fill(&mut serial);
        let wish = CertificateWish {
            public_key: key_body(line).to_owned(),
            key_id: format!("{KEY_ID} {user} {}{last_word}", word_of(via)),
            serial: u64::from_be_bytes(serial) >> 1,
            principals: vec![user.to_string(), name.clone()],
            valid_after: seconds(now).saturating_sub(BACKDATED.as_secs()),
            valid_before: seconds(expires_at),
        };
        let certificate = self.authority().await?.certify(&wish, &*self.0.entropy);
        let certificate = certificate.map_err(|error| AppError::field("/public_key", error.to_string()))?;
        let entry = AuditEntry {
            id: self.mint_audit(),
            at: now,
            subject: user.to_string(),
            outcome: Outcome::Ok,
            detail: json!({ "serial": wish.serial, "fingerprint": fingerprint_of(line), "expires_at": expires_at }),
        };
        let written = self.0.store.write(move |tx| Box::pin(async move { tx.record(&permit, &entry).await }));
        written.await?;
        Ok(NewCertificate { certificate, serial: wish.serial, expires_at })
    }

    /// Whose a certificate is that the gateway has found to be the authority's: what can be told without the store.
    pub(crate) fn certified(&self, certificate: &Certificate) -> Result<ObjectId, GateRefusal> {
        let unknown = || {
            let sentence = "this certificate is for nobody here, or for a key that was taken away: run `cardea login`";
            refusal(GateRefusal::UNKNOWN_KEY, sentence)
        };
        let now = self.0.clock.now();
        if now < certificate.valid_after || now >= certificate.valid_before {
            let sentence = "your certificate has expired: run `cardea login` for a new one";
            return Err(refusal("certificate-over", sentence));
        }
        self.bearer_of(certificate).ok_or_else(unknown)
    }

    /// Whose it is, or was: connections that it opened go on when it ends.
    pub(crate) fn bearer_of(&self, certificate: &Certificate) -> Option<ObjectId> {
        let Hanging { user, key_is_registered, .. } = hangs_on(certificate)?;
        let is_named = certificate.principals.contains(&user.to_string());
        let has_key = !key_is_registered || self.holders_of(key_body(&certificate.public_key)).contains(&user);
        (is_named && has_key && self.configuration().get(user).is_some()).then_some(user)
    }

    /// Whether the sign-in or token still stands by which a certificate was asked for.
    pub(crate) async fn certificate_stands(&self, tx: &mut Tx, certificate: &Certificate) -> Result<bool, AppError> {
        let Some(Hanging { user, via, .. }) = hangs_on(certificate) else { return Ok(false) };
        let ends_at = self.ends_at(tx, via, user).await?;
        Ok(ends_at.is_some_and(|ends_at| self.0.clock.now() < ends_at))
    }

    /// Until when the sign-in or token counts; `None` if it does not any more. A sign-in ends by itself when it is not used: what
    /// comes in through the gateway is no use of it.
    async fn ends_at(&self, tx: &mut Tx, via: Via, user: ObjectId) -> Result<Option<Timestamp>, AppError> {
        Ok(match via {
            Via::SignIn(id) => {
                let row = tx.sign_in(id).await?.filter(|row| row.user == user && row.ended_at.is_none());
                row.map(|row| row.expires_at.min(row.last_seen_at.plus(self.0.sign_in.idle)))
            }
            Via::Token { id, .. } => {
                let row = tx.token(id).await?.filter(|row| row.user == user && row.revoked_at.is_none());
                row.map(|row| row.expires_at)
            }
            Via::Certificate | Via::Key | Via::Launch | Via::Password => None,
        })
    }
}

/// The refusal of a certificate whose sign-in or token is gone.
pub(crate) fn signed_out() -> GateRefusal {
    refusal("certificate-over", "the sign-in that your certificate hangs on is over: run `cardea login` again")
}

fn needs_sign_in() -> cardea_domain::Denial {
    cardea_domain::Denial { hidden: false, sentence: "certificates are for people who signed in".to_owned() }
}

fn word_of(via: Via) -> String {
    match via {
        Via::SignIn(id) => id.to_string(),
        Via::Token { id, .. } => id.to_string(),
        Via::Certificate | Via::Key | Via::Launch | Via::Password => String::new(),
    }
}

/// What a certificate hangs on.
struct Hanging {
    user: ObjectId,
    /// The sign-in or token.
    via: Via,
    /// Its user had registered its key, and has to have it still.
    key_is_registered: bool,
}

/// What the certificate hangs on: as [`App::issue_certificate`] wrote it.
fn hangs_on(certificate: &Certificate) -> Option<Hanging> {
    let words: Vec<_> = certificate.key_id.split(' ').collect();
    let (user, via, key_is_registered) = match words[..] {
        [KEY_ID, user, via] => (user, via, false),
        [KEY_ID, user, via, REGISTERED] => (user, via, true),
        _ => return None,
    };
    let user: ObjectId = user.parse().ok().filter(|id: &ObjectId| id.kind() == Kind::User)?;
    let token = |id| Via::Token { id, operator_issued: false, scopes: TokenScopes::new([]) };
    let via = via.parse().map(Via::SignIn).or_else(|_| via.parse().map(token)).ok()?;
    Some(Hanging { user, via, key_is_registered })
}

fn seconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_micros() / 1_000_000).unwrap_or(0)
}
