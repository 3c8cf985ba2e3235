//! What several sessions hold on one account: whoever comes and goes leaves it as the others need it.

use cardea_domain::{LockScope, LockStage};
use cardea_testkit::{Fate, Waiting};

use super::{control::OPERATOR, stages::requester, *};

const ADM: &str = "web1 ops group_membership adm";

async fn in_adm(world: &World) {
    world.plant("ops", 1500);
    world.offers(requester(&json!([{ "add_to_group": { "group": "adm" } }]))).await;
}

fn is_locked(detail: &SessionDetail) -> bool {
    detail.session.lock.as_ref().is_some_and(|lock| lock.stage == LockStage::Locked)
}

#[tokio::test]
async fn unlocking_does_not_shorten_what_lasts_longer_for_another() {
    let world = World::new().await;
    in_adm(&world).await;
    let one = world.special_available("alice").await.session.id;
    world.advance(Duration::from_secs(1800));
    let other = world.special_available("bob").await.session;
    world.app.lock_session(&OPERATOR, one, LockScope::Session, world.message()).await.expect("it is open");
    world.seen(one, "locked", is_locked).await;
    world.app.unlock_session(&OPERATOR, one, None).await.expect("it is locked");
    world.seen(one, "unlocked", |detail| detail.session.lock.is_none()).await;
    assert!(world.target.things()[ADM].expires_at > other.end_at, "{:?}", world.target.things());
}

#[tokio::test]
async fn a_lock_leaves_to_another_what_it_is_just_given_back() {
    let world = World::new().await;
    in_adm(&world).await;
    let (one, other) =
        (world.special_available("alice").await.session.id, world.special_available("bob").await.session.id);
    world.app.lock_session(&OPERATOR, one, LockScope::Session, world.message()).await.expect("it is open");
    world.seen(one, "locked", is_locked).await;
    let unlocking = world.target.hold(Operation::Unlock);
    world.app.unlock_session(&OPERATOR, one, None).await.expect("it is locked");
    unlocking.reached(1).await;
    world.app.lock_session(&OPERATOR, other, LockScope::Session, world.message()).await.expect("it is open");
    world
        .seen(other, "locked", |detail| {
            detail.session.lock.as_ref().is_some_and(|lock| lock.stage != LockStage::Unlocking)
        })
        .await;
    drop(unlocking);
    world.seen(one, "unlocked", |detail| detail.session.lock.is_none()).await;
    world.seen(other, "locked", is_locked).await;
    assert!(!world.target.things()[ADM].locked, "the first works with it");
}

#[tokio::test]
async fn what_another_takes_away_behind_a_look_does_not_count_as_there_before() {
    let world = World::new().await;
    in_adm(&world).await;
    let first = world.special_available("alice").await.session.id;
    world.target.step_by_step();
    let second = world.special("bob").await;
    let of = |id: SessionId| move |waiting: &Waiting| waiting.is_awaited && waiting.call.session == Some(id);
    let look = loop {
        let call = call_of(&world, of(second)).await;
        if call.call.operation == Operation::Observe {
            break call.number;
        }
        world.target.step(call.number, Fate::Well);
    };
    // It has looked; what it saw is on its way to it.
    world.target.step(look, Fate::Done);
    world.app.end_session(&world.user("alice"), first, None).await.expect("it is open");
    while !world.is_clean(first).await {
        if let Some(call) = world.target.waiting().into_iter().find(of(first)) {
            world.target.step(call.number, Fate::Well);
        }
        tokio::task::yield_now().await;
    }
    world.target.step(look, Fate::Well);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while world.detail_of(second).await.session.status != Status::Available {
        assert!(tokio::time::Instant::now() < deadline, "never available");
        if let Some(call) = world.target.waiting().into_iter().find(|waiting| waiting.is_awaited) {
            world.target.step(call.number, Fate::Well);
        }
        world.advance(Duration::from_millis(100));
        tokio::task::yield_now().await;
    }
    assert!(world.target.things().contains_key(ADM), "{:?}", world.target.things());
    let grants = world.detail_of(second).await.grants;
    assert!(grants.iter().all(|grant| grant.state == GrantState::Placed), "{grants:#?}");
}

#[tokio::test]
async fn a_request_does_not_wait_for_ever_for_what_cannot_be_taken_away() {
    let world = World::new().await;
    in_adm(&world).await;
    let first = world.special_available("alice").await.session.id;
    world.target.fail_always(Operation::Remove, ConnectorError::Refused("the disk is full".to_owned()));
    world.app.end_session(&world.user("alice"), first, None).await.expect("it is open");
    let second = world.special("bob").await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let reason = loop {
        let detail = world.detail_of(second).await;
        if detail.session.status == Status::Failed {
            break detail.session.reason.expect("it failed");
        }
        assert!(tokio::time::Instant::now() < deadline, "{detail:#?}");
        world.advance(Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(2)).await;
    };
    assert!(reason.detail.contains("being taken away from another session"), "{reason:?}");
    world.target.heal();
    world.advance(Duration::from_secs(600));
    world.seen(first, "clean", |detail| detail.session.clean).await;
}

#[tokio::test]
async fn the_hosts_own_end_leaves_what_was_there_before() {
    for stage in ["pre_session", "session"] {
        let mut world = World::new().await;
        world.plant("ops", 1500);
        world.target.occupy(ADM);
        let mut spec = requester(&json!([]));
        // Behind a script, so that the switch is there before anybody looks.
        spec[stage] = json!([{ "run_script": { "script": "true" } }, { "add_to_group": { "group": "adm" } }]);
        world.offers(spec).await;
        let id = world.special("alice").await;
        let is_found =
            |detail: &SessionDetail| detail.grants.iter().any(|grant| grant.state == GrantState::Preexisting);
        let detail =
            world.seen(id, "found", |detail| is_found(detail) && detail.session.status == Status::Available).await;
        let switch = detail.grants.iter().find(|grant| grant.privilege.kind() == "dead_man").expect("a switch");
        assert_eq!(serde_json::to_value(&switch.privilege).expect("plain data")["undo"], json!([]), "{stage}");
        world.stop().await;
        world.clock.advance(Duration::from_secs(7200));
        world.target.expire(world.clock.now());
        assert_eq!(world.target.things().into_keys().collect::<Vec<_>>(), [ADM], "{stage}");
    }
}

impl World {
    async fn detail_of(&self, id: SessionId) -> SessionDetail {
        self.app.session(&OPERATOR, id).await.expect("it is there")
    }
}

/// The first call of this kind.
async fn call_of(world: &World, is_meant: impl Fn(&Waiting) -> bool) -> Waiting {
    let mut steps = world.target.steps();
    loop {
        if let Some(waiting) = world.target.waiting().into_iter().find(&is_meant) {
            return waiting;
        }
        steps.changed().await.expect("the target outlives its steps");
    }
}

#[tokio::test]
async fn the_hosts_own_end_takes_also_what_came_behind_a_long_script() {
    let mut world = World::new().await;
    world.plant("ops", 1500);
    let actions = json!([{ "run_script": { "script": "long" } }, { "add_to_group": { "group": "adm" } }]);
    world.offers(requester(&actions)).await;
    let hold = world.target.hold(Operation::RunScript);
    let id = world.special("alice").await;
    hold.reached(1).await;
    world.advance(Duration::from_secs(1200));
    drop(hold);
    // Its ends are moved before it begins, which writes the switch anew.
    world.seen(id, "available", |detail| detail.session.status == Status::Available).await;
    assert!(world.target.things().contains_key(ADM));
    world.stop().await;
    world.clock.advance(Duration::from_secs(7200));
    world.target.expire(world.clock.now());
    assert!(world.target.things().is_empty(), "{:?}", world.target.things());
}
