//! Scripts that take long: nothing else of their session, and of nobody else's, waits for them.

use cardea_domain::{Lane, LockScope, LockStage};

use super::{control::OPERATOR, stages::requester, *};

fn is_locked(detail: &SessionDetail) -> bool {
    detail.session.lock.as_ref().is_some_and(|lock| lock.stage == LockStage::Locked)
}

/// A session on an account of its user's that runs a script that does not end, then adds a group.
async fn at_its_script(world: &World) -> (SessionId, cardea_testkit::Hold) {
    world.plant("ops", 1500);
    let mut spec = requester(&json!([{ "add_to_group": { "group": "adm" } }]));
    spec["session"] = json!([{ "run_script": { "script": "long" } }, { "add_to_group": { "group": "late" } }]);
    world.offers(spec).await;
    let hold = world.target.hold(Operation::RunScript);
    let id = world.special("alice").await;
    hold.reached(1).await;
    (id, hold)
}

async fn log_says(world: &World, id: SessionId, words: &str) -> bool {
    let lines = world.app.session_log(&OPERATOR, id).await.expect("a log");
    lines.into_iter().any(|line| line.message.contains(words))
}

#[tokio::test]
async fn a_session_ends_in_time_whatever_its_script_does() {
    let world = World::new().await;
    let (id, hold) = at_its_script(&world).await;
    world.advance(Duration::from_secs(3001));
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !log_says(&world, id, "It ends in").await {
        assert!(tokio::time::Instant::now() < deadline, "nobody is warned");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    world.advance(Duration::from_secs(600));
    let detail = world.seen(id, "clean", |detail| detail.session.clean).await;
    assert_eq!(detail.session.reason.map(|reason| reason.code).as_deref(), Some("reached_end"));
    assert!(world.target.things().is_empty(), "{:?}", world.target.things());
    drop(hold);
}

#[tokio::test]
async fn a_lock_stands_and_is_lifted_while_a_script_runs() {
    let world = World::new().await;
    let (id, hold) = at_its_script(&world).await;
    let is_suspended = || world.target.things()["web1 ops group_membership adm"].locked;
    // The host refuses it at first: it is asked again in its time, and not without a pause.
    world.target.fail_next(Operation::Lock, ConnectorError::Refused("the disk is full".to_owned()));
    world.app.lock_session(&OPERATOR, id, LockScope::Session, world.message()).await.expect("it is open");
    let is_put_off =
        |detail: &SessionDetail| detail.session.lock.as_ref().is_some_and(|lock| lock.last_error.is_some());
    world.seen(id, "refused", is_put_off).await;
    world.advance(Duration::from_secs(2));
    world.seen(id, "locked", is_locked).await;
    assert!(is_suspended());
    world.app.unlock_session(&OPERATOR, id, None).await.expect("it is locked");
    world.seen(id, "unlocked", |detail| detail.session.lock.is_none()).await;
    assert!(!is_suspended());
    drop(hold);
    // It goes on with what comes behind the script.
    let is_late = |detail: &SessionDetail| {
        detail
            .grants
            .iter()
            .filter(|grant| grant.stage == Stage::Session)
            .any(|grant| grant.state == GrantState::Placed)
    };
    world.seen(id, "in the group", is_late).await;
    let runs = world.target.calls().into_iter().filter(|call| call.operation == Operation::RunScript).count();
    assert_eq!(runs, 1);
    world.end(id).await;
    assert!(world.target.things().is_empty(), "{:?}", world.target.things());
}

#[tokio::test]
async fn who_ends_a_session_in_the_moment_its_script_begins_does_not_wait_for_it() {
    let world = World::new().await;
    world.plant("ops", 1500);
    let mut spec = requester(&json!([]));
    spec["session"] = json!([{ "run_script": { "script": "long" } }]);
    world.offers(spec).await;
    let hold = world.target.hold(Operation::RunScript);
    let id = world.special_available("alice").await.session.id;
    // Whether the script was begun by now or not.
    world.end(id).await;
    assert!(world.target.things().is_empty(), "{:?}", world.target.things());
    drop(hold);
}

#[tokio::test]
async fn scripts_of_one_host_run_a_few_at_once_and_each_of_them_runs() {
    let script = json!([{ "run_script": { "script": "long" } }]);
    for stage in ["pre_session", "session", "post_session"] {
        let world = World::new().await;
        let account = json!({ "type": "activity_token" });
        world.offers(json!({ "platform": "linux", "protocol": "ssh", "login_account": account, stage: script })).await;
        let hold = world.target.hold(Operation::RunScript);
        let mut slow = Vec::new();
        for _ in 0..Lane::Removing.at_once() + 1 {
            let id = world.special("alice").await;
            if stage != "pre_session" {
                world.until(id, "available", |detail| detail.session.status == Status::Available).await;
            }
            if stage == "post_session" {
                world.app.end_session(&world.alice(), id, None).await.expect("it is open");
            }
            slow.push(id);
        }
        hold.reached(Lane::Scripting.at_once()).await;
        // On the same host, both ways: nobody's privileges wait for scripts.
        let id = world.available("web1").await.session.id;
        world.end(id).await;
        drop(hold);
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while world.target.scripts().len() < slow.len() {
            assert!(tokio::time::Instant::now() < deadline, "{stage}: {} ran", world.target.scripts().len());
            world.advance(Duration::from_secs(5));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for id in slow {
            if stage != "post_session" {
                world.until(id, "available", |detail| detail.session.status == Status::Available).await;
                world.app.end_session(&world.alice(), id, None).await.expect("it is open");
            }
            world.ended(id).await;
        }
        assert!(world.target.things().is_empty());
    }
}

#[tokio::test]
async fn a_job_is_not_idle_while_its_script_runs() {
    let world = World::new().await;
    let profile = world.profile(&json!({ "idle_limit": "5m" }));
    world.apply(vec![(Kind::ConnectionProfile, "hour", profile)]).await;
    let script = json!([{ "run_script": { "script": "long" } }]);
    world.offers(json!({ "platform": "linux", "protocol": "none", "session": script })).await;
    let hold = world.target.hold(Operation::RunScript);
    let id = world.special("alice").await;
    hold.reached(1).await;
    world.advance(Duration::from_secs(600));
    drop(hold);
    let detail = world.seen(id, "clean", |detail| detail.session.clean).await;
    assert_eq!(detail.session.reason.map(|reason| reason.code).as_deref(), Some("done"));
    assert_eq!(world.target.scripts().len(), 1);
}

#[tokio::test]
async fn a_locked_session_whose_script_runs_takes_in_what_another_leaves() {
    let world = World::new().await;
    let (id, hold) = at_its_script(&world).await;
    let mut other = requester(&json!([{ "add_to_group": { "group": "adm" } }]));
    other["session"] = json!([]);
    world.offers(other).await;
    let shares = world.special_available("bob").await.session.id;
    world.app.lock_session(&OPERATOR, id, LockScope::Session, world.message()).await.expect("it is open");
    world.seen(id, "locked", is_locked).await;
    assert!(!world.target.things()["web1 ops group_membership adm"].locked, "the other works with it");
    world.end(shares).await;
    world
        .seen(id, "locked again", |detail| {
            is_locked(detail) && world.target.things()["web1 ops group_membership adm"].locked
        })
        .await;
    drop(hold);
}

#[tokio::test]
async fn a_crash_beside_a_script_leaves_nobody_holding_its_locked_session() {
    let mut world = World::new().await;
    let (id, hold) = at_its_script(&world).await;
    world.app.lock_session(&OPERATOR, id, LockScope::Session, world.message()).await.expect("it is open");
    world.seen(id, "locked", is_locked).await;
    world.crash().await;
    world.seen(id, "at rest", |detail| detail.session.claim.is_none()).await;
    drop(hold);
    world.app.unlock_session(&OPERATOR, id, None).await.expect("it is locked");
    let is_late = |detail: &SessionDetail| {
        detail.grants.iter().any(|grant| grant.stage == Stage::Session && grant.state == GrantState::Placed)
    };
    world.seen(id, "in the group", is_late).await;
    world.end(id).await;
    assert!(world.target.things().is_empty(), "{:?}", world.target.things());
}
