//! The only crate that knows ciphers: it seals secrets, digests them, makes randomness, and certifies people's SSH keys.
//!
//! Envelope encryption: each secret has a data key of its own, sealed by a key that is derived from the master key. Both
//! layers are bound to the row that they stand in, so a sealed value that was moved elsewhere does not open. No SQL, no
//! HTTP; the master key comes from a file that is not in the data directory and never leaves this crate.

mod authority;
mod envelope;
mod error;
mod fingerprint;
mod key_file;
mod message;
mod passkey;
mod pkce;
mod random;
mod totp;
mod vault;

pub use authority::{Authority, CertificateWish};
pub use error::VaultError;
pub use fingerprint::fingerprint;
pub use message::MessageKey;
pub use passkey::{NewPasskey, PasskeyAsked, PasskeyClaim, PasskeyFault, PasskeyHandle, RelyingParty};
pub use pkce::pkce_challenge;
pub use random::System;
pub use totp::{TOTP_DIGITS, TOTP_PERIOD, Totp};
pub use vault::{Binding, Vault};
