//! What other sites can make a browser do: nothing.

use axum::{body::Body, http::Request};
use serde_json::json;

use crate::world::{As, PASSWORD, World};

#[tokio::test]
async fn a_cookie_changes_something_only_from_our_own_pages() {
    let world = World::start().await;
    let cookie = world.cookie().await;
    let make = async |origin: Option<&'static str>| {
        let who = As::Cookie(cookie.clone(), origin);
        world.post(&who, "/api/v1/tokens", json!({ "name": "mine" })).await
    };
    for origin in [
        None,
        Some("null"),
        Some("https://evil.example.com"),
        Some("http://127.0.0.1:8443"),
        Some("https://127.0.0.1:9999"),
        Some("https://cardea.example.com.evil.example.com"),
        Some("nonsense"),
    ] {
        make(origin).await.problem(403, "foreign-origin");
    }
    for origin in ["https://cardea.example.com", "https://CARDEA.example.com:443", "https://127.0.0.1:8443"] {
        make(Some(origin)).await.ok(201);
    }
}

#[tokio::test]
async fn reading_needs_no_origin_and_a_token_needs_none_at_all() {
    let world = World::start().await;
    let cookie = As::Cookie(world.cookie().await, None);
    assert_eq!(world.get(&cookie, "/api/v1/me").await.ok(200)["user"], "admin");
    let alice = world.token("alice").await;
    world.request(&alice, &["web1"]).await;
}

#[tokio::test]
async fn another_site_cannot_sign_a_browser_in() {
    let world = World::start().await;
    let body = json!({ "user": "admin", "password": PASSWORD }).to_string();
    let ask = async |origin: Option<&str>, kind: &str| {
        let mut request = Request::post("/api/v1/sign-in").header("content-type", kind);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        world.ask(&As::Nobody, request.body(Body::from(body.clone())).expect("a request")).await
    };
    ask(Some("https://evil.example.com"), "application/json").await.problem(403, "foreign-origin");
    // What a form of another site can send without being asked first.
    ask(None, "text/plain").await.problem(415, "wrong-media-type");
    ask(Some("https://cardea.example.com"), "application/json").await.ok(200);
}

#[tokio::test]
async fn the_cookie_is_kept_from_scripts_other_hosts_and_plain_text() {
    let world = World::start().await;
    let answer = world.post(&As::Nobody, "/api/v1/sign-in", json!({ "user": "admin", "password": PASSWORD })).await;
    let cookie = answer.header("set-cookie");
    let attributes: Vec<_> = cookie.split("; ").skip(1).collect();
    assert_eq!(attributes, ["Path=/", "Secure", "HttpOnly", "SameSite=Strict"]);
    assert!(!answer.text.contains(cookie.split(['=', ';']).nth(1).expect("a value")));
}
