//! Users and groups: who belongs to which group, by which path, and who may act at a moment.

use std::collections::{BTreeMap, BTreeSet, VecDeque, btree_map::Entry};

use super::{Configuration, Object, ObjectId};
use crate::{Kind, Timestamp};

impl Configuration {
    /// Groups stand in groups at most so deep.
    pub const GROUP_DEPTH_MAX: usize = 8;

    /// Whether the user is there, and neither disabled nor expired, here or in their directory.
    pub fn may_act(&self, user: ObjectId, now: Timestamp) -> bool {
        self.get(user).and_then(Object::as_user).is_some() && self.keeps_out(user, now).is_none()
    }

    /// When the next user expires after this moment.
    pub fn next_expiry(&self, after: Timestamp) -> Option<Timestamp> {
        let expiries = self.of(Kind::User).filter_map(|user| user.as_user()?.expires_at);
        expiries.filter(|at| *at > after).min()
    }

    /// The users who expired after one moment, up to another.
    pub fn expired_between(&self, after: Timestamp, until: Timestamp) -> Vec<ObjectId> {
        let expired = |user: &&Object| {
            user.as_user().and_then(|spec| spec.expires_at).is_some_and(|at| at > after && at <= until)
        };
        self.of(Kind::User).filter(expired).map(|user| user.id).collect()
    }

    pub(super) fn is_user(&self, name: &str, user: ObjectId) -> bool {
        self.find(Kind::User, name).is_some_and(|found| found.id == user)
    }

    pub(super) fn group_has(&self, group: &str, user: ObjectId) -> bool {
        self.find(Kind::Group, group).is_some_and(|group| self.membership(group, user).is_some())
    }

    /// How a user belongs to a group: the group, then those in it that lead to the user. The shortest way.
    pub fn membership<'a>(&'a self, group: &'a Object, user: ObjectId) -> Option<Vec<&'a Object>> {
        let mut came_from: BTreeMap<ObjectId, Option<ObjectId>> = BTreeMap::from([(group.id, None)]);
        let mut queue = VecDeque::from([group]);
        // Each group is looked at once.
        while let Some(group) = queue.pop_front() {
            let members = group.as_group().map_or(&[][..], |spec| &spec.members);
            if members.iter().any(|name| self.is_user(name, user)) || self.is_given(group.id, user) {
                let mut path: Vec<_> =
                    std::iter::successors(Some(group), |inner| self.get(came_from.get(&inner.id).copied().flatten()?))
                        .collect();
                path.reverse();
                return Some(path);
            }
            for inner in members.iter().filter_map(|name| self.find(Kind::Group, name)) {
                if let Entry::Vacant(place) = came_from.entry(inner.id) {
                    place.insert(Some(group.id));
                    queue.push_back(inner);
                }
            }
        }
        None
    }

    /// Everybody in a group and in the groups in it.
    pub fn members(&self, group: &Object) -> BTreeSet<ObjectId> {
        let (mut seen, mut users) = (BTreeSet::from([group.id]), BTreeSet::new());
        let mut queue = vec![group];
        while let Some(group) = queue.pop() {
            let members = group.as_group().map_or(&[][..], |spec| &spec.members);
            users.extend(members.iter().filter_map(|name| self.find(Kind::User, name)).map(|user| user.id));
            users.extend(self.given_in(group.id));
            queue.extend(self.groups_in(group).filter(|inner| seen.insert(inner.id)));
        }
        users
    }

    /// These groups and all that they stand in.
    pub fn groups_around(&self, groups: impl IntoIterator<Item = ObjectId>) -> BTreeSet<ObjectId> {
        let mut around: BTreeSet<_> = groups.into_iter().collect();
        let mut queue: VecDeque<_> = around.iter().copied().collect();
        while let Some(inner) = queue.pop_front() {
            let holds = |group: &&Object| self.groups_in(group).any(|member| member.id == inner);
            for group in self.of(Kind::Group).filter(holds) {
                if around.insert(group.id) {
                    queue.push_back(group.id);
                }
            }
        }
        around
    }

    /// What is wrong with a group's place among the others: it stands in itself, or too deep.
    pub fn group_fault(&self, group: &Object) -> Option<String> {
        let mut path = vec![group];
        self.walk(&mut path, &mut BTreeSet::new())
    }

    /// Follows groups in groups, depth first. `clean` is what was left without a fault, at whatever depth: it is looked at again
    /// only as its own start, where its own depth counts.
    fn walk<'a>(&'a self, path: &mut Vec<&'a Object>, clean: &mut BTreeSet<(ObjectId, usize)>) -> Option<String> {
        let last = *path.last()?;
        let names = |path: &[&Object]| path.iter().map(|group| group.name.as_str()).collect::<Vec<_>>().join(" → ");
        for inner in self.groups_in(last) {
            let place = path.iter().position(|known| known.id == inner.id);
            if let Some(place) = place {
                return Some(format!("a group cannot be in itself: {} → {}", names(&path[place..]), inner.name));
            }
            path.push(inner);
            if path.len() > Self::GROUP_DEPTH_MAX {
                let (most, chain) = (Self::GROUP_DEPTH_MAX, names(path));
                return Some(format!("groups stand in groups at most {most} deep: {chain}"));
            }
            if !clean.contains(&(inner.id, path.len())) {
                if let Some(fault) = self.walk(path, clean) {
                    return Some(fault);
                }
                clean.insert((inner.id, path.len()));
            }
            path.pop();
        }
        None
    }

    fn groups_in<'a>(&'a self, group: &'a Object) -> impl Iterator<Item = &'a Object> {
        let members = group.as_group().map_or(&[][..], |spec| &spec.members);
        members.iter().filter_map(|name| self.find(Kind::Group, name))
    }
}
