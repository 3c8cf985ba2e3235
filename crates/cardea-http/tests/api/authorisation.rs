//! Every operation of the document, asked by those who may not. A new operation fails here until it has its line.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::world::{As, World};

/// What a user without any right, and what an auditor, is answered: `(operation, stranger, auditor)`. Those that
/// need no sign-in are marked so in the document and have no line.
const ANSWERS: &[(&str, u16, u16)] = &[
    ("apply_documents", 403, 403),
    // Whoever is no approver: what is hidden is not there, what is seen is for others to decide.
    ("approve_session", 404, 403),
    ("create_lock", 403, 403),
    // Requests for nothing that a policy gives; auditors only look.
    ("create_sessions", 422, 403),
    // For oneself, and with a token that the operator issued: no.
    ("create_token", 403, 403),
    ("delete_lock", 403, 403),
    ("deny_session", 404, 403),
    ("dismiss_session", 404, 403),
    ("end_session", 404, 403),
    // The outcome is in each item.
    ("end_sessions", 200, 200),
    ("extend_session", 404, 403),
    ("follow_events", 200, 200),
    ("issue_token", 403, 403),
    ("learn_host_key", 403, 403),
    ("list_connections", 404, 200),
    ("list_grants", 200, 200),
    ("list_locks", 403, 200),
    ("list_my_activities", 200, 200),
    ("list_sessions", 200, 200),
    ("lock_session", 404, 403),
    ("retry_session", 404, 403),
    ("show_log", 404, 200),
    ("show_me", 200, 200),
    ("show_metrics", 403, 200),
    ("show_session", 404, 200),
    ("sign_out", 204, 204),
    ("sweep_resource", 403, 403),
    ("try_removal", 404, 403),
    ("unlock_session", 404, 403),
];

/// The same for the operations on every kind of configuration object.
const OBJECT_ANSWERS: &[(&str, u16, u16)] =
    &[("create", 403, 403), ("delete", 403, 403), ("list", 403, 200), ("replace", 403, 403), ("show", 403, 200)];

/// An operation with its address filled in.
struct Asked {
    id: String,
    method: String,
    path: String,
    body: Option<Value>,
}

fn names() -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from([
        ("access-policies", "operators"),
        ("activities", "Linux%20admin"),
        ("connection-profiles", "one-hour"),
        ("groups", "team"),
        ("resource-groups", "all"),
        ("resources", "new1"),
        ("service-accounts", "svc"),
        ("users", "alice"),
    ])
}

/// Every operation that needs a sign-in, aimed at things that exist.
fn operations(session: &str, (grant, user): (&str, &str)) -> Vec<Asked> {
    let document = cardea_http::openapi();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("a path item") {
            let public = operation["security"].as_array().is_some_and(|ways| ways.iter().any(|way| *way == json!({})));
            if public {
                continue;
            }
            let id = operation["operationId"].as_str().expect("an id").to_owned();
            let kind = path.trim_start_matches("/api/v1/").split('/').next().expect("a path");
            let name = names().get(kind).copied().unwrap_or_default();
            let of = match kind {
                "grants" => grant,
                "locks" => user,
                _ => session,
            };
            let path = path.replace("{id}", of).replace("{name}", name);
            let body = operation["requestBody"].is_object().then(|| body(&id, session));
            found.push(Asked { id, method: method.to_uppercase(), path, body });
        }
    }
    assert!(found.len() > 50, "the document lost operations");
    found
}

fn body(id: &str, session: &str) -> Value {
    match id {
        "apply_documents" => json!({ "documents": [] }),
        "approve_session" | "deny_session" => json!({ "reason": "why not" }),
        "create_sessions" => json!({ "activity": "Linux admin", "resources": ["web1"] }),
        "create_token" => json!({ "name": "mine" }),
        "create_lock" => json!({ "user": "admin", "title": "stop" }),
        "end_session" | "extend_session" | "sweep_resource" | "unlock_session" => json!({}),
        "lock_session" => json!({ "title": "stop" }),
        "end_sessions" => json!({ "ids": [session] }),
        "issue_token" => json!({ "user": "admin" }),
        _ if id.starts_with("replace_") => json!({ "spec": {}, "version": 1 }),
        _ => json!({ "name": "new one", "spec": {} }),
    }
}

fn expected(id: &str) -> (u16, u16) {
    let exact = ANSWERS.iter().find(|(known, ..)| *known == id);
    let verb = id.split('_').next().unwrap_or_default();
    let line = exact.or_else(|| OBJECT_ANSWERS.iter().find(|(known, ..)| *known == verb));
    let (_, stranger, auditor) = line.unwrap_or_else(|| panic!("`{id}` has no line: say who may do it"));
    (*stranger, *auditor)
}

/// A privilege of the session.
async fn grant_of(world: &World, session: &str) -> String {
    let session = world.get(&As::Operator, &format!("/api/v1/sessions/{session}")).await.ok(200);
    session["grants"][0]["id"].as_str().expect("a grant").to_owned()
}

async fn user_of(world: &World) -> String {
    let user = world.get(&As::Operator, "/api/v1/users/alice").await.ok(200);
    user["id"].as_str().expect("an id").to_owned()
}

async fn world_with_a_session() -> (World, String) {
    let world = World::start().await;
    world
        .apply(json!([
            { "kind": "Group", "name": "team", "spec": { "members": ["alice"] } },
            { "kind": "ResourceGroup", "name": "all", "spec": { "resources": ["web1"] } },
        ]))
        .await;
    let alice = world.token("alice").await;
    let session = world.request(&alice, &["web1"]).await.remove(0);
    world.until_status(&session, "available").await;
    (world, session)
}

#[tokio::test]
async fn nobody_gets_anything_without_signing_in() {
    let (world, session) = world_with_a_session().await;
    for asked in operations(&session, (&grant_of(&world, &session).await, &user_of(&world).await)) {
        for who in [
            As::Nobody,
            As::Token("cardea-token-guessed".to_owned()),
            As::Cookie("__Host-cardea=guessed".to_owned(), Some("https://127.0.0.1:8443")),
        ] {
            let answer = world.send(&who, &asked.method, &asked.path, asked.body.clone()).await;
            answer.problem(401, "not-signed-in");
        }
    }
}

#[tokio::test]
async fn strangers_and_auditors_get_what_is_theirs_and_nothing_changes() {
    let (world, session) = world_with_a_session().await;
    let before = world.get(&As::Operator, &format!("/api/v1/sessions/{session}")).await.json();
    let (bob, carol) = (world.token("bob").await, world.token("carol").await);
    for asked in operations(&session, (&grant_of(&world, &session).await, &user_of(&world).await)) {
        let (stranger, auditor) = expected(&asked.id);
        for (who, status) in [(&bob, stranger), (&carol, auditor)] {
            if asked.id == "follow_events" {
                assert!(world.listen(who, &asked.path, None).await.is_ok());
                continue;
            }
            let answer = world.send(who, &asked.method, &asked.path, asked.body.clone()).await;
            assert_eq!(answer.status.as_u16(), status, "{} {}: {}", asked.method, asked.path, answer.text);
        }
    }
    assert_eq!(world.get(&As::Operator, &format!("/api/v1/sessions/{session}")).await.json(), before);
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
