//! What goes wrong on the way to a host and on it: each has a clear reason, nothing is half done, nothing is left.

use cardea_testkit::LinuxHost;
use serde_json::Value;

use crate::harness::{Api, Server, policy};

/// Requests, expects a failure with this code, and that everything is gone again.
#[track_caller]
fn fails(alice: &Api<'_>, resource: &str, code: &str) -> Value {
    let id = alice.request(resource);
    alice.until(&id, &["failed"]);
    let session = alice.until_that(&id, "clean", |session| session["clean"] == true);
    assert_eq!(session["reason"]["code"], code, "{session:#}");
    let detail = session["reason"]["detail"].as_str().unwrap_or_default();
    assert!(detail.len() > 20, "the reason is a sentence: {detail}");
    assert_eq!(alice.out(), 0);
    alice.post(&format!("/sessions/{id}/dismiss"), serde_json::json!({})).ok();
    assert_eq!(alice.get("/sessions?view=active").ok()["items"], serde_json::json!([]));
    session
}

/// A server that knows one resource with this address, port and key.
fn with_resource(host: &LinuxHost, port: u16, host_key: &str, service_key: &str) -> Server {
    let server = Server::start();
    let resource = server.resource("web1", &host.address().to_string(), port, host_key);
    let yaml = server.people() + &resource + &server.service_account("web1", service_key) + &policy(&["web1"]);
    server.apply(&yaml);
    server
}

#[test]
fn a_host_that_is_away() {
    let host = LinuxHost::start("web1");
    let server = with_resource(&host, 1, host.host_key(), &host.service_key());
    fails(&server.api("alice"), "web1", "unreachable");
}

#[test]
fn a_host_with_another_key_than_the_pinned_one() {
    let (host, other) = (LinuxHost::start("web1"), LinuxHost::start("web2"));
    let before = host.accounts_digest();
    let server = with_resource(&host, host.port(), other.host_key(), &host.service_key());
    let session = fails(&server.api("alice"), "web1", "host_key_changed");
    assert!(
        session["reason"]["detail"].as_str().is_some_and(|text| text.contains(other.host_key())),
        "it shows the pinned key"
    );
    assert_eq!(host.accounts_digest(), before);
}

#[test]
fn a_service_account_that_may_not_log_in() {
    let (host, other) = (LinuxHost::start("web1"), LinuxHost::start("web2"));
    let server = with_resource(&host, host.port(), host.host_key(), &other.service_key());
    fails(&server.api("alice"), "web1", "login_refused");
}

#[test]
fn a_service_account_that_sudo_refuses() {
    let host = LinuxHost::start("web1");
    // Before Cardea knows the host, which it looks at as soon as it does, and then has a root shell there.
    host.root("rm /etc/sudoers.d/*");
    let before = host.accounts_digest();
    let server = with_resource(&host, host.port(), host.host_key(), &host.service_key());
    fails(&server.api("alice"), "web1", "elevation_refused");
    assert_eq!(host.accounts_digest(), before);
}

#[test]
fn a_number_that_somebody_else_has() {
    let host = LinuxHost::start("web1");
    host.root("useradd -u 70000 -M somebody");
    let before = host.accounts_digest();
    let server = Server::start();
    server.furnish(&[&host]);
    let session = fails(&server.api("alice"), "web1", "collision");
    assert!(session["reason"]["detail"].as_str().is_some_and(|text| text.contains("somebody")), "{session:#}");
    assert_eq!(host.accounts_digest(), before, "what is not ours was not touched");
    server.api("alice").available("web1");
}

#[test]
fn a_step_that_the_host_refuses_undoes_those_before_it() {
    let host = LinuxHost::start("web1");
    let before = host.accounts_digest();
    let server = Server::start();
    server.furnish(&[&host]);
    server.apply(&policy(&["web1"]).replace("group: adm", "group: no-such-group"));
    let session = fails(&server.api("alice"), "web1", "target_refused");
    assert!(session["reason"]["detail"].as_str().is_some_and(|text| text.contains("no-such-group")), "{session:#}");
    assert_eq!(host.accounts_digest(), before);
}

#[test]
fn clean_up_of_a_host_that_is_away_goes_on_until_it_is_back() {
    let mut host = LinuxHost::start("web1");
    let before = host.accounts_digest();
    let server = Server::start();
    server.furnish(&[&host]);
    let alice = server.api("alice");
    let session = alice.available("web1");
    let id = session["id"].as_str().expect("an id");
    host.stop();
    alice.end(id);
    let session = alice.until_that(id, "failing its clean-up", |session| {
        session["grants"]
            .as_array()
            .is_some_and(|grants| grants.iter().any(|grant| grant["attempts"].as_i64() > Some(0)))
    });
    assert_eq!(session["status"], "canceling");
    let all = ["account", "dead_man", "group_membership", "sudo_rule"];
    assert_eq!(alice.kinds_out(), all, "all are still out there, and the ledger says so");
    host.resume();
    alice.until(id, &["completed"]);
    assert_eq!((host.accounts_digest(), alice.out()), (before, 0));
}

#[test]
fn a_request_that_nobody_can_grant_any_more_touches_nothing() {
    let host = LinuxHost::start("web1");
    let mut server = Server::start();
    server.furnish(&[&host]);
    let before = host.accounts_digest();
    let id = server.api("alice").available("web1")["id"].as_str().expect("an id").to_owned();
    server.stop();
    server.resume();
    let alice = server.api("alice");
    assert_eq!(alice.session(&id)["status"], "available", "a restart ends nothing");
    alice.end(&id);
    alice.until(&id, &["completed"]);
    assert_eq!(host.accounts_digest(), before);
}
