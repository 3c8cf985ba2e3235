//! Signing in by an identity provider: a real one, and a double for what a real one does not do.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::{
    body::Body,
    http::{Request, header},
};
use cardea_app::SignInSettings;
use cardea_domain::{
    Clock as _, OpenId, OpenIdCode, OpenIdFault, OpenIdLeaver, OpenIdPerson, OpenIdProvider, OpenIdQuestion, Role,
    Timestamp,
};
use cardea_identity::OpenIdConnect;
use cardea_testkit::IdentityProvider;
use serde_json::{Value, json};

use crate::world::{Answer, As, PUBLIC_URL, World};

const WAY: &str = "/api/v1/sign-in/providers/corp";
const CALLBACK: &str = "https://cardea.example.com/api/v1/sign-in/providers/corp/callback";
const QUARTER: Duration = Duration::from_secs(16 * 60);

/// An application beside a provider with `dana`, who is in `ops`. `ops` may run `Linux admin` on `web1`.
struct Corp {
    world: World,
    provider: IdentityProvider,
}

/// A browser that was sent to the provider.
struct Trip {
    url: String,
    cookie: String,
}

impl Corp {
    async fn start() -> Self {
        Self::start_with(&json!({}), SignInSettings::default()).await
    }

    /// With some keys of the provider written otherwise.
    async fn start_with(other: &Value, sign_in: SignInSettings) -> Self {
        let world = World::start_with(sign_in).await;
        let people = json!({
            "d1": { "preferred_username": "dana", "name": "Dana of Corp", "email": "dana@example.com", "groups": ["ops"],
                "amr": ["pwd", "mfa"] },
            "b1": { "preferred_username": "bob", "name": "Bob of Corp", "groups": [] },
        });
        let provider = IdentityProvider::start(CALLBACK, world.clock.now(), &people);
        world.app.ask_openid_by(Arc::new(OpenIdConnect::default()));
        let corp = Self { world, provider };
        corp.world
            .apply(json!([
                { "kind": "Group", "name": "helpers", "spec": { "roles": ["auditor"] } },
                { "kind": "ConnectionProfile", "name": "help", "spec": { "max_duration": "1h" } },
                corp.settings(other),
                { "kind": "AccessPolicy", "name": "help", "spec": { "groups": ["helpers"], "activities": ["Linux admin"],
                    "resources": ["web1"], "connection_profile": "help" } },
            ]))
            .await;
        corp
    }

    fn settings(&self, other: &Value) -> Value {
        let mut spec = json!({ "protocol": "oidc", "issuer": self.provider.issuer, "client_id": IdentityProvider::CLIENT,
            "client_secret": IdentityProvider::SECRET, "display_name": "Corp", "default": true, "create_users": true,
            "scopes": ["profile", "email", "groups"], "groups": { "ops": "helpers" } });
        spec.as_object_mut().expect("a map").extend(other.as_object().cloned().unwrap_or_default());
        json!({ "kind": "IdentityProvider", "name": "corp", "spec": spec })
    }

    async fn set_out(&self) -> Trip {
        trip(&self.world.post(&As::Nobody, WAY, json!({ "return_to": "/sessions?view=active" })).await)
    }

    async fn set_out_again(&self, who: &As) -> Trip {
        trip(&self.world.post(who, "/api/v1/me/proof/provider", json!({ "return_to": "/" })).await)
    }

    /// The browser comes back to where the provider sent it.
    async fn back(&self, landed: &str, cookie: &str) -> Answer {
        let path = landed.strip_prefix(PUBLIC_URL).unwrap_or_else(|| panic!("it lands elsewhere: {landed}"));
        self.world.get(&As::Cookie(cookie.to_owned(), None), path).await
    }

    /// Signs in there if that is asked, and comes back.
    async fn try_as(&self, person: Option<&str>) -> Answer {
        let trip = self.set_out().await;
        self.back(&self.provider.visit(&trip.url, person), &trip.cookie).await
    }

    async fn sign_in(&self, person: Option<&str>) -> As {
        signed_in(&self.try_as(person).await)
    }

    async fn roles(&self, who: &As) -> Value {
        self.world.get(who, "/api/v1/me").await.ok(200)["roles"].take()
    }

    /// The provider delivers a word that somebody has left.
    async fn deliver(&self, token: &str) -> Answer {
        let form =
            Request::post(format!("{WAY}/logout")).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let form = form.body(Body::from(format!("logout_token={token}"))).expect("a request");
        self.world.ask(&As::Nobody, form).await
    }

    fn pass(&self, time: Duration) {
        self.world.clock.advance(time);
        self.provider.set_time(self.world.clock.now());
    }
}

fn trip(answer: &Answer) -> Trip {
    let url = answer.ok(200)["url"].as_str().expect("an address").to_owned();
    let cookie = answer.header("set-cookie");
    assert!(cookie.contains("HttpOnly") && cookie.contains("Secure") && cookie.contains("SameSite=Lax"), "{cookie}");
    let cookie = cookie.split(';').next().expect("a cookie").to_owned();
    let value = cookie.strip_prefix("__Host-cardea-trip=").expect("its name");
    assert!(!url.contains(value), "what ties the browser stays in the browser");
    Trip { url, cookie }
}

#[track_caller]
fn signed_in(answer: &Answer) -> As {
    assert_eq!(answer.status.as_u16(), 303, "{}", answer.text);
    let cookie = answer.header("set-cookie").split(';').next().expect("a cookie").to_owned();
    assert!(cookie.starts_with("__Host-cardea=cardea-sign-in-"), "{cookie}");
    As::Cookie(cookie, Some(PUBLIC_URL))
}

#[tokio::test]
async fn people_sign_in_at_a_provider_and_groups_follow() {
    let corp = Corp::start().await;
    let ways = corp.world.get(&As::Nobody, "/api/v1/sign-in/providers").await.ok(200);
    assert_eq!(ways, json!({ "items": [{ "name": "corp", "display_name": "Corp", "is_default": true }] }));
    let answer = corp.try_as(Some("d1")).await;
    assert_eq!(answer.header("location"), "/sessions?view=active");
    let dana = signed_in(&answer);
    let me = corp.world.get(&dana, "/api/v1/me").await.ok(200);
    assert_eq!((&me["user"], &me["full_name"]), (&json!("dana"), &json!("Dana of Corp")));
    assert_eq!((&me["roles"], &me["sign_in"]["methods"]), (&json!(["auditor", "user"]), &json!(["provider"])));
    let shown = corp.world.get(&As::Operator, "/api/v1/identity-providers/corp").await;
    assert!(!shown.text.contains(IdentityProvider::SECRET), "{}", shown.text);
    let shown = corp.world.get(&As::Operator, "/api/v1/users/dana").await.ok(200);
    assert_eq!(shown["spec"]["identity"], json!({ "provider": "corp", "subject": "d1" }));

    // What stays is the subject: names and groups are what the provider says now.
    corp.provider.describe("d1", &json!({ "preferred_username": "danielle", "groups": [] }));
    let again = corp.sign_in(Some("d1")).await;
    assert_eq!(corp.world.get(&again, "/api/v1/me").await.ok(200)["user"], "dana");
    assert_eq!(corp.roles(&dana).await, json!(["user"]), "at once, everywhere");

    // A password of here is nothing to them, and there is none to be changed.
    let change = json!({ "old": "anything at all", "new": "a long new sentence" });
    corp.world.send(&again, "PUT", "/api/v1/me/password", Some(change)).await.problem(409, "directory-password");
}

#[tokio::test]
async fn only_the_browser_that_set_out_comes_back_and_once() {
    let corp = Corp::start().await;
    let (trip, other) = (corp.set_out().await, corp.set_out().await);
    let landed = corp.provider.visit(&trip.url, Some("d1"));
    corp.back(&landed, "").await.problem(409, "trip-over");
    corp.back(&landed, &other.cookie).await.problem(409, "trip-over");
    let (before, state) = landed.split_once("state=").expect("a state");
    let swapped = format!("{before}state=x{state}");
    corp.back(&swapped, &trip.cookie).await.problem(409, "trip-over");
    signed_in(&corp.back(&landed, &trip.cookie).await);
    corp.back(&landed, &trip.cookie).await.problem(409, "trip-over");

    // A code of another trip: the provider's word was not made for this browser.
    let stolen = corp.provider.visit(&corp.set_out().await.url, Some("d1"));
    let mine = corp.provider.visit(&other.url, Some("d1"));
    let part = |url: &str, key: &str| {
        url.split(['?', '&']).find(|pair| pair.starts_with(key)).expect("it is there").to_owned()
    };
    let mixed = mine.replace(&part(&mine, "code="), &part(&stolen, "code="));
    corp.back(&mixed, &other.cookie).await.problem(400, "provider-fault");
    corp.back(&mine, &other.cookie).await.problem(409, "trip-over");

    let late = corp.set_out().await;
    let landed = corp.provider.visit(&late.url, Some("d1"));
    corp.pass(Duration::from_secs(601));
    corp.back(&landed, &late.cookie).await.problem(409, "trip-over");

    // Somebody else who answers in the provider's place.
    let trip = corp.set_out().await;
    let landed = corp.provider.visit(&trip.url, Some("d1"));
    let foreign = landed.replace(&part(&landed, "iss="), "iss=https%3A%2F%2Fevil.example");
    corp.back(&foreign, &trip.cookie).await.problem(400, "provider-fault");
    let elsewhere = landed.replace("/corp/", "/other/");
    corp.back(&elsewhere, &trip.cookie).await.problem(404, "not-found");

    // Browsers are led to a page that says it.
    let path = landed.strip_prefix(PUBLIC_URL).expect("it lands here");
    let page = Request::get(path).header(header::ACCEPT, "text/html,*/*").body(Body::empty()).expect("a request");
    let page = corp.world.ask(&As::Nobody, page).await;
    assert_eq!((page.status.as_u16(), page.header("location")), (303, "/sign-in?refused=trip-over"));
}

#[tokio::test]
async fn who_is_nobody_here_or_kept_out_is_told_so() {
    let corp = Corp::start().await;
    // Bob was here before: a name that is the same makes nobody him.
    let taken = corp.try_as(Some("b1")).await.problem(403, "not-let-in");
    assert!(taken["detail"].as_str().is_some_and(|text| text.contains("another user has")), "{taken}");
    // Another browser: the one of before is Bob's there.
    corp.provider.leave();
    corp.try_as(None).await.problem(403, "provider-says-no");
    let dana = corp.sign_in(Some("d1")).await;
    let identity = json!({ "provider": "corp", "subject": "d1" });
    let user = |spec: Value| json!([{ "kind": "User", "name": "dana", "spec": spec }]);
    corp.world.apply(user(json!({ "identity": identity, "disabled": true }))).await;
    corp.world.get(&dana, "/api/v1/me").await.problem(401, "not-signed-in");
    corp.try_as(Some("d1")).await.problem(403, "not-let-in");
    corp.world.apply(user(json!({ "identity": identity, "expires_at": "2027-01-01T00:00:00Z" }))).await;
    corp.try_as(Some("d1")).await.problem(403, "not-let-in");
    corp.world.apply(user(json!({ "identity": identity }))).await;
    corp.sign_in(Some("d1")).await;

    corp.world.apply(json!([corp.settings(&json!({ "create_users": false }))])).await;
    corp.provider.describe("e1", &json!({ "preferred_username": "erin" }));
    corp.provider.leave();
    let unknown = corp.try_as(Some("e1")).await.problem(403, "not-let-in");
    assert!(unknown["detail"].as_str().is_some_and(|text| text.contains("no user here")), "{unknown}");
    corp.world
        .apply(json!([{ "kind": "User", "name": "e", "spec": { "identity": { "provider": "corp", "name": "Erin" } } }]))
        .await;
    let erin = corp.sign_in(Some("e1")).await;
    assert_eq!(corp.world.get(&erin, "/api/v1/me").await.ok(200)["user"], "e", "whom an administrator meant");
}

#[tokio::test]
async fn a_provider_that_is_away_lets_nobody_in_and_says_so() {
    let corp = Corp::start().await;
    let trip = corp.set_out().await;
    let landed = corp.provider.visit(&trip.url, Some("d1"));
    corp.provider.be_silent(true);
    corp.back(&landed, &trip.cookie).await.problem(503, "provider-away");
    corp.world.cookie().await;
    corp.provider.be_silent(false);
    corp.back(&landed, &trip.cookie).await.problem(409, "trip-over");
    corp.sign_in(Some("d1")).await;
    // Another issuer knows other people by the same words.
    let elsewhere = corp.settings(&json!({ "issuer": "https://evil.example" }));
    let body = json!({ "documents": [elsewhere] });
    let wrong = corp.world.post(&As::Operator, "/api/v1/apply", body).await.wrong_fields();
    assert_eq!(wrong, ["/documents/0/spec/issuer"]);
}

#[tokio::test]
async fn sensitive_acts_ask_the_provider_again() {
    let corp = Corp::start().await;
    let dana = corp.sign_in(Some("d1")).await;
    let act = || corp.world.post(&dana, "/api/v1/tokens", json!({ "name": "mine" }));
    act().await.ok(201);
    corp.pass(QUARTER);
    assert_eq!(act().await.problem(403, "factor-needed")["methods"], json!(["provider"]));
    // To be signed in there is not enough.
    let trip = corp.set_out_again(&dana).await;
    let landed = corp.provider.visit(&trip.url, None);
    corp.back(&landed, &trip.cookie).await.problem(403, "provider-says-no");
    act().await.problem(403, "factor-needed");
    // Somebody else's word is nothing.
    let trip = corp.set_out_again(&dana).await;
    let landed = corp.provider.visit(&trip.url, Some("d1"));
    let answer = corp.back(&landed, &trip.cookie).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/"));
    assert!(answer.header("set-cookie").starts_with("__Host-cardea-trip=;"), "no other sign-in");
    act().await.ok(201);

    // Who signed in there long ago has shown nothing now.
    corp.pass(QUARTER);
    let late = corp.sign_in(None).await;
    let act = corp.world.post(&late, "/api/v1/tokens", json!({ "name": "other" })).await;
    assert_eq!(act.problem(403, "factor-needed")["methods"], json!(["provider"]));
}

#[tokio::test]
async fn a_second_factor_of_the_provider_counts_where_it_is_trusted() {
    let required = || SignInSettings { second_factor_roles: vec![Role::Auditor], ..SignInSettings::default() };
    let corp = Corp::start_with(&json!({}), required()).await;
    let dana = corp.sign_in(Some("d1")).await;
    let me = corp.world.get(&dana, "/api/v1/me").await.ok(200);
    assert_eq!(me["sign_in"]["must"], "enrol");
    corp.world.get(&dana, "/api/v1/sessions").await.problem(403, "enrolment-needed");

    corp.world.apply(json!([corp.settings(&json!({ "trusts_mfa": true }))])).await;
    let dana = corp.sign_in(Some("d1")).await;
    assert_eq!(corp.world.get(&dana, "/api/v1/me").await.ok(200)["sign_in"]["must"], Value::Null);
    corp.world.get(&dana, "/api/v1/sessions").await.ok(200);
    // By a password alone there, it is asked for here.
    corp.provider.leave();
    corp.provider.describe("d1", &json!({ "preferred_username": "dana", "groups": ["ops"], "amr": ["pwd"] }));
    let dana = corp.sign_in(Some("d1")).await;
    assert_eq!(corp.world.get(&dana, "/api/v1/me").await.ok(200)["sign_in"]["must"], "enrol");
}

#[tokio::test]
async fn who_leaves_there_is_out_at_once() {
    let corp = Corp::start().await;
    let world = &corp.world;
    let dana = corp.sign_in(Some("d1")).await;
    let session = world.request(&dana, &["web1"]).await.remove(0);
    world.until_status(&session, "available").await;
    corp.deliver("guessed").await.problem(400, "provider-fault");
    world
        .post(&As::Nobody, &format!("{WAY}/logout"), json!({ "logout_token": "x" }))
        .await
        .problem(415, "wrong-media-type");
    world.get(&dana, "/api/v1/me").await.ok(200);

    let tokens = corp.provider.leave();
    corp.deliver(&tokens[0]).await.ok(204);
    world.get(&dana, "/api/v1/me").await.problem(401, "not-signed-in");
    let ended = world.until_status(&session, "canceled").await;
    assert!(ended.to_string().contains("signed out"), "{ended:#}");
    let again = corp.sign_in(Some("d1")).await;
    corp.deliver(&tokens[0]).await.problem(400, "provider-fault");
    world.get(&again, "/api/v1/me").await.ok(200);

    // By the person alone: everywhere.
    let other = corp.sign_in(None).await;
    let claims = json!({ "iss": corp.provider.issuer, "aud": IdentityProvider::CLIENT, "sub": "d1", "jti": "another",
        "iat": world.clock.now().as_micros() / 1_000_000,
        "events": { "http://schemas.openid.net/event/backchannel-logout": {} } });
    corp.deliver(&corp.provider.forge(&json!({}), &claims, "somebody else")).await.problem(400, "provider-fault");
    world.get(&other, "/api/v1/me").await.ok(200);
    corp.deliver(&corp.provider.forge(&json!({}), &claims, "provider")).await.ok(204);
    for who in [&again, &other] {
        world.get(who, "/api/v1/me").await.problem(401, "not-signed-in");
    }

    // Sessions go on if the provider is set so.
    world.apply(json!([corp.settings(&json!({ "logout_ends_sessions": false }))])).await;
    let dana = corp.sign_in(Some("d1")).await;
    let session = world.request(&dana, &["web1"]).await.remove(0);
    world.until_status(&session, "available").await;
    corp.deliver(&corp.provider.leave()[0]).await.ok(204);
    world.get(&dana, "/api/v1/me").await.problem(401, "not-signed-in");
    let session = world.get(&As::Operator, &format!("/api/v1/sessions/{session}")).await.ok(200);
    assert_eq!(session["status"], "available");
}

/// Says of everybody that they are one person, unless the code is `away` or `wrong`.
struct Double;

#[async_trait]
impl OpenId for Double {
    async fn address(
        &self,
        _: &OpenIdProvider,
        question: OpenIdQuestion<'_>,
        _: Timestamp,
    ) -> Result<String, OpenIdFault> {
        Ok(format!("https://sso.example/?state={}", question.state))
    }

    async fn redeem(
        &self,
        _: &OpenIdProvider,
        code: OpenIdCode<'_>,
        now: Timestamp,
    ) -> Result<OpenIdPerson, OpenIdFault> {
        match code.code.expose(Clone::clone).as_str() {
            "away" => return Err(OpenIdFault::Away("it is gone".to_owned())),
            "wrong" => return Err(OpenIdFault::Wrong("it is wrong".to_owned())),
            _ => {}
        }
        Ok(OpenIdPerson {
            subject: "one".to_owned(),
            sid: None,
            shown_at: Some(now),
            with_mfa: false,
            user: "one".to_owned(),
            name: String::new(),
            email: String::new(),
            groups: Vec::new(),
        })
    }

    async fn leaver(&self, _: &OpenIdProvider, _: &str, _: Timestamp) -> Result<OpenIdLeaver, OpenIdFault> {
        Err(OpenIdFault::Wrong("nobody leaves".to_owned()))
    }
}

/// Makes the server answer with one of the problems of providers.
pub(crate) async fn produce(world: &World, slug: &str) -> Answer {
    world.app.ask_openid_by(Arc::new(Double));
    let spec = json!({ "protocol": "oidc", "issuer": "https://sso.example", "client_id": "cardea" });
    world.apply(json!([{ "kind": "IdentityProvider", "name": "sso", "spec": spec }])).await;
    let way = "/api/v1/sign-in/providers/sso";
    let Trip { url, cookie } = trip(&world.post(&As::Nobody, way, json!({})).await);
    let state = url.split_once("state=").expect("a state").1;
    let what = match slug {
        "provider-away" => "code=away",
        "provider-fault" => "code=wrong",
        "provider-says-no" => "error=access_denied",
        _ => "code=right",
    };
    let cookie = if slug == "trip-over" { String::new() } else { cookie };
    world.get(&As::Cookie(cookie, None), &format!("{way}/callback?state={state}&{what}")).await
}
