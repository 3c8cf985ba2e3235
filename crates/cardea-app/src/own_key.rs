//! The keys with which a person comes in through the gateway: those that the configuration gives them, and those that they
//! registered themselves. A key names one person.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

use cardea_domain::{Actor, Kind, Object, ObjectId, OwnKeyId, Permit, Timestamp, Verb, is_public_key, is_unprintable};
use cardea_store::{AuditEntry, News, Outcome, OwnKey, StoreError, Tx};
use cardea_vault::fingerprint;
use serde_json::json;

use crate::{App, AppError, apply::key_body, event::Event};

/// One key of a person.
#[derive(Clone, Debug)]
pub struct SshKey {
    /// `None` for one that the configuration gives: only an administrator takes it away.
    pub id: Option<OwnKeyId>,
    pub name: String,
    /// Type and base64, without comment.
    pub public_key: String,
    pub fingerprint: String,
    pub created_at: Option<Timestamp>,
    /// When it last let its user in.
    pub last_used_at: Option<Timestamp>,
}

/// The most keys that one person registers.
const KEYS_MAX: usize = 20;
const NAME_MAX: usize = 64;

/// Whose keys are whose that people registered themselves, as the store has them: by type and base64.
#[derive(Default)]
pub(crate) struct OwnKeys(RwLock<HashMap<String, ObjectId>>);

impl OwnKeys {
    /// What the store has.
    pub(crate) fn replace(&self, keys: Vec<OwnKey>) {
        let keys = keys.into_iter().map(|key| (key.body, key.user)).collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    pub(crate) fn owner(&self, body: &str) -> Option<ObjectId> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(body).copied()
    }

    /// All of them.
    pub(crate) fn all(&self) -> HashMap<String, ObjectId> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn of(&self, user: ObjectId) -> Vec<String> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut own: Vec<_> = keys.iter().filter(|(_, owner)| **owner == user).map(|(body, _)| body.clone()).collect();
        own.sort();
        own
    }

    fn put(&self, body: String, user: ObjectId) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(body, user);
    }

    fn remove(&self, body: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(body);
    }
}

impl App {
    /// Every key of a user: what the configuration has first.
    pub(crate) fn keys_of(&self, user: &Object) -> Vec<String> {
        let given = user.as_user().map(|spec| spec.ssh_keys.clone()).unwrap_or_default();
        given.into_iter().chain(self.0.own_keys.of(user.id)).collect()
    }

    /// The actor's own keys.
    pub async fn my_ssh_keys(&self, actor: &Actor) -> Result<Vec<SshKey>, AppError> {
        let Some(user) = actor.user_id() else { return Ok(Vec::new()) };
        let configuration = self.configuration();
        let given = configuration.get(user).and_then(Object::as_user).map(|spec| spec.ssh_keys.clone());
        let mut keys: Vec<_> = given.unwrap_or_default().iter().map(|line| given_key(line)).collect();
        let known: Vec<_> = keys.iter().map(|key| key.fingerprint.clone()).collect();
        let read = self.0.store.read(move |tx| {
            Box::pin(async move {
                let own = tx.own_keys_of(user).await?;
                let wanted =
                    known.into_iter().chain(own.iter().map(|key| fingerprint_of(&key.body))).collect::<Vec<_>>();
                Ok::<_, AppError>((own, tx.key_uses(&wanted).await?))
            })
        });
        let (own, uses) = read.await?;
        keys.extend(own.into_iter().map(own_key));
        for key in &mut keys {
            key.last_used_at = uses.get(&key.fingerprint).copied();
        }
        Ok(keys)
    }

    /// Registers a key of the actor's own.
    pub async fn add_ssh_key(&self, actor: &Actor, line: &str, name: &str) -> Result<SshKey, AppError> {
        let added = self.add_key(actor, line.trim(), name).await;
        self.judge_key_change(actor, added).await
    }

    async fn add_key(&self, actor: &Actor, line: &str, name: &str) -> Result<SshKey, AppError> {
        let permit = Permit::ask(actor, Verb::ChangeOwnKeys)?;
        self.is_fresh(actor).await?;
        let user = actor.user_id().ok_or(AppError::NotFound)?;
        if !is_public_key(line) {
            let wanted = "write a public key as `ssh-keygen` prints it: type, key, comment, on one line";
            return Err(AppError::field("/public_key", wanted));
        }
        let comment = line.splitn(3, ' ').nth(2).unwrap_or_default();
        let name = if name.is_empty() { comment.chars().take(NAME_MAX).collect() } else { name.to_owned() };
        if name.chars().count() > NAME_MAX || name.contains(is_unprintable) {
            return Err(AppError::field("/name", format!("at most {NAME_MAX} printable characters")));
        }
        let now = self.0.clock.now();
        let id = OwnKeyId::mint(now, &*self.0.entropy);
        let key = OwnKey { id, user, name, body: key_body(line).to_owned(), created_at: now };
        // Nobody gives the same key to somebody else by the configuration meanwhile.
        let _changing = self.0.changing.lock().await;
        if self.0.store.is_shared() {
            self.reload().await?;
        }
        if self.owner_of(&key.body).is_some() {
            return Err(taken());
        }
        if self.0.own_keys.of(user).len() >= KEYS_MAX {
            return Err(AppError::field("/public_key", format!("you have {KEYS_MAX} keys already: remove one first")));
        }
        let (app, known, added) = (self.clone(), self.0.cluster.revision(), key.clone());
        let written = self.0.store.write(move |tx| {
            Box::pin(async move {
                let revision = tx.raise_revision(Some(known)).await?;
                tx.insert_own_key(&key).await.map_err(|error| match error {
                    StoreError::Duplicate { .. } => taken(),
                    other => other.into(),
                })?;
                app.write_down_key_change(tx, &permit, &key, "added").await?;
                tx.after_commit(Box::new(move || {
                    app.0.cluster.made(revision, || app.0.own_keys.put(key.body, user));
                    app.0.hub.publish(None, Event::Configuration);
                }));
                Ok::<_, AppError>(())
            })
        });
        written.await?;
        Ok(own_key(added))
    }

    /// Takes a key of the actor's own away, and cuts what it opened.
    pub async fn remove_ssh_key(&self, actor: &Actor, id: OwnKeyId) -> Result<(), AppError> {
        let removed = self.remove_key(actor, id).await;
        self.judge_key_change(actor, removed).await
    }

    async fn remove_key(&self, actor: &Actor, id: OwnKeyId) -> Result<(), AppError> {
        let permit = Permit::ask(actor, Verb::ChangeOwnKeys)?;
        let user = actor.user_id().ok_or(AppError::NotFound)?;
        let app = self.clone();
        let written = self.0.store.write(move |tx| {
            Box::pin(async move {
                let own = tx.own_keys_of(user).await?;
                let key = own.into_iter().find(|key| key.id == id).ok_or(AppError::NotFound)?;
                if !tx.delete_own_key(id, user).await? {
                    return Err(AppError::NotFound);
                }
                let revision = tx.raise_revision(None).await?;
                app.write_down_key_change(tx, &permit, &key, "removed").await?;
                tx.after_commit(Box::new(move || {
                    app.0.cluster.made(revision, || app.0.own_keys.remove(&key.body));
                    app.recheck_keys();
                    app.0.hub.publish(None, Event::Configuration);
                }));
                Ok(())
            })
        });
        written.await
    }

    async fn write_down_key_change(
        &self,
        tx: &mut Tx,
        permit: &Permit,
        key: &OwnKey,
        what: &str,
    ) -> Result<(), AppError> {
        tx.tell(News::Configuration);
        let detail = json!({ "what": what, "name": key.name, "fingerprint": fingerprint_of(&key.body) });
        let entry = AuditEntry {
            id: self.mint_audit(),
            at: self.0.clock.now(),
            subject: key.id.to_string(),
            outcome: Outcome::Ok,
            detail,
        };
        Ok(tx.record(permit, &entry).await?)
    }

    async fn judge_key_change<T>(&self, actor: &Actor, done: Result<T, AppError>) -> Result<T, AppError> {
        if let Err(error @ (AppError::Denied(_) | AppError::FactorNeeded { .. } | AppError::Invalid(_))) = &done {
            self.refused(actor, Verb::ChangeOwnKeys, "own keys".to_owned(), error).await;
        }
        done
    }

    /// Who has registered this key, by either way.
    pub(crate) fn owner_of(&self, body: &str) -> Option<ObjectId> {
        let configuration = self.configuration();
        let has = |user: &&Object| {
            user.as_user().is_some_and(|spec| spec.ssh_keys.iter().any(|known| key_body(known) == body))
        };
        let given = configuration.of(Kind::User).find(has).map(|user| user.id);
        let own = self.0.own_keys.owner(body).filter(|user| configuration.get(*user).is_some());
        match (given, own) {
            // It cannot come to that; who is meant is not to be guessed.
            (Some(one), Some(other)) if one != other => None,
            (given, own) => given.or(own),
        }
    }
}

fn taken() -> AppError {
    AppError::field(
        "/public_key",
        "this key is registered already, for you or for somebody else: a key names one person",
    )
}

/// The fingerprint of a key by its line or by type and base64 alone.
pub(crate) fn fingerprint_of(line: &str) -> String {
    let base64 = line.split(' ').nth(1).unwrap_or_default();
    fingerprint(&data_encoding::BASE64.decode(base64.as_bytes()).unwrap_or_default())
}

fn given_key(line: &str) -> SshKey {
    SshKey {
        id: None,
        name: line.splitn(3, ' ').nth(2).unwrap_or_default().to_owned(),
        public_key: key_body(line).to_owned(),
        fingerprint: fingerprint_of(line),
        created_at: None,
        last_used_at: None,
    }
}

fn own_key(key: OwnKey) -> SshKey {
    SshKey {
        id: Some(key.id),
        fingerprint: fingerprint_of(&key.body),
        name: key.name,
        public_key: key.body,
        created_at: Some(key.created_at),
        last_used_at: None,
    }
}
