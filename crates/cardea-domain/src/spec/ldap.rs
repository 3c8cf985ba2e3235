//! Directories of people by LDAP, as administrators write them.

use serde::{Deserialize, Serialize};

use crate::{Directory, DirectoryUrl, Period, check_filter};

/// A directory by LDAP, Active Directory among them. Takes `bind_password`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LdapSpec {
    /// `ldaps://HOST[:PORT]`, or `ldap://HOST[:PORT]` with `start_tls`.
    pub url: String,
    /// Encrypts a connection to `ldap://` before anything is said on it.
    #[serde(default)]
    pub start_tls: bool,
    /// The authority that vouches for the directory's certificate, in PEM; the system's if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// The account that searches; the directory is asked anonymously if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bind_dn: Option<String>,
    /// People and groups are looked for here and below.
    pub base_dn: String,
    /// Finds one person; `{user}` is the name that they typed.
    #[serde(default = "user_filter")]
    pub user_filter: String,
    /// Finds a person's groups, beside those that `memberOf` lists; `{dn}` is the name of their entry.
    #[serde(default = "group_filter")]
    pub group_filter: String,
    #[serde(default)]
    pub attributes: LdapAttributes,
    /// How often it is looked who is there still.
    #[serde(default = "sync_every")]
    pub sync_every: Period,
}

/// In which attributes a directory says things.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LdapAttributes {
    /// What the user is called here.
    pub user: String,
    /// Their full name.
    pub name: String,
    pub email: String,
}

impl Default for LdapAttributes {
    fn default() -> Self {
        let [user, name, email] =
            [Directory::USER_ATTRIBUTE, Directory::NAME_ATTRIBUTE, Directory::EMAIL_ATTRIBUTE].map(ToOwned::to_owned);
        Self { user, name, email }
    }
}

fn user_filter() -> String {
    Directory::USER_FILTER.to_owned()
}

fn group_filter() -> String {
    Directory::GROUP_FILTER.to_owned()
}

fn sync_every() -> Period {
    Period::from_seconds(15 * 60)
}

impl LdapSpec {
    const SYNC_EVERY: std::ops::RangeInclusive<u64> = 60..=86_400;

    /// What is wrong: the key, and what to write instead.
    pub(super) fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut check = |fault: Option<String>, key: &str| faults.extend(fault.map(|text| (key.to_owned(), text)));
        match DirectoryUrl::parse(&self.url) {
            Err(error) => check(Some(error), "url"),
            Ok(url) if url.is_tls && self.start_tls => {
                check(Some("`ldaps://` is encrypted already: leave it out".to_owned()), "start_tls");
            }
            Ok(url) if !url.is_tls && !self.start_tls && !url.is_loopback() => {
                check(Some("passwords are sent there: write `ldaps://`, or set `start_tls`".to_owned()), "url");
            }
            Ok(_) => {}
        }
        let is_pem = |text: &String| text.contains("-----BEGIN CERTIFICATE-----") && text.len() <= 65_536;
        let pem = "write one or more certificates in PEM".to_owned();
        check((!self.ca.as_ref().is_none_or(is_pem)).then_some(pem), "ca");
        let dn = "write a distinguished name, as `dc=example,dc=com`";
        check(self.bind_dn.as_ref().filter(|text| !is_dn(text)).map(|_| dn.to_owned()), "bind_dn");
        check((!is_dn(&self.base_dn)).then(|| dn.to_owned()), "base_dn");
        check(check_filter(&self.user_filter, "{user}").err(), "user_filter");
        check(check_filter(&self.group_filter, "{dn}").err(), "group_filter");
        let LdapAttributes { user, name, email } = &self.attributes;
        for (key, attribute) in [("user", user), ("name", name), ("email", email)] {
            let message = "write the name of an attribute".to_owned();
            check((!is_attribute(attribute)).then_some(message), &format!("attributes/{key}"));
        }
        let seconds = self.sync_every.get().as_secs();
        let message = "from one minute to one day".to_owned();
        check((!Self::SYNC_EVERY.contains(&seconds)).then_some(message), "sync_every");
        faults
    }
}

fn is_dn(text: &str) -> bool {
    text.contains('=') && text.len() <= 1024 && !text.contains(char::is_control)
}

fn is_attribute(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == ';';
    !text.is_empty() && text.len() <= 64 && text.chars().all(is_word)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{Kind, Spec};

    #[test]
    fn a_directory_is_encrypted_named_and_asked_by_filters() {
        let good = json!({ "protocol": "ldap", "url": "ldaps://dc1.example.com", "base_dn": "dc=example,dc=com",
            "bind_dn": "cn=cardea,dc=example,dc=com", "bind_password": "hush", "groups": { "cn=a,dc=example,dc=com": "a" } });
        let (spec, secrets) = Spec::parse(Kind::IdentityProvider, good.clone()).expect("a good provider");
        assert_eq!(secrets.len(), 1, "the password is taken out");
        assert!(!spec.to_json().to_string().contains("hush"));
        assert_eq!(spec.to_json()["sync_every"], "PT15M");
        assert_eq!(Spec::from_stored(Kind::IdentityProvider, spec.to_json()), Ok(spec));
        let with = |key: &str, value: Value| {
            let mut spec = good.clone();
            spec[key] = value;
            let errors = Spec::parse(Kind::IdentityProvider, spec).err().unwrap_or_default();
            errors.into_iter().map(|error| error.pointer).collect::<Vec<_>>()
        };
        assert_eq!(with("url", json!("ldap://127.0.0.1")), [""; 0]);
        for (key, value) in [
            ("url", json!("ldap://dc1.example.com")),
            ("url", json!("https://dc1.example.com")),
            ("start_tls", json!(true)),
            ("display_name", json!("Example")),
            ("default", json!(true)),
            ("ca", json!("none")),
            ("base_dn", json!("example")),
            ("bind_dn", json!("cardea")),
            ("user_filter", json!("(uid=alice)")),
            ("group_filter", json!("member={dn}")),
            ("sync_every", json!("1s")),
            ("issuer", json!("https://login.example.com")),
            ("client_secret", json!("hush")),
        ] {
            assert_eq!(with(key, value.clone()), [format!("/spec/{key}")], "{value}");
        }
        assert_eq!(with("attributes", json!({ "user": "a b" })), ["/spec/attributes/user"]);
    }
}
