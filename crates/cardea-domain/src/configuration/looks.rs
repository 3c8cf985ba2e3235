//! Names that nobody can tell apart: whoever reads the one approves, locks or connects to the other.

use std::collections::HashMap;

use super::{Configuration, Object};
use crate::{Kind, look};

/// What all names look like.
pub struct Looks<'a>(HashMap<(Kind, String), Vec<&'a Object>>);

impl<'a> Looks<'a> {
    pub fn of(configuration: &'a Configuration) -> Self {
        let mut looks: HashMap<_, Vec<_>> = HashMap::new();
        for object in configuration.all() {
            looks.entry(key(object)).or_default().push(object);
        }
        Self(looks)
    }

    /// Another object that cannot be told from this one by its name. Plain ASCII can be: `user1` and `userl` are names of many.
    pub fn twin(&self, object: &Object) -> Option<&'a Object> {
        let is_plain = |object: &Object| object.name.as_str().is_ascii();
        let alike = self.0.get(&key(object)).into_iter().flatten().copied();
        let mut others = alike.filter(|other| other.id != object.id && !(is_plain(object) && is_plain(other)));
        others.next()
    }
}

/// Users and groups stand beside each other in lists of approvers.
fn key(object: &Object) -> (Kind, String) {
    let kind = if object.id.kind() == Kind::Group { Kind::User } else { object.id.kind() };
    (kind, look(object.name.as_str()))
}
