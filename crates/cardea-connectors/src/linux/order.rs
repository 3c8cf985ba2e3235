//! Orders as the words that a host's shell is sent.

use cardea_domain::{ConnectorError, Order, Privilege};

use super::{link::Facts, sudoers};

/// GRANT TOKEN NAME UID behind the kind, and the one thing that looking needs beside.
pub(super) fn observe(order: &Order) -> Result<Vec<String>, ConnectorError> {
    let mut words = common(order)?;
    words.push(match &order.privilege {
        Privilege::GroupMembership { group } => group.clone(),
        Privilege::Account | Privilege::AuthorizedKey { .. } | Privilege::SudoRule { .. } => "-".to_owned(),
    });
    Ok(words)
}

/// What is to be placed. Times are told in the target's own clock.
pub(super) fn place(order: &Order, facts: &Facts) -> Result<Vec<String>, ConnectorError> {
    let mut words = common(order)?;
    let end = facts.on_target(order.expires_at);
    match &order.privilege {
        Privilege::Account => {
            // shadow(5) counts whole days, and the account is closed from that day on.
            words.extend([end.day_after(), (end.as_seconds().div_euclid(86_400) + 1).to_string()]);
        }
        Privilege::AuthorizedKey { public_key } => {
            let expiry = if facts.sshd_reads_utc { end.compact() } else { format!("@{}", end.as_seconds()) };
            words.extend([expiry, encode(bare_key(public_key)?)]);
        }
        Privilege::GroupMembership { group } => words.push(group.clone()),
        Privilege::SudoRule { commands, run_as } => {
            words.push(encode(&sudoers::rule(order.account.uid, run_as, commands, &end.compact())?));
        }
    }
    Ok(words)
}

/// What is to be removed.
pub(super) fn remove(order: &Order) -> Result<Vec<String>, ConnectorError> {
    let mut words = common(order)?;
    if let Privilege::GroupMembership { group } = &order.privilege {
        words.push(group.clone());
    }
    Ok(words)
}

/// KIND GRANT TOKEN NAME UID. Everything here and in the arguments above is a plain word by its form, which is checked again:
/// a word may not be empty and may hold nothing that a shell could see.
fn common(order: &Order) -> Result<Vec<String>, ConnectorError> {
    let uid = order.account.uid;
    let mut names = vec![order.account.name.as_str()];
    match &order.privilege {
        Privilege::GroupMembership { group } => names.push(group),
        Privilege::SudoRule { run_as, .. } if run_as != "ALL" => names.push(run_as),
        Privilege::Account | Privilege::AuthorizedKey { .. } | Privilege::SudoRule { .. } => {}
    }
    if let Some(bad) = names.into_iter().find(|name| !is_account_name(name)) {
        return Err(ConnectorError::Refused(format!(
            "`{bad}` is not a name that Linux takes: at most 32 of `a-z0-9_-`"
        )));
    }
    // Numbers below 1000 are the system's own accounts. They are never made, locked or removed.
    if uid < 1000 {
        return Err(ConnectorError::Refused(format!(
            "number {uid} belongs to the system: set the resource's uid_range"
        )));
    }
    if order.token.is_empty() || !order.token.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(ConnectorError::Refused("the grant's token is not hexadecimal".to_owned()));
    }
    Ok(vec![
        order.privilege.kind().to_owned(),
        order.grant.to_string(),
        order.token.clone(),
        order.account.name.clone(),
        uid.to_string(),
    ])
}

/// Bytes that are not plain become `\0ooo`, which only `printf %b` on the host reads.
fn encode(text: &str) -> String {
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

/// Type and body of a public-key line. The comment is ours to write, and nothing of the line can be an option.
fn bare_key(line: &str) -> Result<&str, ConnectorError> {
    let mut parts = line.splitn(3, ' ');
    let (Some(kind), Some(body)) = (parts.next(), parts.next()) else {
        return Err(ConnectorError::Refused("the key is not one OpenSSH public-key line".to_owned()));
    };
    let plain = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=@.-".contains(&byte))
    };
    if !plain(kind) || !plain(body) {
        return Err(ConnectorError::Refused("the key is not one OpenSSH public-key line".to_owned()));
    }
    Ok(&line[..kind.len() + 1 + body.len()])
}

fn is_account_name(text: &str) -> bool {
    text.len() <= 32
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-')
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
    fn keys_lose_their_comment_and_cannot_carry_options() {
        assert_eq!(bare_key("ssh-ed25519 AAAA= alice"), Ok("ssh-ed25519 AAAA="));
        for bad in ["", "ssh-ed25519", "command=\"x\" ssh-ed25519 AAAA", "ssh-ed25519 AA\nAA x"] {
            assert!(bare_key(bad).is_err(), "{bad}");
        }
    }
}
