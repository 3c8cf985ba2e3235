//! Second factors: setting an authenticator app up, recovery codes, and an administrator's reset.

use std::time::Duration;

use cardea_domain::{Actor, Kind, ObjectId, Permission, Permit, Secret, SecretId, SignInId, Timestamp, Verb, Via};
use cardea_store::{AuditEntry, Outcome, PasskeyRow, TotpRow, Tx};
use cardea_vault::{TOTP_DIGITS, TOTP_PERIOD, Totp};
use serde_json::{Value, json};

use crate::{
    App, AppError, Device, escalation::must_not_outrank, notice::Notice, second_step::without_spaces, throttle::Step,
};

/// An authenticator app to be. Shown once; it counts for nothing until a code of it was shown.
pub struct Enrolment {
    /// For apps without a camera: base32.
    pub secret: Secret,
    /// For the QR code: `otpauth://totp/…`.
    pub uri: Secret,
    pub expires_at: Timestamp,
}

/// New recovery codes. Shown once, each works once.
pub struct RecoveryCodes(pub Vec<Secret>);

/// What a user can show beside their password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Factors {
    /// Whether they must have a second factor.
    pub is_required: bool,
    /// Since when they have an authenticator app.
    pub totp_since: Option<Timestamp>,
    /// Oldest first.
    pub passkeys: Vec<PasskeyRow>,
    pub recovery_codes_left: u32,
}

/// An app that is not proven by then has to be set up from the start.
const ENROLMENT_LASTS: Duration = Duration::from_secs(600);
const RECOVERY_CODES: usize = 10;
/// 80 random bits each: nobody guesses one, so a keyed digest without a slow hash keeps them.
const RECOVERY_CODE_BYTES: usize = 10;

impl App {
    /// What a user can show: oneself, or for administrators and auditors anybody.
    pub async fn factors(&self, actor: &Actor, user: Option<&str>) -> Result<Factors, AppError> {
        let user = self.user_or_oneself(actor, Verb::SeeSignIns, user)?;
        let is_required = self.must_have_factor(user);
        let read = self.0.store.read(move |tx| {
            Box::pin(async move {
                let totp_since = tx.totp(user).await?.map(|row| row.at);
                let recovery_codes_left = tx.recovery_codes_left(user).await?;
                let passkeys = tx.passkeys(user).await?;
                Ok(Factors { is_required, totp_since, passkeys, recovery_codes_left })
            })
        });
        read.await
    }

    /// The user who is meant: the actor, unless another is named, whom one may look after. Who may not is told nothing.
    pub(crate) fn user_or_oneself(&self, actor: &Actor, verb: Verb, user: Option<&str>) -> Result<ObjectId, AppError> {
        let configuration = self.configuration();
        let found = match user {
            Some(name) => configuration.find(Kind::User, name),
            None => {
                let own = actor.user_id().ok_or_else(|| AppError::field("/user", "name a user: you are none"))?;
                configuration.get(own)
            }
        };
        let Some(user) = found else {
            if !actor.reach(Permission::ConfigurationSee).is_somewhere() {
                Permit::somewhere(actor, verb)?;
            }
            return Err(AppError::NotFound);
        };
        Permit::for_user(actor, verb, user, &configuration)?;
        Ok(user.id)
    }

    /// Hands out the secret of a new authenticator app. `issuer` is what the app shows.
    pub async fn enrol_totp(&self, actor: &Actor, issuer: &str) -> Result<Enrolment, AppError> {
        let (permit, user, _) = self.own_factors(actor).await?;
        let now = self.0.clock.now();
        let (id, secret) = (SecretId::mint(now, &*self.0.entropy), Totp::generate(&*self.0.entropy));
        let expires_at = now.plus(ENROLMENT_LASTS);
        let sealed = self.0.keyring.seal_totp(id, &secret);
        let row = TotpRow { user, secret: id, sealed, at: expires_at, last_step: 0 };
        let entry = self.factor_entry(user, json!({ "totp": "begun" }));
        let kept = self.0.store.write(move |tx| {
            Box::pin(async move {
                tx.put_totp_enrolment(&permit, &row).await?;
                tx.record(&permit, &entry).await?;
                Ok::<_, AppError>(())
            })
        });
        kept.await?;
        let uri = Secret::new(secret.expose(|secret| otpauth(issuer, &actor.to_string(), secret)));
        Ok(Enrolment { secret, uri, expires_at })
    }

    /// Takes the app that was handed out, which shows a code of it. Gives recovery codes, and ends the user's other sign-ins:
    /// they were made without it.
    pub async fn confirm_totp(&self, actor: &Actor, device: &Device, code: &Secret) -> Result<RecoveryCodes, AppError> {
        let (permit, user, sign_in) = self.own_factors(actor).await?;
        self.must_not_guess(Step::SecondFactor, &user.to_string(), device, Some(user)).await?;
        let code = Secret::new(code.expose(|code| without_spaces(code)));
        let (codes, digests) = self.new_recovery_codes(user);
        let entry = self.factor_entry(user, json!({ "totp": "set up" }));
        let (app, now) = (self.clone(), entry.at);
        let done = self.0.store.write(move |tx| {
            Box::pin(async move {
                tx.hold_user(user).await?;
                let none =
                    || AppError::refused("no-enrolment", "no app is being set up, or it took too long: begin again");
                let row = tx.totp_enrolment(user).await?.filter(|row| now < row.at).ok_or_else(none)?;
                let totp = app.0.keyring.open_totp(row.secret, &row.sealed).map_err(AppError::Internal)?;
                let Some(step) = code.expose(|code| totp.step_of(code, now)) else {
                    return Err(AppError::field(
                        "/code",
                        "this is not the app's present code: check the clock, and type the next",
                    ));
                };
                if !tx.put_totp(&permit, &TotpRow { at: now, last_step: step, ..row }).await? {
                    return Err(none());
                }
                tx.replace_recovery_codes(&permit, user, &digests, now).await?;
                tx.factor_shown(sign_in, now).await?;
                tx.void_invitations(user, now).await?;
                app.end_others(tx, user, Some(sign_in), now).await?;
                tx.record(&permit, &entry).await?;
                app.notify_user(tx, user, &Notice::FactorSetUp);
                Ok(())
            })
        });
        let done = done.await;
        if let Err(error @ (AppError::Refused { .. } | AppError::Invalid(_))) = &done {
            self.refused(actor, Verb::ChangeFactors, user.to_string(), error).await;
        }
        done?;
        self.0.throttle.succeeded(Step::SecondFactor, &user.to_string(), device.peer);
        Ok(RecoveryCodes(codes))
    }

    /// Takes one's own second factor off, unless one must have it.
    pub async fn remove_factors(&self, actor: &Actor) -> Result<(), AppError> {
        let (permit, user, _) = self.own_factors(actor).await?;
        if self.must_have_factor(user) {
            let sentence = "you must have a second factor: set another one up in its place";
            let error = AppError::refused("factor-required", sentence);
            self.refused(actor, Verb::ChangeFactors, user.to_string(), &error).await;
            return Err(error);
        }
        let entry = self.factor_entry(user, json!({ "all": "taken off" }));
        let app = self.clone();
        let done = self.0.store.write(move |tx| {
            Box::pin(async move {
                tx.hold_user(user).await?;
                if !tx.delete_factors(&permit, user).await? {
                    return Err(AppError::refused("no-factor", "there is no second factor to be taken off"));
                }
                tx.delete_tickets_of(user).await?;
                tx.record(&permit, &entry).await?;
                app.notify_user(tx, user, &Notice::FactorGone { by: None });
                Ok(())
            })
        });
        done.await
    }

    /// Gives new recovery codes; the ones before are of no use any more.
    pub async fn renew_recovery_codes(&self, actor: &Actor) -> Result<RecoveryCodes, AppError> {
        let (permit, user, _) = self.own_factors(actor).await?;
        let (codes, digests) = self.new_recovery_codes(user);
        let entry = self.factor_entry(user, json!({ "recovery_codes": "renewed" }));
        let now = entry.at;
        let done = self.0.store.write(move |tx| {
            Box::pin(async move {
                tx.hold_user(user).await?;
                if !tx.held_factors(user).await?.any() {
                    return Err(AppError::refused(
                        "no-factor",
                        "there is no second factor that they could stand in for",
                    ));
                }
                tx.replace_recovery_codes(&permit, user, &digests, now).await?;
                tx.record(&permit, &entry).await?;
                Ok(())
            })
        });
        done.await?;
        Ok(RecoveryCodes(codes))
    }

    /// Takes the second factor of somebody off who lost it, and ends their sign-ins.
    pub async fn reset_factors(&self, actor: &Actor, user: &str) -> Result<(), AppError> {
        let asked = self.user_or_oneself(actor, Verb::ResetFactors, Some(user));
        let permit = asked.and_then(|user| Ok((self.to_touch(actor, Verb::ResetFactors, user)?, user)));
        if let Err(error @ AppError::Denied(_)) = &permit {
            self.refused(actor, Verb::ResetFactors, user.chars().take(64).collect(), error).await;
        }
        let (permit, user) = permit?;
        self.must_be_fresh(actor, Verb::ResetFactors, &user.to_string()).await?;
        let entry = self.factor_entry(user, Value::Null);
        let (app, by) = (self.clone(), actor.to_string());
        let done = self.0.store.write(move |tx| {
            Box::pin(async move {
                tx.hold_user(user).await?;
                let had_one = tx.delete_factors(&permit, user).await?;
                let ended = app.end_others(tx, user, None, entry.at).await?;
                let detail = json!({ "had_one": had_one, "sign_ins_ended": ended });
                tx.record(&permit, &AuditEntry { detail, ..entry }).await?;
                app.notify_user(tx, user, &Notice::FactorGone { by: Some(by) });
                Ok(())
            })
        });
        done.await
    }

    /// The permit to do something about a user's sign-ins, tokens or factors: one's own, or of somebody who may do no more.
    pub(crate) fn to_touch(&self, actor: &Actor, verb: Verb, user: ObjectId) -> Result<Permit, AppError> {
        let configuration = self.configuration();
        let Some(object) = configuration.get(user) else {
            // What is left of a user who is gone is for those who look after everybody.
            return Ok(Permit::ask(actor, verb)?);
        };
        let permit = Permit::for_user(actor, verb, object, &configuration)?;
        must_not_outrank(actor, &configuration, user)?;
        Ok(permit)
    }

    /// Ends the user's sign-ins but one, and those that are half done; how many were whole.
    pub(crate) async fn end_others(
        &self,
        tx: &mut Tx,
        user: ObjectId,
        but: Option<SignInId>,
        now: Timestamp,
    ) -> Result<u64, AppError> {
        tx.delete_tickets_of(user).await?;
        Ok(tx.end_sign_ins(user, but, now).await?)
    }

    /// The permit to change one's own factors, in a sign-in that showed lately who it is.
    pub(crate) async fn own_factors(&self, actor: &Actor) -> Result<(Permit, ObjectId, SignInId), AppError> {
        let asked = Permit::ask(actor, Verb::ChangeFactors).map_err(AppError::from);
        let permit = match (asked, actor) {
            (Ok(permit), Actor::User { id, via: Via::SignIn(sign_in), .. }) => (permit, *id, *sign_in),
            (Ok(_), _) => return Err(AppError::refused("no-sign-in", "sign in in the browser to change your factors")),
            (Err(error), _) => {
                self.refused(actor, Verb::ChangeFactors, actor.to_string(), &error).await;
                return Err(error);
            }
        };
        self.must_be_fresh(actor, Verb::ChangeFactors, &permit.1.to_string()).await?;
        Ok(permit)
    }

    pub(crate) fn new_recovery_codes(&self, user: ObjectId) -> (Vec<Secret>, Vec<Vec<u8>>) {
        let one = || {
            let mut bytes = zeroize::Zeroizing::new([0; RECOVERY_CODE_BYTES]);
            self.0.entropy.fill(bytes.as_mut_slice());
            let text = zeroize::Zeroizing::new(data_encoding::BASE32_NOPAD.encode(bytes.as_slice()).to_lowercase());
            let groups: Vec<_> = text.as_bytes().chunks(4).map(String::from_utf8_lossy).collect();
            Secret::new(groups.join("-"))
        };
        let codes: Vec<_> = (0..RECOVERY_CODES).map(|_| one()).collect();
        let digests = codes.iter().map(|code| self.recovery_digest(user, code)).collect();
        (codes, digests)
    }

    pub(crate) fn factor_entry(&self, user: ObjectId, detail: Value) -> AuditEntry {
        let at = self.0.clock.now();
        AuditEntry { id: self.mint_audit(), at, subject: user.to_string(), outcome: Outcome::Ok, detail }
    }
}

/// The key URI format that authenticator apps read from a QR code.
fn otpauth(issuer: &str, user: &str, secret: &str) -> String {
    let (issuer, user) = (percent(issuer), percent(user));
    format!(
        "otpauth://totp/{issuer}:{user}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits={TOTP_DIGITS}&period={TOTP_PERIOD}"
    )
}

/// Percent-encoding (RFC 3986) of everything but unreserved characters.
fn percent(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::otpauth;

    #[test]
    fn names_cannot_add_to_the_uri() {
        let uri = otpauth("Cardea (a.example)", "ünd&secret=x", "ABC");
        assert_eq!(
            uri,
            "otpauth://totp/Cardea%20%28a.example%29:%C3%BCnd%26secret%3Dx?secret=ABC&issuer=Cardea%20%28a.example%29\
             &algorithm=SHA1&digits=6&period=30"
        );
    }
}
