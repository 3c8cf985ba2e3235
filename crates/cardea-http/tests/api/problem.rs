//! Every kind of problem: produced, documented, explained by a page.

use axum::{body::Body, http::Request};
use cardea_domain::{Actor, Clock as _, ConnectorError, Kind, Permit, Verb};
use cardea_store::StandingLock;
use cardea_testkit::Operation;
use serde_json::{Value, json};

use crate::{
    directory, factor, openid,
    world::{Answer, As, PASSWORD, PATIENCE, World},
};

/// Every kind that the document names.
fn documented() -> Vec<String> {
    let document = cardea_http::openapi();
    let kinds = document["components"]["schemas"]["Problem"]["properties"]["type"]["enum"].as_array().cloned();
    let slug = |kind: &Value| kind.as_str().and_then(|text| text.strip_prefix("/problems/")).map(ToOwned::to_owned);
    kinds.expect("kinds").iter().map(|kind| slug(kind).expect("a slug")).collect()
}

#[tokio::test]
async fn every_kind_has_a_page_that_says_what_to_do() {
    let world = World::start().await;
    for slug in documented() {
        let page = world.get(&As::Nobody, &format!("/problems/{slug}")).await;
        assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/html; charset=utf-8"), "{slug}");
        assert!(page.text.contains(&slug) && page.text.contains("<h1>"), "{}", page.text);
    }
}

#[tokio::test]
async fn every_kind_is_produced() {
    let world = World::start().await;
    for slug in documented() {
        let produced = tokio::time::timeout(PATIENCE, produce(&world, &slug)).await;
        let answer = produced.unwrap_or_else(|_| panic!("`{slug}` did not come in time"));
        let status = answer.status.as_u16();
        answer.problem(status, &slug);
        let page = world.get(&As::Nobody, &format!("/problems/{slug}")).await;
        assert!(page.text.contains(&format!("HTTP status {status}")), "{slug}: {status}");
        // What faults inside say stays inside.
        assert!(status < 500 || !answer.text.to_lowercase().contains("pool"), "{}", answer.text);
    }
}

/// Makes the server answer with this problem. The last two in the document break the store, so they come last.
async fn produce(world: &World, slug: &str) -> Answer {
    let operator = &As::Operator;
    let delete = async |path: &str| world.send(operator, "DELETE", path, None).await;
    let sign_in = json!({ "user": "admin", "password": "wrong" });
    match slug {
        "approved-already" | "changed-since-request" | "not-waiting" | "not-your-turn" => decide(world, slug).await,
        "already-ending" => end_twice(world).await,
        "directory-away" | "directory-fault" | "directory-password" | "sync-held" => {
            directory::produce(world, slug).await
        }
        "not-let-in" | "provider-away" | "provider-fault" | "provider-says-no" | "trip-over" => {
            openid::produce(world, slug).await
        }
        "already-locked" | "locked-as-a-whole" | "not-lockable" | "not-locked" | "not-removing" | "own-lock" => {
            hold(world, slug).await
        }
        "beyond-hours"
        | "extension-not-allowed"
        | "extension-too-long"
        | "extension-used-up"
        | "extension-waits"
        | "ground-lost"
        | "not-extendable" => extend(world, slug).await,
        "changed-meanwhile" => {
            world.send(operator, "PUT", "/api/v1/users/bob", Some(json!({ "spec": {}, "version": 99 }))).await
        }
        "enrolment-needed" | "factor-needed" | "factor-required" | "mfa-required" | "no-enrolment" | "no-factor"
        | "no-passkeys" | "no-sign-in" | "wrong-factor" => factor::produce(world, slug).await,
        "foreign-origin" => {
            let who = As::Cookie(world.cookie().await, Some("https://evil.example.com"));
            world.post(&who, "/api/v1/sign-out", json!({})).await
        }
        "host-key-pinned" => world.post(operator, "/api/v1/resources/web1/host-key", json!({})).await,
        "in-use" => delete("/api/v1/resources/web1").await,
        "internal" | "unavailable" => {
            world.store.close().await;
            let path = if slug == "internal" { "/api/v1/sessions" } else { "/readyz" };
            world.get(operator, path).await
        }
        "invalid-input" => world.get(operator, "/api/v1/sessions?limit=0").await,
        "key-used" => use_a_key_twice(world).await,
        "last-administrator" => delete("/api/v1/users/admin").await,
        "locked" => request_while_locked(world).await,
        "name-taken" => world.post(operator, "/api/v1/users", json!({ "name": "Alice", "spec": {} })).await,
        "no-answer" => host_key(world, ConnectorError::Unknown("half-way".to_owned())).await,
        "no-password" => {
            world.apply(json!([{ "kind": "User", "name": "alice", "spec": { "password": PASSWORD } }])).await;
            let alice = world.signed_in("alice").await;
            let id = world.request(&alice, &["web1"]).await.remove(0);
            world.until_status(&id, "available").await;
            world.post(&alice, &format!("/api/v1/sessions/{id}/password"), json!({})).await
        }
        "not-allowed" => delete_as_auditor(world).await,
        "not-clean" => dismiss_too_early(world).await,
        "not-dismissable" => {
            let alice = world.token("alice").await;
            let id = world.request(&alice, &["web1"]).await.remove(0);
            world.post(&alice, &format!("/api/v1/sessions/{id}/dismiss"), json!({})).await
        }
        "not-found" => world.get(operator, "/api/v1/users/nobody").await,
        "not-retryable" => {
            let alice = world.token("alice").await;
            let id = world.request(&alice, &["web1"]).await.remove(0);
            world.post(&alice, &format!("/api/v1/sessions/{id}/retry"), json!({})).await
        }
        "not-signed-in" => world.get(&As::Nobody, "/api/v1/me").await,
        "not-offered" | "outside-hours" => retry_too_late(world, slug).await,
        "refused" => host_key(world, ConnectorError::Tampered("unheard of".to_owned())).await,
        "target-refused" => host_key(world, ConnectorError::Refused("no".to_owned())).await,
        "too-large" => large(world).await,
        "too-many-attempts" => {
            let mut last = world.post(&As::Nobody, "/api/v1/sign-in", sign_in.clone()).await;
            for _ in 0..10 {
                last = world.post(&As::Nobody, "/api/v1/sign-in", sign_in.clone()).await;
            }
            last
        }
        "too-many-streams" => {
            let mut open = Vec::new();
            loop {
                match world.listen(operator, "/api/v1/events", None).await {
                    Ok(stream) => open.push(stream),
                    Err(answer) => return answer,
                }
            }
        }
        "uid-range-used-up" => use_up_the_range(world).await,
        "unreachable" => host_key(world, ConnectorError::Unreachable("no route".to_owned())).await,
        "wrong-credentials" => world.post(&As::Nobody, "/api/v1/sign-in", sign_in).await,
        "wrong-media-type" => world.send(operator, "POST", "/api/v1/users", None).await,
        "wrong-method" => world.send(operator, "PUT", "/api/v1/me", None).await,
        other => panic!("`{other}` is documented, but nothing here produces it"),
    }
}

/// Locks, unlocks and tries again in ways that are not possible.
async fn hold(world: &World, slug: &str) -> Answer {
    let alice = world.token("alice").await;
    let id = world.request(&alice, &["web1"]).await.remove(0);
    world.until_status(&id, "available").await;
    let operator = &As::Operator;
    let act =
        async |what: &str, body: Value| world.post(operator, &format!("/api/v1/sessions/{id}/{what}"), body).await;
    let stop = json!({ "title": "stop" });
    match slug {
        "already-locked" => {
            act("lock", stop.clone()).await.ok(200);
            act("lock", stop).await
        }
        "locked-as-a-whole" => {
            act("lock", json!({ "title": "stop", "scope": "resource" })).await.ok(200);
            let answer = act("unlock", json!({})).await;
            let locks = world.get(operator, "/api/v1/locks").await.ok(200);
            let lock = locks["items"][0]["id"].as_str().expect("a lock").to_owned();
            let gone = world.send(operator, "DELETE", &format!("/api/v1/locks/{lock}"), None).await;
            assert_eq!(gone.status.as_u16(), 204);
            answer
        }
        "not-lockable" => {
            act("end", json!({})).await.ok(200);
            act("lock", stop).await
        }
        "not-locked" => act("unlock", json!({})).await,
        "not-removing" => {
            let session = world.get(operator, &format!("/api/v1/sessions/{id}")).await.ok(200);
            let grant = session["grants"][0]["id"].as_str().expect("a grant").to_owned();
            world.post(operator, &format!("/api/v1/grants/{grant}/try-now"), json!({})).await
        }
        _ => {
            world
                .post(&world.signed_in("admin").await, "/api/v1/locks", json!({ "user": "admin", "title": "stop" }))
                .await
        }
    }
}

/// Extends a session in ways that are not allowed.
async fn extend(world: &World, slug: &str) -> Answer {
    let keep = json!({ "max_duration": "1h", "on_policy_change": "keep", "extension": { "by": "30m", "limit": 1 } });
    let asked = json!({ "max_duration": "1h", "approval": { "tiers": [{ "approvers": ["admin"] }] },
        "extension": { "by": "30m", "limit": 1, "approval": true } });
    let profile = match slug {
        "extension-not-allowed" => json!({ "max_duration": "1h" }),
        "extension-waits" => asked,
        _ => keep,
    };
    let policy = |user: &str, to: &str| {
        json!([
            { "kind": "Resource", "name": "new3", "spec": { "platform": "linux", "address": "new3.example.com",
                "service_account": "svc", "host_key": cardea_testkit::FakeConnector::HOST_KEY } },
            { "kind": "ConnectionProfile", "name": "longer", "spec": profile },
            { "kind": "AccessPolicy", "name": "longer", "spec": { "users": [user], "activities": ["Linux admin"],
                "resources": ["new3"], "connection_profile": "longer",
                "schedule": { "zone": "UTC", "windows": [{ "from": "00:00", "to": to }] } } },
        ])
    };
    // The clock stands at eight: an hour later is nine.
    world.apply(policy("alice", if slug == "beyond-hours" { "09:10" } else { "24:00" })).await;
    let alice = world.token("alice").await;
    let id = world.request(&alice, &["new3"]).await.remove(0);
    if slug == "extension-waits" {
        let yes = json!({ "reason": "known work" });
        world.post(&world.signed_in("admin").await, &format!("/api/v1/sessions/{id}/approve"), yes).await.ok(200);
    }
    world.until_status(&id, "available").await;
    let extend = async |body: Value| world.post(&alice, &format!("/api/v1/sessions/{id}/extend"), body).await;
    match slug {
        "extension-too-long" => extend(json!({ "minutes": 31 })).await,
        "extension-used-up" | "extension-waits" => {
            extend(json!({})).await.ok(200);
            extend(json!({})).await
        }
        "ground-lost" => {
            world.apply(policy("bob", "24:00")).await;
            extend(json!({})).await
        }
        "not-extendable" => {
            world.post(&alice, &format!("/api/v1/sessions/{id}/end"), json!({})).await.ok(200);
            extend(json!({})).await
        }
        _ => extend(json!({})).await,
    }
}

async fn end_twice(world: &World) -> Answer {
    let alice = world.token("alice").await;
    let id = world.request(&alice, &["web1"]).await.remove(0);
    let path = format!("/api/v1/sessions/{id}/end");
    world.post(&alice, &path, json!({})).await.ok(200);
    world.post(&alice, &path, json!({})).await
}

/// Decides about a request in a way that is too late, too early or twice.
async fn decide(world: &World, slug: &str) -> Answer {
    world.guard_vault(2).await;
    if slug == "not-your-turn" {
        let tiers = json!([{ "approvers": ["erin"] }, { "approvers": ["dave"] }]);
        let spec = json!({ "max_duration": "1h", "approval": { "tiers": tiers } });
        world.apply(json!([{ "kind": "ConnectionProfile", "name": "guarded", "spec": spec }])).await;
    }
    let (alice, dave) = (world.token("alice").await, world.signed_in("dave").await);
    let id = world.request(&alice, &["vault1"]).await.remove(0);
    let (yes, path) = (json!({ "reason": "known work" }), format!("/api/v1/sessions/{id}"));
    match slug {
        "approved-already" => drop(world.post(&dave, &format!("{path}/approve"), yes.clone()).await.ok(200)),
        "not-waiting" => drop(world.post(&dave, &format!("{path}/deny"), yes.clone()).await.ok(200)),
        "changed-since-request" => world.guard_vault(1).await,
        _ => {}
    }
    world.post(&dave, &format!("{path}/approve"), yes).await
}

/// Tries a failed session again when its policy gives it no more, or not at this time.
async fn retry_too_late(world: &World, slug: &str) -> Answer {
    let policy = async |activity: &str, from: &str| {
        let schedule = json!({ "zone": "UTC", "windows": [{ "from": from, "to": "24:00" }] });
        let spec = json!({ "users": ["alice"], "activities": [activity], "resources": ["new2"],
            "connection_profile": "one-hour", "schedule": schedule });
        world
            .apply(json!([
                { "kind": "Resource", "name": "new2", "spec": { "platform": "linux", "address": "new2.example.com",
                    "service_account": "svc", "host_key": cardea_testkit::FakeConnector::HOST_KEY } },
                { "kind": "Activity", "name": "nothing", "spec": { "platform": "linux", "protocol": "none" } },
                { "kind": "AccessPolicy", "name": "late", "spec": spec },
            ]))
            .await;
    };
    policy("Linux admin", "00:00").await;
    let alice = world.token("alice").await;
    world.hosts.fail_next(Operation::Observe, ConnectorError::LoginRefused("no".to_owned()));
    let id = world.request(&alice, &["new2"]).await.remove(0);
    world.until(&id, |session| session["status"] == "failed" && session["clean"] == true).await;
    match slug {
        "not-offered" => policy("nothing", "00:00").await,
        _ => policy("Linux admin", "20:00").await,
    }
    world.post(&alice, &format!("/api/v1/sessions/{id}/retry"), json!({})).await
}

async fn use_a_key_twice(world: &World) -> Answer {
    let alice = world.token("alice").await;
    let request = |resource: &str| {
        let body = json!({ "activity": "Linux admin", "resources": [resource] }).to_string();
        let request = Request::post("/api/v1/sessions").header("content-type", "application/json");
        request.header("idempotency-key", "once").body(Body::from(body)).expect("a request")
    };
    // Whatever used the numbers up before, here are more.
    let spec = json!({ "platform": "linux", "address": "web1.example.com", "service_account": "svc",
        "host_key": cardea_testkit::FakeConnector::HOST_KEY, "uid_range": [91000, 91999] });
    world.apply(json!([{ "kind": "Resource", "name": "web1", "spec": spec }])).await;
    world.ask(&alice, request("web1")).await.ok(201);
    world.ask(&alice, request("db1")).await
}

async fn request_while_locked(world: &World) -> Answer {
    let alice = world.token("alice").await;
    let permit = || Permit::ask(&Actor::Operator { uid: 0 }, Verb::Lock).expect("the operator may");
    let configuration = world.app.configuration();
    let object = configuration.find(Kind::Resource, "db1").expect("it is there").id;
    let text = |text: &str| text.to_owned();
    let lock =
        StandingLock { object, title: text("Stop"), text: text("Call us"), by: text("admin"), at: world.clock.now() };
    let given = permit();
    let locked = world.store.write(move |tx| Box::pin(async move { tx.insert_standing_lock(&given, &lock).await }));
    locked.await.expect("it is not locked");
    let answer =
        world.post(&alice, "/api/v1/sessions", json!({ "activity": "Linux admin", "resources": ["db1"] })).await;
    let given = permit();
    let freed = world.store.write(move |tx| Box::pin(async move { tx.delete_standing_lock(&given, object).await }));
    assert!(freed.await.expect("it is locked"));
    answer
}

async fn host_key(world: &World, error: ConnectorError) -> Answer {
    world.hosts.fail_next(Operation::HostKey, error);
    world.post(&As::Operator, "/api/v1/resources/new1/host-key", json!({})).await
}

async fn delete_as_auditor(world: &World) -> Answer {
    let carol = world.token("carol").await;
    world.send(&carol, "DELETE", "/api/v1/users/bob", None).await
}

async fn dismiss_too_early(world: &World) -> Answer {
    let alice = world.token("alice").await;
    world.hosts.pass_next(Operation::Place);
    world.hosts.fail_next(Operation::Place, ConnectorError::Refused("no".to_owned()));
    let hold = world.hosts.hold(Operation::Remove);
    let id = world.request(&alice, &["db1"]).await.remove(0);
    hold.reached(1).await;
    world.until_status(&id, "failed").await;
    world.post(&alice, &format!("/api/v1/sessions/{id}/dismiss"), json!({})).await
}

async fn large(world: &World) -> Answer {
    let request = Request::post("/api/v1/apply").header("content-type", "application/json");
    world.ask(&As::Operator, request.body(Body::from(vec![b' '; 2 << 20])).expect("a request")).await
}

async fn use_up_the_range(world: &World) -> Answer {
    world
        .apply(json!([
            { "kind": "Resource", "name": "tiny", "spec": { "platform": "linux", "address": "tiny.example.com",
                "service_account": "svc", "host_key": cardea_testkit::FakeConnector::HOST_KEY, "uid_range": [90000, 90000] } },
            { "kind": "AccessPolicy", "name": "tiny", "spec": { "users": ["alice"], "activities": ["Linux admin"],
                "resources": ["tiny"], "connection_profile": "one-hour" } },
        ]))
        .await;
    let alice = world.token("alice").await;
    world.request(&alice, &["tiny"]).await;
    world.post(&alice, "/api/v1/sessions", json!({ "activity": "Linux admin", "resources": ["tiny"] })).await
}
