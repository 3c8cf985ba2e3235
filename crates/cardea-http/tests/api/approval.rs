//! Approvals over HTTP: who decides, who sees it, and what is heard of it.

use std::time::Duration;

use cardea_domain::ConnectorError;
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
    world.clock.advance(Duration::from_secs(3600));
    world.app.nudge();
    let session = world.until_status(&id, "available").await;
    assert_eq!(session["start_at"], "2027-01-15T09:00:00.000000Z");
}

/// Two tiers: of the group `guards` (dave and erin) two, then the manager of whoever requests, or frank after ten minutes.
async fn with_tiers(world: &World) {
    world.guard_vault(1).await;
    let user = |name: &str, more: Value| {
        let mut spec = json!({ "password": crate::world::PASSWORD });
        spec.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
        json!({ "kind": "User", "name": name, "spec": spec })
    };
    world
        .apply(json!([
            user("frank", json!({})),
            user("grace", json!({})),
            user("alice", json!({ "manager": "grace" })),
            { "kind": "Group", "name": "guards", "spec": { "members": ["dave", "erin", "alice"] } },
            { "kind": "ConnectionProfile", "name": "guarded", "spec": { "max_duration": "1h", "approval": { "tiers": [
                { "approvers": ["guards"], "quorum": 2 },
                { "approvers": ["+manager"], "escalation": { "after": "10m", "to": ["frank", "dave"] } },
            ], "window": "2h" } } },
        ]))
        .await;
}

async fn yes(world: &World, who: &As, id: &str) -> crate::world::Answer {
    decide(world, who, id, "approve", json!({ "reason": "fine" })).await
}

fn names(value: &Value) -> Vec<&str> {
    value.as_array().expect("a list").iter().map(|name| name.as_str().expect("a name")).collect()
}

#[tokio::test]
async fn tiers_decide_one_after_the_other_and_nobody_in_two_of_them() {
    let world = World::start().await;
    with_tiers(&world).await;
    let alice = world.signed_in("alice").await;
    let (dave, erin) = (world.signed_in("dave").await, world.signed_in("erin").await);
    let (frank, grace) = (world.signed_in("frank").await, world.signed_in("grace").await);
    let id = world.request(&alice, &["vault1"]).await.remove(0);
    let waiting = world.get(&grace, &format!("{SESSIONS}/{id}")).await.ok(200);
    assert_eq!((&waiting["tier"], &waiting["approvals_needed"]), (&json!(1), &json!(3)));
    assert_eq!(names(&waiting["deciders"]), ["dave", "erin"], "not alice, whose request it is");
    assert_eq!(waiting["actions"]["decide"], json!(false));
    assert_eq!(waiting["tiers"][1]["approvers"], json!(["+manager"]));
    for what in ["approve", "deny"] {
        decide(&world, &grace, &id, what, json!({ "reason": "early" })).await.problem(409, "not-your-turn");
        decide(&world, &alice, &id, what, json!({ "reason": "mine" })).await.problem(403, "not-allowed");
    }
    yes(&world, &dave, &id).await.ok(200);
    yes(&world, &dave, &id).await.problem(409, "approved-already");
    let next = yes(&world, &erin, &id).await.ok(200);
    assert_eq!((&next["tier"], names(&next["deciders"])), (&json!(2), vec!["grace"]));
    // Grace lets ten minutes pass; those who voted before do not count again.
    yes(&world, &frank, &id).await.problem(409, "not-your-turn");
    world.clock.advance(Duration::from_secs(600));
    world.app.nudge();
    let late = world.until(&id, |session| session["tiers"][1]["is_escalated"] == true).await;
    assert_eq!(names(&late["deciders"]), ["frank", "grace"]);
    yes(&world, &dave, &id).await.problem(409, "approved-already");
    yes(&world, &frank, &id).await.ok(200);
    let session = world.until_status(&id, "available").await;
    for vote in session["approvals"].as_array().expect("approvals") {
        assert_eq!(vote["tier"], json!(if vote["approver"] == "frank" { 2 } else { 1 }), "{vote}");
    }
}

#[tokio::test]
async fn votes_of_those_who_lost_their_say_fall_and_who_came_later_has_none() {
    let world = World::start().await;
    with_tiers(&world).await;
    let alice = world.signed_in("alice").await;
    let (dave, erin) = (world.signed_in("dave").await, world.signed_in("erin").await);
    let (frank, grace) = (world.signed_in("frank").await, world.signed_in("grace").await);
    let body = json!({ "activity": "Linux admin", "resources": ["vault1"], "start_at": "2027-01-15T09:00:00Z" });
    let created = world.post(&alice, SESSIONS, body).await.ok(201);
    let id = created["items"][0]["id"].as_str().expect("an id").to_owned();
    for who in [&dave, &erin, &grace] {
        yes(&world, who, &id).await.ok(200);
    }
    world.until_status(&id, "scheduled").await;
    // Erin leaves the group, and frank joins it: her vote falls, and he was not asked.
    let guards = |members: Value| json!([{ "kind": "Group", "name": "guards", "spec": { "members": members } }]);
    world.apply(guards(json!(["dave", "alice", "frank"]))).await;
    let waits = world.until_status(&id, "waiting_for_approval").await;
    assert_eq!((&waits["tier"], names(&waits["deciders"])), (&json!(1), vec![]));
    assert_eq!(waits["approve_by"], "2027-01-15T10:00:00.000000Z");
    for vote in waits["approvals"].as_array().expect("approvals") {
        assert_eq!(vote["is_current"], json!(vote["approver"] != "erin"), "{vote}");
    }
    yes(&world, &frank, &id).await.problem(409, "not-your-turn");
    yes(&world, &erin, &id).await.problem(404, "not-found");
    // She comes back, and has to say it anew.
    world.apply(guards(json!(["dave", "erin", "alice"]))).await;
    yes(&world, &dave, &id).await.problem(409, "approved-already");
    let again = yes(&world, &erin, &id).await.ok(200);
    assert_eq!(again["status"], "scheduled", "grace had said yes");
    let log = world.get(&alice, &format!("{SESSIONS}/{id}/log")).await.ok(200);
    assert!(log.to_string().contains("erin may not approve it any more: it waits for tier 1 again"), "{log}");
}

#[tokio::test]
async fn who_changed_the_rules_of_a_request_of_their_own_is_told_of() {
    let world = World::start().await;
    world.guard_vault(1).await;
    world
        .apply(json!([{ "kind": "User", "name": "alice", "spec": {
            "password": crate::world::PASSWORD, "roles": ["user", "administrator"] } }]))
        .await;
    let alice = world.signed_in("alice").await;
    let ask = async || {
        let body = json!({ "activity": "Linux admin", "resources": ["vault1"] });
        world.post(&alice, SESSIONS, body).await.ok(201)["items"][0].clone()
    };
    assert_eq!(ask().await["own_changes"], json!([]));
    let group = |name: &str, members: Value| json!([{ "kind": "Group", "name": name, "spec": { "members": members } }]);
    world.post(&alice, "/api/v1/apply", json!({ "documents": group("others", json!(["dave"])) })).await.ok(200);
    assert_eq!(ask().await["own_changes"], json!([]), "that has no say in it");
    let now = world.app.now().to_string();
    world.post(&alice, "/api/v1/apply", json!({ "documents": group("guards", json!(["dave", "bob"])) })).await.ok(200);
    let session = ask().await;
    assert_eq!(session["own_changes"], json!([{ "kind": "Group", "name": "guards", "at": now }]));
    let id = session["id"].as_str().expect("an id");
    let seen = world.get(&world.signed_in("dave").await, &format!("{SESSIONS}/{id}")).await.ok(200);
    assert_eq!(seen["own_changes"][0]["name"], "guards");
    world.clock.advance(Duration::from_secs(7 * 86_400 + 1));
    let alice = world.signed_in("alice").await;
    let body = json!({ "activity": "Linux admin", "resources": ["vault1"] });
    assert_eq!(world.post(&alice, SESSIONS, body).await.ok(201)["items"][0]["own_changes"], json!([]));
}

#[tokio::test]
async fn the_vote_of_who_is_locked_as_a_whole_falls() {
    let world = World::start().await;
    with_tiers(&world).await;
    let alice = world.signed_in("alice").await;
    let body = json!({ "activity": "Linux admin", "resources": ["vault1"], "start_at": "2027-01-15T09:00:00Z" });
    let created = world.post(&alice, SESSIONS, body).await.ok(201);
    let id = created["items"][0]["id"].as_str().expect("an id").to_owned();
    for name in ["dave", "erin", "grace"] {
        yes(&world, &world.signed_in(name).await, &id).await.ok(200);
    }
    world.until_status(&id, "scheduled").await;
    let lock = json!({ "user": "erin", "title": "Incident 12" });
    world.post(&world.signed_in("admin").await, "/api/v1/locks", lock).await.ok(201);
    let waits = world.until_status(&id, "waiting_for_approval").await;
    let current = |who: &str| {
        let votes = waits["approvals"].as_array().expect("approvals");
        votes.iter().find(|vote| vote["approver"] == who).map(|vote| vote["is_current"].clone())
    };
    assert_eq!((current("erin"), current("dave")), (Some(json!(false)), Some(json!(true))), "{waits:#}");
    assert_eq!(waits["tier"], 1);
}

#[tokio::test]
async fn a_yes_holds_for_a_retry_no_longer_than_a_request_waits_for_one() {
    let world = World::start().await;
    world.guard_vault(1).await;
    let approval = json!({ "window": "30m", "tiers": [{ "approvers": ["guards", "erin"] }] });
    let spec = json!({ "max_duration": "1h", "approval": approval });
    world.apply(json!([{ "kind": "ConnectionProfile", "name": "guarded", "spec": spec }])).await;
    let (alice, dave) = (world.token("alice").await, world.signed_in("dave").await);
    let id = world.request(&alice, &["vault1"]).await.remove(0);
    let fail = || world.hosts.fail_next(Operation::Observe, ConnectorError::LoginRefused("wrong key".to_owned()));
    fail();
    yes(&world, &dave, &id).await.ok(200);
    let retry = format!("{SESSIONS}/{id}/retry");
    let failed = |session: &Value| session["status"] == "failed" && session["clean"] == true;
    world.until(&id, failed).await;
    fail();
    let soon = world.post(&alice, &retry, json!({})).await.ok(200);
    assert_eq!(soon["status"], "provisioning");
    world.until(&id, failed).await;
    world.clock.advance(Duration::from_secs(30 * 60));
    let late = world.post(&world.token("alice").await, &retry, json!({})).await.ok(200);
    assert_eq!((&late["status"], &late["approvals"][0]["is_current"]), (&json!("waiting_for_approval"), &json!(false)));
    let again = yes(&world, &world.signed_in("dave").await, &id).await.ok(200);
    assert_eq!(again["status"], "provisioning");
}

#[tokio::test]
async fn a_running_session_ends_or_stays_when_its_approval_falls_as_its_profile_says() {
    let world = World::start().await;
    for (kept, status) in [(false, "canceled"), (true, "available")] {
        world.guard_vault(1).await;
        let rule = if kept { "keep" } else { "end" };
        world
            .apply(json!([{ "kind": "ConnectionProfile", "name": "guarded", "spec": { "max_duration": "1h",
                "on_policy_change": rule,
                "approval": { "tiers": [{ "approvers": ["guards", "erin"] }] } } }]))
            .await;
        let (alice, dave) = (world.token("alice").await, world.signed_in("dave").await);
        let id = world.request(&alice, &["vault1"]).await.remove(0);
        yes(&world, &dave, &id).await.ok(200);
        world.until_status(&id, "available").await;
        world
            .apply(json!([{ "kind": "User", "name": "dave", "spec": { "password": crate::world::PASSWORD, "disabled": true } }]))
            .await;
        // Judged in the same round as this one, which loses its ground in any case.
        let session = if kept {
            world.get(&As::Operator, &format!("{SESSIONS}/{id}")).await.ok(200)
        } else {
            world.until_status(&id, status).await
        };
        assert_eq!(session["status"], status, "{session:#}");
        if !kept {
            assert!(
                session["reason"]["detail"]
                    .as_str()
                    .expect("a sentence")
                    .starts_with("dave may not approve it any more")
            );
        }
    }
}

#[tokio::test]
async fn a_request_that_nobody_could_approve_is_refused_and_its_user_can_take_one_back() {
    let world = World::start().await;
    with_tiers(&world).await;
    let approval = json!({ "tiers": [{ "approvers": ["guards"] }, { "approvers": ["+manager"] }] });
    world
        .apply(json!([
            { "kind": "User", "name": "alice", "spec": { "password": crate::world::PASSWORD } },
            { "kind": "ConnectionProfile", "name": "guarded", "spec": { "max_duration": "1h", "approval": approval } },
        ]))
        .await;
    let alice = world.signed_in("alice").await;
    let body = json!({ "activity": "Linux admin", "resources": ["vault1"] });
    let refused = world.post(&alice, SESSIONS, body).await;
    assert_eq!(refused.wrong_fields(), ["/resources"]);
    assert!(refused.text.contains("tier 2 of the profile guarded"), "{}", refused.text);
    // A manager of oneself is none.
    for manager in ["alice", "grace"] {
        let spec = json!({ "password": crate::world::PASSWORD, "manager": manager });
        world.apply(json!([{ "kind": "User", "name": "alice", "spec": spec }])).await;
        if manager == "alice" {
            let body = json!({ "activity": "Linux admin", "resources": ["vault1"] });
            assert_eq!(world.post(&alice, SESSIONS, body).await.wrong_fields(), ["/resources"]);
        }
    }
    let id = world.request(&alice, &["vault1"]).await.remove(0);
    let dave = world.signed_in("dave").await;
    yes(&world, &dave, &id).await.ok(200);
    let ended = decide(&world, &alice, &id, "end", json!({ "reason": "not needed" })).await.ok(200);
    assert_eq!((&ended["status"], &ended["clean"], &ended["tier"]), (&json!("canceled"), &json!(true), &Value::Null));
    yes(&world, &dave, &id).await.problem(409, "not-waiting");
}

#[tokio::test]
async fn several_are_decided_about_at_once_and_each_has_its_own_outcome() {
    let world = World::start().await;
    world.guard_vault(1).await;
    let (alice, dave) = (world.token("alice").await, world.signed_in("dave").await);
    let mut ids = world.request(&alice, &["vault1"]).await;
    ids.extend(world.request(&alice, &["vault1"]).await);
    ids.push("ses_nonsense".to_owned());
    let twice = json!({ "ids": [ids[0], ids[1], ids[0]], "reason": "one change for all" });
    assert_eq!(world.post(&dave, &format!("{SESSIONS}/deny"), twice).await.wrong_fields(), ["/ids/2"]);
    let all = json!({ "ids": ids, "reason": "one change for all" });
    let decided = world.post(&dave, &format!("{SESSIONS}/deny"), all).await.ok(200);
    let items = decided["items"].as_array().expect("items");
    let told: Vec<_> =
        items.iter().map(|item| item["session"]["status"].as_str().or(item["problem"]["type"].as_str())).collect();
    assert_eq!(told, [Some("denied"), Some("denied"), Some("/problems/not-found")], "in the order of the ids");
    let again = json!({ "ids": [ids[0]], "reason": "once more" });
    let decided = world.post(&dave, &format!("{SESSIONS}/deny"), again).await.ok(200);
    assert_eq!(decided["items"][0]["problem"]["type"], "/problems/not-waiting");
    let id = world.request(&alice, &["vault1"]).await;
    let one = json!({ "ids": id, "reason": "known work" });
    let decided = world.post(&dave, &format!("{SESSIONS}/approve"), one).await.ok(200);
    assert_eq!(decided["items"][0]["session"]["status"], "provisioning");
    let nothing = world.post(&dave, &format!("{SESSIONS}/approve"), json!({ "ids": [], "reason": "r" })).await;
    assert_eq!(nothing.wrong_fields(), ["/ids"]);
    let unsaid = world.post(&dave, &format!("{SESSIONS}/approve"), json!({ "ids": ids, "reason": " " })).await.ok(200);
    assert_eq!(unsaid["items"][0]["problem"]["fields"][0]["pointer"], "/reason");
}

#[tokio::test]
async fn an_extension_waits_for_approval_where_the_profile_says_so() {
    let world = World::start().await;
    world.guard_vault(1).await;
    let approval = json!({ "tiers": [{ "approvers": ["guards", "erin"] }] });
    world
        .apply(json!([{ "kind": "ConnectionProfile", "name": "guarded", "spec": { "max_duration": "1h", "approval": approval,
            "extension": { "by": "30m", "limit": 2, "approval": true } } }]))
        .await;
    let (alice, dave) = (world.token("alice").await, world.signed_in("dave").await);
    let id = world.request(&alice, &["vault1"]).await.remove(0);
    yes(&world, &dave, &id).await.ok(200);
    let end = world.until_status(&id, "available").await["end_at"].clone();
    // Asked for, denied; asked for again, approved.
    for is_denied in [true, false] {
        let asked = world.post(&alice, &format!("{SESSIONS}/{id}/extend"), json!({ "minutes": 20 })).await.ok(200);
        assert_eq!((&asked["end_at"], &asked["wish"]["by"]), (&end, &json!("PT20M")));
        assert_eq!(names(&asked["deciders"]), ["dave", "erin"]);
        let twice = world.post(&alice, &format!("{SESSIONS}/{id}/extend"), json!({})).await;
        twice.problem(409, "extension-waits");
        decide(&world, &alice, &id, "approve", json!({ "reason": "mine" })).await.problem(403, "not-allowed");
        assert_eq!(listed(&world, &dave, "view=approvals").await, std::slice::from_ref(&id));
        if is_denied {
            let denied = decide(&world, &dave, &id, "deny", json!({ "reason": "enough" })).await.ok(200);
            assert_eq!(
                (&denied["status"], &denied["end_at"], &denied["wish"]),
                (&json!("available"), &end, &Value::Null)
            );
            assert_eq!(listed(&world, &dave, "view=approvals").await, Vec::<String>::new());
        } else {
            let shorter = decide(&world, &dave, &id, "approve", json!({ "reason": "r", "duration": "1m" })).await;
            assert_eq!(shorter.wrong_fields(), ["/duration"]);
            yes(&world, &dave, &id).await.ok(200);
        }
    }
    let longer = world.until(&id, |session| session["end_at"] != end).await;
    assert_eq!((&longer["end_at"], &longer["wish"]), (&json!("2027-01-15T09:20:00.000000Z"), &Value::Null));
    // Nobody answers: it ends as planned.
    world.post(&alice, &format!("{SESSIONS}/{id}/extend"), json!({})).await.ok(200);
    world.clock.advance(Duration::from_secs(80 * 60));
    world.app.nudge();
    world.until_status(&id, "completed").await;
}
