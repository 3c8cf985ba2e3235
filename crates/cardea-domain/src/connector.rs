//! The port to targets: what the engine asks of a connector, and what it hears back.
//!
//! Every call is idempotent: "already there" and "already gone" are success. A connector knows targets, not sessions;
//! it never decides whether something may be placed, only how.

use std::{fmt, net::SocketAddr, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    Depth, GrantId, LoginAccount, Mark, ObjectId, Privilege, Secret, SecretId, SessionId, Snapshot, Timestamp, UidRange,
};

/// How a service account becomes root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Elevation {
    Doas,
    /// It is root already.
    None,
    Sudo,
}

/// A resource and the way to work on it, as they were pinned. Stored with each grant; holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    pub resource: ObjectId,
    /// The resource's name, for messages.
    pub name: String,
    pub address: String,
    pub port: u16,
    /// One OpenSSH public-key line. Without it nothing connects.
    pub host_key: Option<String>,
    /// The service account's user name on the target.
    pub user: String,
    pub elevation: Elevation,
    /// The service account's private key in OpenSSH form; one of this and `password`.
    pub private_key: Option<SecretId>,
    pub password: Option<SecretId>,
    /// What sudo asks for, where it asks.
    pub sudo_password: Option<SecretId>,
}

/// Opens sealed secrets for a connector when it dials. A trust boundary: connectors cannot reach the vault.
#[async_trait]
pub trait Credentials: Send + Sync {
    /// The secret's value, or why it cannot be had.
    async fn open(&self, id: SecretId) -> Result<Secret, String>;
}

/// What every command to a target carries.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    pub session: SessionId,
    /// Rises with every claim of the session. The target refuses a number below the newest it has seen.
    pub fence: i64,
    /// How long the command may take, from now.
    pub limit: Duration,
}

/// A privilege to observe, place or remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub grant: GrantId,
    /// Ownership token, hex: the mark that Cardea's things on the target carry.
    pub token: String,
    pub account: LoginAccount,
    pub privilege: Privilege,
    /// When the target is to end it by itself.
    pub expires_at: Timestamp,
}

/// Whether something of the same name is on the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    Absent,
    /// It is there and carries this grant's token.
    Ours,
    /// It is there and does not.
    Foreign,
}

/// What the target looks like for one order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observation {
    pub presence: Presence,
    /// What was read, in a form that a person can check.
    pub detail: String,
}

/// Proof that a privilege is in place: what was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    pub read_back: String,
    /// What a person should know all the same: a bound that this target cannot keep, something that was in the way.
    pub warning: Option<String>,
}

/// Proof that the privileges of a session are suspended, or given again: what was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    pub read_back: String,
}

/// An account as a target knows it, whosever it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownAccount {
    pub uid: u32,
    pub comment: String,
    /// Whether its password is locked. Keys may open it all the same.
    pub locked: bool,
    /// The day from which on it is closed, in days since 1970.
    pub expires_day: Option<i64>,
}

/// A way in to an account that is open now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogIn {
    pub uid: u32,
    /// The process on the target that serves it.
    pub pid: u32,
    /// Where it comes from, as the target sees it. The gateway knows its own by this.
    pub source: Option<SocketAddr>,
    /// `pts/0`; `None` for commands, file transfers and forwards.
    pub terminal: Option<String>,
    /// How long it has been open. A length, because clocks differ.
    pub age: Duration,
    /// What the target calls it.
    pub what: String,
}

/// An administrator's script. It runs as the target's root, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// What it is run for. The target runs a grant's script once and refuses it from then on.
    pub grant: GrantId,
    /// Text for the target's `sh`; at most [`Script::TEXT_BYTES_MAX`].
    pub text: String,
    /// Names `[A-Z0-9_]`, beginning with a letter, and their values.
    pub environment: Vec<(String, String)>,
    /// Then its process group is killed. `Frame::limit` is for the way there.
    pub limit: Duration,
}

impl Script {
    /// The longest text, in bytes.
    pub const TEXT_BYTES_MAX: usize = 64 * 1024;
    /// What of the output is kept, in bytes: the beginning.
    pub const OUTPUT_BYTES_MAX: usize = 64 * 1024;
}

/// How a script ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptOutcome {
    /// Its exit status; 0 is success.
    pub status: i32,
    /// Its time ran out and it was killed.
    pub timed_out: bool,
    /// The beginning of what it wrote, without control characters but line ends.
    pub output: String,
}

/// Proof that a privilege is gone: what was read back after removing it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    pub read_at: Timestamp,
    /// What the target said, in a form that a person can check.
    pub read_back: String,
    /// Whether the person had root, so that the target's word could be forged.
    pub self_reported: bool,
    /// What else was found and dealt with: processes ended, files handed to root, cron tables removed.
    #[serde(default)]
    pub findings: Vec<String>,
}

/// One file that a scan of the whole target found to belong to a number of the range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanFinding {
    pub uid: u32,
    pub path: String,
}

/// Why a target did not do as asked. Each says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectorError {
    #[error("something else holds the name or number: {0}")]
    Collision(String),
    #[error("{0} could not be made root's: {1}")]
    ElevationRefused(String, String),
    #[error(
        "the host key is not the pinned one. Pinned: {pinned}. Shown: {shown}. If the host was rebuilt, set `host_key` of the resource to the new key; if not, somebody may be in between"
    )]
    HostKeyChanged { pinned: String, shown: String },
    #[error(
        "the resource has no `host_key`, so the host cannot be told from an impostor. Set it, or learn it with `cardea host-key learn`"
    )]
    HostKeyMissing,
    #[error("the host refused the service account's log-in: {0}")]
    LoginRefused(String),
    /// The target said no. Asking again the same way would give the same answer.
    #[error("the host refused: {0}")]
    Refused(String),
    /// A newer claim of this session has spoken to the target, or somebody there pretends so.
    #[error("a newer command for this session overtook this one (the host has seen {seen})")]
    Superseded {
        /// The newest fence that the target has seen.
        seen: i64,
    },
    /// The number is the recorded one, but Cardea's mark is gone or another's.
    #[error("tampered with: {0}")]
    Tampered(String),
    /// The connection died or the time ran out half-way: the target may have done it or not.
    #[error("no answer: {0}; what was done on the host is unknown until it is looked at again")]
    Unknown(String),
    #[error("the host cannot be reached: {0}")]
    Unreachable(String),
}

impl ConnectorError {
    /// A stable code for the session's reason.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Collision(_) => "collision",
            Self::ElevationRefused(..) => "elevation_refused",
            Self::HostKeyChanged { .. } => "host_key_changed",
            Self::HostKeyMissing => "host_key_missing",
            Self::LoginRefused(_) => "login_refused",
            Self::Refused(_) => "target_refused",
            Self::Superseded { .. } => "superseded",
            Self::Tampered(_) => "tampered",
            Self::Unknown(_) => "no_answer",
            Self::Unreachable(_) => "unreachable",
        }
    }
}

/// Works on one platform's targets.
#[async_trait]
pub trait Connector: Send + Sync {
    /// Looks without touching: one answer per order, in the same order.
    async fn observe(
        &self,
        target: &Target,
        frame: Frame,
        orders: &[Order],
    ) -> Result<Vec<Observation>, ConnectorError>;

    /// Places a privilege and reads it back.
    async fn place(&self, target: &Target, frame: Frame, order: &Order) -> Result<Placed, ConnectorError>;

    /// Removes a privilege that carries our token and reads back that it is gone. What carries no token of ours is
    /// left alone. `read_at` and `self_reported` are the caller's to fill in.
    async fn remove(&self, target: &Target, frame: Frame, order: &Order) -> Result<Evidence, ConnectorError>;

    /// Looks through the whole target for files of any number in the range. Slow, and gentle to the target.
    async fn scan(&self, target: &Target, range: UidRange) -> Result<Vec<ScanFinding>, ConnectorError>;

    /// The account of this name, if there is one.
    async fn account(&self, target: &Target, frame: Frame, name: &str) -> Result<Option<KnownAccount>, ConnectorError>;

    /// Runs a script on a channel of its own. [`ConnectorError::Unknown`] says that it may have run, in whole or in part;
    /// a newer frame of the session ends it.
    async fn run_script(&self, target: &Target, frame: Frame, script: &Script)
    -> Result<ScriptOutcome, ConnectorError>;

    /// Moves every expiry on the target to `expires_at` of its order: one answer per order, in the same order. What is not
    /// there is not made, and told by the answer's warning.
    async fn extend(&self, target: &Target, frame: Frame, orders: &[Order]) -> Result<Vec<Placed>, ConnectorError>;

    /// Suspends what was placed and freezes the processes of accounts that are Cardea's. What is suspended can be removed.
    async fn lock(&self, target: &Target, frame: Frame, orders: &[Order]) -> Result<Locked, ConnectorError>;

    /// Gives back what [`Connector::lock`] suspended, with the orders' `expires_at`, and lets go on what it froze.
    async fn unlock(&self, target: &Target, frame: Frame, orders: &[Order]) -> Result<Locked, ConnectorError>;

    /// Who is logged in to accounts of these numbers now, over SSH.
    async fn log_ins(&self, target: &Target, uids: &[u32]) -> Result<Vec<LogIn>, ConnectorError>;

    /// Everything on the target that carries a mark of Cardea. Whoever has root there can forge one: the token tells.
    async fn marks(&self, target: &Target) -> Result<Vec<Mark>, ConnectorError>;

    /// What could keep somebody's root beyond a session, to be compared by [`crate::drift`].
    async fn snapshot(&self, target: &Target, depth: Depth) -> Result<Snapshot, ConnectorError>;

    /// The key that the host shows now, as one OpenSSH line. Trusts nothing and logs in to nothing.
    async fn host_key(&self, address: &str, port: u16) -> Result<String, ConnectorError>;
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}:{})", self.name, self.address, self.port)
    }
}
