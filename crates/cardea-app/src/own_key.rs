//! The keys with which a person comes in through the gateway: those that the configuration gives them, and those that they
//! registered themselves.
//!
//! A key names one person: whom the configuration gives it, or who first came in with it, because that takes the private half.
//! Until then whoever says that it is theirs keeps nobody else from saying so, and loses it to whoever shows it.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

use cardea_domain::{
    Actor, Admission, Credential, GateRefusal, Kind, Object, ObjectId, OwnKeyId, Permit, Timestamp, Verb,
    is_public_key, is_unprintable,
};
use cardea_store::{AuditEntry, News, Outcome, OwnKey, StoreError, Tx};
use cardea_vault::fingerprint;
use serde_json::json;

use crate::{App, AppError, apply::key_body, event::Event, gate::refusal, notice::Notice, sign_in::actor_of};

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
    /// Whether it is this person's and nobody else's: the configuration says so, or they came in with it.
    pub is_proven: bool,
    /// When it last let its user in.
    pub last_used_at: Option<Timestamp>,
}

/// The most keys that one person registers.
const KEYS_MAX: usize = 20;
const NAME_MAX: usize = 64;

/// Whose keys are whose that people registered themselves, as the store has them: by type and base64.
#[derive(Default)]
pub(crate) struct OwnKeys(RwLock<HashMap<String, Vec<Holder>>>);

/// Who says that a key is theirs.
#[derive(Clone, Copy)]
struct Holder {
    user: ObjectId,
    is_proven: bool,
}

impl OwnKeys {
    /// What the store has.
    pub(crate) fn replace(&self, keys: Vec<OwnKey>) {
        let mut all = HashMap::<_, Vec<_>>::new();
        for key in keys {
            all.entry(key.body).or_default().push(Holder { user: key.user, is_proven: key.proven_at.is_some() });
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = all;
    }

    /// Whoever says that it is theirs: one alone, if they have shown it.
    fn holders(&self, body: &str) -> Vec<Holder> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let holders = keys.get(body).map(Vec::as_slice).unwrap_or_default();
        match holders.iter().find(|holder| holder.is_proven) {
            Some(proven) => vec![*proven],
            None => holders.to_vec(),
        }
    }

    /// Those that were shown, and whose they are.
    pub(crate) fn proven(&self) -> HashMap<String, ObjectId> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let proven = |holders: &[Holder]| holders.iter().find(|holder| holder.is_proven).map(|holder| holder.user);
        keys.iter().filter_map(|(body, holders)| Some((body.clone(), proven(holders)?))).collect()
    }

    fn of(&self, user: ObjectId) -> Vec<String> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let is_own = |holders: &[Holder]| holders.iter().any(|holder| holder.user == user);
        let mut own: Vec<_> =
            keys.iter().filter(|(_, holders)| is_own(holders)).map(|(body, _)| body.clone()).collect();
        own.sort();
        own
    }

    fn put(&self, body: String, user: ObjectId) {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        keys.entry(body).or_default().push(Holder { user, is_proven: false });
    }

    fn prove(&self, body: String, user: ObjectId) {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        keys.insert(body, vec![Holder { user, is_proven: true }]);
    }

    fn remove(&self, body: &str, user: ObjectId) {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let Some(holders) = keys.get_mut(body) else { return };
        holders.retain(|holder| holder.user != user);
        if holders.is_empty() {
            keys.remove(body);
        }
    }
}

impl App {
    /// Every key of a user: what the configuration has first.
    pub(crate) fn keys_of(&self, user: &Object) -> Vec<String> {
        let given = user.as_user().map(|spec| spec.ssh_keys.clone()).unwrap_or_default();
        let own = self.0.own_keys.of(user.id).into_iter().filter(|body| self.holders_of(body).contains(&user.id));
        given.into_iter().chain(own).collect()
    }

    /// A person's keys: one's own, or for administrators and auditors anybody's.
    pub async fn ssh_keys(&self, actor: &Actor, user: Option<&str>) -> Result<Vec<SshKey>, AppError> {
        if user.is_none() && actor.user_id().is_none() {
            return Ok(Vec::new());
        }
        let user = self.user_or_oneself(actor, Verb::SeeSignIns, user)?;
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
        for key in keys.iter_mut().filter(|key| key.is_proven) {
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
        let key = OwnKey { id, user, name, body: key_body(line).to_owned(), created_at: now, proven_at: None };
        // Nobody gives the same key to somebody else by the configuration meanwhile.
        let _changing = self.0.changing.lock().await;
        if self.0.store.is_shared() {
            self.reload().await?;
        }
        let own = self.0.own_keys.of(user);
        if self.owner_of(&key.body).is_some() || own.contains(&key.body) {
            return Err(taken());
        }
        if own.len() >= KEYS_MAX {
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
                app.tell_new_key(tx, user, (&key.name, &fingerprint_of(&key.body)));
                app.notify_user(tx, user, &Notice::KeyAdded { name: key.name, fingerprint: fingerprint_of(&key.body) });
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
        let asked = Permit::ask(actor, Verb::ChangeOwnKeys).map_err(AppError::from);
        let removed = match (asked, actor.user_id()) {
            (Ok(permit), Some(user)) => self.take_key_away(permit, (user, id), None).await,
            (Ok(_), None) => Err(AppError::NotFound),
            (Err(error), _) => Err(error),
        };
        self.judge_key_change(actor, removed).await
    }

    /// Takes a key away that somebody registered, and cuts what it opened: of whoever lost it, say.
    pub async fn remove_ssh_key_of(&self, actor: &Actor, user: &str, id: OwnKeyId) -> Result<(), AppError> {
        let asked = self.user_or_oneself(actor, Verb::RemoveKey, Some(user));
        let permit = asked.and_then(|user| Ok((self.to_touch(actor, Verb::RemoveKey, user)?, user)));
        if let Err(error @ AppError::Denied(_)) = &permit {
            self.refused(actor, Verb::RemoveKey, user.chars().take(64).collect(), error).await;
        }
        let (permit, user) = permit?;
        self.must_be_fresh(actor, Verb::RemoveKey, &user.to_string()).await?;
        self.take_key_away(permit, (user, id), Some(actor.to_string())).await
    }

    async fn take_key_away(
        &self,
        permit: Permit,
        (user, id): (ObjectId, OwnKeyId),
        by: Option<String>,
    ) -> Result<(), AppError> {
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
                app.notify_user(tx, user, &Notice::KeyGone { name: key.name, by });
                tx.after_commit(Box::new(move || {
                    app.0.cluster.made(revision, || app.0.own_keys.remove(&key.body, user));
                    app.recheck_keys();
                    app.0.hub.publish(None, Event::Configuration);
                }));
                Ok(())
            })
        });
        written.await
    }

    /// The person has shown at the gateway that they hold the key: it is theirs from now on. Does nothing for what is known.
    pub(crate) async fn prove_key(&self, admission: &Admission) -> Result<(), AppError> {
        let Credential::Key(line) = &admission.credential else { return Ok(()) };
        if self.owner_of(key_body(line)) == Some(admission.user) {
            return Ok(());
        }
        self.retried(|| self.prove_once(admission, key_body(line))).await
    }

    async fn prove_once(&self, admission: &Admission, body: &str) -> Result<(), AppError> {
        // Nobody gives the same key to somebody else by the configuration meanwhile.
        let _changing = self.0.changing.lock().await;
        if self.0.store.is_shared() {
            self.reload().await?;
        }
        let (body, user, known) = (body.to_owned(), admission.user, self.0.cluster.revision());
        let lost = || {
            let GateRefusal { code, sentence } = not_yours();
            AppError::refused(code, sentence)
        };
        if !self.holders_of(&body).contains(&user) {
            return Err(lost());
        }
        let configuration = self.configuration();
        let object = configuration.get(user).ok_or(AppError::NotFound)?;
        let permit = Permit::ask(&actor_of(&configuration, object, admission.via())?, Verb::ChangeOwnKeys)?;
        let (app, now) = (self.clone(), self.0.clock.now());
        let written = self.0.store.write(move |tx| {
            Box::pin(async move {
                let revision = tx.raise_revision(Some(known)).await?;
                let (key, gone) = tx.prove_own_key(user, &body, now).await?.ok_or_else(lost)?;
                app.write_down_key_change(tx, &permit, &key, "proven").await?;
                for other in gone {
                    app.write_down_key_change(tx, &permit, &other, "lost to who has shown it").await?;
                    app.notify_user(tx, other.user, &Notice::KeyLost { name: other.name });
                }
                tx.after_commit(Box::new(move || {
                    app.0.cluster.made(revision, || app.0.own_keys.prove(body, user));
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
        let (name, fingerprint) = (&key.name, fingerprint_of(&key.body));
        let detail = json!({ "what": what, "user": key.user, "name": name, "fingerprint": fingerprint });
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

    /// Whose this key is and nobody else's: by the configuration, or because they have shown it.
    pub(crate) fn owner_of(&self, body: &str) -> Option<ObjectId> {
        match self.standing(body) {
            Standing::Of(user) => Some(user),
            Standing::Claimed(_) | Standing::Disputed => None,
        }
    }

    /// Who may come in with this key, for a session of their own.
    pub(crate) fn holders_of(&self, body: &str) -> Vec<ObjectId> {
        match self.standing(body) {
            Standing::Of(user) => vec![user],
            Standing::Claimed(users) => users,
            Standing::Disputed => Vec::new(),
        }
    }

    fn standing(&self, body: &str) -> Standing {
        let configuration = self.configuration();
        let has = |user: &&Object| {
            user.as_user().is_some_and(|spec| spec.ssh_keys.iter().any(|known| key_body(known) == body))
        };
        let given = configuration.of(Kind::User).find(has).map(|user| user.id);
        let mut own = self.0.own_keys.holders(body);
        own.retain(|holder| configuration.get(holder.user).is_some());
        let proven = own.iter().find(|holder| holder.is_proven).map(|holder| holder.user);
        match (given, proven) {
            // It cannot come to that; who is meant is not to be guessed.
            (Some(one), Some(other)) if one != other => Standing::Disputed,
            (Some(user), _) | (None, Some(user)) => Standing::Of(user),
            (None, None) => Standing::Claimed(own.into_iter().map(|holder| holder.user).collect()),
        }
    }
}

/// Whose a key is.
enum Standing {
    Of(ObjectId),
    /// Nobody's for certain: these say that it is theirs.
    Claimed(Vec<ObjectId>),
    Disputed,
}

fn taken() -> AppError {
    AppError::field(
        "/public_key",
        "this key is registered already, for you or for somebody else who has shown it: a key names one person",
    )
}

/// The refusal of a key that is not its bearer's any more.
pub(crate) fn not_yours() -> GateRefusal {
    refusal(
        GateRefusal::UNKNOWN_KEY,
        "no user has registered this key: register it with your administrator, or log in with the one that you registered (`ssh -i FILE`)",
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
        is_proven: true,
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
        is_proven: key.proven_at.is_some(),
        last_used_at: None,
    }
}
