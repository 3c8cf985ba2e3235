//! `run_script`: an administrator's own script, as root on the target. It has no honest inverse, so what it did is *unproven*.
//!
//! It does not travel with other orders: `Connector::run_script` runs it on a channel of its own, at most once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Act, Effect, Given};
use crate::{Period, Privilege};

const SCRIPT_BYTES_MAX: usize = 32 * 1024;
const LIMIT_MAX: Period = Period::from_seconds(3600);

/// Parameters of `run_script`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunScript {
    /// What to run, for `/bin/sh`. What the session knows is in the environment: `CARDEA_SESSION`, `CARDEA_USER`,
    /// `CARDEA_RESOURCE`, `CARDEA_ACTIVITY`, `CARDEA_ACCOUNT`, `CARDEA_STAGE`, and `CARDEA_CUSTOM_NAME` for each custom field.
    pub script: String,
    /// How long it may run, at most an hour; then its whole process group is killed.
    #[serde(default = "minute")]
    pub limit: Period,
}

fn minute() -> Period {
    Period::from_seconds(60)
}

impl Act for RunScript {
    fn describe(&self) -> String {
        Effect::describe(self)
    }

    fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        if self.script.trim().is_empty() || self.script.len() > SCRIPT_BYTES_MAX || self.script.contains('\0') {
            faults.push(("script".to_owned(), "write a script of at most 32 KiB, without NUL".to_owned()));
        }
        if self.limit > LIMIT_MAX {
            faults.push(("limit".to_owned(), "write at most 1h".to_owned()));
        }
        faults
    }

    fn privileges(&self, _: &Given<'_>) -> Result<Vec<Privilege>, String> {
        Ok(vec![Privilege::Script(self.clone())])
    }
}

impl Effect for RunScript {
    const KIND: &'static str = "script";
    const LINUX: &'static str = include_str!("run_script.sh");
    const STAYS: bool = false;
    const UNPROVEN: bool = true;
    const NEEDS_ACCOUNT: bool = false;

    fn describe(&self) -> String {
        "script (unproven: what it does cannot be undone or read back)".to_owned()
    }
}
