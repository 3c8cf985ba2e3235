//! `add_sudo_rule`: a sudoers file of its own that lets the login account run commands as another user until the end.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Act, Argument, Effect, Given};
use crate::{Privilege, Timestamp, account::is_account_name};

const COMMANDS_MAX: usize = 64;
const COMMAND_LENGTH_MAX: usize = 512;

/// Parameters of `add_sudo_rule`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddSudoRule {
    /// `ALL`, or absolute paths with their arguments, as sudoers matches them.
    pub commands: Vec<String>,
    /// The user that the commands run as; `ALL` for any.
    #[serde(default = "root")]
    pub run_as: String,
    /// Whether sudo asks for the account's password: for accounts that have one, which are managed ones and those of
    /// activities with `set_password`.
    #[serde(default)]
    pub password: bool,
}

fn root() -> String {
    "root".to_owned()
}

impl Act for AddSudoRule {
    fn describe(&self) -> String {
        Effect::describe(self)
    }

    fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        if self.commands.is_empty() || self.commands.len() > COMMANDS_MAX {
            faults.push(("commands".to_owned(), "list 1 to 64 commands, or `ALL`".to_owned()));
        }
        for (index, command) in self.commands.iter().enumerate() {
            if let Some(message) = command_fault(command) {
                faults.push((format!("commands/{index}"), message.to_owned()));
            }
        }
        if self.run_as != "ALL" && !is_account_name(&self.run_as) {
            faults
                .push(("run_as".to_owned(), "write `ALL` or the name of a user: at most 32 of `a-z0-9_-`".to_owned()));
        }
        faults
    }

    fn privileges(&self, _: &Given<'_>) -> Result<Vec<Privilege>, String> {
        Ok(vec![Privilege::SudoRule(self.clone())])
    }
}

impl Effect for AddSudoRule {
    const KIND: &'static str = "sudo_rule";
    const LINUX: &'static str = include_str!("add_sudo_rule.sh");

    fn describe(&self) -> String {
        format!("sudo rule as {}", self.run_as)
    }

    fn gives_root(&self) -> bool {
        true
    }

    fn arguments(&self, end: Timestamp) -> Result<Vec<Argument>, String> {
        if let Some((field, message)) = self.faults().first() {
            return Err(format!("{field} of the sudo rule: {message}"));
        }
        let commands: Vec<_> = self.commands.iter().map(|command| escaped(command)).collect();
        let tag = if self.password { "ask" } else { "free" };
        Ok(vec![
            Argument::Time(end),
            Argument::Name(self.run_as.clone()),
            Argument::Name(tag.to_owned()),
            Argument::Text(commands.join(", ")),
        ])
    }
}

fn command_fault(command: &str) -> Option<&'static str> {
    let fits = command.len() <= COMMAND_LENGTH_MAX && !command.contains(char::is_control);
    if command != "ALL" && !(fits && command.starts_with('/')) {
        return Some("write `ALL` or an absolute path with its arguments, on one line of at most 512 characters");
    }
    // sudoers takes arguments from ^ to $ for a regular expression, in which escapes mean something else.
    let arguments = command.split_once(' ').map_or("", |(_, arguments)| arguments);
    arguments.trim_start().starts_with('^').then_some(
        "arguments that begin with `^` are a regular expression for sudo, which cannot be escaped: write them out",
    )
}

/// A command as sudoers(5) reads it: wildcards stay wildcards, and everything that would end or split it is escaped.
fn escaped(command: &str) -> String {
    let mut text = String::with_capacity(command.len() + 8);
    for c in command.chars() {
        if matches!(c, '\\' | ',' | ':' | '=' | '#') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_command_can_end_it() {
        assert_eq!(escaped("/bin/a x,/bin/b"), r"/bin/a x\,/bin/b");
        assert_eq!(escaped(r"/bin/c a=b:c #d \e *"), r"/bin/c a\=b\:c \#d \\e *");
        for bad in ["sh", "/bin/a\n#0 ALL=(ALL) ALL", "/bin/a ^.*$"] {
            assert!(command_fault(bad).is_some(), "{bad}");
        }
    }
}
