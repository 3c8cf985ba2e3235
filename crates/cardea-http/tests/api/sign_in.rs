//! Signing in, staying signed in, signing out.

use std::time::Duration;

use axum::{body::Body, http::Request};
use serde_json::json;

use crate::world::{Answer, As, PASSWORD, PUBLIC_URL, World};

async fn sign_in_from(world: &World, peer: &str, user: &str, password: &str) -> Answer {
    world.post_from(peer, "", "/api/v1/sign-in", json!({ "user": user, "password": password })).await
}

#[tokio::test]
async fn a_sign_in_lasts_until_it_is_ended() {
    let world = World::start().await;
    let who = As::Cookie(world.cookie().await, Some(PUBLIC_URL));
    let mut me = world.get(&who, "/api/v1/me").await.ok(200);
    let permissions = me.as_object_mut().and_then(|me| me.remove("permissions")).expect("permissions");
    assert!(permissions.as_array().is_some_and(|list| list.contains(&json!("configuration.change.user"))));
    let sign_in = me["sign_in"].take();
    assert_eq!(
        me,
        json!({ "user": "admin", "full_name": "Administrator", "roles": ["administrator", "user"], "via": "sign_in",
            "gateway": { "host": "cardea.example.com", "port": 4422 }, "sign_in": null })
    );
    assert_eq!((&sign_in["methods"], &sign_in["must"]), (&json!(["password"]), &json!(null)));
    let ends =
        ["created_at", "fresh_until", "idle_ends_at", "ends_at"].map(|key| sign_in[key].as_str().expect("a time"));
    assert!(ends.is_sorted() && ends[0] != ends[3], "{sign_in}");
    let out = world.post(&who, "/api/v1/sign-out", json!({})).await;
    out.ok(204);
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    world.get(&who, "/api/v1/me").await.problem(401, "not-signed-in");
}

#[tokio::test]
async fn what_a_page_reads_by_itself_keeps_no_sign_in() {
    let world = World::start().await;
    let who = As::Cookie(world.cookie().await, None);
    let by_itself = async || {
        let request = Request::get("/api/v1/me").header("cardea-unattended", "1").body(Body::empty());
        world.ask(&who, request.expect("a request")).await
    };
    world.clock.advance(Duration::from_secs(3600));
    let used = world.get(&who, "/api/v1/me").await.ok(200);
    world.clock.advance(Duration::from_secs(3600));
    let unused = by_itself().await.ok(200);
    for key in ["last_seen_at", "idle_ends_at"] {
        assert_eq!(unused["sign_in"][key], used["sign_in"][key], "{key}");
    }
    drop(world.listen(&who, "/api/v1/events", None).await.expect("a stream"));
    world.clock.advance(Duration::from_secs(3601));
    by_itself().await.problem(401, "not-signed-in");
    world.get(&who, "/api/v1/me").await.problem(401, "not-signed-in");
}

#[tokio::test]
async fn a_sign_in_and_a_token_end_with_time() {
    let world = World::start().await;
    let who = As::Cookie(world.cookie().await, None);
    let alice = world.token("alice").await;
    world.clock.advance(Duration::from_secs(3 * 3600));
    world.get(&who, "/api/v1/me").await.problem(401, "not-signed-in");
    world.get(&alice, "/api/v1/me").await.ok(200);
    world.clock.advance(Duration::from_secs(40 * 86_400));
    world.get(&alice, "/api/v1/me").await.problem(401, "not-signed-in");
}

#[tokio::test]
async fn who_does_not_exist_and_who_errs_are_told_the_same() {
    let world = World::start().await;
    let wrong = sign_in_from(&world, "192.0.2.1:1000", "admin", "wrong").await.problem(401, "wrong-credentials");
    let unknown = sign_in_from(&world, "192.0.2.2:1000", "nobody", "wrong").await.problem(401, "wrong-credentials");
    assert_eq!(wrong["detail"], unknown["detail"]);
}

#[tokio::test]
async fn guessing_is_slowed_down_for_the_guesser_alone() {
    let world = World::start().await;
    let mut last = sign_in_from(&world, "192.0.2.1:1000", "admin", "wrong").await;
    for _ in 0..10 {
        last = sign_in_from(&world, "192.0.2.1:1000", "admin", "wrong").await;
    }
    last.problem(429, "too-many-attempts");
    let pause: u64 = last.header("retry-after").parse().expect("seconds");
    assert!(pause >= 1);
    sign_in_from(&world, "192.0.2.1:2000", "admin", PASSWORD).await.problem(429, "too-many-attempts");
    sign_in_from(&world, "192.0.2.9:1000", "admin", PASSWORD).await.ok(200);
    world.clock.advance(Duration::from_secs(pause));
    sign_in_from(&world, "192.0.2.1:1000", "admin", PASSWORD).await.ok(200);
}

#[tokio::test]
async fn a_token_is_shown_once_and_works_on_every_route() {
    let world = World::start().await;
    let who = As::Cookie(world.cookie().await, Some(PUBLIC_URL));
    let made = world.post(&who, "/api/v1/tokens", json!({ "name": "script" })).await.ok(201);
    let token = As::Token(made["token"].as_str().expect("a token").to_owned());
    assert_eq!(world.get(&token, "/api/v1/me").await.ok(200)["via"], "token");
    let past = json!({ "name": "late", "expires_at": "2020-01-01T00:00:00Z" });
    assert_eq!(world.post(&who, "/api/v1/tokens", past).await.wrong_fields(), ["/expires_at"]);
    let never = world.post(&who, "/api/v1/set-up", json!({ "token": "guessed", "password": PASSWORD })).await;
    never.problem(401, "wrong-credentials");
}
