//! Passkeys: registering, showing and taking off.
//!
//! A passkey verifies its user, so it may stand alone; and it is found without a name, so whoever asks learns nothing about
//! users. What is asked is good for one right answer.

use std::sync::Arc;

use cardea_domain::{Actor, ObjectId, PasskeyId, Permit, Secret, Timestamp, Verb, is_unprintable};
use cardea_store::{AuditEntry, Outcome, PasskeyRow, StoreError, Tx};
use cardea_vault::{PasskeyFault, PasskeyHandle, RelyingParty};
use serde_json::{Value, json};

use crate::{
    App, AppError, AskedPasskey, Device, RecoveryCodes, SignedIn, notice::Notice, second_step::Proof, throttle::Step,
};

/// What the authenticator said.
pub struct PasskeyAnswer {
    /// [`AskedPasskey::challenge`].
    pub challenge: Secret,
    /// The `PublicKeyCredential` in its JSON form.
    pub credential: Value,
}

const PASSKEYS_MAX: usize = 20;
const NAME_LENGTH_MAX: usize = 64;
const TAKEN: &str = "you have a passkey of this name: choose another";

impl App {
    /// Asks for a passkey, whosever it is: to sign in with it, or to show it again.
    pub fn ask_passkey(&self, device: &Device) -> Result<AskedPasskey, AppError> {
        let asked = self.site()?.ask().ok_or_else(not_asked)?;
        Ok(self.hand_question(asked, None, device))
    }

    /// Signs the user in whose passkey it is.
    pub async fn sign_in_with_passkey(&self, device: &Device, answer: PasskeyAnswer) -> Result<SignedIn, AppError> {
        let whose = self.claimed_by(&answer).await?;
        // Wrong answers are those of whose passkey it claims to be. All that claim to be nobody's are slowed down together, and with
        // them nobody who has one.
        let name = whose.map(|user| self.name_of(user)).unwrap_or_default();
        self.must_not_guess(Step::Passkey, &name, device, whose).await?;
        let (app, of, now) = (self.clone(), device.clone(), self.0.clock.now());
        let done = self.0.store.write(move |tx| {
            Box::pin(async move {
                let Some(user) = app.passkey_of(tx, &of, &answer, now).await? else { return Ok(None) };
                if let Some(provider) = app.way_of(user) {
                    // Whoever has left there has this passkey still.
                    let sentence = format!("you sign in by {provider}: a passkey is your second factor");
                    return Ok(Some(Err(AppError::Unauthenticated(sentence))));
                }
                let (signed_in, beginning) = match app.begin_sign_in(user, &of, Proof::PasskeyAlone) {
                    Ok(begun) => begun,
                    // The answer is used up all the same.
                    Err(error) => return Ok(Some(Err(error))),
                };
                app.keep_sign_in(tx, &beginning, Proof::PasskeyAlone).await?;
                Ok::<_, AppError>(Some(Ok(signed_in)))
            })
        });
        let wrong = || {
            let sentence =
                "this passkey is not known here, or it took too long: try again, or sign in with the password";
            Err(AppError::Unauthenticated(sentence.to_owned()))
        };
        let signed_in = match done.await?.unwrap_or_else(wrong) {
            Ok(signed_in) => signed_in,
            Err(error) => {
                let subject = format!("passkey from {}", device.peer);
                self.refused(&Actor::Gateway, Verb::SignIn, subject, &error).await;
                return Err(error);
            }
        };
        self.0.throttle.succeeded(Step::Passkey, &name, device.peer);
        Ok(signed_in)
    }

    /// Whose passkey it says that it is, before anything is proven.
    async fn claimed_by(&self, answer: &PasskeyAnswer) -> Result<Option<ObjectId>, AppError> {
        let Some(claim) = self.site()?.claim(&answer.credential) else { return Ok(None) };
        let read = self.0.store.read(move |tx| {
            Box::pin(async move { tx.passkey_of(&claim.credential, &claim.handle).await.map_err(AppError::from) })
        });
        Ok(read.await?.map(|row| row.user))
    }

    /// Whose passkey gave this answer, if it is right. Then it is used up.
    pub(crate) async fn passkey_of(
        &self,
        tx: &mut Tx,
        device: &Device,
        PasskeyAnswer { challenge, credential }: &PasskeyAnswer,
        now: Timestamp,
    ) -> Result<Option<ObjectId>, AppError> {
        let site = self.site()?;
        let Some(question) = self.question(challenge, None, device, now) else { return Ok(None) };
        let Some(claim) = site.claim(credential) else { return Ok(None) };
        let Some(row) = tx.passkey_of(&claim.credential, &claim.handle).await? else { return Ok(None) };
        let shown = site.verify(&question.state, credential, &row.kept);
        // Only who holds the key gets here: nobody else fills the list of what was answered.
        if shown == Err(PasskeyFault::Wrong)
            || !tx.answer_passkey_challenge(question.id, question.expires_at, now).await?
        {
            return Ok(None);
        }
        if let Ok(kept) = shown {
            return Ok(tx.passkey_shown(&row, &kept, now).await?.then_some(row.user));
        }
        let permit = Permit::ask(&Actor::Gateway, Verb::SignIn)?;
        let why = "its counter went back: there are two of this key";
        let detail = json!({ "passkey": row.name, "id": row.id, "peer": device.peer, "detail": why });
        let (id, subject) = (self.mint_audit(), row.user.to_string());
        tx.record(&permit, &AuditEntry { id, at: now, subject, outcome: Outcome::Refused, detail }).await?;
        self.notify_user(tx, row.user, &Notice::PasskeyCopied { name: row.name });
        Ok(None)
    }

    /// Begins to register a passkey of one's own.
    pub async fn begin_passkey(&self, actor: &Actor, device: &Device, name: &str) -> Result<AskedPasskey, AppError> {
        let (permit, user, sign_in) = self.own_factors(actor).await?;
        let site = self.site()?;
        let wanted = checked_name(name)?;
        let mut fresh: PasskeyHandle = [0; 16];
        self.0.entropy.fill(&mut fresh);
        let (name, full_name) = (self.name_of(user), self.full_name_of(user));
        let entry = self.factor_entry(user, json!({ "passkey": "begun" }));
        let done = self.0.store.write(move |tx| {
            Box::pin(async move {
                let known = tx.passkeys(user).await?;
                must_have_room(&known)?;
                if known.iter().any(|row| row.name == wanted) {
                    return Err(AppError::field("/name", TAKEN));
                }
                let known: Vec<_> = known.into_iter().map(|row| row.credential).collect();
                let handle = tx.passkey_handle(&permit, user, &fresh).await?;
                let handle = PasskeyHandle::try_from(handle.as_slice()).map_err(|_| not_asked())?;
                let asked = site.begin(handle, (&name, &full_name), &known).ok_or_else(not_asked)?;
                tx.record(&permit, &entry).await?;
                Ok::<_, AppError>(asked)
            })
        });
        Ok(self.hand_question(done.await?, Some(sign_in), device))
    }

    /// Registers the passkey that was made. The first factor of a user gives recovery codes, and ends the other sign-ins: they
    /// were made without it.
    pub async fn register_passkey(
        &self,
        actor: &Actor,
        device: &Device,
        name: &str,
        answer: PasskeyAnswer,
    ) -> Result<RecoveryCodes, AppError> {
        let (permit, user, sign_in) = self.own_factors(actor).await?;
        let site = self.site()?;
        let name = checked_name(name)?;
        let (codes, digests) = self.new_recovery_codes(user);
        let entry = self.factor_entry(user, json!({ "passkey": "registered", "name": name }));
        let id = PasskeyId::mint(entry.at, &*self.0.entropy);
        let (app, now) = (self.clone(), entry.at);
        let question = self.question(&answer.challenge, Some(sign_in), device, now);
        let done = self.0.store.write(move |tx| {
            Box::pin(async move {
                let Some(question) = question else { return Ok(None) };
                let Some(made) = site.finish(&question.state, &answer.credential) else { return Ok(None) };
                if !tx.answer_passkey_challenge(question.id, question.expires_at, now).await? {
                    return Ok(None);
                }
                tx.hold_user(user).await?;
                let held = tx.held_factors(user).await?;
                must_have_room(&tx.passkeys(user).await?)?;
                let row = PasskeyRow {
                    id,
                    user,
                    name: name.clone(),
                    credential: made.credential,
                    kept: made.kept,
                    created_at: now,
                    used_at: None,
                };
                tx.insert_passkey(&permit, &row).await.map_err(taken)?;
                if !held.any() {
                    tx.replace_recovery_codes(&permit, user, &digests, now).await?;
                    app.end_others(tx, user, Some(sign_in), now).await?;
                }
                tx.factor_shown(sign_in, now).await?;
                tx.void_invitations(user, now).await?;
                tx.record(&permit, &entry).await?;
                app.notify_user(tx, user, &Notice::PasskeySetUp { name });
                Ok::<_, AppError>(Some(!held.any()))
            })
        });
        let none = "no passkey is being made, it took too long, or the authenticator did not verify you: begin again";
        let done = done.await.and_then(|made| made.ok_or_else(|| AppError::refused("no-enrolment", none)));
        if let Err(error @ (AppError::Refused { .. } | AppError::Invalid(_))) = &done {
            self.refused(actor, Verb::ChangeFactors, user.to_string(), error).await;
        }
        Ok(RecoveryCodes(if done? { codes } else { Vec::new() }))
    }

    /// Takes one's own passkey off. The last factor takes the recovery codes with it, and stays where there must be one.
    pub async fn remove_passkey(&self, actor: &Actor, id: PasskeyId) -> Result<(), AppError> {
        let (permit, user, _) = self.own_factors(actor).await?;
        let is_required = self.must_have_factor(user);
        let gone = || AppError::refused("no-factor", "you have no such passkey: look at your profile anew");
        let (app, entry) = (self.clone(), self.factor_entry(user, Value::Null));
        let done = self.0.store.write(move |tx| {
            Box::pin(async move {
                // Of the last two, taken off at once, one stays where there must be one.
                tx.hold_user(user).await?;
                let name = tx.delete_passkey(&permit, user, id).await?.ok_or_else(gone)?;
                let is_last = !tx.held_factors(user).await?.any();
                if is_last && is_required {
                    let sentence = "you must have a second factor: set another one up first";
                    return Err(AppError::refused("factor-required", sentence));
                }
                let detail = json!({ "passkey": "taken off", "name": name, "last": is_last });
                tx.record(&permit, &AuditEntry { detail, ..entry }).await?;
                if is_last {
                    tx.delete_factors(&permit, user).await?;
                }
                tx.delete_tickets_of(user).await?;
                let notice = if is_last { Notice::FactorGone { by: None } } else { Notice::PasskeyGone { name } };
                app.notify_user(tx, user, &notice);
                Ok(())
            })
        });
        let done = done.await;
        if let Err(error @ AppError::Refused { .. }) = &done {
            self.refused(actor, Verb::ChangeFactors, user.to_string(), error).await;
        }
        done
    }

    /// The site that passkeys are made for.
    fn site(&self) -> Result<Arc<RelyingParty>, AppError> {
        let sentence = "passkeys need a server with a name: an administrator writes one into `public_url` of `[http]`";
        self.0.sign_in.relying_party.clone().ok_or_else(|| AppError::refused("no-passkeys", sentence))
    }

    fn full_name_of(&self, user: ObjectId) -> String {
        let configuration = self.configuration();
        let spec = configuration.get(user).and_then(|object| object.as_user());
        let full_name = spec.map(|user| user.full_name.clone()).filter(|name| !name.is_empty());
        full_name.unwrap_or_else(|| self.name_of(user))
    }
}

fn must_have_room(known: &[PasskeyRow]) -> Result<(), AppError> {
    if known.len() >= PASSKEYS_MAX {
        let sentence = format!("you have {PASSKEYS_MAX} passkeys: take one off first");
        return Err(AppError::field("/name", sentence));
    }
    Ok(())
}

fn checked_name(name: &str) -> Result<String, AppError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME_LENGTH_MAX || name.contains(is_unprintable) {
        return Err(AppError::field("/name", "a passkey's name has 1 to 64 printable characters"));
    }
    Ok(name.to_owned())
}

fn taken(error: StoreError) -> AppError {
    match error {
        StoreError::Duplicate { table: "passkey", column: "name" } => AppError::field("/name", TAKEN),
        StoreError::Duplicate { table: "passkey", .. } => {
            AppError::refused("no-enrolment", "this passkey is registered already")
        }
        other => AppError::from(other),
    }
}

fn not_asked() -> AppError {
    AppError::Internal("a question for passkeys could not be made".to_owned())
}
