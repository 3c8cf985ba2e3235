//! `cardea grants`: what is out there, and another try at what does not go away.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::sessions::{items, text};
use crate::{
    client::{Client, target},
    failure::Failure,
    output,
};

/// What can be done with the ledger.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// List every privilege that is, or could be, on a resource now
    List {
        /// The most to list, up to 1000
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Have a resource searched now for what carries Cardea's mark and is not in the ledger
    Sweep {
        /// The resource's name
        resource: String,
        /// Take away what the ledger does not know at all. Only if no other Cardea with this master key works on the host
        #[arg(long)]
        remove: bool,
    },
    /// Have a removal that keeps failing tried at once
    Try {
        /// The privilege's id
        id: String,
    },
}

impl Command {
    /// Does it.
    pub(crate) async fn run(self, client: &Client, json: bool) -> Result<ExitCode, Failure> {
        match self {
            Self::List { limit } => {
                let limit = limit.to_string();
                let query = [("state", "out"), ("limit", limit.as_str())];
                show(&client.get(&target(&["grants"], &query)).await?, json)
            }
            Self::Sweep { resource, remove } => {
                let asked = json!({ "remove": remove });
                let answer = client.post(&target(&["resources", &resource, "sweep"], &[]), &asked).await?;
                if json {
                    output::json(&answer)?;
                } else {
                    output::remark("It is being searched; what is found is in the audit log and in the event stream.");
                }
                Ok(ExitCode::SUCCESS)
            }
            Self::Try { id } => {
                let answer = client.post(&target(&["grants", &id, "try-now"], &[]), &json!({})).await?;
                if json {
                    output::json(&answer)?;
                    return Ok(ExitCode::SUCCESS);
                }
                show(&json!({ "items": [answer] }), json)
            }
        }
    }
}

fn show(answer: &Value, json: bool) -> Result<ExitCode, Failure> {
    if json {
        output::json(answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let row = |grant: &Value| {
        ["/id", "/state", "/resource", "/login_account", "/kind", "/attempts", "/last_error"]
            .map(|pointer| text(grant, pointer))
    };
    let rows: Vec<_> = items(answer).iter().map(row).collect();
    output::table(["ID", "STATE", "RESOURCE", "ACCOUNT", "KIND", "TRIES", "LAST ERROR"], &rows)?;
    if answer.get("next").is_some_and(Value::is_string) {
        output::remark("There are more: raise --limit.");
    }
    Ok(ExitCode::SUCCESS)
}
