//! Looking who is in a directory still. Whoever is not loses sign-ins, tokens and sessions, and comes back when the directory lets
//! them in again; groups are brought to what it says.
//!
//! One node looks at a time. A directory that fails, or that would take away most of its users at once, changes nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use cardea_domain::{
    Absence, AbsenceReason, Actor, Configuration, DirectoryPerson, Kind, ObjectId, Permit, Timestamp, Verb,
};
use cardea_store::{AuditEntry, DirectoryClaim, DirectorySyncRow, IdentityRow, News, Outcome, Tx};
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{ldap, written_groups};
use crate::{App, AppError, Event};

/// How often it is looked which directory is due.
const TICK: Duration = Duration::from_secs(5);
/// A look that takes longer is another node's.
const LEASE: Duration = Duration::from_secs(20 * 60);
/// When a directory that failed is looked at again, unless it is due sooner.
const AGAIN: Duration = Duration::from_secs(60);
/// Users who are written together.
const TOGETHER: usize = 100;
/// A configuration that changes all the time is somebody's mistake: the next look tries again.
const ATTEMPTS: usize = 5;
/// So many may be taken away without asking, however few there are.
const LOST_MIN: usize = 5;
/// How much of an error is kept.
const ERROR_CHARS_MAX: usize = 500;

/// What a look at a directory did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Synced {
    /// Users whom the directory vouches for and who were looked for.
    pub checked: usize,
    /// Names of users who are let in no more.
    pub gone: Vec<String>,
    /// Names of users who are let in again.
    pub back: Vec<String>,
    /// Names of users whose groups changed.
    pub regrouped: Vec<String>,
}

/// What a directory says of a user.
struct Found {
    user: ObjectId,
    reason: Option<AbsenceReason>,
    /// By the names that the spec has for them.
    groups: BTreeSet<String>,
}

/// Where a user stands from now on.
enum Turn {
    Away(Absence),
    Back,
}

/// What is to be written for a user.
struct Change {
    user: ObjectId,
    name: String,
    turn: Option<Turn>,
    groups: Option<BTreeSet<ObjectId>>,
}

impl App {
    /// Looks at every directory that is due, until `stop`.
    pub async fn run_directories(&self, stop: CancellationToken) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = async { tick.tick().await; self.look_at_due().await } => {}
            }
        }
    }

    async fn look_at_due(&self) {
        let directories = self.directories_about(None);
        if directories.is_empty() || self.0.directories.by.get().is_none() {
            return;
        }
        let now = self.0.clock.now();
        let rows = match self.0.store.read(|tx| Box::pin(async move { tx.directory_syncs().await })).await {
            Ok(rows) => rows,
            Err(error) => return warn!(%error, "It cannot be read which directory is due"),
        };
        let is_due = |provider: &ObjectId| rows.iter().all(|row| row.provider != *provider || row.due_at <= now);
        for provider in directories.into_iter().filter(is_due) {
            match self.look(&Actor::Engine, provider, false).await {
                Ok(Some(synced)) if synced.changed_something() => {
                    info!(provider = %self.name_of(provider), ?synced, "A look at a directory changed users");
                }
                Ok(_) => {}
                Err(error) => {
                    error!(provider = %self.name_of(provider), %error, "A look at a directory changed nothing");
                }
            }
        }
    }

    /// Looks at a directory now. `confirmed` if it may take away most of its users.
    pub async fn sync_directory(&self, actor: &Actor, provider: &str, confirmed: bool) -> Result<Synced, AppError> {
        let subject: String = provider.chars().take(64).collect();
        let provider = match self.to_be_looked_at(actor, provider) {
            Ok(provider) => provider,
            Err(error) => {
                self.refused(actor, Verb::SyncDirectory, subject, &error).await;
                return Err(error);
            }
        };
        self.must_be_fresh(actor, Verb::SyncDirectory, &subject).await?;
        let elsewhere = || AppError::refused("sync-running", "another node looks at this directory: try again");
        self.look(actor, provider, confirmed).await?.ok_or_else(elsewhere)
    }

    fn to_be_looked_at(&self, actor: &Actor, name: &str) -> Result<ObjectId, AppError> {
        let provider = self.object(actor, Kind::IdentityProvider, name)?;
        Permit::for_object(actor, Verb::SyncDirectory, &provider, &self.configuration())?;
        if ldap(&provider).is_none() {
            return Err(AppError::refused("no-directory", "it is no directory: there is nobody to be looked for"));
        }
        Ok(provider.id)
    }

    /// One look, if no other node has it in its hands; the engine's only if it is due.
    async fn look(&self, actor: &Actor, provider: ObjectId, confirmed: bool) -> Result<Option<Synced>, AppError> {
        let _looking = self.0.directories.looking.lock().await;
        let (node, now) = (self.0.node.clone(), self.0.clock.now());
        let claim = DirectoryClaim { node, now, until: now.plus(LEASE), is_due: matches!(actor, Actor::Engine) };
        let claimed = self.0.store.write(move |tx| {
            Box::pin(async move { tx.claim_directory(provider, &claim).await.map_err(AppError::from) })
        });
        if !claimed.await? {
            return Ok(None);
        }
        let looked = self.look_and_settle(actor, provider, confirmed).await;
        self.note_look(actor, provider, &looked).await?;
        looked.map(Some)
    }

    async fn look_and_settle(&self, actor: &Actor, provider: ObjectId, confirmed: bool) -> Result<Synced, AppError> {
        let known = self.known_at(provider).await?;
        let subjects: Vec<_> = known.keys().cloned().collect();
        let fault = |fault: cardea_domain::DirectoryFault| AppError::refused("directory-fault", fault.to_string());
        let (by, directory) = self.directory(provider).await.map_err(fault)?;
        let people = by.look_up(&directory, &subjects).await.map_err(fault)?;
        let found = self.judge_people(provider, &known, people);
        if !confirmed {
            self.must_not_lose_most(provider, &found)?;
        }
        let mut synced = Synced { checked: known.len(), ..Synced::default() };
        for some in found.chunks(TOGETHER) {
            self.settle(actor, provider, some, &mut synced).await?;
        }
        Ok(synced)
    }

    /// The users whom a directory vouches for, by what it never changes about them.
    pub(super) async fn known_at(&self, provider: ObjectId) -> Result<BTreeMap<String, ObjectId>, AppError> {
        let links = self.0.store.read(move |tx| Box::pin(async move { tx.identities_by(provider).await })).await?;
        let links: BTreeMap<_, _> =
            links.into_iter().map(|IdentityRow { user, subject, .. }| (user, subject)).collect();
        let configuration = self.configuration();
        // Whoever is meant by a name and was never here has nothing that could be ended.
        let subject = |(user, identity): (&cardea_domain::Object, &cardea_domain::UserIdentity)| {
            let subject = identity.subject.clone().or_else(|| links.get(&user.id).cloned())?;
            Some((subject, user.id))
        };
        Ok(configuration.users_of_provider(provider).filter_map(subject).collect())
    }

    fn judge_people(
        &self,
        provider: ObjectId,
        known: &BTreeMap<String, ObjectId>,
        people: Vec<DirectoryPerson>,
    ) -> Vec<Found> {
        let (configuration, now) = (self.configuration(), self.0.clock.now());
        let spec = configuration.get(provider).and_then(cardea_domain::Object::as_identity_provider);
        let people: BTreeMap<_, _> = people.into_iter().map(|person| (person.subject.clone(), person)).collect();
        let found = known.iter().map(|(subject, user)| {
            let reason = match people.get(subject) {
                None => Some(AbsenceReason::Gone),
                Some(person) if person.is_disabled => Some(AbsenceReason::Disabled),
                Some(person) => person.keeps_out(now).map(|_| AbsenceReason::Expired),
            };
            let groups = people.get(subject).filter(|_| reason.is_none()).zip(spec);
            let groups = groups.map(|(person, spec)| written_groups(spec, &person.groups)).unwrap_or_default();
            Found { user: *user, reason, groups }
        });
        found.collect()
    }

    /// A directory that has lost most of its people, or all, has more likely lost its mind.
    fn must_not_lose_most(&self, provider: ObjectId, found: &[Found]) -> Result<(), AppError> {
        let configuration = self.configuration();
        let is_lost = |it: &&Found| it.reason.is_some() && configuration.absence_of(it.user).is_none();
        let (lost, all) = (found.iter().filter(is_lost).count(), found.len());
        let has_nobody = found.iter().all(|it| it.reason == Some(AbsenceReason::Gone));
        let is_most = lost >= LOST_MIN && lost * 2 > all;
        let is_everybody = has_nobody && all > 1 && lost > 0;
        if !is_most && !is_everybody {
            return Ok(());
        }
        let sentence = format!(
            "{} would take {lost} of its {all} users away, so nothing was changed: if that is right, look again and confirm it",
            self.name_of(provider)
        );
        Err(AppError::refused("sync-held", sentence))
    }

    /// Brings users to what a directory says of them.
    async fn settle(
        &self,
        actor: &Actor,
        provider: ObjectId,
        found: &[Found],
        synced: &mut Synced,
    ) -> Result<(), AppError> {
        for attempt in 1.. {
            match self.settle_once(actor, provider, found).await {
                // Another node changed the configuration.
                Err(AppError::Conflict) if attempt < ATTEMPTS => self.reload().await?,
                Err(error) => return Err(error),
                Ok(changes) => {
                    for change in changes {
                        synced.count(&change);
                    }
                    break;
                }
            }
        }
        Ok(())
    }

    async fn settle_once(&self, actor: &Actor, provider: ObjectId, found: &[Found]) -> Result<Vec<Change>, AppError> {
        let _changing = self.0.changing.lock().await;
        let (revision, now) = (self.0.cluster.revision(), self.0.clock.now());
        let configuration = self.configuration();
        let changes: Vec<_> = found.iter().filter_map(|it| change(&configuration, provider, it, now)).collect();
        if changes.is_empty() {
            return Ok(changes);
        }
        let mut after = (*configuration).clone();
        for change in &changes {
            match &change.turn {
                Some(Turn::Away(absence)) => after.set_away(change.user, Some(*absence)),
                Some(Turn::Back) => after.set_away(change.user, None),
                None => {}
            }
            if let Some(groups) = &change.groups {
                after.give(change.user, groups.clone());
            }
        }
        let (app, permit) = (self.clone(), Permit::ask(actor, Verb::SyncDirectory)?);
        let written = self.0.store.write(move |tx| {
            Box::pin(async move {
                let revision = tx.raise_revision(Some(revision)).await?;
                for change in &changes {
                    app.write_change(tx, &permit, change, now).await?;
                }
                let users: Vec<_> = changes.iter().map(|change| change.user).collect();
                tx.tell(News::Configuration);
                tx.after_commit(Box::new(move || {
                    app.0.cluster.made(revision, || app.set_configuration(after));
                    app.0.ground.changed(users);
                    app.nudge();
                    app.0.hub.publish(None, Event::Configuration);
                }));
                Ok::<_, AppError>(changes)
            })
        });
        written.await
    }

    async fn write_change(
        &self,
        tx: &mut Tx,
        permit: &Permit,
        change: &Change,
        now: Timestamp,
    ) -> Result<(), AppError> {
        let (user, mut detail) = (change.user, json!({}));
        match &change.turn {
            Some(Turn::Away(absence)) => {
                tx.set_absence(permit, absence).await?;
                detail["away"] = absence.reason.as_str().into();
                detail["sign_ins_ended"] = self.end_others(tx, user, None, now).await?.into();
                detail["tokens_ended"] = tx.revoke_tokens(user, now).await?.into();
            }
            Some(Turn::Back) => {
                tx.delete_absence(permit, user).await?;
                detail["away"] = Value::Null;
            }
            None => {}
        }
        if let Some(groups) = &change.groups {
            let named = |groups: &BTreeSet<ObjectId>| groups.iter().map(|id| self.name_of(*id)).collect::<Vec<_>>();
            let admit = Permit::ask(&Actor::Engine, Verb::AdmitUser)?;
            tx.set_memberships(&admit, user, groups, now).await?;
            detail["groups"] = named(groups).into();
            detail["groups_before"] = named(&self.configuration().given_to(user)).into();
        }
        let entry =
            AuditEntry { id: self.mint_audit(), at: now, subject: user.to_string(), outcome: Outcome::Ok, detail };
        Ok(tx.record(permit, &entry).await?)
    }

    /// A directory that was just asked lets a user in whom the last look at it did not find.
    pub(super) async fn let_in_again(&self, provider: ObjectId, user: ObjectId) -> Result<(), AppError> {
        let configuration = self.configuration();
        if configuration.absence_of(user).is_none() {
            return Ok(());
        }
        let given = configuration.given_to(user);
        let groups = configuration.get(provider).and_then(cardea_domain::Object::as_identity_provider);
        let is_given =
            |group: &&String| configuration.find(Kind::Group, group).is_some_and(|group| given.contains(&group.id));
        let groups = groups.map(|spec| spec.groups.iter().filter(|(_, group)| is_given(group)));
        let groups = groups.into_iter().flatten().map(|(outside, _)| outside.clone()).collect();
        let found = Found { user, reason: None, groups };
        self.settle(&Actor::Engine, provider, &[found], &mut Synced::default()).await
    }

    /// Writes down how a look went: always when it is looked at next, and for the audit log what is new.
    async fn note_look(
        &self,
        actor: &Actor,
        provider: ObjectId,
        looked: &Result<Synced, AppError>,
    ) -> Result<(), AppError> {
        let now = self.0.clock.now();
        let every = self.configuration().get(provider).and_then(ldap).map_or(AGAIN, |spec| spec.sync_every.get());
        let error = looked.as_ref().err().map(|error| error.to_string().chars().take(ERROR_CHARS_MAX).collect());
        let row = DirectorySyncRow {
            provider,
            due_at: now.plus(if error.is_some() { every.min(AGAIN) } else { every }),
            ended_at: Some(now),
            succeeded_at: error.is_none().then_some(now),
            error,
        };
        let is_asked_for = !matches!(actor, Actor::Engine);
        let permit = Permit::ask(actor, Verb::SyncDirectory)?;
        let told = looked.as_ref().ok().filter(|synced| is_asked_for || synced.changed_something());
        let entry = told.map(|synced| AuditEntry {
            id: self.mint_audit(),
            at: now,
            subject: provider.to_string(),
            outcome: Outcome::Ok,
            detail: json!({ "checked": synced.checked, "gone": synced.gone, "back": synced.back,
                "regrouped": synced.regrouped }),
        });
        let node = self.0.node.clone();
        let noted = self.0.store.write(move |tx| {
            Box::pin(async move {
                let known = tx.directory_syncs().await?;
                let before = known.into_iter().find(|known| known.provider == row.provider);
                tx.directory_looked_at(&row, &node).await?;
                if let Some(entry) = &entry {
                    tx.record(&permit, entry).await?;
                }
                // The same once more is no news.
                Ok::<_, AppError>(before.is_none_or(|before| before.error != row.error))
            })
        });
        let is_news = noted.await?;
        if let Err(error) = looked
            && (is_asked_for || is_news)
        {
            self.refused(actor, Verb::SyncDirectory, provider.to_string(), error).await;
        }
        Ok(())
    }
}

impl Synced {
    fn changed_something(&self) -> bool {
        !(self.gone.is_empty() && self.back.is_empty() && self.regrouped.is_empty())
    }

    fn count(&mut self, change: &Change) {
        match change.turn {
            Some(Turn::Away(_)) => self.gone.push(change.name.clone()),
            Some(Turn::Back) => self.back.push(change.name.clone()),
            None => {}
        }
        if change.groups.is_some() {
            self.regrouped.push(change.name.clone());
        }
    }
}

/// What is to be written for a user; `None` if all is as the directory says, or it does not vouch for them any more.
fn change(configuration: &Configuration, provider: ObjectId, found: &Found, now: Timestamp) -> Option<Change> {
    let user = configuration.get(found.user)?;
    let (by, _) = configuration.provider_of(found.user)?;
    if by.id != provider {
        return None;
    }
    let known = configuration.absence_of(user.id).map(|absence| absence.reason);
    let turn = match found.reason {
        same if same == known => None,
        Some(reason) => Some(Turn::Away(Absence { user: user.id, provider, reason, since: now })),
        None => Some(Turn::Back),
    };
    let groups: BTreeSet<_> = configuration.groups_of_provider(provider, |name| found.groups.contains(name)).collect();
    let groups = (configuration.given_to(user.id) != groups).then_some(groups);
    let is_change = turn.is_some() || groups.is_some();
    is_change.then(|| Change { user: user.id, name: user.name.to_string(), turn, groups })
}
