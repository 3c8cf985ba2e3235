//! Sign-ins that are on their way while what they show is changed.

use cardea_domain::{ObjectId, PasskeyId, Permit, Verb};
use cardea_store::PasskeyRow;

use super::*;
use crate::{AppError, Device, SignInStep, password::WAITING_MAX};

const OLD: &str = "an old long sentence";
/// How often a test looks for somebody to wait, and how many times.
const LOOK_EVERY: Duration = Duration::from_millis(2);
const LOOKS_MAX: u32 = 10_000;

async fn set_password(app: &App, user: ObjectId, password: &str) {
    let hash = app.hash_password(Secret::new(password.to_owned())).await.expect("a hash");
    let at = app.0.clock.now();
    let set = app
        .0
        .store
        .write(move |tx| Box::pin(async move { tx.set_password(user, &hash, at).await.map_err(AppError::from) }));
    set.await.expect("it is written");
}

/// Begins to sign in with the old password, does something while that waits for its turn to be looked at, and gives what came of it.
async fn meanwhile(world: &World, something: impl Future<Output = ()>) -> Result<SignInStep, AppError> {
    let user = world.alice().user_id().expect("she is a user");
    set_password(&world.app, user, OLD).await;
    let turn = world.app.0.hashing.clone().acquire_owned().await.expect("it is never closed");
    let app = world.app.clone();
    let signing_in = tokio::spawn(async move {
        let device = Device::new([192, 0, 2, 1].into(), "a browser");
        app.sign_in(&device, "alice", Secret::new(OLD.to_owned())).await
    });
    let waits = || world.app.0.hashing_places.available_permits() < WAITING_MAX;
    for _ in 0..LOOKS_MAX {
        if waits() {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    assert!(waits(), "it has read what the password is, and waits to compare it");
    something.await;
    drop(turn);
    signing_in.await.expect("no panic")
}

async fn sign_ins(world: &World) -> usize {
    let operator = Actor::Operator { uid: 0 };
    world.app.sign_ins(&operator, Some("alice")).await.expect("a list").len()
}

#[tokio::test]
async fn a_sign_in_on_its_way_ends_when_the_password_changes_or_a_factor_is_set_up() {
    let world = World::new().await;
    let user = world.alice().user_id().expect("she is a user");
    let untouched = meanwhile(&world, async {}).await;
    assert!(matches!(untouched, Ok(SignInStep::Done(_))), "nothing changed");
    assert_eq!(sign_ins(&world).await, 1);

    // The hash is made before: nobody has a turn while the sign-in waits.
    let new = world.app.hash_password(Secret::new("another long sentence".to_owned())).await.expect("a hash");
    let at = world.app.0.clock.now();
    let change = async {
        let set =
            world.app.0.store.write(move |tx| {
                Box::pin(async move { tx.set_password(user, &new, at).await.map_err(AppError::from) })
            });
        set.await.expect("it is written");
    };
    let refused = meanwhile(&world, change).await.map(drop);
    assert!(
        matches!(&refused, Err(AppError::Unauthenticated(why)) if why.contains("changed meanwhile")),
        "{refused:?}"
    );

    let set_up = async {
        let id = PasskeyId::mint(at, &*world.app.0.entropy);
        let (name, kept, credential) = ("laptop".to_owned(), "{}".to_owned(), vec![1; 16]);
        let row = PasskeyRow { id, user, name, credential, kept, created_at: at, used_at: None };
        let permit = Permit::ask(&world.alice(), Verb::ChangeFactors).expect("everybody may");
        let kept =
            world.app.0.store.write(move |tx| {
                Box::pin(async move { tx.insert_passkey(&permit, &row).await.map_err(AppError::from) })
            });
        kept.await.expect("it is written");
    };
    let refused = meanwhile(&world, set_up).await.map(drop);
    assert!(
        matches!(&refused, Err(AppError::Unauthenticated(why)) if why.contains("changed meanwhile")),
        "{refused:?}"
    );
    assert_eq!(sign_ins(&world).await, 1, "none but the first");
}
