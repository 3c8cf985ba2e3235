//! Sign-in by password, the browser's cookie, and the first administrator's set-up.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use cardea_domain::{
    Actor, Configuration, Kind, Name, Object, ObjectId, Permit, Role, Secret, SignInId, Spec, Timestamp, UserSpec,
    Verb, Via,
};
use cardea_store::{AuditEntry, Outcome, SignInRow};
use serde_json::json;

use crate::{App, AppError, password};

/// A sign-in that was just made.
pub struct SignedIn {
    pub actor: Actor,
    /// What the browser shows from now on. Only its digest is stored.
    pub cookie: Secret,
    pub expires_at: Timestamp,
}

/// A sign-in ends after this long, whatever happens.
const LASTS: Duration = Duration::from_secs(12 * 3600);
/// A sign-in that is not used for this long ends.
const IDLE: Duration = Duration::from_secs(2 * 3600);
/// `last_seen_at` is written at most this often.
const SEEN_EVERY: Duration = Duration::from_secs(60);
/// The first administrator's link is good for this long.
const SET_UP_LASTS: Duration = Duration::from_secs(24 * 3600);
const ADMIN: &str = "admin";

impl App {
    /// Makes the first administrator, `admin`. Without a password it returns a one-time token to choose one with.
    pub async fn initialise(&self, password: Option<Secret>) -> Result<Option<Secret>, AppError> {
        let _changing = self.0.changing.lock().await;
        if self.configuration().of(Kind::User).next().is_some() {
            return Err(AppError::refused(
                "already-initialised",
                "this installation has users already: nothing was changed",
            ));
        }
        let now = self.0.clock.now();
        let hash = match password {
            Some(password) => {
                password::check_new(&password, "/password")?;
                Some(self.hash_password(password).await?)
            }
            None => None,
        };
        let token = hash.is_none().then(|| self.random_token("setup"));
        let digest =
            token.as_ref().map(|token| token.expose(|text| self.0.keyring.digest("set-up", text.as_bytes())).to_vec());
        let admin = Object {
            id: ObjectId::mint(Kind::User, now, &*self.0.entropy),
            name: Name::new(ADMIN).expect("admin is a name"),
            spec: Spec::User(UserSpec {
                full_name: "Administrator".to_owned(),
                email: String::new(),
                roles: [Role::Administrator, Role::User].map(|role| role.name().to_owned()).into(),
                ssh_keys: Vec::new(),
                accounts: BTreeMap::new(),
                disabled: false,
                expires_at: None,
            }),
            version: 1,
            created_at: now,
            updated_at: now,
        };
        let permit = Permit::ask(&Actor::Operator { uid: 0 }, Verb::ChangeConfiguration(Kind::User))?;
        let app = self.clone();
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    tx.insert_object(&permit, &admin).await?;
                    if let Some(hash) = hash {
                        tx.set_password(admin.id, &hash, now).await?;
                    }
                    if let Some(digest) = digest {
                        tx.insert_set_up(&digest, now.plus(SET_UP_LASTS)).await?;
                    }
                    let detail = json!({ "created": ADMIN });
                    let entry = AuditEntry {
                        id: app.mint_audit(),
                        at: now,
                        subject: admin.id.to_string(),
                        outcome: Outcome::Ok,
                        detail,
                    };
                    tx.record(&permit, &entry).await?;
                    let revision = tx.raise_revision(None).await?;
                    app.put_after_commit(tx, admin, revision);
                    Ok::<_, AppError>(())
                })
            })
            .await?;
        Ok(token)
    }

    /// Signs a user in by password.
    pub async fn sign_in(&self, peer: IpAddr, user: &str, password: Secret) -> Result<SignedIn, AppError> {
        let now = self.0.clock.now();
        if let Err(retry_after) = self.0.throttle.attempt(user, peer, now) {
            return Err(AppError::Throttled { retry_after });
        }
        let found = self.configuration().find(Kind::User, user).cloned();
        let hash = match &found {
            Some(object) => {
                let id = object.id;
                self.0.store.read(move |tx| Box::pin(async move { tx.password(id).await })).await?
            }
            None => None,
        };
        let right = self.verify_password(password, hash).await?;
        let (true, Some(object)) = (right, found) else {
            let error = AppError::Unauthenticated("the user name or the password is wrong".to_owned());
            let subject: String = user.chars().take(64).collect();
            self.refused(&Actor::Gateway, Verb::SignIn, format!("user {subject:?} from {peer}"), &error).await;
            return Err(error);
        };
        self.0.throttle.succeeded(user, peer);
        self.signed_in(&object, peer).await
    }

    /// Uses up the set-up token: gives the first administrator a password, and signs in.
    pub async fn set_up(&self, peer: IpAddr, token: Secret, password: Secret) -> Result<SignedIn, AppError> {
        let now = self.0.clock.now();
        if let Err(retry_after) = self.0.throttle.attempt("", peer, now) {
            return Err(AppError::Throttled { retry_after });
        }
        password::check_new(&password, "/password")?;
        let wrong = || {
            AppError::Unauthenticated("this set-up link was used already, or is too old: ask the operator for `cardea init` of a new installation".to_owned())
        };
        let admin = self.configuration().find(Kind::User, ADMIN).cloned().ok_or_else(wrong)?;
        let digest = token.expose(|text| self.0.keyring.digest("set-up", text.as_bytes())).to_vec();
        let hash = self.hash_password(password).await?;
        let (app, id) = (self.clone(), admin.id);
        let used = self
            .0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    if !tx.use_set_up(&digest, now).await? {
                        return Err(wrong());
                    }
                    tx.set_password(id, &hash, now).await?;
                    let permit = Permit::ask(&Actor::Gateway, Verb::SignIn)?;
                    let detail = json!({ "set_up": true, "peer": peer });
                    let entry = AuditEntry {
                        id: app.mint_audit(),
                        at: now,
                        subject: id.to_string(),
                        outcome: Outcome::Ok,
                        detail,
                    };
                    tx.record(&permit, &entry).await?;
                    Ok(())
                })
            })
            .await;
        if let Err(error @ AppError::Unauthenticated(_)) = &used {
            self.refused(&Actor::Gateway, Verb::SignIn, format!("set-up from {peer}"), error).await;
        }
        used?;
        self.0.throttle.succeeded("", peer);
        self.signed_in(&admin, peer).await
    }

    async fn signed_in(&self, user: &Object, peer: IpAddr) -> Result<SignedIn, AppError> {
        let now = self.0.clock.now();
        let id = SignInId::mint(now, &*self.0.entropy);
        let actor = self.let_in(user.id, Via::SignIn(id))?;
        let cookie = self.random_token("sign-in");
        let digest = cookie.expose(|text| self.0.keyring.digest("sign-in", text.as_bytes())).to_vec();
        let expires_at = now.plus(LASTS);
        let row =
            SignInRow { id, user: user.id, digest, created_at: now, expires_at, last_seen_at: now, ended_at: None };
        let permit = Permit::ask(&actor, Verb::SignIn)?;
        let entry = AuditEntry {
            id: self.mint_audit(),
            at: now,
            subject: id.to_string(),
            outcome: Outcome::Ok,
            detail: json!({ "peer": peer }),
        };
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    tx.insert_sign_in(&row).await?;
                    tx.record(&permit, &entry).await?;
                    Ok::<_, AppError>(())
                })
            })
            .await?;
        Ok(SignedIn { actor, cookie, expires_at })
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

    /// Who shows this cookie.
    pub async fn actor_by_sign_in(&self, cookie: &Secret) -> Result<Actor, AppError> {
        let over = || AppError::Unauthenticated("the sign-in is over: sign in again".to_owned());
        let now = self.0.clock.now();
        let digest = cookie.expose(|text| self.0.keyring.digest("sign-in", text.as_bytes())).to_vec();
        let row = self
            .0
            .store
            .read(move |tx| Box::pin(async move { tx.sign_in_by_digest(&digest).await }))
            .await?
            .ok_or_else(over)?;
        if row.ended_at.is_some() || now >= row.expires_at || now.since(row.last_seen_at) > IDLE {
            return Err(over());
        }
        if now.since(row.last_seen_at) > SEEN_EVERY {
            self.0.store.write(move |tx| Box::pin(async move { tx.touch_sign_in(row.id, now).await })).await?;
        }
        self.let_in(row.user, Via::SignIn(row.id))
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
        let Some(spec) = configuration.get(user).and_then(Object::as_user) else {
            return Some("there is no such user any more: ask an administrator".to_owned());
        };
        if let Some(why) = spec.keeps_out(self.0.clock.now()) {
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
