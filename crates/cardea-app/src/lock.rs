//! Locks: an administrator freezes a session, or everything of a user or on a resource, and thaws it again. The host's part
//! is the engine's.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

use cardea_domain::{
    Actor, Denial, Kind, Lock, LockScope, LockStage, Object, ObjectId, Permission, Permit, Reach, Refusal, Session,
    SessionId, Stage, Verb, is_unprintable,
};
use cardea_store::{AuditEntry, News, Outcome, StandingLock, StoreError, Tx};
use serde_json::json;

use crate::{
    App, AppError, SessionDetail,
    change::Note,
    escalation::must_not_outrank,
    event::Event,
    gate::{Ruling, locked_sentence},
    session::{check_reason, detail, permit},
};

/// What people who meet a lock read.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// 1 to 100 printable characters.
    pub title: String,
    /// At most 1,000 printable characters.
    pub text: String,
}

const TITLE_MAX: usize = 100;
const TEXT_MAX: usize = 1000;

/// The users and resources that are locked as a whole, as the store has them.
#[derive(Default)]
pub(crate) struct Standing(RwLock<HashMap<ObjectId, StandingLock>>);

impl Standing {
    fn get(&self, object: ObjectId) -> Option<StandingLock> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&object).cloned()
    }

    /// What the store has.
    pub(crate) fn replace(&self, locks: Vec<StandingLock>) {
        let locks = locks.into_iter().map(|lock| (lock.object, lock)).collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = locks;
    }

    fn put(&self, lock: StandingLock) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(lock.object, lock);
    }

    fn remove(&self, object: ObjectId) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&object);
    }
}

impl Message {
    fn check(&self) -> Result<(), AppError> {
        let fits = |text: &str, max| text.chars().count() <= max && !text.contains(is_unprintable);
        if self.title.trim().is_empty() || !fits(&self.title, TITLE_MAX) {
            return Err(AppError::field("/title", format!("1 to {TITLE_MAX} printable characters")));
        }
        if !fits(&self.text, TEXT_MAX) {
            return Err(AppError::field("/text", format!("at most {TEXT_MAX} printable characters")));
        }
        Ok(())
    }
}

impl App {
    /// Freezes a session, or with it everything of its user or on its resource.
    pub async fn lock_session(
        &self,
        actor: &Actor,
        id: SessionId,
        scope: LockScope,
        message: Message,
    ) -> Result<SessionDetail, AppError> {
        let locked = self.retried(|| self.lock_once(actor, id, scope, message.clone())).await;
        self.heard_lock(actor, id.to_string(), locked).await
    }

    async fn lock_once(
        &self,
        actor: &Actor,
        id: SessionId,
        scope: LockScope,
        message: Message,
    ) -> Result<SessionDetail, AppError> {
        let (app, actor) = (self.clone(), actor.clone());
        let locked = self.0.store.write(move |tx| {
            Box::pin(async move {
                let mut session = app.visible(tx, &actor, id).await?;
                let permit = app.permit_to_lock(&actor, scope, &session)?;
                message.check()?;
                match scope {
                    LockScope::Session => {
                        let lock = app.session_lock(&actor, scope, &message);
                        app.freeze(tx, &permit, &mut session, lock).await?;
                    }
                    LockScope::User => drop(app.lock_whole(tx, &permit, session.user, &message).await?),
                    LockScope::Resource => drop(app.lock_whole(tx, &permit, session.resource, &message).await?),
                }
                let session = tx.session(id).await?.ok_or(AppError::NotFound)?;
                detail(tx, session).await
            })
        });
        let locked = locked.await?;
        self.nudge();
        Ok(locked)
    }

    /// Asks to lock a session, or all of its user or resource.
    fn permit_to_lock(&self, actor: &Actor, scope: LockScope, session: &Session) -> Result<Permit, AppError> {
        let whole = match scope {
            LockScope::Session => return Ok(permit(actor, Verb::Lock, session)?),
            LockScope::User => session.user,
            LockScope::Resource => session.resource,
        };
        let configuration = self.configuration();
        let object = configuration.get(whole).ok_or(AppError::NotFound)?;
        if scope == LockScope::User {
            must_not_outrank(actor, &configuration, whole)?;
        }
        Ok(Permit::for_object(actor, Verb::Lock, object, &configuration)?)
    }

    /// Thaws a session that is locked by itself. Its connections go on when the host has restored what was.
    pub async fn unlock_session(
        &self,
        actor: &Actor,
        id: SessionId,
        reason: Option<String>,
    ) -> Result<SessionDetail, AppError> {
        let unlocked = self.retried(|| self.unlock_once(actor, id, reason.clone())).await;
        self.heard_lock(actor, id.to_string(), unlocked).await
    }

    async fn unlock_once(
        &self,
        actor: &Actor,
        id: SessionId,
        reason: Option<String>,
    ) -> Result<SessionDetail, AppError> {
        let (app, actor) = (self.clone(), actor.clone());
        let unlocked = self.0.store.write(move |tx| {
            Box::pin(async move {
                let mut session = app.visible(tx, &actor, id).await?;
                let permit = permit(&actor, Verb::Lock, &session)?;
                check_reason(reason.as_deref().unwrap_or_default())?;
                let wholes = tx.standing_locks().await?;
                let names = [(session.user, &session.user_name), (session.resource, &session.resource_name)];
                let whole = names.iter().find(|(object, _)| wholes.iter().any(|lock| lock.object == *object));
                if let Some((_, name)) = whole {
                    return Err(Refusal::LockedAsAWhole((*name).clone()).into());
                }
                app.restore(tx, &permit, &mut session, reason.as_deref()).await?;
                detail(tx, session).await
            })
        });
        let unlocked = unlocked.await?;
        self.nudge();
        Ok(unlocked)
    }

    /// Locks a user or a resource, by name or id, as a whole: every session, and of a user every sign-in, token and key.
    pub async fn lock_object(
        &self,
        actor: &Actor,
        kind: Kind,
        name_or_id: &str,
        message: Message,
    ) -> Result<StandingLock, AppError> {
        let subject: String = name_or_id.chars().take(64).collect();
        let locked = self.retried(|| self.lock_object_once(actor, kind, name_or_id, message.clone())).await;
        self.heard_lock(actor, subject, locked).await
    }

    async fn lock_object_once(
        &self,
        actor: &Actor,
        kind: Kind,
        name_or_id: &str,
        message: Message,
    ) -> Result<StandingLock, AppError> {
        let permission = if kind == Kind::User { Permission::UsersLock } else { Permission::ResourcesLock };
        if !actor.reach(permission).is_somewhere() {
            let sentence = format!("{actor} does not have the permission `{permission}`: ask an administrator");
            return Err(Denial { hidden: false, sentence }.into());
        }
        message.check()?;
        let configuration = self.configuration();
        let missing = || AppError::field(format!("/{kind}").to_lowercase(), "there is none with this name or id");
        let found = configuration.find(kind, name_or_id).ok_or_else(missing)?;
        let permit = Permit::for_object(actor, Verb::Lock, found, &configuration)?;
        if kind == Kind::User {
            must_not_outrank(actor, &configuration, found.id)?;
        }
        let object = found.id;
        let app = self.clone();
        let locked = self
            .0
            .store
            .write(move |tx| Box::pin(async move { app.lock_whole(tx, &permit, object, &message).await }))
            .await?;
        self.nudge();
        Ok(locked)
    }

    /// Unlocks a user or a resource. Sessions that are locked by themselves stay so.
    pub async fn unlock_object(&self, actor: &Actor, object: ObjectId) -> Result<(), AppError> {
        let unlocked = self.retried(|| self.unlock_object_once(actor, object)).await;
        self.heard_lock(actor, object.to_string(), unlocked).await
    }

    async fn unlock_object_once(&self, actor: &Actor, object: ObjectId) -> Result<(), AppError> {
        let configuration = self.configuration();
        let permit = match configuration.get(object) {
            Some(found) => Permit::for_object(actor, Verb::Lock, found, &configuration)?,
            // Its lock outlived it.
            None => Permit::ask(actor, Verb::Lock)?,
        };
        let app = self.clone();
        self.0.store.write(move |tx| Box::pin(async move { app.unlock_whole(tx, &permit, object).await })).await?;
        self.nudge();
        Ok(())
    }

    /// The users and resources that are locked as a whole, oldest first.
    pub async fn locks(&self, actor: &Actor) -> Result<Vec<StandingLock>, AppError> {
        Permit::somewhere(actor, Verb::SeeConfiguration)?;
        let mut locks = self.0.store.read(|tx| Box::pin(async move { tx.standing_locks().await })).await?;
        let configuration = self.configuration();
        let reach = actor.reach(Permission::ConfigurationSee);
        let is_seen = |object: &Object| configuration.is_within(&reach, object);
        locks.retain(|lock| reach == Reach::Everywhere || configuration.get(lock.object).is_some_and(is_seen));
        Ok(locks)
    }

    /// A user who is locked does nothing, whatever they show.
    pub(crate) fn must_not_be_locked(&self, user: ObjectId) -> Result<(), AppError> {
        match self.0.locks.get(user) {
            Some(lock) if lock.text.is_empty() => {
                Err(AppError::refused("locked", format!("you are locked: {}", lock.title)))
            }
            Some(lock) => Err(AppError::refused("locked", format!("you are locked: {}: {}", lock.title, lock.text))),
            None => Ok(()),
        }
    }

    async fn heard_lock<T>(&self, actor: &Actor, subject: String, done: Result<T, AppError>) -> Result<T, AppError> {
        if let Err(error @ (AppError::Denied(_) | AppError::Refused { .. })) = &done {
            self.refused(actor, Verb::Lock, subject, error).await;
        }
        done
    }

    /// The lock of its user or resource that came in the same moment as its request: neither saw the other.
    pub(crate) fn lock_of_whole(&self, session: &Session) -> Option<Lock> {
        let lock = [session.user, session.resource].into_iter().find_map(|object| self.0.locks.get(object))?;
        Some(Lock {
            scope: scope_of(lock.object),
            title: lock.title,
            text: lock.text,
            stage: LockStage::Locking,
            by: lock.by,
            at: lock.at,
            last_error: None,
        })
    }

    fn session_lock(&self, actor: &Actor, scope: LockScope, message: &Message) -> Lock {
        Lock {
            title: message.title.clone(),
            text: message.text.clone(),
            scope,
            stage: LockStage::Locking,
            by: actor.to_string(),
            at: self.0.clock.now(),
            last_error: None,
        }
    }

    /// Locks one session and freezes its connections.
    async fn freeze(&self, tx: &mut Tx, permit: &Permit, session: &mut Session, lock: Lock) -> Result<(), AppError> {
        let sentence = locked_sentence(&lock.title, &lock.text);
        let message = format!("Locked by {} ({}): {}: {}", lock.by, lock.scope.as_str(), lock.title, lock.text);
        let detail = json!({ "title": lock.title, "text": lock.text, "scope": lock.scope });
        session.lock(lock, self.0.clock.now())?;
        self.save_session(tx, permit, session, Note::warn(Stage::Session, message).with(detail)).await?;
        let (app, id, version) = (self.clone(), session.id, session.version);
        tx.after_commit(Box::new(move || app.0.doors.rule(id, version, Ruling::Freeze(sentence))));
        Ok(())
    }

    /// Begins to restore what was before one session's lock.
    async fn restore(
        &self,
        tx: &mut Tx,
        permit: &Permit,
        session: &mut Session,
        reason: Option<&str>,
    ) -> Result<(), AppError> {
        session.unlock(self.0.clock.now())?;
        let said = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        let note = Note::info(Stage::Session, format!("Unlocked by {}{said}", permit.actor()));
        self.save_session(tx, permit, session, note).await?;
        Ok(())
    }

    async fn lock_whole(
        &self,
        tx: &mut Tx,
        permit: &Permit,
        object: ObjectId,
        message: &Message,
    ) -> Result<StandingLock, AppError> {
        let actor = permit.actor();
        if actor.user_id() == Some(object) {
            return Err(AppError::refused("own-lock", "nobody locks themselves: ask another administrator"));
        }
        let Message { title, text } = message.clone();
        let lock = StandingLock { object, title, text, by: actor.to_string(), at: self.0.clock.now() };
        tx.insert_standing_lock(permit, &lock).await.map_err(|error| match error {
            StoreError::Duplicate { .. } => AppError::from(Refusal::AlreadyLocked),
            other => other.into(),
        })?;
        let scope = scope_of(object);
        let mut frozen = 0;
        for mut session in tx.sessions_on(&[object]).await?.into_iter().filter(|session| is_on(session, object)) {
            match self.freeze(tx, permit, &mut session, self.session_lock(actor, scope, message)).await {
                Ok(()) => frozen += 1,
                // Locked by itself already, or ending: nobody gets on it either way.
                Err(AppError::Refused { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let detail = json!({ "locked": true, "title": lock.title, "text": lock.text, "sessions": frozen });
        self.write_down_whole(tx, permit, object, detail).await?;
        let revision = tx.raise_revision(None).await?;
        tx.tell(News::Configuration);
        let (app, put) = (self.clone(), lock.clone());
        tx.after_commit(Box::new(move || {
            app.0.cluster.made(revision, || {
                app.update_configuration(|configuration| configuration.set_locked(object, true));
                app.0.locks.put(put);
            });
            // What they approved is counted anew.
            app.0.ground.changed([object]);
            app.nudge();
            app.0.hub.publish(None, Event::Configuration);
        }));
        Ok(lock)
    }

    async fn unlock_whole(&self, tx: &mut Tx, permit: &Permit, object: ObjectId) -> Result<(), AppError> {
        if !tx.delete_standing_lock(permit, object).await? {
            return Err(AppError::NotFound);
        }
        let others = tx.standing_locks().await?;
        let scope = scope_of(object);
        for mut session in tx.sessions_on(&[object]).await?.into_iter().filter(|session| is_on(session, object)) {
            let Some(lock) = session.lock.as_mut().filter(|lock| lock.scope == scope) else { continue };
            match others.iter().find(|other| is_on_one_of(&[session.user, session.resource], other)) {
                // It is locked for the other reason too: that is what people read from now on.
                Some(other) => {
                    lock.scope = scope_of(other.object);
                    (lock.title, lock.text) = (other.title.clone(), other.text.clone());
                    let note = Note::info(Stage::Session, format!("Still locked: {}", lock.title));
                    self.save_session(tx, permit, &mut session, note).await?;
                }
                None if lock.stage == LockStage::Unlocking => {}
                None => self.restore(tx, permit, &mut session, None).await?,
            }
        }
        self.write_down_whole(tx, permit, object, json!({ "locked": false })).await?;
        let revision = tx.raise_revision(None).await?;
        tx.tell(News::Configuration);
        let app = self.clone();
        tx.after_commit(Box::new(move || {
            app.0.cluster.made(revision, || {
                app.update_configuration(|configuration| configuration.set_locked(object, false));
                app.0.locks.remove(object);
            });
            app.0.hub.publish(None, Event::Configuration);
        }));
        Ok(())
    }

    async fn write_down_whole(
        &self,
        tx: &mut Tx,
        permit: &Permit,
        object: ObjectId,
        detail: serde_json::Value,
    ) -> Result<(), AppError> {
        let (id, at) = (self.mint_audit(), self.0.clock.now());
        let entry = AuditEntry { id, at, subject: object.to_string(), outcome: Outcome::Ok, detail };
        Ok(tx.record(permit, &entry).await?)
    }
}

fn scope_of(object: ObjectId) -> LockScope {
    if object.kind() == Kind::User { LockScope::User } else { LockScope::Resource }
}

fn is_on(session: &Session, object: ObjectId) -> bool {
    session.user == object || session.resource == object
}

fn is_on_one_of(objects: &[ObjectId], lock: &StandingLock) -> bool {
    objects.contains(&lock.object)
}
