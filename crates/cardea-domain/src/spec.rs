//! What administrators write: the `spec` of each kind of configuration object.
//!
//! A key whose behaviour does not exist yet is refused at its place, never stored and ignored.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{AccountTemplate, Action, Elevation, Period, Role, Secret, UidRange};

/// A kind of configuration object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Kind {
    AccessPolicy,
    Activity,
    ConnectionProfile,
    Group,
    Resource,
    ResourceGroup,
    ServiceAccount,
    User,
}

impl Kind {
    /// Every kind, those that others refer to first.
    pub const ALL: [Self; 8] = [
        Self::User,
        Self::Group,
        Self::ServiceAccount,
        Self::Resource,
        Self::ResourceGroup,
        Self::Activity,
        Self::ConnectionProfile,
        Self::AccessPolicy,
    ];

    /// The kind as YAML writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessPolicy => "AccessPolicy",
            Self::Activity => "Activity",
            Self::ConnectionProfile => "ConnectionProfile",
            Self::Group => "Group",
            Self::Resource => "Resource",
            Self::ResourceGroup => "ResourceGroup",
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
            Self::Resource => "resources",
            Self::ResourceGroup => "resource-groups",
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
            Self::Resource => "res",
            Self::ResourceGroup => "rsg",
            Self::ServiceAccount => "sva",
            Self::User => "usr",
        }
    }

    /// Keys of the product's format that this version does not serve yet.
    fn keys_to_come(self) -> &'static [&'static str] {
        match self {
            Self::AccessPolicy => &["schedule"],
            Self::Activity => &["session", "post_session"],
            Self::ConnectionProfile => &[
                "extension",
                "approval",
                "allow",
                "direct_login",
                "password_access",
                "custom_fields",
                "monitor_interval",
                "idle_limit",
                "on_policy_change",
                "leftovers",
            ],
            Self::Group | Self::ResourceGroup | Self::ServiceAccount => &[],
            Self::Resource => &["via"],
            Self::User => &["accounts", "expires_at", "disabled"],
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
    Password,
    PrivateKey,
    SudoPassword,
}

impl SecretField {
    /// The field's key in a spec. In YAML files it is this with `_file` appended.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::PrivateKey => "private_key",
            Self::SudoPassword => "sudo_password",
        }
    }

    /// The secret keys that a kind takes.
    pub fn of(kind: Kind) -> &'static [Self] {
        match kind {
            Kind::ServiceAccount => &[Self::Password, Self::PrivateKey, Self::SudoPassword],
            Kind::User => &[Self::Password],
            Kind::AccessPolicy
            | Kind::Activity
            | Kind::ConnectionProfile
            | Kind::Group
            | Kind::Resource
            | Kind::ResourceGroup => &[],
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
    Ssh,
}

/// What a person must show to connect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConnectAuth {
    /// A key that they registered.
    #[default]
    Key,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UserSpec {
    /// The name that people read.
    #[serde(default)]
    pub full_name: String,
    /// Mail address.
    #[serde(default)]
    pub email: String,
    /// What the user may do beside what policies give.
    #[serde(default = "only_user")]
    pub roles: Vec<Role>,
    /// Public keys in OpenSSH form, one line each; the user connects through the gateway with any of them.
    #[serde(default)]
    pub ssh_keys: Vec<String>,
}

fn only_user() -> Vec<Role> {
    vec![Role::User]
}

/// A set of users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupSpec {
    /// Names of users.
    #[serde(default)]
    pub members: Vec<String>,
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

/// What may be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActivitySpec {
    pub platform: Platform,
    pub protocol: Protocol,
    pub login_account: LoginAccountSpec,
    /// What is placed before the session is available, in this order; removed in the reverse order at its end.
    #[serde(default)]
    pub pre_session: Vec<Action>,
}

/// Which account the person uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginAccountSpec {
    #[serde(rename = "type")]
    pub kind: LoginAccountKind,
    #[serde(default)]
    pub template: AccountTemplate,
}

/// Where the login account comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoginAccountKind {
    /// Made for this session, destroyed after.
    ActivityToken,
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
}

/// The spec of an object of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spec {
    AccessPolicy(AccessPolicySpec),
    Activity(ActivitySpec),
    ConnectionProfile(ConnectionProfileSpec),
    Group(GroupSpec),
    Resource(ResourceSpec),
    ResourceGroup(ResourceGroupSpec),
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
        let faults = spec.faults();
        if faults.is_empty() { Ok((spec, secrets)) } else { Err(faults) }
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
            Kind::Resource => Self::Resource(read(value)?),
            Kind::ResourceGroup => Self::ResourceGroup(read(value)?),
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
            Self::Resource(_) => Kind::Resource,
            Self::ResourceGroup(_) => Kind::ResourceGroup,
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
            Self::Resource(spec) => serde_json::to_value(spec),
            Self::ResourceGroup(spec) => serde_json::to_value(spec),
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
                check(spec.full_name.chars().count() > 200, "full_name", "at most 200 characters");
                check(
                    spec.email.len() > 254 || spec.email.contains(char::is_control),
                    "email",
                    "write one mail address",
                );
                check(spec.roles.is_empty(), "roles", "list at least one of administrator, auditor, user");
                check(spec.ssh_keys.len() > 50, "ssh_keys", "at most 50 keys");
                for (index, key) in spec.ssh_keys.iter().enumerate() {
                    check(
                        !is_public_key(key),
                        &format!("ssh_keys/{index}"),
                        "write a public key as `ssh-keygen` prints it: type, key, comment, on one line",
                    );
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
                check(
                    spec.record,
                    "record",
                    "recording does not exist yet in this version of Cardea: nothing would be recorded, so `true` is refused",
                );
            }
            Self::AccessPolicy(spec) => {
                check(spec.users.is_empty() && spec.groups.is_empty(), "users", "name at least one user or group");
                check(spec.activities.is_empty(), "activities", "name at least one activity");
                check(
                    spec.resources.is_empty() && spec.resource_groups.is_empty(),
                    "resources",
                    "name at least one resource or resource group",
                );
            }
            Self::ResourceGroup(spec) => {
                check(
                    spec.resources.is_empty() && spec.match_labels.is_empty(),
                    "resources",
                    "name at least one resource or label",
                );
            }
            Self::Activity(spec) => {
                check(spec.pre_session.len() > 32, "pre_session", "at most 32 actions");
                for (index, action) in spec.pre_session.iter().enumerate() {
                    check(
                        !action.serves(spec.platform),
                        &format!("pre_session/{index}"),
                        "this action does not exist on this platform",
                    );
                    for (field, message) in action.faults() {
                        let name = match action {
                            Action::AddSudoRule(_) => "add_sudo_rule",
                            Action::AddToGroup(_) => "add_to_group",
                        };
                        check(true, &format!("pre_session/{index}/{name}/{field}"), &message);
                    }
                }
            }
            Self::Group(_) => {}
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
fn is_public_key(line: &str) -> bool {
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
