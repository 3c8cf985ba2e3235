//! The second factor: setting it up, signing in with it, losing it, and having to have one.

use std::time::Duration;

use cardea_app::SignInSettings;
use cardea_domain::{Clock as _, Role, Secret};
use cardea_vault::Totp;
use serde_json::{Value, json};

use crate::world::{Answer, As, PASSWORD, PUBLIC_URL, World};

/// A phone.
pub(crate) struct Phone(Totp);

impl Phone {
    pub(crate) fn code(&self, world: &World) -> String {
        self.0.code(world.clock.now().as_micros().div_euclid(30_000_000))
    }

    /// The code that follows, when it is shown.
    pub(crate) fn next_code(&self, world: &World) -> String {
        world.clock.advance(Duration::from_secs(30));
        self.code(world)
    }
}

/// Sets an app up in this sign-in; the phone, and the recovery codes.
pub(crate) async fn enrol(world: &World, who: &As) -> (Phone, Vec<String>) {
    let enrolment = world.post(who, "/api/v1/me/factors/totp", json!({})).await.ok(201);
    let secret = Secret::new(enrolment["secret"].as_str().expect("a secret").to_owned());
    let phone = Phone(Totp::read(&secret).expect("base32"));
    let body = json!({ "code": phone.code(world) });
    let confirmed = world.post(who, "/api/v1/me/factors/totp/confirm", body).await.ok(200);
    let codes = confirmed["recovery_codes"].as_array().expect("codes");
    (phone, codes.iter().map(|code| code.as_str().expect("a code").to_owned()).collect())
}

pub(crate) async fn ticket(world: &World, user: &str) -> String {
    let body = json!({ "user": user, "password": PASSWORD });
    let wanted = world.post(&As::Nobody, "/api/v1/sign-in", body).await.problem(401, "mfa-required");
    assert_eq!(wanted["methods"], json!(["totp", "recovery_code"]));
    wanted["ticket"].as_str().expect("a ticket").to_owned()
}

async fn second(world: &World, path: &str, ticket: &str, code: &str) -> Answer {
    world.post(&As::Nobody, &format!("/api/v1/sign-in/{path}"), json!({ "ticket": ticket, "code": code })).await
}

pub(crate) fn signed_in(answer: &Answer) -> As {
    answer.ok(200);
    As::Cookie(answer.header("set-cookie").split(';').next().expect("a cookie").to_owned(), Some(PUBLIC_URL))
}

/// A world with `dave`, who has a password.
pub(crate) async fn world_with_dave(settings: SignInSettings) -> World {
    let world = World::start_with(settings).await;
    world.apply(json!([{ "kind": "User", "name": "dave", "spec": { "password": PASSWORD } }])).await;
    world
}

#[tokio::test]
async fn an_app_counts_when_it_is_proven_and_each_code_works_once() {
    let world = world_with_dave(SignInSettings::default()).await;
    let dave = world.signed_in("dave").await;
    let elsewhere = world.signed_in("dave").await;
    let enrolment = world.post(&dave, "/api/v1/me/factors/totp", json!({})).await.ok(201);
    let uri = enrolment["uri"].as_str().expect("a URI");
    assert!(uri.starts_with("otpauth://totp/Cardea%20%28cardea.example.com%29:dave?secret="), "{uri}");
    world.signed_in("dave").await;
    let wrong = world.post(&dave, "/api/v1/me/factors/totp/confirm", json!({ "code": "000000" })).await;
    assert_eq!(wrong.wrong_fields(), ["/code"]);
    assert_eq!(world.get(&dave, "/api/v1/me/factors").await.ok(200)["totp_since"], Value::Null);

    let (phone, codes) = enrol(&world, &dave).await;
    assert_eq!(codes.len(), 10);
    world.get(&elsewhere, "/api/v1/me").await.problem(401, "not-signed-in");
    assert_eq!(world.get(&dave, "/api/v1/me/factors").await.ok(200)["recovery_codes_left"], 10);

    let first = ticket(&world, "dave").await;
    // The code that proved the app was used by that.
    second(&world, "totp", &first, &phone.code(&world)).await.problem(401, "wrong-credentials");
    let code = phone.next_code(&world);
    let with_space = format!("{} {}", &code[..3], &code[3..]);
    let answer = second(&world, "totp", &first, &with_space).await;
    world.get(&signed_in(&answer), "/api/v1/me").await.ok(200);
    second(&world, "totp", &first, &phone.next_code(&world)).await.problem(401, "wrong-credentials");
    second(&world, "totp", &ticket(&world, "dave").await, &code).await.problem(401, "wrong-credentials");
}

#[tokio::test]
async fn two_at_once_with_one_code_make_one_sign_in() {
    let world = world_with_dave(SignInSettings::default()).await;
    let (phone, _) = enrol(&world, &world.signed_in("dave").await).await;
    let (one, other) = (ticket(&world, "dave").await, ticket(&world, "dave").await);
    let code = phone.next_code(&world);
    let both = futures_util::join!(second(&world, "totp", &one, &code), second(&world, "totp", &other, &code));
    let statuses = [both.0.status.as_u16(), both.1.status.as_u16()];
    assert!(statuses == [200, 401] || statuses == [401, 200], "{statuses:?}");
}

#[tokio::test]
async fn a_ticket_is_good_for_its_address_for_minutes_and_for_few_attempts() {
    let world = world_with_dave(SignInSettings::default()).await;
    let (phone, _) = enrol(&world, &world.signed_in("dave").await).await;
    let code = phone.next_code(&world);
    let held = ticket(&world, "dave").await;
    let body = json!({ "ticket": held, "code": code });
    let stolen = world.post_from("192.0.2.66:1", "", "/api/v1/sign-in/totp", body).await;
    let guessed = second(&world, "totp", "cardea-ticket-guessed", &code).await;
    let told = [&stolen, &guessed].map(|answer| answer.problem(401, "wrong-credentials")["detail"].clone());
    assert_eq!(told[0], told[1], "who has no ticket learns nothing of it");
    world.clock.advance(Duration::from_secs(301));
    second(&world, "totp", &held, &phone.code(&world)).await.problem(401, "wrong-credentials");

    let held = ticket(&world, "dave").await;
    let mut slowed = 0;
    for _ in 0..8 {
        let answer = second(&world, "totp", &held, "000000").await;
        slowed += u32::from(answer.status == 429);
        assert!([401, 429].contains(&answer.status.as_u16()), "{}", answer.text);
    }
    assert!(slowed > 0, "guessing codes is slowed down");
    world.clock.advance(Duration::from_secs(120));
    second(&world, "totp", &held, "000000").await.problem(401, "wrong-credentials");
    world.clock.advance(Duration::from_secs(120));
    second(&world, "totp", &held, &phone.code(&world)).await.problem(401, "wrong-credentials");
    // With the password it begins again.
    signed_in(&second(&world, "totp", &ticket(&world, "dave").await, &phone.next_code(&world)).await);
}

#[tokio::test]
async fn a_recovery_code_works_once_and_new_ones_replace_the_old() {
    let world = world_with_dave(SignInSettings::default()).await;
    let (_, codes) = enrol(&world, &world.signed_in("dave").await).await;
    let shouted = codes[0].to_uppercase().replace('-', " ");
    let dave = signed_in(&second(&world, "recovery-code", &ticket(&world, "dave").await, &shouted).await);
    second(&world, "recovery-code", &ticket(&world, "dave").await, &codes[0]).await.problem(401, "wrong-credentials");
    second(&world, "totp", &ticket(&world, "dave").await, &codes[1]).await.problem(401, "wrong-credentials");
    assert_eq!(world.get(&dave, "/api/v1/me/factors").await.ok(200)["recovery_codes_left"], 9);
    let renewed = world.post(&dave, "/api/v1/me/factors/recovery-codes", json!({})).await.ok(201);
    second(&world, "recovery-code", &ticket(&world, "dave").await, &codes[1]).await.problem(401, "wrong-credentials");
    let new = renewed["recovery_codes"][0].as_str().expect("a code");
    signed_in(&second(&world, "recovery-code", &ticket(&world, "dave").await, new).await);
}

#[tokio::test]
async fn whoever_must_have_a_factor_can_do_nothing_before_it_is_set_up() {
    let settings = SignInSettings { second_factor_roles: vec![Role::Administrator], ..SignInSettings::default() };
    let world = world_with_dave(settings).await;
    let admin = world.signed_in("admin").await;
    let me = world.get(&admin, "/api/v1/me").await.ok(200);
    assert_eq!(me["sign_in"]["must"], "enrol");

    const OPEN: [&str; 9] = [
        "begin_passkey",
        "confirm_passkey",
        "confirm_totp",
        "depart_again",
        "enrol_totp",
        "show_me",
        "show_my_factors",
        "show_proof",
        "sign_out",
    ];
    let document = cardea_http::openapi();
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("a path item") {
            let is_public = operation["security"].as_array().is_some_and(|ways| ways.contains(&json!({})));
            let id = operation["operationId"].as_str().expect("an id");
            if is_public || OPEN.contains(&id) {
                continue;
            }
            asked += 1;
            let path = path.replace("{id}", "ses_00000000000000000000000000").replace("{name}", "alice");
            let answer = world.send(&admin, &method.to_uppercase(), &path, Some(json!({}))).await;
            answer.problem(403, "enrolment-needed");
        }
    }
    assert!(asked > 60, "the document lost operations");

    let (phone, _) = enrol(&world, &admin).await;
    world.get(&admin, "/api/v1/users").await.ok(200);
    world.send(&admin, "DELETE", "/api/v1/me/factors", None).await.problem(409, "factor-required");
    let again = second(&world, "totp", &ticket(&world, "admin").await, &phone.next_code(&world)).await;
    world.get(&signed_in(&again), "/api/v1/users").await.ok(200);
}

#[tokio::test]
async fn a_group_can_demand_a_factor_and_sign_ins_that_are_there_feel_it() {
    let world = world_with_dave(SignInSettings::default()).await;
    let dave = world.signed_in("dave").await;
    world.get(&dave, "/api/v1/my/activities").await.ok(200);
    let spec = json!({ "members": ["dave"], "require_second_factor": true });
    world.apply(json!([{ "kind": "Group", "name": "careful", "spec": spec }])).await;
    world.get(&dave, "/api/v1/my/activities").await.problem(403, "enrolment-needed");
    enrol(&world, &dave).await;
    world.get(&dave, "/api/v1/my/activities").await.ok(200);
}

#[tokio::test]
async fn an_administrator_resets_what_somebody_lost() {
    let world = world_with_dave(SignInSettings::default()).await;
    let dave = world.signed_in("dave").await;
    enrol(&world, &dave).await;
    let half = ticket(&world, "dave").await;
    let path = "/api/v1/users/dave/factors";
    let (token, carol) = (world.token("admin").await, world.token("carol").await);
    for who in [&dave, &token, &carol] {
        world.send(who, "DELETE", path, None).await.problem(403, "not-allowed");
    }
    let admin = world.signed_in("admin").await;
    assert!(world.get(&admin, path).await.ok(200)["totp_since"].is_string());
    world.send(&admin, "DELETE", path, None).await.ok(204);
    world.get(&dave, "/api/v1/me").await.problem(401, "not-signed-in");
    second(&world, "totp", &half, "000000").await.problem(401, "wrong-credentials");
    world.signed_in("dave").await;
    world.send(&admin, "DELETE", "/api/v1/users/nobody/factors", None).await.problem(404, "not-found");
}

#[tokio::test]
async fn one_takes_ones_own_factor_off_again() {
    let world = world_with_dave(SignInSettings::default()).await;
    let dave = world.signed_in("dave").await;
    world.send(&dave, "DELETE", "/api/v1/me/factors", None).await.problem(409, "no-factor");
    world.post(&dave, "/api/v1/me/factors/recovery-codes", json!({})).await.problem(409, "no-factor");
    enrol(&world, &dave).await;
    world.send(&dave, "DELETE", "/api/v1/me/factors", None).await.ok(204);
    world.signed_in("dave").await;
    let late = world.post(&dave, "/api/v1/me/factors/totp/confirm", json!({ "code": "123456" })).await;
    late.problem(409, "no-enrolment");
}

/// Makes the server answer with one of the problems of factors, for a user of its own.
pub(crate) async fn produce(world: &World, slug: &str) -> Answer {
    let name = format!("dora-{slug}");
    let careful = |required| {
        let spec = json!({ "members": [&name], "require_second_factor": required });
        json!({ "kind": "Group", "name": slug, "spec": spec })
    };
    world.apply(json!([{ "kind": "User", "name": &name, "spec": { "password": PASSWORD } }, careful(false)])).await;
    let dora = world.signed_in(&name).await;
    let post = async |path: &str, body: Value| world.post(&dora, &format!("/api/v1/{path}"), body).await;
    match slug {
        "enrolment-needed" => {
            world.apply(json!([careful(true)])).await;
            world.get(&dora, "/api/v1/my/activities").await
        }
        "factor-needed" => {
            world.clock.advance(Duration::from_secs(16 * 60));
            post("tokens", json!({ "name": "late" })).await
        }
        "factor-required" => {
            enrol(world, &dora).await;
            world.apply(json!([careful(true)])).await;
            world.send(&dora, "DELETE", "/api/v1/me/factors", None).await
        }
        "mfa-required" => {
            enrol(world, &dora).await;
            let body = json!({ "user": &name, "password": PASSWORD });
            world.post(&As::Nobody, "/api/v1/sign-in", body).await
        }
        "no-enrolment" => post("me/factors/totp/confirm", json!({ "code": "123456" })).await,
        "no-factor" => post("me/factors/recovery-codes", json!({})).await,
        "no-passkeys" => post("me/factors/passkeys", json!({ "name": "key" })).await,
        "no-sign-in" => world.post(&world.token(&name).await, "/api/v1/me/proof", json!({ "totp": "123456" })).await,
        "wrong-factor" => post("me/proof", json!({ "password": "wrong" })).await,
        _ => panic!("`{slug}` is not about factors"),
    }
}
