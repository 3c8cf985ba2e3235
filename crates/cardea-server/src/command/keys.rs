//! `cardea keys`: the SSH keys with which users come in through the gateway, and taking one away from whoever lost it.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::{
    client::{Client, target},
    failure::Failure,
    output::{self, printable},
};

/// What can be done with SSH keys of users.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Which keys a user has
    List {
        /// The user's name
        user: String,
    },
    /// Take a key away that a user registered, and cut what it opened
    Remove {
        /// The user's name
        user: String,
        /// The key's id
        id: String,
    },
}

impl Command {
    /// Does it.
    pub(crate) async fn run(self, client: &Client, json: bool) -> Result<ExitCode, Failure> {
        match self {
            Self::List { user } => {
                let keys = client.get(&target(&["users", &user, "ssh-keys"], &[])).await?;
                if json { output::json(&keys)? } else { list(&keys)? }
            }
            Self::Remove { user, id } => {
                client.delete(&target(&["users", &user, "ssh-keys", &id], &[])).await?;
                if json {
                    output::json(&json!({ "user": user, "id": id, "removed": true }))?;
                } else {
                    output::remark(&format!("{} has that key no more.", printable(&user)));
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list(keys: &Value) -> Result<(), Failure> {
    for key in keys["items"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let text = |name: &str| key[name].as_str().map(printable).unwrap_or_default();
        let id = if key["id"].is_null() { "by the configuration".to_owned() } else { text("id") };
        let used = key["last_used_at"].as_str().map_or("never used".to_owned(), |at| format!("last used {at}"));
        output::line(&format!("{id}  {}  {}  {used}", text("fingerprint"), text("name")))?;
    }
    Ok(())
}
