//! What people show to prove that they are themselves.

use serde::{Deserialize, Serialize};

/// A way to show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    Password,
    /// One of the codes that were shown when the second factor was set up. Each works once.
    RecoveryCode,
    /// A code of an authenticator app (RFC 6238).
    Totp,
}

impl Method {
    /// What a user without a second factor shows.
    pub const FIRST: &[Self] = &[Self::Password];
    /// What a user with an authenticator app shows beside the password.
    pub const SECOND: &[Self] = &[Self::Totp, Self::RecoveryCode];

    /// The method's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::RecoveryCode => "recovery_code",
            Self::Totp => "totp",
        }
    }
}
