//! Many sessions, and hosts that do not answer: who waits for whom, and what costs nothing.

use cardea_domain::{Grant, GrantId, Lane, Permit, Session, Timestamp, Verb};
use tokio::task::JoinSet;

use super::*;
use crate::{
    AppError,
    engine::{Busy, SLEEP_MAX, WORKERS_MAX},
};

/// Sessions at rest: enough to see that nothing is done for each; as many as promised in the long run.
const RESTING: usize = 5_000;
const RESTING_LONG: usize = 100_000;
/// Sessions that one unit writes.
const TOGETHER: usize = 500;

impl World {
    /// Waits until so many of these are clean.
    async fn until_clean(&self, ids: &[SessionId], count: usize) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let mut clean = 0;
            for id in ids {
                clean += usize::from(self.detail(*id).await.session.clean);
            }
            if clean == count {
                return;
            }
            assert!(clean < count && tokio::time::Instant::now() < deadline, "{clean} of {count} are clean");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Copies of a session in the store, without grants, as another process would have left them.
    async fn copies(&self, of: &Session, count: usize) -> Vec<SessionId> {
        let (alice, mut ids) = (self.alice(), Vec::with_capacity(count));
        while ids.len() < count {
            let fresh: Vec<_> = (ids.len()..count.min(ids.len() + TOGETHER))
                .map(|_| Session { id: SessionId::mint(self.clock.now(), &*self.entropy), ..of.clone() })
                .collect();
            ids.extend(fresh.iter().map(|session| session.id));
            let permit = Permit::ask(&alice, Verb::CreateSession).expect("she may");
            let written = self.app.0.store.write(move |tx| {
                Box::pin(async move {
                    for session in &fresh {
                        tx.insert_session(&permit, session).await?;
                    }
                    Ok::<_, AppError>(())
                })
            });
            written.await.expect("the store takes them");
        }
        ids
    }
}

#[tokio::test]
async fn a_host_that_does_not_answer_delays_nobody_elses_sessions() {
    let world = World::new().await;
    let dead = world.target.hold_host("web1");
    let mut stuck = Vec::new();
    for _ in 0..20 {
        stuck.push(world.request("web1").await);
    }
    // As many as there is room for are before the dead host, side by side; the others are in nobody's hands.
    dead.reached(Lane::Placing.at_once()).await;
    for _ in 0..3 {
        let id = world.available("web2").await.session.id;
        world.app.end_session(&world.alice(), id, None).await.expect("it is open");
        world.ended(id).await;
    }
    for id in &stuck {
        assert_eq!(world.detail(*id).await.session.status, Status::Provisioning);
        world.app.end_session(&world.alice(), *id, None).await.expect("it has not begun");
    }
    // What was not begun ends without its host.
    let unbegun = stuck.len() - Lane::Placing.at_once();
    world.until_clean(&stuck, unbegun).await;
    drop(dead);
    for id in stuck {
        world.ended(id).await;
    }
    assert!(world.target.things().is_empty());
}

#[tokio::test]
async fn sessions_at_rest_cost_nothing_and_workers_are_bounded() {
    let mut world = World::new().await;
    let session = world.available("web1").await.session;
    world.stop().await;
    world.copies(&session, if cardea_testkit::is_long() { RESTING_LONG } else { RESTING }).await;

    // One look finds that nothing is due; until then the engine sleeps.
    let (app, mut workers, busy) = (world.app.clone(), JoinSet::new(), Busy::new());
    app.check_ground().await.expect("sessions are judged");
    let before = app.0.store.tally();
    let pause = app.start_due(&mut workers, &busy).await.expect("the store answers");
    let after = app.0.store.tally();
    assert_eq!((pause, workers.len()), (SLEEP_MAX, 0));
    assert_eq!((after.statements - before.statements, after.writes - before.writes), (1, 0));

    // A change that concerns all of them writes none that it does not move.
    let keep = vec![Document {
        kind: Kind::User,
        name: "alice".to_owned(),
        spec: json!({ "ssh_keys": [KEY], "full_name": "Alice" }),
    }];
    app.apply(&Actor::Operator { uid: 0 }, keep, crate::ApplyOptions::default()).await.expect("a good user");
    let before = app.0.store.tally();
    app.check_ground().await.expect("sessions are judged");
    assert_eq!(app.0.store.tally().writes, before.writes);

    // Everything is due at once.
    world.target.step_by_step();
    world.clock.advance(Duration::from_secs(3601));
    let pause = app.start_due(&mut workers, &busy).await.expect("the store answers");
    assert_eq!((pause, workers.len(), busy.len()), (SLEEP_MAX, WORKERS_MAX, WORKERS_MAX));
    workers.shutdown().await;
}

#[tokio::test]
async fn who_is_not_among_the_first_thousand_of_a_scan_is_scanned_later() {
    let mut world = World::new().await;
    let id = world.available("web1").await.session.id;
    world.app.end_session(&world.alice(), id, None).await.expect("it is open");
    let detail = world.ended(id).await;
    world.stop().await;
    let own = detail.grants.iter().find(|grant| grant.privilege.is_account()).expect("it had one").clone();
    let other = world.copies(&Session { wake_at: None, ..detail.session.clone() }, 1).await[0];
    let before: Vec<_> = (0..1000)
        .map(|ordinal| Grant {
            id: GrantId::mint(world.clock.now(), &*world.entropy),
            session: other,
            ordinal,
            removed_at: Some(Timestamp::from_micros(1)),
            ..own.clone()
        })
        .collect();
    let ids: Vec<_> = before.iter().map(|grant| grant.id).collect();
    let written = world.app.0.store.write(move |tx| {
        Box::pin(async move {
            tx.insert_grants(&before).await?;
            tx.save_grants(&before).await.map_err(AppError::from)
        })
    });
    written.await.expect("the store takes them");
    world.start();
    let due = detail.session.wake_at.expect("a scan is owed");
    world.advance(due.since(world.clock.now()) + Duration::from_secs(1));
    let later = world.until(id, "put off", |detail| detail.session.wake_at.is_none_or(|at| at > due)).await;
    assert!(later.session.wake_at.is_some(), "its files were not searched for");
    let now = world.clock.now();
    let scanned = world
        .app
        .0
        .store
        .write(move |tx| Box::pin(async move { tx.mark_scanned(&ids, now).await.map_err(AppError::from) }));
    scanned.await.expect("the store takes it");
    world.advance(Duration::from_secs(301));
    let is_scanned =
        |detail: &SessionDetail| detail.grants.iter().any(|grant| grant.id == own.id && grant.scanned_at.is_some());
    world.until(id, "scanned", is_scanned).await;
}
