//! Configuration objects, one at a time and many at once.

use axum::{body::Body, http::Request};
use cardea_testkit::FakeConnector;
use serde_json::{Value, json};

use crate::world::{Answer, As, World};

async fn put(world: &World, path: &str, tag: Option<&str>, body: Value) -> Answer {
    let mut request = Request::put(path).header("content-type", "application/json");
    if let Some(tag) = tag {
        request = request.header("if-match", tag);
    }
    world.ask(&As::Operator, request.body(Body::from(body.to_string())).expect("a request")).await
}

#[tokio::test]
async fn every_kind_is_made_read_replaced_and_deleted() {
    let world = World::start().await;
    let policy = json!({ "users": ["bob"], "activities": ["x activities"], "resources": ["x resources"],
        "connection_profile": "x connection-profiles" });
    let specs = [
        ("users", json!({ "full_name": "X" })),
        ("groups", json!({ "members": ["bob"] })),
        ("service-accounts", json!({ "platform": "linux", "user": "x", "elevation": "none", "password": "hush" })),
        ("resources", json!({ "platform": "linux", "address": "x", "service_account": "x service-accounts" })),
        ("resource-groups", json!({ "resources": ["x resources"] })),
        (
            "activities",
            json!({ "platform": "linux", "protocol": "ssh", "login_account": { "type": "activity_token" } }),
        ),
        ("connection-profiles", json!({ "max_duration": "90m" })),
        ("access-policies", policy),
    ];
    for (kind, spec) in &specs {
        let name = format!("x {kind}");
        let made = world.post(&As::Operator, &format!("/api/v1/{kind}"), json!({ "name": name, "spec": spec })).await;
        let object = made.ok(201);
        assert_eq!((made.header("etag"), &object["version"]), ("\"1\"", &json!(1)), "{kind}");
        let id = object["id"].as_str().expect("an id");
        for path in [format!("/api/v1/{kind}/{id}"), format!("/api/v1/{kind}/X_{kind}")] {
            assert_eq!(world.get(&As::Operator, &path).await.ok(200), object, "{path}");
        }
        let listed = world.get(&As::Operator, &format!("/api/v1/{kind}")).await.ok(200);
        assert!(listed["items"].as_array().expect("items").contains(&object), "{kind}");
        assert!(!listed.to_string().contains("hush"), "secrets are never read back");
        // What was read is complete and can be written back as it is.
        let path = format!("/api/v1/{kind}/x%20{kind}");
        let body = json!({ "name": name, "spec": object["spec"], "version": 1 });
        assert_eq!(put(&world, &path, None, body).await.ok(200)["spec"], object["spec"], "{kind}");
    }
    for (kind, _) in specs.iter().rev() {
        let path = format!("/api/v1/{kind}/x%20{kind}");
        world.send(&As::Operator, "DELETE", &path, None).await.ok(204);
        world.get(&As::Operator, &path).await.problem(404, "not-found");
    }
}

#[tokio::test]
async fn a_change_is_made_on_what_was_read_or_not_at_all() {
    let world = World::start().await;
    let path = "/api/v1/users/bob";
    let spec = |name: &str| json!({ "spec": { "full_name": name } });
    assert_eq!(put(&world, path, None, spec("Bob")).await.wrong_fields(), ["/version"]);
    assert_eq!(put(&world, path, Some("one"), spec("Bob")).await.wrong_fields(), ["/version"]);
    assert_eq!(put(&world, path, Some("\"1\""), spec("Bob")).await.ok(200)["version"], 2);
    put(&world, path, Some("\"1\""), spec("Robert")).await.problem(409, "changed-meanwhile");
    assert_eq!(world.get(&As::Operator, path).await.ok(200)["spec"]["full_name"], "Bob");
    let renamed = put(&world, path, Some("\"2\""), json!({ "name": "rob", "spec": {} })).await;
    assert_eq!(renamed.wrong_fields(), ["/name"]);
}

#[tokio::test]
async fn what_others_refer_to_stays() {
    let world = World::start().await;
    let refused = world.send(&As::Operator, "DELETE", "/api/v1/resources/web1", None).await;
    assert!(refused.problem(409, "in-use")["detail"].as_str().is_some_and(|text| text.contains("operators")));
    let last = world.send(&As::Operator, "DELETE", "/api/v1/users/admin", None).await;
    last.problem(409, "last-administrator");
    let taken = world.post(&As::Operator, "/api/v1/groups", json!({ "name": "team", "spec": {} })).await;
    taken.ok(201);
    let again = world.post(&As::Operator, "/api/v1/groups", json!({ "name": "TEAM", "spec": {} })).await;
    again.problem(409, "name-taken");
}

#[tokio::test]
async fn wrong_fields_are_named_where_they_stand() {
    let world = World::start().await;
    let make = async |kind: &str, spec: Value| {
        world.post(&As::Operator, &format!("/api/v1/{kind}"), json!({ "name": "x", "spec": spec })).await
    };
    let resource = |key: &str, value: Value| {
        let mut spec = json!({ "platform": "linux", "address": "x", "service_account": "svc" });
        spec[key] = value;
        spec
    };
    for (kind, spec, pointer) in [
        ("resources", resource("port", json!("many")), "/spec/port"),
        ("resources", resource("service_account", json!("nobody")), "/spec/service_account"),
        ("resources", resource("via", json!("jump")), "/spec/via"),
        ("resources", resource("typo", json!(1)), "/spec/typo"),
        ("resources", resource("uid_range", json!([0, 10])), "/spec/uid_range"),
        ("connection-profiles", json!({ "max_duration": "1h", "record": true }), "/spec/record"),
        ("connection-profiles", json!({ "max_duration": "1h", "approval": {} }), "/spec/approval"),
        ("connection-profiles", json!({ "max_duration": "soon" }), "/spec/max_duration"),
        ("groups", json!({ "members": ["alice", "nobody"] }), "/spec/members/1"),
        ("users", json!([]), "/spec"),
    ] {
        assert_eq!(make(kind, spec.clone()).await.wrong_fields(), [pointer], "{kind} {spec}");
    }
    let unnamed = world.post(&As::Operator, "/api/v1/groups", json!({ "name": "ses_x", "spec": {} })).await;
    assert_eq!(unnamed.wrong_fields(), ["/name"]);
}

#[tokio::test]
async fn apply_changes_all_or_nothing_and_nothing_twice() {
    let world = World::start().await;
    let group = |members: Value| json!({ "kind": "Group", "name": "team", "spec": { "members": members } });
    let apply = async |documents: Value, dry_run: bool| {
        let body = json!({ "documents": documents, "dry_run": dry_run });
        world.post(&As::Operator, "/api/v1/apply", body).await
    };
    let plan = apply(json!([group(json!(["alice"]))]), true).await.ok(200);
    assert_eq!((&plan["changes"][0]["what"], &plan["changes"][0]["name"]), (&json!("create"), &json!("team")));
    world.get(&As::Operator, "/api/v1/groups/team").await.problem(404, "not-found");
    assert_eq!(apply(json!([group(json!(["alice"]))]), false).await.ok(200), plan);
    assert_eq!(apply(json!([group(json!(["alice"]))]), false).await.ok(200)["changes"], json!([]));
    let update = apply(json!([group(json!(["alice", "bob"]))]), true).await.ok(200);
    assert_eq!(
        update["changes"][0]["fields"][0]["pointer"].as_str().map(|p| p.starts_with("/spec/members")),
        Some(true)
    );
    let broken =
        json!([group(json!(["bob"])), { "kind": "Group", "name": "other", "spec": { "members": ["nobody"] } }]);
    assert_eq!(apply(broken, false).await.wrong_fields(), ["/documents/1/spec/members/0"]);
    let team = world.get(&As::Operator, "/api/v1/groups/team").await.ok(200);
    assert_eq!(team["spec"]["members"], json!(["alice"]));
    let secret = json!([{ "kind": "ServiceAccount", "name": "svc", "spec":
        { "platform": "linux", "user": "svc", "elevation": "sudo", "password": "another one" } }]);
    let changed = apply(secret, false).await;
    assert_eq!(
        changed.ok(200)["changes"][0]["fields"],
        json!([{ "pointer": "/spec/password", "before": null, "after": null }])
    );
}

#[tokio::test]
async fn a_host_key_is_learned_once_and_only_when_asked() {
    let world = World::start().await;
    let learned = world.send(&As::Operator, "POST", "/api/v1/resources/new1/host-key", None).await.ok(200);
    assert_eq!(learned["spec"]["host_key"], FakeConnector::HOST_KEY);
    let again = world.send(&As::Operator, "POST", "/api/v1/resources/new1/host-key", None).await;
    again.problem(409, "host-key-pinned");
}
