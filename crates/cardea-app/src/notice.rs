//! What a person should hear about their own account, whoever did it: another device, another password, no second factor.
//!
//! [`App::notify_user`] is the one place that all of it passes, inside the unit of work that makes it true.

use cardea_domain::ObjectId;
use cardea_store::{News, Tx};

use crate::{
    App,
    event::{Alert, Audience, Event},
};

/// Something that happened to an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Signed in from a network or with a browser that was not seen with this user before.
    NewDevice {
        peer: String,
        agent: String,
    },
    /// An SSH key was registered.
    KeyAdded {
        name: String,
        fingerprint: String,
    },
    /// It was taken away: by its user, or by whom.
    KeyGone {
        name: String,
        by: Option<String>,
    },
    /// Somebody else has shown that they hold the key.
    KeyLost {
        name: String,
    },
    PasswordChanged,
    /// Somebody showed a passkey whose counter went back.
    PasskeyCopied {
        name: String,
    },
    /// A passkey was taken off, and others or an app are left.
    PasskeyGone {
        name: String,
    },
    PasskeySetUp {
        name: String,
    },
    /// A second factor was set up, or replaced.
    FactorSetUp,
    /// The user's second factor was taken off: by themselves, or by whom.
    FactorGone {
        by: Option<String>,
    },
    /// Somebody signed in with a recovery code; so many are left.
    RecoveryCodeUsed {
        left: u32,
    },
}

impl Notice {
    /// Stable: what programs go by.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::NewDevice { .. } => "new_device",
            Self::KeyAdded { .. } => "ssh_key_added",
            Self::KeyGone { .. } => "ssh_key_gone",
            Self::KeyLost { .. } => "ssh_key_lost",
            Self::PasswordChanged => "password_changed",
            Self::PasskeyCopied { .. } => "passkey_copied",
            Self::PasskeyGone { .. } => "passkey_gone",
            Self::PasskeySetUp { .. } => "passkey_set_up",
            Self::FactorSetUp => "factor_set_up",
            Self::FactorGone { .. } => "factor_gone",
            Self::RecoveryCodeUsed { .. } => "recovery_code_used",
        }
    }

    /// A sentence for the person whose account it is.
    pub(crate) fn sentence(&self, user: &str) -> String {
        match self {
            Self::NewDevice { peer, agent } => {
                let agent = if agent.is_empty() { "a program without a name" } else { agent };
                format!("{user} signed in from {peer} with {agent}, which was not seen before")
            }
            Self::KeyAdded { name, fingerprint } => {
                format!("{user} registered the SSH key \"{name}\" ({fingerprint})")
            }
            Self::KeyGone { name, by: None } => format!("{user} took the SSH key \"{name}\" away"),
            Self::KeyGone { name, by: Some(by) } => format!("{by} took the SSH key \"{name}\" of {user} away"),
            Self::KeyLost { name } => {
                format!("{user} has the SSH key \"{name}\" no more: somebody else has shown that it is theirs")
            }
            Self::PasswordChanged => format!("The password of {user} was changed"),
            Self::PasskeyCopied { name } => {
                format!("The passkey \"{name}\" of {user} was refused: it seems to have been copied")
            }
            Self::PasskeyGone { name } => format!("{user} took the passkey \"{name}\" off"),
            Self::PasskeySetUp { name } => format!("{user} registered the passkey \"{name}\""),
            Self::FactorSetUp => format!("A second factor of {user} was set up"),
            Self::FactorGone { by: None } => format!("{user} took their second factor off"),
            Self::FactorGone { by: Some(by) } => format!("{by} took the second factor of {user} off"),
            Self::RecoveryCodeUsed { left } => format!("{user} used a recovery code: {left} are left"),
        }
    }
}

impl App {
    /// Tells a user what happened to their account, and those who see everything, also at other nodes, once the unit is committed.
    /// The caller has written it down.
    pub(crate) fn notify_user(&self, tx: &mut Tx, user: ObjectId, notice: &Notice) {
        let alert = self.alert(notice.code(), notice.sentence(&self.name_of(user)), None, None);
        let Alert { at, code, text, session, resource } = alert.clone();
        tx.tell(News::Alert { at, code: code.into_owned(), text, session, resource });
        let app = self.clone();
        let audience = Audience { owner: user, place: None, profile: None };
        tx.after_commit(Box::new(move || app.0.hub.publish(Some(audience), Event::Alert(alert.into()))));
    }
}
