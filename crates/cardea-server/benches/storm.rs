//! `cargo xtask bench storm`: 500 requests at once on two hosts. All become available, all end clean, nothing is left.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "../tests/it/harness.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod harness;

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use cardea_testkit::LinuxHost;
use harness::{Server, Stream};
use serde_json::json;

const SESSIONS: usize = 500;
/// Clients that submit side by side.
const CLIENTS: usize = 50;

fn main() {
    let hosts = [LinuxHost::start("web1"), LinuxHost::start("web2")];
    let before = hosts.each_ref().map(LinuxHost::accounts_digest);
    let server = Server::start();
    server.furnish(&hosts.each_ref());
    let alice = server.api("alice");
    let mut live = Stream::open(&server, &alice, None);

    let began = Instant::now();
    let ids: Vec<String> = std::thread::scope(|scope| {
        let alice = &alice;
        let share = |client: usize| {
            (client..SESSIONS).step_by(CLIENTS).map(|n| alice.request(["web1", "web2"][n % 2])).collect::<Vec<_>>()
        };
        let clients: Vec<_> = (0..CLIENTS).map(|client| scope.spawn(move || share(client))).collect();
        clients.into_iter().flat_map(|client| client.join().expect("every request is taken")).collect()
    });
    let taken = began.elapsed();
    until_all(&mut live, &ids, "available");
    let available = began.elapsed();

    let began = Instant::now();
    for some in ids.chunks(100) {
        alice.post("/sessions/end", json!({ "ids": some })).ok();
    }
    until_all(&mut live, &ids, "completed");
    let clean = began.elapsed();

    assert_eq!(hosts.each_ref().map(LinuxHost::accounts_digest), before, "nothing is left on the hosts");
    assert_eq!(alice.out(), 0, "nothing is left in the ledger");
    let rate = |time: Duration| SESSIONS as f64 / time.as_secs_f64();
    println!(
        "{SESSIONS} requests taken after {:.1} s, all available after {:.1} s ({:.0} sessions/s)",
        taken.as_secs_f64(),
        available.as_secs_f64(),
        rate(available)
    );
    println!(
        "all ended and verified clean after {:.1} s ({:.0} sessions/s); hosts and ledger are as before",
        clean.as_secs_f64(),
        rate(clean)
    );
}

/// Reads events until every session has had this status.
fn until_all(live: &mut Stream, ids: &[String], status: &str) {
    let mut left: HashSet<&str> = ids.iter().map(String::as_str).collect();
    while !left.is_empty() {
        let event = live.next();
        assert_ne!(event.data["status"], "failed", "{:#}", event.data);
        if event.kind == "session" && event.data["status"] == status {
            left.remove(event.data["id"].as_str().unwrap_or_default());
        }
    }
}
