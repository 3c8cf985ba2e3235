//! What tests stand on: throw-away hosts and hand-set doubles of the ports. Never part of the product.

mod address;
mod authenticator;
mod fake_connector;
mod fake_courier;
mod fake_gate;
mod folder;
mod history;
mod identity_provider;
mod linux_host;
mod long;
mod manual_clock;
mod postgres;
mod samba;
mod seeded_entropy;
mod smtp_catcher;

pub use authenticator::SoftPasskey;
pub use fake_connector::{Call, FakeConnector, Fate, Hold, Operation, Thing, Waiting};
pub use fake_courier::{FakeCourier, Receiver};
pub use fake_gate::{EVERYBODYS_PASSWORD, FakeGate, FakeSession, Join};
pub use history::{Database, repeat_session};
pub use identity_provider::IdentityProvider;
pub use linux_host::{HostPlan, LinuxHost, wait};
pub use long::{is_long, setting};
pub use manual_clock::ManualClock;
pub use postgres::{POSTGRES_VARIABLE, Postgres};
pub use samba::Samba;
pub use seeded_entropy::SeededEntropy;
pub use smtp_catcher::{Caught, Line, SmtpCatcher};
