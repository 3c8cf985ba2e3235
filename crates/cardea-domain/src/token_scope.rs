//! What a token may be used for: less than its user may do, never more.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{Actor, Denial, Verb, Via};

/// A family of verbs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenScope {
    /// Change users, policies and every other object.
    Configuration,
    /// Say yes or no to requests, and review what began without.
    Decide,
    /// Lock, search hosts, have removals tried, end sign-ins and tokens.
    Operation,
    /// See what the user may see. Every token may.
    Read,
    /// Request, extend, join and end sessions, with the passwords of their login accounts, and have keys certified for that.
    Sessions,
}

impl TokenScope {
    /// Every scope.
    pub const ALL: [Self; 5] = [Self::Configuration, Self::Decide, Self::Operation, Self::Read, Self::Sessions];

    /// The scope's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Decide => "decide",
            Self::Operation => "operation",
            Self::Read => "read",
            Self::Sessions => "sessions",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Self::Configuration => 1,
            Self::Decide => 2,
            Self::Operation => 4,
            Self::Read => 8,
            Self::Sessions => 16,
        }
    }

    /// What a token needs for this verb; `None` if no token is enough.
    fn of(verb: Verb) -> Option<Self> {
        match verb {
            Verb::ChangeConfiguration(_) | Verb::InviteUser | Verb::LearnHostKey => Some(Self::Configuration),
            Verb::DecideSession | Verb::ReviewSession => Some(Self::Decide),
            Verb::EndSignIn
            | Verb::Lock
            | Verb::ManageNotices
            | Verb::RevokeToken
            | Verb::SweepHost
            | Verb::SyncDirectory
            | Verb::TryRemoval => Some(Self::Operation),
            Verb::ExplainAccess
            | Verb::SeeAllSessions
            | Verb::SeeAudit
            | Verb::SeeConfiguration
            | Verb::SeeFigures
            | Verb::SeeSession
            | Verb::SeeSignIns
            | Verb::SignIn => Some(Self::Read),
            Verb::Certify
            | Verb::Connect
            | Verb::CreateSession
            | Verb::DismissSession
            | Verb::EndSession
            | Verb::ExtendSession
            | Verb::Launch
            | Verb::RetrySession
            | Verb::RevealPassword => Some(Self::Sessions),
            // What would let whoever found a token stay for longer, or become its user.
            Verb::AdmitUser
            | Verb::ChangeFactors
            | Verb::ChangeOwnKeys
            | Verb::ChangePassword
            | Verb::CreateToken
            | Verb::DriveSession
            | Verb::IssueToken
            | Verb::RemoveKey
            | Verb::ResetFactors => None,
        }
    }
}

/// A set of scopes. Reading is always in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenScopes(u8);

impl TokenScopes {
    /// Whatever the user may do.
    pub const ALL: Self = Self(31);

    /// These, and reading.
    pub fn new(scopes: impl IntoIterator<Item = TokenScope>) -> Self {
        Self(scopes.into_iter().fold(TokenScope::Read.bit(), |bits, scope| bits | scope.bit()))
    }

    /// Whether this one is in it.
    pub fn has(self, scope: TokenScope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Each, by name.
    pub fn iter(self) -> impl Iterator<Item = TokenScope> {
        TokenScope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }

    /// Whether nothing can be changed with it.
    pub fn is_read_only(self) -> bool {
        self == Self::new([])
    }
}

impl fmt::Display for TokenScopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iter().map(TokenScope::as_str).collect::<Vec<_>>().join(" "))
    }
}

impl FromStr for TokenScopes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let scope = |word: &str| {
            let found = TokenScope::ALL.into_iter().find(|scope| scope.as_str() == word);
            found.ok_or_else(|| format!("unknown scope `{word}`"))
        };
        text.split(' ').map(scope).collect::<Result<Vec<_>, _>>().map(Self::new)
    }
}

impl Serialize for TokenScopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for TokenScopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let scopes = Vec::<TokenScope>::deserialize(deserializer)?;
        if scopes.is_empty() {
            return Err(D::Error::custom("name at least one scope; `read` alone changes nothing"));
        }
        Ok(Self::new(scopes))
    }
}

impl schemars::JsonSchema for TokenScopes {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TokenScopes".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "array", "items": generator.subschema_for::<TokenScope>(), "minItems": 1,
            "description": "What a token may be used for. Reading is always in it.",
        })
    }
}

/// A token does only what it was made for, whatever its user may do.
pub(crate) fn must_cover(actor: &Actor, verb: Verb) -> Result<(), Denial> {
    let Actor::User { via: Via::Token { scopes, .. }, .. } = actor else { return Ok(()) };
    let sentence = match TokenScope::of(verb) {
        Some(scope) if scopes.has(scope) => return Ok(()),
        Some(scope) => format!(
            "this token may not do this ({}): use one with the scope `{}`, or sign in",
            verb.as_str(),
            scope.as_str()
        ),
        None => format!("no token may do this ({}): sign in with a password", verb.as_str()),
    };
    Err(Denial { hidden: false, sentence })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_as_they_are_written_and_always_read() {
        let some = TokenScopes::new([TokenScope::Sessions]);
        assert_eq!(some.to_string(), "read sessions");
        assert_eq!("read sessions".parse(), Ok(some));
        assert_eq!(TokenScopes::ALL.to_string().parse(), Ok(TokenScopes::ALL));
        assert!("sessions root".parse::<TokenScopes>().is_err());
        assert!(TokenScopes::new([]).is_read_only() && !some.is_read_only());
        assert_eq!(serde_json::from_str::<TokenScopes>("[\"sessions\"]").expect("scopes"), some);
        for wrong in ["[]", "[\"root\"]", "\"read\""] {
            assert!(serde_json::from_str::<TokenScopes>(wrong).is_err(), "{wrong}");
        }
    }
}
