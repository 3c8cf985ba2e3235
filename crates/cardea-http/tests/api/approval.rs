//! Approvals over HTTP: who decides, who sees it, and what is heard of it.

use cardea_testkit::Operation;
use serde_json::{Value, json};

use crate::world::{As, World};

const SESSIONS: &str = "/api/v1/sessions";

/// The ids that a list shows to somebody.
async fn listed(world: &World, who: &As, query: &str) -> Vec<String> {
    let page = world.get(who, &format!("{SESSIONS}?{query}")).await.ok(200);
    let items = page["items"].as_array().expect("items");
    items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
}

async fn decide(world: &World, who: &As, id: &str, what: &str, body: Value) -> crate::world::Answer {
    world.post(who, &format!("{SESSIONS}/{id}/{what}"), body).await
}

#[tokio::test]
async fn a_request_begins_when_its_quorum_has_approved_it_and_everybody_sees_who_did() {
    let world = World::start().await;
    world.guard_vault(2).await;
    let (alice, dave, erin) =
        (world.token("alice").await, world.signed_in("dave").await, world.signed_in("erin").await);
    let mut heard = world.listen(&dave, "/api/v1/events", None).await.expect("a stream");
    let id = world.request(&alice, &["vault1"]).await.remove(0);
    let waiting = world.get(&dave, &format!("{SESSIONS}/{id}")).await.ok(200);
    assert_eq!((&waiting["status"], &waiting["approvals_needed"]), (&json!("waiting_for_approval"), &json!(2)));
    assert_eq!(waiting["approve_by"], "2027-01-15T10:00:00.000000Z");
    assert_eq!((&waiting["actions"]["decide"], &waiting["actions"]["end"]), (&json!(true), &json!(false)));
    assert_eq!(heard.until("approval").await.json()["session"]["id"], json!(id));

    for who in [&dave, &erin] {
        assert_eq!(listed(&world, who, "view=approvals").await, std::slice::from_ref(&id));
        assert_eq!(listed(&world, who, "view=active").await, Vec::<String>::new(), "it is not theirs");
    }
    assert_eq!(listed(&world, &alice, "view=approvals").await, Vec::<String>::new(), "nobody approves their own");
    assert_eq!(listed(&world, &world.token("bob").await, "view=approvals").await, Vec::<String>::new());

    let first = decide(&world, &dave, &id, "approve", json!({ "reason": "known work" })).await.ok(200);
    assert_eq!((&first["status"], &first["actions"]["decide"]), (&json!("waiting_for_approval"), &json!(false)));
    let told = heard.until("approval").await.json();
    assert_eq!((&told["approval"]["approver"], &told["approval"]["reason"]), (&json!("dave"), &json!("known work")));
    decide(&world, &erin, &id, "approve", json!({ "reason": "so do I", "duration": "20m" })).await.ok(200);
    let told = heard.until("approval").await.json();
    assert_eq!((&told["approval"]["approver"], &told["session"]["status"]), (&json!("erin"), &json!("provisioning")));
    let session = world.until_status(&id, "available").await;
    assert_eq!((&session["duration"], &session["max_duration"]), (&json!("PT20M"), &json!("PT1H")));
    assert_eq!(session["end_at"], "2027-01-15T08:20:00.000000Z");
    let said: Vec<_> = session["approvals"].as_array().expect("approvals").iter().map(|one| &one["approver"]).collect();
    assert_eq!(json!(said), json!(["dave", "erin"]));
    let log = world.get(&dave, &format!("{SESSIONS}/{id}/log")).await.ok(200);
    assert!(log.to_string().contains("dave approved it: known work (1 of 2)"), "{log}");
}

#[tokio::test]
async fn nobody_decides_who_must_not_and_no_decision_is_without_a_reason() {
    let world = World::start().await;
    world.guard_vault(1).await;
    let (alice, token) = (world.token("alice").await, world.token("dave").await);
    let (dave, admin) = (world.signed_in("dave").await, world.signed_in("admin").await);
    let id = world.request(&alice, &["vault1"]).await.remove(0);
    let yes = json!({ "reason": "because" });
    for what in ["approve", "deny"] {
        // Alice is in the group of approvers, and it is her request.
        decide(&world, &alice, &id, what, yes.clone()).await.problem(403, "not-allowed");
        decide(&world, &token, &id, what, yes.clone()).await.problem(403, "not-allowed");
        decide(&world, &admin, &id, what, yes.clone()).await.problem(403, "not-allowed");
        decide(&world, &As::Operator, &id, what, yes.clone()).await.problem(403, "not-allowed");
        decide(&world, &world.token("bob").await, &id, what, yes.clone()).await.problem(404, "not-found");
        for reason in ["", "  ", "a\u{7}b"] {
            let refused = decide(&world, &dave, &id, what, json!({ "reason": reason })).await;
            assert_eq!(refused.wrong_fields(), ["/reason"]);
        }
    }
    for (condition, pointer) in [
        (json!({ "reason": "r", "duration": "61m" }), "/duration"),
        (json!({ "reason": "r", "start_at": "2027-01-15T07:59:59Z" }), "/start_at"),
        (json!({ "reason": "r", "start_at": "2028-02-01T00:00:00Z" }), "/start_at"),
    ] {
        assert_eq!(decide(&world, &dave, &id, "approve", condition).await.wrong_fields(), [pointer]);
    }
    // An approver sees it, and may do nothing else with it.
    decide(&world, &dave, &id, "end", json!({})).await.problem(403, "not-allowed");
    let denied = decide(&world, &dave, &id, "deny", json!({ "reason": "not today" })).await.ok(200);
    assert_eq!((&denied["status"], &denied["clean"]), (&json!("denied"), &json!(true)));
    assert_eq!(denied["reason"], json!({ "code": "denied", "detail": "Denied by dave: not today" }));
    // Each host is searched once at the start, whoever asks for what.
    let touched = world.hosts.calls().into_iter().filter(|call| call.operation != Operation::Marks);
    assert_eq!(touched.count(), 0, "no host was touched");
    assert_eq!(listed(&world, &dave, "view=approvals").await, Vec::<String>::new());
    assert_eq!(listed(&world, &alice, "view=history").await, [id]);
}

#[tokio::test]
async fn an_approver_puts_the_start_off_and_it_is_listed_as_scheduled() {
    let world = World::start().await;
    world.guard_vault(1).await;
    let (alice, erin) = (world.token("alice").await, world.signed_in("erin").await);
    let id = world.request(&alice, &["vault1"]).await.remove(0);
    let later = json!({ "reason": "after the change", "start_at": "2027-01-15T09:00:00Z" });
    let approved = decide(&world, &erin, &id, "approve", later).await.ok(200);
    assert_eq!(
        (&approved["status"], &approved["wanted_start_at"]),
        (&json!("scheduled"), &json!("2027-01-15T09:00:00.000000Z"))
    );
    assert_eq!(listed(&world, &alice, "view=scheduled").await, std::slice::from_ref(&id));
    assert_eq!(listed(&world, &alice, "view=active").await, Vec::<String>::new());
    world.clock.advance(std::time::Duration::from_secs(3600));
    world.app.nudge();
    let session = world.until_status(&id, "available").await;
    assert_eq!(session["start_at"], "2027-01-15T09:00:00.000000Z");
}
