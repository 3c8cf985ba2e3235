//! Keys in one's profile, and certificates for them.

use std::time::Duration;

use cardea_domain::{Certificate, Credential, Gate as _, GateRefusal, Login, Timestamp};
use serde_json::{Value, json};

use crate::world::{As, PASSWORD, World};

const KEYS: &str = "/api/v1/me/ssh-keys";
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFIR5p2lv7i3pG1yPQ7L2hXg9zq1m3h1yW8QvJ6T2k4d";
const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFIR5p2lv7i3pG1yPQ7L2hXg9zq1m3h1yW8QvJ6T2k4e";
const FINGERPRINT: &str = "SHA256:GXnghN+rNmihKcKwtT1iYl+ZiraSH1+PrR86PiN2Gmw";

/// Everybody can sign in; alice has an open session.
async fn world() -> (World, As, As, String) {
    let world = World::start().await;
    let with_password = |name: &str| json!({ "kind": "User", "name": name, "spec": { "password": PASSWORD } });
    world.apply(json!([with_password("alice"), with_password("bob")])).await;
    let (alice, bob) = (world.signed_in("alice").await, world.signed_in("bob").await);
    let session = world.request(&alice, &["web1"]).await.remove(0);
    world.until_status(&session, "available").await;
    (world, alice, bob, session)
}

async fn comes_in(world: &World, session: &str, credential: Credential) -> Result<(), &'static str> {
    let login = Login { user_name: session.to_owned(), credential, peer: ([192, 0, 2, 9], 4000).into() };
    world.app.admit(&login).await.map(drop).map_err(|no: GateRefusal| no.code)
}

fn key(line: &str) -> Credential {
    Credential::Key(line.to_owned())
}

#[tokio::test]
async fn a_key_of_ones_own_opens_ones_sessions_until_it_is_taken_away() {
    let (world, alice, _, session) = world().await;
    assert_eq!(comes_in(&world, &session, key(KEY)).await, Err(GateRefusal::UNKNOWN_KEY));
    let line = format!("{KEY} alice@laptop\n");
    let added = world.post(&alice, KEYS, json!({ "public_key": line })).await.ok(201);
    assert_eq!((&added["name"], &added["fingerprint"]), (&json!("alice@laptop"), &json!(FINGERPRINT)));
    assert_eq!((&added["public_key"], &added["last_used_at"]), (&json!(KEY), &Value::Null));
    assert_eq!(comes_in(&world, &session, key(KEY)).await, Ok(()));
    let listed = world.get(&alice, KEYS).await.ok(200);
    assert_eq!(listed["items"], json!([added]));

    let path = format!("{KEYS}/{}", added["id"].as_str().expect("an id"));
    world.send(&alice, "DELETE", &path, None).await.ok(204);
    world.send(&alice, "DELETE", &path, None).await.problem(404, "not-found");
    assert_eq!(comes_in(&world, &session, key(KEY)).await, Err(GateRefusal::UNKNOWN_KEY));
}

#[tokio::test]
async fn a_key_names_one_person_however_it_was_registered() {
    let (world, alice, bob, session) = world().await;
    let added = world.post(&alice, KEYS, json!({ "public_key": KEY })).await.ok(201);
    for who in [&alice, &bob] {
        let twice = world.post(who, KEYS, json!({ "public_key": format!("{KEY} again") })).await;
        assert_eq!(twice.wrong_fields(), ["/public_key"]);
    }
    let spec = |key: &str| json!({ "name": "dave", "spec": { "ssh_keys": [key] } });
    let taken = world.post(&As::Operator, "/api/v1/users", spec(KEY)).await;
    assert_eq!(taken.wrong_fields(), ["/spec/ssh_keys/0"]);
    world.post(&As::Operator, "/api/v1/users", spec(OTHER)).await.ok(201);
    let taken = world.post(&bob, KEYS, json!({ "public_key": OTHER })).await;
    assert_eq!(taken.wrong_fields(), ["/public_key"]);
    // Nobody takes another's key away, and what the configuration gives only it takes back.
    let path = format!("{KEYS}/{}", added["id"].as_str().expect("an id"));
    world.send(&bob, "DELETE", &path, None).await.problem(404, "not-found");
    for wrong in ["", "ssh-dss AAAA", "no key", "ssh-ed25519 AAAA\nssh-ed25519 BBBB"] {
        let answer = world.post(&bob, KEYS, json!({ "public_key": wrong })).await;
        assert_eq!(answer.wrong_fields(), ["/public_key"], "{wrong}");
    }
    assert_eq!(comes_in(&world, &session, key(KEY)).await, Ok(()));
    let by_token = world.token("alice").await;
    world.post(&by_token, KEYS, json!({ "public_key": OTHER })).await.problem(403, "not-allowed");
}

/// What the gateway reads out of a certificate that it has checked.
fn read(line: &str) -> Certificate {
    let bytes = data_encoding::BASE64.decode(line.split(' ').nth(1).expect("base64").as_bytes()).expect("base64");
    let mut rest = &bytes[..];
    let mut field = || {
        let (length, after) = rest.split_at(4);
        let length = u32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
        let (field, after) = after.split_at(length);
        rest = after;
        field.to_vec()
    };
    assert_eq!(field(), b"ssh-ed25519-cert-v01@openssh.com");
    let (_nonce, _key) = (field(), field());
    let numbers: Vec<u8> = rest[..12].to_vec();
    assert_eq!(numbers[8..], [0, 0, 0, 1], "for a user");
    rest = &rest[12..];
    let mut field = || {
        let (length, after) = rest.split_at(4);
        let length = u32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
        let (field, after) = after.split_at(length);
        rest = after;
        field.to_vec()
    };
    let (key_id, list) = (String::from_utf8(field()).expect("text"), field());
    let mut principals = Vec::new();
    let mut list = &list[..];
    while !list.is_empty() {
        let (length, after) = list.split_at(4);
        let (name, after) = after.split_at(u32::from_be_bytes(length.try_into().expect("four bytes")) as usize);
        principals.push(String::from_utf8(name.to_vec()).expect("text"));
        list = after;
    }
    let time = |bytes: &[u8]| {
        let seconds = u64::from_be_bytes(bytes.try_into().expect("eight bytes"));
        Timestamp::from_micros(i64::try_from(seconds).expect("a time") * 1_000_000)
    };
    Certificate { key_id, principals, valid_after: time(&rest[..8]), valid_before: time(&rest[8..16]) }
}

async fn certified(world: &World, who: &As, minutes: u32) -> Certificate {
    let wish = json!({ "public_key": KEY, "minutes": minutes });
    let made = world.post(who, "/api/v1/me/ssh-certificate", wish).await.ok(201);
    read(made["certificate"].as_str().expect("a certificate"))
}

#[tokio::test]
async fn a_certificate_is_its_users_and_ends_with_time_and_with_what_it_hangs_on() {
    let (world, alice, bob, session) = world().await;
    let good = certified(&world, &alice, 10).await;
    assert!(good.principals.contains(&"alice".to_owned()), "{good:?}");
    let shown = |certificate: &Certificate| Credential::Certificate(certificate.clone());
    assert_eq!(comes_in(&world, &session, shown(&good)).await, Ok(()));
    let bobs = certified(&world, &bob, 10).await;
    assert_eq!(comes_in(&world, &session, shown(&bobs)).await, Err("no-session"));
    for forged in [
        Certificate { principals: bobs.principals.clone(), ..good.clone() },
        Certificate { key_id: "somebody else's words".to_owned(), ..good.clone() },
        Certificate { key_id: good.key_id.replace("cardea", "other"), ..good.clone() },
    ] {
        assert_eq!(comes_in(&world, &session, shown(&forged)).await, Err(GateRefusal::UNKNOWN_KEY), "{forged:?}");
    }

    // As long as asked for, and no longer than the server allows.
    world.clock.advance(Duration::from_secs(601));
    assert_eq!(comes_in(&world, &session, shown(&good)).await, Err("certificate-over"));
    let long = certified(&world, &alice, 1_000_000).await;
    assert!(long.valid_before.since(long.valid_after) <= Duration::from_secs(3_606), "{long:?}");
    assert_eq!(comes_in(&world, &session, shown(&long)).await, Ok(()));
    world.post(&alice, "/api/v1/sign-out", json!({})).await.ok(204);
    assert_eq!(comes_in(&world, &session, shown(&long)).await, Err("certificate-over"), "it hung on the sign-in");

    let again = world.signed_in("alice").await;
    let last = certified(&world, &again, 10).await;
    assert_eq!(comes_in(&world, &session, shown(&last)).await, Ok(()));
    world.apply(json!([{ "kind": "User", "name": "alice", "spec": { "disabled": true } }])).await;
    assert_eq!(comes_in(&world, &session, shown(&last)).await, Err("kept-out"));
}

#[tokio::test]
async fn a_key_of_somebody_else_is_not_certified_and_neither_is_nonsense() {
    let (world, alice, bob, _) = world().await;
    world.post(&alice, KEYS, json!({ "public_key": KEY })).await.ok(201);
    let path = "/api/v1/me/ssh-certificate";
    for wrong in [KEY, "", "ssh-ed25519 AAAA"] {
        let answer = world.post(&bob, path, json!({ "public_key": wrong })).await;
        assert_eq!(answer.wrong_fields(), ["/public_key"], "{wrong}");
    }
    let none = world.post(&alice, path, json!({ "public_key": KEY, "minutes": 0 })).await;
    assert_eq!(none.wrong_fields(), ["/minutes"]);
    let authority = world.get(&bob, "/api/v1/ssh-authority").await.ok(200);
    assert!(authority["public_key"].as_str().is_some_and(|key| key.starts_with("ssh-ed25519 ")), "{authority}");
    assert_eq!(world.get(&As::Operator, "/api/v1/ssh-authority").await.ok(200), authority, "there is one");
}
