//! The password of a session's login account: who sees it, when, and what is written down of it.

use cardea_domain::ConnectorError;
use cardea_testkit::Operation;
use serde_json::{Value, json};

use crate::world::{As, PASSWORD, World};

/// A world in which alice, who can sign in, may see passwords on `web1`; and her open session there.
async fn world_with_a_session(settings: Value) -> (World, As, String) {
    let world = World::start().await;
    let mut profile = json!({ "max_duration": "1h", "password_access": "reveal", "password_hide_after": "20s" });
    profile.as_object_mut().expect("a map").extend(settings.as_object().expect("a map").clone());
    world
        .apply(json!([
            { "kind": "User", "name": "alice", "spec": { "password": PASSWORD } },
            { "kind": "ConnectionProfile", "name": "one-hour", "spec": profile },
        ]))
        .await;
    let alice = world.signed_in("alice").await;
    let session = world.request(&alice, &["web1"]).await.remove(0);
    world.until_status(&session, "available").await;
    (world, alice, session)
}

fn path(session: &str) -> String {
    format!("/api/v1/sessions/{session}/password")
}

#[tokio::test]
async fn its_user_is_shown_one_password_that_ends_with_the_session() {
    let (world, alice, session) = world_with_a_session(json!({})).await;
    let shown = world.get(&alice, &format!("/api/v1/sessions/{session}")).await.ok(200);
    assert_eq!(shown["actions"]["reveal_password"], true);
    let before = world.hosts.things().len();

    let first = world.post(&alice, &path(&session), json!({})).await.ok(200);
    assert_eq!((&first["user"], &first["hide_after_s"]), (&shown["login_account"], &json!(20)));
    let password = first["password"].as_str().expect("a password");
    assert!(password.len() >= 20, "nobody guesses it");
    assert_eq!(world.hosts.things().len(), before + 1, "it was set on the host");
    let second = world.post(&alice, &path(&session), json!({})).await.ok(200);
    assert_eq!((&second, world.hosts.things().len()), (&first, before + 1), "and not set again");

    let log = world.get(&alice, &format!("/api/v1/sessions/{session}/log")).await.ok(200);
    let lines: Vec<_> =
        log["items"].as_array().expect("lines").iter().map(|line| line["message"].to_string()).collect();
    assert_eq!(lines.iter().filter(|line| line.contains("alice was shown the password")).count(), 2, "{lines:?}");
    assert!(!log.to_string().contains(password), "the value is nowhere");
    let ledger = world.get(&As::Operator, &format!("/api/v1/sessions/{session}")).await.ok(200);
    let grants = ledger["grants"].as_array().expect("grants");
    let grant = grants.iter().find(|grant| grant["kind"] == "password").expect("it is in the ledger");
    assert_eq!(grant["state"], "placed");
    assert!(!ledger.to_string().contains(password), "the ledger has no value");

    world.post(&alice, &format!("/api/v1/sessions/{session}/end"), json!({})).await.ok(200);
    let over = world.until(&session, |session| session["clean"] == true).await;
    let grants = over["grants"].as_array().expect("grants");
    assert!(grants.iter().all(|grant| grant["state"] == "removed" && grant["evidence"].is_object()), "{over:#}");
    assert_eq!(world.hosts.things().len(), 0);
    assert_eq!(over["actions"]["reveal_password"], false);
    world.post(&alice, &path(&session), json!({})).await.problem(409, "refused");
}

#[tokio::test]
async fn nobody_else_sees_it_and_the_operators_token_is_not_its_user() {
    let (world, _, session) = world_with_a_session(json!({})).await;
    for (user, status, slug) in
        [("alice", 403, "not-allowed"), ("bob", 404, "not-found"), ("admin", 403, "not-allowed")]
    {
        let who = world.token(user).await;
        world.post(&who, &path(&session), json!({})).await.problem(status, slug);
    }
    let admin = world.signed_in("admin").await;
    world.post(&admin, &path(&session), json!({})).await.problem(403, "not-allowed");
    assert!(!world.hosts.things().keys().any(|key| key.contains("password")));
}

#[tokio::test]
async fn what_could_not_be_set_is_taken_away_and_may_be_asked_for_again() {
    let (world, alice, session) = world_with_a_session(json!({})).await;
    world.hosts.fail_next(Operation::Place, ConnectorError::Unknown("half-way".to_owned()));
    world.post(&alice, &path(&session), json!({})).await.problem(409, "no-answer");
    let is_gone = |session: &Value| {
        let grants = session["grants"].as_array().expect("grants");
        grants.iter().any(|grant| grant["kind"] == "password" && grant["state"] == "removed")
    };
    world.until(&session, is_gone).await;
    world.post(&alice, &path(&session), json!({})).await.ok(200);
}

#[tokio::test]
async fn a_locked_session_shows_nothing_and_asking_is_slowed_down() {
    let (world, alice, session) = world_with_a_session(json!({})).await;
    for _ in 0..6 {
        world.post(&alice, &path(&session), json!({})).await.ok(200);
    }
    let answer = world.post(&alice, &path(&session), json!({})).await;
    answer.problem(429, "too-many-attempts");
    assert!(answer.header("retry-after").parse::<u64>().is_ok_and(|seconds| (1..=60).contains(&seconds)));
    world.post(&As::Operator, &format!("/api/v1/sessions/{session}/lock"), json!({ "title": "stop" })).await.ok(200);
    world.post(&alice, &path(&session), json!({})).await.problem(409, "locked");
}

#[tokio::test]
async fn a_profile_that_denies_log_ins_past_the_gateway_shows_no_password() {
    let world = World::start().await;
    let spec = json!({ "max_duration": "1h", "password_access": "reveal", "direct_login": "deny" });
    let answer = world.post(&As::Operator, "/api/v1/connection-profiles", json!({ "name": "p", "spec": spec })).await;
    assert_eq!(answer.wrong_fields(), ["/spec/password_access"]);
    for (key, value) in [("password_access", "sometimes"), ("password_hide_after", "1s"), ("password_hide_after", "1h")]
    {
        let spec = json!({ "max_duration": "1h", key: value });
        let answer =
            world.post(&As::Operator, "/api/v1/connection-profiles", json!({ "name": "p", "spec": spec })).await;
        assert_eq!(answer.wrong_fields(), [format!("/spec/{key}")]);
    }
}
