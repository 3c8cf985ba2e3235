//! Locks, extensions, and sessions whose ground is taken away.

use cardea_domain::{Grant, LockScope, LockStage};

use super::*;
use crate::LockMessage;

pub(super) const OPERATOR: Actor = Actor::Operator { uid: 0 };

impl World {
    pub(super) fn message(&self) -> LockMessage {
        LockMessage { title: "Incident".to_owned(), text: "call us".to_owned() }
    }

    pub(super) async fn apply(&self, documents: Vec<(Kind, &str, serde_json::Value)>) {
        let documents =
            documents.into_iter().map(|(kind, name, spec)| Document { kind, name: name.to_owned(), spec }).collect();
        self.app.apply(&OPERATOR, documents, crate::ApplyOptions::default()).await.expect("a good configuration");
    }

    fn is_locked_on_host(&self) -> bool {
        self.target.things().values().any(|thing| thing.locked)
    }

    pub(super) fn profile(&self, more: &serde_json::Value) -> serde_json::Value {
        let mut spec = json!({ "max_duration": "1h" });
        spec.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
        spec
    }
}

#[tokio::test]
async fn a_lock_stands_on_the_host_until_it_is_lifted_there() {
    let world = World::new().await;
    let id = world.available("web1").await.session.id;
    let lease = world.app.join(&world.admission(id), KEY).await.expect("it is open");
    world.app.lock_session(&OPERATOR, id, LockScope::Session, world.message()).await.expect("it is open");
    let stage = |detail: &SessionDetail| detail.session.lock.as_ref().map(|lock| lock.stage);
    world.until(id, "locked", |detail| stage(detail) == Some(LockStage::Locked)).await;
    assert!(world.is_locked_on_host());
    let no = world.app.join(&world.admission(id), KEY).await.err().expect("nobody gets in");
    assert!(no.sentence.contains("Incident"), "{no}");
    let again = world.app.lock_session(&OPERATOR, id, LockScope::Session, world.message()).await;
    assert!(again.is_err_and(|error| error.code() == "already-locked"));
    // The host is away for a while: nobody is let in before it confirms.
    world.target.fail_always(Operation::Unlock, ConnectorError::Unreachable("gone".to_owned()));
    world.app.unlock_session(&OPERATOR, id, None).await.expect("it is locked");
    world
        .until(id, "told that the host is away", |detail| {
            detail.session.lock.as_ref().is_some_and(|lock| lock.last_error.is_some())
        })
        .await;
    assert_eq!(world.detail(id).await.session.status, Status::Locked);
    world.target.heal();
    world.advance(Duration::from_secs(301));
    world.until(id, "thawed", |detail| detail.session.status == Status::LoggedIn).await;
    assert!(!world.is_locked_on_host());
    drop(lease);
}

#[tokio::test]
async fn a_locked_session_ends_like_any_other() {
    let world = World::new().await;
    let id = world.available("web1").await.session.id;
    world.app.lock_session(&OPERATOR, id, LockScope::Session, world.message()).await.expect("it is open");
    world.advance(Duration::from_secs(3601));
    let detail = world.ended(id).await;
    assert_eq!((detail.session.status, world.target.things().len()), (Status::Completed, 0));
}

#[tokio::test]
async fn a_locked_user_does_nothing_until_unlocked() {
    let world = World::new().await;
    let (one, two) = (world.available("web1").await.session.id, world.available("web2").await.session.id);
    world.app.lock_session(&OPERATOR, one, LockScope::User, world.message()).await.expect("it is open");
    for id in [one, two] {
        world.until(id, "locked", |detail| detail.session.status == Status::Locked).await;
    }
    let user = world.detail(one).await.session.user;
    assert!(world.app.let_in(user, Via::Key).is_err(), "no sign-in, no token, no key");
    let request =
        NewRequest { activity: "admin".to_owned(), resources: vec!["web1".to_owned()], ..NewRequest::default() };
    let refused = world.app.create_sessions(&world.alice(), request).await;
    assert!(refused.is_err_and(|error| error.code() == "locked"));
    assert_eq!(world.app.locks(&OPERATOR).await.expect("the operator sees them").len(), 1);
    world.app.unlock_object(&OPERATOR, user).await.expect("it is locked");
    for id in [one, two] {
        world.until(id, "open", |detail| detail.session.status == Status::Available).await;
    }
    assert!(world.app.let_in(user, Via::Key).is_ok());
}

#[tokio::test]
async fn an_extension_moves_the_hosts_expiries_first_and_only_as_far_as_allowed() {
    let world = World::new().await;
    let extension = world.profile(&json!({ "extension": { "by": "30m", "limit": 1 } }));
    world.apply(vec![(Kind::ConnectionProfile, "hour", extension)]).await;
    let before = world.available("web1").await;
    let id = before.session.id;
    let end = before.session.end_at.expect("it runs");
    world.target.fail_next(Operation::Extend, ConnectorError::Unreachable("gone".to_owned()));
    assert!(world.app.extend_session(&world.alice(), id, None).await.is_err());
    assert_eq!(world.detail(id).await.session.end_at, Some(end), "nothing moved");
    let extended = world.app.extend_session(&world.alice(), id, Some(Duration::from_secs(600))).await.expect("allowed");
    assert_eq!(extended.session.end_at, Some(end.plus(Duration::from_secs(600))));
    let expiries: Vec<_> = world.target.things().values().map(|thing| thing.expires_at).collect();
    assert!(expiries.iter().all(|at| *at > extended.session.end_at), "{expiries:?}");
    let again = world.app.extend_session(&world.alice(), id, None).await;
    assert!(again.is_err_and(|error| error.code() == "extension-used-up"));
}

#[tokio::test]
async fn a_session_whose_ground_is_gone_ends_unless_its_profile_keeps_it() {
    let world = World::new().await;
    let id = world.available("web1").await.session.id;
    let policy = |users: &str| json!({ "users": [users], "activities": ["admin"], "resources": ["web1", "web2"], "connection_profile": "hour" });
    world.apply(vec![(Kind::User, "bob", json!({})), (Kind::AccessPolicy, "p", policy("bob"))]).await;
    let detail = world.ended(id).await;
    assert_eq!(detail.session.reason.map(|reason| reason.code).as_deref(), Some("ground_lost"));
    world.apply(vec![(Kind::AccessPolicy, "p", policy("alice"))]).await;
    let keep = world.profile(&json!({ "on_policy_change": "keep" }));
    world.apply(vec![(Kind::ConnectionProfile, "hour", keep)]).await;
    let kept = world.available("web1").await.session.id;
    world.apply(vec![(Kind::AccessPolicy, "p", policy("bob"))]).await;
    world.app.check_ground().await.expect("sessions are judged");
    assert_eq!(world.detail(kept).await.session.status, Status::Available);
    // A disabled user keeps nothing, whatever the profile says.
    world.apply(vec![(Kind::User, "alice", json!({ "ssh_keys": [KEY], "disabled": true }))]).await;
    assert_eq!(world.ended(kept).await.session.status, Status::Canceled);
    assert_eq!(world.target.things().len(), 0);
}

#[tokio::test]
async fn a_removal_that_waits_for_its_next_try_is_tried_now() {
    let world = World::new().await;
    let id = world.available("web1").await.session.id;
    world.target.fail_always(Operation::Remove, ConnectorError::Unreachable("gone".to_owned()));
    world.app.end_session(&world.alice(), id, None).await.expect("it is open");
    let detail = world.until(id, "failing", |detail| detail.session.cleanup_attempts > 0).await;
    world.target.heal();
    let out = detail.grants.iter().find(|grant| grant.state == GrantState::Removing).expect("something is out").id;
    assert!(world.app.try_removal(&world.alice(), out).await.is_err(), "administrators only");
    world.app.try_removal(&OPERATOR, out).await.expect("it is being removed");
    world.ended(id).await;
}

#[tokio::test]
async fn an_extension_brings_nothing_back_that_was_taken_away_meanwhile() {
    let world = World::new().await;
    let extension = world.profile(&json!({ "extension": { "by": "30m", "limit": 1 } }));
    world.apply(vec![(Kind::ConnectionProfile, "hour", extension)]).await;
    let id = world.available("web1").await.session.id;
    world.app.join(&world.admission(id), KEY).await.expect("it is open");
    let is_key = |grant: &&Grant| grant.privilege.kind() == "authorized_key";
    let hold = world.target.hold(Operation::Extend);
    let extending = tokio::spawn({
        let (app, alice) = (world.app.clone(), world.alice());
        async move { app.extend_session(&alice, id, None).await }
    });
    hold.reached(1).await;
    // Another node is given up, say, and the key of its gateway is on its way back.
    let mut key = world.detail(id).await.grants.iter().find(is_key).expect("it is placed").clone();
    key.state = GrantState::Removing;
    let taken = world
        .app
        .0
        .store
        .write(move |tx| Box::pin(async move { tx.save_grant(&key).await.map_err(crate::AppError::from) }));
    taken.await.expect("the store takes it");
    drop(hold);
    let extended = extending.await.expect("no panic").expect("allowed, without the key");
    let key = extended.grants.iter().find(is_key).expect("its row stays");
    assert!(matches!(key.state, GrantState::Removing | GrantState::Removed), "{key:#?}");
    world.advance(Duration::from_secs(60));
    world.app.end_session(&world.alice(), id, None).await.expect("it is open");
    world.ended(id).await;
    assert!(world.target.things().is_empty());
}

#[tokio::test]
async fn connections_end_in_time_where_the_engine_does_not_come_to_it() {
    let mut world = World::new().await;
    let id = world.available("web1").await.session.id;
    let lease = world.app.join(&world.admission(id), KEY).await.expect("it is open");
    // As if its store took no end.
    world.stop().await;
    let (app, stop) = (world.app.clone(), CancellationToken::new());
    let stopped = stop.clone();
    let living = tokio::spawn(async move { app.run_cluster(stopped).await });
    world.clock.advance(Duration::from_secs(3601));
    let notice = tokio::time::timeout(PATIENCE, lease.ended).await.expect("it is cut");
    assert!(notice.sentence.contains("reached its end"), "{notice:?}");
    stop.cancel();
    living.await.expect("it stops");
}

#[tokio::test]
async fn a_host_that_knows_later_fences_refuses_a_log_in_and_an_extension_once() {
    let world = World::new().await;
    let extension = world.profile(&json!({ "extension": { "by": "30m", "limit": 2 } }));
    world.apply(vec![(Kind::ConnectionProfile, "hour", extension)]).await;
    let id = world.available("web1").await.session.id;
    // The store is a backup of before; the host went on.
    world.target.forge_fence(id, 5000);
    assert!(world.app.join(&world.admission(id), KEY).await.is_err());
    world.app.join(&world.admission(id), KEY).await.expect("the store has caught up");
    world.target.forge_fence(id, 9000);
    world.app.extend_session(&world.alice(), id, None).await.expect("it catches up by itself");
}
