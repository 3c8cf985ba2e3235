//! Actions: typed changes on a target. Each is one file below `action/` and one line in [`each_action`]: its parameters, what
//! it places (its effect), and the Linux end of that. Its inverse and its evidence belong to the effect, so whoever lists an
//! action gets its clean-up for free.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, MapAccess, Visitor},
    ser::SerializeMap,
};
use serde_json::{Map, Value};

use crate::{DirectLogin, GroupProcesses, Platform, Privilege, SecretId, Timestamp};

/// The table of actions. A line is `name: Parameters => Effect(type of the effect)`; the effect's name in `snake_case` is the kind of
/// the privilege, and what its functions on a host are named by.
macro_rules! each_action {
    ($callback:ident) => {
        $callback! {
            add_sudo_rule: AddSudoRule => SudoRule(AddSudoRule);
            add_to_group: AddToGroup => GroupMembership(Membership);
            authorize_key: AuthorizeKey => PersonalKey(PersonalKey);
            log_off_user: LogOffUser => LogOff(LogOffUser);
            run_script: RunScript => Script(RunScript);
            set_password: SetPassword => Password(FreshPassword);
        }
    };
}

pub(crate) use each_action;

/// What administrators write for an action.
pub(crate) trait Act {
    /// Whether the action exists on this platform.
    fn serves(platform: Platform) -> bool {
        platform == Platform::Linux
    }

    /// Whether it sets a password, which the caller makes and seals.
    const TAKES_PASSWORD: bool = false;

    /// What a person reads in a list of what an activity does.
    fn describe(&self) -> String;

    /// What is wrong with the parameters: the field below the action, and what to write instead.
    fn faults(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// What it places, or why that cannot be said.
    fn privileges(&self, given: &Given<'_>) -> Result<Vec<Privilege>, String>;
}

/// What an action puts on a target, and how.
pub(crate) trait Effect {
    /// POSIX sh for the host's script: the functions `observe_KIND`, `place_KIND` and `remove_KIND`, and where the target keeps an
    /// end or the effect can be suspended, `extend_KIND`, `suspend_KIND` and `resume_KIND`.
    const LINUX: &'static str;
    /// The effect's name in the table, in `snake_case`: what its privilege is called on the wire and on hosts.
    const KIND: &'static str;

    /// See [`Privilege::stays`].
    const STAYS: bool = true;
    /// See [`Privilege::is_unproven`].
    const UNPROVEN: bool = false;
    /// See [`Privilege::may_preexist`].
    const MAY_PREEXIST: bool = false;
    /// See [`Privilege::needs_account`].
    const NEEDS_ACCOUNT: bool = true;

    /// What a person reads while it is being placed: "adding …".
    fn describe(&self) -> String;

    /// Whether it lets the person act as root, who could forge what is read back.
    fn gives_root(&self) -> bool {
        false
    }

    /// The one thing that looking and removing must know beside the account.
    fn subject(&self) -> Option<Argument> {
        None
    }

    /// What removing must know beside the subject.
    fn handling(&self) -> Option<Argument> {
        None
    }

    /// What `place_KIND` is called with, or why it cannot be placed. `end` is when the target is to end it by itself.
    fn arguments(&self, _end: Timestamp) -> Result<Vec<Argument>, String> {
        Ok(Vec::new())
    }
}

/// One argument of a function on a host. However it is made, it reaches the function as one word that nothing reads as shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// The first day that lies wholly behind this time. Arrives as two words: `2026-12-31`, and days since 1970.
    Day(Timestamp),
    /// An account's or group's name, `ALL`, or a plain word: at most 32 of `a-z0-9_-`. Arrives as it is.
    Name(String),
    /// The value of a sealed secret; only bytes without line ends. Arrives encoded: `printf %b` decodes it.
    Secret(SecretId),
    /// A time as the host's sshd reads it: `20261231235959Z`, or `@SECONDS` where it knows only its own zone.
    SshdTime(Timestamp),
    /// Any text that is not empty. Arrives encoded: `printf %b` decodes it.
    Text(String),
    /// A time in the host's own clock: `20261231235959Z`.
    Time(Timestamp),
}

/// What a session knows that actions may need.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given<'a> {
    /// The keys that the session's user registered.
    pub ssh_keys: &'a [String],
    /// A fresh password, sealed: for actions that [take one](Action::takes_password).
    pub password: Option<SecretId>,
    /// What a log-in past the gateway means.
    pub direct_login: DirectLogin,
    /// What becomes of processes that still hold a group when its membership ends.
    pub group_processes: GroupProcesses,
}

macro_rules! actions { ($($name:ident: $action:ident => $effect:ident($type:ident);)*) => {
    $(mod $name;)*
    $(pub use $name::$action;)*

    /// A typed change on a target: what administrators write behind its name.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum Action { $(
        #[doc = concat!("`", stringify!($name), "`.")]
        $action($action),
    )* }

    impl Action {
        /// Every action's name, as administrators write it.
        pub const NAMES: &'static [&'static str] = &[$(stringify!($name)),*];

        /// The action's name.
        pub fn name(&self) -> &'static str {
            match self { $(Self::$action(_) => stringify!($name),)* }
        }

        /// Whether the action exists on this platform.
        pub fn serves(&self, platform: Platform) -> bool {
            match self { $(Self::$action(_) => $action::serves(platform),)* }
        }

        /// Whether it works on a login account.
        pub fn needs_account(&self) -> bool {
            match self { $(Self::$action(_) => <$type as Effect>::NEEDS_ACCOUNT,)* }
        }

        /// Whether something is out there after it that is to be removed again.
        pub fn leaves_something(&self) -> bool {
            match self { $(Self::$action(_) => <$type as Effect>::STAYS,)* }
        }

        /// Whether the caller must give it a fresh, sealed password.
        pub fn takes_password(&self) -> bool {
            match self { $(Self::$action(_) => $action::TAKES_PASSWORD,)* }
        }

        /// What a person reads in a list of what an activity does.
        pub fn describe(&self) -> String {
            match self { $(Self::$action(action) => Act::describe(action),)* }
        }

        /// What is wrong with the parameters: the field below the action, and what to write instead.
        pub fn faults(&self) -> Vec<(String, String)> {
            match self { $(Self::$action(action) => action.faults(),)* }
        }

        /// What the action puts on the target, in the order of placing. The error says what the user lacks.
        pub fn privileges(&self, given: &Given<'_>) -> Result<Vec<Privilege>, String> {
            match self { $(Self::$action(action) => action.privileges(given),)* }
        }

        fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
            match self { $(Self::$action(action) => map.serialize_entry(stringify!($name), action),)* }
        }

        fn read<'de, M: MapAccess<'de>>(name: &str, map: &mut M) -> Result<Self, M::Error> {
            match name {
                $(stringify!($name) => map.next_value().map(Self::$action),)*
                _ => Err(M::Error::custom(format!(
                    "`{name}` is not an action: write one of {}, and beside it at most continue_on_error",
                    Self::NAMES.join(", ")
                ))),
            }
        }

        /// A schema for each action's parameters, by its name.
        fn schemas(generator: &mut SchemaGenerator) -> Vec<(&'static str, Schema)> {
            vec![$((stringify!($name), generator.subschema_for::<$action>())),*]
        }
    }
} }

each_action!(actions);

pub use add_to_group::Membership;
pub use authorize_key::PersonalKey;
pub use set_password::FreshPassword;

/// One entry of an activity's stage: a map with the action's name as its key, and beside it at most `continue_on_error`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageEntry {
    pub action: Action,
    /// Whether the session goes on when the action fails. What it may have left is removed all the same.
    pub continue_on_error: bool,
}

const CONTINUE_ON_ERROR: &str = "continue_on_error";

impl Serialize for StageEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.action.write(&mut map)?;
        if self.continue_on_error {
            map.serialize_entry(CONTINUE_ON_ERROR, &true)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for StageEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntryReader)
    }
}

/// Reads an entry key by key, so that what is wrong is named at its place.
struct EntryReader;

impl<'de> Visitor<'de> for EntryReader {
    type Value = StageEntry;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a map with one key, one of {}", Action::NAMES.join(", "))
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<StageEntry, M::Error> {
        let (mut action, mut continue_on_error) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            if key == CONTINUE_ON_ERROR {
                if continue_on_error.replace(map.next_value()?).is_some() {
                    return Err(M::Error::duplicate_field(CONTINUE_ON_ERROR));
                }
            } else if action.replace(Action::read(&key, &mut map)?).is_some() {
                return Err(M::Error::custom("write one action to an entry: each gets a `-` of its own"));
            }
        }
        let names = || M::Error::custom(format!("write an action: one of {}", Action::NAMES.join(", ")));
        Ok(StageEntry { action: action.ok_or_else(names)?, continue_on_error: continue_on_error.unwrap_or(false) })
    }
}

impl JsonSchema for StageEntry {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "StageEntry".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut kinds = Vec::new();
        for (name, parameters) in Action::schemas(generator) {
            let mut properties = Map::new();
            properties.insert(name.to_owned(), parameters.into());
            properties.insert(
                CONTINUE_ON_ERROR.to_owned(),
                serde_json::json!({
                    "type": "boolean", "default": false,
                    "description": "Whether the session goes on when the action fails.",
                }),
            );
            kinds.push(serde_json::json!({
                "type": "object", "additionalProperties": false, "required": [name], "properties": Value::Object(properties),
            }));
        }
        json_schema!({
            "description": "One entry of an activity's stage: a map with the action's name as its key.",
            "oneOf": kinds,
        })
    }
}

/// Type and body of a public-key line. The comment is ours to write.
pub(crate) fn bare_key(line: &str) -> String {
    line.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
