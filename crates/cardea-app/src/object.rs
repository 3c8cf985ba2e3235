//! Configuration objects one at a time: what the API's routes for each kind do.

use std::sync::{Arc, PoisonError};

use cardea_domain::{Actor, Configuration, Kind, Object, ObjectId, Permission, Permit, Verb};
use cardea_store::Tx;
use serde_json::{Value, json};

use crate::{
    App, AppError, ApplyOptions, Document,
    apply::{Guard, Wish},
};

impl App {
    /// Objects of a kind, oldest first.
    pub fn objects(&self, actor: &Actor, kind: Kind) -> Result<Vec<Object>, AppError> {
        Permit::somewhere(actor, Verb::SeeConfiguration)?;
        let (configuration, reach) = (self.configuration(), actor.reach(Permission::ConfigurationSee));
        Ok(configuration.of(kind).filter(|object| configuration.is_within(&reach, object)).cloned().collect())
    }

    /// One object, by name or id.
    pub fn object(&self, actor: &Actor, kind: Kind, name_or_id: &str) -> Result<Object, AppError> {
        Permit::somewhere(actor, Verb::SeeConfiguration)?;
        let configuration = self.configuration();
        let object = configuration.find(kind, name_or_id).ok_or(AppError::NotFound)?;
        Permit::for_object(actor, Verb::SeeConfiguration, object, &configuration)?;
        Ok(object.clone())
    }

    /// Makes a new object.
    pub async fn create_object(&self, actor: &Actor, kind: Kind, name: &str, spec: Value) -> Result<Object, AppError> {
        let document = Document { kind, name: name.to_owned(), spec };
        self.change_one(actor, Wish::Put { document, guard: Guard::New }).await?;
        self.object(actor, kind, name)
    }

    /// Replaces an object's spec. `version` is the one that was read.
    pub async fn replace_object(
        &self,
        actor: &Actor,
        kind: Kind,
        name_or_id: &str,
        version: i64,
        spec: Value,
    ) -> Result<Object, AppError> {
        Permit::somewhere(actor, Verb::ChangeConfiguration(kind))?;
        let name = self.object(actor, kind, name_or_id)?.name.as_str().to_owned();
        let document = Document { kind, name: name.clone(), spec };
        self.change_one(actor, Wish::Put { document, guard: Guard::Version(version) }).await?;
        self.object(actor, kind, &name)
    }

    /// Deletes an object that nothing refers to.
    pub async fn delete_object(
        &self,
        actor: &Actor,
        kind: Kind,
        name_or_id: &str,
        version: Option<i64>,
    ) -> Result<(), AppError> {
        let id = self.object(actor, kind, name_or_id)?.id;
        self.change_one(actor, Wish::Delete { id, version }).await
    }

    /// Asks the host for its key and pins it. Only where none is pinned: a changed key is for a person to judge.
    pub async fn learn_host_key(&self, actor: &Actor, resource: &str) -> Result<Object, AppError> {
        let learned = self.learn_guarded(actor, resource).await;
        if let Err(error @ (AppError::Denied(_) | AppError::Refused { .. })) = &learned {
            self.refused(actor, Verb::LearnHostKey, resource.chars().take(64).collect(), error).await;
        }
        learned
    }

    async fn learn_guarded(&self, actor: &Actor, resource: &str) -> Result<Object, AppError> {
        Permit::somewhere(actor, Verb::LearnHostKey)?;
        let object = self.object(actor, Kind::Resource, resource)?;
        Permit::for_object(actor, Verb::LearnHostKey, &object, &self.configuration())?;
        let spec = object.as_resource().ok_or(AppError::NotFound)?;
        if spec.host_key.is_some() {
            return Err(AppError::refused(
                "host-key-pinned",
                "the resource has a host key already: change `host_key` yourself if the host was rebuilt",
            ));
        }
        let key = self.0.linux.host_key(&spec.address, spec.port).await?;
        let mut changed = object.spec.to_json();
        changed["host_key"] = json!(key);
        self.replace_object(actor, Kind::Resource, object.name.as_str(), object.version, changed).await
    }

    /// Errors of a single document stand at the document itself, not at a place in a list.
    async fn change_one(&self, actor: &Actor, wish: Wish) -> Result<(), AppError> {
        match self.change_configuration(actor, vec![wish], ApplyOptions::default()).await {
            Ok(_) => Ok(()),
            Err(AppError::Invalid(mut errors)) => {
                for error in &mut errors {
                    error.pointer = error.pointer.strip_prefix("/0").unwrap_or(&error.pointer).to_owned();
                }
                Err(AppError::Invalid(errors))
            }
            Err(other) => Err(other),
        }
    }

    pub(crate) fn set_configuration(&self, configuration: Configuration) {
        *self.0.configuration.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(configuration);
    }

    /// Changes the configuration in memory.
    pub(crate) fn update_configuration(&self, change: impl FnOnce(&mut Configuration)) {
        let mut configuration = (*self.configuration()).clone();
        change(&mut configuration);
        self.set_configuration(configuration);
    }

    /// Adds one object to the configuration in memory once the unit is committed.
    pub(crate) fn put_after_commit(&self, tx: &mut Tx, object: Object, revision: i64) {
        let app = self.clone();
        tx.after_commit(Box::new(move || {
            app.0.cluster.made(revision, || app.update_configuration(|configuration| configuration.put(object)));
        }));
    }

    /// The name that an id had, for messages about things that may be gone.
    pub(crate) fn name_of(&self, id: ObjectId) -> String {
        self.configuration().get(id).map_or_else(|| id.to_string(), |object| object.name.to_string())
    }
}
