//! Login accounts: the accounts on a resource that people use.

use serde::{Deserialize, Serialize};

use crate::{Entropy, fold};

/// An account on a resource, as Cardea knows it: by name and by the numeric id that was recorded for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginAccount {
    /// At most 32 of `[a-z0-9_-]`, starting with a letter or `_`.
    pub name: String,
    /// From the resource's range; never used twice.
    pub uid: u32,
}

/// The numbers that accounts on a resource are made with, first and last included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "[u32; 2]", into = "[u32; 2]")]
#[schemars(with = "[u32; 2]")]
pub struct UidRange {
    /// First number of the range.
    pub first: u32,
    /// Last number of the range.
    pub last: u32,
}

impl Default for UidRange {
    fn default() -> Self {
        Self { first: 70_000, last: 79_999 }
    }
}

impl TryFrom<[u32; 2]> for UidRange {
    type Error = String;

    fn try_from([first, last]: [u32; 2]) -> Result<Self, String> {
        // Below 1000 are system accounts; 65534 and 65535 are nobody and -1 of old kernels; the top is -1 and -2.
        let clear = first >= 1000
            && last < u32::MAX - 1
            && !(first..=last).contains(&65_534)
            && !(first..=last).contains(&65_535);
        if first > last || !clear {
            return Err(format!(
                "[{first}, {last}] is not a range of user ids: first <= last, from 1000, without 65534 and 65535"
            ));
        }
        Ok(Self { first, last })
    }
}

impl From<UidRange> for [u32; 2] {
    fn from(range: UidRange) -> Self {
        [range.first, range.last]
    }
}

/// How the name of an activity-token account is made: text with `{user}` and `{random}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct AccountTemplate(String);

impl Default for AccountTemplate {
    fn default() -> Self {
        Self("{user}-{random}".to_owned())
    }
}

impl AccountTemplate {
    /// The longest name that Linux's account tools take.
    const LENGTH_MAX: usize = 32;
    /// 30 bits: two sessions of one user meet by chance once in a billion.
    const RANDOM_LENGTH: usize = 6;

    /// A name for a new account of this user. The random part is never cut: the rest gives way.
    pub fn name(&self, user: &str, entropy: &dyn Entropy) -> String {
        let mut bytes = [0; Self::RANDOM_LENGTH];
        entropy.fill(&mut bytes);
        let random: String =
            bytes.iter().map(|b| char::from(b"abcdefghijklmnopqrstuvwxyz234567"[usize::from(b & 31)])).collect();
        let fixed = self.0.replace("{user}", "").replace("{random}", &random).chars().count();
        let user: String = folded(user).chars().take(Self::LENGTH_MAX.saturating_sub(fixed + 1)).collect();
        let name = folded(&self.0.replace("{user}", &user).replace("{random}", &random));
        if name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_') { name } else { format!("u{name}") }
    }
}

/// Whether Linux's account tools take the text as a name, and nothing takes it for anything else.
pub(crate) fn is_account_name(text: &str) -> bool {
    text.len() <= AccountTemplate::LENGTH_MAX
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-')
}

/// Only the characters that every account tool takes.
fn folded(text: &str) -> String {
    fold(text).chars().map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' { c } else { '_' }).collect()
}

impl TryFrom<String> for AccountTemplate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bare = text.replace("{user}", "").replace("{random}", "");
        if !text.contains("{random}") {
            return Err("a template holds `{random}`, so that no two sessions share an account".to_owned());
        }
        if bare.contains(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-'))
            || bare.len() > 16
        {
            return Err("a template holds `{user}`, `{random}` and at most 16 of `a-z0-9_-`".to_owned());
        }
        if text.matches("{random}").count() > 1 || text.matches("{user}").count() > 1 {
            return Err("a template holds `{user}` and `{random}` once each at most".to_owned());
        }
        Ok(Self(text))
    }
}

impl From<AccountTemplate> for String {
    fn from(template: AccountTemplate) -> Self {
        template.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Entropy for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    #[test]
    fn every_user_name_gives_an_account_name_that_linux_takes() {
        let long = "x".repeat(64);
        for user in ["alice", "Älice O'Neil", "; rm -rf /", "9lives", "-", long.as_str()] {
            let name = AccountTemplate::default().name(user, &Fixed);
            assert!(name.len() <= 32 && name.ends_with("-aaaaaa"), "{name}");
            assert!(name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_'), "{name}");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c)), "{name}");
        }
    }

    #[test]
    fn templates_and_ranges_that_cannot_work_are_refused() {
        for bad in ["{user}", "x{random}{random}", "{random};", "abcdefghijklmnopq{random}"] {
            assert!(AccountTemplate::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        for bad in [[5, 3], [0, 2000], [60_000, 70_000], [70_000, u32::MAX]] {
            assert!(UidRange::try_from(bad).is_err(), "{bad:?}");
        }
    }
}
