//! Keys in one's profile, and certificates for them.

use std::time::Duration;

use cardea_app::SignInSettings;
use cardea_domain::{Certificate, Credential, Entry, Gate as _, GateRefusal, Lease, Login, Timestamp};
use cardea_testkit::FakeCourier;
use serde_json::{Value, json};

use crate::{
    notice::outlets,
    world::{As, PASSWORD, World},
};

const KEYS: &str = "/api/v1/me/ssh-keys";
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFIR5p2lv7i3pG1yPQ7L2hXg9zq1m3h1yW8QvJ6T2k4d";
const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFIR5p2lv7i3pG1yPQ7L2hXg9zq1m3h1yW8QvJ6T2k4e";
/// The gateway's own.
const GATEWAYS: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFIR5p2lv7i3pG1yPQ7L2hXg9zq1m3h1yW8QvJ6T2k4f";
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

/// Comes in and opens a connection; what it then hears when it is cut.
async fn connects(world: &World, session: &str, credential: Credential) -> Lease {
    let login = Login { user_name: session.to_owned(), credential, peer: ([192, 0, 2, 9], 4000).into() };
    let Ok(Entry::Open(admission)) = world.app.admit(&login).await else { panic!("a key is enough") };
    world.app.join(&admission, GATEWAYS).await.expect("a way in")
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
    connects(&world, &session, key(KEY)).await;
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

/// A public key is public: whoever says first that it is theirs keeps nobody from it who holds the private half.
#[tokio::test]
async fn who_squats_a_key_loses_it_to_who_comes_in_with_it() {
    let (world, alice, bob, session) = world().await;
    world.post(&bob, KEYS, json!({ "public_key": format!("{KEY} mine") })).await.ok(201);
    let added = world.post(&alice, KEYS, json!({ "public_key": KEY })).await.ok(201);
    assert_eq!(added["proven"], false);
    assert_eq!(world.post(&bob, KEYS, json!({ "public_key": KEY })).await.wrong_fields(), ["/public_key"]);
    // To show a key without coming in with it shows nothing: it is only claimed.
    assert_eq!(comes_in(&world, &session, key(KEY)).await, Ok(()));
    assert_eq!(world.get(&bob, KEYS).await.ok(200)["items"].as_array().map(Vec::len), Some(1));

    let mut heard = world.listen(&bob, "/api/v1/events", None).await.expect("a stream");
    connects(&world, &session, key(KEY)).await;
    assert_eq!(heard.until("alert").await.json()["code"], "ssh_key_lost");
    assert_eq!(world.get(&bob, KEYS).await.ok(200)["items"], json!([]));
    let own = world.get(&alice, KEYS).await.ok(200);
    assert_eq!((&own["items"][0]["proven"], own["items"][0]["last_used_at"].is_string()), (&json!(true), true));
    assert_eq!(world.post(&bob, KEYS, json!({ "public_key": KEY })).await.wrong_fields(), ["/public_key"]);
}

/// What administrators write counts at once, and no claim stands in its way.
#[tokio::test]
async fn the_configuration_takes_a_key_over_that_nobody_has_shown() {
    let (world, alice, bob, session) = world().await;
    world.post(&bob, KEYS, json!({ "public_key": KEY })).await.ok(201);
    let spec = json!({ "password": PASSWORD, "ssh_keys": [KEY] });
    world.apply(json!([{ "kind": "User", "name": "alice", "spec": spec }])).await;
    assert_eq!(comes_in(&world, &session, key(KEY)).await, Ok(()));
    let certificate = world.post(&bob, "/api/v1/me/ssh-certificate", json!({ "public_key": KEY })).await;
    assert_eq!(certificate.wrong_fields(), ["/public_key"]);
    let own = world.get(&alice, KEYS).await.ok(200);
    assert_eq!((&own["items"][0]["id"], &own["items"][0]["proven"]), (&Value::Null, &json!(true)));
}

#[tokio::test]
async fn an_administrator_sees_keys_and_takes_one_away_with_what_it_opened() {
    let (world, alice, bob, session) = world().await;
    let added = world.post(&alice, KEYS, json!({ "public_key": format!("{KEY} laptop") })).await.ok(201);
    let admin = world.signed_in("admin").await;
    let path = "/api/v1/users/alice/ssh-keys";
    let one = format!("{path}/{}", added["id"].as_str().expect("an id"));
    let carol = world.token("carol").await;
    for who in [&admin, &alice, &carol, &As::Operator] {
        assert_eq!(world.get(who, path).await.ok(200)["items"][0]["fingerprint"], FINGERPRINT);
    }
    world.get(&bob, path).await.problem(403, "not-allowed");
    for who in [&bob, &alice, &carol, &world.token("admin").await] {
        world.send(who, "DELETE", &one, None).await.problem(403, "not-allowed");
    }
    world.send(&admin, "DELETE", &one.replace("alice", "bob"), None).await.problem(404, "not-found");

    let certificate = Credential::Certificate(certified(&world, &alice, 10).await);
    assert_eq!(comes_in(&world, &session, certificate.clone()).await, Ok(()));
    let lease = connects(&world, &session, key(KEY)).await;
    let mut heard = world.listen(&alice, "/api/v1/events", None).await.expect("a stream");
    world.send(&admin, "DELETE", &one, None).await.ok(204);
    let cut = tokio::time::timeout(Duration::from_secs(60), lease.ended).await.expect("it is cut at once");
    assert!(cut.sentence.contains("not registered any more"), "{cut:?}");
    let alert = heard.until("alert").await.json();
    assert_eq!(
        (&alert["code"], &alert["text"]),
        (&json!("ssh_key_gone"), &json!("admin took the SSH key \"laptop\" of alice away"))
    );
    for shown in [key(KEY), certificate] {
        assert_eq!(comes_in(&world, &session, shown).await, Err(GateRefusal::UNKNOWN_KEY));
    }
    // An old factor is not enough for it.
    let added = world.post(&alice, KEYS, json!({ "public_key": KEY })).await.ok(201);
    world.clock.advance(Duration::from_secs(15 * 60 + 1));
    let one = format!("{path}/{}", added["id"].as_str().expect("an id"));
    world.send(&admin, "DELETE", &one, None).await.problem(403, "factor-needed");
}

/// As of a new device: whoever gets into a browser for a moment does not stay by a key of their own.
#[tokio::test]
async fn its_owner_is_told_of_a_new_key_by_mail_and_in_the_browser() {
    let world = World::start().await;
    let courier = FakeCourier::new();
    world.app.tell_by(outlets(courier.clone()));
    let spec = json!({ "password": PASSWORD, "email": "alice@example.com" });
    world.apply(json!([{ "kind": "User", "name": "alice", "spec": spec }])).await;
    let (app, stop) = (world.app.clone(), world.stop.clone());
    let lanes = tokio::spawn(async move { app.run_notices(stop).await });
    let alice = world.signed_in("alice").await;
    let mut heard = world.listen(&alice, "/api/v1/events", None).await.expect("a stream");
    world.post(&alice, KEYS, json!({ "public_key": KEY, "name": "laptop" })).await.ok(201);
    let alert = heard.until("alert").await.json();
    assert_eq!(alert["code"], "ssh_key_added");
    assert!(alert["text"].as_str().is_some_and(|text| text.contains(FINGERPRINT)), "{alert}");
    let mail = courier.mail("a mail about the key", |mail| mail.subject.contains("SSH key")).await;
    assert_eq!(mail.to, "alice@example.com");
    assert!(mail.text.contains("Key: laptop\n") && mail.text.contains(FINGERPRINT), "{}", mail.text);
    lanes.abort();
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
    let (_nonce, key) = (field(), field());
    // The key by itself, as a file of OpenSSH has it.
    let part = |bytes: &[u8]| [&u32::try_from(bytes.len()).expect("a length").to_be_bytes()[..], bytes].concat();
    let public_key =
        format!("ssh-ed25519 {}", data_encoding::BASE64.encode(&[part(b"ssh-ed25519"), part(&key)].concat()));
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
    Certificate { key_id, public_key, principals, valid_after: time(&rest[..8]), valid_before: time(&rest[8..16]) }
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

    // Nobody writes into it that its key is registered, or that it is not.
    let other_key = Certificate { key_id: format!("{} registered", good.key_id), ..good.clone() };
    assert_eq!(comes_in(&world, &session, shown(&other_key)).await, Err(GateRefusal::UNKNOWN_KEY));

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
async fn a_certificate_lasts_no_longer_than_a_sign_in_may_be_idle() {
    let idle = Duration::from_secs(600);
    let world = World::start_with(SignInSettings { idle, ..SignInSettings::default() }).await;
    world.apply(json!([{ "kind": "User", "name": "alice", "spec": { "password": PASSWORD } }])).await;
    let alice = world.signed_in("alice").await;
    let session = world.request(&alice, &["web1"]).await.remove(0);
    world.until_status(&session, "available").await;
    let by_sign_in = certified(&world, &alice, 60).await;
    let made = world.post(&alice, "/api/v1/tokens", json!({ "name": "cardea login" })).await.ok(201);
    let token = As::Token(made["token"].as_str().expect("a token").to_owned());
    let by_token = certified(&world, &token, 60).await;
    let shown = |certificate: &Certificate| Credential::Certificate(certificate.clone());
    for certificate in [&by_sign_in, &by_token] {
        assert!(certificate.valid_before.since(certificate.valid_after) <= Duration::from_secs(606), "{certificate:?}");
        assert_eq!(comes_in(&world, &session, shown(certificate)).await, Ok(()));
    }
    // Whoever held on to one with more time in it than its sign-in has would be refused as well.
    let longer = Certificate { valid_before: by_sign_in.valid_before.plus(idle), ..by_sign_in.clone() };
    world.clock.advance(Duration::from_secs(540));
    assert_eq!(comes_in(&world, &session, shown(&longer)).await, Ok(()));
    world.clock.advance(Duration::from_secs(61));
    for certificate in [&by_sign_in, &by_token, &longer] {
        assert_eq!(comes_in(&world, &session, shown(certificate)).await, Err("certificate-over"));
    }
    let last = certified(&world, &token, 60).await;
    let id = made["id"].as_str().expect("an id");
    world.send(&As::Operator, "DELETE", &format!("/api/v1/tokens/{id}"), None).await.ok(204);
    assert_eq!(comes_in(&world, &session, shown(&last)).await, Err("certificate-over"), "its token is revoked");
}

#[tokio::test]
async fn a_key_of_somebody_else_is_not_certified_and_neither_is_nonsense() {
    let (world, alice, bob, session) = world().await;
    world.post(&alice, KEYS, json!({ "public_key": KEY })).await.ok(201);
    connects(&world, &session, key(KEY)).await;
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
