//! `authorize_key`: lets people log in to the account past the gateway, with a key of their own, until the end.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Act, Argument, Effect, Given, bare_key};
use crate::{Privilege, Timestamp, spec::is_public_key};

/// Parameters of `authorize_key`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthorizeKey {
    /// One OpenSSH public-key line. Left out: every key that the session's user registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
}

/// A key that opens the login account beside the gateway's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonalKey {
    /// Type and body of an OpenSSH public-key line, without its comment.
    pub public_key: String,
}

impl Act for AuthorizeKey {
    fn describe(&self) -> String {
        match self.public_key {
            Some(_) => "a key that opens the login account".to_owned(),
            None => "the user's own keys, which open the login account".to_owned(),
        }
    }

    fn faults(&self) -> Vec<(String, String)> {
        if self.public_key.as_deref().is_none_or(is_public_key) {
            return Vec::new();
        }
        let message =
            "write a public key as `ssh-keygen` prints it, on one line, or leave it out for the user's own keys";
        vec![("public_key".to_owned(), message.to_owned())]
    }

    fn privileges(&self, given: &Given<'_>) -> Result<Vec<Privilege>, String> {
        let keys: Vec<_> =
            self.public_key.iter().chain(given.ssh_keys.iter().filter(|_| self.public_key.is_none())).collect();
        if keys.is_empty() {
            return Err(
                "the activity opens the account to the user's own keys, and the user registered none".to_owned()
            );
        }
        Ok(keys.into_iter().map(|key| Privilege::PersonalKey(PersonalKey { public_key: bare_key(key) })).collect())
    }
}

impl Effect for PersonalKey {
    const KIND: &'static str = "personal_key";
    const LINUX: &'static str = include_str!("authorize_key.sh");
    const MAY_PREEXIST: bool = true;

    fn describe(&self) -> String {
        let kind = self.public_key.split(' ').next().unwrap_or_default();
        let end: String = self.public_key.chars().rev().take(8).collect::<Vec<_>>().into_iter().rev().collect();
        format!("personal key {kind} …{end}")
    }

    fn subject(&self) -> Option<Argument> {
        Some(Argument::Text(self.public_key.clone()))
    }

    fn arguments(&self, end: Timestamp) -> Result<Vec<Argument>, String> {
        Ok(vec![Argument::SshdTime(end), Argument::Text(self.public_key.clone())])
    }
}
