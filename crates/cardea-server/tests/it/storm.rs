//! Many at once: all become available, all end clean, nothing is left on the hosts. The full storm, 1,000 sessions on 10 hosts that
//! expire in the same second, is `cargo xtask bench storm`, and this test's when `CARDEA_TEST_LONG` is 1.

use cardea_testkit::LinuxHost;
use serde_json::json;

use crate::{
    crowd::{self, Times, expire_together},
    harness::{Server, Stream},
};

#[expect(clippy::disallowed_methods, reason = "the gate says by this variable how much time there is")]
fn is_long() -> bool {
    std::env::var("CARDEA_TEST_LONG").is_ok_and(|value| value == "1")
}

#[test]
fn forty_requests_at_once_on_two_hosts() {
    let hosts = [LinuxHost::start("web1"), LinuxHost::start("web2")];
    let before = hosts.each_ref().map(LinuxHost::accounts_digest);
    let server = Server::start();
    server.furnish(&hosts.each_ref());
    let alice = server.api("alice");
    let mut live = Stream::open(&server, &alice, None);
    let ids = crowd::request_all(&alice, &hosts, 40);
    crowd::until_all(&mut live, &alice, &ids, "available");
    let ended = alice.post("/sessions/end", json!({ "ids": ids })).ok();
    assert_eq!(ended["items"].as_array().map(Vec::len), Some(40));
    crowd::until_all(&mut live, &alice, &ids, "completed");
    assert_eq!(hosts.each_ref().map(LinuxHost::accounts_digest), before);
    assert_eq!(alice.out(), 0);
}

/// Short: twelve sessions, and the wait for a full minute, which is what hours are written in.
#[test]
fn what_expires_in_the_same_second_is_all_cleaned_up() {
    let (hosts, sessions) = if is_long() { (10, 1000) } else { (2, 12) };
    let hosts: Vec<_> = (1..=hosts).map(|number| LinuxHost::start(&format!("web{number}"))).collect();
    let Times { taken, available, clean } = expire_together(&hosts, sessions);
    println!("{sessions} sessions: taken after {taken:?}, available after {available:?}, clean after {clean:?}");
}
