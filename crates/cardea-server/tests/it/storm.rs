//! Many at once: all become available, all end clean, nothing is left on the hosts. The full storm is `cargo xtask bench storm`.

use cardea_testkit::LinuxHost;
use serde_json::json;

use crate::harness::Server;

#[test]
fn forty_requests_at_once_on_two_hosts() {
    let hosts = [LinuxHost::start("web1"), LinuxHost::start("web2")];
    let before = hosts.each_ref().map(LinuxHost::accounts_digest);
    let server = Server::start();
    server.furnish(&hosts.each_ref());
    let alice = server.api("alice");
    let ids: Vec<String> = std::thread::scope(|scope| {
        let alice = &alice;
        let sent: Vec<_> = (0..40).map(|n| scope.spawn(move || alice.request(["web1", "web2"][n % 2]))).collect();
        sent.into_iter().map(|request| request.join().expect("every request is taken")).collect()
    });
    for id in &ids {
        let session = alice.until(id, &["available", "failed"]);
        assert_eq!(session["status"], "available", "{session:#}");
    }
    let ended = alice.post("/sessions/end", json!({ "ids": ids })).ok();
    assert_eq!(ended["items"].as_array().map(Vec::len), Some(40));
    for id in &ids {
        alice.until(id, &["completed"]);
    }
    assert_eq!(hosts.each_ref().map(LinuxHost::accounts_digest), before);
    assert_eq!(alice.out(), 0);
}
