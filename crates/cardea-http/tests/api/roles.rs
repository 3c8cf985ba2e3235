//! Custom roles: what they give, where, and that nobody gives away more than they have.

use serde_json::{Value, json};

use crate::world::{Answer, As, PASSWORD, World};

fn user(name: &str, roles: &[&str]) -> Value {
    json!({ "kind": "User", "name": name, "spec": { "roles": roles, "password": PASSWORD } })
}

fn role(name: &str, permissions: &[&str], scope: &Value) -> Value {
    let mut spec = json!({ "permissions": permissions });
    if !scope.is_null() {
        spec["scope"] = scope.clone();
    }
    json!({ "kind": "Role", "name": name, "spec": spec })
}

async fn apply(world: &World, who: &As, documents: Value) -> Answer {
    world.post(who, "/api/v1/apply", json!({ "documents": documents })).await
}

/// alice's session on each of her resources.
async fn two_sessions(world: &World) -> (String, String) {
    let alice = world.token("alice").await;
    let mut sessions = world.request(&alice, &["web1", "db1"]).await;
    for session in &sessions {
        world.until_status(session, "available").await;
    }
    let db1 = sessions.remove(1);
    (sessions.remove(0), db1)
}

async fn ids(world: &World, who: &As, path: &str) -> Vec<String> {
    let page = world.get(who, path).await.ok(200);
    let items = page["items"].as_array().expect("items").iter();
    items.map(|item| item["resource"].as_str().or(item["name"].as_str()).expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn a_scope_narrows_sessions_ledger_and_configuration() {
    let world = World::start().await;
    let permissions =
        ["sessions.see_all", "sessions.end_any", "sessions.lock", "configuration.see", "configuration.change.resource"];
    world
        .apply(json!([
            role("web watch", &permissions, &json!({ "resources": ["web1"] })),
            user("rita", &["web watch"]),
        ]))
        .await;
    let (web1, db1) = two_sessions(&world).await;
    let rita = world.signed_in("rita").await;
    assert_eq!(ids(&world, &rita, "/api/v1/sessions").await, ["web1"]);
    assert!(ids(&world, &rita, "/api/v1/grants").await.iter().all(|resource| resource == "web1"));
    assert!(!ids(&world, &rita, "/api/v1/grants").await.is_empty());
    assert_eq!(ids(&world, &rita, "/api/v1/resources").await, ["web1"]);
    assert_eq!(ids(&world, &rita, "/api/v1/users").await, Vec::<String>::new());
    world.get(&rita, &format!("/api/v1/sessions/{db1}")).await.problem(404, "not-found");
    world.get(&rita, "/api/v1/resources/db1").await.problem(404, "not-found");
    let end = |session: &str| format!("/api/v1/sessions/{session}/end");
    world.post(&rita, &end(&db1), json!({})).await.problem(404, "not-found");
    let shown = world.get(&rita, &format!("/api/v1/sessions/{web1}")).await.ok(200);
    assert_eq!((&shown["actions"]["end"], &shown["actions"]["dismiss"]), (&json!(true), &json!(false)), "{shown}");
    // Everything of the resource's would be more than its sessions.
    let lock = json!({ "title": "stop", "scope": "resource" });
    world.post(&rita, &format!("/api/v1/sessions/{web1}/lock"), lock).await.problem(403, "not-allowed");
    world.post(&rita, &end(&web1), json!({})).await.ok(200);

    let mut resource = world.get(&rita, "/api/v1/resources/web1").await.ok(200);
    resource["spec"]["labels"] = json!({ "tier": "web" });
    let change = json!({ "spec": resource["spec"], "version": resource["version"] });
    world.send(&rita, "PUT", "/api/v1/resources/web1", Some(change)).await.ok(200);
    let made = json!({ "name": "mine", "spec": resource["spec"] });
    world.post(&rita, "/api/v1/resources", made).await.problem(404, "not-found");
}

#[tokio::test]
async fn events_of_a_scope_are_heard_and_others_are_not() {
    let world = World::start().await;
    let scope = json!({ "resources": ["web1"] });
    world.apply(json!([role("web watch", &["sessions.see_all"], &scope), user("rita", &["web watch"])])).await;
    let rita = world.signed_in("rita").await;
    let mut events = world.listen(&rita, "/api/v1/events", None).await.expect("a stream");
    let alice = world.token("alice").await;
    world.request(&alice, &["db1"]).await;
    world.request(&alice, &["web1"]).await;
    let heard = events.until("session").await;
    assert!(heard.data.contains("\"web1\"") && !heard.data.contains("\"db1\""), "{}", heard.data);
}

#[tokio::test]
async fn roles_of_groups_are_roles_of_their_members_at_once() {
    let world = World::start().await;
    let (bob, path) = (world.token("bob").await, "/api/v1/users");
    world.get(&bob, path).await.problem(403, "not-allowed");
    let group = |roles: &[&str]| json!([{ "kind": "Group", "name": "readers", "spec": { "members": ["inner"], "roles": roles } }]);
    world.apply(json!([{ "kind": "Group", "name": "inner", "spec": { "members": ["bob"] } }])).await;
    world.apply(group(&["auditor"])).await;
    world.get(&bob, path).await.ok(200);
    let me = world.get(&bob, "/api/v1/me").await.ok(200);
    assert_eq!(me["roles"], json!(["auditor", "user"]));
    world.apply(group(&[])).await;
    world.get(&bob, path).await.problem(403, "not-allowed");
}

#[tokio::test]
async fn nobody_gives_away_more_than_they_have() {
    let world = World::start().await;
    let manager = [
        "configuration.see",
        "configuration.change.user",
        "configuration.change.group",
        "configuration.change.role",
        "configuration.change.resource",
        "users.lock",
    ];
    let watch = json!({ "resource_groups": ["tagged"] });
    world
        .apply(json!([
            role("managers", &manager, &Value::Null),
            role("tagged watch", &["sessions.see_all"], &watch),
            { "kind": "ResourceGroup", "name": "tagged", "spec": { "match_labels": { "tier": "web" } } },
            user("manuela", &["managers", "user", "tagged watch"]),
            user("zoe", &["user"]),
            { "kind": "Group", "name": "chiefs", "spec": { "members": ["admin"], "roles": ["administrator"] } },
        ]))
        .await;
    let manuela = world.signed_in("manuela").await;
    let chiefs = |members: &[&str]| json!({ "kind": "Group", "name": "chiefs", "spec": { "members": members, "roles": ["administrator"] } });
    let as_manager_of_manuela = |name: &str| {
        let mut document = user("manuela", &["managers", "user", "tagged watch"]);
        document["spec"]["manager"] = json!(name);
        document
    };
    let resource = world.get(&manuela, "/api/v1/resources/web1").await.ok(200);
    let mut labelled = resource["spec"].clone();
    labelled["labels"] = json!({ "tier": "web" });
    for (what, documents) in [
        ("a role to another", json!([user("zoe", &["administrator"])])),
        ("a role to herself", json!([user("manuela", &["managers", "user", "tagged watch", "auditor"])])),
        ("a seat in a group with a role", json!([chiefs(&["admin", "manuela"])])),
        ("a role to a group", json!([{ "kind": "Group", "name": "mine", "spec": { "roles": ["administrator"] } }])),
        ("who approves what she asks for", json!([as_manager_of_manuela("zoe")])),
        ("a role of her making", json!([role("more", &["audit.see"], &Value::Null)])),
        ("her own role made wider", json!([role("managers", &[&manager[..], &["audit.see"]].concat(), &Value::Null)])),
        ("a scope made wider by a label", json!([{ "kind": "Resource", "name": "web1", "spec": labelled }])),
        (
            "a key of who may do more",
            json!([{ "kind": "User", "name": "admin", "spec": { "roles": ["administrator", "user"], "full_name": "Mine" } }]),
        ),
        ("somebody who may do more", json!([{ "kind": "User", "name": "carol", "spec": { "disabled": true } }])),
    ] {
        let refused = apply(&world, &manuela, documents).await;
        assert_eq!(refused.status, 403, "{what}: {}", refused.text);
        refused.problem(403, "not-allowed");
    }
    world.post(&manuela, "/api/v1/locks", json!({ "user": "admin", "title": "x" })).await.problem(403, "not-allowed");
    world.apply(json!([as_manager_of_manuela("zoe")])).await;
    // What she has she may give.
    apply(&world, &manuela, json!([user("zoe", &["managers", "user"])])).await.ok(200);
    let own = role("readers", &["configuration.see"], &Value::Null);
    apply(&world, &manuela, json!([own, user("bob", &["user", "readers"])])).await.ok(200);
    world.post(&manuela, "/api/v1/locks", json!({ "user": "zoe", "title": "x" })).await.ok(201);
}

#[tokio::test]
async fn roles_that_cannot_be_meant_are_refused_where_they_are_wrong() {
    let world = World::start().await;
    let nowhere = json!({ "resources": [] });
    for (document, pointer) in [
        (role("administrator", &["audit.see"], &Value::Null), "name"),
        (role("operator", &["audit.see"], &Value::Null), "name"),
        (role("r", &[], &Value::Null), "spec/permissions"),
        (role("r", &["everything"], &Value::Null), "spec/permissions/0"),
        (role("r", &["audit.see", "audit.see"], &Value::Null), "spec/permissions/1"),
        (role("r", &["sessions.decide"], &Value::Null), "spec/permissions/0"),
        (role("r", &["sessions.end_any"], &Value::Null), "spec/permissions/0"),
        (role("r", &["audit.see"], &json!({ "resources": ["web1"] })), "spec/permissions/0"),
        (role("r", &["users.lock"], &json!({ "resources": ["web1"] })), "spec/permissions/0"),
        (role("r", &["sessions.see_all"], &nowhere), "spec/scope"),
        (role("r", &["sessions.see_all"], &json!({ "groups": ["nobody"] })), "spec/scope/groups/0"),
        (user("zoe", &["chief"]), "spec/roles/0"),
    ] {
        let answer = apply(&world, &As::Operator, json!([document])).await;
        assert_eq!(answer.wrong_fields(), [format!("/documents/0/{pointer}")], "{}", answer.text);
    }
    // A role that somebody has is not deleted under them.
    world.apply(json!([role("readers", &["audit.see"], &Value::Null), user("zoe", &["readers"])])).await;
    world.send(&As::Operator, "DELETE", "/api/v1/roles/readers", None).await.problem(409, "in-use");
}

#[tokio::test]
async fn an_administrator_by_a_group_alone_is_not_lost_either() {
    let world = World::start().await;
    let chiefs = |members: &[&str]| json!([{ "kind": "Group", "name": "chiefs", "spec": { "members": members, "roles": ["administrator"] } }]);
    world.apply(chiefs(&["bob"])).await;
    let mut spec = json!({ "roles": ["user"] });
    let admin = json!([{ "kind": "User", "name": "admin", "spec": spec }]);
    apply(&world, &As::Operator, admin).await.ok(200);
    apply(&world, &As::Operator, chiefs(&[])).await.problem(409, "last-administrator");
    spec["expires_at"] = json!("2100-01-01T00:00:00Z");
    let bob = json!([{ "kind": "User", "name": "bob", "spec": spec }]);
    apply(&world, &As::Operator, bob).await.problem(409, "last-administrator");
}
