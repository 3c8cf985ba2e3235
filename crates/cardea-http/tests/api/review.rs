//! Break-glass: a session that begins at once raises an alert, and somebody else says afterwards whether it was right.

use std::time::Duration;

use cardea_domain::ConnectorError;
use cardea_testkit::Operation;
use serde_json::{Value, json};

use crate::world::{As, World};

const SESSIONS: &str = "/api/v1/sessions";
const REVIEWS: &str = "/api/v1/reviews";

/// alice may break the glass on vault1; dave and erin review it.
async fn with_glass(world: &World) {
    world.guard_vault(1).await;
    let break_glass = json!({ "reviewers": ["guards", "erin"], "review_within": "2h" });
    let spec = json!({ "max_duration": "1h", "break_glass": break_glass });
    world.apply(json!([{ "kind": "ConnectionProfile", "name": "guarded", "spec": spec }])).await;
}

async fn reviews(world: &World, who: &As, state: &str) -> Vec<Value> {
    let page = world.get(who, &format!("{REVIEWS}?state={state}")).await.ok(200);
    page["items"].as_array().expect("items").clone()
}

fn request(more: &Value) -> Value {
    let mut body = json!({ "activity": "Linux admin", "resources": ["vault1"], "notes": "the database is down" });
    body.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
    body
}

#[tokio::test]
async fn who_breaks_the_glass_begins_at_once_and_others_say_whether_it_was_right() {
    let world = World::start().await;
    with_glass(&world).await;
    let (alice, dave, bob) = (world.token("alice").await, world.signed_in("dave").await, world.token("bob").await);
    let admin = world.signed_in("admin").await;
    let mut heard = world.listen(&admin, "/api/v1/events", None).await.expect("a stream");
    let created = world.post(&alice, SESSIONS, request(&json!({}))).await.ok(201);
    let id = created["items"][0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(created["items"][0]["break_glass"], true);
    let alert = heard.until("alert").await.json();
    assert_eq!((&alert["code"], &alert["session"]), (&json!("break_glass"), &json!(id)));
    world.until_status(&id, "available").await;

    let path = format!("{SESSIONS}/{id}/review");
    let body = json!({ "verdict": "justified", "reason": "it was down" });
    for (who, is_shown) in [(&alice, true), (&dave, true), (&admin, true), (&bob, false)] {
        assert_eq!(!reviews(&world, who, "open").await.is_empty(), is_shown);
    }
    let open = reviews(&world, &dave, "open").await;
    assert_eq!((&open[0]["may_review"], &open[0]["is_over"]), (&json!(true), &json!(false)));
    world.post(&alice, &path, body.clone()).await.problem(403, "not-allowed");
    world.post(&admin, &path, body.clone()).await.problem(403, "not-allowed");
    world.post(&world.token("dave").await, &path, body.clone()).await.problem(403, "not-allowed");
    world.post(&bob, &path, body.clone()).await.problem(404, "not-found");
    let early = world.post(&dave, &path, body.clone()).await.problem(409, "refused");
    assert!(early["detail"].as_str().is_some_and(|detail| detail.contains("not over")), "{early}");
    let wordless = world.post(&dave, &path, json!({ "verdict": "justified", "reason": " " })).await;
    assert_eq!(wordless.wrong_fields(), ["/reason"]);

    world.post(&alice, &format!("{SESSIONS}/{id}/end"), json!({})).await.ok(200);
    world.until_status(&id, "completed").await;

    assert_eq!(reviews(&world, &admin, "overdue").await, Vec::<Value>::new());
    world.clock.advance(Duration::from_secs(7200));
    let overdue = reviews(&world, &admin, "overdue").await;
    assert_eq!((&overdue[0]["session"], &overdue[0]["is_overdue"]), (&json!(id), &json!(true)));
    assert_eq!(overdue[0]["is_over"], true);
    let figures = world.get(&As::Operator, "/metrics").await;
    assert!(figures.text.contains("\ncardea_reviews_overdue 1\n"), "{}", figures.text);

    // Cookies live shorter than that.
    let dave = world.signed_in("dave").await;
    let said = world.post(&dave, &path, body.clone()).await.ok(200);
    assert_eq!(
        (&said["verdict"], &said["reviewer"], &said["is_overdue"]),
        (&json!("justified"), &json!("dave"), &json!(false))
    );
    assert_eq!(said["reviewed_at"], "2027-01-15T10:00:00.000000Z");
    world.post(&world.signed_in("erin").await, &path, body).await.problem(409, "refused");
    assert_eq!(reviews(&world, &admin, "done").await[0]["reason"], "it was down");
    assert_eq!(reviews(&world, &admin, "open").await, Vec::<Value>::new());
    let log = world.get(&admin, &format!("{SESSIONS}/{id}/log")).await.ok(200).to_string();
    assert!(log.contains("alice broke the glass") && log.contains("dave reviewed it: justified: it was down"), "{log}");
}

#[tokio::test]
async fn who_breaks_the_glass_says_why_and_does_not_wait() {
    let world = World::start().await;
    with_glass(&world).await;
    let alice = world.token("alice").await;
    let refused = world.post(&alice, SESSIONS, request(&json!({ "notes": " " }))).await;
    assert_eq!(refused.wrong_fields(), ["/notes"]);
    let later = request(&json!({ "start_at": "2027-01-15T09:00:00Z" }));
    assert_eq!(world.post(&alice, SESSIONS, later).await.wrong_fields(), ["/start_at"]);
    assert_eq!(reviews(&world, &As::Operator, "open").await, Vec::<Value>::new());
    let both = json!({
        "max_duration": "1h", "break_glass": { "reviewers": [] }, "approval": { "tiers": [{ "approvers": ["dave"] }] }
    });
    let body = json!({ "name": "both", "spec": both });
    let refused = world.post(&As::Operator, "/api/v1/connection-profiles", body).await;
    assert_eq!(refused.wrong_fields(), ["/spec/break_glass", "/spec/break_glass/reviewers"]);
}

/// What was found of the first try says nothing of the next.
#[tokio::test]
async fn a_session_that_is_tried_again_has_to_be_reviewed_again() {
    let world = World::start().await;
    with_glass(&world).await;
    let alice = world.token("alice").await;
    world.hosts.fail_next(Operation::Observe, ConnectorError::LoginRefused("wrong key".to_owned()));
    let created = world.post(&alice, SESSIONS, request(&json!({}))).await.ok(201);
    let id = created["items"][0]["id"].as_str().expect("an id").to_owned();
    world.until(&id, |session| session["status"] == "failed" && session["clean"] == true).await;
    let path = format!("{SESSIONS}/{id}/review");
    let dave = world.signed_in("dave").await;
    world.post(&dave, &path, json!({ "verdict": "justified", "reason": "it failed" })).await.ok(200);
    assert_eq!(reviews(&world, &dave, "open").await, Vec::<Value>::new());

    let mut heard = world.listen(&world.signed_in("admin").await, "/api/v1/events", None).await.expect("a stream");
    world.clock.advance(Duration::from_secs(600));
    world.post(&alice, &format!("{SESSIONS}/{id}/retry"), json!({})).await.ok(200);
    let alert = heard.until("alert").await.json();
    assert_eq!((&alert["code"], &alert["session"]), (&json!("break_glass"), &json!(id)));
    let open = reviews(&world, &dave, "open").await;
    assert_eq!((&open[0]["session"], &open[0]["verdict"]), (&json!(id), &Value::Null));
    assert_eq!(open[0]["due_at"], "2027-01-15T10:10:00.000000Z", "from the second try on");
    world.until_status(&id, "available").await;
    world.post(&alice, &format!("{SESSIONS}/{id}/end"), json!({})).await.ok(200);
    world.until_status(&id, "completed").await;
    world.post(&dave, &path, json!({ "verdict": "unjustified", "reason": "it went on" })).await.ok(200);
    assert_eq!(reviews(&world, &dave, "done").await[0]["reason"], "it went on");
}
