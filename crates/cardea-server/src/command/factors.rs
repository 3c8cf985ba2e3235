//! `cardea factors`: what users can show beside their password, and the way back for whoever lost it.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::{
    client::{Client, target},
    failure::Failure,
    output::{self, printable},
};

/// What can be done with second factors.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// What a user can show
    Show {
        /// The user's name
        user: String,
    },
    /// Take a user's second factor off, who lost it; ends their sign-ins
    Reset {
        /// The user's name
        user: String,
    },
}

impl Command {
    /// Does it.
    pub(crate) async fn run(self, client: &Client, json: bool) -> Result<ExitCode, Failure> {
        match self {
            Self::Show { user } => {
                let factors = client.get(&target(&["users", &user, "factors"], &[])).await?;
                if json { output::json(&factors)? } else { show(&factors)? }
            }
            Self::Reset { user } => {
                client.delete(&target(&["users", &user, "factors"], &[])).await?;
                if json {
                    output::json(&json!({ "user": user, "reset": true }))?;
                } else {
                    let name = printable(&user);
                    output::remark(&format!("{name} has no second factor any more, and signs in again."));
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn show(factors: &Value) -> Result<(), Failure> {
    let since = factors["totp_since"].as_str();
    output::line(&since.map_or("authenticator app: none".to_owned(), |at| format!("authenticator app: since {at}")))?;
    let passkeys = factors["passkeys"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names: Vec<_> = passkeys.iter().filter_map(|one| one["name"].as_str()).map(printable).collect();
    output::line(&format!("passkeys: {}", if names.is_empty() { "none".to_owned() } else { names.join(", ") }))?;
    output::line(&format!("recovery codes: {} left", factors["recovery_codes_left"]))?;
    output::line(if factors["required"] == true { "required: yes" } else { "required: no" })
}
