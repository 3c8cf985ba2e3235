//! `cardea token create`: an API token of any user, for the operator.

use std::process::ExitCode;

use cardea_domain::{Clock, Period};
use clap::Subcommand;
use serde_json::{Value, json};

use crate::{
    client::Client,
    clock::SystemClock,
    failure::Failure,
    output::{self, printable},
};

/// What can be done with tokens.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Print a new API token of a user; it can do what they can, except change users and policies
    Create {
        /// Whose token it is
        #[arg(long, value_name = "NAME")]
        user: String,
        /// How long it is good for, such as 8h [default: 30 days]
        #[arg(long, value_name = "PERIOD")]
        expires: Option<Period>,
    },
}

impl Command {
    /// Does it.
    pub(crate) async fn run(self, client: &Client, json: bool) -> Result<ExitCode, Failure> {
        let Self::Create { user, expires } = self;
        let mut request = json!({ "user": user });
        if let Some(period) = expires {
            request["expires_at"] = json!(SystemClock.now().plus(period.get()));
        }
        let answer = client.post("/operator/tokens", &request).await?;
        if json {
            output::json(&answer)?;
            return Ok(ExitCode::SUCCESS);
        }
        let text = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        output::remark(&format!("Token of {}, good until {}:", printable(&user), text("expires_at")));
        output::line(&text("token"))?;
        Ok(ExitCode::SUCCESS)
    }
}
