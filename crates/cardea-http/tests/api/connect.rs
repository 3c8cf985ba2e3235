//! What the gateway asks for beside a key: a second factor where the profile wants one, after a key or after a password.

use std::{net::SocketAddr, time::Duration};

use cardea_app::SignInSettings;
use cardea_domain::{Admission, Credential, Entry, Gate as _, GateRefusal, Login, Role, Secret};
use serde_json::json;

use crate::{
    factor::{Phone, enrol},
    passkey,
    world::{As, PASSWORD, World},
};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFIR5p2lv7i3pG1yPQ7L2hXg9zq1m3h1yW8QvJ6T2k4d";
const DESK: ([u8; 4], u16) = ([198, 51, 100, 7], 4000);
const TRAIN: ([u8; 4], u16) = ([203, 0, 113, 9], 4000);
const FRESH: Duration = Duration::from_secs(15 * 60 + 1);

/// alice has a password, a key and an open session.
async fn world_with(settings: SignInSettings) -> (World, As, String) {
    let world = World::start_with(settings).await;
    let spec = json!({ "password": PASSWORD, "ssh_keys": [KEY] });
    world.apply(json!([{ "kind": "User", "name": "alice", "spec": spec }])).await;
    let by_token = world.token("alice").await;
    let session = world.request(&by_token, &["web1"]).await.remove(0);
    world.until_status(&session, "available").await;
    let alice = world.signed_in("alice").await;
    (world, alice, session)
}

async fn world() -> (World, As, String) {
    world_with(SignInSettings::default()).await
}

/// How far somebody gets: `Ok(None)` is in, `Ok(Some)` is asked for a factor.
fn step(entry: Result<Entry, GateRefusal>) -> Result<Option<Admission>, &'static str> {
    match entry {
        Ok(Entry::Open(_)) => Ok(None),
        Ok(Entry::Factor(half)) => Ok(Some(half)),
        Err(no) => Err(no.code),
    }
}

async fn by_key(world: &World, session: &str, peer: impl Into<SocketAddr>) -> Result<Option<Admission>, &'static str> {
    let credential = Credential::Key(KEY.to_owned());
    step(world.app.admit(&Login { user_name: session.to_owned(), credential, peer: peer.into() }).await)
}

pub(crate) async fn by_password(
    world: &World,
    session: &str,
    password: &str,
) -> Result<Option<Admission>, &'static str> {
    step(world.app.redeem(session, Secret::new(password.to_owned()), DESK.into()).await)
}

/// Somebody whom a factor is asked of.
async fn asked(world: &World, session: &str, peer: impl Into<SocketAddr>) -> Admission {
    by_key(world, session, peer).await.expect("the key is right").expect("a factor is asked for")
}

async fn show(world: &World, half: &Admission, code: &str) -> Result<(), &'static str> {
    world.app.show_factor(half, Secret::new(code.to_owned())).await.map(drop).map_err(|no| no.code)
}

#[tokio::test]
async fn a_factor_follows_the_key_unless_it_was_shown_lately_from_there() {
    let (world, alice, session) = world().await;
    assert!(by_key(&world, &session, DESK).await.expect("the key is right").is_none(), "she has no second factor");
    let (phone, codes) = enrol(&world, &alice).await;
    let half = asked(&world, &session, DESK).await;
    let proven = phone.code(&world);
    for wrong in ["", "000000", "nonsense", proven.as_str()] {
        assert_eq!(show(&world, &half, wrong).await, Err(GateRefusal::WRONG_FACTOR), "{wrong:?}");
    }
    let code = phone.next_code(&world);
    assert_eq!(show(&world, &half, &code).await, Ok(()));
    assert_eq!(show(&world, &half, &code).await, Err(GateRefusal::WRONG_FACTOR), "each code works once");

    assert_eq!(by_key(&world, &session, DESK).await.map(|half| half.is_none()), Ok(true), "it was shown just now");
    asked(&world, &session, TRAIN).await;
    world.clock.advance(FRESH);
    let half = asked(&world, &session, DESK).await;
    assert_eq!(show(&world, &half, &codes[0].to_uppercase()).await, Ok(()), "a recovery code does as well");
    let half = asked(&world, &session, TRAIN).await;
    assert_eq!(show(&world, &half, &codes[0]).await, Err(GateRefusal::WRONG_FACTOR), "and once");
    // What was shown was the old one's.
    world.send(&As::Operator, "DELETE", "/api/v1/users/alice/factors", None).await.ok(204);
    assert_eq!(by_key(&world, &session, TRAIN).await.map(|half| half.is_none()), Ok(true));
    let again = world.signed_in("alice").await;
    world.clock.advance(Duration::from_secs(1));
    enrol(&world, &again).await;
    asked(&world, &session, DESK).await;
}

#[tokio::test]
async fn whoever_has_a_passkey_alone_is_asked_too() {
    let (world, alice, session) = world_with(passkey::settings()).await;
    let (_, registered) = passkey::register(&world, &alice, "phone").await;
    let half = asked(&world, &session, TRAIN).await;
    assert_eq!(show(&world, &half, "000000").await, Err(GateRefusal::WRONG_FACTOR));
    let code = registered["recovery_codes"][0].as_str().expect("a code");
    assert_eq!(show(&world, &half, code).await, Ok(()));
}

#[tokio::test]
async fn a_profile_may_do_without_and_a_session_keeps_what_it_was_made_with() {
    let (world, alice, before) = world().await;
    enrol(&world, &alice).await;
    let profile = |auth: &str| json!([{ "kind": "ConnectionProfile", "name": "one-hour", "spec": { "max_duration": "1h", "connect_auth": auth } }]);
    world.apply(profile("key")).await;
    let without = world.request(&alice, &["db1"]).await.remove(0);
    world.until_status(&without, "available").await;
    world.apply(profile("key+mfa")).await;
    asked(&world, &before, DESK).await;
    assert_eq!(by_key(&world, &without, DESK).await.map(|half| half.is_none()), Ok(true));
}

#[tokio::test]
async fn whoever_must_have_a_factor_and_has_none_is_told_how_to_get_one() {
    let settings = SignInSettings { second_factor_roles: vec![Role::User], ..SignInSettings::default() };
    let (world, alice, session) = world_with(settings).await;
    assert_eq!(by_key(&world, &session, DESK).await.map(drop), Err("no-factor"));
    assert_eq!(by_password(&world, &session, PASSWORD).await.map(drop), Err("no-factor"));
    enrol(&world, &alice).await;
    asked(&world, &session, DESK).await;
}

#[tokio::test]
async fn a_password_opens_nothing_without_a_factor_and_is_as_hard_to_guess_as_in_the_browser() {
    let (world, alice, session) = world().await;
    assert_eq!(by_password(&world, &session, PASSWORD).await.map(drop), Err("no-factor"));
    let (phone, _): (Phone, _) = enrol(&world, &alice).await;
    let half = by_password(&world, &session, PASSWORD).await.expect("it is right").expect("a factor is asked for");
    let entered = world.app.show_factor(&half, Secret::new(phone.next_code(&world))).await.expect("it is hers");
    assert_eq!((entered.user_name.as_str(), &entered.credential), ("alice", &Credential::Password));
    for (wrong_session, password) in
        [(session.as_str(), "not hers"), ("ses_00000000000000000000000000", PASSWORD), ("root", PASSWORD)]
    {
        assert_eq!(by_password(&world, wrong_session, password).await.map(drop), Err(GateRefusal::WRONG_TOKEN));
    }
    for _ in 0..5 {
        assert!(by_password(&world, &session, "guessed").await.is_err());
    }
    assert_eq!(by_password(&world, &session, PASSWORD).await.map(drop), Err("throttled"), "who guesses waits");
    world.apply(json!([{ "kind": "User", "name": "alice", "spec": { "disabled": true } }])).await;
    world.clock.advance(Duration::from_secs(900));
    assert_eq!(by_password(&world, &session, PASSWORD).await.map(drop), Err("kept-out"));
}

#[tokio::test]
async fn guessing_codes_is_slowed_down_even_when_right() {
    let (world, alice, session) = world().await;
    let (phone, _) = enrol(&world, &alice).await;
    let half = asked(&world, &session, DESK).await;
    let code = phone.next_code(&world);
    for _ in 0..6 {
        assert!(show(&world, &half, "000000").await.is_err());
    }
    assert_eq!(show(&world, &half, &code).await, Err("throttled"));
    world.clock.advance(Duration::from_secs(900));
    assert_eq!(show(&world, &half, &phone.next_code(&world)).await, Ok(()));
}

#[tokio::test]
async fn a_one_time_token_takes_a_sign_in_whose_factor_is_not_old() {
    let (world, alice, session) = world().await;
    enrol(&world, &alice).await;
    let path = format!("/api/v1/sessions/{session}/launch");
    let launch = world.post(&alice, &path, json!({})).await.ok(200);
    let token = launch["token"].as_str().expect("a token");
    assert_eq!(by_password(&world, &session, token).await.map(|half| half.is_none()), Ok(true), "it was shown there");
    world.clock.advance(FRESH);
    world.post(&alice, &path, json!({})).await.problem(403, "factor-needed");
}

/// An API token shows no factor: it makes no way round one.
#[tokio::test]
async fn an_api_token_launches_only_what_its_user_has_shown_a_factor_for() {
    let (world, alice, session) = world().await;
    let by_token = world.token("alice").await;
    let path = |session: &str| format!("/api/v1/sessions/{session}/launch");
    world.post(&by_token, &path(&session), json!({})).await.ok(200);
    let (phone, _) = enrol(&world, &alice).await;
    world.post(&by_token, &path(&session), json!({})).await.ok(200);
    world.clock.advance(FRESH);
    let refused = world.post(&by_token, &path(&session), json!({})).await.problem(409, "no-sign-in");
    assert!(refused["detail"].as_str().is_some_and(|text| text.contains("API token")), "{refused}");
    world.post(&alice, &path(&session), json!({})).await.problem(403, "factor-needed");
    let code = phone.next_code(&world);
    world.post(&alice, "/api/v1/me/proof", json!({ "totp": code })).await.ok(200);
    for who in [&by_token, &alice] {
        world.post(who, &path(&session), json!({})).await.ok(200);
    }
    // A factor that was shown elsewhere is not one that was shown here.
    world.clock.advance(FRESH);
    let half = asked(&world, &session, TRAIN).await;
    assert_eq!(show(&world, &half, &phone.next_code(&world)).await, Ok(()));
    world.post(&by_token, &path(&session), json!({})).await.problem(409, "no-sign-in");

    let spec = json!({ "max_duration": "1h", "connect_auth": "key" });
    world.apply(json!([{ "kind": "ConnectionProfile", "name": "one-hour", "spec": spec }])).await;
    let without = world.request(&by_token, &["db1"]).await.remove(0);
    world.until_status(&without, "available").await;
    world.post(&by_token, &path(&without), json!({})).await.ok(200);
}

#[tokio::test]
async fn an_api_token_of_somebody_who_must_have_a_factor_and_has_none_launches_nothing() {
    let settings = SignInSettings { second_factor_roles: vec![Role::User], ..SignInSettings::default() };
    let (world, _, session) = world_with(settings).await;
    let by_token = world.token("alice").await;
    let path = format!("/api/v1/sessions/{session}/launch");
    world.post(&by_token, &path, json!({})).await.problem(409, "no-factor");
}
