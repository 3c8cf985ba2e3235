//! Actions: typed, idempotent changes on a target. Each is one struct here and one arm in [`Action`]; its inverse and
//! its evidence belong to the [`Privilege`] that it places, so whoever lists an action gets its clean-up for free.

use serde::{Deserialize, Serialize};

use crate::{Platform, Privilege};

/// One entry of an activity's stage: a map with one key, the action's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Lets the login account run commands as another user.
    AddSudoRule(AddSudoRule),
    /// Makes the login account a member of a group.
    AddToGroup(AddToGroup),
}

/// Parameters of `add_sudo_rule`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddSudoRule {
    /// `ALL`, or absolute paths with their arguments, as sudoers matches them.
    pub commands: Vec<String>,
    /// The user that the commands run as; `ALL` for any.
    #[serde(default = "root")]
    pub run_as: String,
    /// Whether sudo asks for the account's password. An activity-token account has none, so only `false` is taken.
    #[serde(default)]
    pub password: bool,
}

/// Parameters of `add_to_group`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddToGroup {
    /// A group that exists on the resource.
    pub group: String,
}

fn root() -> String {
    "root".to_owned()
}

impl Action {
    const COMMANDS_MAX: usize = 64;
    const COMMAND_LENGTH_MAX: usize = 512;

    /// Whether the action exists on this platform.
    pub fn serves(&self, platform: Platform) -> bool {
        match (self, platform) {
            (Self::AddSudoRule(_) | Self::AddToGroup(_), Platform::Linux) => true,
        }
    }

    /// What the action puts on the target.
    pub fn privilege(&self) -> Privilege {
        match self {
            Self::AddSudoRule(rule) => {
                Privilege::SudoRule { commands: rule.commands.clone(), run_as: rule.run_as.clone() }
            }
            Self::AddToGroup(membership) => Privilege::GroupMembership { group: membership.group.clone() },
        }
    }

    /// What is wrong with the parameters: the field below the action, and what to write instead.
    pub fn faults(&self) -> Vec<(String, String)> {
        match self {
            Self::AddSudoRule(rule) => rule.faults(),
            Self::AddToGroup(membership) if is_account_name(&membership.group) => Vec::new(),
            Self::AddToGroup(_) => {
                vec![("group".to_owned(), "write the name of a group: at most 32 of `a-z0-9_-`".to_owned())]
            }
        }
    }
}

impl AddSudoRule {
    fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        if self.commands.is_empty() || self.commands.len() > Action::COMMANDS_MAX {
            faults.push(("commands".to_owned(), "list 1 to 64 commands, or `ALL`".to_owned()));
        }
        for (index, command) in self.commands.iter().enumerate() {
            let fits = command.len() <= Action::COMMAND_LENGTH_MAX && !command.contains(char::is_control);
            if command != "ALL" && !(fits && command.starts_with('/')) {
                let message =
                    "write `ALL` or an absolute path with its arguments, on one line of at most 512 characters";
                faults.push((format!("commands/{index}"), message.to_owned()));
            }
        }
        if self.run_as != "ALL" && !is_account_name(&self.run_as) {
            faults
                .push(("run_as".to_owned(), "write `ALL` or the name of a user: at most 32 of `a-z0-9_-`".to_owned()));
        }
        if self.password {
            faults.push((
                "password".to_owned(),
                "an activity-token account has no password that sudo could ask for: leave it out or write false"
                    .to_owned(),
            ));
        }
        faults
    }
}

fn is_account_name(text: &str) -> bool {
    text.len() <= 32
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-')
}
