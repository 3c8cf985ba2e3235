//! People who sign in with the password that they have in a directory. It is tried there and kept nowhere.
//!
//! A name is asked about at the directory that vouches for its user, or at every one if there is no such user here; never if it is
//! somebody's who is kept here alone. What keeps a directory from answering keeps nobody else out.

mod state;
mod sync;

use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use cardea_domain::{
    Actor, Configuration, Credentials as _, Directories, Directory, DirectoryFault, DirectoryPerson, DirectoryUrl,
    DirectoryVerdict, IdentityProviderSpec, Kind, LdapSpec, Object, ObjectId, Searcher, Secret, SecretField, Sought,
    Verb, fold_dn,
};
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use crate::{App, AppError, Device, Person, SignInStep, sign_in::Alone, throttle::Step};

pub use state::{AwayUser, DirectoryState};
pub use sync::Synced;

/// Where directories are asked, a refused password is told at the next of these: it is not to be heard who was looked for where.
const REFUSALS_EVERY: Duration = Duration::from_millis(500);
/// A name that is nobody's here is asked about at each.
pub(crate) const DIRECTORIES_MAX: usize = 8;

/// What asks directories, and what keeps looks at them apart.
#[derive(Default)]
pub(crate) struct Asked {
    by: OnceLock<Arc<dyn Directories>>,
    /// One look at a directory at a time.
    looking: tokio::sync::Mutex<()>,
}

/// What directories say to a name and a password.
enum Answer {
    Person {
        provider: ObjectId,
        person: DirectoryPerson,
    },
    /// Why, for administrators.
    Nobody(String),
}

impl App {
    /// Says once, before anything runs, what asks directories. None is asked without; a second time changes nothing.
    pub fn ask_directories_by(&self, directories: Arc<dyn Directories>) {
        drop(self.0.directories.by.set(directories));
    }

    /// The directory that vouches for a user.
    pub(crate) fn directory_of(&self, user: ObjectId) -> Option<ObjectId> {
        let configuration = self.configuration();
        let (provider, _) = configuration.provider_of(user)?;
        ldap(provider).map(|_| provider.id)
    }

    /// The directories that know whether a password is right: of a user, or of a name that is nobody's here.
    pub(crate) fn directories_about(&self, user: Option<ObjectId>) -> Vec<ObjectId> {
        if let Some(user) = user {
            return self.directory_of(user).into_iter().collect();
        }
        let configuration = self.configuration();
        directories(&configuration).map(|provider| provider.id).collect()
    }

    /// Waits with a refused password, if directories may have been asked about it.
    pub(crate) async fn refuse_on_time(&self, asked_at: Instant) {
        if directories(&self.configuration()).next().is_some() {
            let ended = asked_at.elapsed().as_millis() / REFUSALS_EVERY.as_millis();
            let next = u32::try_from(ended).unwrap_or(u32::MAX).saturating_add(1);
            sleep_until(asked_at + REFUSALS_EVERY.saturating_mul(next)).await;
        }
    }

    /// Signs in whom a directory knows by this name and password.
    pub(crate) async fn sign_in_by_directory(
        &self,
        device: &Device,
        name: &str,
        password: &Secret,
        directories: &[ObjectId],
    ) -> Result<SignInStep, AppError> {
        let copy = password.expose(|text| Secret::new(text.clone()));
        // Hashed for nothing, so that it takes as long as for users who are kept here, and waits in the same queue.
        let (hashed, answer) = tokio::join!(
            self.verify_password(Some(device.peer), copy, None),
            self.ask_all(directories, name, password)
        );
        hashed?;
        let said: String = name.chars().take(64).collect();
        let subject = format!("user {said:?} from {}", device.peer);
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                self.refused(&Actor::Gateway, Verb::SignIn, subject, &error).await;
                return Err(error);
            }
        };
        let (provider, person) = match answer {
            Answer::Person { provider, person } => (provider, person),
            Answer::Nobody(why) => {
                let error = AppError::Unauthenticated("the user name or the password is wrong".to_owned());
                self.refused(&Actor::Gateway, Verb::SignIn, format!("{subject}: {why}"), &error).await;
                return Err(error);
            }
        };
        let user = self.recognise(provider, &self.person_of(provider, person)).await?;
        self.let_in_again(provider, user).await?;
        let (hash, held) = self.known_of(user).await?;
        if held.any() {
            return self.hand_ticket(user, held, device).await;
        }
        self.0.throttle.succeeded(Step::Password, name, device.peer);
        Ok(SignInStep::Done(Box::new(self.signed_in_by_password(user, device, Alone { hash }).await?)))
    }

    /// Whether it is the password of a user, wherever that is kept; of nobody it never is.
    pub(crate) async fn is_password_of(
        &self,
        peer: Option<IpAddr>,
        user: Option<ObjectId>,
        password: Secret,
    ) -> Result<bool, AppError> {
        let Some(user) = user else { return self.verify_password(peer, password, None).await };
        let Some(provider) = self.directory_of(user) else {
            let (hash, _) = self.known_of(user).await?;
            return self.verify_password(peer, password, hash.filter(|_| self.way_of(user).is_none())).await;
        };
        let copy = password.expose(|text| Secret::new(text.clone()));
        // Hashed for nothing, as at a sign-in.
        let (hashed, right) = tokio::join!(
            self.verify_password(peer, copy, None),
            self.is_password_in_directory(provider, user, &password)
        );
        hashed?;
        right
    }

    async fn is_password_in_directory(
        &self,
        provider: ObjectId,
        user: ObjectId,
        password: &Secret,
    ) -> Result<bool, AppError> {
        let link = self.0.store.read(move |tx| Box::pin(async move { tx.identity_of(user).await })).await?;
        let Some(link) = link.filter(|link| link.provider == provider) else { return Ok(false) };
        let verdict = self.ask(provider, Sought::Subject(&link.subject), password).await.map_err(cannot_check)?;
        let now = self.0.clock.now();
        Ok(matches!(verdict, DirectoryVerdict::Right(person) if person.keeps_out(now).is_none()))
    }

    /// Asks one directory after another. One that does not answer does not keep the others from knowing.
    async fn ask_all(&self, directories: &[ObjectId], name: &str, password: &Secret) -> Result<Answer, AppError> {
        let (mut fault, now) = (None, self.0.clock.now());
        for provider in directories.iter().copied() {
            let nobody = |why: &str| Ok(Answer::Nobody(format!("{}: {why}", self.name_of(provider))));
            match self.ask(provider, Sought::Name(name), password).await {
                Ok(DirectoryVerdict::Right(person)) => {
                    return match person.keeps_out(now) {
                        Some(why) => nobody(why),
                        None => Ok(Answer::Person { provider, person }),
                    };
                }
                Ok(DirectoryVerdict::Wrong(why)) => return nobody(&why),
                Ok(DirectoryVerdict::Unknown) => {}
                Err(error) => fault = Some(error),
            }
        }
        fault.map_or_else(
            || Ok(Answer::Nobody("no directory knows the name".to_owned())),
            |fault| Err(cannot_check(fault)),
        )
    }

    async fn ask(
        &self,
        provider: ObjectId,
        sought: Sought<'_>,
        password: &Secret,
    ) -> Result<DirectoryVerdict, DirectoryFault> {
        let answer = match self.directory(provider).await {
            Ok((by, directory)) => by.sign_in(&directory, sought, password).await,
            Err(fault) => Err(fault),
        };
        if let Err(fault) = &answer {
            warn!(provider = %self.name_of(provider), %fault, "A directory does not say whether a password is right");
        }
        answer
    }

    /// A directory as it is configured now, with the password of its account, and what asks it.
    async fn directory(&self, provider: ObjectId) -> Result<(&dyn Directories, Arc<Directory>), DirectoryFault> {
        let fault = |text: &str| DirectoryFault(text.to_owned());
        let by = self.0.directories.by.get().ok_or_else(|| fault("this process asks no directories"))?;
        let configuration = self.configuration();
        let spec = configuration.get(provider).and_then(ldap);
        let spec = spec.ok_or_else(|| fault("the directory is not configured any more"))?;
        let searcher = match &spec.bind_dn {
            Some(dn) => Some(Searcher { dn: dn.clone(), password: self.bind_password(provider).await? }),
            None => None,
        };
        let url = DirectoryUrl::parse(&spec.url).map_err(DirectoryFault)?;
        Ok((
            by.as_ref(),
            Arc::new(Directory {
                url,
                start_tls: spec.start_tls,
                ca: spec.ca.clone(),
                searcher,
                base_dn: spec.base_dn.clone(),
                user_filter: spec.user_filter.clone(),
                group_filter: spec.group_filter.clone(),
                user_attribute: spec.attributes.user.clone(),
                name_attribute: spec.attributes.name.clone(),
                email_attribute: spec.attributes.email.clone(),
            }),
        ))
    }

    async fn bind_password(&self, provider: ObjectId) -> Result<Secret, DirectoryFault> {
        let rows = self.0.store.read(move |tx| Box::pin(async move { tx.secrets_of(provider).await }));
        let rows = rows.await.map_err(|error| DirectoryFault(crate::error::with_causes(&error)))?;
        let row = rows.into_iter().find(|row| row.field == SecretField::BindPassword);
        let row = row.ok_or_else(|| DirectoryFault("the directory's `bind_password` is not set".to_owned()))?;
        self.0.keyring.open(row.id).await.map_err(DirectoryFault)
    }

    /// Somebody as any provider describes them. Of their groups only those are kept that stand for groups here, as they are written
    /// there: a distinguished name is the same in many writings.
    fn person_of(&self, provider: ObjectId, person: DirectoryPerson) -> Person {
        let configuration = self.configuration();
        let spec = configuration.get(provider).and_then(Object::as_identity_provider);
        let DirectoryPerson { subject, user, name, email, groups, .. } = person;
        let groups = spec.map(|spec| written_groups(spec, &groups)).unwrap_or_default();
        Person {
            subject,
            name: user,
            full_name: name.unwrap_or_default(),
            email: email.unwrap_or_default(),
            groups: groups.into_iter().collect(),
        }
    }
}

/// Every directory.
pub(crate) fn directories(configuration: &Configuration) -> impl Iterator<Item = &Object> {
    configuration.of(Kind::IdentityProvider).filter(|provider| ldap(provider).is_some())
}

/// What an object takes if it is a directory.
fn ldap(object: &Object) -> Option<&LdapSpec> {
    object.as_identity_provider().and_then(IdentityProviderSpec::as_ldap)
}

/// The directory's groups by the names that the spec has for them.
fn written_groups(spec: &IdentityProviderSpec, groups: &[String]) -> BTreeSet<String> {
    let folded: BTreeSet<String> = groups.iter().map(|group| fold_dn(group)).collect();
    spec.groups.keys().filter(|group| folded.contains(&fold_dn(group))).cloned().collect()
}

/// What the person hears. Why is in the log, for administrators.
fn cannot_check(_: DirectoryFault) -> AppError {
    let sentence = "your password cannot be checked now: the directory does not answer. Try again in a moment";
    AppError::refused("directory-away", sentence)
}
