//! Passwords that people see: a real sshd takes them while the session lasts, and not a moment longer.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Output};

use cardea_testkit::LinuxHost;
use serde_json::json;

use crate::harness::{Api, Expect as _, Server};

const ALICES_PASSWORD: &str = "three green bottles hanging";

/// alice, as somebody who signed in: what she reveals she does not reveal by a token of the operator's.
pub(crate) fn signed_in<'a>(server: &'a Server, user: &str, password: &str) -> Api<'a> {
    let client = server.client();
    let credentials = json!({ "user": user, "password": password }).to_string();
    let request = client.post(server.url("/api/v1/sign-in")).header("content-type", "application/json");
    let answer = request.body(credentials).send().expect("the server answers").error_for_status().expect("it is right");
    let cookie =
        answer.headers()["set-cookie"].to_str().expect("text").split(';').next().unwrap_or_default().to_owned();
    let wish = json!({ "name": "for a test" }).to_string();
    let request = client.post(server.url("/api/v1/tokens")).header("content-type", "application/json").body(wish);
    let request = request.header("cookie", cookie).header("origin", server.url(""));
    let made = request.send().expect("the server answers").error_for_status().expect("a token");
    let made: serde_json::Value = serde_json::from_str(&made.text().expect("a body")).expect("JSON");
    Api { server, token: made["token"].as_str().expect("a token").to_owned() }
}

/// A real ssh client straight at the host, which is asked for a password and gives this one.
fn log_in(server: &Server, host: &LinuxHost, account: &str, password: &str) -> Output {
    let answer = server.file("answer.sh", &format!("#!/bin/sh\necho '{password}'\n"));
    fs::set_permissions(&answer, fs::Permissions::from_mode(0o700)).expect("the file is ours");
    std::process::Command::new("ssh")
        .args(["-F", "/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"])
        .args(["-o", "PreferredAuthentications=password", "-o", "NumberOfPasswordPrompts=1", "-p"])
        .args([&host.port().to_string(), &format!("{account}@{}", host.address()), "id -un"])
        .env("SSH_ASKPASS", answer)
        .env("SSH_ASKPASS_REQUIRE", "force")
        .stdin(std::process::Stdio::null())
        .output()
        .expect("ssh runs")
}

fn profile(server: &Server, login_account: &str) {
    let file = server.file("password-alice", ALICES_PASSWORD);
    server.apply(&format!(
        "---\nkind: User\nname: alice\nspec: {{password_file: {file:?}}}\n---\nkind: Activity\nname: Linux admin\n\
         spec: {{platform: linux, protocol: ssh, login_account: {login_account}}}\n---\nkind: ConnectionProfile\n\
         name: one-hour\nspec: {{max_duration: 1h, password_access: reveal, direct_login: allow}}\n"
    ));
}

/// Shown, good for a log-in past the gateway, shown the same again; dead when the session is over.
fn good_until_the_end(server: &Server, host: &LinuxHost, login_account: &str) -> String {
    profile(server, login_account);
    let alice = signed_in(server, "alice", ALICES_PASSWORD);
    let session = alice.available(host.name());
    let id = session["id"].as_str().expect("an id");
    let reveal = || alice.post(&format!("/sessions/{id}/password"), json!({})).ok();
    let shown = reveal();
    let account = shown["user"].as_str().expect("an account").to_owned();
    let password = shown["password"].as_str().expect("a password").to_owned();
    assert_eq!((&shown["user"], &reveal()), (&session["login_account"], &shown));
    server.api("alice").post(&format!("/sessions/{id}/password"), json!({})).problem(403, "not-allowed");

    let inside = log_in(server, host, &account, &password);
    assert_eq!(String::from_utf8_lossy(&inside.stdout).trim(), account, "{}", inside.text());

    alice.end(id);
    alice.until(id, &["completed"]);
    let after = log_in(server, host, &account, &password);
    assert_eq!(after.status.code(), Some(255), "{}", after.text());
    assert!(!server.log().contains(&password), "no log has it");
    let data = fs::read_dir(server.dir.path().join("data")).expect("the data directory").flatten();
    for file in data.filter(|file| file.path().is_file()) {
        let bytes = fs::read(file.path()).expect("it is ours");
        let is_there = bytes.windows(password.len()).any(|window| window == password.as_bytes());
        assert!(!is_there, "{} has it in the clear", file.path().display());
    }
    password
}

#[test]
fn a_revealed_password_opens_the_host_until_the_session_ends() {
    let host = LinuxHost::start("web1");
    let before = host.accounts_digest();
    let server = Server::start();
    server.furnish(&[&host]);
    good_until_the_end(&server, &host, "{type: activity_token}");
    assert_eq!(host.accounts_digest(), before, "the host is as before");
    // One that the activity gives of itself is the one that is shown.
    let kept = good_until_the_end(&server, &host, "{type: managed, account: ops}");
    let next = good_until_the_end(&server, &host, "{type: managed, account: ops}");
    assert_ne!(kept, next, "each session of a managed account has a password of its own");
}
