//! What administrators write: the `spec` of each kind of configuration object.
//!
//! A key whose behaviour does not exist yet is refused at its place, never stored and ignored.

mod activity;

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

pub use self::activity::{ActivitySpec, LoginAccountSpec};
use crate::{
    ApprovalSpec, BreakGlassSpec, CustomField, DirectLogin, Elevation, Extension, GroupProcesses, Leftovers, OnChange,
    PasswordAccess, Period, Rules, Schedule, Secret, UidRange,
};

mod identity;
mod ldap;
mod people;

pub use identity::{IdentityProtocol, IdentityProviderSpec, OidcClaims, OidcSpec, UserIdentity};
pub use ldap::LdapSpec;
pub use people::{GroupSpec, RoleSpec, ScopeSpec, UserSpec};

/// A kind of configuration object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Kind {
    AccessPolicy,
    Activity,
    ConnectionProfile,
    Group,
    IdentityProvider,
    Resource,
    ResourceGroup,
    Role,
    ServiceAccount,
    User,
}

impl Kind {
    /// Every kind, those that others refer to first.
    pub const ALL: [Self; 10] = [
        Self::User,
        Self::Group,
        Self::ServiceAccount,
        Self::Resource,
        Self::ResourceGroup,
        Self::Activity,
        Self::ConnectionProfile,
        Self::AccessPolicy,
        Self::Role,
        Self::IdentityProvider,
    ];

    /// The kind as YAML writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessPolicy => "AccessPolicy",
            Self::Activity => "Activity",
            Self::ConnectionProfile => "ConnectionProfile",
            Self::Group => "Group",
            Self::IdentityProvider => "IdentityProvider",
            Self::Resource => "Resource",
            Self::ResourceGroup => "ResourceGroup",
            Self::Role => "Role",
            Self::ServiceAccount => "ServiceAccount",
            Self::User => "User",
        }
    }

    /// The kind as the API's paths write it.
    pub fn plural(self) -> &'static str {
        match self {
            Self::AccessPolicy => "access-policies",
            Self::Activity => "activities",
            Self::ConnectionProfile => "connection-profiles",
            Self::Group => "groups",
            Self::IdentityProvider => "identity-providers",
            Self::Resource => "resources",
            Self::ResourceGroup => "resource-groups",
            Self::Role => "roles",
            Self::ServiceAccount => "service-accounts",
            Self::User => "users",
        }
    }

    /// What ids of this kind start with.
    pub fn id_prefix(self) -> &'static str {
        match self {
            Self::AccessPolicy => "pol",
            Self::Activity => "act",
            Self::ConnectionProfile => "prf",
            Self::Group => "grp",
            Self::IdentityProvider => "idn",
            Self::Resource => "res",
            Self::ResourceGroup => "rsg",
            Self::Role => "rol",
            Self::ServiceAccount => "sva",
            Self::User => "usr",
        }
    }

    /// Keys of the product's format that this version does not serve yet.
    fn keys_to_come(self) -> &'static [&'static str] {
        match self {
            Self::ConnectionProfile => &["allow"],
            Self::AccessPolicy
            | Self::Activity
            | Self::Group
            | Self::IdentityProvider
            | Self::ResourceGroup
            | Self::Role
            | Self::ServiceAccount
            | Self::User => &[],
            Self::Resource => &["via"],
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            format!("`{text}` is not a kind: write one of {known}")
        })
    }
}

/// Something wrong with one field of an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) into the input, `/spec/port`.
    pub pointer: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl FieldError {
    /// An error at a pointer.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into() }
    }
}

/// A secret key of a spec: given once, sealed in the vault, never read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretField {
    BindPassword,
    ClientSecret,
    Password,
    PrivateKey,
    SudoPassword,
}

impl SecretField {
    /// Every field.
    pub const ALL: [Self; 5] =
        [Self::BindPassword, Self::ClientSecret, Self::Password, Self::PrivateKey, Self::SudoPassword];

    /// The field's key in a spec. In YAML files it is this with `_file` appended.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BindPassword => "bind_password",
            Self::ClientSecret => "client_secret",
            Self::Password => "password",
            Self::PrivateKey => "private_key",
            Self::SudoPassword => "sudo_password",
        }
    }

    /// The secret keys that a kind takes.
    pub fn of(kind: Kind) -> &'static [Self] {
        match kind {
            Kind::IdentityProvider => &[Self::BindPassword, Self::ClientSecret],
            Kind::ServiceAccount => &[Self::Password, Self::PrivateKey, Self::SudoPassword],
            Kind::User => &[Self::Password],
            Kind::AccessPolicy
            | Kind::Activity
            | Kind::ConnectionProfile
            | Kind::Group
            | Kind::Resource
            | Kind::ResourceGroup
            | Kind::Role => &[],
        }
    }
}

/// A secret that came in with a spec.
pub struct SecretInput {
    /// Which key it stood at.
    pub field: SecretField,
    /// Its value.
    pub value: Secret,
}

/// What a resource is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// A Linux host reached over SSH.
    Linux,
}

/// What people connect with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Nothing: the activity runs its actions and ends.
    None,
    Ssh,
}

/// What a person must show to connect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum ConnectAuth {
    /// A key that they registered.
    #[serde(rename = "key")]
    Key,
    /// The same, and a second factor within the last minutes, if they have one.
    #[default]
    #[serde(rename = "key+mfa")]
    KeyAndFactor,
}

/// The account that Cardea itself uses on resources. Takes `private_key` or `password`, and `sudo_password`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceAccountSpec {
    pub platform: Platform,
    /// Its name on the resources.
    pub user: String,
    pub elevation: Elevation,
}

/// A host with privilege on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResourceSpec {
    pub platform: Platform,
    /// Host name or IP address.
    pub address: String,
    #[serde(default = "ssh_port")]
    pub port: u16,
    /// Name of a service account.
    pub service_account: String,
    /// The host's public key: one OpenSSH line without comment. Until it is set, nothing connects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_key: Option<String>,
    /// Where accounts are made.
    #[serde(default)]
    pub uid_range: UidRange,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

fn ssh_port() -> u16 {
    22
}

/// A set of resources: those named, and those with all the labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResourceGroupSpec {
    #[serde(default)]
    pub resources: Vec<String>,
    #[serde(default)]
    pub match_labels: BTreeMap<String, String>,
}

/// The rules of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectionProfileSpec {
    /// How long a session lasts, counted from when it is ready.
    pub max_duration: Period,
    /// Whether the request must carry notes.
    #[serde(default)]
    pub require_notes: bool,
    /// Whether the request must carry a ticket number.
    #[serde(default)]
    pub require_ticket: bool,
    /// Whether connections are recorded. Nothing is recorded yet, so only `false` is taken.
    #[serde(default)]
    pub record: bool,
    #[serde(default)]
    pub connect_auth: ConnectAuth,
    /// Whether somebody has to say yes before a session begins, and who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalSpec>,
    /// Whether sessions begin at once, with an alert, and are reviewed afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<BreakGlassSpec>,
    /// Whether and how far a session may be made longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<Extension>,
    /// How long before the end its user is warned.
    #[serde(default = "end_warnings")]
    pub end_warnings: Vec<Period>,
    /// Ends a session on which nobody was for so long. Without it nothing does before its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_limit: Option<Period>,
    /// What a log-in past the gateway means.
    #[serde(default)]
    pub direct_login: DirectLogin,
    /// Whether the session's user may see the password of the login account.
    #[serde(default)]
    pub password_access: PasswordAccess,
    /// How long a password that is shown stays on the screen.
    #[serde(default = "password_hide_after")]
    pub password_hide_after: Period,
    /// How often the resource is asked who is logged in.
    #[serde(default = "monitor_interval")]
    pub monitor_interval: Period,
    /// What happens to a session when its user, policy, activity or resource give it no more.
    #[serde(default)]
    pub on_policy_change: OnChange,
    /// What happens to a session when the hours of its policy are over.
    #[serde(default)]
    pub on_hours_close: OnChange,
    /// What becomes of files that a login account leaves outside its home.
    #[serde(default)]
    pub leftovers: Leftovers,
    /// What becomes of processes that still hold a group when its membership ends.
    #[serde(default)]
    pub group_processes: GroupProcesses,
    /// Whether to refuse a host that cannot end a privilege by itself when Cardea is gone.
    #[serde(default)]
    pub require_host_expiry: bool,
    /// What else the request asks for.
    #[serde(default)]
    pub custom_fields: Vec<CustomField>,
}

fn end_warnings() -> Vec<Period> {
    Rules::END_WARNINGS.to_vec()
}

fn monitor_interval() -> Period {
    Rules::MONITOR_INTERVAL
}

fn password_hide_after() -> Period {
    Rules::PASSWORD_HIDE_AFTER
}

impl ConnectionProfileSpec {
    /// What a session requested now runs by.
    pub fn rules(&self) -> Rules {
        Rules {
            break_glass: self.break_glass.is_some(),
            connect_auth: self.connect_auth,
            direct_login: self.direct_login,
            end_warnings: self.end_warnings.clone(),
            extension: self.extension,
            group_processes: self.group_processes,
            has_login: true,
            idle_limit: self.idle_limit,
            leftovers: self.leftovers,
            monitor_interval: self.monitor_interval,
            on_hours_close: self.on_hours_close,
            on_policy_change: self.on_policy_change,
            password_access: self.password_access,
            password_hide_after: self.password_hide_after,
            require_host_expiry: self.require_host_expiry,
        }
    }

    /// What the types alone cannot refuse: the key, and what to write instead.
    fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut check = |bad: bool, key: &str, message: &str| {
            if bad {
                faults.push((key.to_owned(), message.to_owned()));
            }
        };
        check(
            self.record,
            "record",
            "recording does not exist yet in this version of Cardea: nothing would be recorded, so `true` is refused",
        );
        let is_descending = self.end_warnings.windows(2).all(|pair| pair[0] > pair[1]);
        check(self.end_warnings.len() > 8 || !is_descending, "end_warnings", "list at most 8, longest first");
        check(
            self.monitor_interval < Period::from_seconds(5) || self.monitor_interval > Period::from_seconds(3600),
            "monitor_interval",
            "write 5s to 1h",
        );
        check(
            self.password_access == PasswordAccess::Reveal && self.direct_login == DirectLogin::Deny,
            "password_access",
            "a password opens the account past the gateway, and `direct_login: deny` forbids that: write `alert` or `allow` \
             there, or `none` here",
        );
        check(
            self.password_hide_after < Period::from_seconds(5) || self.password_hide_after > Period::from_seconds(600),
            "password_hide_after",
            "write 5s to 10m",
        );
        check(
            self.idle_limit.is_some_and(|limit| limit < Period::from_seconds(60)),
            "idle_limit",
            "write at least 1m: who connects needs a moment",
        );
        check(
            self.extension.is_some_and(|extension| extension.limit == 0 || extension.limit > 100),
            "extension/limit",
            "write 1 to 100 times, or leave `extension` out",
        );
        check(
            self.approval.is_none() && self.extension.is_some_and(|extension| extension.approval),
            "extension/approval",
            "name in `approval` who has to approve it, or leave this out",
        );
        check(
            self.approval.is_some() && self.break_glass.is_some(),
            "break_glass",
            "who breaks the glass does not wait for approval: leave `approval` or this out",
        );
        check(self.custom_fields.len() > CustomField::COUNT_MAX, "custom_fields", "at most 16 fields");
        for (index, field) in self.custom_fields.iter().enumerate() {
            if let Some((key, message)) = field.fault() {
                check(true, &format!("custom_fields/{index}/{key}"), message);
            }
            let is_twice = self.custom_fields[..index].iter().any(|other| other.name == field.name);
            check(is_twice, &format!("custom_fields/{index}/name"), "this field stands in the profile twice");
        }
        if let Some(approval) = &self.approval {
            faults.extend(approval.faults());
        }
        if let Some(break_glass) = &self.break_glass {
            faults.extend(break_glass.faults());
        }
        faults
    }
}

/// Who may do which activities on which resources, and by which rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessPolicySpec {
    #[serde(default)]
    pub users: Vec<String>,
    #[serde(default)]
    pub groups: Vec<String>,
    pub activities: Vec<String>,
    #[serde(default)]
    pub resources: Vec<String>,
    #[serde(default)]
    pub resource_groups: Vec<String>,
    pub connection_profile: String,
    /// When the policy holds; always if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
}

/// The spec of an object of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spec {
    AccessPolicy(AccessPolicySpec),
    Activity(ActivitySpec),
    ConnectionProfile(ConnectionProfileSpec),
    Group(GroupSpec),
    IdentityProvider(IdentityProviderSpec),
    Resource(ResourceSpec),
    ResourceGroup(ResourceGroupSpec),
    Role(RoleSpec),
    ServiceAccount(ServiceAccountSpec),
    User(UserSpec),
}

impl Spec {
    /// Reads a spec as administrators write it. Secrets are taken out of it on the way.
    pub fn parse(kind: Kind, value: Value) -> Result<(Self, Vec<SecretInput>), Vec<FieldError>> {
        let Value::Object(mut map) = value else {
            return Err(vec![FieldError::new("/spec", "write a map of keys and values")]);
        };
        let mut errors = Vec::new();
        let mut secrets = Vec::new();
        for field in SecretField::of(kind) {
            match map.remove(field.as_str()) {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) if !text.is_empty() => {
                    secrets.push(SecretInput { field: *field, value: Secret::new(text) });
                }
                Some(_) => {
                    errors.push(FieldError::new(format!("/spec/{}", field.as_str()), "write a text that is not empty"));
                }
            }
        }
        for key in kind.keys_to_come().iter().filter(|key| map.contains_key(**key)) {
            let message = format!("`{key}` is not available in this version of Cardea: take the line out");
            errors.push(FieldError::new(format!("/spec/{key}"), message));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let spec = Self::typed(kind, Value::Object(map)).map_err(|error| vec![error])?;
        let mut faults = spec.faults();
        faults.extend(secrets.iter().filter(|secret| !spec.takes(secret.field)).map(|secret| {
            let key = secret.field.as_str();
            FieldError::new(format!("/spec/{key}"), format!("`{key}` is of no use by this protocol: take the line out"))
        }));
        if faults.is_empty() { Ok((spec, secrets)) } else { Err(faults) }
    }

    /// Whether a secret that its kind takes is of use in this spec.
    fn takes(&self, field: SecretField) -> bool {
        let Self::IdentityProvider(spec) = self else { return true };
        match spec.protocol {
            IdentityProtocol::Ldap(_) => field == SecretField::BindPassword,
            IdentityProtocol::Oidc(_) => field == SecretField::ClientSecret,
        }
    }

    /// Reads a spec as [`Spec::to_json`] wrote it.
    pub fn from_stored(kind: Kind, value: Value) -> Result<Self, FieldError> {
        Self::typed(kind, value)
    }

    fn typed(kind: Kind, value: Value) -> Result<Self, FieldError> {
        Ok(match kind {
            Kind::AccessPolicy => Self::AccessPolicy(read(value)?),
            Kind::Activity => Self::Activity(read(value)?),
            Kind::ConnectionProfile => Self::ConnectionProfile(read(value)?),
            Kind::Group => Self::Group(read(value)?),
            Kind::IdentityProvider => Self::IdentityProvider(IdentityProviderSpec::read(value)?),
            Kind::Resource => Self::Resource(read(value)?),
            Kind::ResourceGroup => Self::ResourceGroup(read(value)?),
            Kind::Role => Self::Role(read(value)?),
            Kind::ServiceAccount => Self::ServiceAccount(read(value)?),
            Kind::User => Self::User(read(value)?),
        })
    }

    /// What kind of object has this spec.
    pub fn kind(&self) -> Kind {
        match self {
            Self::AccessPolicy(_) => Kind::AccessPolicy,
            Self::Activity(_) => Kind::Activity,
            Self::ConnectionProfile(_) => Kind::ConnectionProfile,
            Self::Group(_) => Kind::Group,
            Self::IdentityProvider(_) => Kind::IdentityProvider,
            Self::Resource(_) => Kind::Resource,
            Self::ResourceGroup(_) => Kind::ResourceGroup,
            Self::Role(_) => Kind::Role,
            Self::ServiceAccount(_) => Kind::ServiceAccount,
            Self::User(_) => Kind::User,
        }
    }

    /// The spec as it is stored and shown: complete, without secrets, the same text for the same spec.
    pub fn to_json(&self) -> Value {
        let value = match self {
            Self::AccessPolicy(spec) => serde_json::to_value(spec),
            Self::Activity(spec) => serde_json::to_value(spec),
            Self::ConnectionProfile(spec) => serde_json::to_value(spec),
            Self::Group(spec) => serde_json::to_value(spec),
            Self::IdentityProvider(spec) => serde_json::to_value(spec),
            Self::Resource(spec) => serde_json::to_value(spec),
            Self::ResourceGroup(spec) => serde_json::to_value(spec),
            Self::Role(spec) => serde_json::to_value(spec),
            Self::ServiceAccount(spec) => serde_json::to_value(spec),
            Self::User(spec) => serde_json::to_value(spec),
        };
        value.expect("specs hold only texts, numbers, lists and maps with text keys")
    }

    /// What the types alone cannot refuse.
    fn faults(&self) -> Vec<FieldError> {
        let mut faults = Vec::new();
        let mut check = |bad: bool, pointer: &str, message: &str| {
            if bad {
                faults.push(FieldError::new(format!("/spec/{pointer}"), message));
            }
        };
        match self {
            Self::User(spec) => {
                for (key, message) in spec.faults() {
                    check(true, &key, &message);
                }
            }
            Self::IdentityProvider(spec) => {
                for (key, message) in spec.faults() {
                    check(true, &key, &message);
                }
            }
            Self::Role(spec) => {
                for (key, message) in spec.faults() {
                    check(true, &key, &message);
                }
            }
            Self::ServiceAccount(spec) => {
                check(
                    spec.user.is_empty() || spec.user.len() > 64 || spec.user.contains(char::is_control),
                    "user",
                    "write the account's name on the resources",
                );
            }
            Self::Resource(spec) => {
                check(!is_address(&spec.address), "address", "write a host name or an IP address");
                check(spec.port == 0, "port", "write a port from 1 to 65535");
                let key_is_wrong =
                    spec.host_key.as_deref().is_some_and(|key| !is_public_key(key) || key.split(' ').count() != 2);
                check(
                    key_is_wrong,
                    "host_key",
                    "write one public key without comment, as `ssh-keyscan` prints it behind the host name",
                );
            }
            Self::ConnectionProfile(spec) => {
                for (key, message) in spec.faults() {
                    check(true, &key, &message);
                }
            }
            Self::AccessPolicy(spec) => {
                check(spec.users.is_empty() && spec.groups.is_empty(), "users", "name at least one user or group");
                check(spec.activities.is_empty(), "activities", "name at least one activity");
                check(
                    spec.resources.is_empty() && spec.resource_groups.is_empty(),
                    "resources",
                    "name at least one resource or resource group",
                );
                for (key, message) in spec.schedule.iter().flat_map(Schedule::faults) {
                    check(true, &format!("schedule/{key}"), &message);
                }
            }
            Self::ResourceGroup(spec) => {
                check(
                    spec.resources.is_empty() && spec.match_labels.is_empty(),
                    "resources",
                    "name at least one resource or label",
                );
            }
            Self::Activity(spec) => {
                for (field, message) in spec.faults() {
                    check(true, &field, &message);
                }
            }
            Self::Group(spec) => {
                if let Some((key, message)) = spec.faults() {
                    check(true, key, message);
                }
            }
        }
        faults
    }
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, FieldError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let mut pointer = String::from("/spec");
        for segment in error.path() {
            match segment {
                serde_path_to_error::Segment::Map { key } | serde_path_to_error::Segment::Enum { variant: key } => {
                    pointer.push('/');
                    pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
                }
                serde_path_to_error::Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
                serde_path_to_error::Segment::Unknown => {}
            }
        }
        FieldError::new(pointer, error.inner().to_string())
    })
}

/// Type, base64 and at most a comment. Whether the key itself is sound is checked where keys are used.
pub fn is_public_key(line: &str) -> bool {
    const TYPES: [&str; 7] = [
        "ssh-ed25519",
        "ssh-rsa",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    ];
    let mut parts = line.splitn(3, ' ');
    let (kind, body) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let decoded = data_encoding::BASE64.decode(body.as_bytes()).unwrap_or_default();
    // RFC 4253, 6.6: the blob repeats the type behind its length.
    let inner = decoded.get(4..4 + kind.len());
    !line.contains(char::is_control) && line.len() <= 8192 && TYPES.contains(&kind) && inner == Some(kind.as_bytes())
}

fn is_address(text: &str) -> bool {
    let host_name = text.len() <= 253
        && !text.starts_with(['-', '.'])
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.' || c == '_');
    !text.is_empty() && (host_name || text.parse::<std::net::IpAddr>().is_ok())
}
