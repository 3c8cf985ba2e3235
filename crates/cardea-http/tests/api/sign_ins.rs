//! Sign-ins and tokens as lists, what a token may be used for, and the password.

use std::time::Duration;

use cardea_app::SignInSettings;
use serde_json::{Value, json};

use crate::{
    factor::{enrol, signed_in, world_with_dave},
    world::{As, PASSWORD, World},
};

const NEW: &str = "another long sentence";

async fn sign_in_with(world: &World, peer: &str, agent: &str, password: &str) -> As {
    let body = json!({ "user": "dave", "password": password });
    signed_in(&world.post_from(peer, agent, "/api/v1/sign-in", body).await)
}

fn ids(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().expect("items");
    items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
}

async fn token(world: &World, who: &As, scopes: Value) -> As {
    let made = world.post(who, "/api/v1/tokens", json!({ "name": "some", "scopes": scopes })).await.ok(201);
    As::Token(made["token"].as_str().expect("a token").to_owned())
}

#[tokio::test]
async fn ones_sign_ins_are_seen_and_ended() {
    let world = world_with_dave(SignInSettings::default()).await;
    let here = sign_in_with(&world, "192.0.2.1:1", "Firefox", PASSWORD).await;
    let there = sign_in_with(&world, "[2001:db8::7]:1", "a\u{9}phone", PASSWORD).await;
    let list = world.get(&here, "/api/v1/sign-ins").await.ok(200);
    let [second, first] = list["items"].as_array().expect("items").as_slice() else { panic!("{list}") };
    assert_eq!(
        (&first["peer"], &first["agent"], &first["own"]),
        (&json!("192.0.2.1"), &json!("Firefox"), &json!(true))
    );
    assert_eq!((&second["peer"], &second["own"]), (&json!("2001:db8::"), &json!(false)));
    assert_eq!(first["second_factor"], false);

    let stranger = world.token("bob").await;
    let other = format!("/api/v1/sign-ins/{}", second["id"].as_str().expect("an id"));
    world.send(&stranger, "DELETE", &other, None).await.problem(404, "not-found");
    world.get(&stranger, "/api/v1/sign-ins?user=dave").await.problem(403, "not-allowed");
    world.send(&here, "DELETE", &other, None).await.ok(204);
    world.get(&there, "/api/v1/me").await.problem(401, "not-signed-in");

    let third = sign_in_with(&world, "192.0.2.3:1", "", PASSWORD).await;
    assert_eq!(world.post(&here, "/api/v1/sign-ins/end", json!({})).await.ok(200)["ended"], 1);
    world.get(&third, "/api/v1/me").await.problem(401, "not-signed-in");
    assert_eq!(ids(&world.get(&here, "/api/v1/sign-ins").await.ok(200)).len(), 1);

    let admin = world.signed_in("admin").await;
    assert_eq!(ids(&world.get(&admin, "/api/v1/sign-ins?user=dave").await.ok(200)).len(), 1);
    assert_eq!(world.post(&admin, "/api/v1/sign-ins/end", json!({ "user": "dave" })).await.ok(200)["ended"], 1);
    world.get(&here, "/api/v1/me").await.problem(401, "not-signed-in");
    world.get(&admin, "/api/v1/me").await.ok(200);
    world.clock.advance(Duration::from_secs(3 * 3600));
    assert_eq!(
        ids(&world.get(&As::Operator, "/api/v1/sign-ins?user=admin").await.ok(200)).len(),
        0,
        "idle for too long"
    );
}

#[tokio::test]
async fn a_sign_in_from_a_new_device_is_told_to_its_user() {
    let world = world_with_dave(SignInSettings::default()).await;
    let dave = sign_in_with(&world, "192.0.2.1:1", "Firefox", PASSWORD).await;
    let mut events = world.listen(&dave, "/api/v1/events", None).await.expect("a stream");
    let bob = world.token("bob").await;
    let mut strangers = world.listen(&bob, "/api/v1/events", None).await.expect("a stream");
    sign_in_with(&world, "192.0.2.1:2", "Firefox", PASSWORD).await;
    sign_in_with(&world, "198.51.100.9:1", "curl/8", PASSWORD).await;
    let told = events.until("alert").await.json();
    assert_eq!(told["code"], "new_device", "the first from where dave was before is none: {told}");
    assert!(
        told["text"].as_str().is_some_and(|text| text.contains("198.51.100.9") && text.contains("curl/8")),
        "{told}"
    );
    world.apply(json!([{ "kind": "Group", "name": "marker", "spec": {} }])).await;
    while let Some(event) = strangers.next().await {
        assert_ne!(event.name, "alert", "{event:?}");
        if event.name == "configuration" {
            return;
        }
    }
    panic!("the stream ended");
}

#[tokio::test]
async fn a_token_does_what_its_scopes_say_and_no_more() {
    let world = World::start().await;
    let admin = world.signed_in("admin").await;
    let group = |name: &str| json!({ "name": name, "spec": {} });
    let session = json!({ "activity": "Linux admin", "resources": ["web1"] });
    let lock = json!({ "user": "alice", "title": "stop" });

    let read = token(&world, &admin, json!(["read"])).await;
    world.get(&read, "/api/v1/users").await.ok(200);
    for (path, body) in [("groups", group("a")), ("sessions", session.clone()), ("locks", lock.clone())] {
        world.post(&read, &format!("/api/v1/{path}"), body).await.problem(403, "not-allowed");
    }
    let configure = token(&world, &admin, json!(["configuration"])).await;
    world.post(&configure, "/api/v1/groups", group("a")).await.ok(201);
    world.post(&configure, "/api/v1/locks", lock.clone()).await.problem(403, "not-allowed");
    world.post(&configure, "/api/v1/sessions", session.clone()).await.problem(403, "not-allowed");
    let operate = token(&world, &admin, json!(["operation"])).await;
    world.post(&operate, "/api/v1/locks", lock).await.ok(201);
    world.post(&operate, "/api/v1/groups", group("b")).await.problem(403, "not-allowed");
    for scopes in [json!([]), json!(["root"]), json!("read")] {
        let wrong = world.post(&admin, "/api/v1/tokens", json!({ "name": "x", "scopes": scopes })).await;
        assert!(wrong.wrong_fields()[0].starts_with("/scopes"), "{}", wrong.text);
    }
    // Whoever finds a token cannot make it last.
    let all = token(&world, &admin, json!(["configuration", "decide", "operation", "sessions"])).await;
    world.post(&all, "/api/v1/tokens", json!({ "name": "more" })).await.problem(403, "not-allowed");
    world.post(&all, "/api/v1/me/factors/totp", json!({})).await.problem(403, "not-allowed");
}

#[tokio::test]
async fn deciding_with_a_token_takes_its_scope() {
    let world = World::start().await;
    world.guard_vault(1).await;
    let erin = world.signed_in("erin").await;
    let alice = world.token("alice").await;
    let session = world.request(&alice, &["vault1"]).await.remove(0);
    let (weak, strong) =
        (token(&world, &erin, json!(["sessions"])).await, token(&world, &erin, json!(["decide"])).await);
    let path = format!("/api/v1/sessions/{session}/approve");
    world.post(&weak, &path, json!({ "reason": "fine" })).await.problem(403, "not-allowed");
    world.post(&strong, &path, json!({ "reason": "fine" })).await.ok(200);
}

#[tokio::test]
async fn tokens_are_listed_without_their_value_and_revoked() {
    let world = World::start().await;
    let admin = world.signed_in("admin").await;
    let script = token(&world, &admin, json!(["sessions"])).await;
    world.get(&script, "/api/v1/me").await.ok(200);
    let list = world.get(&admin, "/api/v1/tokens").await;
    assert!(!list.text.contains("cardea-token-"));
    let list = list.ok(200);
    let [one] = list["items"].as_array().expect("items").as_slice() else { panic!("{list}") };
    assert_eq!((&one["scopes"], &one["operator_issued"]), (&json!(["read", "sessions"]), &json!(false)));
    assert!(one["last_used_at"].is_string(), "{one}");
    let path = format!("/api/v1/tokens/{}", one["id"].as_str().expect("an id"));
    let bob = world.token("bob").await;
    world.send(&bob, "DELETE", &path, None).await.problem(404, "not-found");
    world.send(&admin, "DELETE", &path, None).await.ok(204);
    world.get(&script, "/api/v1/me").await.problem(401, "not-signed-in");
    assert_eq!(world.get(&admin, "/api/v1/tokens").await.ok(200)["items"], json!([]));
    let bobs = ids(&world.get(&admin, "/api/v1/tokens?user=bob").await.ok(200)).remove(0);
    world.send(&admin, "DELETE", &format!("/api/v1/tokens/{bobs}"), None).await.ok(204);
    world.get(&bob, "/api/v1/me").await.problem(401, "not-signed-in");
}

#[tokio::test]
async fn a_password_is_changed_by_whoever_knows_it_and_other_sign_ins_end() {
    let world = world_with_dave(SignInSettings::default()).await;
    let (dave, other) = (world.signed_in("dave").await, world.signed_in("dave").await);
    let change = async |who: &As, body: Value| world.send(who, "PUT", "/api/v1/me/password", Some(body)).await;
    assert_eq!(change(&dave, json!({ "new": NEW })).await.wrong_fields(), ["/old"]);
    assert_eq!(change(&dave, json!({ "old": "wrong", "new": NEW })).await.wrong_fields(), ["/old"]);
    for weak in ["short", "password1", "aaaaaaaaaaaa"] {
        assert_eq!(change(&dave, json!({ "old": PASSWORD, "new": weak })).await.wrong_fields(), ["/new"], "{weak}");
    }
    change(&world.token("dave").await, json!({ "old": PASSWORD, "new": NEW })).await.problem(403, "not-allowed");
    change(&dave, json!({ "old": PASSWORD, "new": NEW })).await.ok(204);
    world.get(&dave, "/api/v1/me").await.ok(200);
    world.get(&other, "/api/v1/me").await.problem(401, "not-signed-in");
    let old = json!({ "user": "dave", "password": PASSWORD });
    world.post(&As::Nobody, "/api/v1/sign-in", old).await.problem(401, "wrong-credentials");
    sign_in_with(&world, "192.0.2.1:1", "", NEW).await;

    let (_, _) = enrol(&world, &dave).await;
    change(&dave, json!({ "new": PASSWORD })).await.ok(204);
    world.clock.advance(Duration::from_secs(16 * 60));
    change(&dave, json!({ "new": NEW })).await.problem(403, "factor-needed");
}

#[tokio::test]
async fn a_common_password_is_refused_wherever_it_is_set() {
    let world = World::start().await;
    let body = json!({ "documents": [{ "kind": "User", "name": "eve", "spec": { "password": "iloveyou1" } }] });
    let answer = world.post(&As::Operator, "/api/v1/apply", body).await;
    assert!(answer.wrong_fields()[0].ends_with("/spec/password"), "{}", answer.text);
}
