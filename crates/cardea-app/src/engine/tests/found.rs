//! What random walks found, each by itself.

use cardea_testkit::{Fate, Waiting};
use futures_util::FutureExt as _;

use super::{stages::requester, *};

/// The first call that waits, when there is one.
async fn next_call(world: &World) -> Waiting {
    let mut steps = world.target.steps();
    loop {
        if let Some(waiting) = world.target.waiting().into_iter().find(|waiting| waiting.is_awaited) {
            return waiting;
        }
        steps.changed().await.expect("the target outlives its steps");
    }
}

/// How many sealed secrets of these grants the store still has.
async fn secrets_of(world: &World, detail: &SessionDetail) -> usize {
    let ids: Vec<_> = detail.grants.iter().filter_map(|grant| grant.privilege.secret()).collect();
    let read = world.app.0.store.read(move |tx| {
        Box::pin(async move {
            let mut left = 0;
            for id in ids {
                left += usize::from(tx.secret(id).await?.is_some());
            }
            Ok::<_, crate::AppError>(left)
        })
    });
    read.await.expect("the store answers")
}

#[tokio::test]
async fn a_request_that_never_begins_leaves_no_secret() {
    let world = World::new().await;
    let account = json!({ "type": "managed", "account": "dba" });
    world.offers(json!({ "platform": "linux", "protocol": "ssh", "login_account": account })).await;
    let start_at = Some(world.clock.now().plus(Duration::from_secs(600)));
    let resources = vec!["web1".to_owned()];
    let request = NewRequest { activity: "special".to_owned(), resources, start_at, ..NewRequest::default() };
    let created = world.app.create_sessions(&world.alice(), request).await.expect("a policy gives it");
    assert_eq!(secrets_of(&world, &created[0]).await, 1, "its account's password is there already");
    world.app.end_session(&world.alice(), created[0].session.id, None).await.expect("it has not begun");
    assert_eq!(secrets_of(&world, &created[0]).await, 0);
}

#[tokio::test]
async fn a_session_that_took_long_to_begin_is_not_ended_by_its_host_before_its_time() {
    let world = World::new().await;
    let account = json!({ "type": "activity_token" });
    let script = json!([{ "run_script": { "script": "long" } }]);
    world
        .offers(json!({ "platform": "linux", "protocol": "ssh", "login_account": account, "pre_session": script }))
        .await;
    let hold = world.target.hold(Operation::RunScript);
    let id = world.special("alice").await;
    hold.reached(1).await;
    world.advance(Duration::from_secs(1200));
    let moving = world.target.hold(Operation::Extend);
    drop(hold);
    moving.reached(1).await;
    world.advance(Duration::from_secs(1200));
    drop(moving);
    let detail = world.seen(id, "available", |detail| detail.session.status == Status::Available).await;
    let (end, things) = (detail.session.end_at, world.target.things());
    assert!(things.len() == 2 && things.values().all(|thing| thing.expires_at > end), "{end:?}: {things:#?}");
    let out = detail.grants.iter().filter(|grant| grant.state == GrantState::Placed);
    assert!(out.into_iter().all(|grant| grant.expires_at > end), "the ledger knows");
}

#[tokio::test]
async fn a_step_on_its_way_from_before_does_not_set_an_end_back_that_was_moved() {
    let world = World::new().await;
    let account = json!({ "type": "activity_token" });
    let actions = json!([{ "add_to_group": { "group": "adm" } }, { "run_script": { "script": "long" } }]);
    world
        .offers(json!({ "platform": "linux", "protocol": "ssh", "login_account": account, "pre_session": actions }))
        .await;
    world.target.step_by_step();
    let id = world.special("alice").await;
    let mut late = None;
    loop {
        let call = next_call(&world).await;
        let is_its = call.call.about.iter().any(|about| about.contains("group_membership"));
        match call.call.operation {
            Operation::Place if is_its && late.is_none() => {
                late = Some(call.number);
                world.target.step(call.number, Fate::Late);
                continue;
            }
            Operation::RunScript => world.advance(Duration::from_secs(1200)),
            _ => {}
        }
        world.target.step(call.number, Fate::Well);
        if call.call.operation == Operation::Extend {
            break;
        }
    }
    world.target.step(late.expect("it was placed"), Fate::Well);
    let detail = world.seen(id, "available", |detail| detail.session.status == Status::Available).await;
    let things = world.target.things();
    assert!(things.values().all(|thing| thing.expires_at > detail.session.end_at), "{things:#?}");
}

#[tokio::test]
async fn an_end_during_a_step_leaves_to_others_what_they_hold() {
    let world = World::new().await;
    world.plant("ops", 1500);
    let mut spec = requester(&json!([]));
    spec["session"] = json!([{ "add_to_group": { "group": "adm" } }]);
    world.offers(spec).await;
    let is_in = |detail: &SessionDetail| {
        detail.grants.iter().any(|grant| grant.stage == Stage::Session && grant.state == GrantState::Placed)
    };
    let first = world.special("alice").await;
    world.seen(first, "in the group", is_in).await;
    world.target.step_by_step();
    let second = world.special("bob").await;
    let its_step = loop {
        let call = next_call(&world).await;
        if call.call.about.iter().any(|about| about.contains("group_membership"))
            && call.call.operation == Operation::Place
        {
            break call.number;
        }
        world.target.step(call.number, Fate::Well);
    };
    world.app.end_session(&world.user("bob"), second, None).await.expect("it is open");
    world.target.step(its_step, Fate::Well);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !world.is_clean(second).await {
        assert!(tokio::time::Instant::now() < deadline, "never clean");
        if let Some(call) = next_call(&world).now_or_never() {
            world.target.step(call.number, Fate::Well);
        }
        world.advance(Duration::from_millis(100));
        tokio::task::yield_now().await;
    }
    assert!(world.target.things().contains_key("web1 ops group_membership adm"), "the first still holds it");
}

#[tokio::test]
async fn people_log_in_to_kept_accounts_and_to_their_own() {
    let world = World::new().await;
    world.plant("ops", 1500);
    let managed =
        json!({ "platform": "linux", "protocol": "ssh", "login_account": { "type": "managed", "account": "dba" } });
    for (spec, account) in [(managed, "dba"), (requester(&json!([])), "ops")] {
        world.offers(spec).await;
        let id = world.special_available("alice").await.session.id;
        let lease = world.app.join(&world.admission(id), KEY).await.expect("it is open");
        assert_eq!(lease.account, account);
        assert!(world.target.things().keys().any(|key| key.starts_with(&format!("web1 {account} authorized_key"))));
        world.end(id).await;
        assert!(world.target.things().is_empty(), "{:?}", world.target.things());
    }
}

#[tokio::test]
async fn a_switch_undoes_also_what_an_open_session_shares_later() {
    let mut world = World::new().await;
    world.plant("ops", 1500);
    let mut spec = requester(&json!([]));
    spec["session"] = json!([{ "add_to_group": { "group": "adm" } }]);
    world.offers(spec).await;
    let is_in = |detail: &SessionDetail| {
        detail.grants.iter().any(|grant| grant.stage == Stage::Session && grant.state == GrantState::Placed)
    };
    let first = world.special("alice").await;
    world.seen(first, "in the group", is_in).await;
    let second = world.special("bob").await;
    world.seen(second, "in the group", is_in).await;
    world.end(first).await;
    world.stop().await;
    world.clock.advance(Duration::from_secs(7200));
    world.target.expire(world.clock.now());
    assert!(world.target.things().is_empty(), "Cardea never comes back: {:?}", world.target.things());
}

#[tokio::test]
async fn what_was_looked_at_before_a_request_waits_again_is_forgotten() {
    let world = World::new().await;
    let document = |kind, name: &str, spec| vec![Document { kind, name: name.to_owned(), spec }];
    let profile = |max: &str| {
        let approval = json!({ "tiers": [{ "approvers": ["carol"] }] });
        document(Kind::ConnectionProfile, "hour", json!({ "max_duration": max, "approval": approval }))
    };
    let operator = Actor::Operator { uid: 0 };
    let carol = document(Kind::User, "carol", json!({}));
    for documents in [carol, profile("1h")] {
        world.app.apply(&operator, documents, crate::ApplyOptions::default()).await.expect("a good configuration");
    }
    let id = world.request("web1").await;
    // The host is looked at before anything is placed; meanwhile what was approved changes.
    let hold = world.target.hold(Operation::Observe);
    let approve = crate::Approve { reason: "why not".to_owned(), ..crate::Approve::default() };
    world.app.approve_session(&world.user("carol"), id, approve).await.expect("she may");
    hold.reached(1).await;
    world.app.apply(&operator, profile("30m"), crate::ApplyOptions::default()).await.expect("a good profile");
    drop(hold);
    world.until(id, "waiting again", |detail| detail.session.status == Status::WaitingForApproval).await;
    let read =
        world.app.0.store.read(move |tx| Box::pin(async move { tx.snapshot(id).await.map_err(crate::AppError::from) }));
    assert!(read.await.expect("the store answers").is_none());
}

#[tokio::test]
async fn a_lock_suspends_what_sessions_share_only_when_all_of_them_are_locked() {
    let world = World::new().await;
    world.plant("ops", 1500);
    world.offers(requester(&json!([{ "add_to_group": { "group": "adm" } }]))).await;
    let (one, other) =
        (world.special_available("alice").await.session.id, world.special_available("bob").await.session.id);
    let is_locked = |detail: &SessionDetail| {
        detail.session.lock.as_ref().is_some_and(|lock| lock.stage == cardea_domain::LockStage::Locked)
    };
    let is_suspended = || world.target.things()["web1 ops group_membership adm"].locked;
    let message = crate::LockMessage { title: "Incident".to_owned(), text: String::new() };
    let operator = Actor::Operator { uid: 0 };
    let scope = cardea_domain::LockScope::Session;
    world.app.lock_session(&operator, one, scope, message).await.expect("it is open");
    world.seen(one, "locked", is_locked).await;
    assert!(!is_suspended(), "the other works with it");
    let hold = world.target.hold(Operation::Remove);
    world.app.end_session(&world.user("bob"), other, None).await.expect("it is open");
    world.seen(one, "locked again", |detail| is_locked(detail) && is_suspended()).await;
    drop(hold);
    world.seen(other, "clean", |detail| detail.session.clean).await;
    world.special_available("bob").await;
    assert!(!is_suspended(), "the other is back");
}

#[tokio::test]
async fn a_lock_that_spared_what_another_held_takes_it_in_when_the_other_leaves_meanwhile() {
    let world = World::new().await;
    world.plant("ops", 1500);
    world.offers(requester(&json!([{ "add_to_group": { "group": "adm" } }]))).await;
    let (one, other) =
        (world.special_available("alice").await.session.id, world.special_available("bob").await.session.id);
    let locking = world.target.hold(Operation::Lock);
    let message = crate::LockMessage { title: "Incident".to_owned(), text: String::new() };
    let scope = cardea_domain::LockScope::Session;
    world.app.lock_session(&Actor::Operator { uid: 0 }, one, scope, message).await.expect("it is open");
    locking.reached(1).await;
    // On its way is a lock without the group, for the other's sake.
    world.app.end_session(&world.user("bob"), other, None).await.expect("it is open");
    world.seen(other, "clean", |detail| detail.session.clean).await;
    drop(locking);
    let is_locked = |detail: &SessionDetail| {
        detail.session.lock.as_ref().is_some_and(|lock| lock.stage == cardea_domain::LockStage::Locked)
    };
    world.seen(one, "locked", is_locked).await;
    assert!(world.target.things()["web1 ops group_membership adm"].locked, "nobody else holds it");
}

#[tokio::test]
async fn what_is_out_is_not_asked_for_again() {
    let world = World::new().await;
    let document = |kind, name: &str, spec| vec![Document { kind, name: name.to_owned(), spec }];
    let profile = |max: &str| {
        let approval = json!({ "tiers": [{ "approvers": ["carol"] }] });
        document(Kind::ConnectionProfile, "hour", json!({ "max_duration": max, "approval": approval }))
    };
    let operator = Actor::Operator { uid: 0 };
    for documents in [document(Kind::User, "carol", json!({})), profile("1h")] {
        world.app.apply(&operator, documents, crate::ApplyOptions::default()).await.expect("a good configuration");
    }
    let id = world.request("web1").await;
    assert!(!world.app.ask_again(id).await.expect("the store answers"), "it is up to date");
    let hold = world.target.hold(Operation::Place);
    let approve = crate::Approve { reason: "why not".to_owned(), ..crate::Approve::default() };
    world.app.approve_session(&world.user("carol"), id, approve).await.expect("she may");
    hold.reached(1).await;
    world.app.apply(&operator, profile("30m"), crate::ApplyOptions::default()).await.expect("a good profile");
    // An approver who read it before it was approved.
    let asked = world.app.ask_again(id).await;
    assert!(matches!(asked, Err(crate::AppError::Conflict)), "{asked:?}");
    assert_eq!(world.detail(id).await.session.status, Status::Provisioning);
    drop(hold);
}

#[tokio::test]
async fn what_never_began_by_name_is_cleaned_up_all_the_same() {
    let world = World::new().await;
    let id = world.available("web1").await.session.id;
    let waits = world.app.0.store.write(move |tx| {
        Box::pin(async move {
            let mut session = tx.session(id).await?.ok_or(crate::AppError::NotFound)?;
            session.wait_for_approval(
                cardea_domain::Asked::new(Vec::new(), session.requested_at),
                session.requested_at.plus(Duration::from_secs(60)),
            );
            tx.save_session(&crate::engine::drive()?, &mut session).await.map_err(crate::AppError::from)
        })
    });
    waits.await.expect("the store takes it");
    world.advance(Duration::from_secs(61));
    let detail = world.until(id, "expired", |detail| detail.session.status == Status::Expired).await;
    assert!(detail.session.clean && detail.grants.iter().all(|grant| grant.evidence.is_some()), "{detail:#?}");
    assert_eq!((world.target.things().len(), world.out().await), (0, 0));
    world.advance(Duration::from_secs(100));
    world.until(id, "at rest", |detail| detail.session.wake_at.is_none()).await;
}

#[tokio::test]
async fn a_script_does_not_run_for_a_request_that_was_changed_meanwhile() {
    for stage in ["pre_session", "session"] {
        let mut world = World::new().await;
        world.stop().await;
        let activity = |script: &str| json!({ "platform": "linux", "protocol": "none", stage: [{ "run_script": { "script": script } }] });
        world.offers(activity("as it was")).await;
        let id = world.special("alice").await;
        world.offers(activity("as it is")).await;
        world.start();
        let detail = world.seen(id, "clean", |detail| detail.session.clean).await;
        assert_eq!(detail.session.reason.map(|reason| reason.code).as_deref(), Some("changed_meanwhile"), "{stage}");
        assert_eq!(world.target.scripts().len(), 0, "{stage}");
    }
}

#[tokio::test]
async fn an_own_account_without_any_action_is_judged_joined_and_looked_after() {
    let world = World::new().await;
    world.plant("ops", 1500);
    world.offers(requester(&json!([]))).await;
    let hold = world.target.hold(Operation::Account);
    let changed = world.special("alice").await;
    hold.reached(1).await;
    let mut other = requester(&json!([]));
    other["pre_session"] = json!([{ "add_to_group": { "group": "adm" } }]);
    world.offers(other).await;
    drop(hold);
    let detail = world.seen(changed, "over", |detail| detail.session.clean).await;
    assert_eq!(detail.session.reason.map(|reason| reason.code).as_deref(), Some("changed_meanwhile"));

    world.offers(requester(&json!([]))).await;
    let id = world.special_available("alice").await.session.id;
    let key = FakeConnector::HOST_KEY;
    let row = world.app.0.store.read(move |tx| Box::pin(async move { Ok::<_, crate::AppError>(tx.host(key).await?) }));
    let poll_at = row.await.expect("the store answers").and_then(|host| host.poll_at);
    assert!(poll_at.is_some(), "its host is asked who logs in past the gateway");
    let lease = world.app.join(&world.admission(id), KEY).await.expect("it is open");
    assert_eq!(lease.account, "ops");
    world.end(id).await;
    assert!(world.target.things().is_empty(), "{:?}", world.target.things());
}

#[tokio::test]
async fn a_process_that_was_stopped_for_long_places_nothing_behind_the_hosts_own_end() {
    let world = World::new().await;
    let (account, actions) = (json!({ "type": "activity_token" }), json!([{ "add_to_group": { "group": "adm" } }]));
    world
        .offers(json!({ "platform": "linux", "protocol": "ssh", "login_account": account, "pre_session": actions }))
        .await;
    let hold = world.target.hold(Operation::Place);
    let id = world.special("alice").await;
    hold.reached(1).await;
    world.advance(Duration::from_secs(24 * 3600));
    drop(hold);
    let detail = world.seen(id, "failed and clean", |detail| detail.session.clean).await;
    let reason = detail.session.reason.expect("it failed");
    assert!(reason.detail.contains("so long"), "{reason:?}");
    let places = world.target.calls().into_iter().filter(|call| call.operation == Operation::Place).count();
    assert_eq!(places, 1, "the switch, which was on its way");
}

#[tokio::test]
async fn a_step_that_is_placed_while_its_session_is_being_locked_counts_as_placed() {
    let world = World::new().await;
    world.plant("ops", 1500);
    let mut spec = requester(&json!([]));
    spec["session"] = json!([{ "add_to_group": { "group": "adm" } }]);
    world.offers(spec).await;
    world.target.step_by_step();
    let id = world.special("alice").await;
    let its_step = loop {
        let call = next_call(&world).await;
        let is_its = call.call.about.iter().any(|about| about.contains("group_membership"));
        if is_its && call.call.operation == Operation::Place {
            break call.number;
        }
        world.target.step(call.number, Fate::Well);
    };
    let message = crate::LockMessage { title: "Incident".to_owned(), text: String::new() };
    let scope = cardea_domain::LockScope::Session;
    world.app.lock_session(&Actor::Operator { uid: 0 }, id, scope, message).await.expect("it is open");
    world.target.step(its_step, Fate::Well);
    let lock = next_call(&world).await;
    assert_eq!(lock.call.operation, Operation::Lock, "{:?}", lock.call);
    let step = world.detail(id).await.grants.into_iter().find(|grant| grant.stage == Stage::Session);
    assert_eq!(step.map(|grant| grant.state), Some(GrantState::Placed));
}

#[tokio::test]
async fn what_an_extension_overtook_lasts_until_the_new_end() {
    let world = World::new().await;
    let extension = world.profile(&json!({ "extension": { "by": "30m", "limit": 1 } }));
    world.apply(vec![(Kind::ConnectionProfile, "hour", extension)]).await;
    world.plant("ops", 1500);
    let mut spec = requester(&json!([]));
    spec["session"] = json!([{ "run_script": { "script": "true" } }, { "add_to_group": { "group": "adm" } }]);
    let hold = world.target.hold(Operation::RunScript);
    world.offers(spec).await;
    let id = world.special("alice").await;
    hold.reached(1).await;
    let extended = world.app.extend_session(&world.alice(), id, None).await.expect("its profile allows it");
    drop(hold);
    let is_in = |detail: &SessionDetail| {
        detail.grants.iter().any(|grant| grant.stage == Stage::Session && grant.state == GrantState::Placed)
    };
    world.seen(id, "in the group", is_in).await;
    let things = world.target.things();
    assert!(things["web1 ops group_membership adm"].expires_at > extended.session.end_at, "{things:#?}");
}
