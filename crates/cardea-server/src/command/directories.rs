//! `cardea directories`: how the looks at directories of people go, and looking now.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::sessions::{items, text};
use crate::{
    client::{Client, target},
    failure::Failure,
    output::{self, printable},
};

/// What can be done with directories.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// When each was looked at, how that went, and whom it lets in no more
    List,
    /// Look who is there still: the others lose sign-ins, tokens and sessions
    Sync {
        /// The identity provider's name
        name: String,
        /// It may take away most of the directory's users, or all
        #[arg(long)]
        confirm: bool,
    },
}

impl Command {
    /// Does it.
    pub(crate) async fn run(self, client: &Client, json: bool) -> Result<ExitCode, Failure> {
        match self {
            Self::List => list(client, json).await?,
            Self::Sync { name, confirm } => sync(client, &name, confirm, json).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn list(client: &Client, json: bool) -> Result<(), Failure> {
    let answer = client.get(&target(&["directories"], &[])).await?;
    if json {
        return output::json(&answer);
    }
    let row = |directory: &Value| {
        let away = directory["away"].as_array().map_or(0, Vec::len);
        let [name, users, linked, ended, succeeded, due, error] =
            ["/name", "/users", "/linked", "/ended_at", "/succeeded_at", "/due_at", "/error"]
                .map(|pointer| text(directory, pointer));
        [name, users, linked, away.to_string(), ended, succeeded, due, error]
    };
    let directories = items(&answer);
    let rows: Vec<_> = directories.iter().map(row).collect();
    output::table(["NAME", "USERS", "LINKED", "AWAY", "LOOKED AT", "LAST GOOD", "NEXT", "ERROR"], &rows)?;
    for away in directories.iter().flat_map(|directory| directory["away"].as_array().into_iter().flatten()) {
        let [name, reason, since] = ["/name", "/reason", "/since"].map(|pointer| text(away, pointer));
        output::line(&format!("let in no more: {name} ({reason} since {since})"))?;
    }
    Ok(())
}

async fn sync(client: &Client, name: &str, confirm: bool, json: bool) -> Result<(), Failure> {
    let path = target(&["identity-providers", name, "sync"], &[]);
    let synced = client.post(&path, &json!({ "confirm": confirm })).await?;
    if json {
        return output::json(&synced);
    }
    output::line(&format!("{} users were looked for", synced["checked"]))?;
    for (what, key) in [("let in no more", "gone"), ("let in again", "back"), ("in other groups", "regrouped")] {
        for name in synced[key].as_array().into_iter().flatten().filter_map(Value::as_str) {
            output::line(&format!("{what}: {}", printable(name)))?;
        }
    }
    Ok(())
}
