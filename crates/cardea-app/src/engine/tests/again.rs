//! What comes back after it was taken away: memberships, which carry no mark.

use super::{hosts::alert, stages::requester, *};

const OPERATOR: Actor = Actor::Operator { uid: 0 };
const PLACE: &str = "web1 ops group_membership adm";

async fn in_adm(world: &World) -> SessionId {
    world.plant("ops", 1500);
    world.offers(requester(&json!([{ "add_to_group": { "group": "adm" } }]))).await;
    world.special_available("alice").await.session.id
}

#[tokio::test]
async fn who_is_put_back_into_a_group_at_once_is_taken_out_again_and_it_is_told() {
    let world = World::new().await;
    let id = in_adm(&world).await;
    let membership = world.target.things()[PLACE].clone();
    let mut events = world.app.subscribe(&OPERATOR, None);
    let hold = world.target.hold(Operation::Observe);
    world.app.end_session(&OPERATOR, id, None).await.expect("it is open");
    hold.reached(1).await;
    world.target.put_back(PLACE, membership);
    drop(hold);

    let says = |detail: &SessionDetail| {
        let mut errors = detail.grants.iter().filter_map(|grant| grant.last_error.as_deref());
        errors.any(|error| error.contains("there again") && error.contains("find it and stop it"))
    };
    world.seen(id, "there again", says).await;
    assert_eq!(alert(&mut events).await.code, "tampered");
    world.advance(Duration::from_secs(2));
    world.seen(id, "clean", |detail| detail.session.clean).await;
    assert!(world.target.things().is_empty(), "{:#?}", world.target.things());
}

#[tokio::test]
async fn who_is_in_a_group_again_after_a_while_is_told_of_once_and_left() {
    let world = World::new().await;
    let id = in_adm(&world).await;
    world.end(id).await;
    let mut events = world.app.subscribe(&OPERATOR, None);
    world.target.occupy(PLACE);
    world.advance(Duration::from_secs(100));

    let told = alert(&mut events).await;
    assert!(told.code == "tampered" && told.text.contains("see who put it there"), "{told:?}");
    let finds = |detail: &SessionDetail| {
        let mut evidence = detail.grants.iter().filter_map(|grant| grant.evidence.as_ref());
        evidence.any(|evidence| evidence.findings.iter().any(|finding| finding.contains("see who put it there")))
    };
    let detail = world.seen(id, "found", finds).await;
    assert!(detail.session.clean);
    assert!(world.target.things().contains_key(PLACE), "it may be somebody's own business");
}

#[tokio::test]
async fn who_is_in_the_group_for_another_session_is_nobodys_finding() {
    let world = World::new().await;
    let id = in_adm(&world).await;
    world.end(id).await;
    let other = world.special_available("bob").await.session.id;
    let looks = |world: &World| {
        let calls = world.target.calls();
        calls.iter().filter(|call| call.operation == Operation::Observe && call.session == Some(id)).count()
    };
    let before = looks(&world);
    world.advance(Duration::from_secs(100));
    world.seen(id, "looked at again", |_| looks(&world) > before).await;
    world.end(other).await;
    let detail = world.detail(id).await;
    let mut evidence = detail.grants.iter().filter_map(|grant| grant.evidence.as_ref());
    assert!(evidence.all(|evidence| evidence.findings.is_empty()), "{detail:#?}");
}
