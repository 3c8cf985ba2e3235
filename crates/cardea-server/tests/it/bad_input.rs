//! Bad input through the API and in files: a clear refusal at its place, and nothing changed.

use cardea_testkit::LinuxHost;
use serde_json::json;

use crate::harness::{Expect as _, Server};

#[test]
fn requests_that_cannot_be_granted_say_why_at_their_field() {
    let host = LinuxHost::start("web1");
    let server = Server::start();
    server.furnish(&[&host]);
    let (alice, mallory) = (server.api("alice"), server.api("mallory"));
    let long = "x".repeat(5000);
    let cases = [
        (json!({ "activity": "Linux admin", "resources": [] }), "/resources"),
        (json!({ "activity": "Linux admin", "resources": ["nowhere"] }), "/resources/0"),
        (json!({ "activity": "Linux admin", "resources": ["web1", "WEB1"] }), "/resources/1"),
        (json!({ "activity": "Windows admin", "resources": ["web1"] }), "/activity"),
        (json!({ "activity": "Linux admin", "resources": ["web1"], "notes": long }), "/notes"),
        (json!({ "activity": "Linux admin", "resources": ["web1"], "policy": "other" }), "/policy"),
        (json!({ "activity": "Linux admin", "resources": ["web1"], "nonsense": 1 }), "/nonsense"),
        (json!({ "activity": "Linux admin", "resources": "web1" }), "/resources"),
    ];
    for (body, pointer) in cases {
        let answer = alice.post("/sessions", body.clone());
        answer.problem(422, "invalid-input");
        let pointers: Vec<_> =
            answer.body["fields"].as_array().expect("fields").iter().map(|field| field["pointer"].clone()).collect();
        assert!(pointers.contains(&json!(pointer)), "{body}: {pointers:?}");
    }
    mallory
        .post("/sessions", json!({ "activity": "Linux admin", "resources": ["web1"] }))
        .problem(422, "invalid-input");
    assert_eq!(server.api("admin").get("/sessions").ok()["items"], json!([]));
}

#[test]
fn ids_tokens_and_bodies_that_are_not_right() {
    let host = LinuxHost::start("web1");
    let server = Server::start();
    server.furnish(&[&host]);
    let (alice, mallory) = (server.api("alice"), server.api("mallory"));
    let id = alice.available("web1")["id"].as_str().expect("an id").to_owned();
    for path in [
        format!("/sessions/{id}"),
        format!("/sessions/{id}/log"),
        "/sessions/ses_nonsense".to_owned(),
        "/sessions/%2e%2e%2f".to_owned(),
    ] {
        mallory.get(&path).problem(404, "not-found");
    }
    mallory.post(&format!("/sessions/{id}/end"), json!({})).problem(404, "not-found");
    assert_eq!(alice.session(&id)["status"], "available");

    let big = json!({ "activity": "x".repeat(2_000_000), "resources": [] });
    alice.post("/sessions", big).problem(413, "too-large");
    let nobody = crate::harness::Api { token: "cardea-token-nonsense".to_owned(), ..server.api("alice") };
    nobody.get("/sessions").problem(401, "not-signed-in");
    alice.get("/users").problem(403, "not-allowed");
    alice.call("POST", "/sessions", None).problem(415, "wrong-media-type");
    alice.end(&id);
    alice.until(&id, &["completed"]);
    alice.post(&format!("/sessions/{id}/end"), json!({})).problem(409, "already-ending");
}

#[test]
fn an_expired_token_is_refused() {
    let server = Server::start();
    server.apply("kind: User\nname: alice\nspec: {}\n");
    let made = server.cli(&["token", "create", "--user", "alice", "--expires", "1s"]).expect_success();
    let token = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    let alice = crate::harness::Api { token, ..server.api("alice") };
    cardea_testkit::wait(std::time::Duration::from_secs(10), "the token expires", || alice.get("/me").status == 401);
}

#[test]
fn a_token_from_the_operator_cannot_change_users_or_policies() {
    let server = Server::start();
    let admin = server.api("admin");
    admin.post("/users", json!({ "name": "eve", "spec": { "roles": ["administrator"] } })).problem(403, "not-allowed");
    admin.post("/tokens", json!({ "name": "more" })).problem(403, "not-allowed");
    let profile = json!({ "name": "short", "spec": { "max_duration": "10m" } });
    assert_eq!(admin.post("/connection-profiles", profile).status, 201);
}
