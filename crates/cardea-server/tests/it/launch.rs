//! Launch: a real `ssh` without a key, which is asked for a password and gives a one-time token.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Output, Stdio},
};

use cardea_testkit::{LinuxHost, Postgres};
use serde_json::{Value, json};

use crate::harness::{Api, Expect as _, Server};

/// Runs the launch's own command at this server's gateway, and gives the token when asked.
fn come_in(server: &Server, launch: &Value) -> Output {
    let token = launch["token"].as_str().expect("a token");
    let answer = server.file("token.sh", &format!("#!/bin/sh\necho '{token}'\n"));
    fs::set_permissions(&answer, fs::Permissions::from_mode(0o700)).expect("the file is ours");
    let command = launch["command"].as_str().expect("a command");
    assert!(!command.contains(token), "other people see commands");
    let user = launch["user"].as_str().expect("a user name");
    assert!(command.starts_with("ssh ") && command.contains(user), "{command}");
    Command::new("ssh")
        .args(["-F", "/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"])
        .args(["-o", "IdentityFile=none", "-o", "NumberOfPasswordPrompts=1", "-p", &server.ssh.to_string()])
        .args([&format!("{user}@127.0.0.1"), "id -un"])
        .env("SSH_ASKPASS", answer)
        .env("SSH_ASKPASS_REQUIRE", "force")
        .stdin(Stdio::null())
        .output()
        .expect("ssh runs")
}

fn launch(alice: &Api<'_>, session: &str) -> Value {
    alice.post(&format!("/sessions/{session}/launch"), json!({})).ok()
}

#[test]
fn a_launch_token_brings_its_user_in_once_at_any_node() {
    let postgres = Postgres::shared();
    let host = LinuxHost::start("web1");
    let server = Server::on(Some(postgres.fresh_database()));
    server.furnish(&[&host]);
    let other = server.join();
    let alice = server.api("alice");
    let session = alice.available(host.name());
    let id = session["id"].as_str().expect("an id");
    let account = session["login_account"].as_str().expect("an account");

    for node in [&server, &other] {
        let token = launch(&alice, id);
        let inside = come_in(node, &token);
        assert_eq!(String::from_utf8_lossy(&inside.stdout).trim(), account, "{}", inside.text());
        for again in [&other, &server] {
            let refused = come_in(again, &token);
            assert_eq!(refused.status.code(), Some(255), "it was used: {}", refused.text());
            assert!(refused.text().contains("Cardea: this is not a token that opens"), "{}", refused.text());
        }
    }
    server.api("mallory").post(&format!("/sessions/{id}/launch"), json!({})).problem(404, "not-found");
    let unused = launch(&alice, id);
    alice.end(id);
    let over = come_in(&server, &unused);
    assert!(over.status.code() == Some(255) && over.text().contains("over"), "{}", over.text());
    assert!(!server.log().contains(unused["token"].as_str().expect("a token")), "no token reaches the log");
}
