//! Changes as they happen: nothing is missed, nothing of others is heard, nothing outlives the sign-in.

use serde_json::json;

use crate::{
    session::actions,
    world::{As, PUBLIC_URL, World},
};

const EVENTS: &str = "/api/v1/events";

#[tokio::test]
async fn every_change_of_a_session_and_its_ledger_is_heard() {
    let world = World::start().await;
    let alice = world.token("alice").await;
    let mut events = world.listen(&alice, EVENTS, None).await.expect("a stream");
    let ready = events.next().await.expect("an event");
    assert_eq!((ready.name.as_str(), ready.data.as_str()), ("ready", "{}"));
    assert!(!ready.id.is_empty());
    let id = world.request(&alice, &["web1"]).await.remove(0);
    let mut statuses = Vec::new();
    let mut placed = 0;
    while statuses.last().is_none_or(|status| status != "available") || placed < 3 {
        let heard = events.next().await.expect("an event");
        assert!(!heard.id.is_empty(), "{heard:?}");
        let view = heard.json();
        match heard.name.as_str() {
            "session" => {
                assert_eq!((&view["id"], view.get("grants")), (&json!(id), None));
                assert_eq!(view["actions"]["end"], true);
                statuses.push(view["status"].as_str().expect("a status").to_owned());
            }
            "grant" => {
                assert_eq!(view["session"], json!(id));
                placed += usize::from(view["state"] == "placed");
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(statuses[0], "provisioning");
}

#[tokio::test]
async fn a_stream_resumes_behind_the_last_event_that_was_heard() {
    let world = World::start().await;
    let alice = world.token("alice").await;
    let mut events = world.listen(&alice, EVENTS, None).await.expect("a stream");
    let ready = events.next().await.expect("an event");
    let id = world.request(&alice, &["web1"]).await.remove(0);
    let first = events.until("session").await;
    world.until_status(&id, "available").await;
    drop(events);

    // Behind the first event: everything but that one, in order.
    let mut resumed = world.listen(&alice, EVENTS, Some(&first.id)).await.expect("a stream");
    assert_eq!(resumed.next().await.expect("an event").id, first.id);
    let next = resumed.next().await.expect("an event");
    assert!(number(&next.id) > number(&first.id));
    // Cut off right after `ready`: nothing is lost either.
    let mut again = world.listen(&alice, EVENTS, Some(&ready.id)).await.expect("a stream");
    assert_eq!(again.next().await.expect("an event").id, ready.id);
    assert_eq!(again.until("session").await, first);
    // From before a restart: told to read everything again.
    for unknown in ["0123456789abcdef-3", "nonsense"] {
        let mut lost = world.listen(&alice, EVENTS, Some(unknown)).await.expect("a stream");
        lost.until("ready").await;
        let reset = lost.next().await.expect("an event");
        assert_eq!(reset.name, "reset");
        assert_ne!(reset.id, unknown);
    }
}

fn number(id: &str) -> u64 {
    id.rsplit('-').next().and_then(|text| text.parse().ok()).expect("EPOCH-NUMBER")
}

#[tokio::test]
async fn nobody_hears_of_the_sessions_of_others() {
    let world = World::start().await;
    let (alice, bob, carol) = (world.token("alice").await, world.token("bob").await, world.token("carol").await);
    let mut strangers = world.listen(&bob, EVENTS, None).await.expect("a stream");
    let mut auditors = world.listen(&carol, EVENTS, None).await.expect("a stream");
    let id = world.request(&alice, &["web1"]).await.remove(0);
    world.until_status(&id, "available").await;
    assert_eq!(auditors.until("session").await.json()["actions"], actions(&[]));
    // The first that bob hears of is what concerns everybody.
    world.apply(json!([{ "kind": "Group", "name": "team", "spec": {} }])).await;
    strangers.until("ready").await;
    assert_eq!(strangers.next().await.expect("an event").name, "configuration");
}

#[tokio::test]
async fn a_stream_beats_and_ends_with_the_sign_in() {
    let world = World::start().await;
    let who = As::Cookie(world.cookie().await, Some(PUBLIC_URL));
    let mut events = world.listen(&who, EVENTS, None).await.expect("a stream");
    events.until("ready").await;
    assert_eq!(events.any().await.expect("a beat").name, "", "a comment keeps the line alive");
    world.post(&who, "/api/v1/sign-out", json!({})).await.ok(204);
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_stream_ends_when_roles_change() {
    let world = World::start().await;
    let carol = world.token("carol").await;
    let mut events = world.listen(&carol, EVENTS, None).await.expect("a stream");
    world.apply(json!([{ "kind": "User", "name": "carol", "spec": { "full_name": "CAROL" } }])).await;
    events.until("configuration").await;
    assert_eq!(events.next().await, None, "an auditor no more: ask again as who you are now");
}

#[tokio::test]
async fn streams_end_when_the_server_stops() {
    let world = World::start().await;
    let alice = world.token("alice").await;
    let mut events = world.listen(&alice, EVENTS, None).await.expect("a stream");
    events.until("ready").await;
    world.stop.cancel();
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_user_holds_so_many_streams_and_no_more() {
    let world = World::start().await;
    let (alice, bob) = (world.token("alice").await, world.token("bob").await);
    let mut open = Vec::new();
    for _ in 0..20 {
        open.push(world.listen(&alice, EVENTS, None).await.expect("a stream"));
    }
    let refused = world.listen(&alice, EVENTS, None).await.err().expect("one too many");
    refused.problem(429, "too-many-streams");
    assert!(!refused.header("retry-after").is_empty());
    assert!(world.listen(&bob, EVENTS, None).await.is_ok(), "others are not held up");
    drop(open.pop());
    assert!(world.listen(&alice, EVENTS, None).await.is_ok());
}
