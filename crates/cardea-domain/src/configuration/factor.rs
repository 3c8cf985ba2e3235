//! Who must have a second factor.

use super::Configuration;
use crate::{Kind, Object, ObjectId, Role};

impl Configuration {
    /// Whether a user must have a second factor: for one of these roles, or for a group that says so. Roles and groups count by
    /// whatever way the user comes to them.
    pub fn must_have_factor(&self, user: ObjectId, roles: &[Role]) -> bool {
        if self.roles_of(user).iter().any(|role| roles.contains(role)) {
            return true;
        }
        let demands = |group: &&Object| group.as_group().is_some_and(|spec| spec.require_second_factor);
        self.of(Kind::Group).filter(demands).any(|group| self.membership(group, user).is_some())
    }
}
