//! Users who expire, groups of groups, and the last administrator.

use std::time::Duration;

use cardea_domain::Clock as _;
use serde_json::{Value, json};

use crate::world::{Answer, As, PASSWORD, World};

async fn apply(world: &World, documents: Value) -> Answer {
    world.post(&As::Operator, "/api/v1/apply", json!({ "documents": documents })).await
}

fn message(answer: &Answer, pointer: &str) -> String {
    assert_eq!(answer.wrong_fields(), [pointer]);
    answer.json()["fields"][0]["message"].as_str().expect("a message").to_owned()
}

#[tokio::test]
async fn sign_ins_and_tokens_of_an_expired_user_fail_and_their_sessions_end() {
    let world = World::start().await;
    let expires_at = world.clock.now().plus(Duration::from_secs(60));
    let spec = json!({ "expires_at": expires_at, "password": PASSWORD });
    world.apply(json!([{ "kind": "User", "name": "alice", "spec": spec }])).await;
    let (token, cookie) = (world.token("alice").await, world.signed_in("alice").await);
    let session = world.request(&token, &["web1"]).await.remove(0);
    world.until_status(&session, "available").await;
    world.clock.advance(Duration::from_secs(60));
    world.app.nudge();
    for who in [&token, &cookie] {
        let refused = world.get(who, "/api/v1/me").await.problem(401, "not-signed-in");
        assert!(refused["detail"].as_str().is_some_and(|text| text.contains("expired")), "{refused}");
    }
    let body = json!({ "user": "alice", "password": PASSWORD });
    assert_eq!(world.post(&As::Nobody, "/api/v1/sign-in", body).await.status, 401);
    world.until_status(&session, "canceled").await;
    // Given more time, the token that still lasts works again; what ended has ended.
    world.apply(json!([{ "kind": "User", "name": "alice", "spec": {} }])).await;
    world.get(&token, "/api/v1/me").await.ok(200);
}

#[tokio::test]
async fn groups_in_groups_give_and_approve_and_are_refused_in_circles() {
    let world = World::start().await;
    world.guard_vault(1).await;
    world
        .apply(json!([
            { "kind": "Group", "name": "night", "spec": { "members": ["bob"] } },
            { "kind": "Group", "name": "guards", "spec": { "members": ["night"] } },
            { "kind": "User", "name": "bob", "spec": { "password": PASSWORD } },
        ]))
        .await;
    let (alice, bob) = (world.token("alice").await, world.signed_in("bob").await);
    let session = world.request(&alice, &["vault1"]).await.remove(0);
    let approve = format!("/api/v1/sessions/{session}/approve");
    world.post(&bob, &approve, json!({ "reason": "he is in the group in the group" })).await.ok(200);

    let circle = json!([{ "kind": "Group", "name": "night", "spec": { "members": ["bob", "guards"] } }]);
    let why = message(&apply(&world, circle).await, "/documents/0/spec/members");
    assert_eq!(why, "a group cannot be in itself: night → guards → night");
    let own = json!([{ "kind": "Group", "name": "lonely", "spec": { "members": ["lonely"] } }]);
    assert_eq!(
        message(&apply(&world, own).await, "/documents/0/spec/members"),
        "a group cannot be in itself: lonely → lonely"
    );
}

#[tokio::test]
async fn a_new_group_does_not_take_the_place_of_a_user_of_the_same_name() {
    let world = World::start().await;
    world.apply(json!([{ "kind": "Group", "name": "team", "spec": { "members": ["alice"] } }])).await;
    let taken = json!([{ "kind": "Group", "name": "Alice", "spec": { "members": ["bob"] } }]);
    assert!(message(&apply(&world, taken).await, "/documents/0/name").contains("`team`"));
}

#[tokio::test]
async fn the_last_administrator_is_not_removed_disabled_or_expired_away() {
    let world = World::start().await;
    let corp = json!({ "protocol": "ldap", "url": "ldap://127.0.0.1", "base_dn": "dc=example" });
    world.apply(json!([{ "kind": "IdentityProvider", "name": "corp", "spec": corp }])).await;
    for (more, refused) in [
        (json!({ "disabled": true }), true),
        // A directory could take them away.
        (json!({ "identity": { "provider": "corp", "name": "admin" } }), true),
        (json!({ "roles": ["user"] }), true),
        (json!({ "expires_at": "2100-01-01T00:00:00Z" }), true),
        (json!({ "full_name": "The one" }), false),
    ] {
        let mut spec = json!({ "roles": ["administrator"] });
        spec.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
        let answer = apply(&world, json!([{ "kind": "User", "name": "admin", "spec": spec }])).await;
        if refused {
            answer.problem(409, "last-administrator");
        } else {
            answer.ok(200);
        }
    }
    world.send(&As::Operator, "DELETE", "/api/v1/users/admin", None).await.problem(409, "last-administrator");
}
