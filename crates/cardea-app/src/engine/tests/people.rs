//! People who come to their end while they have sessions, and groups of groups.

use std::time::Duration;

use cardea_domain::{Clock as _, Kind, Status, Via};
use serde_json::json;

use super::{KEY, World};
use crate::AppError;

#[tokio::test]
async fn an_expired_user_loses_everything_at_that_moment_and_nobody_polls_for_it() {
    let world = World::new().await;
    let id = world.available("web1").await.session.id;
    let expires_at = world.clock.now().plus(Duration::from_secs(600));
    let keep = world.profile(&json!({ "on_policy_change": "keep" }));
    world.apply(vec![(Kind::ConnectionProfile, "hour", keep)]).await;
    world.apply(vec![(Kind::User, "alice", json!({ "ssh_keys": [KEY], "expires_at": expires_at }))]).await;
    let kept = world.available("web2").await.session.id;
    let user = world.detail(id).await.session.user;
    world.advance(Duration::from_secs(599));
    assert_eq!(world.app.check_ground().await.expect("sessions are judged"), Some(expires_at), "it wakes by the clock");
    assert!(world.app.let_in(user, Via::Key).is_ok());
    assert_eq!(world.detail(id).await.session.status, Status::Available);

    world.advance(Duration::from_secs(1));
    for id in [id, kept] {
        let detail = world.ended(id).await;
        let reason = detail.session.reason.expect("a reason");
        assert_eq!((reason.code.as_str(), detail.session.status), ("ground_lost", Status::Canceled));
        assert_eq!(reason.detail, "The user alice has expired.");
    }
    assert_eq!(world.target.things().len(), 0);
    let refused = world.app.let_in(user, Via::Key);
    assert!(matches!(refused, Err(AppError::Unauthenticated(why)) if why.contains("expired")));
}

#[tokio::test]
async fn a_session_ends_when_its_user_leaves_a_group_inside_the_group_of_the_policy() {
    let world = World::new().await;
    let policy =
        json!({ "groups": ["all"], "activities": ["admin"], "resources": ["web1"], "connection_profile": "hour" });
    world
        .apply(vec![
            (Kind::Group, "inner", json!({ "members": ["alice"] })),
            (Kind::Group, "all", json!({ "members": ["inner"] })),
            (Kind::AccessPolicy, "p", policy),
        ])
        .await;
    let id = world.available("web1").await.session.id;
    world.apply(vec![(Kind::Group, "inner", json!({ "members": [] }))]).await;
    let detail = world.ended(id).await;
    assert_eq!(detail.session.reason.map(|reason| reason.code).as_deref(), Some("ground_lost"));
}
