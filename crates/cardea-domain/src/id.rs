//! Identifiers: a prefix that says what they name, then 26 characters that sort by time of creation.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{Entropy, Kind, Timestamp};

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH: usize = 26;

/// The text is not an identifier of the expected kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id: it should look like `{prefix}_` and 26 letters and digits")]
pub struct IdError {
    text: String,
    prefix: &'static str,
}

/// 48 bits of milliseconds, 80 bits of randomness: what ULID and UUIDv7 do too.
fn time_ordered(now: Timestamp, entropy: &dyn Entropy) -> u128 {
    let mut random = [0; 10];
    entropy.fill(&mut random);
    let millis = u128::try_from(now.as_micros() / 1000).unwrap_or(0) & 0xffff_ffff_ffff;
    random.iter().fold(millis, |value, byte| value << 8 | u128::from(*byte))
}

fn write(f: &mut fmt::Formatter<'_>, prefix: &str, value: u128) -> fmt::Result {
    let mut text = [0; LENGTH];
    for (place, letter) in text.iter_mut().rev().enumerate() {
        let digit = usize::try_from(value >> (5 * place) & 31).unwrap_or(0);
        *letter = ALPHABET[digit];
    }
    write!(f, "{prefix}_{}", std::str::from_utf8(&text).unwrap_or_default())
}

fn parse(text: &str, prefix: &'static str) -> Result<u128, IdError> {
    let wrong = || IdError { text: text.chars().take(64).collect(), prefix };
    let digits = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')).ok_or_else(wrong)?;
    if digits.len() != LENGTH || digits.as_bytes()[0] > b'7' {
        return Err(wrong());
    }
    digits.bytes().try_fold(0u128, |value, byte| {
        let digit = ALPHABET.iter().position(|letter| *letter == byte).ok_or_else(wrong)?;
        Ok(value << 5 | u128::try_from(digit).unwrap_or(0))
    })
}

macro_rules! ids { ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => { $(
    $(#[$doc])*
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct $name(u128);

    impl $name {
        /// What every id of this type starts with, before the underscore.
        pub const PREFIX: &'static str = $prefix;

        /// A new id. Sorts after every id minted in an earlier millisecond.
        pub fn mint(now: Timestamp, entropy: &dyn Entropy) -> Self {
            Self(time_ordered(now, entropy))
        }
    }

    impl fmt::Display for $name {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write(f, $prefix, self.0)
        }
    }

    impl FromStr for $name {
        type Err = IdError;

        fn from_str(text: &str) -> Result<Self, IdError> {
            parse(text, $prefix).map(Self)
        }
    }

    impl Serialize for $name {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(self)
        }
    }

    impl<'de> Deserialize<'de> for $name {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
        }
    }

    impl schemars::JsonSchema for $name {
        fn schema_name() -> std::borrow::Cow<'static, str> {
            stringify!($name).into()
        }

        fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
            id_schema(&format!("^{}_[0-9a-z]{{{LENGTH}}}$", $prefix))
        }
    }
)* } }

fn id_schema(pattern: &str) -> schemars::Schema {
    schemars::json_schema!({ "type": "string", "pattern": pattern })
}

ids! {
    /// One approver's decision.
    ApprovalId = "apr";
    /// One protocol connection through the gateway.
    ConnectionId = "con";
    /// One privilege in the grant ledger.
    GrantId = "grt";
    /// One invitation to choose a password.
    InvitationId = "inv";
    /// One notice to one receiver.
    NoticeId = "ntc";
    /// A public key that a user registered themselves.
    OwnKeyId = "key";
    /// A passkey that a user registered.
    PasskeyId = "psk";
    /// What a user submitted; several sessions may share it.
    RequestId = "req";
    /// One sealed secret in the vault.
    SecretId = "sec";
    /// One activity session.
    SessionId = "ses";
    /// One person's authenticated use of the web UI.
    SignInId = "sgn";
    /// One API token.
    TokenId = "tok";
}

/// The id of a configuration object; its prefix says the kind (`usr_…`, `res_…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    kind: Kind,
    value: u128,
}

impl ObjectId {
    /// A new id for an object of this kind.
    pub fn mint(kind: Kind, now: Timestamp, entropy: &dyn Entropy) -> Self {
        Self { kind, value: time_ordered(now, entropy) }
    }

    /// From the first id of a kind to the last.
    pub(crate) fn all_of(kind: Kind) -> std::ops::RangeInclusive<Self> {
        Self { kind, value: 0 }..=Self { kind, value: u128::MAX }
    }

    /// What kind of object it names.
    pub fn kind(self) -> Kind {
        self.kind
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.kind.id_prefix(), self.value)
    }
}

impl FromStr for ObjectId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let kind =
            Kind::ALL.into_iter().find(|kind| text.strip_prefix(kind.id_prefix()).is_some_and(|t| t.starts_with('_')));
        let kind = kind.ok_or_else(|| IdError { text: text.chars().take(64).collect(), prefix: "usr" })?;
        Ok(Self { kind, value: parse(text, kind.id_prefix())? })
    }
}

impl Serialize for ObjectId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ObjectId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl schemars::JsonSchema for ObjectId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ObjectId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        id_schema(&format!("^[a-z]{{3}}_[0-9a-z]{{{LENGTH}}}$"))
    }
}

/// Whether the text starts like an id (`ses_…`): such a name is refused, so that names and ids never mix.
pub(crate) fn starts_like_id(text: &str) -> bool {
    const OTHERS: [&str; 11] = ["apr", "con", "grt", "inv", "key", "ntc", "req", "sec", "ses", "sgn", "tok"];
    let folded = text.to_lowercase();
    let prefixes = Kind::ALL.into_iter().map(Kind::id_prefix).chain(OTHERS);
    prefixes.into_iter().any(|prefix| folded.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(['_', ' '])))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(u8);

    impl Entropy for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn ids_round_trip_sort_by_time_and_refuse_strangers() {
        let early = SessionId::mint(Timestamp::from_micros(1_000_000), &Fixed(255));
        let late = SessionId::mint(Timestamp::from_micros(2_000_000), &Fixed(0));
        assert_eq!(early.to_string().parse(), Ok(early));
        assert!(early.to_string() < late.to_string());
        for wrong in [
            "",
            "ses_",
            "grt_00000000000000000000000000",
            "ses_0000000000000000000000000u",
            "ses_80000000000000000000000000",
        ] {
            assert!(wrong.parse::<SessionId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn object_ids_know_their_kind() {
        let id = ObjectId::mint(Kind::Resource, Timestamp::from_micros(0), &Fixed(7));
        assert!(id.to_string().starts_with("res_"));
        assert_eq!(id.to_string().parse(), Ok(id));
    }
}
