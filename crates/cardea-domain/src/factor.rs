//! What people show to prove that they are themselves.

use serde::{Deserialize, Serialize};

/// A way to show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// A key that an authenticator keeps and that it uses for a verified user only (WebAuthn).
    Passkey,
    Password,
    /// Showing it at the identity provider that one signs in by.
    Provider,
    /// One of the codes that were shown when the second factor was set up. Each works once.
    RecoveryCode,
    /// A code of an authenticator app (RFC 6238).
    Totp,
}

impl Method {
    /// What a user without a second factor shows.
    pub const FIRST: &[Self] = &[Self::Password];

    /// What a user with these second factors shows.
    pub fn of(has_totp: bool, has_passkey: bool) -> &'static [Self] {
        match (has_totp, has_passkey) {
            (false, false) => Self::FIRST,
            (false, true) => &[Self::Passkey, Self::RecoveryCode],
            (true, false) => &[Self::Totp, Self::RecoveryCode],
            (true, true) => &[Self::Passkey, Self::Totp, Self::RecoveryCode],
        }
    }

    /// What a user with these second factors shows whose identity provider is asked again.
    pub fn with_provider(has_totp: bool, has_passkey: bool) -> &'static [Self] {
        match (has_totp, has_passkey) {
            (false, false) => &[Self::Provider],
            (false, true) => &[Self::Provider, Self::Passkey, Self::RecoveryCode],
            (true, false) => &[Self::Provider, Self::Totp, Self::RecoveryCode],
            (true, true) => &[Self::Provider, Self::Passkey, Self::Totp, Self::RecoveryCode],
        }
    }

    /// The method's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passkey => "passkey",
            Self::Password => "password",
            Self::Provider => "provider",
            Self::RecoveryCode => "recovery_code",
            Self::Totp => "totp",
        }
    }
}
