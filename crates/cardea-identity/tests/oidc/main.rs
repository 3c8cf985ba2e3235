//! The client of identity providers against a real one.

use cardea_domain::{
    Kind, ObjectId, OpenId as _, OpenIdCode, OpenIdFault, OpenIdPerson, OpenIdProvider, OpenIdQuestion, Secret,
    Timestamp,
};
use cardea_identity::OpenIdConnect;
use cardea_testkit::{IdentityProvider, SeededEntropy};
use serde_json::{Value, json};

const REDIRECT: &str = "https://cardea.example.com/back";
const NONCE: &str = "of this browser";
/// The example of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

fn now() -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000)
}

fn people() -> Value {
    json!({ "d1": { "preferred_username": "dana", "name": "Dana of Cardea", "email": "dana@example.com",
        "groups": ["ops", "staff"], "amr": ["pwd", "mfa"] } })
}

/// How Cardea asks the provider of this name.
fn settings(issuer: &str) -> OpenIdProvider {
    let spec =
        json!({ "issuer": issuer, "client_id": IdentityProvider::CLIENT, "scopes": ["profile", "email", "groups"] });
    OpenIdProvider {
        id: ObjectId::mint(Kind::IdentityProvider, now(), &*SeededEntropy::new(1)),
        version: 1,
        spec: serde_json::from_value(spec).expect("a spec"),
        client_secret: Some(Secret::new(IdentityProvider::SECRET.to_owned())),
    }
}

fn question(again: bool) -> OpenIdQuestion<'static> {
    OpenIdQuestion { redirect_uri: REDIRECT, state: "s t&", nonce: NONCE, challenge: CHALLENGE, again }
}

/// What stands behind `key=` in an address.
fn value(url: &str, key: &str) -> Option<String> {
    let query = url.split_once('?')?.1;
    query.split('&').find_map(|pair| pair.strip_prefix(&format!("{key}=")).map(str::to_owned))
}

struct World {
    provider: IdentityProvider,
    client: OpenIdConnect,
    asked: OpenIdProvider,
}

impl World {
    fn new() -> Self {
        let provider = IdentityProvider::start(REDIRECT, now(), &people());
        let asked = settings(&provider.issuer);
        Self { provider, client: OpenIdConnect::default(), asked }
    }

    async fn code(&self) -> Secret {
        let url = self.client.address(&self.asked, question(false), now()).await.expect("an address");
        let landed = self.provider.visit(&url, Some("d1"));
        assert!(landed.starts_with(REDIRECT), "{landed}");
        assert_eq!(value(&landed, "state").as_deref(), Some("s+t%26"));
        Secret::new(value(&landed, "code").expect("a code"))
    }

    async fn redeem(&self, code: &Secret, verifier: &str, nonce: &str) -> Result<OpenIdPerson, OpenIdFault> {
        let verifier = Secret::new(verifier.to_owned());
        let code = OpenIdCode { code, verifier: &verifier, nonce, redirect_uri: REDIRECT };
        self.client.redeem(&self.asked, code, now()).await
    }

    async fn person(&self) -> Result<OpenIdPerson, OpenIdFault> {
        self.redeem(&self.code().await, VERIFIER, NONCE).await
    }

    /// Why a word that somebody has left does not count.
    async fn refused(&self, header: Value, claims: &Value, by: &str) -> String {
        let token = self.provider.forge(&header, claims, by);
        let fault = self.client.leaver(&self.asked, &token, now()).await;
        fault.err().unwrap_or_else(|| panic!("it counts: {header} {claims} {by}")).to_string()
    }

    fn left(&self) -> Value {
        json!({ "iss": self.provider.issuer, "aud": IdentityProvider::CLIENT, "sub": "d1", "jti": "1",
            "iat": now().as_micros() / 1_000_000, "events": { EVENT: {} } })
    }
}

#[tokio::test]
async fn a_provider_says_who_comes_back() {
    let world = World::new();
    let person = world.person().await.expect("somebody");
    assert!(person.sid.is_some());
    let expected = OpenIdPerson {
        subject: "d1".to_owned(),
        sid: person.sid.clone(),
        shown_at: Some(now()),
        with_mfa: true,
        user: "dana".to_owned(),
        name: "Dana of Cardea".to_owned(),
        email: "dana@example.com".to_owned(),
        groups: vec!["ops".to_owned(), "staff".to_owned()],
    };
    assert_eq!(person, expected);

    // One that says it only where it is asked.
    let provider = IdentityProvider::start_taciturn(REDIRECT, now(), &people());
    let asked = settings(&provider.issuer);
    let taciturn = World { provider, client: OpenIdConnect::default(), asked };
    let person = taciturn.person().await.expect("somebody");
    assert_eq!(person, OpenIdPerson { sid: person.sid.clone(), ..expected });
}

#[tokio::test]
async fn a_code_is_good_once_for_whoever_asked_for_it() {
    let world = World::new();
    let wrong = |fault: Result<OpenIdPerson, OpenIdFault>| fault.expect_err("it is refused").to_string();
    let code = world.code().await;
    let stolen = wrong(world.redeem(&code, &"x".repeat(43), NONCE).await);
    assert!(stolen.contains("invalid_grant"), "without the verifier: {stolen}");
    let code = world.code().await;
    let foreign = wrong(world.redeem(&code, VERIFIER, "of another browser").await);
    assert!(foreign.contains("nonce"), "{foreign}");
    let replayed = wrong(world.redeem(&code, VERIFIER, NONCE).await);
    assert!(replayed.contains("invalid_grant"), "{replayed}");
    let unknown = settings(&world.provider.issuer);
    let unknown = OpenIdProvider { client_secret: Some(Secret::new("a guess".to_owned())), ..unknown };
    let world = World { asked: unknown, ..world };
    let refused = wrong(world.person().await);
    assert!(refused.contains("invalid_client"), "{refused}");
}

#[tokio::test]
async fn who_has_to_show_again_who_they_are_is_asked_to() {
    let world = World::new();
    world.person().await.expect("somebody");
    // Whoever is signed in there comes back at once, unless they have to show it again: nobody is there to do that.
    let url = world.client.address(&world.asked, question(false), now()).await.expect("an address");
    assert!(value(&world.provider.visit(&url, None), "code").is_some());
    let url = world.client.address(&world.asked, question(true), now()).await.expect("an address");
    assert_eq!(value(&world.provider.visit(&url, None), "error").as_deref(), Some("access_denied"));
}

#[tokio::test]
async fn new_keys_are_asked_for_and_one_that_is_silent_is_not_asked_at_once() {
    let world = World::new();
    world.person().await.expect("somebody");
    world.provider.rotate_keys();
    // Not at once again: nobody makes Cardea ask all the time by keys that nobody has.
    let early = world.person().await.expect_err("the keys were just asked for").to_string();
    assert!(early.contains("none of its keys"), "{early}");
    let later = now().plus(std::time::Duration::from_secs(11));
    let (code, verifier) = (world.code().await, Secret::new(VERIFIER.to_owned()));
    let code = OpenIdCode { code: &code, verifier: &verifier, nonce: NONCE, redirect_uri: REDIRECT };
    world.client.redeem(&world.asked, code, later).await.expect("by the new key");

    let client = OpenIdConnect::default();
    world.provider.be_silent(true);
    let ask = async |at| client.address(&world.asked, question(false), at).await;
    let away = ask(now()).await;
    assert!(matches!(&away, Err(OpenIdFault::Away(why)) if why.contains("503")), "{away:?}");
    world.provider.be_silent(false);
    assert_eq!(ask(now()).await, away, "not so soon");
    ask(later).await.expect("an address");
    drop(world.provider);
    let gone = OpenIdConnect::default().address(&world.asked, question(false), now()).await;
    assert!(matches!(&gone, Err(OpenIdFault::Away(why)) if why.contains("cannot be reached")), "{gone:?}");
}

#[tokio::test]
async fn only_the_issuer_that_is_configured_counts() {
    let world = World::new();
    let other = settings(&format!("{}/", world.provider.issuer));
    let fault = OpenIdConnect::default().address(&other, question(false), now()).await.expect_err("another name");
    assert!(fault.to_string().contains("another issuer"), "{fault}");

    let left = world.left();
    let token = world.provider.forge(&json!({}), &left, "provider");
    let known = world.client.leaver(&world.asked, &token, now()).await.expect("its own word");
    assert_eq!((known.sid, known.subject.as_deref(), known.word.as_str()), (None, Some("d1"), "1"));
    let with = |key: &str, value: Value| {
        let mut claims = left.clone();
        claims[key] = value;
        claims
    };
    for (claims, why) in [
        (with("iss", json!("https://b.example")), "another issuer"),
        (with("iss", Value::Null), "`iss`"),
        (with("aud", json!("another")), "somebody else"),
        (with("aud", json!([])), "somebody else"),
        (with("aud", Value::Null), "`aud`"),
        (with("aud", json!([IdentityProvider::CLIENT, "another"])), "somebody else"),
        (with("nonce", json!("n")), "`nonce`"),
        (with("iat", json!(1)), "too old"),
    ] {
        let said = world.refused(json!({}), &claims, "provider").await;
        assert!(said.contains(why), "{claims}: {said}");
    }
}

#[tokio::test]
async fn nobody_else_signs_for_a_provider() {
    let world = World::new();
    let left = world.left();
    for (header, by, why) in [
        (json!({}), "somebody else", "none of its keys"),
        (json!({ "kid": "another" }), "provider", "none of its keys"),
        (json!({}), "its public key", "does not take"),
        (json!({}), "nobody", "cannot be read"),
    ] {
        let said = world.refused(header.clone(), &left, by).await;
        assert!(said.contains(why), "{header} {by}: {said}");
    }
    for broken in ["", "a", "a.b", "a.b.c", "....", "e30.e30.!", &"x".repeat(70_000)] {
        assert!(world.client.leaver(&world.asked, broken, now()).await.is_err(), "{broken}");
    }
}

#[tokio::test]
async fn a_real_word_that_somebody_has_left_is_read() {
    let world = World::new();
    let person = world.person().await.expect("somebody");
    let tokens = world.provider.leave();
    let left = world.client.leaver(&world.asked, &tokens[0], now()).await.expect("a good word");
    assert_eq!((left.sid, left.subject), (person.sid, Some("d1".to_owned())));
}
