//! `cardea host-key learn`: pins the key that a resource shows now.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::{
    client::{Client, target},
    failure::Failure,
    output::{self, printable},
};

/// What can be done with host keys.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Pin the key that a resource shows now; compare it with what the host itself says
    Learn {
        /// The resource's name
        resource: String,
    },
}

impl Command {
    /// Does it.
    pub(crate) async fn run(self, client: &Client, json: bool) -> Result<ExitCode, Failure> {
        let Self::Learn { resource } = self;
        let answer = client.post(&target(&["resources", &resource, "host-key"], &[]), &json!({})).await?;
        if json {
            output::json(&answer)?;
            return Ok(ExitCode::SUCCESS);
        }
        let key = answer.pointer("/spec/host_key").and_then(Value::as_str).unwrap_or_default();
        output::line(&printable(key))?;
        output::remark(&format!(
            "Pinned for {}. Compare it with `cat /etc/ssh/ssh_host_*_key.pub` on the host before anybody relies on it.",
            printable(&resource)
        ));
        Ok(ExitCode::SUCCESS)
    }
}
