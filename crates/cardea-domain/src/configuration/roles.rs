//! Which roles users have, by themselves and by their groups, and where custom roles hold.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Configuration, Object, ObjectId};
use crate::{AccessPolicySpec, CustomRole, Kind, Reach, Role, Scope, ScopeSpec};

impl Configuration {
    /// The roles of a user, by name.
    pub fn roles_of(&self, user: ObjectId) -> Vec<Role> {
        let own = self.get(user).and_then(Object::as_user).map(|spec| &spec.roles);
        let mut names: BTreeSet<_> = own.into_iter().flatten().collect();
        for group in self.of(Kind::Group) {
            let roles = group.as_group().map_or(&[][..], |spec| &spec.roles);
            if !roles.is_empty() && self.membership(group, user).is_some() {
                names.extend(roles);
            }
        }
        let roles: BTreeSet<_> = names.into_iter().filter_map(|name| self.role(name)).collect();
        roles.into_iter().collect()
    }

    /// The roles of every user.
    pub fn all_roles(&self) -> BTreeMap<ObjectId, BTreeSet<Role>> {
        let mut known: BTreeMap<String, Option<Role>> = BTreeMap::new();
        let mut all: BTreeMap<ObjectId, BTreeSet<Role>> = BTreeMap::new();
        let mut give = |user: ObjectId, names: &[String]| {
            for name in names {
                // Where a role holds is looked up once, not for each of its users.
                let role = known.entry(name.clone()).or_insert_with(|| self.role(name)).clone();
                all.entry(user).or_default().extend(role);
            }
        };
        for user in self.of(Kind::User) {
            give(user.id, user.as_user().map_or(&[][..], |spec| &spec.roles));
        }
        for group in self.of(Kind::Group) {
            let roles = group.as_group().map_or(&[][..], |spec| &spec.roles);
            if !roles.is_empty() {
                self.members(group).into_iter().for_each(|user| give(user, roles));
            }
        }
        all
    }

    /// Who administers, and will as long as nobody changes that: who expires does not count, nor what a provider gives.
    pub fn lasting_administrators(&self) -> Vec<ObjectId> {
        if let Some(by_hand) = self.by_hand() {
            return by_hand.lasting_administrators();
        }
        let stays = |user: &ObjectId| {
            // Whom a provider vouches for, it can take away.
            let is_here_alone = self.provider_of(*user).is_none();
            let spec = self.get(*user).and_then(Object::as_user);
            is_here_alone && spec.is_some_and(|spec| !spec.disabled && spec.expires_at.is_none())
        };
        let all = self.all_roles().into_iter().filter(|(_, roles)| roles.contains(&Role::Administrator));
        all.map(|(user, _)| user).filter(stays).collect()
    }

    /// A role by its name or id, as it is now.
    pub fn role(&self, name: &str) -> Option<Role> {
        if let Some(role) = Role::built_in(name) {
            return Some(role);
        }
        let object = self.find(Kind::Role, name)?;
        let spec = object.as_role()?;
        Some(Role::Custom(Arc::new(CustomRole {
            id: object.id,
            name: object.name.to_string(),
            permissions: spec.permissions.iter().copied().collect(),
            scope: spec.scope.as_ref().map(|scope| self.scope(scope)),
        })))
    }

    fn scope(&self, spec: &ScopeSpec) -> Scope {
        let found = |kind, names: &[String]| -> Vec<&Object> {
            names.iter().filter_map(|name| self.find(kind, name)).collect()
        };
        let names_resources = !spec.resources.is_empty() || !spec.resource_groups.is_empty();
        let resources = names_resources.then(|| {
            let is_in = |resource: &&Object| self.lists_name_resource(&spec.resources, &spec.resource_groups, resource);
            self.of(Kind::Resource).filter(is_in).map(|resource| resource.id).collect()
        });
        let policies = (!spec.policies.is_empty())
            .then(|| found(Kind::AccessPolicy, &spec.policies).into_iter().map(|policy| policy.id).collect());
        let users = (!spec.groups.is_empty())
            .then(|| found(Kind::Group, &spec.groups).into_iter().flat_map(|group| self.members(group)).collect());
        Scope { resources, policies, users }
    }

    /// Whether an object is where a permission holds. Only resources, policies and users are ever within a scope.
    pub fn is_within(&self, reach: &Reach<'_>, object: &Object) -> bool {
        let listed = |list: &Option<BTreeSet<ObjectId>>| list.as_ref().is_some_and(|list| list.contains(&object.id));
        reach.has(|scope| match object.id.kind() {
            Kind::Resource => listed(&scope.resources),
            Kind::User => listed(&scope.users),
            Kind::AccessPolicy => object.as_policy().is_some_and(|policy| self.has_policy(scope, object.id, policy)),
            Kind::Activity
            | Kind::ConnectionProfile
            | Kind::Group
            | Kind::IdentityProvider
            | Kind::ResourceGroup
            | Kind::Role
            | Kind::ServiceAccount => false,
        })
    }

    /// Whether everything that a policy gives, and everybody whom it gives it to, is within the scope.
    fn has_policy(&self, scope: &Scope, id: ObjectId, policy: &AccessPolicySpec) -> bool {
        let has_resources = scope.resources.as_ref().is_none_or(|listed| {
            let mut given = self.of(Kind::Resource).filter(|resource| self.policy_names_resource(policy, resource));
            given.all(|resource| listed.contains(&resource.id))
        });
        let has_users = scope.users.as_ref().is_none_or(|listed| {
            let users = policy.users.iter().filter_map(|name| self.find(Kind::User, name)).map(|user| user.id);
            let groups = policy.groups.iter().filter_map(|name| self.find(Kind::Group, name));
            users.chain(groups.flat_map(|group| self.members(group))).all(|user| listed.contains(&user))
        });
        scope.policies.as_ref().is_none_or(|listed| listed.contains(&id)) && has_resources && has_users
    }
}
