//! Who there is: users, and groups of users and of groups.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::is_public_key;
use crate::{Role, Timestamp, account::is_account_name};

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UserSpec {
    /// The name that people read.
    #[serde(default)]
    pub full_name: String,
    /// Mail address.
    #[serde(default)]
    pub email: String,
    /// What the user may do beside what policies give.
    #[serde(default = "only_user")]
    pub roles: Vec<Role>,
    /// Public keys in OpenSSH form, one line each; the user connects through the gateway with any of them.
    #[serde(default)]
    pub ssh_keys: Vec<String>,
    /// The user's own accounts on resources, by the resource's name: what activities with a requester account use.
    #[serde(default)]
    pub accounts: BTreeMap<String, String>,
    /// A disabled user does nothing any more, and their sessions end.
    #[serde(default)]
    pub disabled: bool,
    /// From this moment on the user is as if disabled; never if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

fn only_user() -> Vec<Role> {
    vec![Role::User]
}

impl UserSpec {
    /// Why the user may do nothing at this moment, in a word; `None` if they may.
    pub fn keeps_out(&self, now: Timestamp) -> Option<&'static str> {
        if self.disabled {
            return Some("disabled");
        }
        self.expires_at.is_some_and(|at| at <= now).then_some("expired")
    }

    /// What is wrong: the key, and what to write instead.
    pub(super) fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut check = |bad: bool, key: String, message: &str| {
            if bad {
                faults.push((key, message.to_owned()));
            }
        };
        check(self.full_name.chars().count() > 200, "full_name".to_owned(), "at most 200 characters");
        let is_no_address = self.email.len() > 254 || self.email.contains(char::is_control);
        check(is_no_address, "email".to_owned(), "write one mail address");
        check(self.roles.is_empty(), "roles".to_owned(), "list at least one of administrator, auditor, user");
        check(self.ssh_keys.len() > 50, "ssh_keys".to_owned(), "at most 50 keys");
        for (resource, account) in &self.accounts {
            let key = format!("accounts/{}", resource.replace('~', "~0").replace('/', "~1"));
            check(!is_account_name(account), key, "write the name of the account: at most 32 of `a-z0-9_-`");
        }
        for (index, key) in self.ssh_keys.iter().enumerate() {
            let message = "write a public key as `ssh-keygen` prints it: type, key, comment, on one line";
            check(!is_public_key(key), format!("ssh_keys/{index}"), message);
        }
        faults
    }
}

/// A set of users: those named, and those of the groups that are named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupSpec {
    /// Names of users and of groups.
    #[serde(default)]
    pub members: Vec<String>,
}
