//! The spec of an activity: which account a person gets, and what is placed for them.

use serde::{Deserialize, Serialize};

use super::{Platform, Protocol};
use crate::{AccountTemplate, Action, StageEntry, account::is_account_name};

/// What may be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActivitySpec {
    pub platform: Platform,
    pub protocol: Protocol,
    /// Which account the person uses. With `protocol: none` it may be left out, if no action needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_account: Option<LoginAccountSpec>,
    /// What is placed before the session is available, in this order; removed in the reverse order at its end.
    #[serde(default)]
    pub pre_session: Vec<StageEntry>,
    /// What is placed when the session is available. A failure is told, and the session goes on.
    #[serde(default)]
    pub session: Vec<StageEntry>,
    /// What runs when everything that the session placed was removed and read back. Only actions that leave nothing.
    #[serde(default)]
    pub post_session: Vec<StageEntry>,
}

impl ActivitySpec {
    const ACTIONS_MAX: usize = 32;

    /// The stages by their keys.
    pub fn stages(&self) -> [(&'static str, &[StageEntry]); 3] {
        [("pre_session", &self.pre_session), ("session", &self.session), ("post_session", &self.post_session)]
    }

    pub(super) fn faults(&self) -> Vec<(String, String)> {
        let mut faults = self.login_faults();
        for (stage, entries) in self.stages() {
            if entries.len() > Self::ACTIONS_MAX {
                faults.push((stage.to_owned(), format!("at most {} actions", Self::ACTIONS_MAX)));
            }
            for (index, StageEntry { action, .. }) in entries.iter().enumerate() {
                let place = format!("{stage}/{index}");
                if let Some(message) = self.misfit(stage, action) {
                    faults.push((format!("{place}/{}", action.name()), message.to_owned()));
                }
                for (field, message) in action.faults() {
                    faults.push((format!("{place}/{}/{field}", action.name()), message));
                }
            }
        }
        faults.extend(self.password_faults());
        faults
    }

    /// Why an action has no place in this stage of this activity.
    fn misfit(&self, stage: &str, action: &Action) -> Option<&'static str> {
        if !action.serves(self.platform) {
            return Some("this action does not exist on this platform");
        }
        if stage == "post_session" && action.leaves_something() {
            return Some("nothing would take this away again: after the session only actions run that leave nothing");
        }
        if action.needs_account() && self.login_account.is_none() {
            return Some("this action works on a login account: name one in login_account");
        }
        if action.takes_password() {
            return self.login_account.as_ref().and_then(LoginAccountSpec::refuses_password);
        }
        None
    }

    fn login_faults(&self) -> Vec<(String, String)> {
        let fault = |field: &str, message: &str| vec![(format!("login_account{field}"), message.to_owned())];
        match &self.login_account {
            None if self.protocol != Protocol::None => {
                fault("", "say which account people log in to, or set protocol to none")
            }
            Some(LoginAccountSpec::Managed { account, .. }) if !is_account_name(account) => {
                fault("/account", "write the name of an account: at most 32 of `a-z0-9_-`")
            }
            Some(LoginAccountSpec::Managed { account, .. }) if account == "root" => {
                fault("/account", "root is never managed: name an account of its own")
            }
            _ => Vec::new(),
        }
    }

    /// Sudo can only ask for a password that there is.
    fn password_faults(&self) -> Vec<(String, String)> {
        let has_one =
            matches!(self.login_account, Some(LoginAccountSpec::Managed { .. } | LoginAccountSpec::Requester {}))
                || self.pre_session.iter().any(|entry| entry.action.takes_password());
        let mut faults = Vec::new();
        for (stage, entries) in self.stages() {
            for (index, entry) in entries.iter().enumerate() {
                if matches!(&entry.action, Action::AddSudoRule(rule) if rule.password && !has_one) {
                    faults.push((
                        format!("{stage}/{index}/add_sudo_rule/password"),
                        "the login account has no password that sudo could ask for: add set_password before, or write false"
                            .to_owned(),
                    ));
                }
            }
        }
        faults
    }
}

/// Which account the person uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum LoginAccountSpec {
    /// Made for this session, destroyed after.
    ActivityToken {
        #[serde(default)]
        template: AccountTemplate,
    },
    /// Kept: locked at rest, unlocked with a fresh password for one session at a time.
    Managed {
        /// Its name on the resources. Made where it does not exist.
        account: String,
        /// Whether an account that exists and is not Cardea's is taken over.
        #[serde(default)]
        adopt: bool,
        /// Whether its home is emptied and made anew for each session.
        #[serde(default)]
        clean_home: bool,
    },
    /// The user's own account, by the user's `accounts`. Only grants are placed on it; it is never expired, locked or deleted.
    Requester {},
}

impl LoginAccountSpec {
    /// Whether its account may be root's equal by what others gave it, so that it could forge what is read back.
    pub fn may_have_root(&self) -> bool {
        !matches!(self, Self::ActivityToken { .. })
    }

    fn refuses_password(&self) -> Option<&'static str> {
        match self {
            Self::ActivityToken { .. } => None,
            Self::Managed { .. } => {
                Some("a managed account has a fresh password in each session already: leave this out")
            }
            Self::Requester {} => {
                Some("a user's own account keeps its password, which could not be given back: leave this out")
            }
        }
    }
}
