//! What the claims of a token have to be, and what they say. Pure: time is an argument.

use cardea_domain::{OidcClaims, OpenIdFault, OpenIdLeaver, OpenIdPerson, Timestamp, UserIdentity};
use serde_json::Value;

use super::wrong;

/// Clocks differ.
const LEEWAY_SECONDS: i64 = 60;
/// A token that was made longer ago was not made for this.
const AGE_SECONDS_MAX: i64 = 600;
/// Somebody's groups at most.
const GROUPS_MAX: usize = 1_000;
/// Of each text about a person, as much as anybody needs.
const TEXT_BYTES_MAX: usize = 1_000;

/// The claims of an id token that is for this client, of now and for this browser.
pub(super) struct Said<'a>(&'a Value);

/// A person, and whether something is missing that may be said elsewhere.
pub(super) struct Described {
    pub(super) told: OpenIdPerson,
    pub(super) lacks_something: bool,
}

impl<'a> Said<'a> {
    /// Checks the claims of an id token whose issuer and audience are right (`OpenID` Connect Core 1.0, 3.1.3.7).
    pub(super) fn read(
        claims: &'a Value,
        (client_id, nonce): (&str, &str),
        now: Timestamp,
    ) -> Result<Self, OpenIdFault> {
        addressed(claims, client_id)?;
        timely(claims, now)?;
        if claims["exp"].is_null() {
            return Err(wrong("its token never expires"));
        }
        if claims["nonce"].as_str() != Some(nonce) {
            return Err(wrong("its token was not made for this sign-in: another `nonce`"));
        }
        if !claims["sub"].as_str().is_some_and(UserIdentity::is_subject) {
            return Err(wrong("its token does not say who it is about"));
        }
        Ok(Self(claims))
    }

    pub(super) fn person(&self, names: &OidcClaims) -> Result<Described, OpenIdFault> {
        let claims = self.0;
        let sid = claims["sid"].as_str().filter(|sid| UserIdentity::is_subject(sid));
        let told = OpenIdPerson {
            subject: text(claims, "sub"),
            sid: sid.map(ToOwned::to_owned),
            shown_at: seconds(&claims["auth_time"]).map(|seconds| Timestamp::from_micros(seconds * 1_000_000)),
            with_mfa: has_mfa(claims),
            user: text(claims, &names.name),
            name: text(claims, "name"),
            email: text(claims, &names.email),
            groups: groups(claims, names)?.unwrap_or_default(),
        };
        let lacks_something = [&names.name, &names.groups].iter().any(|name| claims[name].is_null());
        Ok(Described { told, lacks_something })
    }
}

impl Described {
    /// Adds what is said elsewhere. The token itself goes first: it is signed.
    pub(super) fn complete(&mut self, elsewhere: &Value, names: &OidcClaims) -> Result<(), OpenIdFault> {
        if elsewhere["sub"].as_str() != Some(&self.told.subject) {
            return Err(wrong("what it says elsewhere is about somebody else"));
        }
        let OpenIdPerson { user, name, email, groups: known, .. } = &mut self.told;
        for (field, claim) in [(user, names.name.as_str()), (name, "name"), (email, names.email.as_str())] {
            if field.is_empty() {
                *field = text(elsewhere, claim);
            }
        }
        if known.is_empty() {
            *known = groups(elsewhere, names)?.unwrap_or_default();
        }
        Ok(())
    }
}

/// Checks the claims of a logout token whose issuer and audience are right (`OpenID` Connect Back-Channel Logout 1.0, 2.6).
pub(super) fn leaver(claims: &Value, client_id: &str, now: Timestamp) -> Result<OpenIdLeaver, OpenIdFault> {
    const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
    addressed(claims, client_id)?;
    timely(claims, now)?;
    if !claims["events"][EVENT].is_object() {
        return Err(wrong("its token says nothing of a logout"));
    }
    // So that an id token is never taken for one.
    if !claims["nonce"].is_null() {
        return Err(wrong("its token has a `nonce`: it is no logout token"));
    }
    let text = |name: &str| match &claims[name] {
        Value::Null => Ok(None),
        Value::String(text) if UserIdentity::is_subject(text) => Ok(Some(text.clone())),
        _ => Err(wrong(format!("its token has a `{name}` that cannot be read"))),
    };
    let (sid, subject) = (text("sid")?, text("sub")?);
    if sid.is_none() && subject.is_none() {
        return Err(wrong("its token does not say who it is about"));
    }
    let word = text("jti")?.ok_or_else(|| wrong("its token has no `jti`"))?;
    Ok(OpenIdLeaver { sid, subject, word })
}

/// Of a token for several, this client has to be the one that asked for it.
fn addressed(claims: &Value, client_id: &str) -> Result<(), OpenIdFault> {
    let is_for_others = claims["aud"].as_array().is_some_and(|list| list.len() > 1);
    let party = claims["azp"].as_str();
    if party.is_some_and(|party| party != client_id) || (is_for_others && party.is_none()) {
        return Err(wrong("its token is meant for somebody else"));
    }
    Ok(())
}

fn timely(claims: &Value, now: Timestamp) -> Result<(), OpenIdFault> {
    let now = now.as_micros() / 1_000_000;
    let made = seconds(&claims["iat"]).ok_or_else(|| wrong("its token does not say when it was made"))?;
    let is_over = match &claims["exp"] {
        Value::Null => false,
        ends => seconds(ends).is_none_or(|ends| now > ends + LEEWAY_SECONDS),
    };
    let is_early = seconds(&claims["nbf"]).is_some_and(|begins| now < begins - LEEWAY_SECONDS);
    let is_odd = !(-LEEWAY_SECONDS..=AGE_SECONDS_MAX + LEEWAY_SECONDS).contains(&(now - made));
    if is_over || is_early || is_odd {
        return Err(wrong("its token is too old, or of a time to come: compare the clocks"));
    }
    Ok(())
}

/// A moment (RFC 7519, 2), which may have a fraction. None is further off than a number can say.
fn seconds(value: &Value) -> Option<i64> {
    const FAR: i64 = 1_000_000_000_000;
    let whole = |seconds: &f64| seconds.is_finite() && seconds.abs() < 1e12;
    let seconds = value.as_i64().or_else(|| value.as_f64().filter(whole).map(|seconds| seconds as i64));
    seconds.filter(|seconds| (-FAR..=FAR).contains(seconds))
}

/// Whether a provider says that somebody showed a second factor (RFC 8176, and the usual classes).
fn has_mfa(claims: &Value) -> bool {
    const CLASSES: [&str; 3] =
        ["mfa", "http://schemas.openid.net/pape/policies/2007/06/multi-factor", "https://refeds.org/profile/mfa"];
    let methods = claims["amr"].as_array().map_or(&[][..], Vec::as_slice);
    methods.iter().any(|method| method.as_str() == Some("mfa"))
        || claims["acr"].as_str().is_some_and(|class| CLASSES.contains(&class))
}

fn text(claims: &Value, name: &str) -> String {
    claims[name].as_str().filter(|text| text.len() <= TEXT_BYTES_MAX).unwrap_or_default().to_owned()
}

/// Somebody's groups; `None` if nothing is said of them.
fn groups(claims: &Value, names: &OidcClaims) -> Result<Option<Vec<String>>, OpenIdFault> {
    match &claims[&names.groups] {
        Value::Null => Ok(None),
        Value::String(one) => Ok(Some(vec![one.clone()])),
        Value::Array(many) if many.len() <= GROUPS_MAX => {
            Ok(Some(many.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect()))
        }
        _ => Err(wrong(format!("its claim `{}` is no list of at most {GROUPS_MAX} texts", names.groups))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn now() -> Timestamp {
        Timestamp::from_micros(NOW * 1_000_000)
    }

    fn id_token() -> Value {
        json!({ "iss": "https://a.example", "aud": "cardea", "sub": "1", "nonce": "n", "iat": NOW, "exp": NOW + 300 })
    }

    fn with(mut claims: Value, key: &str, value: Value) -> Value {
        claims[key] = value;
        claims
    }

    fn person(claims: &Value) -> Result<OpenIdPerson, OpenIdFault> {
        Said::read(claims, ("cardea", "n"), now())?.person(&OidcClaims::default()).map(|person| person.told)
    }

    #[test]
    fn an_id_token_is_for_this_browser_and_of_now() {
        let told = person(&id_token()).expect("a good token");
        assert_eq!((told.subject.as_str(), told.sid, told.shown_at, told.with_mfa), ("1", None, None, false));
        let both = with(with(id_token(), "aud", json!(["cardea", "x"])), "azp", json!("cardea"));
        assert!(person(&both).is_ok());
        assert!(person(&with(id_token(), "amr", json!(["pwd", "mfa"]))).expect("good").with_mfa);
        assert!(!person(&with(id_token(), "amr", json!(["pwd"]))).expect("good").with_mfa);
        for (key, value) in [
            ("aud", json!(["cardea", "another"])),
            ("azp", json!("another")),
            ("sub", json!("")),
            ("sub", json!(7)),
            ("sub", json!("x".repeat(256))),
            ("nonce", Value::Null),
            ("nonce", json!("another")),
            ("exp", json!(NOW - 61)),
            ("exp", json!("soon")),
            ("exp", Value::Null),
            ("iat", json!(NOW + 61)),
            ("iat", json!(NOW - 700)),
            ("iat", json!(i64::MIN)),
            ("iat", Value::Null),
            ("nbf", json!(NOW + 100)),
            ("groups", json!({ "admin": true })),
            ("groups", json!(vec!["x"; GROUPS_MAX + 1])),
        ] {
            assert!(person(&with(id_token(), key, value.clone())).is_err(), "{key}: {value}");
        }
    }

    #[test]
    fn a_logout_token_is_no_id_token() {
        let good = json!({ "iss": "https://a.example", "aud": "cardea", "sub": "1", "iat": NOW, "jti": "j",
            "events": { "http://schemas.openid.net/event/backchannel-logout": {} } });
        let left = leaver(&good, "cardea", now()).expect("a good token");
        assert_eq!(left, OpenIdLeaver { sid: None, subject: Some("1".to_owned()), word: "j".to_owned() });
        assert!(leaver(&id_token(), "cardea", now()).is_err());
        for (key, value) in [
            ("nonce", json!("n")),
            ("events", json!({})),
            ("events", json!({ "http://schemas.openid.net/event/backchannel-logout": true })),
            ("sub", Value::Null),
            ("sid", json!(7)),
            ("jti", Value::Null),
            ("azp", json!("another")),
            ("iat", json!(NOW - 700)),
            ("exp", json!(NOW - 100)),
        ] {
            assert!(leaver(&with(good.clone(), key, value.clone()), "cardea", now()).is_err(), "{key}: {value}");
        }
    }

    #[test]
    fn what_is_said_elsewhere_is_about_the_same_person_and_comes_second() {
        let names = OidcClaims::default();
        let token = with(id_token(), "preferred_username", json!("dana"));
        let said = Said::read(&token, ("cardea", "n"), now()).expect("a good token");
        let mut described = said.person(&names).expect("a person");
        assert!(described.lacks_something);
        let other = json!({ "sub": "2", "groups": ["admins"] });
        assert!(described.complete(&other, &names).is_err());
        let same = json!({ "sub": "1", "preferred_username": "another", "groups": ["ops"], "name": "Dana" });
        described.complete(&same, &names).expect("the same person");
        let OpenIdPerson { user, name, groups, .. } = described.told;
        assert_eq!((user.as_str(), name.as_str(), groups), ("dana", "Dana", vec!["ops".to_owned()]));
    }
}
