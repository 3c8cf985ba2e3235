//! Words, rules and ports of Cardea. No IO, no runtime, no clock and no randomness: they come in as arguments.
//!
//! Everything here is a plain value or a pure decision about values. The layers around it (store, connectors,
//! gateway, HTTP) translate to and from these types and never add rules of their own.

mod access;
mod account;
mod action;
mod actor;
mod configuration;
mod connector;
mod entropy;
mod gate;
mod grant;
mod id;
mod name;
mod secret;
mod session;
mod spec;
mod time;

pub use access::{Denial, Permit, Verb};
pub use account::{AccountTemplate, LoginAccount, UidRange};
pub use action::{Action, AddSudoRule, AddToGroup};
pub use actor::{Actor, Role, Via};
pub use configuration::{Configuration, Object, Offer, Reference, Revision};
pub use connector::{
    Connector, ConnectorError, Credentials, Elevation, Evidence, Frame, Observation, Order, Placed, Presence,
    ScanFinding, Target,
};
pub use entropy::Entropy;
pub use gate::{Admission, ClosedConnection, EndNotice, Gate, GateRefusal, Lease, Login};
pub use grant::{Grant, GrantState, Privilege};
pub use id::{ConnectionId, GrantId, IdError, ObjectId, RequestId, SecretId, SessionId, SignInId, TokenId};
pub use name::{Name, NameError, fold};
pub use secret::Secret;
pub use session::{EndCause, LogLevel, LogLine, Pins, Progress, Reason, Refusal, Session, Stage, Status};
pub use spec::{
    AccessPolicySpec, ActivitySpec, ConnectAuth, ConnectionProfileSpec, FieldError, GroupSpec, Kind, LoginAccountKind,
    LoginAccountSpec, Platform, Protocol, ResourceGroupSpec, ResourceSpec, SecretField, SecretInput,
    ServiceAccountSpec, Spec, UserSpec,
};
pub use time::{Clock, Period, Timestamp};
