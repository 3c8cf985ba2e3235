//! How the looks at directories go, for those who keep an eye on them.

use cardea_domain::{AbsenceReason, Actor, Kind, ObjectId, Timestamp};

use super::ldap;
use crate::{App, AppError};

/// How a directory stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryState {
    pub id: ObjectId,
    pub name: String,
    /// When it is looked at next; `None` before the first time.
    pub due_at: Option<Timestamp>,
    /// When the last look ended.
    pub ended_at: Option<Timestamp>,
    /// When the last look ended that did what was to do.
    pub succeeded_at: Option<Timestamp>,
    /// Why the last look changed nothing.
    pub error: Option<String>,
    /// Users whom it vouches for.
    pub users: usize,
    /// Those of them who are linked to somebody in it, and so are looked for.
    pub linked: usize,
    /// Users whom it lets in no more.
    pub away: Vec<AwayUser>,
}

/// A user whom a directory lets in no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwayUser {
    pub id: ObjectId,
    pub name: String,
    pub reason: AbsenceReason,
    /// When a look at the directory found that.
    pub since: Timestamp,
}

impl App {
    /// How each directory stands. Of its users those are told and counted whom the actor sees.
    pub async fn directory_states(&self, actor: &Actor) -> Result<Vec<DirectoryState>, AppError> {
        let providers = self.objects(actor, Kind::IdentityProvider)?;
        let people = self.objects(actor, Kind::User)?;
        let looks = self.0.store.read(|tx| Box::pin(async move { tx.directory_syncs().await })).await?;
        let configuration = self.configuration();
        let mut states = Vec::new();
        for provider in providers.into_iter().filter(|provider| ldap(provider).is_some()) {
            let is_of_it = |user: ObjectId| configuration.provider_of(user).is_some_and(|(by, _)| by.id == provider.id);
            let users: Vec<_> = people.iter().filter(|user| is_of_it(user.id)).collect();
            let known = self.known_at(provider.id).await?;
            let away = users.iter().filter_map(|user| {
                let absence = configuration.absence_of(user.id)?;
                let (reason, since) = (absence.reason, absence.since);
                Some(AwayUser { id: user.id, name: user.name.to_string(), reason, since })
            });
            let look = looks.iter().find(|look| look.provider == provider.id);
            states.push(DirectoryState {
                id: provider.id,
                name: provider.name.to_string(),
                due_at: look.map(|look| look.due_at),
                ended_at: look.and_then(|look| look.ended_at),
                succeeded_at: look.and_then(|look| look.succeeded_at),
                error: look.and_then(|look| look.error.clone()),
                users: users.len(),
                linked: known.values().filter(|id| users.iter().any(|user| user.id == **id)).count(),
                away: away.collect(),
            });
        }
        Ok(states)
    }
}
