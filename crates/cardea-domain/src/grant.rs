//! The grant ledger: one row per privilege, from before it is placed until its removal was read back.

use serde::{Deserialize, Serialize};

use crate::{
    AddSudoRule, Argument, Evidence, FreshPassword, GrantId, GroupProcesses, Leftovers, LogOffUser, LoginAccount,
    Membership, Observation, PersonalKey, RunScript, SecretId, SessionId, Stage, Target, Timestamp,
    action::{Effect, bare_key, each_action},
};

macro_rules! privileges { ($($name:ident: $action:ident => $effect:ident($type:ident);)*) => {
    /// What is placed on a target. Its inverse and its evidence belong to it: see `Connector`. First those that Cardea places
    /// of itself, then the effects of actions, by the table in `action.rs`.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
    pub enum Privilege {
        /// The login account itself, made for the session and destroyed after it.
        Account {
            /// What becomes of its files outside its home.
            #[serde(default)]
            leftovers: Leftovers,
        },
        /// A public key that opens the login account until the grant's expiry: how the gateway logs in for the person.
        AuthorizedKey { public_key: String },
        /// A one-shot on the target that removes what the session placed, by mark only, when its end has passed and
        /// nobody did. Placed before what it is to undo, and removed after it.
        DeadMan {
            /// In the order of removing.
            undo: Vec<Undo>,
        },
        /// The check-out of an account that stays: unlocked with this sealed password, and locked again at the end.
        ManagedAccount {
            /// Whether an account that Cardea did not make is taken over.
            adopt: bool,
            /// Whether its home is emptied and made anew for each session.
            clean_home: bool,
            /// None where nobody but the gateway is to have a way in.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            password: Option<SecretId>,
            /// What becomes of its files outside its home.
            #[serde(default)]
            leftovers: Leftovers,
        },
        $(
            #[doc = concat!("What `", stringify!($name), "` places.")]
            $effect($type),
        )*
    }

    impl Privilege {
        /// The Linux ends of all effects: POSIX sh functions for the host's script.
        pub const LINUX_EFFECTS: &'static [&'static str] = &[$(<$type as Effect>::LINUX),*];

        /// The kind's name on the wire.
        pub fn kind(&self) -> &'static str {
            match self {
                Self::Account { .. } => "account",
                Self::AuthorizedKey { .. } => "authorized_key",
                Self::DeadMan { .. } => "dead_man",
                Self::ManagedAccount { .. } => "managed_account",
                $(Self::$effect(_) => <$type as Effect>::KIND,)*
            }
        }

        /// What a person reads while it is being placed: "adding …".
        pub fn describe(&self) -> String {
            match self {
                Self::Account { .. } => "login account".to_owned(),
                Self::AuthorizedKey { .. } => "gateway key".to_owned(),
                Self::DeadMan { .. } => "dead man's switch".to_owned(),
                Self::ManagedAccount { .. } => "check-out of the managed account".to_owned(),
                $(Self::$effect(effect) => Effect::describe(effect),)*
            }
        }

        /// Whether it lets the person act as root, who could forge what is read back. A managed account may have been given
        /// that by others.
        pub fn gives_root(&self) -> bool {
            match self {
                Self::Account { .. } | Self::AuthorizedKey { .. } | Self::DeadMan { .. } => false,
                Self::ManagedAccount { .. } => true,
                $(Self::$effect(effect) => effect.gives_root(),)*
            }
        }

        /// Whether nobody can say that it is gone: it runs once, and what it did cannot be undone or read back.
        pub fn is_unproven(&self) -> bool {
            match self {
                Self::Account { .. }
                | Self::AuthorizedKey { .. }
                | Self::DeadMan { .. }
                | Self::ManagedAccount { .. } => false,
                $(Self::$effect(_) => <$type as Effect>::UNPROVEN,)*
            }
        }

        /// Whether something is out there after it that is to be removed again.
        pub fn stays(&self) -> bool {
            match self {
                Self::Account { .. }
                | Self::AuthorizedKey { .. }
                | Self::DeadMan { .. }
                | Self::ManagedAccount { .. } => true,
                $(Self::$effect(_) => <$type as Effect>::STAYS,)*
            }
        }

        /// Whether it is to be left alone where the target had it before ([`Presence::Foreign`](crate::Presence::Foreign)):
        /// nothing is placed and nothing removed then. Otherwise somebody's thing of the same name is in the way.
        pub fn may_preexist(&self) -> bool {
            match self {
                Self::Account { .. }
                | Self::AuthorizedKey { .. }
                | Self::DeadMan { .. }
                | Self::ManagedAccount { .. } => false,
                $(Self::$effect(_) => <$type as Effect>::MAY_PREEXIST,)*
            }
        }

        /// Whether it exists only on a login account.
        pub fn needs_account(&self) -> bool {
            match self {
                Self::Account { .. } | Self::DeadMan { .. } | Self::ManagedAccount { .. } => false,
                Self::AuthorizedKey { .. } => true,
                $(Self::$effect(_) => <$type as Effect>::NEEDS_ACCOUNT,)*
            }
        }

        /// The one thing that looking and removing must know beside the account.
        pub fn subject(&self) -> Option<Argument> {
            match self {
                Self::Account { .. } | Self::AuthorizedKey { .. } | Self::DeadMan { .. } => None,
                Self::ManagedAccount { adopt, .. } => Some(adopt_word(*adopt)),
                $(Self::$effect(effect) => effect.subject(),)*
            }
        }

        /// What removing must know beside [`Self::subject`].
        pub fn handling(&self) -> Option<Argument> {
            match self {
                Self::Account { leftovers } | Self::ManagedAccount { leftovers, .. } => Some(word(leftovers.as_str())),
                Self::AuthorizedKey { .. } | Self::DeadMan { .. } => None,
                $(Self::$effect(effect) => effect.handling(),)*
            }
        }

        /// What placing must know beside the account, or why it cannot be placed. `end` is when the target is to end it by itself.
        pub fn arguments(&self, end: Timestamp) -> Result<Vec<Argument>, String> {
            Ok(match self {
                Self::Account { .. } => vec![Argument::Day(end)],
                // The connector knows how its own end is written.
                Self::DeadMan { .. } => Vec::new(),
                Self::AuthorizedKey { public_key } => {
                    vec![Argument::SshdTime(end), Argument::Text(bare_key(public_key))]
                }
                Self::ManagedAccount { adopt, clean_home, password, leftovers } => vec![
                    Argument::Day(end),
                    adopt_word(*adopt),
                    Argument::Name(if *clean_home { "clean" } else { "keep" }.to_owned()),
                    word(leftovers.as_str()),
                    password.map_or_else(|| word("none"), Argument::Secret),
                ],
                $(Self::$effect(effect) => return effect.arguments(end),)*
            })
        }
    }
} }

each_action!(privileges);

/// One thing that a dead man's switch removes: enough of its order to find it by its mark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Undo {
    pub grant: GrantId,
    /// Ownership token, hex.
    pub token: String,
    pub account: LoginAccount,
    pub privilege: Privilege,
}

impl Privilege {
    /// The sealed password that was made for it.
    pub fn secret(&self) -> Option<SecretId> {
        match self {
            Self::ManagedAccount { password, .. } => *password,
            Self::Password(fresh) => Some(fresh.password),
            _ => None,
        }
    }

    /// Whether it is the login account of the session, on which all others hang: placed before them and removed after them.
    pub fn is_account(&self) -> bool {
        matches!(self, Self::Account { .. } | Self::ManagedAccount { .. })
    }

    /// Without what is only about taking it away: two sessions hold the same privilege if this is the same.
    #[must_use]
    pub fn held(&self) -> Self {
        match self {
            Self::GroupMembership(membership) => {
                Self::GroupMembership(Membership { processes: GroupProcesses::default(), ..membership.clone() })
            }
            other => other.clone(),
        }
    }
}

fn adopt_word(adopt: bool) -> Argument {
    word(if adopt { "adopt" } else { "own" })
}

fn word(text: &str) -> Argument {
    Argument::Name(text.to_owned())
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
    /// The grant whose mark the host carries: this one, or the first of those that share the privilege.
    pub mark: GrantId,
    /// Names the privilege where several sessions may hold it at once: host, account, kind and parameters.
    pub share_key: Option<String>,
    /// When its turn comes.
    pub stage: Stage,
    /// Whether the stage goes on if this one fails.
    pub continue_on_error: bool,
    /// HMAC of `mark` under the installation's key, hex: what Cardea's marks on the host carry.
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
