//! Whatever strangers send: a clear answer, and nothing half done.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use cardea_http::Operator;
use serde_json::json;

use crate::world::{Answer, As, World};

async fn post(world: &World, who: &As, path: &str, kind: &str, body: impl Into<Body>) -> Answer {
    let request = Request::post(path).header("content-type", kind).body(body.into()).expect("a request");
    world.ask(who, request).await
}

#[tokio::test]
async fn bodies_that_are_no_json_or_not_ours_name_the_place() {
    let world = World::start().await;
    let alice = world.token("alice").await;
    for (body, pointer) in [
        ("", ""),
        ("{", ""),
        ("nonsense", ""),
        ("{\"activity\": \"x\", \"resources\": []} trailing", ""),
        ("[]", ""),
        ("null", ""),
        ("{\"activity\": 5, \"resources\": []}", "/activity"),
        ("{\"activity\": \"x\", \"resources\": [\"web1\", 7]}", "/resources/1"),
        ("{\"activity\": \"x\", \"resources\": [], \"start_at\": \"soon\"}", "/start_at"),
        ("{\"activity\": \"x\", \"resources\": [], \"custom\": {\"a\": []}}", "/custom/a"),
        ("{\"resources\": []}", ""),
    ] {
        let answer = post(&world, &alice, "/api/v1/sessions", "application/json", body).await;
        assert_eq!(answer.wrong_fields(), [pointer], "{body}");
    }
    let invalid = post(&world, &alice, "/api/v1/sessions", "application/json", vec![b'"', 0xff, b'"']).await;
    invalid.problem(422, "invalid-input");
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
        post(&world, &alice, "/api/v1/sessions", kind, "{}").await.problem(415, "wrong-media-type");
    }
    let with_charset = "Application/JSON; charset=utf-8";
    post(&world, &alice, "/api/v1/sessions", with_charset, "{}").await.problem(422, "invalid-input");
}

#[tokio::test]
async fn deep_json_and_large_bodies_are_refused() {
    let world = World::start().await;
    let deep = "[".repeat(200_000);
    for path in ["/api/v1/apply", "/api/v1/users"] {
        let body = format!("{{\"name\": \"x\", \"documents\": {deep}");
        post(&world, &As::Operator, path, "application/json", body).await.problem(422, "invalid-input");
    }
    let spec = format!("{{\"name\": \"x\", \"spec\": {deep}");
    post(&world, &As::Operator, "/api/v1/users", "application/json", spec).await.problem(422, "invalid-input");
    let large = vec![b' '; (1 << 20) + 1];
    for path in ["/api/v1/apply", "/api/v1/sign-in"] {
        post(&world, &As::Operator, path, "application/json", large.clone()).await.problem(413, "too-large");
    }
    let mut largest = vec![b' '; (1 << 20) - 2];
    largest.extend(b"{}");
    post(&world, &As::Operator, "/api/v1/apply", "application/json", largest).await.problem(422, "invalid-input");
}

#[tokio::test]
async fn queries_are_read_to_the_letter() {
    let world = World::start().await;
    let alice = world.token("alice").await;
    for (query, pointer) in [
        ("sessions?view=everything", "/view"),
        ("sessions?request=ses_1", "/request"),
        ("sessions?scope=theirs", "/scope"),
        ("sessions?requested_from=yesterday", "/requested_from"),
        ("sessions?requested_before=2026-13-01T00:00:00Z", "/requested_before"),
        ("sessions?status=available,gone", "/status"),
        ("sessions?sort=notes", "/sort"),
        ("sessions?limit=0", "/limit"),
        ("sessions?limit=1001", "/limit"),
        ("sessions?limit=many", "/limit"),
        ("sessions?limit=-1", "/limit"),
        ("sessions?cursor=nonsense", "/cursor"),
        ("sessions?colour=red", "/colour"),
        ("sessions?q=%00", "/q"),
        ("grants?state=in", "/state"),
        ("grants?cursor=nonsense", "/cursor"),
    ] {
        let answer = world.get(&alice, &format!("/api/v1/{query}")).await;
        assert_eq!(answer.wrong_fields(), [pointer], "{query}: {}", answer.text);
    }
    for harmless in ["sessions?q=%FF", "sessions?q=%25_'%22;--", "sessions?resource=%F0%9F%94%91"] {
        assert_eq!(world.get(&alice, &format!("/api/v1/{harmless}")).await.ok(200)["items"], json!([]), "{harmless}");
    }
}

#[tokio::test]
async fn addresses_that_lead_nowhere_say_so() {
    let world = World::start().await;
    let alice = world.token("alice").await;
    for path in [
        "/api/v1/sessions/ses_",
        "/api/v1/sessions/grt_00000000000000000000000000",
        "/api/v1/sessions/ses_00000000000000000000000000",
        "/api/v1/sessions/%FF",
        "/api/v1/sessions/..%2F..%2Fusers",
        "/api/v1/nothing",
        "/api/v1/sessions/",
        "/api/v2/sessions",
        "/api",
        "/problems/no-such-thing",
    ] {
        world.get(&alice, path).await.problem(404, "not-found");
    }
    let answer = world.send(&alice, "PATCH", "/api/v1/sessions", None).await;
    answer.problem(405, "wrong-method");
    assert!(answer.header("allow").contains("POST"), "{:?}", answer.headers);
}

#[tokio::test]
async fn browsers_are_told_to_be_careful() {
    let world = World::start().await;
    let alice = world.token("alice").await;
    for (who, path) in [(&alice, "/api/v1/me"), (&As::Nobody, "/api/v1/me"), (&As::Nobody, "/problems/internal")] {
        let answer = world.get(who, path).await;
        assert!(answer.header("content-security-policy").starts_with("default-src 'self';"));
        assert!(!answer.header("content-security-policy").contains("unsafe"));
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("strict-transport-security"), "max-age=31536000");
        assert!(!answer.header("x-request-id").is_empty());
    }
    assert_eq!(world.get(&alice, "/api/v1/me").await.header("cache-control"), "no-store");
    let request = Request::get("/healthz").header("host", "localhost:8443").body(Body::empty()).expect("a request");
    let local = world.ask(&As::Nobody, request).await;
    assert_eq!((local.status, local.header("strict-transport-security")), (StatusCode::OK, ""));
}

#[tokio::test]
async fn large_answers_are_compressed_when_wished() {
    let world = World::start().await;
    let request = Request::get("/api/openapi.json").header("accept-encoding", "gzip").body(Body::empty());
    let answer =
        tokio::time::timeout(crate::world::PATIENCE, world.raw(request.expect("a request"))).await.expect("in time");
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    // A compressor would hold events back until it has enough of them.
    let request = Request::get("/api/v1/events").header("accept-encoding", "gzip").extension(Operator { uid: 0 });
    let events = world.raw(request.body(Body::empty()).expect("a request")).await;
    assert_eq!((events.status(), events.headers().get("content-encoding")), (StatusCode::OK, None));
}
