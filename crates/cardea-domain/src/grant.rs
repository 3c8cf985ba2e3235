//! The grant ledger: one row per privilege, from before it is placed until its removal was read back.

use serde::{Deserialize, Serialize};

use crate::{Evidence, GrantId, LoginAccount, Observation, SessionId, Target, Timestamp};

/// What is placed on a target. Its inverse and its evidence belong to it: see `Connector`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Privilege {
    /// The login account itself.
    Account,
    /// A public key that opens the login account until the grant's expiry: how the gateway logs in for the person.
    AuthorizedKey { public_key: String },
    /// Membership of the login account in a group that exists.
    GroupMembership { group: String },
    /// A sudoers file of its own.
    SudoRule { commands: Vec<String>, run_as: String },
}

impl Privilege {
    /// The kind's name on the wire.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::AuthorizedKey { .. } => "authorized_key",
            Self::GroupMembership { .. } => "group_membership",
            Self::SudoRule { .. } => "sudo_rule",
        }
    }

    /// What a person reads while it is being placed: "adding …".
    pub fn describe(&self) -> String {
        match self {
            Self::Account => "login account".to_owned(),
            Self::AuthorizedKey { .. } => "gateway key".to_owned(),
            Self::GroupMembership { group } => format!("membership of group {group}"),
            Self::SudoRule { run_as, .. } => format!("sudo rule as {run_as}"),
        }
    }

    /// Whether it lets the person act as root, who could forge what is read back.
    pub fn gives_root(&self) -> bool {
        match self {
            Self::SudoRule { .. } => true,
            // Groups that are as good as root on a common host.
            Self::GroupMembership { group } => {
                matches!(group.as_str(), "root" | "sudo" | "wheel" | "admin" | "docker" | "lxd" | "disk" | "shadow")
            }
            Self::Account | Self::AuthorizedKey { .. } => false,
        }
    }
}

/// Where a grant is in its life. Order: planned, placing, placed, removing, removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GrantState {
    /// Written down; the target was not touched.
    Planned,
    /// The target may or may not have it: from before the first byte until it was read back.
    Placing,
    /// Read back after placing.
    Placed,
    /// Being taken away; still out there until proven otherwise.
    Removing,
    /// Read back after removal, with the evidence stored. Also: never touched and not needed any more.
    Removed,
    /// It was there before Cardea: never removed by us.
    Preexisting,
}

impl GrantState {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Planned, Self::Placing, Self::Placed, Self::Removing, Self::Removed, Self::Preexisting];

    /// The state's name on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Placing => "placing",
            Self::Placed => "placed",
            Self::Removing => "removing",
            Self::Removed => "removed",
            Self::Preexisting => "preexisting",
        }
    }

    /// Whether the privilege is, or could be, on the target.
    pub fn is_out(self) -> bool {
        matches!(self, Self::Placing | Self::Placed | Self::Removing)
    }
}

/// One row of the ledger.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    pub id: GrantId,
    pub session: SessionId,
    /// Place in the session's order of placing, from 0. Removal runs in the reverse order.
    pub ordinal: i64,
    /// The resource as it was when the grant was planned: what is out pins its way home.
    pub target: Target,
    pub account: LoginAccount,
    pub privilege: Privilege,
    /// HMAC of the grant's id under the installation's key, hex: what Cardea's marks on the host carry.
    pub token: String,
    pub state: GrantState,
    /// When the target ends it by itself: end of the session plus a margin. Set when placing begins.
    pub expires_at: Option<Timestamp>,
    /// What the target looked like before; stored before it is touched.
    pub before: Option<Observation>,
    pub placed_at: Option<Timestamp>,
    pub removed_at: Option<Timestamp>,
    /// Failed attempts at removal.
    pub attempts: i64,
    pub last_error: Option<String>,
    /// What was read back after removal.
    pub evidence: Option<Evidence>,
    /// What the full scan for files of the account found; accounts only, after removal.
    pub scanned_at: Option<Timestamp>,
}
