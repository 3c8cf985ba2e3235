//! `set_password`: a fresh random password for an account that was made for the session and has none.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Act, Argument, Effect, Given};
use crate::{DirectLogin, Privilege, SecretId, Timestamp};

/// Parameters of `set_password`: none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetPassword {}

/// A password that Cardea made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreshPassword {
    /// The sealed password.
    pub password: SecretId,
}

impl Act for SetPassword {
    const TAKES_PASSWORD: bool = true;

    fn describe(&self) -> String {
        "a password for the login account".to_owned()
    }

    fn privileges(&self, given: &Given<'_>) -> Result<Vec<Privilege>, String> {
        if given.direct_login == DirectLogin::Deny {
            return Err("the activity gives its account a password, and the connection profile denies log-ins past the gateway: \
                        use another profile, or take set_password out"
                .to_owned());
        }
        let password = given.password.ok_or("no password was made for set_password")?;
        Ok(vec![Privilege::Password(FreshPassword { password })])
    }
}

impl Effect for FreshPassword {
    const KIND: &'static str = "password";
    const LINUX: &'static str = include_str!("set_password.sh");

    fn describe(&self) -> String {
        "password of the login account".to_owned()
    }

    fn arguments(&self, _: Timestamp) -> Result<Vec<Argument>, String> {
        Ok(vec![Argument::Secret(self.password)])
    }
}
