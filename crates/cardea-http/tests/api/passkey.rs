//! Passkeys: alone, as the second step, as the factor that is shown again, and everything that must not count as one.

use std::{sync::Arc, time::Duration};

use cardea_app::{RelyingParty, SignInSettings};
use cardea_domain::Role;
use cardea_testkit::SoftPasskey;
use serde_json::{Value, json};

use crate::{
    factor::{enrol, signed_in, world_with_dave},
    world::{Answer, As, PASSWORD, PUBLIC_URL, World},
};

const PASSKEYS: &str = "/api/v1/me/factors/passkeys";
const SIGN_IN: &str = "/api/v1/sign-in/passkey";

pub(crate) fn settings() -> SignInSettings {
    let relying_party = Some(Arc::new(RelyingParty::new(PUBLIC_URL).expect("a site with a name")));
    SignInSettings { relying_party, ..SignInSettings::default() }
}

async fn confirm(world: &World, who: &As, name: &str, begun: &Value, credential: Value) -> Answer {
    let body = json!({ "name": name, "challenge": begun["challenge"], "credential": credential });
    world.post(who, &format!("{PASSKEYS}/confirm"), body).await
}

/// Registers a passkey in this sign-in; the key, and what was answered.
pub(crate) async fn register(world: &World, who: &As, name: &str) -> (SoftPasskey, Value) {
    let begun = world.post(who, PASSKEYS, json!({ "name": name })).await.ok(201);
    let (key, credential) = SoftPasskey::make(&begun["options"], PUBLIC_URL);
    let confirmed = confirm(world, who, name, &begun, credential).await.ok(200);
    (key, confirmed)
}

async fn ask(world: &World) -> Value {
    world.post(&As::Nobody, &format!("{SIGN_IN}/challenge"), json!({})).await.ok(201)
}

fn body(asked: &Value, credential: &Value) -> Value {
    json!({ "challenge": asked["challenge"], "credential": credential })
}

/// Signs in with the passkey and nothing else.
async fn alone(world: &World, key: &mut SoftPasskey) -> Answer {
    let asked = ask(world).await;
    world.post(&As::Nobody, SIGN_IN, body(&asked, &key.show(&asked["options"]))).await
}

async fn ticket(world: &World, user: &str) -> (Value, Value) {
    let credentials = json!({ "user": user, "password": PASSWORD });
    let wanted = world.post(&As::Nobody, "/api/v1/sign-in", credentials).await.problem(401, "mfa-required");
    (wanted["ticket"].clone(), wanted["methods"].clone())
}

async fn second(world: &World, ticket: &Value, key: &mut SoftPasskey) -> Answer {
    let asked = ask(world).await;
    let mut shown = body(&asked, &key.show(&asked["options"]));
    shown["ticket"] = ticket.clone();
    world.post(&As::Nobody, SIGN_IN, shown).await
}

#[tokio::test]
async fn a_passkey_signs_in_alone_and_after_the_password() {
    let world = world_with_dave(settings()).await;
    let (dave, elsewhere) = (world.signed_in("dave").await, world.signed_in("dave").await);
    let (mut key, confirmed) = register(&world, &dave, "Laptop").await;
    assert_eq!(confirmed["recovery_codes"].as_array().map(Vec::len), Some(10), "the first factor gives them");
    world.get(&elsewhere, "/api/v1/me").await.problem(401, "not-signed-in");

    let here = signed_in(&alone(&world, &mut key).await);
    let me = world.get(&here, "/api/v1/me").await.ok(200);
    assert_eq!((&me["user"], &me["sign_in"]["must"]), (&json!("dave"), &Value::Null));
    world.post(&here, "/api/v1/tokens", json!({ "name": "fresh enough for a sensitive act" })).await.ok(201);

    let (held, methods) = ticket(&world, "dave").await;
    assert_eq!(methods, json!(["passkey", "recovery_code"]));
    signed_in(&second(&world, &held, &mut key).await);
    second(&world, &held, &mut key).await.problem(401, "wrong-credentials");

    let factors = world.get(&here, "/api/v1/me/factors").await.ok(200);
    assert_eq!(factors["passkeys"][0]["name"], "Laptop");
    assert!(factors["passkeys"][0]["last_used_at"].is_string(), "{factors}");
}

#[tokio::test]
async fn a_second_passkey_and_an_app_stand_beside_the_first() {
    let world = world_with_dave(settings()).await;
    let dave = world.signed_in("dave").await;
    let (mut first, _) = register(&world, &dave, "Laptop").await;
    let (mut other, confirmed) = register(&world, &dave, "Key ring").await;
    assert_eq!(confirmed["recovery_codes"], json!([]), "those of before go on");
    enrol(&world, &dave).await;
    assert_eq!(ticket(&world, "dave").await.1, json!(["passkey", "totp", "recovery_code"]));
    for key in [&mut first, &mut other] {
        signed_in(&alone(&world, key).await);
    }
    let taken = world.post(&dave, PASSKEYS, json!({ "name": "Laptop" })).await;
    assert_eq!(taken.wrong_fields(), ["/name"]);
    for bad in ["", "  ", "a\u{7}b", &"x".repeat(65)] {
        assert_eq!(world.post(&dave, PASSKEYS, json!({ "name": bad })).await.wrong_fields(), ["/name"], "{bad:?}");
    }
}

#[tokio::test]
async fn it_is_the_factor_that_is_shown_again() {
    let world = world_with_dave(settings()).await;
    let dave = world.signed_in("dave").await;
    let (mut key, _) = register(&world, &dave, "Laptop").await;
    world.clock.advance(Duration::from_secs(15 * 60 + 1));
    let wanted = world.post(&dave, PASSKEYS, json!({ "name": "late" })).await.problem(403, "factor-needed");
    assert_eq!(wanted["methods"], json!(["passkey", "recovery_code"]));
    let password = world.post(&dave, "/api/v1/me/proof", json!({ "password": PASSWORD })).await;
    assert_eq!(password.wrong_fields(), ["/password"]);
    let asked = ask(&world).await;
    let shown = json!({ "passkey": body(&asked, &key.show(&asked["options"])) });
    world.post(&dave, "/api/v1/me/proof", shown.clone()).await.ok(200);
    world.post(&dave, "/api/v1/me/proof", shown).await.problem(403, "wrong-factor");
    world.post(&dave, PASSKEYS, json!({ "name": "in time" })).await.ok(201);
}

#[tokio::test]
async fn an_answer_counts_once_in_time_and_from_where_it_was_asked() {
    let world = world_with_dave(settings()).await;
    let (mut key, _) = register(&world, &world.signed_in("dave").await, "Laptop").await;
    let asked = ask(&world).await;
    let shown = body(&asked, &key.show(&asked["options"]));
    world.post_from("192.0.2.66:1", "", SIGN_IN, shown.clone()).await.problem(401, "wrong-credentials");
    signed_in(&world.post(&As::Nobody, SIGN_IN, shown.clone()).await);
    world.post(&As::Nobody, SIGN_IN, shown).await.problem(401, "wrong-credentials");

    let asked = ask(&world).await;
    let shown = body(&asked, &key.show(&asked["options"]));
    world.clock.advance(Duration::from_secs(301));
    world.post(&As::Nobody, SIGN_IN, shown).await.problem(401, "wrong-credentials");

    // An answer to another question, and one that was never asked.
    let (one, other) = (ask(&world).await, ask(&world).await);
    let crossed = body(&one, &key.show(&other["options"]));
    world.post(&As::Nobody, SIGN_IN, crossed).await.problem(401, "wrong-credentials");
    let text = one["challenge"].as_str().expect("text");
    let forged = [
        "cardea-passkey-guessed".to_owned(),
        format!("cardea-passkey-{}", text.split_once('.').expect("an id and what is sealed").1),
        // What is sealed of one under the id of the other.
        format!(
            "{}.{}",
            other["challenge"].as_str().and_then(|text| text.split('.').next()).expect("an id"),
            text.split_once('.').expect("an id and what is sealed").1
        ),
        format!("{}A", &text[..text.len() - 1]),
    ];
    for challenge in forged {
        world.clock.advance(Duration::from_secs(10));
        let invented = json!({ "challenge": challenge, "credential": key.show(&one["options"]) });
        world.post(&As::Nobody, SIGN_IN, invented).await.problem(401, "wrong-credentials");
    }
    // A wrong answer is none: the right one still counts.
    world.clock.advance(Duration::from_secs(30));
    signed_in(&world.post(&As::Nobody, SIGN_IN, body(&one, &key.show(&one["options"]))).await);
}

#[tokio::test]
async fn two_at_once_with_one_answer_make_one_sign_in() {
    let world = world_with_dave(settings()).await;
    let (mut key, _) = register(&world, &world.signed_in("dave").await, "Laptop").await;
    let asked = ask(&world).await;
    let shown = body(&asked, &key.show(&asked["options"]));
    let one = world.post(&As::Nobody, SIGN_IN, shown.clone());
    let both = futures_util::join!(one, world.post(&As::Nobody, SIGN_IN, shown.clone()));
    let mut statuses = [both.0.status.as_u16(), both.1.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);
}

#[tokio::test]
async fn other_pages_unverified_people_and_keys_of_others_do_not_count() {
    let world = world_with_dave(settings()).await;
    let dave = world.signed_in("dave").await;
    let (mut key, _) = register(&world, &dave, "Laptop").await;
    for mut wrong in [
        key.on_page("https://cardea.example.com.evil.example"),
        key.on_page("https://sub.cardea.example.com"),
        key.on_page("http://cardea.example.com"),
        key.unverified(),
    ] {
        alone(&world, &mut wrong).await.problem(401, "wrong-credentials");
    }
    // A key that was made for dave and never registered.
    let begun = world.post(&dave, PASSKEYS, json!({ "name": "other" })).await.ok(201);
    let (mut stranger, _) = SoftPasskey::make(&begun["options"], PUBLIC_URL);
    let unknown = alone(&world, &mut stranger).await.problem(401, "wrong-credentials");
    let unread = json!({ "challenge": ask(&world).await["challenge"], "credential": { "id": 7 } });
    world.clock.advance(Duration::from_secs(60));
    let unread = world.post(&As::Nobody, SIGN_IN, unread).await.problem(401, "wrong-credentials");
    assert_eq!(unknown["detail"], unread["detail"], "who has no passkey learns nothing");

    // The key of somebody else is not the second step of dave, nor what dave shows again.
    let admin = world.signed_in("admin").await;
    let (mut foreign, _) = register(&world, &admin, "Mine").await;
    world.clock.advance(Duration::from_secs(60));
    second(&world, &ticket(&world, "dave").await.0, &mut foreign).await.problem(401, "wrong-credentials");
    let asked = ask(&world).await;
    let shown = json!({ "passkey": body(&asked, &foreign.show(&asked["options"])) });
    world.post(&dave, "/api/v1/me/proof", shown).await.problem(403, "wrong-factor");
    world.clock.advance(Duration::from_secs(60));
    signed_in(&alone(&world, &mut key).await);
}

#[tokio::test]
async fn what_is_registered_was_asked_of_this_user_on_this_page() {
    let world = world_with_dave(settings()).await;
    let (dave, admin) = (world.signed_in("dave").await, world.signed_in("admin").await);
    let begin = async || world.post(&dave, PASSKEYS, json!({ "name": "key" })).await.ok(201);

    let begun = begin().await;
    let (key, _) = SoftPasskey::make(&begun["options"], "https://evil.example");
    confirm(&world, &dave, "key", &begun, key.registration(&begun["options"])).await.problem(409, "no-enrolment");
    let begun = begin().await;
    let (key, _) = SoftPasskey::make(&begun["options"], PUBLIC_URL);
    let unverified = key.unverified().registration(&begun["options"]);
    confirm(&world, &dave, "key", &begun, unverified).await.problem(409, "no-enrolment");
    // Another sign-in of the same user did not ask.
    let elsewhere = world.signed_in("dave").await;
    let good = key.registration(&begun["options"]);
    confirm(&world, &elsewhere, "key", &begun, good).await.problem(409, "no-enrolment");

    let begun = begin().await;
    let (_, good) = SoftPasskey::make(&begun["options"], PUBLIC_URL);
    confirm(&world, &admin, "key", &begun, good.clone()).await.problem(409, "no-enrolment");
    let late = begin().await;
    confirm(&world, &dave, "key", &begun, good.clone()).await.ok(200);
    confirm(&world, &dave, "again", &begun, good).await.problem(409, "no-enrolment");
    let (_, other) = SoftPasskey::make(&late["options"], PUBLIC_URL);
    world.clock.advance(Duration::from_secs(301));
    confirm(&world, &dave, "late", &late, other).await.problem(409, "no-enrolment");
    assert_eq!(world.get(&admin, "/api/v1/me/factors").await.ok(200)["passkeys"], json!([]));
}

#[tokio::test]
async fn a_counter_that_goes_back_is_refused_written_down_and_told() {
    let world = world_with_dave(settings()).await;
    let dave = world.signed_in("dave").await;
    let (mut key, _) = register(&world, &dave, "Laptop").await;
    signed_in(&alone(&world, &mut key).await);
    signed_in(&alone(&world, &mut key).await);
    let mut events = world.listen(&dave, "/api/v1/events", None).await.expect("a stream");
    let mut copy = key.set_back();
    alone(&world, &mut copy).await.problem(401, "wrong-credentials");
    let alert = events.until("alert").await.json();
    assert_eq!(alert["code"], "passkey_copied");
    assert!(alert["text"].as_str().is_some_and(|text| text.contains("Laptop")), "{alert}");
    signed_in(&alone(&world, &mut key).await);
}

#[tokio::test]
async fn it_satisfies_whoever_must_have_a_factor_and_the_last_one_stays() {
    let world = world_with_dave(SignInSettings { second_factor_roles: vec![Role::Administrator], ..settings() }).await;
    let admin = world.signed_in("admin").await;
    world.get(&admin, "/api/v1/users").await.problem(403, "enrolment-needed");
    let (mut key, _) = register(&world, &admin, "Laptop").await;
    world.get(&admin, "/api/v1/users").await.ok(200);
    world.get(&signed_in(&alone(&world, &mut key).await), "/api/v1/users").await.ok(200);
    let factors = world.get(&admin, "/api/v1/me/factors").await.ok(200);
    let path = format!("{PASSKEYS}/{}", factors["passkeys"][0]["id"].as_str().expect("an id"));
    world.send(&admin, "DELETE", &path, None).await.problem(409, "factor-required");
    signed_in(&alone(&world, &mut key).await);
    enrol(&world, &admin).await;
    world.send(&admin, "DELETE", &path, None).await.ok(204);
    alone(&world, &mut key).await.problem(401, "wrong-credentials");
}

#[tokio::test]
async fn taken_off_by_oneself_or_reset_it_opens_nothing_any_more() {
    let world = world_with_dave(settings()).await;
    let dave = world.signed_in("dave").await;
    let (mut key, confirmed) = register(&world, &dave, "Laptop").await;
    let path = |factors: &Value| format!("{PASSKEYS}/{}", factors["passkeys"][0]["id"].as_str().expect("an id"));
    let own = path(&world.get(&dave, "/api/v1/me/factors").await.ok(200));
    let admin = world.signed_in("admin").await;
    world.send(&admin, "DELETE", &own, None).await.problem(409, "no-factor");
    world.send(&dave, "DELETE", &own, None).await.ok(204);
    world.send(&dave, "DELETE", &own, None).await.problem(409, "no-factor");
    alone(&world, &mut key).await.problem(401, "wrong-credentials");
    assert_eq!(world.get(&dave, "/api/v1/me/factors").await.ok(200)["recovery_codes_left"], 0);
    // With the last factor the password is enough again, and the recovery codes are none.
    let dave = world.signed_in("dave").await;
    assert!(confirmed["recovery_codes"][0].is_string());

    let (mut key, _) = register(&world, &dave, "Laptop").await;
    world.send(&admin, "DELETE", "/api/v1/users/dave/factors", None).await.ok(204);
    alone(&world, &mut key).await.problem(401, "wrong-credentials");
    world.get(&dave, "/api/v1/me").await.problem(401, "not-signed-in");
    let factors = world.get(&admin, "/api/v1/users/dave/factors").await.ok(200);
    assert_eq!(factors["passkeys"], json!([]));
}

#[tokio::test]
async fn whoever_may_not_come_in_does_not_with_a_passkey() {
    let world = world_with_dave(settings()).await;
    let (mut key, _) = register(&world, &world.signed_in("dave").await, "Laptop").await;
    let spec = json!({ "password": PASSWORD, "disabled": true });
    world.apply(json!([{ "kind": "User", "name": "dave", "spec": spec }])).await;
    alone(&world, &mut key).await.problem(401, "wrong-credentials");
}

/// However much somebody asks and guesses, whoever has a passkey gets in, also from the same network.
#[tokio::test]
async fn a_flood_of_questions_and_of_wrong_answers_keeps_nobody_out() {
    let world = world_with_dave(settings()).await;
    let (mut key, _) = register(&world, &world.signed_in("dave").await, "Laptop").await;
    let (mut slowed, mut last) = (0, json!({}));
    for _ in 0..400 {
        last = ask(&world).await;
        let guess = json!({ "challenge": last["challenge"], "credential": {} });
        slowed += u32::from(world.post(&As::Nobody, SIGN_IN, guess).await.status == 429);
    }
    assert!(slowed > 380, "who answers with no passkey of ours is slowed down: {slowed}");
    signed_in(&world.post(&As::Nobody, SIGN_IN, body(&last, &key.show(&last["options"]))).await);
    let credentials = json!({ "user": "admin", "password": PASSWORD });
    world.post(&As::Nobody, "/api/v1/sign-in", credentials).await.ok(200);
}

/// Wrong answers of a passkey are its user's, and only from there.
#[tokio::test]
async fn wrong_answers_slow_down_whose_passkey_it_is_and_nobody_beside() {
    let world = world_with_dave(settings()).await;
    let (mut daves, _) = register(&world, &world.signed_in("dave").await, "Laptop").await;
    let (mut admins, _) = register(&world, &world.signed_in("admin").await, "Laptop").await;
    let asked = ask(&world).await;
    let wrong = body(&asked, &daves.on_page("https://evil.example").show(&asked["options"]));
    for _ in 0..5 {
        world.post(&As::Nobody, SIGN_IN, wrong.clone()).await.problem(401, "wrong-credentials");
    }
    alone(&world, &mut daves).await.problem(429, "too-many-attempts");
    signed_in(&alone(&world, &mut admins).await);
    world.clock.advance(Duration::from_secs(60));
    signed_in(&alone(&world, &mut daves).await);
}
