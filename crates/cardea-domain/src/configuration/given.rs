//! Memberships that identity providers give, beside those that administrators write: no spec holds them, and nobody edits them.
//!
//! They count as long as the provider still vouches for the user and still maps one of its groups to this one.

use std::collections::{BTreeMap, BTreeSet};

use super::{Configuration, Object, ObjectId};
use crate::{Kind, UserIdentity};

/// A user in a group, on a provider's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GivenMembership {
    pub user: ObjectId,
    pub group: ObjectId,
}

/// The groups that each user was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Given(BTreeMap<ObjectId, BTreeSet<ObjectId>>);

impl Given {
    pub(super) fn forget(&mut self, id: ObjectId) {
        self.0.remove(&id);
        for groups in self.0.values_mut() {
            groups.remove(&id);
        }
    }
}

impl Configuration {
    /// With the memberships that providers gave.
    #[must_use]
    pub fn with_memberships(mut self, memberships: impl IntoIterator<Item = GivenMembership>) -> Self {
        for GivenMembership { user, group } in memberships {
            self.given.0.entry(user).or_default().insert(group);
        }
        self
    }

    /// A provider gives a user these groups, and no others.
    pub fn give(&mut self, user: ObjectId, groups: BTreeSet<ObjectId>) {
        if groups.is_empty() {
            self.given.0.remove(&user);
        } else {
            self.given.0.insert(user, groups);
        }
    }

    /// The groups that a provider gave a user, whether they still count or not.
    pub fn given_to(&self, user: ObjectId) -> BTreeSet<ObjectId> {
        self.given.0.get(&user).cloned().unwrap_or_default()
    }

    /// The users who were given other groups there than here.
    pub fn given_otherwise(&self, other: &Self) -> BTreeSet<ObjectId> {
        let users = self.given.0.keys().chain(other.given.0.keys());
        users.filter(|user| self.given.0.get(user) != other.given.0.get(user)).copied().collect()
    }

    /// The same without what providers give.
    pub(super) fn by_hand(&self) -> Option<Self> {
        (!self.given.0.is_empty()).then(|| Self { given: Given::default(), ..self.clone() })
    }

    /// The groups that a provider's groups stand for.
    pub fn groups_of_provider<'a>(
        &'a self,
        provider: ObjectId,
        names: impl Fn(&str) -> bool,
    ) -> impl Iterator<Item = ObjectId> + 'a
    where
        Self: 'a,
    {
        let spec = self.get(provider).and_then(Object::as_identity_provider);
        let groups: Vec<_> = spec
            .into_iter()
            .flat_map(|spec| &spec.groups)
            .filter(|(outside, _)| names(outside))
            .filter_map(|(_, group)| self.find(Kind::Group, group))
            .map(|group| group.id)
            .collect();
        groups.into_iter()
    }

    /// The provider that vouches for a user, and how it knows them.
    pub fn provider_of(&self, user: ObjectId) -> Option<(&Object, &UserIdentity)> {
        let identity = self.get(user)?.as_user()?.identity.as_ref()?;
        Some((self.find(Kind::IdentityProvider, &identity.provider)?, identity))
    }

    /// The users whom a provider vouches for.
    pub fn users_of_provider(&self, provider: ObjectId) -> impl Iterator<Item = (&Object, &UserIdentity)> {
        self.of(Kind::User).filter_map(move |user| {
            let identity = user.as_user()?.identity.as_ref()?;
            let found = self.find(Kind::IdentityProvider, &identity.provider)?;
            (found.id == provider).then_some((user, identity))
        })
    }

    pub(super) fn is_given(&self, group: ObjectId, user: ObjectId) -> bool {
        self.given.0.get(&user).is_some_and(|groups| groups.contains(&group)) && self.still_gives(group, user)
    }

    pub(super) fn given_in(&self, group: ObjectId) -> impl Iterator<Item = ObjectId> {
        let given = self.given.0.iter().filter(move |(_, groups)| groups.contains(&group));
        given.map(|(user, _)| *user).filter(move |user| self.still_gives(group, *user))
    }

    fn still_gives(&self, group: ObjectId, user: ObjectId) -> bool {
        let Some((provider, _)) = self.provider_of(user) else { return false };
        self.groups_of_provider(provider.id, |_| true).any(|mapped| mapped == group)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Name, Spec, Timestamp};

    struct Zero;

    impl crate::Entropy for Zero {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    fn object(kind: Kind, name: &str, spec: serde_json::Value) -> Object {
        let at = Timestamp::from_micros(i64::from(name.len() as u32) * 1000);
        let (spec, _) = Spec::parse(kind, spec).expect(name);
        let (id, name) = (ObjectId::mint(kind, at, &Zero), Name::new(name).expect(name));
        Object { id, name, spec, version: 1, created_at: at, updated_at: at }
    }

    fn provider(groups: &serde_json::Value) -> Object {
        let spec = json!({ "protocol": "oidc", "issuer": "https://a.example", "client_id": "c", "groups": groups });
        object(Kind::IdentityProvider, "corp", spec)
    }

    #[test]
    fn a_given_membership_counts_while_its_provider_vouches_and_maps() {
        let linked = json!({ "identity": { "provider": "corp", "subject": "1" } });
        let user = object(Kind::User, "alice", linked.clone());
        let group = object(Kind::Group, "operators", json!({ "roles": ["administrator"] }));
        let (user_id, group_id) = (user.id, group.id);
        let mut world = Configuration::new([user.clone(), group, provider(&json!({ "ops": "operators" }))])
            .with_memberships([GivenMembership { user: user_id, group: group_id }]);
        let is_in = |world: &Configuration| {
            let group = world.get(group_id).expect("the group");
            let member = world.membership(group, user_id).is_some();
            assert_eq!(world.members(group).contains(&user_id), member, "both ways");
            assert_eq!(world.roles_of(user_id).contains(&crate::Role::Administrator), member, "with its roles");
            member
        };
        assert!(is_in(&world));
        assert!(world.lasting_administrators().is_empty(), "what a provider can take away does not last");
        world.put(object(Kind::User, "rosa", json!({ "roles": ["administrator"] })));
        let rosa = world.lasting_administrators();
        assert_eq!(rosa.len(), 1);
        let linked = json!({ "roles": ["administrator"], "identity": { "provider": "corp", "subject": "2" } });
        world.put(Object { id: rosa[0], ..object(Kind::User, "rosa", linked) });
        assert!(world.lasting_administrators().is_empty(), "nor does whoever it can take away");
        world.put(provider(&json!({})));
        assert!(!is_in(&world), "the mapping is gone");
        world.put(provider(&json!({ "ops": "operators" })));
        assert!(is_in(&world));
        world.put(object(Kind::User, "alice", json!({})));
        world.put(user);
        assert!(!is_in(&world), "who is linked anew is given everything anew");
        world.give(user_id, [group_id].into());
        assert!(is_in(&world));
        world.remove(group_id);
        assert!(world.given_to(user_id).is_empty());
    }
}
