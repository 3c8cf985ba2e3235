//! A node that was away past its lease: what it still does and says is refused.

use cardea_domain::{LockScope, Room, Word};
use cardea_store::{Heard, News};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::time::Instant;

use super::*;
use crate::{cluster::Cluster, engine::LEASE, trust::TRUST};

impl World {
    /// Another node takes the session up and gets as far as the hold lets it; this one's engine rests meanwhile.
    async fn taken_by_other(&mut self, id: SessionId) -> JoinHandle<()> {
        if let Some((_, engine)) = self.engine.take() {
            engine.abort();
            drop(engine.await);
        }
        let other = open_as("other", &self.dir, (&self.clock, &self.target, &self.entropy)).await;
        let (now, claim) = (self.clock.now(), other.claim(self.clock.now()));
        let claimed = other.0.store.write(move |tx| {
            Box::pin(async move {
                tx.claim_due(now, &claim, Vec::new, Room::default(), 9).await.map_err(crate::AppError::from)
            })
        });
        let mut claimed = claimed.await.expect("a claim");
        claimed.retain(|session| session.id == id);
        let session = claimed.pop().expect("it is due");
        let grants = other.0.store.read(move |tx| Box::pin(async move { tx.grants_of(id).await })).await;
        tokio::spawn(other.work(session, grants.expect("its grants")))
    }
}

async fn script_world() -> World {
    let world = World::new().await;
    let activity = json!({ "platform": "linux", "protocol": "ssh", "login_account": { "type": "activity_token" },
        "pre_session": [{ "run_script": { "script": "true" } }] });
    let documents = vec![Document { kind: Kind::Activity, name: "admin".to_owned(), spec: activity }];
    let applied = world.app.apply(&Actor::Operator { uid: 0 }, documents, crate::ApplyOptions::default()).await;
    applied.expect("a good configuration");
    world
}

#[tokio::test]
async fn what_an_overtaken_node_says_of_a_script_is_refused() {
    let mut world = script_world().await;
    let hold = world.target.hold(Operation::RunScript);
    if let Some((_, engine)) = world.engine.take() {
        engine.abort();
    }
    let id = world.request("web1").await;
    let away = world.taken_by_other(id).await;
    hold.reached(1).await;
    // Its lease is not over: nobody else touches the session.
    world.start();
    world.advance(Duration::from_secs(9));
    assert_eq!(world.detail(id).await.session.claim.map(|claim| claim.node), Some("other".to_owned()));
    world.advance(Duration::from_secs(2));
    let detail = world.ended(id).await;
    assert_eq!((detail.session.status, world.target.things().len()), (Status::Failed, 0));

    drop(hold);
    away.await.expect("it does not panic");

    let after = world.detail(id).await;
    assert_eq!((&after.session, &after.grants), (&detail.session, &detail.grants), "it changed nothing");
    assert_eq!((world.target.things().len(), world.out().await), (0, 0));
}

#[tokio::test]
async fn two_nodes_that_remove_at_once_leave_a_true_ledger() {
    let mut world = World::new().await;
    let id = world.available("web1").await.session.id;
    let hold = world.target.hold(Operation::Remove);
    if let Some((_, engine)) = world.engine.take() {
        engine.abort();
    }
    world.app.end_session(&world.alice(), id, None).await.expect("it is open");
    let away = world.taken_by_other(id).await;
    hold.reached(1).await;
    world.start();
    world.advance(Duration::from_secs(11));
    hold.reached(2).await;

    drop(hold);
    away.await.expect("it does not panic");

    let detail = world.ended(id).await;
    assert_eq!(detail.session.status, Status::Completed);
    assert!(
        detail.grants.iter().all(|grant| grant.state == GrantState::Removed && grant.evidence.is_some()),
        "{detail:#?}"
    );
    assert_eq!((world.target.things().len(), world.out().await), (0, 0));
}

#[test]
fn a_change_whose_effect_comes_late_does_not_put_back_what_is_newer() {
    let cluster = Cluster::default();
    assert!(cluster.learn(5, || {}), "it is new");
    let mut put = Vec::new();
    // Another node's change 7 was read, with this node's 6 in it, before the effect of 6 had its turn.
    assert!(cluster.learn(7, || {}), "it is new");
    cluster.made(6, || put.push(6));
    assert_eq!((cluster.revision(), &*put), (7, &[][..]));

    cluster.made(8, || put.push(8));
    assert_eq!((cluster.revision(), &*put), (8, &[8][..]));
    // What lies between is not known: it is read, and this with it.
    cluster.made(10, || put.push(10));
    assert_eq!((cluster.revision(), &*put), (8, &[8][..]));
    assert!(cluster.learn(10, || {}), "reading it is not skipped");
}

#[tokio::test]
async fn what_was_read_before_a_lock_does_not_thaw_its_connections() {
    let world = World::new().await;
    let id = world.available("web1").await.session.id;
    let mut lease = world.app.join(&world.admission(id), KEY).await.expect("it is available");
    let before = world.detail(id).await.session;

    let message = crate::LockMessage { title: "Audit".to_owned(), text: "Please wait.".to_owned() };
    let locked = world.app.lock_session(&Actor::Operator { uid: 0 }, id, LockScope::Session, message).await;
    locked.expect("it stands");
    assert!(matches!(lease.words.next().now_or_never(), Some(Some(Word::Frozen(_)))));
    world.app.judge_door(&before);
    assert_eq!(lease.words.next().now_or_never(), None, "nothing passes");

    let mut after = world.detail(id).await.session;
    (after.status, after.version) = (Status::LoggedIn, after.version + 1);
    world.app.judge_door(&after);
    assert!(matches!(lease.words.next().now_or_never(), Some(Some(Word::Thawed(_)))));
}

#[tokio::test]
async fn a_node_that_does_not_hear_from_its_store_lets_nothing_through() {
    let world = World::new().await;
    let id = world.available("web1").await.session.id;
    let mut lease = world.app.join(&world.admission(id), KEY).await.expect("it is available");
    let detail = world.detail(id).await.session;
    let asked = Instant::now() - (TRUST - Duration::from_secs(1));
    world.app.trust(asked);
    world.app.ready().await.expect("it takes requests");

    // Nothing but the watchdog looks meanwhile.
    let watchdog = tokio::spawn(world.app.clone().watch_trust());
    let word = tokio::time::timeout(PATIENCE, lease.words.next()).await;
    assert!(matches!(word, Ok(Some(Word::Frozen(_)))), "{word:?}");
    assert!(asked.elapsed() > TRUST);
    assert!(world.app.ready().await.is_err(), "it takes no requests");
    // Neither what is read of one session nor an answer to what was asked too long ago says that the store is back.
    world.app.judge_door(&detail);
    world.app.trust(asked);
    assert_eq!(lease.words.next().now_or_never(), None);

    world.app.trust(Instant::now());
    assert!(matches!(lease.words.next().now_or_never(), Some(Some(Word::Thawed(_)))));
    watchdog.abort();
}

#[tokio::test]
async fn a_worker_that_is_busy_for_longer_than_a_lease_keeps_its_session() {
    let world = World::new().await;
    let other = open_as("other", &world.dir, (&world.clock, &world.target, &world.entropy)).await;
    let hold = world.target.hold(Operation::Place);
    let id = world.request("web1").await;
    hold.reached(1).await;
    for _ in 0..2 {
        let is_kept = |detail: &SessionDetail| {
            let now = world.clock.now();
            detail
                .session
                .claim
                .as_ref()
                .is_some_and(|claim| claim.node == "main" && claim.until.since(now) > LEASE / 2)
        };
        // Its time is nearly over, and the worker still waits for its host.
        world.clock.advance(LEASE * 2 / 3);
        world.until(id, "held for longer", is_kept).await;
        let (now, claim) = (world.clock.now(), other.claim(world.clock.now()));
        let claimed = other.0.store.write(move |tx| {
            Box::pin(async move {
                tx.claim_due(now, &claim, Vec::new, Room::default(), 9).await.map_err(crate::AppError::from)
            })
        });
        assert_eq!(claimed.await.expect("the store answers"), [], "nobody else takes it up");
    }
    drop(hold);
    world.until(id, "available", |detail| detail.session.status == Status::Available).await;
}

#[tokio::test]
async fn what_alarms_another_node_is_told_to_those_who_look_here() {
    let world = World::new().await;
    let mut operators = world.app.subscribe(&Actor::Operator { uid: 0 }, None);
    let alert = crate::Alert {
        at: world.clock.now(),
        code: "direct_login".into(),
        text: "somebody came past the gateway".to_owned(),
        session: None,
        resource: Some("web1".to_owned()),
    };
    let crate::Alert { at, code, text, session, resource } = alert.clone();
    let news = vec![News::Alert { at, code: code.into_owned(), text, session, resource }];
    let (_other, mut more) = tokio::sync::mpsc::channel(1);
    assert!(world.app.hear(Heard::News(news), &mut more).await);
    let (_, event) = tokio::time::timeout(PATIENCE, operators.next()).await.expect("it is told").expect("an event");
    assert!(matches!(&event, crate::Event::Alert(told) if **told == alert), "{event:?}");
}
