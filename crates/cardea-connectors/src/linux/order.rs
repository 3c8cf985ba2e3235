//! Orders as the words that a host's shell is sent.

use cardea_domain::{Argument, ConnectorError, Credentials, Order, Privilege, Secret, SecretId, Undo};

use super::{link::Facts, program};

/// What stands for a subject where there is none: looking takes one word.
const NOTHING: &str = "-";

/// Secrets of an order, opened for as long as it is placed.
#[derive(Default)]
pub(super) struct Opened(Vec<(SecretId, Secret)>);

/// Opens what placing the order needs.
pub(super) async fn open(order: &Order, credentials: &dyn Credentials) -> Result<Opened, ConnectorError> {
    let mut opened = Opened::default();
    for argument in arguments(order)? {
        if let Argument::Secret(id) = argument {
            let secret = credentials.open(id).await.map_err(|why| {
                ConnectorError::Refused(format!("the password of {} cannot be opened: {why}", order.account.name))
            })?;
            opened.0.push((id, secret));
        }
    }
    Ok(opened)
}

/// KIND GRANT TOKEN NAME UID, and the one thing that looking needs beside.
pub(super) fn observe(order: &Order) -> Result<Vec<String>, ConnectorError> {
    let mut words = common(order)?;
    words.push(match order.privilege.subject() {
        Some(subject) => plain(&subject)?,
        None => NOTHING.to_owned(),
    });
    Ok(words)
}

/// What is to be placed. Times are told in the target's own clock.
pub(super) fn place(order: &Order, facts: &Facts, opened: &Opened) -> Result<Vec<String>, ConnectorError> {
    let mut words = common(order)?;
    if let Privilege::DeadMan { undo } = &order.privilege {
        words.extend([facts.on_target(order.expires_at).as_seconds().to_string(), program::version()]);
        for one in undo {
            words.push(encode(&undone(one, order)?.join(" ")));
        }
    }
    for argument in arguments(order)? {
        match argument {
            Argument::Day(end) => {
                let end = facts.on_target(end);
                // shadow(5) counts whole days, and the account is closed from that day on.
                words.extend([end.day_after(), (end.as_seconds().div_euclid(86_400) + 1).to_string()]);
            }
            Argument::SshdTime(end) => {
                let end = facts.on_target(end);
                words.push(if facts.sshd_reads_utc { end.compact() } else { format!("@{}", end.as_seconds()) });
            }
            Argument::Time(end) => words.push(facts.on_target(end).compact()),
            Argument::Secret(id) => words.push(opened.word(id)?),
            Argument::Name(_) | Argument::Text(_) => words.push(plain(&argument)?),
        }
    }
    Ok(words)
}

/// The words of removing what a dead man's switch is to undo.
fn undone(one: &Undo, order: &Order) -> Result<Vec<String>, ConnectorError> {
    let Undo { grant, token, account, privilege } = one.clone();
    remove(&Order { grant, token, account, privilege, expires_at: order.expires_at })
}

/// What is to be removed.
pub(super) fn remove(order: &Order) -> Result<Vec<String>, ConnectorError> {
    let mut words = common(order)?;
    for argument in [order.privilege.subject(), order.privilege.handling()].into_iter().flatten() {
        words.push(plain(&argument)?);
    }
    Ok(words)
}

/// KIND GRANT TOKEN NAME UID. Everything here and in the arguments above is a plain word by its form, which is checked again:
/// a word may not be empty and may hold nothing that a shell could see.
fn common(order: &Order) -> Result<Vec<String>, ConnectorError> {
    let uid = order.account.uid;
    let name = account_name(&order.account.name)?;
    // Numbers below 1000 are the system's own accounts. They are never made, locked or removed, and given nothing.
    if uid < 1000 {
        return Err(ConnectorError::Refused(format!(
            "number {uid} belongs to the system: set the resource's uid_range, or name another account"
        )));
    }
    if order.token.is_empty() || !order.token.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(ConnectorError::Refused("the grant's token is not hexadecimal".to_owned()));
    }
    Ok(vec![order.privilege.kind().to_owned(), order.grant.to_string(), order.token.clone(), name, uid.to_string()])
}

impl Opened {
    fn word(&self, id: SecretId) -> Result<String, ConnectorError> {
        let found = self.0.iter().find(|(known, _)| *known == id);
        let word = found.map(|(_, secret)| secret.expose(|text| encode(text))).unwrap_or_default();
        // Passwords are ours: a line end would make two entries of one.
        if word.is_empty() || found.is_some_and(|(_, secret)| secret.expose(|text| text.contains(char::is_control))) {
            return Err(ConnectorError::Refused("a password of the order is empty or not one line".to_owned()));
        }
        Ok(word)
    }
}

fn arguments(order: &Order) -> Result<Vec<Argument>, ConnectorError> {
    order
        .privilege
        .arguments(order.expires_at)
        .map_err(|why| ConnectorError::Refused(format!("{why}: change the activity")))
}

/// An argument that needs to know nothing of the host.
fn plain(argument: &Argument) -> Result<String, ConnectorError> {
    match argument {
        Argument::Name(name) if name == "ALL" => Ok(name.clone()),
        Argument::Name(name) => account_name(name),
        Argument::Text(text) if text.is_empty() || text.contains('\0') => {
            Err(ConnectorError::Refused("a text of the order is empty or holds NUL".to_owned()))
        }
        Argument::Text(text) => Ok(encode(text)),
        Argument::Day(_) | Argument::Secret(_) | Argument::SshdTime(_) | Argument::Time(_) => {
            Err(ConnectorError::Refused("times and secrets are for placing only".to_owned()))
        }
    }
}

/// Bytes that are not plain become `\0ooo`, which only `printf %b` on the host reads.
pub(super) fn encode(text: &str) -> String {
    let mut word = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"_./:=+,@-".contains(&byte) {
            word.push(char::from(byte));
        } else {
            word.push_str(&format!("\\0{byte:03o}"));
        }
    }
    word
}

/// The name as a word, if it is one.
pub(super) fn account_name(name: &str) -> Result<String, ConnectorError> {
    let fits = name.len() <= 32
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-');
    if fits {
        return Ok(name.to_owned());
    }
    Err(ConnectorError::Refused(format!("`{name}` is not a name that Linux takes: at most 32 of `a-z0-9_-`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_hold_nothing_that_a_shell_could_read() {
        let word = encode("/bin/x '$(id)' `id` \"\\n\" *;|&<>\u{e4}");
        assert!(word.bytes().all(|b| b.is_ascii_alphanumeric() || b"\\_./:=+,@-".contains(&b)), "{word}");
        assert_eq!(encode("a b"), "a\\0040b");
        assert_eq!(encode("\\"), "\\0134");
    }

    #[test]
    fn names_are_names_and_secrets_are_one_line() {
        for bad in ["", "-rf", "a b", "Alice", "a;b", "*"] {
            assert!(plain(&Argument::Name(bad.to_owned())).is_err(), "{bad}");
        }
        assert_eq!(plain(&Argument::Name("ALL".to_owned())), Ok("ALL".to_owned()));
        let id: SecretId = "sec_01jcpt2k9m00000000000000ab".parse().expect("an id");
        for (secret, fits) in [("Correct horse", true), ("", false), ("a\nroot:x", false)] {
            let opened = Opened(vec![(id, Secret::new(secret.to_owned()))]);
            assert_eq!(opened.word(id).is_ok(), fits, "{secret}");
        }
        assert!(Opened::default().word(id).is_err());
    }
}
