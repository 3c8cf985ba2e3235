//! `log_off_user`: ends everything that runs as the login account, now. Leaves nothing behind that could be removed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Act, Effect, Given};
use crate::Privilege;

/// Parameters of `log_off_user`: none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogOffUser {}

impl Act for LogOffUser {
    fn describe(&self) -> String {
        Effect::describe(self)
    }

    fn privileges(&self, _: &Given<'_>) -> Result<Vec<Privilege>, String> {
        Ok(vec![Privilege::LogOff(self.clone())])
    }
}

impl Effect for LogOffUser {
    const KIND: &'static str = "log_off";
    const LINUX: &'static str = include_str!("log_off_user.sh");
    const STAYS: bool = false;

    fn describe(&self) -> String {
        "log-off of the login account".to_owned()
    }
}
