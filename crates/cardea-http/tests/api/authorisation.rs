//! Lists, tokens and roles: who gets what beside what the matrix asks of every operation.

use serde_json::json;

use crate::world::{As, World};

async fn world_with_a_session() -> (World, String) {
    let world = World::start().await;
    let alice = world.token("alice").await;
    let session = world.request(&alice, &["web1"]).await.remove(0);
    world.until_status(&session, "available").await;
    (world, session)
}

#[tokio::test]
async fn lists_show_a_stranger_nothing_of_others() {
    let (world, session) = world_with_a_session().await;
    let (alice, bob, carol) = (world.token("alice").await, world.token("bob").await, world.token("carol").await);
    for path in ["/api/v1/sessions", "/api/v1/grants", "/api/v1/grants?state=out"] {
        let count = async |who| world.get(who, path).await.ok(200)["items"].as_array().expect("items").len();
        assert_eq!(count(&bob).await, 0, "{path}");
        assert!(count(&alice).await > 0 && count(&carol).await == count(&alice).await, "{path}");
    }
    let ended = world.post(&bob, "/api/v1/sessions/end", json!({ "ids": [session] })).await.ok(200);
    assert_eq!(ended["items"][0]["problem"]["type"], "/problems/not-found");
    assert_eq!(world.get(&bob, "/api/v1/my/activities").await.ok(200)["items"], json!([]));
}

#[tokio::test]
async fn a_token_of_the_operator_does_not_change_who_may_do_what() {
    let world = World::start().await;
    let admin = world.token("admin").await;
    for (kind, name, spec) in [
        ("users", "mallory", json!({ "roles": ["administrator"] })),
        (
            "access-policies",
            "more",
            json!({ "users": ["admin"], "activities": ["Linux admin"], "resources": ["web1"], "connection_profile": "one-hour" }),
        ),
        ("groups", "team", json!({ "members": ["alice"] })),
        ("resource-groups", "all", json!({ "resources": ["web1"] })),
    ] {
        let answer = world.post(&admin, &format!("/api/v1/{kind}"), json!({ "name": name, "spec": spec })).await;
        answer.problem(403, "not-allowed");
    }
    let profile = json!({ "name": "short", "spec": { "max_duration": "10m" } });
    world.post(&admin, "/api/v1/connection-profiles", profile).await.ok(201);
}

#[tokio::test]
async fn only_the_operator_issues_tokens() {
    let world = World::start().await;
    let cookie = As::Cookie(world.cookie().await, Some("https://cardea.example.com"));
    world.post(&cookie, "/api/v1/operator/tokens", json!({ "user": "alice" })).await.problem(403, "not-allowed");
    // A token sent over the control socket is the user's, not the operator's.
    let alice = world.token("alice").await;
    let me = world.get(&alice, "/api/v1/me").await.ok(200);
    assert_eq!((me["user"].as_str(), me["via"].as_str()), (Some("alice"), Some("token")));
    let operator = world.get(&As::Operator, "/api/v1/me").await.ok(200);
    assert_eq!(operator["via"], "operator");
}
