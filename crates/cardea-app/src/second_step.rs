//! The second step of a sign-in: between it and the password there is a ticket, good for one user at one address for minutes.
//!
//! What is shown is looked at and used up in the unit of work that makes the sign-in: nothing is good twice.

use std::time::Duration;

use cardea_domain::{Actor, Method, ObjectId, Permit, Secret, Timestamp, Verb, Via};
use cardea_store::{AuditEntry, HeldFactors, Outcome, SignInTicket, Tx};
use serde_json::json;

use crate::{App, AppError, Device, PasskeyAnswer, SignInStep, SignedIn, notice::Notice, throttle::Step};

/// What somebody shows to prove who they are.
pub enum Shown {
    Passkey(PasskeyAnswer),
    Password(Secret),
    RecoveryCode(Secret),
    Totp(Secret),
}

/// What was shown and found right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    Passkey,
    /// Without a password before it.
    PasskeyAlone,
    Password,
    /// The word of an identity provider.
    Provider,
    /// The same, of one that is trusted with second factors and asked for one.
    ProviderWithFactor,
    RecoveryCode,
    Totp,
}

impl Proof {
    /// Whether it was more than what comes first.
    pub(crate) fn has_factor(self) -> bool {
        !matches!(self, Self::Password | Self::Provider)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Passkey => Method::Passkey.as_str(),
            Self::PasskeyAlone => "passkey alone",
            Self::Password => Method::Password.as_str(),
            Self::Provider => Method::Provider.as_str(),
            Self::ProviderWithFactor => "provider with a second factor",
            Self::RecoveryCode => Method::RecoveryCode.as_str(),
            Self::Totp => Method::Totp.as_str(),
        }
    }
}

impl Shown {
    pub(crate) fn proof(&self) -> Proof {
        match self {
            Self::Passkey(_) => Proof::Passkey,
            Self::Password(_) => Proof::Password,
            Self::RecoveryCode(_) => Proof::RecoveryCode,
            Self::Totp(_) => Proof::Totp,
        }
    }
}

/// A person needs a moment to find the phone.
const TICKET_LASTS: Duration = Duration::from_secs(300);
/// Then the password has to be shown again.
const ATTEMPTS_MAX: i64 = 5;

impl App {
    /// The password was right, and the user has a second factor.
    pub(crate) async fn hand_ticket(
        &self,
        user: ObjectId,
        held: HeldFactors,
        device: &Device,
    ) -> Result<SignInStep, AppError> {
        // Whoever may not come in is told so before they look for their phone.
        let now = self.0.clock.now();
        self.let_in(user, Via::Key)?;
        let ticket = self.random_token("ticket");
        let digest = self.ticket_digest(&ticket);
        let row = SignInTicket { digest, user, peer: device.network(), expires_at: now.plus(TICKET_LASTS) };
        let permit = Permit::ask(&Actor::Gateway, Verb::SignIn)?;
        let entry = AuditEntry {
            id: self.mint_audit(),
            at: now,
            subject: user.to_string(),
            outcome: Outcome::Ok,
            detail: json!({ "peer": device.peer, "shown": Proof::Password.as_str(), "waits_for": "second factor" }),
        };
        let app = self.clone();
        let kept = self.0.store.write(move |tx| {
            Box::pin(async move {
                app.forget_sign_ins(tx, user, now).await?;
                tx.insert_ticket(&row).await?;
                tx.record(&permit, &entry).await?;
                Ok::<_, AppError>(())
            })
        });
        kept.await?;
        Ok(SignInStep::SecondFactor { methods: self.methods(user, held), ticket })
    }

    /// Signs the ticket's user in, who shows a second factor.
    pub async fn second_step(&self, device: &Device, ticket: &Secret, shown: Shown) -> Result<SignedIn, AppError> {
        let digest = self.ticket_digest(ticket);
        let sought = digest.clone();
        let whose =
            self.0.store.read(move |tx| Box::pin(async move { tx.ticket_user(&sought).await.map_err(AppError::from) }));
        let whose = whose.await?;
        let name = whose.map(|user| user.to_string()).unwrap_or_default();
        self.must_not_guess(Step::SecondFactor, &name, device, whose).await?;
        let (app, of, now) = (self.clone(), device.clone(), self.0.clock.now());
        let done = self.0.store.write(move |tx| {
            Box::pin(async move {
                let Some(user) = tx.try_ticket(&digest, &of.network(), now, ATTEMPTS_MAX).await? else {
                    return Ok(None);
                };
                if !app.uses_factor(tx, (user, &of), &shown, now).await? {
                    return Ok(None);
                }
                let proof = shown.proof();
                let (signed_in, beginning) = app.begin_sign_in(user, &of, proof)?;
                tx.delete_ticket(&digest).await?;
                app.keep_sign_in(tx, &beginning, proof).await?;
                Ok::<_, AppError>(Some(signed_in))
            })
        });
        let Some(signed_in) = done.await? else {
            let sentence = "the code is wrong or was used before, or the sign-in took too long: try again, or start with \
                            the password";
            let error = AppError::Unauthenticated(sentence.to_owned());
            let subject = if name.is_empty() { "no ticket".to_owned() } else { name };
            self.refused(&Actor::Gateway, Verb::SignIn, format!("{subject} from {}", device.peer), &error).await;
            return Err(error);
        };
        self.0.throttle.succeeded(Step::SecondFactor, &name, device.peer);
        if let Actor::User { name, .. } = &signed_in.actor {
            self.0.throttle.succeeded(Step::Password, name, device.peer);
        }
        Ok(signed_in)
    }

    /// Whether this is a factor of the user that was not used before; it is used up now. Passwords are none.
    pub(crate) async fn uses_factor(
        &self,
        tx: &mut Tx,
        (user, device): (ObjectId, &Device),
        shown: &Shown,
        now: Timestamp,
    ) -> Result<bool, AppError> {
        match shown {
            Shown::Passkey(answer) => Ok(self.passkey_of(tx, device, answer, now).await? == Some(user)),
            Shown::Password(_) => Ok(false),
            Shown::RecoveryCode(code) => {
                let digest = self.recovery_digest(user, code);
                // Without a factor there is nothing to be recovered.
                let used = tx.held_factors(user).await?.any() && tx.use_recovery_code(user, &digest, now).await?;
                if used {
                    let left = tx.recovery_codes_left(user).await?;
                    self.notify_user(tx, user, &Notice::RecoveryCodeUsed { left });
                }
                Ok(used)
            }
            Shown::Totp(code) => {
                let Some(row) = tx.totp(user).await? else { return Ok(false) };
                let totp = self.0.keyring.open_totp(row.secret, &row.sealed).map_err(AppError::Internal)?;
                match code.expose(|code| totp.step_of(&without_spaces(code), now)) {
                    Some(step) => Ok(tx.use_totp_step(user, row.secret, step).await?),
                    None => Ok(false),
                }
            }
        }
    }

    fn ticket_digest(&self, ticket: &Secret) -> Vec<u8> {
        ticket.expose(|text| self.0.keyring.digest("ticket", text.as_bytes())).to_vec()
    }

    /// The digest that a recovery code of this user is kept by, however it is written.
    pub(crate) fn recovery_digest(&self, user: ObjectId, code: &Secret) -> Vec<u8> {
        let text = code.expose(|code| {
            let plain = code.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase());
            zeroize::Zeroizing::new(format!("{user} {}", plain.take(64).collect::<String>()))
        });
        self.0.keyring.digest("recovery code", text.as_bytes()).to_vec()
    }
}

/// Apps show codes in two groups.
pub(crate) fn without_spaces(code: &str) -> String {
    code.chars().filter(|character| !character.is_whitespace()).take(16).collect()
}
