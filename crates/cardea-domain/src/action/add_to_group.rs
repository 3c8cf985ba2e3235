//! `add_to_group`: membership of the login account in a group that exists.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Act, Argument, Effect, Given};
use crate::{GroupProcesses, Privilege, account::is_account_name};

/// Groups that are as good as root on a common host.
const LIKE_ROOT: [&str; 8] = ["root", "sudo", "wheel", "admin", "docker", "lxd", "disk", "shadow"];

/// Parameters of `add_to_group`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddToGroup {
    /// A group that exists on the resource.
    pub group: String,
}

/// What `add_to_group` places.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    pub group: String,
    /// What becomes of processes that still hold the group when it is taken away.
    #[serde(default)]
    pub processes: GroupProcesses,
}

impl Act for AddToGroup {
    fn describe(&self) -> String {
        format!("membership of group {}", self.group)
    }

    fn faults(&self) -> Vec<(String, String)> {
        if is_account_name(&self.group) {
            return Vec::new();
        }
        vec![("group".to_owned(), "write the name of a group: at most 32 of `a-z0-9_-`".to_owned())]
    }

    fn privileges(&self, given: &Given<'_>) -> Result<Vec<Privilege>, String> {
        let membership = Membership { group: self.group.clone(), processes: given.group_processes };
        Ok(vec![Privilege::GroupMembership(membership)])
    }
}

impl Effect for Membership {
    const KIND: &'static str = "group_membership";
    const LINUX: &'static str = include_str!("add_to_group.sh");
    const MAY_PREEXIST: bool = true;

    fn describe(&self) -> String {
        format!("membership of group {}", self.group)
    }

    fn gives_root(&self) -> bool {
        LIKE_ROOT.contains(&self.group.as_str())
    }

    fn subject(&self) -> Option<Argument> {
        Some(Argument::Name(self.group.clone()))
    }

    fn handling(&self) -> Option<Argument> {
        Some(Argument::Name(self.processes.as_str().to_owned()))
    }

    fn arguments(&self, _: crate::Timestamp) -> Result<Vec<Argument>, String> {
        Ok(vec![Argument::Name(self.group.clone())])
    }
}
