//! Notices: what people and programs outside are told about, by mail and webhook, and the port that hands them over.

use std::{collections::BTreeMap, fmt, str::FromStr};

use async_trait::async_trait;

use crate::{NoticeId, Timestamp};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// A request waits for somebody's yes.
    RequestWaiting,
    /// It was decided about, or nobody did in time.
    RequestDecided,
    /// A session that was asked for a time to come is about to begin.
    SessionStarting,
    /// A session is about to end.
    SessionEnding,
    /// What a session placed on a host does not go away.
    CleanupStalled,
    /// Somebody is to choose a password.
    Invited,
    /// Somebody signed in as a user from where they did not before.
    NewDevice,
    /// Somebody registered an SSH key as a user.
    NewKey,
}

impl NoticeKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::RequestWaiting,
        Self::RequestDecided,
        Self::SessionStarting,
        Self::SessionEnding,
        Self::CleanupStalled,
        Self::Invited,
        Self::NewDevice,
        Self::NewKey,
    ];

    /// The kind in settings, on the wire and as the name of its template.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RequestWaiting => "request_waiting",
            Self::RequestDecided => "request_decided",
            Self::SessionStarting => "session_starting",
            Self::SessionEnding => "session_ending",
            Self::CleanupStalled => "cleanup_stalled",
            Self::Invited => "invited",
            Self::NewDevice => "new_device",
            Self::NewKey => "new_key",
        }
    }

    /// The names of the facts that a notice of this kind comes with. One that is not known in a case is empty.
    pub fn facts(self) -> &'static [&'static str] {
        match self {
            Self::RequestWaiting => &[
                "activity",
                "approvers",
                "decide_by",
                "duration",
                "link",
                "notes",
                "policy",
                "recipient",
                "resources",
                "start",
                "ticket",
                "user",
            ],
            Self::RequestDecided => {
                &["activity", "by", "decision", "link", "reason", "recipient", "resources", "start", "user"]
            }
            Self::SessionStarting => &["activity", "link", "recipient", "resources", "start", "user"],
            Self::SessionEnding => &["activity", "end", "left", "link", "recipient", "resources", "user"],
            Self::CleanupStalled => &["activity", "link", "reason", "recipient", "resources", "user"],
            Self::Invited => &["by", "expires", "link", "recipient", "user"],
            Self::NewDevice => &["address", "at", "device", "link", "recipient", "user"],
            Self::NewKey => &["at", "fingerprint", "key", "link", "recipient", "user"],
        }
    }
}

impl fmt::Display for NoticeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for NoticeKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            format!("`{text}` is nothing that is told about: write some of {known}")
        })
    }
}

/// How far a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoticeState {
    /// It will be sent, or sent again.
    Waiting,
    /// Its receiver took it.
    Sent,
    /// Nobody took it in time.
    Failed,
    /// It was not true any more when its turn came.
    Dropped,
}

impl NoticeState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Sent, Self::Failed, Self::Dropped];

    /// The state on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}

/// What a notice says, by the names of [`NoticeKind::facts`].
pub type Facts = BTreeMap<String, String>;

/// A mail. The courier adds from whom it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The same for every attempt, so that a second copy can be told for one.
    pub id: NoticeId,
    /// When what it tells of happened.
    pub at: Timestamp,
    /// A mail address.
    pub to: String,
    pub subject: String,
    pub text: String,
    /// The same as `text`.
    pub html: String,
}

/// What a webhook is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// Headers beside those of every request.
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub body: String,
}

/// Hands notices to the world outside. Each attempt ends within a bounded time; an error is a sentence for administrators
/// and holds no secret.
#[async_trait]
pub trait Courier: Send + Sync {
    /// Returns when the mail server has taken the mail.
    async fn mail(&self, mail: &Mail) -> Result<(), String>;

    /// Returns when the webhook of this name has taken it.
    async fn post(&self, webhook: &str, post: &Post) -> Result<(), String>;
}

/// Whether it is one mail address of the plain kind: no quotes, comments, blanks or other scripts, so that it means the
/// same to whoever reads it.
pub fn is_mail_address(text: &str) -> bool {
    const LENGTH_MAX: usize = 254;
    const LOCAL_MAX: usize = 64;
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let is_atom = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte))
    };
    let is_label = |part: &str| {
        !part.is_empty()
            && part.len() <= 63
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.len() <= LENGTH_MAX
        && local.len() <= LOCAL_MAX
        && local.split('.').all(is_atom)
        && domain.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_addresses_are_taken_and_tricks_are_not() {
        for good in ["alice@example.com", "a.b+c@mail.example.com", "root@localhost", "o'hara@example.com"] {
            assert!(is_mail_address(good), "{good}");
        }
        let long = format!("{}@example.com", "a".repeat(65));
        for bad in [
            "",
            "alice",
            "@example.com",
            "alice@",
            "a b@example.com",
            "alice@exa mple.com",
            "alice@example.com\n",
            "alice@example.com\r\nBcc: eve@example.com",
            "alice@example.com,eve@example.com",
            "a@b@example.com",
            "\"a b\"@example.com",
            "<alice@example.com>",
            ".a@example.com",
            "a..b@example.com",
            "alice@-x.example",
            "аlice@example.com",
            "alice@example.com.",
            &long,
        ] {
            assert!(!is_mail_address(bad), "{bad:?}");
        }
    }

    #[test]
    fn every_kind_is_read_as_it_is_written() {
        for kind in NoticeKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert!(kind.facts().is_sorted() && kind.facts().contains(&"link") && kind.facts().contains(&"recipient"));
        }
        assert!("everything".parse::<NoticeKind>().is_err());
    }
}
