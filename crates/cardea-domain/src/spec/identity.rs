//! Who else vouches for people: providers of identity outside, and how users are known there.

use std::{collections::BTreeMap, net::IpAddr};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Map, Value};

use super::{LdapSpec, read};
use crate::FieldError;

/// Somebody outside who says who people are, and to which groups they belong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct IdentityProviderSpec {
    /// What its button says; the object's name if left out.
    #[serde(default)]
    pub display_name: String,
    /// Whether it is offered first. At most one provider is.
    #[serde(default)]
    pub default: bool,
    /// Whether people who are linked to no user get a new one when they first sign in.
    #[serde(default)]
    pub create_users: bool,
    /// Its groups by their names there, and the groups here that their members belong to.
    #[serde(default)]
    pub groups: BTreeMap<String, String>,
    #[serde(flatten)]
    pub protocol: IdentityProtocol,
}

/// How a provider is asked, and what that needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(tag = "protocol", rename_all = "snake_case")]
pub enum IdentityProtocol {
    Ldap(LdapSpec),
    Oidc(OidcSpec),
}

/// `OpenID` Connect, with the authorization code flow and PKCE. Takes `client_secret`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OidcSpec {
    /// The issuer's address, exactly as its tokens name it.
    pub issuer: String,
    /// What the provider knows Cardea as.
    pub client_id: String,
    /// What is asked for beside `openid`.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
    #[serde(default)]
    pub claims: OidcClaims,
    /// The authority that vouches for the issuer's certificate, in PEM; the system's if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// Whether a second factor that the provider says it asked for counts as one.
    #[serde(default)]
    pub trusts_mfa: bool,
    /// Whether the provider's word that somebody has left ends their sessions, beside their sign-ins.
    #[serde(default = "yes")]
    pub logout_ends_sessions: bool,
}

/// In which claims of its tokens the provider says things.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OidcClaims {
    /// What the user is called here.
    pub name: String,
    pub email: String,
    /// A list of texts.
    pub groups: String,
}

/// How a user is known to a provider: by what it never changes, or by their name there until they first sign in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UserIdentity {
    /// Name of an identity provider.
    pub provider: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

fn scopes() -> Vec<String> {
    ["profile", "email"].map(ToOwned::to_owned).into()
}

fn yes() -> bool {
    true
}

impl Default for OidcClaims {
    fn default() -> Self {
        let [name, email, groups] = ["preferred_username", "email", "groups"].map(ToOwned::to_owned);
        Self { name, email, groups }
    }
}

/// A provider says at most so much about one person's groups, and so many can stand for groups here.
const GROUPS_MAX: usize = 1_000;

/// The keys that providers of every protocol take.
#[derive(Deserialize)]
struct Common {
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    default: bool,
    #[serde(default)]
    create_users: bool,
    #[serde(default)]
    groups: BTreeMap<String, String>,
}

const COMMON: [&str; 4] = ["create_users", "default", "display_name", "groups"];

impl IdentityProviderSpec {
    /// Reads a spec. Which keys it takes depends on one of them, so it is read in parts: an error keeps its place.
    pub(super) fn read(value: Value) -> Result<Self, FieldError> {
        let Value::Object(mut own) = value else {
            return Err(FieldError::new("/spec", "write a map of keys and values"));
        };
        let protocol = own.remove("protocol");
        let mut common = Map::new();
        for key in COMMON {
            common.extend(own.remove(key).map(|value| (key.to_owned(), value)));
        }
        let protocol = match protocol.as_ref().and_then(Value::as_str) {
            Some("oidc") => IdentityProtocol::Oidc(read(own.into())?),
            Some("ldap") => IdentityProtocol::Ldap(read(own.into())?),
            _ => return Err(FieldError::new("/spec/protocol", "write `ldap`")),
        };
        let Common { display_name, default, create_users, groups } = read(common.into())?;
        Ok(Self { display_name, default, create_users, groups, protocol })
    }

    /// What it takes if it speaks `OpenID` Connect.
    pub fn as_oidc(&self) -> Option<&OidcSpec> {
        match &self.protocol {
            IdentityProtocol::Oidc(spec) => Some(spec),
            IdentityProtocol::Ldap(_) => None,
        }
    }

    /// What it takes if it is a directory.
    pub fn as_ldap(&self) -> Option<&LdapSpec> {
        match &self.protocol {
            IdentityProtocol::Ldap(spec) => Some(spec),
            IdentityProtocol::Oidc(_) => None,
        }
    }

    /// What is wrong: the key, and what to write instead.
    pub(super) fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut check = |bad: bool, key: &str, message: &str| {
            if bad {
                faults.push((key.to_owned(), message.to_owned()));
            }
        };
        let is_long = self.display_name.chars().count() > 64 || self.display_name.contains(char::is_control);
        check(is_long, "display_name", "at most 64 characters on one line");
        check(self.groups.len() > GROUPS_MAX, "groups", "at most 1000 groups");
        match &self.protocol {
            IdentityProtocol::Ldap(spec) => {
                let message = "a directory has no button of its own: leave it out";
                check(!self.display_name.is_empty(), "display_name", message);
                check(self.default, "default", message);
                faults.extend(spec.faults());
            }
            IdentityProtocol::Oidc(spec) => faults.extend(spec.faults()),
        }
        faults
    }
}

impl<'de> Deserialize<'de> for IdentityProviderSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(Value::deserialize(deserializer)?)
            .map_err(|error| D::Error::custom(format!("{}: {}", error.pointer, error.message)))
    }
}

impl OidcSpec {
    fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut check = |bad: bool, key: &str, message: &str| {
            if bad {
                faults.push((key.to_owned(), message.to_owned()));
            }
        };
        let issuer = "write the issuer's address as its tokens name it, `https://login.example.com/realm`: without query, \
                      and `http://` only for 127.0.0.1 and [::1]";
        check(!is_issuer(&self.issuer), "issuer", issuer);
        check(!is_word(&self.client_id), "client_id", "write the name by which the provider knows Cardea");
        let scopes = "list at most 20 scopes, without `openid`, which is always asked for";
        let are_words = self.scopes.iter().all(|scope| is_word(scope) && scope != "openid");
        check(self.scopes.len() > 20 || !are_words, "scopes", scopes);
        for (key, claim) in
            [("name", &self.claims.name), ("email", &self.claims.email), ("groups", &self.claims.groups)]
        {
            check(!is_word(claim), &format!("claims/{key}"), "write the name of a claim");
        }
        let is_pem = |text: &String| text.contains("-----BEGIN CERTIFICATE-----") && text.len() <= 65_536;
        check(!self.ca.as_ref().is_none_or(is_pem), "ca", "write one or more certificates in PEM");
        faults
    }
}

impl UserIdentity {
    /// The longest subject: what OpenID Connect allows, and more than directories need.
    const SUBJECT_BYTES_MAX: usize = 255;

    /// Whether a provider's word for somebody can be kept.
    pub fn is_subject(text: &str) -> bool {
        !text.is_empty() && text.len() <= Self::SUBJECT_BYTES_MAX && !text.contains(char::is_control)
    }

    /// What is wrong: the key, and what to write instead.
    pub(super) fn fault(&self) -> Option<(&'static str, &'static str)> {
        match (&self.subject, &self.name) {
            (Some(subject), None) if Self::is_subject(subject) => None,
            (None, Some(name)) if Self::is_subject(name) => None,
            (Some(_), None) => Some(("identity/subject", "write 1 to 255 characters, as the provider has them")),
            (None, Some(_)) => Some(("identity/name", "write 1 to 255 characters, as the provider has them")),
            (Some(_), Some(_)) => Some(("identity", "write `subject` or `name`, not both")),
            (None, None) => {
                Some(("identity", "write the `subject` that the provider knows the user by, or their `name`"))
            }
        }
    }
}

/// What stands in a space-separated list, and in an address.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= 255 && text.chars().all(|c| c.is_ascii_graphic() && c != '"' && c != '\\')
}

/// Secrets and people go there, so it is HTTPS; on this machine alone nobody listens in.
fn is_issuer(text: &str) -> bool {
    let plain =
        text.len() <= 500 && text.chars().all(|c| c.is_ascii_graphic()) && !text.contains(['?', '#', '@', '\\']);
    let authority = |rest: &str| rest.split('/').next().unwrap_or_default().to_owned();
    if let Some(rest) = text.strip_prefix("https://") {
        return plain && !authority(rest).is_empty();
    }
    let Some(rest) = text.strip_prefix("http://") else { return false };
    let authority = authority(rest);
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    plain && host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Kind, Spec};

    fn errors(spec: Value) -> Vec<String> {
        match Spec::parse(Kind::IdentityProvider, spec) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.into_iter().map(|error| error.pointer).collect(),
        }
    }

    #[test]
    fn each_protocol_takes_its_own_keys_and_says_where_a_wrong_one_stands() {
        let good = json!({ "protocol": "oidc", "issuer": "https://login.example.com/realm", "client_id": "cardea",
            "client_secret": "hush", "groups": { "ops": "operators" } });
        let (spec, secrets) = Spec::parse(Kind::IdentityProvider, good.clone()).expect("a good provider");
        assert_eq!(secrets.len(), 1, "the secret is taken out");
        assert!(!spec.to_json().to_string().contains("hush"));
        assert_eq!(Spec::from_stored(Kind::IdentityProvider, spec.to_json()), Ok(spec.clone()));
        assert_eq!(spec.to_json()["protocol"], "oidc");
        assert_eq!(spec.to_json()["claims"]["name"], "preferred_username");
        let with = |key: &str, value: Value| {
            let mut spec = good.clone();
            spec[key] = value;
            errors(spec)
        };
        assert_eq!(with("protocol", json!("saml")), ["/spec/protocol"]);
        assert_eq!(with("protocol", Value::Null), ["/spec/protocol"]);
        assert_eq!(with("colour", json!("red")), ["/spec/colour"]);
        assert_eq!(with("default", json!("yes")), ["/spec/default"]);
        assert_eq!(with("claims", json!({ "name": 7 })), ["/spec/claims/name"]);
        assert_eq!(with("claims", json!({ "name": "a b" })), ["/spec/claims/name"]);
        assert_eq!(with("scopes", json!(["openid"])), ["/spec/scopes"]);
        assert_eq!(with("ca", json!("not a certificate")), ["/spec/ca"]);
    }

    #[test]
    fn an_issuer_is_https_or_on_this_machine() {
        for good in ["https://a", "https://a.example:8443/x", "http://127.0.0.1:9000", "http://[::1]:9000/x"] {
            assert!(is_issuer(good), "{good}");
        }
        for bad in [
            "",
            "a.example",
            "https://",
            "http://a.example",
            "http://127.0.0.1.example",
            "http://127.0.0.1@a.example",
            "http://localhost",
            "https://a?b",
            "https://a#b",
            "https://a b",
            "ftp://a",
        ] {
            assert!(!is_issuer(bad), "{bad}");
        }
    }
}
