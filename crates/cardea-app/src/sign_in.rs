//! Sign-in by password, and the browser's cookie.

use std::{sync::Arc, time::Duration};

use cardea_domain::{
    Actor, Configuration, Kind, Method, Object, ObjectId, Permit, Role, Secret, SignInId, Timestamp, Verb, Via,
};
use cardea_store::{AuditEntry, HeldFactors, Outcome, SignInRow, Tx};
use cardea_vault::RelyingParty;
use serde_json::json;
use tokio::time::Instant;

use crate::{
    App, AppError, Device,
    notice::Notice,
    second_step::Proof,
    throttle::{Attempt, Step, Wait},
};

/// How long sign-ins last, and who must show a second factor.
#[derive(Clone, Debug)]
pub struct SignInSettings {
    /// A sign-in ends after this long, whatever happens.
    pub lasts: Duration,
    /// A sign-in that is not used for this long ends.
    pub idle: Duration,
    /// Sensitive acts need a factor that was shown within this long.
    pub fresh: Duration,
    /// Users with one of these roles must have a second factor.
    pub second_factor_roles: Vec<Role>,
    /// Passwords that are hashed side by side.
    pub hashes_at_once: usize,
    /// The site that passkeys are made for; without one there are none.
    pub relying_party: Option<Arc<RelyingParty>>,
}

impl Default for SignInSettings {
    fn default() -> Self {
        Self {
            lasts: Duration::from_secs(12 * 3600),
            idle: Duration::from_secs(2 * 3600),
            fresh: Duration::from_secs(15 * 60),
            second_factor_roles: Vec::new(),
            hashes_at_once: 1,
            relying_party: None,
        }
    }
}

/// What a right password leads to.
pub enum SignInStep {
    Done(Box<SignedIn>),
    /// The user has a second factor: whoever holds the ticket may show one, from the same address.
    SecondFactor {
        methods: &'static [Method],
        ticket: Secret,
    },
}

/// A sign-in that was just made.
pub struct SignedIn {
    pub actor: Actor,
    /// What the browser shows from now on. Only its digest is stored.
    pub cookie: Secret,
    pub expires_at: Timestamp,
}

/// A sign-in to be: what the store gets.
pub(crate) struct Beginning {
    pub(crate) row: SignInRow,
    permit: Permit,
    alone: Option<Alone>,
}

/// A password that was enough by itself. That has to be so still when the sign-in is written.
pub(crate) struct Alone {
    /// What is kept here of their password; nothing of those who are kept in a directory alone.
    pub(crate) hash: Option<String>,
}

/// What is over for longer is forgotten, and with it the devices that it was made from.
const REMEMBERED: Duration = Duration::from_secs(90 * 86_400);
/// From where a user signed in within this long, others cannot slow them down.
const FAMILIAR: Duration = Duration::from_secs(30 * 86_400);

impl App {
    /// Signs a user in by password, or gives out a ticket for the second step.
    pub async fn sign_in(&self, device: &Device, user: &str, password: Secret) -> Result<SignInStep, AppError> {
        let asked_at = Instant::now();
        let step = self.sign_in_by_password(device, user, password).await;
        if matches!(step, Err(AppError::Unauthenticated(_))) {
            self.refuse_on_time(asked_at).await;
        }
        step
    }

    async fn sign_in_by_password(&self, device: &Device, user: &str, password: Secret) -> Result<SignInStep, AppError> {
        let configuration = self.configuration();
        let found = configuration.find(Kind::User, user);
        // By whichever of their names: they are guessed together.
        let name = found.map_or(user, |object| object.name.as_str());
        let found = found.map(|object| object.id);
        self.must_not_guess(Step::Password, name, device, found).await?;
        let directories = self.directories_about(found);
        if !directories.is_empty() {
            return self.sign_in_by_directory(device, name, &password, &directories).await;
        }
        // Asked for nobody as well, so that it takes as long.
        let id = found.unwrap_or_else(|| ObjectId::mint(Kind::User, self.0.clock.now(), &*self.0.entropy));
        let (hash, held) = self.known_of(id).await?;
        // Whoever an identity provider vouches for signs in there, whatever is kept here.
        let hash = hash.filter(|_| self.way_of(id).is_none());
        let right = self.verify_password(Some(device.peer), password, hash.clone()).await?;
        let (true, Some(id)) = (right, found) else {
            let error = AppError::Unauthenticated("the user name or the password is wrong".to_owned());
            let subject: String = user.chars().take(64).collect();
            let subject = format!("user {subject:?} from {}", device.peer);
            self.refused(&Actor::Gateway, Verb::SignIn, subject, &error).await;
            return Err(error);
        };
        if held.any() {
            return self.hand_ticket(id, held, device).await;
        }
        self.0.throttle.succeeded(Step::Password, name, device.peer);
        Ok(SignInStep::Done(Box::new(self.signed_in_by_password(id, device, Alone { hash }).await?)))
    }

    /// Makes a sign-in of somebody whose password was enough.
    pub(crate) async fn signed_in_by_password(
        &self,
        user: ObjectId,
        device: &Device,
        alone: Alone,
    ) -> Result<SignedIn, AppError> {
        let (signed_in, mut beginning) = self.begin_sign_in(user, device, Proof::Password)?;
        beginning.alone = Some(alone);
        self.write_sign_in(beginning, Proof::Password).await?;
        Ok(signed_in)
    }

    /// The user's password hash, and which second factors they have.
    pub(crate) async fn known_of(&self, user: ObjectId) -> Result<(Option<String>, HeldFactors), AppError> {
        let read = self.0.store.read(move |tx| {
            Box::pin(async move { Ok::<_, AppError>((tx.password(user).await?, tx.held_factors(user).await?)) })
        });
        read.await
    }

    /// Refuses an attempt that comes too soon after too many others. It counts as failed until it is told otherwise.
    pub(crate) async fn must_not_guess(
        &self,
        step: Step,
        name: &str,
        device: &Device,
        user: Option<ObjectId>,
    ) -> Result<(), AppError> {
        let now = self.0.clock.now();
        let attempt = Attempt { step, user: name, peer: device.peer, is_familiar: false };
        let waits = match self.0.throttle.attempt(attempt, now) {
            Ok(()) => return Ok(()),
            Err(Wait::Everywhere(retry_after)) => retry_after,
            Err(Wait::Here(retry_after)) => return Err(AppError::Throttled { retry_after }),
        };
        // Asked for nobody as well, so that it takes as long.
        let user = user.unwrap_or_else(|| ObjectId::mint(Kind::User, now, &*self.0.entropy));
        let (network, since) = (device.network(), now.minus(FAMILIAR));
        let known = self.0.store.read(move |tx| {
            Box::pin(async move { tx.knows_network(user, &network, since).await.map_err(AppError::from) })
        });
        if !known.await? {
            return Err(AppError::Throttled { retry_after: waits });
        }
        self.0.throttle.attempt(Attempt { is_familiar: true, ..attempt }, now).map_err(|wait| match wait {
            Wait::Here(retry_after) | Wait::Everywhere(retry_after) => AppError::Throttled { retry_after },
        })
    }

    /// Makes a sign-in of somebody who has shown who they are.
    pub(crate) async fn signed_in(&self, user: ObjectId, device: &Device, proof: Proof) -> Result<SignedIn, AppError> {
        let (signed_in, beginning) = self.begin_sign_in(user, device, proof)?;
        self.write_sign_in(beginning, proof).await?;
        Ok(signed_in)
    }

    async fn write_sign_in(&self, beginning: Beginning, proof: Proof) -> Result<(), AppError> {
        let app = self.clone();
        let kept = self.0.store.write(move |tx| Box::pin(async move { app.keep_sign_in(tx, &beginning, proof).await }));
        kept.await
    }

    /// A sign-in that the store does not know yet.
    pub(crate) fn begin_sign_in(
        &self,
        user: ObjectId,
        device: &Device,
        proof: Proof,
    ) -> Result<(SignedIn, Beginning), AppError> {
        let now = self.0.clock.now();
        let id = SignInId::mint(now, &*self.0.entropy);
        let actor = self.let_in(user, Via::SignIn(id))?;
        let cookie = self.random_token("sign-in");
        let expires_at = now.plus(self.0.sign_in.lasts);
        let row = SignInRow {
            id,
            user,
            digest: cookie.expose(|text| self.0.keyring.digest("sign-in", text.as_bytes())).to_vec(),
            created_at: now,
            expires_at,
            last_seen_at: now,
            ended_at: None,
            peer: Some(device.network()),
            agent: Some(device.agent.clone()),
            password_at: (proof != Proof::PasskeyAlone).then_some(now),
            factor_at: proof.has_factor().then_some(now),
        };
        let permit = Permit::ask(&actor, Verb::SignIn)?;
        Ok((SignedIn { actor, cookie, expires_at }, Beginning { row, permit, alone: None }))
    }

    /// Writes a sign-in down, and tells its user if it comes from a new device.
    pub(crate) async fn keep_sign_in(&self, tx: &mut Tx, beginning: &Beginning, proof: Proof) -> Result<(), AppError> {
        let Beginning { row, permit, alone } = beginning;
        if let Some(Alone { hash }) = alone
            && (tx.password(row.user).await? != *hash || tx.held_factors(row.user).await?.any())
        {
            let sentence = "the password or the second factor was changed meanwhile: sign in again";
            return Err(AppError::Unauthenticated(sentence.to_owned()));
        }
        let (peer, agent) = (row.peer.clone().unwrap_or_default(), row.agent.clone().unwrap_or_default());
        self.forget_sign_ins(tx, row.user, row.created_at).await?;
        let (is_known_user, is_known_device) = tx.knows_device(row.user, &peer, &agent).await?;
        tx.insert_sign_in(row).await?;
        let is_new = is_known_user && !is_known_device;
        let entry = AuditEntry {
            id: self.mint_audit(),
            at: row.created_at,
            subject: row.id.to_string(),
            outcome: Outcome::Ok,
            detail: json!({ "peer": peer, "agent": agent, "shown": proof.as_str(), "new_device": is_new }),
        };
        tx.record(permit, &entry).await?;
        if is_new {
            self.tell_new_device(tx, row.user, (&peer, &agent));
            self.notify_user(tx, row.user, &Notice::NewDevice { peer, agent });
        }
        Ok(())
    }

    /// Forgets what is over of a user: rows of theirs must not grow without end.
    pub(crate) async fn forget_sign_ins(&self, tx: &mut Tx, user: ObjectId, now: Timestamp) -> Result<(), AppError> {
        Ok(tx.forget_sign_ins(user, now.minus(REMEMBERED), now).await?)
    }

    /// Ends the sign-in that the actor came by. Nothing to do for a token.
    pub async fn sign_out(&self, actor: &Actor) -> Result<(), AppError> {
        let Actor::User { via: Via::SignIn(id), .. } = actor else { return Ok(()) };
        let (id, now) = (*id, self.0.clock.now());
        let permit = Permit::ask(actor, Verb::SignIn)?;
        let entry = AuditEntry {
            id: self.mint_audit(),
            at: now,
            subject: id.to_string(),
            outcome: Outcome::Ok,
            detail: json!({ "ended": true }),
        };
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    tx.end_sign_in(id, now).await?;
                    tx.record(&permit, &entry).await?;
                    Ok(())
                })
            })
            .await
    }

    /// A random bearer value that says what it is.
    pub(crate) fn random_token(&self, what: &str) -> Secret {
        let mut bytes = [0; 32];
        self.0.entropy.fill(&mut bytes);
        Secret::new(format!("cardea-{what}-{}", data_encoding::BASE64URL_NOPAD.encode(&bytes)))
    }
}

impl App {
    /// The actor that a user is who comes this way, unless they are disabled, expired or locked.
    pub(crate) fn let_in(&self, user: ObjectId, via: Via) -> Result<Actor, AppError> {
        let configuration = self.configuration();
        let over = || AppError::Unauthenticated("there is no such user any more: ask an administrator".to_owned());
        let object = configuration.get(user).ok_or_else(over)?;
        match self.keeps_out(user) {
            Some(why) => Err(AppError::Unauthenticated(why)),
            None => actor_of(&configuration, object, via),
        }
    }

    /// Why a user may do nothing now; `None` if they may.
    pub(crate) fn keeps_out(&self, user: ObjectId) -> Option<String> {
        let configuration = self.configuration();
        if configuration.get(user).and_then(Object::as_user).is_none() {
            return Some("there is no such user any more: ask an administrator".to_owned());
        }
        if let Some(why) = configuration.keeps_out(user, self.0.clock.now()) {
            return Some(format!("this user is {why}: ask an administrator"));
        }
        self.must_not_be_locked(user).err().map(|error| error.to_string())
    }
}

/// The actor that a user object is, with the roles of this moment.
pub(crate) fn actor_of(configuration: &Configuration, user: &Object, via: Via) -> Result<Actor, AppError> {
    if user.as_user().is_none() {
        return Err(AppError::Internal("a sign-in names something that is no user".to_owned()));
    }
    let (name, roles) = (user.name.as_str().to_owned(), configuration.roles_of(user.id));
    Ok(Actor::User { id: user.id, name, roles, via })
}
