//! The store: the only crate that knows SQL. Units of work over SQLite or PostgreSQL, with one spelling of each statement.
//!
//! A unit of work is a closure that gets a [`Tx`]. What it wrote is durable when [`Store::write`] returns, or not there
//! at all. Nothing in this crate decides anything: rules live in cardea-domain, and guarded writes ask for its `Permit`.

mod approval;
mod audit;
mod batch;
mod connection;
mod dialect;
mod directory;
mod error;
mod factor;
mod figures;
mod gateway_factor;
mod gateway_key;
mod grant;
mod host;
mod idempotency;
mod identity;
mod installation;
mod invitation;
mod launch;
mod list;
mod log;
mod managed_account;
mod news;
mod node;
mod notice;
mod object;
mod openid;
mod own_key;
mod passkey;
mod postgres;
mod review;
mod row;
mod rule_change;
mod secret;
mod session;
mod sign_in;
mod snapshot;
mod sqlite;
mod standing_lock;
mod store;
mod tally;
mod token;
mod trace;
mod tx;
mod uid;
mod unit;
mod url;

#[cfg(test)]
mod tests;

pub use audit::{AuditEntry, Outcome};
pub use connection::Connection;
pub use directory::{DirectoryClaim, DirectorySyncRow};
pub use error::StoreError;
pub use factor::TotpRow;
pub use figures::StoreFigures;
pub use host::HostRow;
pub use idempotency::IdempotencyKey;
pub use identity::IdentityRow;
pub use installation::Installation;
pub use invitation::InvitationRow;
pub use list::{Area, Cursor, SessionFilter, SortKey, View, Whose};
pub use managed_account::ManagedAccount;
pub use news::{Heard, News};
pub use node::NodeRow;
pub use notice::{NoticeFigures, NoticeRow};
pub use openid::{ExternalSignIn, Trip};
pub use own_key::OwnKey;
pub use passkey::{HeldFactors, PasskeyRow};
pub use review::{ReviewFilter, ReviewRow};
pub use secret::SecretRow;
pub use sign_in::{SignInRow, SignInTicket};
pub use standing_lock::StandingLock;
pub use store::Store;
pub use tally::Tally;
pub use token::TokenRow;
pub use tx::Tx;
pub use url::StoreUrl;
