//! The main job over HTTP: request, watch, end, see it gone.

use std::time::Duration;

use cardea_domain::ConnectorError;
use cardea_testkit::Operation;
use serde_json::{Map, Value, json};

use crate::world::{As, World};

fn ids(page: &Value) -> Vec<&str> {
    page["items"].as_array().expect("items").iter().map(|item| item["id"].as_str().expect("an id")).collect()
}

/// What may be done, when it is these.
pub(crate) fn actions(possible: &[&str]) -> Value {
    let all = ["decide", "dismiss", "end", "extend", "launch", "lock", "retry", "reveal_password", "unlock"];
    all.into_iter().map(|action| (action.to_owned(), json!(possible.contains(&action)))).collect::<Map<_, _>>().into()
}

#[tokio::test]
async fn a_session_is_requested_becomes_available_and_ends_without_a_trace() {
    let world = World::start().await;
    let alice = world.token("alice").await;
    let body = json!({ "activity": "linux_ADMIN", "resources": ["web1"], "notes": "disk full", "ticket": "T-1" });
    let created = world.post(&alice, "/api/v1/sessions", body).await.ok(201);
    let session = &created["items"][0];
    let id = session["id"].as_str().expect("an id");
    assert_eq!(created["request_id"], session["request_id"]);
    for (key, value) in [
        ("user", json!("alice")),
        ("activity", json!("Linux admin")),
        ("resource", json!("web1")),
        ("policy", json!("operators")),
        ("connection_profile", json!("one-hour")),
        ("notes", json!("disk full")),
        ("ticket", json!("T-1")),
        ("max_duration", json!("PT1H")),
        ("wanted_start_at", json!(null)),
        ("custom", json!({})),
        ("approvals", json!([])),
        ("listed", json!(true)),
        ("cleanup_stalled", json!(false)),
        ("actions", actions(&["end"])),
        ("duration", json!("PT1H")),
        ("extension", json!(null)),
        ("lock", json!(null)),
        ("approve_by", json!(null)),
        ("approvals_needed", json!(null)),
        ("end_warnings", json!(["PT10M", "PT1M"])),
    ] {
        assert_eq!(session[key], value, "{key}");
    }

    let available = world.until_status(id, "available").await;
    assert_eq!(available["requested_at"], "2027-01-15T08:00:00.000000Z");
    assert_eq!(available["end_at"], "2027-01-15T09:00:00.000000Z");
    let grants = available["grants"].as_array().expect("grants");
    let kinds: Vec<_> = grants.iter().map(|grant| (&grant["kind"], &grant["state"])).collect();
    assert_eq!(
        json!(kinds),
        json!([["dead_man", "placed"], ["account", "placed"], ["sudo_rule", "placed"], ["group_membership", "placed"]])
    );
    assert_eq!(grants[2]["description"], "sudo rule as root");
    let out = world.get(&alice, "/api/v1/grants?state=out").await.ok(200);
    assert_eq!(ids(&out).len(), 4);
    assert_eq!(out["items"][0]["session_status"], "available");
    assert_eq!(world.hosts.things().len(), 4);

    let ended = world.post(&alice, &format!("/api/v1/sessions/{id}/end"), json!({ "reason": "done" })).await.ok(200);
    assert_eq!((&ended["status"], &ended["closes_as"]), (&json!("canceling"), &json!("completed")));
    assert_eq!(ended["reason"], json!({ "code": "ended_by_user", "detail": "Ended by its user: done" }));
    let over = world.until_status(id, "completed").await;
    assert!(over["clean"] == true && over["actions"] == actions(&[]), "{over}");
    for grant in over["grants"].as_array().expect("grants") {
        assert!(grant["state"] == "removed" && grant["evidence"]["read_back"].is_string(), "{grant}");
    }
    assert_eq!(world.get(&alice, "/api/v1/grants?state=out").await.ok(200)["items"], json!([]));
    assert!(world.hosts.things().is_empty());
    world.post(&alice, &format!("/api/v1/sessions/{id}/end"), json!({})).await.problem(409, "already-ending");
    assert_eq!(ids(&world.get(&alice, "/api/v1/sessions").await.ok(200)), Vec::<&str>::new());
    assert_eq!(ids(&world.get(&alice, "/api/v1/sessions?view=history").await.ok(200)), [id]);
    let connections = world.get(&alice, &format!("/api/v1/sessions/{id}/connections")).await.ok(200);
    assert_eq!(connections["items"], json!([]));
}

#[tokio::test]
async fn progress_is_seen_while_a_session_is_made_ready() {
    let world = World::start().await;
    let alice = world.token("alice").await;
    let hold = world.hosts.hold(Operation::Place);
    let id = world.request(&alice, &["web1"]).await.remove(0);
    hold.reached(1).await;
    let session = world.until(&id, |session| session["progress"]["of"] == 4).await;
    assert_eq!(session["status"], "provisioning");
    assert!(session["progress"]["step"].as_u64().is_some_and(|step| (1..=4).contains(&step)), "{session}");
    drop(hold);
    assert_eq!(world.until_status(&id, "available").await["progress"], Value::Null);
}

#[tokio::test]
async fn a_failed_session_says_why_and_is_dismissed_when_it_is_clean() {
    let world = World::start().await;
    let alice = world.token("alice").await;
    world.hosts.fail_next(Operation::Observe, ConnectorError::LoginRefused("wrong key".to_owned()));
    let id = world.request(&alice, &["web1"]).await.remove(0);
    let failed = world.until(&id, |session| session["status"] == "failed" && session["clean"] == true).await;
    assert_eq!(failed["reason"]["code"], "login_refused");
    assert_eq!(failed["actions"], actions(&["dismiss", "retry"]));
    let dismissed = world.post(&alice, &format!("/api/v1/sessions/{id}/dismiss"), json!({})).await.ok(200);
    assert_eq!(dismissed["listed"], false);
    world.post(&alice, &format!("/api/v1/sessions/{id}/dismiss"), json!({})).await.problem(409, "not-dismissable");
}

#[tokio::test]
async fn one_refused_resource_refuses_the_whole_request() {
    let world = World::start().await;
    let alice = world.token("alice").await;
    let body = json!({ "activity": "Linux admin", "resources": ["web1", "new1", "nowhere"] });
    let refused = world.post(&alice, "/api/v1/sessions", body).await;
    assert_eq!(refused.wrong_fields(), ["/resources/1", "/resources/2"]);
    assert_eq!(world.get(&alice, "/api/v1/sessions").await.ok(200)["items"], json!([]));
}

#[tokio::test]
async fn of_several_policies_one_must_be_named() {
    let world = World::start().await;
    world
        .apply(json!([{ "kind": "AccessPolicy", "name": "night shift", "spec": {
            "users": ["alice"], "activities": ["Linux admin"], "resources": ["web1"], "connection_profile": "one-hour",
        } }]))
        .await;
    let alice = world.token("alice").await;
    let mut body = json!({ "activity": "Linux admin", "resources": ["web1"] });
    let unclear = world.post(&alice, "/api/v1/sessions", body.clone()).await;
    assert_eq!(unclear.wrong_fields(), ["/policy"]);
    assert!(unclear.text.contains("night shift") && unclear.text.contains("operators"), "{}", unclear.text);
    body["policy"] = json!("Night_Shift");
    assert_eq!(world.post(&alice, "/api/v1/sessions", body).await.ok(201)["items"][0]["policy"], "night shift");

    let mine = world.get(&alice, "/api/v1/my/activities").await.ok(200);
    let activity = &mine["items"][0];
    assert_eq!(activity["actions"], json!(["sudo rule as root", "membership of group adm"]));
    let ways: Vec<_> =
        activity["ways"].as_array().expect("ways").iter().map(|way| (&way["resource"], &way["policy"])).collect();
    assert_eq!(json!(ways), json!([["db1", "operators"], ["web1", "night shift"], ["web1", "operators"]]));
}

#[tokio::test]
async fn several_sessions_end_together_each_with_its_own_outcome() {
    let world = World::start().await;
    let alice = world.token("alice").await;
    let sessions = world.request(&alice, &["web1", "db1"]).await;
    world.post(&alice, &format!("/api/v1/sessions/{}/end", sessions[0]), json!({})).await.ok(200);
    let ids = json!([sessions[0], sessions[1], "ses_nonsense", "ses_00000000000000000000000000"]);
    let ended = world.post(&alice, "/api/v1/sessions/end", json!({ "ids": ids, "reason": "all" })).await.ok(200);
    let items = ended["items"].as_array().expect("items");
    assert_eq!(json!(items.iter().map(|item| &item["id"]).collect::<Vec<_>>()), ids);
    assert_eq!(items[0]["problem"]["type"], "/problems/already-ending");
    assert_eq!(items[1]["session"]["status"], "canceling");
    assert!(items[2..].iter().all(|item| item["problem"]["type"] == "/problems/not-found"), "{ended}");
    for id in sessions {
        world.until(&id, |session| session["clean"] == true).await;
    }
}

#[tokio::test]
async fn lists_are_filtered_sorted_and_read_page_by_page() {
    let world = World::start().await;
    let (alice, carol) = (world.token("alice").await, world.token("carol").await);
    for resource in ["web1", "db1", "web1", "db1", "web1"] {
        let id = world.request(&alice, &[resource]).await.remove(0);
        world.until_status(&id, "available").await;
        world.clock.advance(Duration::from_secs(1));
    }
    let all = world.get(&carol, "/api/v1/sessions?sort=requested_at").await.ok(200);
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/sessions?sort=requested_at&limit=2{cursor}");
        let page = world.get(&carol, &path).await.ok(200);
        assert!(ids(&page).len() <= 2);
        paged.extend(ids(&page).into_iter().map(ToOwned::to_owned));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(paged, ids(&all));
    assert_eq!(paged.len(), 5);
    let newest_first = world.get(&carol, "/api/v1/sessions").await.ok(200);
    assert!(ids(&newest_first).iter().rev().eq(ids(&all).iter()));
    for (query, count) in [
        ("resource=WEB", 3),
        ("q=Db1", 2),
        ("status=available", 5),
        ("status=failed,completed", 0),
        ("scope=mine", 0),
        ("view=history", 0),
        ("q=LINUX%20adm&resource=db1&status=available", 2),
    ] {
        let page = world.get(&carol, &format!("/api/v1/sessions?{query}")).await.ok(200);
        assert_eq!(ids(&page).len(), count, "{query}");
    }
    assert_eq!(ids(&world.get(&alice, "/api/v1/sessions?scope=mine").await.ok(200)).len(), 5);
}

#[tokio::test]
async fn an_administrator_ends_the_session_of_another() {
    let world = World::start().await;
    let alice = world.token("alice").await;
    let id = world.request(&alice, &["web1"]).await.remove(0);
    world.until_status(&id, "available").await;
    world.clock.advance(Duration::from_secs(60));
    let admin = world.token("admin").await;
    // No body at all is fine too.
    let ended = world.send(&admin, "POST", &format!("/api/v1/sessions/{id}/end"), None).await.ok(200);
    assert_eq!(ended["reason"]["code"], "ended_by_administrator");
    world.until_status(&id, "canceled").await;
    assert_eq!(world.get(&As::Operator, "/api/v1/sessions").await.ok(200)["items"], json!([]));
}
