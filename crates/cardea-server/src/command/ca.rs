//! `cardea ca show`: the authority that certifies people's SSH keys.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::Value;

use crate::{
    client::Client,
    failure::Failure,
    output::{self, printable},
};

/// What can be done with the authority.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Print its public key, one OpenSSH line
    Show,
}

impl Command {
    /// Does it.
    pub(crate) async fn run(self, client: &Client, json: bool) -> Result<ExitCode, Failure> {
        let Self::Show = self;
        let answer = client.get("/ssh-authority").await?;
        if json {
            output::json(&answer)?;
        } else {
            output::line(&printable(answer.get("public_key").and_then(Value::as_str).unwrap_or_default()))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
