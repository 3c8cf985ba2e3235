//! Many sessions on several real hosts: requested side by side, and ended all in the same second by the hours of their policy.

use std::{
    collections::{BTreeSet, HashSet},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use cardea_testkit::LinuxHost;
use serde_json::json;

use crate::harness::{Api, Server, Stream};

/// Clients that submit side by side.
const CLIENTS: usize = 50;
/// The hours end at a full minute that is at least this far away: every session has to hear of it before.
const NOTICE: Duration = Duration::from_secs(25);
const MINUTE: u64 = 60;

/// How long each part took.
pub(crate) struct Times {
    pub(crate) taken: Duration,
    pub(crate) available: Duration,
    /// From the second in which all of them ended until the last one was verified clean.
    pub(crate) clean: Duration,
}

/// Lets `sessions` sessions become available on the hosts and expire in the same second. Nothing of them is left.
pub(crate) fn expire_together(hosts: &[LinuxHost], sessions: usize) -> Times {
    let before: Vec<_> = hosts.iter().map(LinuxHost::accounts_digest).collect();
    let server = Server::start();
    server.furnish(&hosts.iter().collect::<Vec<_>>());
    let alice = server.api("alice");
    let mut live = Stream::open(&server, &alice, None);

    let began = Instant::now();
    let ids = request_all(&alice, hosts, sessions);
    let taken = began.elapsed();
    until_all(&mut live, &alice, &ids, "available");
    let available = began.elapsed();

    let closing = close_hours(&server, hosts);
    let ends: BTreeSet<_> = ids.iter().map(|id| agreed_end(&alice, id, closing)).collect();
    assert_eq!(ends.len(), 1, "all end in the same second: {ends:?}");
    assert!(now() < closing, "every session heard of its end before it");
    until_all(&mut live, &alice, &ids, "completed");
    let clean = now().saturating_sub(closing);

    assert_eq!(
        hosts.iter().map(LinuxHost::accounts_digest).collect::<Vec<_>>(),
        before,
        "nothing is left on the hosts"
    );
    assert_eq!(alice.out(), 0, "nothing is left in the ledger");
    Times { taken, available, clean }
}

/// Requests sessions from many clients at once, on the hosts in turn.
pub(crate) fn request_all(alice: &Api<'_>, hosts: &[LinuxHost], sessions: usize) -> Vec<String> {
    thread::scope(|scope| {
        let share = |client: usize| {
            let turns = (client..sessions).step_by(CLIENTS);
            turns.map(|turn| alice.request(hosts[turn % hosts.len()].name())).collect::<Vec<_>>()
        };
        let clients: Vec<_> = (0..CLIENTS).map(|client| scope.spawn(move || share(client))).collect();
        clients.into_iter().flat_map(|client| client.join().expect("every request is taken")).collect()
    })
}

/// Reads events until every session has had this status.
pub(crate) fn until_all(live: &mut Stream, alice: &Api<'_>, ids: &[String], status: &str) {
    let mut left: HashSet<&str> = ids.iter().map(String::as_str).collect();
    while !left.is_empty() {
        let event = live.next();
        assert_ne!(event.data["status"], "failed", "{:#}", event.data);
        if event.kind == "reset" {
            left.retain(|id| alice.session(id)["status"] != status);
        } else if event.kind == "session" && event.data["status"] == status {
            left.remove(event.data["id"].as_str().unwrap_or_default());
        }
    }
}

/// Gives the policy hours that end soon; the moment at which they do, since 1970.
fn close_hours(server: &Server, hosts: &[LinuxHost]) -> Duration {
    let closing = (now() + NOTICE).as_secs().div_ceil(MINUTE) * MINUTE;
    let names: Vec<_> = hosts.iter().map(LinuxHost::name).collect();
    let window = json!({ "from": of_day(closing - 3600), "to": of_day(closing) });
    let spec = json!({
        "users": ["alice"], "activities": ["Linux admin"], "resources": names, "connection_profile": "one-hour",
        "schedule": { "zone": "UTC", "windows": [window] },
    });
    server.apply(&format!("kind: AccessPolicy\nname: operators\nspec: {spec}\n"));
    Duration::from_secs(closing)
}

/// Waits until the session knows of its new end, which is the closing.
fn agreed_end(alice: &Api<'_>, id: &str, closing: Duration) -> String {
    let wanted = format!("T{}:00.000000Z", of_day(closing.as_secs()));
    let session = alice.until_that(id, "bound by the hours", |session| {
        session["end_at"].as_str().is_some_and(|end| end.ends_with(&wanted))
    });
    session["end_at"].as_str().unwrap_or_default().to_owned()
}

/// The time of day in UTC, as hours are written.
fn of_day(seconds: u64) -> String {
    format!("{:02}:{:02}", seconds / 3600 % 24, seconds / MINUTE % 60)
}

#[expect(clippy::disallowed_methods, reason = "hours are of the wall clock, as the product sees it")]
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970")
}
