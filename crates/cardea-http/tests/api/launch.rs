//! One-time tokens: who gets one, and what it is good for.

use cardea_domain::{Credential, Entry, Gate as _, GateRefusal, Secret, Status};
use serde_json::{Value, json};

use crate::world::{As, World};

const PEER: ([u8; 4], u16) = ([192, 0, 2, 9], 4000);

async fn launched(world: &World, who: &As, session: &str) -> Value {
    world.post(who, &format!("/api/v1/sessions/{session}/launch"), json!({})).await.ok(200)
}

/// What the gateway is told when somebody types this.
async fn typed(world: &World, user: &str, token: &str) -> Result<Credential, GateRefusal> {
    let admitted = world.app.redeem(user, Secret::new(token.to_owned()), PEER.into()).await;
    admitted.map(|entry| {
        let Entry::Open(admission) = entry else { panic!("a token is enough") };
        assert_eq!((admission.session.to_string().as_str(), admission.user_name.as_str()), (user, "alice"));
        admission.credential
    })
}

#[tokio::test]
async fn a_token_opens_its_session_once_and_the_command_has_none() {
    let world = World::start().await;
    let alice = world.token("alice").await;
    let ids = world.request(&alice, &["web1", "db1"]).await;
    for id in &ids {
        world.until_status(id, "available").await;
    }
    let launch = launched(&world, &alice, &ids[0]).await;
    let token = launch["token"].as_str().expect("a token");
    assert_eq!(launch["command"], format!("ssh -p 4422 {}@cardea.example.com", ids[0]));
    assert_eq!(launch["user"], ids[0].as_str());

    let wrong = typed(&world, &ids[1], token).await.expect_err("it is another session's");
    assert_eq!(wrong.code, GateRefusal::WRONG_TOKEN);
    assert_eq!(typed(&world, &ids[0], token).await, Ok(Credential::Token));
    for (user, tried) in [
        (ids[0].as_str(), token),
        (&ids[0], "cardea-launch-guessed"),
        (&ids[0], "guessed"),
        ("ses_nonsense", token),
        ("", ""),
        ("root", &"x".repeat(9000)),
    ] {
        assert_eq!(typed(&world, user, tried).await, Err(wrong.clone()), "{user}: always the same answer");
    }
    let log = world.get(&alice, &format!("/api/v1/sessions/{}/log", ids[0])).await.ok(200);
    let text = log.to_string();
    assert!(
        text.contains("made a one-time token") && text.contains("A one-time token was used, from 192.0.2.9"),
        "{text}"
    );
    assert!(!text.contains(token));
}

#[tokio::test]
async fn it_is_good_for_a_minute_and_only_so_many_are_made() {
    let world = World::start().await;
    let alice = world.token("alice").await;
    let session = world.request(&alice, &["web1"]).await.remove(0);
    world.until_status(&session, "available").await;
    let mut last = Value::Null;
    for _ in 0..6 {
        last = launched(&world, &alice, &session).await;
    }
    let path = format!("/api/v1/sessions/{session}/launch");
    world.post(&alice, &path, json!({})).await.problem(429, "too-many-attempts");
    world.clock.advance(std::time::Duration::from_secs(60));
    let late = typed(&world, &session, last["token"].as_str().expect("a token")).await;
    assert_eq!(late.map_err(|no| no.code), Err(GateRefusal::WRONG_TOKEN));
    launched(&world, &alice, &session).await;
}

#[tokio::test]
async fn a_token_of_a_session_that_is_over_or_locked_says_so_and_guessing_is_slowed_down() {
    let world = World::start().await;
    let alice = world.token("alice").await;
    let session = world.request(&alice, &["web1"]).await.remove(0);
    world.until_status(&session, "available").await;
    let (first, second, third) = (
        launched(&world, &alice, &session).await,
        launched(&world, &alice, &session).await,
        launched(&world, &alice, &session).await,
    );
    let token = |launch: &Value| launch["token"].as_str().expect("a token").to_owned();
    for _ in 0..8 {
        assert!(typed(&world, &session, "cardea-launch-guessed").await.is_err());
    }
    let slowed = typed(&world, &session, &token(&first)).await;
    assert_eq!(slowed.map_err(|no| no.code), Err(GateRefusal::WRONG_TOKEN), "who guesses waits, even when right");
    world.clock.advance(std::time::Duration::from_secs(30));
    assert_eq!(typed(&world, &session, &token(&first)).await, Ok(Credential::Token), "it was not used up by that");

    world.post(&As::Operator, &format!("/api/v1/sessions/{session}/lock"), json!({ "title": "stop" })).await.ok(200);
    let locked = typed(&world, &session, &token(&second)).await.expect_err("it is locked");
    assert!(locked.sentence.contains("locked"), "{locked}");
    world.post(&alice, &format!("/api/v1/sessions/{session}/launch"), json!({})).await.problem(409, "locked");
    world.post(&alice, &format!("/api/v1/sessions/{session}/end"), json!({})).await.ok(200);
    let over = typed(&world, &session, &token(&third)).await.expect_err("it is over");
    assert!(over.sentence.contains("over"), "{over}");
    world.until_status(&session, Status::Completed.as_str()).await;
    world.post(&alice, &format!("/api/v1/sessions/{session}/launch"), json!({})).await.problem(409, "refused");
}
