//! Every kind of problem: produced, documented, explained by a page.

use axum::{body::Body, http::Request};
use cardea_domain::ConnectorError;
use cardea_testkit::Operation;
use serde_json::{Value, json};

use crate::world::{Answer, As, PATIENCE, World};

/// Every kind that the document names.
fn documented() -> Vec<String> {
    let document = cardea_http::openapi();
    let kinds = document["components"]["schemas"]["Problem"]["properties"]["type"]["enum"].as_array().cloned();
    let slug = |kind: &Value| kind.as_str().and_then(|text| text.strip_prefix("/problems/")).map(ToOwned::to_owned);
    kinds.expect("kinds").iter().map(|kind| slug(kind).expect("a slug")).collect()
}

#[tokio::test]
async fn every_kind_has_a_page_that_says_what_to_do() {
    let world = World::start().await;
    for slug in documented() {
        let page = world.get(&As::Nobody, &format!("/problems/{slug}")).await;
        assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/html; charset=utf-8"), "{slug}");
        assert!(page.text.contains(&slug) && page.text.contains("<h1>"), "{}", page.text);
    }
}

#[tokio::test]
async fn every_kind_is_produced() {
    let world = World::start().await;
    for slug in documented() {
        let produced = tokio::time::timeout(PATIENCE, produce(&world, &slug)).await;
        let answer = produced.unwrap_or_else(|_| panic!("`{slug}` did not come in time"));
        let status = answer.status.as_u16();
        answer.problem(status, &slug);
        let page = world.get(&As::Nobody, &format!("/problems/{slug}")).await;
        assert!(page.text.contains(&format!("HTTP status {status}")), "{slug}: {status}");
        // What faults inside say stays inside.
        assert!(status < 500 || !answer.text.to_lowercase().contains("pool"), "{}", answer.text);
    }
}

/// Makes the server answer with this problem. The last two in the document break the store, so they come last.
async fn produce(world: &World, slug: &str) -> Answer {
    let operator = &As::Operator;
    let delete = async |path: &str| world.send(operator, "DELETE", path, None).await;
    let sign_in = json!({ "user": "admin", "password": "wrong" });
    match slug {
        "already-ending" => end_twice(world).await,
        "changed-meanwhile" => {
            world.send(operator, "PUT", "/api/v1/users/bob", Some(json!({ "spec": {}, "version": 99 }))).await
        }
        "foreign-origin" => {
            let who = As::Cookie(world.cookie().await, Some("https://evil.example.com"));
            world.post(&who, "/api/v1/sign-out", json!({})).await
        }
        "host-key-pinned" => world.post(operator, "/api/v1/resources/web1/host-key", json!({})).await,
        "in-use" => delete("/api/v1/resources/web1").await,
        "internal" | "unavailable" => {
            world.store.close().await;
            let path = if slug == "internal" { "/api/v1/sessions" } else { "/readyz" };
            world.get(operator, path).await
        }
        "invalid-input" => world.get(operator, "/api/v1/sessions?limit=0").await,
        "last-administrator" => delete("/api/v1/users/admin").await,
        "name-taken" => world.post(operator, "/api/v1/users", json!({ "name": "Alice", "spec": {} })).await,
        "no-answer" => host_key(world, ConnectorError::Unknown("half-way".to_owned())).await,
        "not-allowed" => delete_as_auditor(world).await,
        "not-clean" => dismiss_too_early(world).await,
        "not-dismissable" => {
            let alice = world.token("alice").await;
            let id = world.request(&alice, &["web1"]).await.remove(0);
            world.post(&alice, &format!("/api/v1/sessions/{id}/dismiss"), json!({})).await
        }
        "not-found" => world.get(operator, "/api/v1/users/nobody").await,
        "not-signed-in" => world.get(&As::Nobody, "/api/v1/me").await,
        "refused" => host_key(world, ConnectorError::Tampered("unheard of".to_owned())).await,
        "target-refused" => host_key(world, ConnectorError::Refused("no".to_owned())).await,
        "too-large" => large(world).await,
        "too-many-attempts" => {
            let mut last = world.post(&As::Nobody, "/api/v1/sign-in", sign_in.clone()).await;
            for _ in 0..10 {
                last = world.post(&As::Nobody, "/api/v1/sign-in", sign_in.clone()).await;
            }
            last
        }
        "too-many-streams" => {
            let mut open = Vec::new();
            loop {
                match world.listen(operator, "/api/v1/events", None).await {
                    Ok(stream) => open.push(stream),
                    Err(answer) => return answer,
                }
            }
        }
        "uid-range-used-up" => use_up_the_range(world).await,
        "unreachable" => host_key(world, ConnectorError::Unreachable("no route".to_owned())).await,
        "wrong-credentials" => world.post(&As::Nobody, "/api/v1/sign-in", sign_in).await,
        "wrong-media-type" => world.send(operator, "POST", "/api/v1/users", None).await,
        "wrong-method" => world.send(operator, "PUT", "/api/v1/me", None).await,
        other => panic!("`{other}` is documented, but nothing here produces it"),
    }
}

async fn end_twice(world: &World) -> Answer {
    let alice = world.token("alice").await;
    let id = world.request(&alice, &["web1"]).await.remove(0);
    let path = format!("/api/v1/sessions/{id}/end");
    world.post(&alice, &path, json!({})).await.ok(200);
    world.post(&alice, &path, json!({})).await
}

async fn host_key(world: &World, error: ConnectorError) -> Answer {
    world.hosts.fail_next(Operation::HostKey, error);
    world.post(&As::Operator, "/api/v1/resources/new1/host-key", json!({})).await
}

async fn delete_as_auditor(world: &World) -> Answer {
    let carol = world.token("carol").await;
    world.send(&carol, "DELETE", "/api/v1/users/bob", None).await
}

async fn dismiss_too_early(world: &World) -> Answer {
    let alice = world.token("alice").await;
    world.hosts.pass_next(Operation::Place);
    world.hosts.fail_next(Operation::Place, ConnectorError::Refused("no".to_owned()));
    let hold = world.hosts.hold(Operation::Remove);
    let id = world.request(&alice, &["db1"]).await.remove(0);
    hold.reached(1).await;
    world.until_status(&id, "failed").await;
    world.post(&alice, &format!("/api/v1/sessions/{id}/dismiss"), json!({})).await
}

async fn large(world: &World) -> Answer {
    let request = Request::post("/api/v1/apply").header("content-type", "application/json");
    world.ask(&As::Operator, request.body(Body::from(vec![b' '; 2 << 20])).expect("a request")).await
}

async fn use_up_the_range(world: &World) -> Answer {
    world
        .apply(json!([
            { "kind": "Resource", "name": "tiny", "spec": { "platform": "linux", "address": "tiny.example.com",
                "service_account": "svc", "host_key": cardea_testkit::FakeConnector::HOST_KEY, "uid_range": [90000, 90000] } },
            { "kind": "AccessPolicy", "name": "tiny", "spec": { "users": ["alice"], "activities": ["Linux admin"],
                "resources": ["tiny"], "connection_profile": "one-hour" } },
        ]))
        .await;
    let alice = world.token("alice").await;
    world.request(&alice, &["tiny"]).await;
    world.post(&alice, "/api/v1/sessions", json!({ "activity": "Linux admin", "resources": ["tiny"] })).await
}
