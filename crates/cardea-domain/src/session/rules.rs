//! The rules that a session runs by: what its connection profile said when it was requested.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{ConnectAuth, Period};

/// How often and by how much a session may be made longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Extension {
    /// By how much at most, each time.
    pub by: Period,
    /// How many times.
    pub limit: u32,
    /// Whether those who approve sessions have to approve it, each time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub approval: bool,
}

/// What a log-in past the gateway means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DirectLogin {
    /// The account gets no way in but the gateway's, and the session ends when somebody is seen there.
    Deny,
    /// It is written down, and an alert goes out.
    #[default]
    Alert,
    /// It counts like one through the gateway.
    Allow,
}

/// Whether people may see the password of their session's login account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PasswordAccess {
    /// Nobody does.
    #[default]
    None,
    /// The session's own user does, as often as they ask; each time is written down.
    Reveal,
}

/// What happens to a running session when what gave it changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnChange {
    /// It ends.
    #[default]
    End,
    /// It lives on until its own end.
    Keep,
}

/// What becomes of files that a login account leaves outside its home.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Leftovers {
    /// Moved to a folder of root's on the host.
    Archive,
    /// They become root's, where they are.
    #[default]
    Chown,
    /// Removed, each by itself.
    Delete,
}

impl Leftovers {
    /// The word on the wire and on hosts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::Chown => "chown",
            Self::Delete => "delete",
        }
    }
}

/// What becomes of processes that still hold a group when the membership of their account ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupProcesses {
    /// They are ended.
    #[default]
    End,
    /// They are left, and named in the session's log.
    Report,
}

impl GroupProcesses {
    /// The word on the wire and on hosts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::End => "end",
            Self::Report => "report",
        }
    }
}

/// What a custom field of the request takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// One line of text.
    #[default]
    Text,
    /// A whole number, written in decimal.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A day, `2026-12-31`.
    Date,
    /// One of the choices.
    Choice,
}

/// A field that a profile adds to the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomField {
    /// At most 32 of `[a-z0-9_]`, starting with a letter. Scripts read it as `CARDEA_CUSTOM_NAME`.
    pub name: String,
    /// What people read beside the field; the name if left out.
    #[serde(default)]
    pub label: String,
    #[serde(default, rename = "type")]
    pub kind: FieldType,
    #[serde(default)]
    pub required: bool,
    /// For `choice`: what there is to choose from.
    #[serde(default)]
    pub choices: Vec<String>,
}

impl CustomField {
    /// The most fields that a profile may add.
    pub const COUNT_MAX: usize = 16;
    /// The longest value, in characters.
    pub const VALUE_MAX: usize = 256;

    /// What is wrong with the field itself: the key below it, and what to write instead.
    pub(crate) fn fault(&self) -> Option<(&'static str, &'static str)> {
        let named = self.name.len() <= 32
            && self.name.starts_with(|c: char| c.is_ascii_lowercase())
            && self.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        let fits = |text: &String| {
            !text.is_empty() && text.chars().count() <= Self::VALUE_MAX && !text.contains(char::is_control)
        };
        match self.kind {
            _ if !named => Some(("name", "at most 32 of `a-z0-9_`, starting with a letter")),
            _ if !self.label.is_empty() && !fits(&self.label) => Some(("label", "at most 256 printable characters")),
            FieldType::Choice if self.choices.is_empty() || self.choices.len() > 100 => {
                Some(("choices", "list 1 to 100 choices"))
            }
            FieldType::Choice if !self.choices.iter().all(fits) => {
                Some(("choices", "a choice has 1 to 256 printable characters"))
            }
            FieldType::Choice => None,
            _ if !self.choices.is_empty() => Some(("choices", "only a field of type `choice` has choices")),
            _ => None,
        }
    }

    /// What is wrong with a value given for the field; `None` if nothing is.
    pub fn refuses(&self, value: Option<&str>) -> Option<String> {
        let label = if self.label.is_empty() { &self.name } else { &self.label };
        let Some(value) = value.map(str::trim).filter(|value| !value.is_empty()) else {
            return self.required.then(|| format!("`{label}` must be filled in"));
        };
        if value.chars().count() > Self::VALUE_MAX || value.contains(char::is_control) {
            return Some(format!("`{label}` takes at most {} printable characters", Self::VALUE_MAX));
        }
        match self.kind {
            FieldType::Text => None,
            FieldType::Number => value.parse::<i64>().is_err().then(|| format!("`{label}` takes a whole number")),
            FieldType::Boolean => {
                (value != "true" && value != "false").then(|| format!("`{label}` takes `true` or `false`"))
            }
            FieldType::Date => value
                .parse::<jiff::civil::Date>()
                .is_err()
                .then(|| format!("`{label}` takes a day, written like 2026-12-31")),
            FieldType::Choice => (!self.choices.iter().any(|choice| choice == value))
                .then(|| format!("`{label}` takes one of: {}", self.choices.join(", "))),
        }
    }
}

/// The values of a request's custom fields, by name.
pub type CustomValues = BTreeMap<String, String>;

/// What a session runs by from request to clean-up, whatever becomes of its profile meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Whether it begins without anybody's yes and is reviewed afterwards.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub break_glass: bool,
    pub connect_auth: ConnectAuth,
    pub direct_login: DirectLogin,
    /// How long before the end to say so, longest first.
    pub end_warnings: Vec<Period>,
    pub extension: Option<Extension>,
    pub group_processes: GroupProcesses,
    /// Whether people log in to it. Without, its actions run and it ends.
    pub has_login: bool,
    /// Ends a session on which nobody was for so long.
    pub idle_limit: Option<Period>,
    pub leftovers: Leftovers,
    pub monitor_interval: Period,
    /// What happens when the policy's hours are over.
    pub on_hours_close: OnChange,
    /// What happens when user, policy, activity or resource give the session no more.
    pub on_policy_change: OnChange,
    pub password_access: PasswordAccess,
    /// How long a password that is shown stays on the screen.
    pub password_hide_after: Period,
    /// Whether to refuse a host that cannot end a privilege by itself.
    pub require_host_expiry: bool,
}

impl Rules {
    /// How often hosts are asked who is logged in, unless the profile says otherwise.
    pub const MONITOR_INTERVAL: Period = Period::from_seconds(30);
    /// How long a password that is shown stays on the screen, unless the profile says otherwise.
    pub const PASSWORD_HIDE_AFTER: Period = Period::from_seconds(30);
    /// When a session's end is announced, unless the profile says otherwise.
    pub const END_WARNINGS: [Period; 2] = [Period::from_seconds(600), Period::from_seconds(60)];
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            break_glass: false,
            // What sessions were made with that do not say it.
            connect_auth: ConnectAuth::Key,
            direct_login: DirectLogin::default(),
            end_warnings: Self::END_WARNINGS.to_vec(),
            extension: None,
            group_processes: GroupProcesses::default(),
            has_login: true,
            idle_limit: None,
            leftovers: Leftovers::default(),
            monitor_interval: Self::MONITOR_INTERVAL,
            on_hours_close: OnChange::default(),
            on_policy_change: OnChange::default(),
            password_access: PasswordAccess::default(),
            password_hide_after: Self::PASSWORD_HIDE_AFTER,
            require_host_expiry: false,
        }
    }
}
