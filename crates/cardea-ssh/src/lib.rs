//! The SSH gateway: people log in with their own `ssh` and the id of a session, and land on the session's target.
//!
//! It asks the product through [`cardea_domain::Gate`] alone; it knows no database, no vault and no rules. Everything
//! that it reads comes from strangers. What it never does: accept a login before the key is proven, keep a key on disk,
//! forward ports, agents or displays.
//!
//! A connection in files: `gateway` accepts it, `door` lets the person in, `visit` holds it together and ends it,
//! `target` dials the host, `relay` carries one channel, `hold` is what it hears meanwhile.

mod certificate;
mod crowd;
mod door;
mod gateway;
mod hold;
mod key;
mod keyring;
mod line;
mod prelude;
mod relay;
mod settings;
mod target;
mod visit;
mod words;

pub use gateway::{Gateway, GatewayError};
pub use key::{generate_host_key, generate_key_pair};
pub use settings::{Limits, Settings};
