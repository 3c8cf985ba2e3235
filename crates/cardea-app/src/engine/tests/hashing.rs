//! Passwords are hashed few at a time, and few wait: hashing never starves what else there is to do.

use std::{
    future::Future,
    net::{IpAddr, Ipv4Addr},
    pin::Pin,
    sync::Mutex,
    task::{Context, Poll, Waker},
};

use cardea_domain::Secret;
use futures_util::future::join_all;

use super::World;
use crate::{App, AppError, password::WAITING_MAX};

type Hashing<'a> = Pin<Box<dyn Future<Output = Result<String, AppError>> + Send + 'a>>;

/// Asks for a hash as far as it gets without waiting.
fn begun(app: &App) -> (Hashing<'_>, Poll<Result<String, AppError>>) {
    let mut hashing: Hashing<'_> = Box::pin(app.hash_password(Secret::new("a long sentence".to_owned())));
    let polled = hashing.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    (hashing, polled)
}

#[tokio::test]
async fn beyond_so_many_waiting_passwords_the_next_is_told_to_come_back() {
    let world = World::new().await;
    // Somebody else's password is being hashed for as long as this test likes.
    let turn = world.app.0.hashing.clone().acquire_owned().await.expect("it is never closed");
    let mut waiting = Vec::new();
    for number in 0..WAITING_MAX {
        let (hashing, polled) = begun(&world.app);
        assert!(polled.is_pending(), "{number} waits");
        waiting.push(hashing);
    }
    let (_, polled) = begun(&world.app);
    assert!(matches!(&polled, Poll::Ready(Err(AppError::Unavailable(_)))), "{polled:?}");
    let refused = world.app.verify_password(None, Secret::new("another".to_owned()), None).await;
    assert!(matches!(&refused, Err(AppError::Unavailable(_))), "unknown users are no exception: {refused:?}");

    // Whoever gives up, and whoever is done, makes room.
    drop(waiting.pop());
    let (next, polled) = begun(&world.app);
    assert!(polled.is_pending());
    drop(waiting);
    drop(turn);
    assert!(next.await.expect("its turn has come").starts_with("$argon2id$"));
}

#[tokio::test]
async fn who_sends_many_passwords_at_once_waits_for_themselves() {
    const MANY: usize = 10;
    let world = World::new().await;
    let (guesser, other) = (IpAddr::from(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::from(Ipv4Addr::new(192, 0, 2, 2)));
    let turn = world.app.0.hashing.clone().acquire_owned().await.expect("it is never closed");
    let order = Mutex::new(Vec::new());
    let shown = async |peer| {
        let right = world.app.verify_password(Some(peer), Secret::new("a long sentence".to_owned()), None).await;
        assert!(!right.expect("there is room"), "it is nobody's");
        order.lock().expect("nobody panics").push(peer);
    };
    let mut all: Vec<Pin<Box<dyn Future<Output = ()>>>> = Vec::new();
    for peer in std::iter::repeat_n(guesser, MANY).chain([other]) {
        let mut one = Box::pin(shown(peer));
        assert!(one.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending(), "it stands in its line");
        all.push(one);
    }
    drop(turn);
    join_all(all).await;
    let order = order.into_inner().expect("nobody panics");
    assert_eq!(order.iter().position(|peer| *peer == other), Some(1), "{order:?}");
    assert_eq!(order.len(), MANY + 1);
}
