//! People whom an identity provider vouches for: which user each of them is here, and the groups that this gives.
//!
//! Who somebody is follows from what an administrator wrote at a user, or from the link that the first sign-in made; never from
//! a mail address, and never from a name that happens to be the same.

use std::collections::{BTreeMap, BTreeSet};

use cardea_domain::{
    Actor, Configuration, IdentityProviderSpec, Kind, Name, Object, ObjectId, Permit, Role, Spec, UserIdentity,
    UserSpec, Verb, fold, is_mail_address,
};
use cardea_store::{AuditEntry, IdentityRow, News, Outcome, StoreError, Tx};
use serde_json::json;

use crate::{App, AppError, Event};

/// Somebody, as a provider that was asked in a way that can be trusted describes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// What the provider never changes about them.
    pub subject: String,
    /// What they are called there.
    pub name: String,
    pub full_name: String,
    pub email: String,
    /// Their groups there.
    pub groups: Vec<String>,
}

/// What has to be written for somebody to be who they are.
#[derive(Default)]
struct Admission {
    created: Option<Object>,
    linked: Option<IdentityRow>,
    /// The groups that they are in from now on, if these are others than before.
    groups: Option<BTreeSet<ObjectId>>,
}

/// A configuration that changes all the time is somebody's mistake: the person tries again.
const ATTEMPTS: usize = 5;

impl App {
    /// The user that a person is. Links or makes them at their first time, and brings their groups to what the provider says.
    pub async fn recognise(&self, provider: ObjectId, person: &Person) -> Result<ObjectId, AppError> {
        let mut known = Err(AppError::Conflict);
        for _ in 0..ATTEMPTS {
            known = self.recognise_once(provider, person).await;
            match &known {
                // Another node changed the configuration, or the same person came twice at once.
                Err(AppError::Conflict) => self.reload().await?,
                _ => break,
            }
        }
        if let Err(error @ (AppError::Unauthenticated(_) | AppError::Refused { .. })) = &known {
            let who: String = person.name.chars().take(64).collect();
            let subject = format!("{who:?} of {}", self.name_of(provider));
            self.refused(&Actor::Gateway, Verb::AdmitUser, subject, error).await;
        }
        known
    }

    /// Takes from a user every group that a provider gave them: it vouches for them no more.
    pub async fn disown(&self, user: ObjectId) -> Result<(), AppError> {
        let _changing = self.0.changing.lock().await;
        if self.configuration().given_to(user).is_empty() {
            return Ok(());
        }
        let admission = Admission { groups: Some(BTreeSet::new()), ..Admission::default() };
        self.admit(user, admission).await
    }

    async fn recognise_once(&self, provider: ObjectId, person: &Person) -> Result<ObjectId, AppError> {
        let _changing = self.0.changing.lock().await;
        let configuration = self.configuration();
        let object = configuration.get(provider).ok_or(AppError::NotFound)?;
        let spec = object.as_identity_provider().ok_or(AppError::NotFound)?;
        if !UserIdentity::is_subject(&person.subject) {
            return Err(unknown(object, "says nothing usable about who this is: its subject is empty or too long"));
        }
        let (subject, mut admission) = (person.subject.clone(), Admission::default());
        let linked = self
            .0
            .store
            .read(move |tx| Box::pin(async move { tx.identity(provider, &subject).await.map_err(AppError::from) }));
        let user = match linked.await? {
            Some(row) if vouches(&configuration, provider, row.user, person) => row.user,
            // What an administrator wrote since counts, not what was once linked.
            Some(_) => return Err(unknown(object, "vouches for somebody who is linked to no user any more")),
            None => self.link(&configuration, (object, spec), person, &mut admission).await?,
        };
        let wanted: BTreeSet<_> =
            configuration.groups_of_provider(provider, |name| person.groups.iter().any(|has| has == name)).collect();
        admission.groups = (configuration.given_to(user) != wanted).then_some(wanted);
        if admission.linked.is_some() || admission.groups.is_some() {
            self.admit(user, admission).await?;
        }
        Ok(user)
    }

    /// Somebody who was never here: the user that an administrator meant for them, or a new one.
    async fn link(
        &self,
        configuration: &Configuration,
        (provider, spec): (&Object, &IdentityProviderSpec),
        person: &Person,
        admission: &mut Admission,
    ) -> Result<ObjectId, AppError> {
        let now = self.0.clock.now();
        let meant = |(_, identity): &(&Object, &UserIdentity)| is_them(identity, person);
        let user = match configuration.users_of_provider(provider.id).find(meant) {
            Some((user, _)) => {
                let id = user.id;
                let taken = self.0.store.read(move |tx| Box::pin(async move { tx.identity_of(id).await }));
                if taken.await?.is_some() {
                    let sentence =
                        "vouches for somebody else by this name already: an administrator has to link the user anew";
                    return Err(unknown(provider, sentence));
                }
                id
            }
            None if spec.create_users => {
                let user = self.new_user(configuration, provider, person)?;
                let id = user.id;
                admission.created = Some(user);
                id
            }
            None => {
                let sentence = "vouches for somebody who is no user here: ask an administrator to link a user to them";
                return Err(unknown(provider, sentence));
            }
        };
        let Person { subject, name, .. } = person.clone();
        admission.linked = Some(IdentityRow { provider: provider.id, subject, user, name, linked_at: now });
        Ok(user)
    }

    fn new_user(&self, configuration: &Configuration, provider: &Object, person: &Person) -> Result<Object, AppError> {
        // Letters of other alphabets that look the same would make one user look like another.
        if !person.name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@')) {
            let sentence = "calls them something that could be mistaken for another name: a user who is made by a sign-in has a \
                            name of letters, digits and `._-@`; ask an administrator to link a user to them";
            return Err(unknown(provider, sentence));
        }
        let name = Name::new(person.name.clone())
            .map_err(|error| unknown(provider, &format!("calls them something that is no name here: {error}")))?;
        if configuration.find(Kind::User, name.as_str()).is_some() {
            let sentence = "vouches for somebody whose name another user has: ask an administrator to link that user, if it is them";
            return Err(unknown(provider, sentence));
        }
        let now = self.0.clock.now();
        let is_address = is_mail_address(&person.email);
        Ok(Object {
            id: ObjectId::mint(Kind::User, now, &*self.0.entropy),
            name,
            spec: Spec::User(UserSpec {
                full_name: person.full_name.chars().filter(|c| !c.is_control()).take(200).collect(),
                email: if is_address { person.email.clone() } else { String::new() },
                roles: vec![Role::User.name().to_owned()],
                ssh_keys: Vec::new(),
                accounts: BTreeMap::new(),
                manager: None,
                disabled: false,
                expires_at: None,
                identity: Some(UserIdentity {
                    provider: provider.name.to_string(),
                    subject: Some(person.subject.clone()),
                    name: None,
                }),
            }),
            version: 1,
            created_at: now,
            updated_at: now,
        })
    }

    /// Writes an admission down; the caller holds the lock on changes.
    async fn admit(&self, user: ObjectId, admission: Admission) -> Result<(), AppError> {
        let revision = self.0.cluster.revision();
        let mut after = (*self.configuration()).clone();
        if let Some(user) = &admission.created {
            after.put(user.clone());
        }
        if let Some(groups) = &admission.groups {
            after.give(user, groups.clone());
        }
        let app = self.clone();
        let written = self.0.store.write(move |tx| {
            Box::pin(async move {
                let revision = tx.raise_revision(Some(revision)).await?;
                app.keep_admission(tx, user, &admission).await?;
                tx.tell(News::Configuration);
                tx.after_commit(Box::new(move || {
                    app.0.cluster.made(revision, || app.set_configuration(after));
                    app.0.ground.changed([user]);
                    app.nudge();
                    app.0.hub.publish(None, Event::Configuration);
                }));
                Ok::<_, AppError>(())
            })
        });
        written.await
    }

    async fn keep_admission(&self, tx: &mut Tx, user: ObjectId, admission: &Admission) -> Result<(), AppError> {
        let (now, permit) = (self.0.clock.now(), Permit::ask(&Actor::Gateway, Verb::AdmitUser)?);
        if let Some(object) = &admission.created {
            tx.insert_object(&permit, object).await?;
        }
        if let Some(identity) = &admission.linked {
            tx.insert_identity(&permit, identity).await.map_err(|error| match error {
                StoreError::Duplicate { .. } => AppError::Conflict,
                other => AppError::from(other),
            })?;
        }
        if let Some(groups) = &admission.groups {
            tx.set_memberships(&permit, user, groups, now).await?;
        }
        let named = |groups: &BTreeSet<ObjectId>| groups.iter().map(|id| self.name_of(*id)).collect::<Vec<_>>();
        let linked = admission.linked.as_ref();
        let detail = json!({
            "created": admission.created.as_ref().map(|user| &user.name),
            "provider": linked.map(|row| self.name_of(row.provider)),
            "subject": linked.map(|row| &row.subject),
            "groups": admission.groups.as_ref().map(named),
            "groups_before": admission.groups.as_ref().map(|_| named(&self.configuration().given_to(user))),
        });
        let entry =
            AuditEntry { id: self.mint_audit(), at: now, subject: user.to_string(), outcome: Outcome::Ok, detail };
        Ok(tx.record(&permit, &entry).await?)
    }
}

/// Whether what an administrator wrote at a user still lets this person be them.
fn vouches(configuration: &Configuration, provider: ObjectId, user: ObjectId, person: &Person) -> bool {
    let Some((by, identity)) = configuration.provider_of(user) else { return false };
    // A name was only how the first sign-in found them: people are renamed.
    by.id == provider && identity.subject.as_ref().is_none_or(|subject| *subject == person.subject)
}

/// Whether a user is meant for this person.
fn is_them(identity: &UserIdentity, person: &Person) -> bool {
    match (&identity.subject, &identity.name) {
        (Some(subject), _) => *subject == person.subject,
        (None, Some(name)) => fold(name) == fold(&person.name),
        (None, None) => false,
    }
}

fn unknown(provider: &Object, sentence: &str) -> AppError {
    AppError::Unauthenticated(format!("{} {sentence}", provider.name))
}

#[cfg(test)]
mod tests;
