//! The port to directories of people (LDAP): who somebody is there, and whether a password is theirs.
//!
//! What a directory answers is a stranger's word about names and groups; what follows from it is decided by who asks.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{Secret, Timestamp};

mod filter;
mod url;

pub use filter::check_filter;
pub use url::DirectoryUrl;

/// Where a directory is, and how people are found in it.
pub struct Directory {
    pub url: DirectoryUrl,
    /// Encrypts a plain connection before anything else is said on it.
    pub start_tls: bool,
    /// Certificates in PEM that are trusted in place of the system's.
    pub ca: Option<String>,
    /// Who searches. Without it the directory is asked anonymously.
    pub searcher: Option<Searcher>,
    /// People and groups are looked for here and below.
    pub base_dn: String,
    /// Finds the entry of one person; `{user}` is the name that they typed.
    pub user_filter: String,
    /// Finds the groups of one person, beside those that their entry lists; `{dn}` is the entry's name.
    pub group_filter: String,
    pub user_attribute: String,
    pub name_attribute: String,
    pub email_attribute: String,
}

/// The account that Cardea itself has in a directory.
pub struct Searcher {
    pub dn: String,
    pub password: Secret,
}

impl Directory {
    /// Everybody below a group's parents as well: Active Directory's matching rule in chain. Others find nothing by it, and are
    /// told by the attribute `memberOf` or a filter of their own.
    pub const GROUP_FILTER: &str = "(member:1.2.840.113556.1.4.1941:={dn})";
    pub const USER_FILTER: &str = "(&(objectCategory=person)(objectClass=user)(sAMAccountName={user}))";
    pub const USER_ATTRIBUTE: &str = "sAMAccountName";
    pub const NAME_ATTRIBUTE: &str = "displayName";
    pub const EMAIL_ATTRIBUTE: &str = "mail";
}

/// Somebody, as a directory tells of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryPerson {
    /// What stays when they are renamed or moved: `objectGUID` or `entryUUID`.
    pub subject: String,
    /// What they sign in with.
    pub user: String,
    pub name: Option<String>,
    pub email: Option<String>,
    /// The directory itself lets them in no more.
    pub is_disabled: bool,
    pub expires_at: Option<Timestamp>,
    /// The distinguished names of their groups, also of those that they are in by way of others.
    pub groups: Vec<String>,
}

impl DirectoryPerson {
    /// Why the directory keeps them out; `None` if it does not.
    pub fn keeps_out(&self, now: Timestamp) -> Option<&'static str> {
        if self.is_disabled {
            return Some("disabled in the directory");
        }
        self.expires_at.filter(|at| *at <= now).map(|_| "expired in the directory")
    }
}

/// Whose password is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sought<'a> {
    /// Whoever the filter of people finds by what was typed.
    Name(&'a str),
    /// Whoever has this number.
    Subject(&'a str),
}

/// What a directory says to a name and a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectoryVerdict {
    Right(DirectoryPerson),
    /// There is such a person; the password is not theirs, or they may not use it now. Why, for administrators.
    Wrong(String),
    /// There is nobody of that name.
    Unknown,
}

/// A directory could not be asked, or its answer is no answer. A sentence for administrators, without secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DirectoryFault(pub String);

/// Asks directories. Every call ends within a bounded time.
#[async_trait]
pub trait Directories: Send + Sync {
    /// Whether the password is that of the one person who is sought. An empty password is nobody's: directories take it for
    /// an anonymous visitor and say yes (RFC 4513, 5.1.2).
    async fn sign_in(
        &self,
        directory: &Arc<Directory>,
        sought: Sought<'_>,
        password: &Secret,
    ) -> Result<DirectoryVerdict, DirectoryFault>;

    /// Those of these people who are there, and whom the filter of people still finds.
    async fn look_up(
        &self,
        directory: &Arc<Directory>,
        subjects: &[String],
    ) -> Result<Vec<DirectoryPerson>, DirectoryFault>;
}

/// A distinguished name as it is compared: without case and without blanks around its parts (RFC 4514 writes none).
pub fn fold_dn(dn: &str) -> String {
    let mut folded = String::with_capacity(dn.len());
    let mut is_escaped = false;
    for c in dn.trim().chars() {
        let is_part = matches!(c, ',' | '=' | '+') && !is_escaped;
        if is_part {
            folded.truncate(trimmed(&folded));
            folded.push(c);
        } else if c != ' ' || is_escaped || !folded.ends_with([',', '=', '+']) {
            folded.extend(c.to_lowercase());
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    folded
}

/// How long a text is without its blanks at the end; one that is escaped belongs to it.
fn trimmed(text: &str) -> usize {
    let length = text.trim_end_matches(' ').len();
    let is_escaped = length < text.len() && text[..length].ends_with('\\');
    if is_escaped { length + 1 } else { length }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_however_they_are_written() {
        let folded = "cn=admins,ou=groups,dc=example,dc=com";
        for written in
            [folded, "CN=Admins,OU=Groups,DC=Example,DC=com", " cn = admins , ou=groups,  dc=example,dc = com "]
        {
            assert_eq!(fold_dn(written), folded, "{written}");
        }
        assert_ne!(fold_dn("cn=admins\\,ou=groups,dc=example,dc=com"), folded, "an escaped comma parts nothing");
        assert_ne!(fold_dn("cn=a\\ ,dc=x"), fold_dn("cn=a,dc=x"), "an escaped blank is one");
        assert_ne!(fold_dn("cn=ad mins,dc=x"), fold_dn("cn=admins,dc=x"));
    }

    #[test]
    fn who_is_disabled_or_expired_is_kept_out() {
        let at = Timestamp::from_micros(1_000);
        let person = DirectoryPerson {
            subject: "1".to_owned(),
            user: "alice".to_owned(),
            name: None,
            email: None,
            is_disabled: false,
            expires_at: None,
            groups: Vec::new(),
        };
        assert_eq!(person.keeps_out(at), None);
        assert!(DirectoryPerson { is_disabled: true, ..person.clone() }.keeps_out(at).is_some());
        let expiring = DirectoryPerson { expires_at: Some(at), ..person };
        assert!(expiring.keeps_out(at).is_some());
        assert_eq!(expiring.keeps_out(Timestamp::from_micros(999)), None);
    }
}
