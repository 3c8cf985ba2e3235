//! Requests over HTTP: when they begin, what they carry, and what happens when they are sent twice.

use axum::{body::Body, http::Request};
use serde_json::{Value, json};

use crate::world::{Answer, As, World};

const SESSIONS: &str = "/api/v1/sessions";

fn wanted(more: &Value) -> Value {
    let mut body = json!({ "activity": "Linux admin", "resources": ["web1"] });
    body.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
    body
}

/// A profile with custom fields, and a policy that is open from 07:00 to 12:00 on weekdays. The clock says Friday, 08:00.
async fn world_with_rules() -> World {
    let world = World::start().await;
    let office = json!({ "zone": "UTC", "windows": [{ "days": ["mon", "tue", "wed", "thu", "fri"], "from": "07:00", "to": "12:00" }] });
    world
        .apply(json!([
            { "kind": "ConnectionProfile", "name": "one-hour", "spec": { "max_duration": "1h", "custom_fields": [
                { "name": "change", "label": "Change", "type": "number", "required": true },
                { "name": "risk", "type": "choice", "choices": ["low", "high"] },
            ] } },
            { "kind": "AccessPolicy", "name": "operators", "spec": {
                "users": ["alice"], "activities": ["Linux admin"], "resources": ["web1", "db1"],
                "connection_profile": "one-hour", "schedule": office,
            } },
        ]))
        .await;
    world
}

#[tokio::test]
async fn what_the_profile_asks_for_is_asked_for_shown_and_checked() {
    let world = world_with_rules().await;
    let alice = world.token("alice").await;
    let ways = world.get(&alice, "/api/v1/my/activities").await.ok(200)["items"][0]["ways"].clone();
    assert_eq!(
        ways[0]["custom_fields"][0],
        json!({ "name": "change", "label": "Change", "type": "number", "required": true, "choices": [] })
    );
    assert_eq!((&ways[0]["requires_approval"], &ways[0]["opens_at"]), (&json!(false), &json!(null)));
    assert_eq!(ways[0]["schedule"]["zone"], "UTC");
    for (custom, pointers) in [
        (json!({}), vec!["/custom/change"]),
        (json!({ "change": "soon" }), vec!["/custom/change"]),
        (json!({ "change": 7, "risk": "none" }), vec!["/custom/risk"]),
        (json!({ "change": "7", "colour/shade": "red" }), vec!["/custom/colour~1shade"]),
    ] {
        let refused = world.post(&alice, SESSIONS, wanted(&json!({ "custom": custom }))).await;
        assert_eq!(refused.wrong_fields(), pointers, "{custom}");
    }
    let made =
        world.post(&alice, SESSIONS, wanted(&json!({ "custom": { "change": 4711, "risk": " low " } }))).await.ok(201);
    assert_eq!(made["items"][0]["custom"], json!({ "change": "4711", "risk": "low" }));
}

#[tokio::test]
async fn a_start_to_come_is_within_the_hours_and_the_horizon() {
    let world = world_with_rules().await;
    let alice = world.token("alice").await;
    let at = |at: &str| wanted(&json!({ "custom": { "change": 1 }, "start_at": at }));
    for (start, why) in [
        ("2027-01-15T08:00:00Z", "time to come"),
        ("2028-01-17T08:00:00Z", "366 days"),
        ("2027-01-16T08:00:00Z", "2027-01-18T07:00:00"),
        ("2027-01-15T12:00:00Z", "2027-01-18T07:00:00"),
    ] {
        let refused = world.post(&alice, SESSIONS, at(start)).await;
        assert_eq!(refused.wrong_fields(), ["/start_at"], "{start}");
        assert!(refused.text.contains(why), "{start}: {}", refused.text);
    }
    let made = world.post(&alice, SESSIONS, at("2027-01-18T07:00:00Z")).await.ok(201);
    assert_eq!(
        (&made["items"][0]["status"], made["items"][0]["wanted_start_at"].as_str()),
        (&json!("scheduled"), Some("2027-01-18T07:00:00.000000Z"))
    );
    world.clock.advance(std::time::Duration::from_secs(4 * 3600));
    let closed = world.post(&alice, SESSIONS, wanted(&json!({ "custom": { "change": 1 } }))).await;
    assert_eq!(closed.wrong_fields(), ["/start_at"]);
    assert!(closed.text.contains("opens at 2027-01-18T07:00:00"), "{}", closed.text);
    let ways = world.get(&alice, "/api/v1/my/activities").await.ok(200)["items"][0]["ways"].clone();
    assert_eq!(ways[0]["opens_at"], "2027-01-18T07:00:00.000000Z");
}

async fn send(world: &World, who: &As, key: &str, body: &Value) -> Answer {
    let request = Request::post(SESSIONS).header("content-type", "application/json").header("idempotency-key", key);
    world.ask(who, request.body(Body::from(body.to_string())).expect("a request")).await
}

#[tokio::test]
async fn a_request_that_is_sent_again_is_one_request_for_a_day() {
    let world = World::start().await;
    let (alice, admin) = (world.token("alice").await, world.token("admin").await);
    let body = json!({ "activity": "Linux admin", "resources": ["web1", "db1"] });
    // At the same time: whoever comes second is answered with what the first made.
    let answers = futures_util::future::join_all((0..8).map(|_| send(&world, &alice, "deploy 7", &body))).await;
    let first = answers[0].ok(201);
    let ids = |answer: &Value| {
        let items = answer["items"].as_array().expect("items").iter();
        items.map(|item| item["id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    for answer in &answers {
        let again = answer.ok(201);
        assert_eq!((&again["request_id"], ids(&again)), (&first["request_id"], ids(&first)));
    }
    let other = json!({ "activity": "Linux admin", "resources": ["web1"] });
    send(&world, &alice, "deploy 7", &other).await.problem(422, "key-used");
    for key in ["", &"k".repeat(256)] {
        assert_eq!(send(&world, &alice, key, &other).await.wrong_fields(), ["/idempotency_key"]);
    }
    let of_request = format!("{SESSIONS}?request={}", first["request_id"].as_str().expect("an id"));
    let sorted = |mut ids: Vec<String>| {
        ids.sort();
        ids
    };
    assert_eq!(ids(&world.get(&alice, &of_request).await.ok(200)), sorted(ids(&first)));
    assert_eq!(
        world.get(&world.token("bob").await, &of_request).await.ok(200)["items"],
        json!([]),
        "of others, nothing"
    );
    assert_eq!(ids(&world.get(&admin, &of_request).await.ok(200)).len(), 2);
    world.clock.advance(std::time::Duration::from_secs(24 * 3600));
    let next_day = send(&world, &alice, "deploy 7", &other).await.ok(201);
    assert_ne!(next_day["request_id"], first["request_id"]);
}

#[tokio::test]
async fn a_failed_session_is_tried_again_and_its_list_keeps_what_became_of_each() {
    use cardea_domain::ConnectorError;
    use cardea_testkit::Operation;
    let world = World::start().await;
    let alice = world.token("alice").await;
    world.hosts.fail_next(Operation::Observe, ConnectorError::LoginRefused("wrong key".to_owned()));
    let id = world.request(&alice, &["web1"]).await.remove(0);
    let failed = world.until(&id, |session| session["status"] == "failed" && session["clean"] == true).await;
    let again = world.post(&alice, &format!("{SESSIONS}/{id}/retry"), json!({})).await.ok(200);
    assert_eq!((&again["status"], &again["reason"]), (&json!("provisioning"), &json!(null)));
    let session = world.until_status(&id, "available").await;
    assert_ne!(session["login_account"], failed["login_account"]);
    world.post(&alice, &format!("{SESSIONS}/{id}/end"), json!({})).await.ok(200);
    world.until_status(&id, "completed").await;
    assert!(world.hosts.things().is_empty());
}

#[tokio::test]
async fn one_user_asks_people_for_so_much_at_a_time() {
    let world = World::start().await;
    world.guard_vault(1).await;
    let alice = world.token("alice").await;
    let body = json!({ "activity": "Linux admin", "resources": ["vault1"] });
    let mut last = String::new();
    for _ in 0..100 {
        let created = world.post(&alice, SESSIONS, body.clone()).await.ok(201);
        last = created["items"][0]["id"].as_str().expect("an id").to_owned();
    }
    let refused = world.post(&alice, SESSIONS, body.clone()).await.problem(409, "refused");
    assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains("100 of your sessions wait")), "{refused}");
    let web1 = json!({ "activity": "Linux admin", "resources": ["web1"] });
    world.post(&alice, SESSIONS, web1).await.ok(201);
    world.post(&alice, &format!("{SESSIONS}/{last}/end"), json!({})).await.ok(200);
    world.post(&alice, SESSIONS, body).await.ok(201);
}

#[tokio::test]
async fn what_hides_or_reorders_text_is_no_part_of_it() {
    let world = World::start().await;
    let alice = world.token("alice").await;
    for hidden in ['\u{202e}', '\u{200b}', '\u{2066}', '\u{feff}', '\u{1b}'] {
        let text = format!("deploy{hidden}2");
        let body = json!({ "activity": "Linux admin", "resources": ["web1"], "notes": text, "ticket": text });
        assert_eq!(world.post(&alice, SESSIONS, body).await.wrong_fields(), ["/notes", "/ticket"], "{hidden:?}");
    }
    // Joiners are parts of words and of emoji.
    let body = json!({ "activity": "Linux admin", "resources": ["web1"], "notes": "\u{646}\u{200c}\u{647}" });
    world.post(&alice, SESSIONS, body).await.ok(201);
}
