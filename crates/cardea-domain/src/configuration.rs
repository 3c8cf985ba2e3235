//! All configuration objects at one moment, and what follows from them: who may do what, where, by which rules.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::{
    AccessPolicySpec, ActivitySpec, ConnectionProfileSpec, Kind, Name, ObjectId, ResourceSpec, ServiceAccountSpec,
    Spec, Timestamp, UserSpec, fold,
};

/// One object.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    pub id: ObjectId,
    pub name: Name,
    pub spec: Spec,
    /// Rises with every change.
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Object {
    /// The object at this moment: what requests pin.
    pub fn revision(&self) -> Revision {
        Revision { object: self.id, version: self.version }
    }
}

/// An object as it was at one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revision {
    pub object: ObjectId,
    pub version: i64,
}

/// One object's mention of another by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// JSON pointer into the input, `/spec/resources/0`.
    pub pointer: String,
    pub kind: Kind,
    pub name: String,
}

/// One way that a user may run an activity on a resource.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    pub policy: &'a Object,
    pub activity: &'a Object,
    pub resource: &'a Object,
    pub profile: &'a Object,
}

/// All objects. Names are looked up folded; ids are accepted wherever names are.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    objects: BTreeMap<ObjectId, Object>,
    by_name: HashMap<(Kind, String), ObjectId>,
}

impl Configuration {
    /// Takes objects. Of two with one folded name the later wins: the store never holds two.
    pub fn new(objects: impl IntoIterator<Item = Object>) -> Self {
        let mut configuration = Self::default();
        for object in objects {
            configuration.put(object);
        }
        configuration
    }

    /// Adds or replaces an object.
    pub fn put(&mut self, object: Object) {
        if let Some(old) = self.objects.get(&object.id) {
            self.by_name.remove(&(old.id.kind(), old.name.folded()));
        }
        self.by_name.insert((object.id.kind(), object.name.folded()), object.id);
        self.objects.insert(object.id, object);
    }

    /// Takes an object out.
    pub fn remove(&mut self, id: ObjectId) -> Option<Object> {
        let object = self.objects.remove(&id)?;
        self.by_name.remove(&(id.kind(), object.name.folded()));
        Some(object)
    }

    /// The object of this id.
    pub fn get(&self, id: ObjectId) -> Option<&Object> {
        self.objects.get(&id)
    }

    /// The object of this kind with this name or id.
    pub fn find(&self, kind: Kind, name_or_id: &str) -> Option<&Object> {
        let id = match name_or_id.parse::<ObjectId>() {
            Ok(id) if id.kind() == kind => id,
            Ok(_) | Err(_) => *self.by_name.get(&(kind, fold(name_or_id)))?,
        };
        self.objects.get(&id)
    }

    /// Objects of a kind, oldest first.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Object> {
        self.objects.values().filter(move |object| object.id.kind() == kind)
    }

    /// Every object.
    pub fn all(&self) -> impl Iterator<Item = &Object> {
        self.objects.values()
    }

    /// Everything that policies give this user, in the order of activity, resource, policy name.
    pub fn offers(&self, user: ObjectId) -> Vec<Offer<'_>> {
        let mut offers: Vec<_> = self.of(Kind::AccessPolicy).flat_map(|policy| self.offers_of(policy, user)).collect();
        offers.sort_by_key(|offer| {
            (offer.activity.name.folded(), offer.resource.name.folded(), offer.policy.name.folded())
        });
        offers
    }

    /// The policies that let this user run this activity on this resource.
    pub fn fitting(&self, user: ObjectId, activity: ObjectId, resource: ObjectId) -> Vec<Offer<'_>> {
        let fits = |offer: &Offer<'_>| offer.activity.id == activity && offer.resource.id == resource;
        self.offers(user).into_iter().filter(fits).collect()
    }

    fn offers_of<'a>(&'a self, policy: &'a Object, user: ObjectId) -> Vec<Offer<'a>> {
        let Spec::AccessPolicy(spec) = &policy.spec else { return Vec::new() };
        let Some(profile) = self.find(Kind::ConnectionProfile, &spec.connection_profile) else { return Vec::new() };
        if !self.policy_names_user(spec, user) {
            return Vec::new();
        }
        let resources: Vec<_> =
            self.of(Kind::Resource).filter(|resource| self.policy_names_resource(spec, resource)).collect();
        let activities = spec.activities.iter().filter_map(|name| self.find(Kind::Activity, name));
        activities
            .flat_map(|activity| resources.iter().map(move |resource| Offer { policy, activity, resource, profile }))
            .filter(|offer| offer.activity_spec().platform == offer.resource_spec().platform)
            .collect()
    }

    fn policy_names_user(&self, policy: &AccessPolicySpec, user: ObjectId) -> bool {
        let is_user = |name: &String| self.find(Kind::User, name).is_some_and(|found| found.id == user);
        let in_group = |name: &String| {
            self.find(Kind::Group, name).is_some_and(|group| match &group.spec {
                Spec::Group(spec) => spec.members.iter().any(is_user),
                _ => false,
            })
        };
        policy.users.iter().any(is_user) || policy.groups.iter().any(in_group)
    }

    fn policy_names_resource(&self, policy: &AccessPolicySpec, resource: &Object) -> bool {
        let is_it = |name: &String| self.find(Kind::Resource, name).is_some_and(|found| found.id == resource.id);
        let in_group = |name: &String| {
            let (Some(group), Spec::Resource(spec)) = (self.find(Kind::ResourceGroup, name), &resource.spec) else {
                return false;
            };
            let Spec::ResourceGroup(group) = &group.spec else { return false };
            let labelled = !group.match_labels.is_empty()
                && group.match_labels.iter().all(|(key, value)| spec.labels.get(key) == Some(value));
            labelled || group.resources.iter().any(is_it)
        };
        policy.resources.iter().any(is_it) || policy.resource_groups.iter().any(in_group)
    }
}

macro_rules! typed_specs { ($($(#[$doc:meta])* $method:ident: $variant:ident($type:ty);)*) => { impl Object { $(
    $(#[$doc])*
    pub fn $method(&self) -> Option<&$type> {
        match &self.spec { Spec::$variant(spec) => Some(spec), _ => None }
    }
)* } } }

typed_specs! {
    /// The spec of an activity.
    as_activity: Activity(ActivitySpec);
    /// The spec of a connection profile.
    as_profile: ConnectionProfile(ConnectionProfileSpec);
    /// The spec of a resource.
    as_resource: Resource(ResourceSpec);
    /// The spec of a service account.
    as_service_account: ServiceAccount(ServiceAccountSpec);
    /// The spec of a user.
    as_user: User(UserSpec);
}

impl<'a> Offer<'a> {
    /// What may be done.
    pub fn activity_spec(&self) -> &'a ActivitySpec {
        self.activity.as_activity().expect("offers are built from activities")
    }

    /// Where.
    pub fn resource_spec(&self) -> &'a ResourceSpec {
        self.resource.as_resource().expect("offers are built from resources")
    }

    /// By which rules.
    pub fn profile_spec(&self) -> &'a ConnectionProfileSpec {
        self.profile.as_profile().expect("offers are built from connection profiles")
    }
}

impl Spec {
    /// Every mention of another object.
    pub fn references(&self) -> Vec<Reference> {
        let mut found = Vec::new();
        let mut list = |key: &str, kind: Kind, names: &[String]| {
            for (index, name) in names.iter().enumerate() {
                found.push(Reference { pointer: format!("/spec/{key}/{index}"), kind, name: name.clone() });
            }
        };
        match self {
            Self::AccessPolicy(spec) => {
                list("users", Kind::User, &spec.users);
                list("groups", Kind::Group, &spec.groups);
                list("activities", Kind::Activity, &spec.activities);
                list("resources", Kind::Resource, &spec.resources);
                list("resource_groups", Kind::ResourceGroup, &spec.resource_groups);
                found.push(Reference {
                    pointer: "/spec/connection_profile".to_owned(),
                    kind: Kind::ConnectionProfile,
                    name: spec.connection_profile.clone(),
                });
            }
            Self::Group(spec) => list("members", Kind::User, &spec.members),
            Self::ResourceGroup(spec) => list("resources", Kind::Resource, &spec.resources),
            Self::Resource(spec) => found.push(Reference {
                pointer: "/spec/service_account".to_owned(),
                kind: Kind::ServiceAccount,
                name: spec.service_account.clone(),
            }),
            Self::Activity(_) | Self::ConnectionProfile(_) | Self::ServiceAccount(_) | Self::User(_) => {}
        }
        found
    }
}

#[cfg(test)]
mod tests;
