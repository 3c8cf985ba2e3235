//! The server killed at any moment, and restarted: the host ends as it was, and the session is told truly.

use std::{process::Stdio, time::Duration};

use cardea_testkit::LinuxHost;

use crate::harness::{Server, until_gone};

#[test]
fn killed_in_the_middle_of_provisioning() {
    let host = LinuxHost::start("web1");
    let before = host.accounts_digest();
    let mut server = Server::start();
    server.furnish(&[&host]);
    // The kill hits another step each time; whatever it hits, the outcome has to be the same.
    for delay in [0, 10, 20, 35, 50, 70, 100, 140] {
        let id = server.api("alice").request("web1");
        std::thread::sleep(Duration::from_millis(delay));
        server.kill();
        server.resume();
        let alice = server.api("alice");
        let session = alice.until(&id, &["available", "failed"]);
        if session["status"] == "available" {
            let run = server.ssh("alice", &id).arg("sudo -n id -u").output().expect("ssh runs");
            assert_eq!(String::from_utf8_lossy(&run.stdout).trim(), "0", "killed after {delay} ms");
            alice.end(&id);
        }
        alice.until_that(&id, "clean", |session| session["clean"] == true);
        assert_eq!(host.accounts_digest(), before, "killed after {delay} ms");
    }
    assert_eq!(server.api("admin").out(), 0);
}

#[test]
fn killed_in_the_middle_of_clean_up() {
    let host = LinuxHost::start("web1");
    let before = host.accounts_digest();
    let mut server = Server::start();
    server.furnish(&[&host]);
    for delay in [0, 10, 25, 50, 80] {
        let alice = server.api("alice");
        let id = alice.available("web1")["id"].as_str().expect("an id").to_owned();
        alice.end(&id);
        std::thread::sleep(Duration::from_millis(delay));
        server.kill();
        server.resume();
        server.api("alice").until(&id, &["completed"]);
        assert_eq!(host.accounts_digest(), before, "killed after {delay} ms");
    }
}

#[test]
fn a_restart_cuts_connections_and_lets_the_person_in_again() {
    let host = LinuxHost::start("web1");
    let before = host.accounts_digest();
    let mut server = Server::start();
    server.furnish(&[&host]);
    let id = server.api("alice").available("web1")["id"].as_str().expect("an id").to_owned();
    let mut open = server.ssh("alice", &id).arg("sleep 600").stdout(Stdio::null()).spawn().expect("ssh runs");
    server.api("alice").until(&id, &["logged_in"]);
    server.kill();
    until_gone(&mut open, Duration::from_secs(10));
    server.resume();
    let alice = server.api("alice");
    assert_eq!(alice.session(&id)["status"], "available");
    let run = server.ssh("alice", &id).arg("id -u").output().expect("ssh runs");
    assert!(run.status.success(), "a new key was placed");
    alice.until_that(&id, "rid of the former process's key", |session| {
        let keys = session["grants"].as_array().map(Vec::as_slice).unwrap_or_default();
        let count = |state: &str| {
            keys.iter().filter(|grant| grant["kind"] == "authorized_key" && grant["state"] == state).count()
        };
        count("placed") == 1 && count("removed") == 1
    });
    alice.end(&id);
    alice.until(&id, &["completed"]);
    assert_eq!(host.accounts_digest(), before);
}
