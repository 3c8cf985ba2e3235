//! All configuration objects at one moment, and what follows from them: who may do what, where, by which rules.

mod approver;
mod away;
mod explain;
mod factor;
mod given;
mod looks;
mod people;
mod roles;
mod warning;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

pub use self::{
    approver::Approves,
    away::{Absence, AbsenceReason},
    given::GivenMembership,
    looks::Looks,
};
use crate::{
    AccessPolicySpec, ActivitySpec, ConnectionProfileSpec, GroupSpec, IdentityProviderSpec, Kind, MANAGER, Name,
    ObjectId, OnChange, ResourceSpec, Role, RoleSpec, Schedule, ServiceAccountSpec, Session, Spec, Timestamp, UserSpec,
    fold,
};

pub use explain::Finding;

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
    /// Whether this is its name, or its id.
    pub fn is_called(&self, name_or_id: &str) -> bool {
        name_or_id.parse::<ObjectId>().map_or_else(|_| self.name.folded() == fold(name_or_id), |id| self.id == id)
    }

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
    /// The kinds that it may be of; users and groups share some lists.
    pub kinds: &'static [Kind],
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
    /// What an administrator locked as a whole.
    locked: BTreeSet<ObjectId>,
    given: given::Given,
    away: BTreeMap<ObjectId, Absence>,
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
            if old.as_user().map(|spec| &spec.identity) != object.as_user().map(|spec| &spec.identity) {
                self.given.forget(object.id);
                self.away.remove(&object.id);
            }
            self.by_name.remove(&(old.id.kind(), old.name.folded()));
        }
        self.by_name.insert((object.id.kind(), object.name.folded()), object.id);
        self.objects.insert(object.id, object);
    }

    /// Locks or unlocks a user or a resource as a whole.
    pub fn set_locked(&mut self, object: ObjectId, is_locked: bool) {
        if is_locked {
            self.locked.insert(object);
        } else {
            self.locked.remove(&object);
        }
    }

    /// The users and resources that are locked as a whole.
    pub fn locked(&self) -> &BTreeSet<ObjectId> {
        &self.locked
    }

    /// Takes an object out.
    pub fn remove(&mut self, id: ObjectId) -> Option<Object> {
        let object = self.objects.remove(&id)?;
        self.by_name.remove(&(id.kind(), object.name.folded()));
        self.given.forget(id);
        self.away.remove(&id);
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
        self.objects.range(ObjectId::all_of(kind)).map(|(_, object)| object)
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
        let Some(spec) = policy.as_policy() else { return Vec::new() };
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
        policy.users.iter().any(|name| self.is_user(name, user))
            || policy.groups.iter().any(|name| self.group_has(name, user))
    }

    /// What a running session has lost that it stands on, in a sentence; `None` if nothing. Its hours are asked for at `now`.
    pub fn ground_lost(&self, session: &Session, now: Timestamp) -> Option<String> {
        let Some(user) = self.get(session.user).and_then(Object::as_user) else {
            return Some(format!("The user {} was removed.", session.user_name));
        };
        match user.keeps_out(now) {
            Some("expired") => return Some(format!("The user {} has expired.", session.user_name)),
            Some(_) => return Some(format!("The user {} was disabled.", session.user_name)),
            None => {}
        }
        if let Some(absence) = self.absence_of(session.user) {
            return Some(format!("The user {} is {}.", session.user_name, absence.reason.phrase()));
        }
        let offers = self.fitting(session.user, session.activity, session.resource);
        let Some(offer) = offers.into_iter().find(|offer| offer.policy.id == session.policy) else {
            return Some(format!(
                "The policy {} does not give {} on {} to {} any more.",
                session.policy_name, session.activity_name, session.resource_name, session.user_name
            ));
        };
        let is_shut = offer.schedule().is_some_and(|schedule| schedule.open_until(now).is_none());
        (is_shut && session.rules.on_hours_close == OnChange::End && session.status.is_standing())
            .then(|| format!("The hours of the policy {} are over.", session.policy_name))
    }

    fn policy_names_resource(&self, policy: &AccessPolicySpec, resource: &Object) -> bool {
        self.lists_name_resource(&policy.resources, &policy.resource_groups, resource)
    }

    /// Whether a list of resources, or one of resource groups, names this resource.
    fn lists_name_resource(&self, resources: &[String], groups: &[String], resource: &Object) -> bool {
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
        resources.iter().any(is_it) || groups.iter().any(in_group)
    }
}

macro_rules! typed_specs { ($($(#[$doc:meta])* $method:ident: $variant:ident($type:ty);)*) => { impl Object { $(
    $(#[$doc])*
    pub fn $method(&self) -> Option<&$type> {
        match &self.spec { Spec::$variant(spec) => Some(spec), _ => None }
    }
)* } } }

typed_specs! {
    /// The spec of an access policy.
    as_policy: AccessPolicy(AccessPolicySpec);
    /// The spec of an activity.
    as_activity: Activity(ActivitySpec);
    /// The spec of a connection profile.
    as_profile: ConnectionProfile(ConnectionProfileSpec);
    /// The spec of a group.
    as_group: Group(GroupSpec);
    /// The spec of an identity provider.
    as_identity_provider: IdentityProvider(IdentityProviderSpec);
    /// The spec of a resource.
    as_resource: Resource(ResourceSpec);
    /// The spec of a role.
    as_role: Role(RoleSpec);
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

    /// On which days and hours; always if `None`.
    pub fn schedule(&self) -> Option<&'a Schedule> {
        self.policy.as_policy().and_then(|policy| policy.schedule.as_ref())
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
        let mut list = |key: &str, kinds: &'static [Kind], names: &[String]| {
            for (index, name) in names.iter().enumerate().filter(|(_, name)| *name != MANAGER) {
                found.push(Reference { pointer: format!("/spec/{key}/{index}"), kinds, name: name.clone() });
            }
        };
        match self {
            Self::AccessPolicy(spec) => {
                list("users", &[Kind::User], &spec.users);
                list("groups", &[Kind::Group], &spec.groups);
                list("activities", &[Kind::Activity], &spec.activities);
                list("resources", &[Kind::Resource], &spec.resources);
                list("resource_groups", &[Kind::ResourceGroup], &spec.resource_groups);
                found.push(one("connection_profile", &[Kind::ConnectionProfile], &spec.connection_profile));
            }
            Self::ConnectionProfile(spec) => {
                for (index, tier) in spec.approval.iter().flat_map(|approval| &approval.tiers).enumerate() {
                    let key = format!("approval/tiers/{index}");
                    list(&format!("{key}/approvers"), &[Kind::User, Kind::Group], &tier.approvers);
                    if let Some(escalation) = &tier.escalation {
                        list(&format!("{key}/escalation/to"), &[Kind::User, Kind::Group], &escalation.to);
                    }
                }
                if let Some(break_glass) = &spec.break_glass {
                    list("break_glass/reviewers", &[Kind::User, Kind::Group], &break_glass.reviewers);
                }
            }
            Self::Group(spec) => {
                list("members", &[Kind::User, Kind::Group], &spec.members);
                found.extend(roles(&spec.roles));
            }
            Self::IdentityProvider(spec) => {
                let pointer = |key: &str| format!("groups/{}", key.replace('~', "~0").replace('/', "~1"));
                found.extend(spec.groups.iter().map(|(key, group)| one(&pointer(key), &[Kind::Group], group)));
            }
            Self::Role(spec) => {
                if let Some(scope) = &spec.scope {
                    list("scope/resources", &[Kind::Resource], &scope.resources);
                    list("scope/resource_groups", &[Kind::ResourceGroup], &scope.resource_groups);
                    list("scope/policies", &[Kind::AccessPolicy], &scope.policies);
                    list("scope/groups", &[Kind::Group], &scope.groups);
                }
            }
            Self::ResourceGroup(spec) => list("resources", &[Kind::Resource], &spec.resources),
            Self::Resource(spec) => found.push(one("service_account", &[Kind::ServiceAccount], &spec.service_account)),
            Self::User(spec) => {
                found.extend(roles(&spec.roles));
                for resource in spec.accounts.keys() {
                    let key = resource.replace('~', "~0").replace('/', "~1");
                    found.push(one(&format!("accounts/{key}"), &[Kind::Resource], resource));
                }
                found.extend(spec.manager.iter().map(|manager| one("manager", &[Kind::User], manager)));
                let identity = spec.identity.iter();
                found.extend(identity.map(|it| one("identity/provider", &[Kind::IdentityProvider], &it.provider)));
            }
            Self::Activity(_) | Self::ServiceAccount(_) => {}
        }
        found
    }
}

/// The roles that are not built in.
fn roles(names: &[String]) -> impl Iterator<Item = Reference> {
    let named = names.iter().enumerate().filter(|(_, name)| Role::built_in(name).is_none());
    named.map(|(index, name)| one(&format!("roles/{index}"), &[Kind::Role], name))
}

fn one(key: &str, kinds: &'static [Kind], name: &str) -> Reference {
    Reference { pointer: format!("/spec/{key}"), kinds, name: name.to_owned() }
}

#[cfg(test)]
mod tests;
