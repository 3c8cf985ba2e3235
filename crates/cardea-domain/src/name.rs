//! Names of configuration objects. They are data everywhere: never part of a command, a path or a query.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use unicode_security::skeleton;

use crate::id::starts_like_id;

/// 1 to 64 printable characters, no `+`, not starting like an id. Unique per kind after [`fold`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a name has 1 to 64 characters")]
    Length,
    #[error(
        "a name may not hold `{0}`: `+` separates the fields of an SSH user name, and only printable characters are allowed"
    )]
    Character(String),
    #[error("a name may not start or end with a space")]
    Space,
    #[error("a name may not start like an id (`ses_`, `usr_`, …)")]
    LikeId,
}

impl Name {
    const LENGTH_MAX: usize = 64;

    /// Checks and takes a name.
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        if text.is_empty() || text.chars().count() > Self::LENGTH_MAX {
            return Err(NameError::Length);
        }
        if let Some(bad) = text.chars().find(|c| is_forbidden(*c)) {
            return Err(NameError::Character(bad.escape_unicode().to_string()));
        }
        if text.starts_with(' ') || text.ends_with(' ') {
            return Err(NameError::Space);
        }
        if starts_like_id(&text) {
            return Err(NameError::LikeId);
        }
        Ok(Self(text))
    }

    /// The name as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What uniqueness is judged by, and what references are looked up by.
    pub fn folded(&self) -> String {
        fold(&self.0)
    }
}

/// What names have none of: what hides or reorders text, the joiners, line breaks and the `+` of SSH user names.
fn is_forbidden(c: char) -> bool {
    c == '+' || (c.is_whitespace() && c != ' ') || is_unprintable(c) || matches!(c, '\u{200c}' | '\u{200d}')
}

/// Whether a character is a control, or one that hides or reorders what stands beside it: nothing that people read has any. The
/// joiners U+200C and U+200D, which some scripts and emoji need, are not among them.
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Lower case, with spaces as underscores: `Linux admin` and `linux_ADMIN` are one name.
pub fn fold(text: &str) -> String {
    text.to_lowercase().replace(' ', "_")
}

/// What a name looks like: the same for names that a person cannot tell apart, such as one with a Cyrillic `а`, one in full-width
/// letters, or one whose accents are letters of their own (UTS #39, 4).
pub fn look(name: &str) -> String {
    skeleton(&fold(name)).collect()
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_nobody_can_tell_apart_look_the_same() {
        for twin in ["\u{430}lice", "\u{ff41}lice", "ALIC\u{415}", "a\u{2113}ice"] {
            assert!(fold(twin) != "alice" && look(twin) == look("alice"), "{twin}");
        }
        assert_eq!(look("jos\u{e9}"), look("jose\u{301}"));
        for other in ["alicia", "\u{e4}lice", "bob"] {
            assert_ne!(look(other), look("alice"), "{other}");
        }
    }

    #[test]
    fn names_that_could_be_mistaken_for_something_else_are_refused() {
        for good in ["web1", "Linux admin", "Ärger & Söhne", "a/b; rm -rf $(x)", "session"] {
            assert!(Name::new(good).is_ok(), "{good}");
        }
        let long = "x".repeat(65);
        for bad in ["", " a", "a ", "a+b", "a\nb", "a\u{202e}b", "ses_x", "USR_x", "ses x", long.as_str()] {
            assert!(Name::new(bad).is_err(), "{bad}");
        }
        assert_eq!(fold("Linux ADMIN"), "linux_admin");
    }
}
