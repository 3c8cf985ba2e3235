//! Why somebody may, or may not.

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::{As, PASSWORD, World};

async fn explained(world: &World, who: &As, query: &str) -> Value {
    world.get(who, &format!("/api/v1/explain?{query}")).await.ok(200)
}

/// The rules that do not hold, of all that is there or of one policy.
fn missing(of: &Value) -> Vec<&str> {
    let findings = of["findings"].as_array().expect("findings").iter();
    findings.filter(|one| one["holds"] == false).map(|one| one["rule"].as_str().expect("a rule")).collect()
}

/// Texts and remedies, each with what stands for its rule before it.
fn text(of: &Value, rule: &str) -> String {
    let findings = of["findings"].as_array().expect("findings").iter();
    let found = findings.filter(|one| one["rule"] == rule);
    found.map(|one| format!("{} {}", one["text"], one["remedy"])).collect()
}

#[tokio::test]
async fn a_yes_names_the_policy_and_the_way_and_a_no_what_would_change_it() {
    let world = World::start().await;
    world.guard_vault(1).await;
    world
        .apply(json!([
            { "kind": "Group", "name": "inner", "spec": { "members": ["bob"] } },
            { "kind": "Group", "name": "team", "spec": { "members": ["inner"] } },
            { "kind": "ResourceGroup", "name": "webs", "spec": { "match_labels": { "tier": "web" } } },
            { "kind": "AccessPolicy", "name": "by groups", "spec": { "groups": ["team"], "activities": ["Linux admin"],
                "resources": ["db1"], "resource_groups": ["webs"], "connection_profile": "guarded" } },
        ]))
        .await;
    let carol = world.token("carol").await;
    let of_alice = explained(&world, &carol, "user=alice&resource=web1").await;
    let activity = &of_alice["activities"][0];
    assert_eq!((&activity["activity"], &activity["allowed"]), (&json!("Linux admin"), &json!(true)), "{of_alice}");
    let policies = activity["policies"].as_array().expect("policies");
    let names: Vec<_> = policies.iter().map(|policy| policy["policy"].as_str().expect("a name")).collect();
    assert_eq!(names, ["by groups", "operators", "vault"]);
    assert_eq!(policies[1]["gives"], true);
    assert_eq!(missing(&policies[0]), ["user_named", "resource_named"]);
    assert!(text(&policies[0], "user_named").contains("Put the user into one of its groups (team)"), "{of_alice}");
    assert!(text(&policies[0], "resource_named").contains("(webs)"));

    // bob comes by a group in a group, and has to be approved.
    let of_bob = explained(&world, &carol, "user=bob&resource=db1&activity=linux_admin").await;
    let policy = &of_bob["activities"][0]["policies"][0];
    assert_eq!((&of_bob["activities"][0]["allowed"], &policy["gives"]), (&json!(true), &json!(true)), "{of_bob}");
    assert!(text(policy, "user_named").contains("team → inner → bob"), "{of_bob}");
    assert!(text(policy, "approval").contains("1 approval(s) by guards, erin"), "{of_bob}");
    // What the answer says is what a request hears.
    let bob = world.token("bob").await;
    world.request(&bob, &["db1"]).await;
    let refused = json!({ "activity": "Linux admin", "resources": ["web1"] });
    world.post(&bob, "/api/v1/sessions", refused).await.problem(422, "invalid-input");
    assert_eq!(explained(&world, &carol, "user=bob&resource=web1").await["activities"][0]["allowed"], false);
}

#[tokio::test]
async fn what_keeps_a_user_out_and_hours_and_accounts_are_told() {
    let world = World::start().await;
    let admin = As::Operator;
    let user = |spec: Value| json!([{ "kind": "User", "name": "alice", "spec": spec }]);
    for (spec, rule) in [
        (json!({ "disabled": true }), "user_disabled"),
        (json!({ "expires_at": "2020-01-01T00:00:00Z" }), "user_expired"),
        (json!({ "roles": ["auditor"] }), "may_request"),
    ] {
        world.apply(user(spec)).await;
        let answer = explained(&world, &admin, "user=alice&resource=web1").await;
        assert_eq!(missing(&answer), [rule], "{answer}");
        assert_eq!(answer["activities"][0]["allowed"], false);
    }
    world.apply(user(json!({}))).await;
    world.post(&admin, "/api/v1/locks", json!({ "user": "alice", "title": "Incident" })).await.ok(201);
    assert_eq!(missing(&explained(&world, &admin, "user=alice&resource=web1").await), ["user_locked"]);

    let schedule = json!({ "zone": "UTC", "windows": [{ "from": "03:00", "to": "04:00" }] });
    world
        .apply(json!([
            { "kind": "Activity", "name": "own", "spec": {
                "platform": "linux", "protocol": "ssh", "login_account": { "type": "requester" } } },
            { "kind": "AccessPolicy", "name": "night", "spec": { "users": ["bob"], "activities": ["own"],
                "resources": ["web1", "new1"], "connection_profile": "one-hour", "schedule": schedule } },
        ]))
        .await;
    let answer = explained(&world, &admin, "user=bob&resource=web1&activity=own").await;
    let own = &answer["activities"][0];
    assert_eq!((missing(own), missing(&own["policies"][0])), (vec!["account"], vec!["hours"]), "{answer}");
    assert!(text(own, "account").contains("has none on web1"), "{answer}");
    assert!(text(&own["policies"][0], "hours").contains("Ask for a start at"), "{answer}");
    let answer = explained(&world, &admin, "user=bob&resource=new1&activity=own").await;
    assert_eq!(missing(&answer["activities"][0]), ["host_key", "account"]);
    world.clock.advance(Duration::from_secs(19 * 3600 + 1800));
    let account = json!([{ "kind": "User", "name": "bob", "spec": { "accounts": { "web1": "bob" } } }]);
    world.apply(account).await;
    let answer = explained(&world, &admin, "user=bob&resource=web1&activity=own").await;
    assert_eq!(answer["activities"][0]["allowed"], true, "{answer}");
}

#[tokio::test]
async fn everybody_asks_for_themselves_and_learns_nothing_else() {
    let world = World::start().await;
    world.guard_vault(1).await;
    world.apply(json!([{ "kind": "User", "name": "alice", "spec": { "password": PASSWORD } }])).await;
    let alice = world.signed_in("alice").await;
    let answer = explained(&world, &alice, "resource=web1").await;
    assert_eq!((&answer["user"], &answer["activities"][0]["allowed"]), (&json!("alice"), &json!(true)));
    assert_eq!(answer["activities"][0]["policies"].as_array().map(Vec::len), Some(1), "{answer}");
    // What is there and what is not sound the same.
    let (there, not_there) =
        (explained(&world, &alice, "resource=new1").await, explained(&world, &alice, "resource=new2").await);
    assert_eq!(there.to_string().replace("new1", "new2"), not_there.to_string());
    assert_eq!(missing(&there), ["policy"]);
    for whom in ["bob", "nobody"] {
        let path = format!("/api/v1/explain?user={whom}&resource=web1");
        world.get(&alice, &path).await.problem(403, "not-allowed");
    }
    let wrong = world.get(&As::Operator, "/api/v1/explain?user=alice&resource=new2").await;
    assert_eq!(wrong.wrong_fields(), ["/resource"]);
    assert_eq!(world.get(&As::Operator, "/api/v1/explain?resource=web1").await.wrong_fields(), ["/user"]);
}
