//! One line of sudoers(5), escaped so that it means what was asked for and nothing else.

use cardea_domain::ConnectorError;

/// The rule: this number may run these commands as this user until then, without a password.
///
/// `not_after` is in sudoers' UTC form. Wildcards in commands stay wildcards; everything that would end or split a command
/// is escaped.
pub(super) fn rule(uid: u32, run_as: &str, commands: &[String], not_after: &str) -> Result<String, ConnectorError> {
    let commands = commands.iter().map(|command| escaped(command)).collect::<Result<Vec<_>, _>>()?.join(", ");
    Ok(format!("#{uid} ALL=({run_as}) NOTAFTER={not_after} NOPASSWD: {commands}"))
}

fn escaped(command: &str) -> Result<String, ConnectorError> {
    if command == "ALL" {
        return Ok(command.to_owned());
    }
    if !command.starts_with('/') || command.contains(char::is_control) {
        return Err(refused(command, "is neither `ALL` nor an absolute path on one line"));
    }
    // sudoers takes arguments from ^ to $ for a regular expression, in which escapes mean something else.
    if command.split_once(' ').is_some_and(|(_, arguments)| arguments.trim_start().starts_with('^')) {
        return Err(refused(command, "has arguments that begin with `^`, which sudo takes for a regular expression"));
    }
    let mut text = String::with_capacity(command.len() + 8);
    for c in command.chars() {
        if matches!(c, '\\' | ',' | ':' | '=' | '#') {
            text.push('\\');
        }
        text.push(c);
    }
    Ok(text)
}

fn refused(command: &str, why: &str) -> ConnectorError {
    ConnectorError::Refused(format!("the sudo command `{command}` {why}: change it in the activity"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_command_can_end_it() {
        let commands = ["/bin/a x,/bin/b".to_owned(), "/bin/c a=b:c #d \\e *".to_owned()];
        let line = rule(70_001, "root", &commands, "20261231235959Z").expect("a rule");
        assert_eq!(
            line,
            r"#70001 ALL=(root) NOTAFTER=20261231235959Z NOPASSWD: /bin/a x\,/bin/b, /bin/c a\=b\:c \#d \\e *"
        );
        for bad in ["sh", "/bin/a\n#0 ALL=(ALL) ALL", "/bin/a ^.*$"] {
            assert!(rule(70_001, "root", &[bad.to_owned()], "x").is_err(), "{bad}");
        }
    }
}
