//! What a sign-in has shown, how long ago, and what it has to show first.
//!
//! A sign-in whose user must have a second factor and has shown none can do nothing but set it up: whoever asks for the
//! actor of a cookie gets none. Sensitive acts ask for a factor again when the last one is old. Tokens are not asked: what
//! they may do was chosen in a sign-in with a fresh factor ([`cardea_domain::TokenScopes`]).

use std::time::Duration;

use cardea_domain::{Actor, Method, ObjectId, Permit, Secret, SignInId, Timestamp, Verb, Via};
use cardea_store::{AuditEntry, HeldFactors, Outcome, SignInRow};
use serde_json::json;

use crate::{App, AppError, Device, Shown, throttle::Step};

/// What a sign-in has to do before it can do anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Set a second factor up.
    Enrolment,
    /// Show it.
    Factor,
}

/// Whoever shows a cookie.
pub struct Present {
    actor: Actor,
    /// What they can show.
    methods: &'static [Method],
    lack: Option<Lack>,
}

impl Present {
    /// The actor, if nothing is lacking.
    pub fn complete(self) -> Result<Actor, AppError> {
        match self.lack {
            None => Ok(self.actor),
            Some(Lack::Enrolment) => Err(AppError::EnrolmentNeeded),
            Some(Lack::Factor) => Err(AppError::FactorNeeded { methods: self.methods }),
        }
    }

    /// The actor all the same: for what makes a sign-in complete, and for nothing else.
    pub fn incomplete(self) -> Actor {
        self.actor
    }
}

/// A sign-in as its user sees it.
#[derive(Clone, Debug)]
pub struct SignInState {
    pub id: SignInId,
    pub created_at: Timestamp,
    /// When it ends, whatever happens.
    pub ends_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_seen_at: Timestamp,
    /// When it ends if it is not used any more.
    pub idle_ends_at: Timestamp,
    /// Until when sensitive acts need no factor anew.
    pub fresh_until: Timestamp,
    /// What can be shown then.
    pub methods: &'static [Method],
    pub lack: Option<Lack>,
}

/// `last_seen_at` is written at most this often.
const SEEN_EVERY: Duration = Duration::from_secs(60);

impl App {
    /// Who shows this cookie. Nobody, while a second factor is lacking.
    pub async fn actor_by_sign_in(&self, cookie: &Secret) -> Result<Actor, AppError> {
        self.present(cookie).await?.complete()
    }

    /// The same without counting as use: for what goes on by itself.
    pub async fn actor_still_signed_in(&self, cookie: &Secret) -> Result<Actor, AppError> {
        self.look_at(cookie).await?.1.complete()
    }

    /// Who shows this cookie, and what they lack.
    pub async fn present(&self, cookie: &Secret) -> Result<Present, AppError> {
        let (row, present) = self.look_at(cookie).await?;
        let now = self.0.clock.now();
        if now.since(row.last_seen_at) > SEEN_EVERY {
            self.0.store.write(move |tx| Box::pin(async move { tx.touch_sign_in(row.id, now).await })).await?;
        }
        Ok(present)
    }

    /// The same without counting as use.
    pub async fn still_present(&self, cookie: &Secret) -> Result<Present, AppError> {
        Ok(self.look_at(cookie).await?.1)
    }

    async fn look_at(&self, cookie: &Secret) -> Result<(SignInRow, Present), AppError> {
        let over = || AppError::Unauthenticated("the sign-in is over: sign in again".to_owned());
        let now = self.0.clock.now();
        let digest = cookie.expose(|text| self.0.keyring.digest("sign-in", text.as_bytes())).to_vec();
        let app = self.clone();
        let found = self.0.store.read(move |tx| {
            Box::pin(async move {
                let Some(row) = tx.sign_in_by_digest(&digest).await? else { return Ok(None) };
                // After a password everybody is asked who has one; a provider knows nothing of it.
                let is_asked = app.must_have_factor(row.user) || app.way_of(row.user).is_some();
                let held = if is_asked { tx.held_factors(row.user).await? } else { HeldFactors::default() };
                Ok::<_, AppError>(Some((row, held)))
            })
        });
        let (row, held) = found.await?.ok_or_else(over)?;
        if row.ended_at.is_some() || now >= row.expires_at || now.since(row.last_seen_at) > self.0.sign_in.idle {
            return Err(over());
        }
        let actor = self.let_in(row.user, Via::SignIn(row.id))?;
        let (lack, methods) = (self.lack(&row, held), self.methods(row.user, held));
        Ok((row, Present { actor, methods, lack }))
    }

    /// Whether a user must have a second factor.
    pub(crate) fn must_have_factor(&self, user: ObjectId) -> bool {
        self.configuration().must_have_factor(user, &self.0.sign_in.second_factor_roles)
    }

    fn lack(&self, row: &SignInRow, held: HeldFactors) -> Option<Lack> {
        match held.any() {
            // Also of whoever has one without having to.
            true if row.factor_at.is_none() => Some(Lack::Factor),
            true => None,
            // A second factor of the provider's own, if that counts.
            false if row.factor_at.is_some() && self.trusts_mfa_of(row.user) => None,
            false if self.must_have_factor(row.user) => Some(Lack::Enrolment),
            false => None,
        }
    }

    /// The actor's own sign-in; `None` if they came by something else.
    pub async fn sign_in_state(&self, actor: &Actor) -> Result<Option<SignInState>, AppError> {
        let Actor::User { via: Via::SignIn(id), .. } = actor else { return Ok(None) };
        let (row, held) = self.sign_in_and_factor(*id).await?;
        Ok(Some(SignInState {
            id: row.id,
            created_at: row.created_at,
            ends_at: row.expires_at,
            last_seen_at: row.last_seen_at,
            idle_ends_at: row.last_seen_at.plus(self.0.sign_in.idle).min(row.expires_at),
            fresh_until: shown_at(&row, held).plus(self.0.sign_in.fresh),
            methods: self.methods(row.user, held),
            lack: self.lack(&row, held),
        }))
    }

    async fn sign_in_and_factor(&self, id: SignInId) -> Result<(SignInRow, HeldFactors), AppError> {
        let read = self.0.store.read(move |tx| {
            Box::pin(async move {
                let Some(row) = tx.sign_in(id).await? else { return Ok(None) };
                let held = tx.held_factors(row.user).await?;
                Ok::<_, AppError>(Some((row, held)))
            })
        });
        let gone = || AppError::Unauthenticated("the sign-in is over: sign in again".to_owned());
        read.await?.ok_or_else(gone)
    }

    /// Refuses a sensitive act in a sign-in whose last factor is old, and writes that down. Whoever came by a token or beside the
    /// data is not asked.
    pub(crate) async fn must_be_fresh(&self, actor: &Actor, verb: Verb, subject: &str) -> Result<(), AppError> {
        let fresh = self.is_fresh(actor).await;
        if let Err(error @ AppError::FactorNeeded { .. }) = &fresh {
            self.refused(actor, verb, subject.to_owned(), error).await;
        }
        fresh
    }

    /// The same for a caller who writes refusals down.
    pub(crate) async fn is_fresh(&self, actor: &Actor) -> Result<(), AppError> {
        let Actor::User { via: Via::SignIn(id), .. } = actor else { return Ok(()) };
        let (row, held) = self.sign_in_and_factor(*id).await?;
        let until = shown_at(&row, held).plus(self.0.sign_in.fresh);
        if self.0.clock.now() <= until {
            return Ok(());
        }
        Err(AppError::FactorNeeded { methods: self.methods(row.user, held) })
    }

    /// Shows a factor again in the present sign-in: the second one, or the password for whoever has no second.
    pub async fn show_again(&self, actor: &Actor, device: &Device, shown: Shown) -> Result<(), AppError> {
        let Actor::User { id: user, name, via: Via::SignIn(id), .. } = actor else {
            return Err(AppError::refused("no-sign-in", "only a sign-in in the browser can show a factor again"));
        };
        let (user, id, proof) = (*user, *id, shown.proof().as_str());
        let (step, key) = match &shown {
            Shown::Password(_) => (Step::Password, name.clone()),
            Shown::Passkey(_) | Shown::RecoveryCode(_) | Shown::Totp(_) => (Step::SecondFactor, user.to_string()),
        };
        self.must_not_guess(step, &key, device, Some(user)).await?;
        let right = match shown {
            Shown::Password(password) => self.shows_password(actor, id, password).await?,
            shown @ (Shown::Passkey(_) | Shown::RecoveryCode(_) | Shown::Totp(_)) => {
                self.shows_factor(actor, id, device, shown).await?
            }
        };
        if !right {
            let error = AppError::refused("wrong-factor", "it is wrong, or it was used before: try again");
            self.refused(actor, Verb::SignIn, format!("{proof} from {}", device.peer), &error).await;
            return Err(error);
        }
        self.0.throttle.succeeded(step, &key, device.peer);
        Ok(())
    }

    async fn shows_password(&self, actor: &Actor, id: SignInId, password: Secret) -> Result<bool, AppError> {
        let Some(user) = actor.user_id() else { return Ok(false) };
        let (_, held) = self.known_of(user).await?;
        if held.any() {
            return Err(AppError::field("/password", "you have a second factor: show that one"));
        }
        if !self.is_password_of(None, Some(user), password).await? {
            return Ok(false);
        }
        let entry = self.shown_entry(id, "password");
        let (permit, now) = (Permit::ask(actor, Verb::SignIn)?, entry.at);
        let kept = self.0.store.write(move |tx| {
            Box::pin(async move {
                tx.password_shown(id, now).await?;
                tx.record(&permit, &entry).await?;
                Ok::<_, AppError>(true)
            })
        });
        kept.await
    }

    async fn shows_factor(&self, actor: &Actor, id: SignInId, device: &Device, shown: Shown) -> Result<bool, AppError> {
        let Some(user) = actor.user_id() else { return Ok(false) };
        let entry = self.shown_entry(id, shown.proof().as_str());
        let (app, of, permit, now) = (self.clone(), device.clone(), Permit::ask(actor, Verb::SignIn)?, entry.at);
        let kept = self.0.store.write(move |tx| {
            Box::pin(async move {
                if !app.uses_factor(tx, (user, &of), &shown, now).await? {
                    return Ok(false);
                }
                tx.factor_shown(id, now).await?;
                tx.record(&permit, &entry).await?;
                Ok::<_, AppError>(true)
            })
        });
        kept.await
    }

    fn shown_entry(&self, id: SignInId, shown: &str) -> AuditEntry {
        AuditEntry {
            id: self.mint_audit(),
            at: self.0.clock.now(),
            subject: id.to_string(),
            outcome: Outcome::Ok,
            detail: json!({ "shown": shown, "again": true }),
        }
    }
}

/// When the strongest thing that the user has was last shown. Old rows carry no times: they began with a password.
fn shown_at(row: &SignInRow, held: HeldFactors) -> Timestamp {
    if held.any() {
        // A factor that was set up since was not shown in this sign-in.
        return row.factor_at.unwrap_or(Timestamp::from_micros(0));
    }
    row.password_at.unwrap_or(row.created_at)
}
