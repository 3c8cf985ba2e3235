//! What the write that makes a session due hands to the engine.

use cardea_domain::Session;

use super::*;
use crate::AppError;

async fn stored(app: &App, id: SessionId) -> Session {
    let read = app.0.store.read(move |tx| Box::pin(async move { tx.session(id).await.map_err(AppError::from) }));
    read.await.expect("a store").expect("it is there")
}

#[tokio::test]
async fn a_request_is_in_this_nodes_hands_when_it_is_written() {
    let world = World::new().await;
    let created = world.request("web1").await;
    let ready = world.until(created, "available", |detail| detail.session.status == Status::Available).await;
    assert_eq!(ready.session.fence, 1, "one claim, and that was the request's own");
    let ended = world.app.end_session(&world.alice(), created, None).await.expect("it is hers");
    assert_eq!((ended.session.fence, ended.session.claim.map(|claim| claim.node)), (2, Some("main".to_owned())));
    world.ended(created).await;
}

#[tokio::test]
async fn without_an_engine_a_request_waits_in_nobodys_hands() {
    let mut world = World::new().await;
    world.stop().await;
    let created = world.request("web1").await;
    let waiting = stored(&world.app, created).await;
    assert_eq!((waiting.claim, waiting.fence), (None, 0));
    world.start();
    world.until(created, "available", |detail| detail.session.status == Status::Available).await;
}

#[tokio::test]
async fn what_a_failed_unit_took_in_hand_is_due_as_it_was() {
    let mut world = World::new().await;
    world.stop().await;
    let id = world.request("web1").await;
    let mut session = stored(&world.app, id).await;
    let _open = world.app.open_handover();
    let hand = world.app.take_in_hand(&mut session).expect("somebody is there");
    assert!(world.app.take_in_hand(&mut session).is_none(), "it is on its way already");
    assert_eq!(world.app.0.handover.coming(), [id], "the engine leaves it alone");
    drop(hand);
    assert_eq!(world.app.0.handover.coming(), []);
    world.start();
    world.until(id, "available", |detail| detail.session.status == Status::Available).await;
}
