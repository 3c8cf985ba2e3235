//! Second factors at the gateway: a real `ssh`, which asks in the terminal.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Output, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use cardea_domain::Secret;
use cardea_testkit::LinuxHost;
use cardea_vault::Totp;
use serde_json::{Value, json};

use crate::{
    harness::{Expect as _, Server},
    password::signed_in,
};

const PASSWORD: &str = "six brass buttons on a coat";

/// A browser.
pub(crate) struct Browser<'a> {
    server: &'a Server,
    cookie: String,
}

impl<'a> Browser<'a> {
    pub(crate) fn sign_in(server: &'a Server, user: &str, password: &str) -> Self {
        let mut browser = Self { server, cookie: String::new() };
        let answer = browser.send("/sign-in", &json!({ "user": user, "password": password }));
        let cookie = answer.headers()["set-cookie"].to_str().expect("text").split(';').next().unwrap_or_default();
        browser.cookie = cookie.to_owned();
        browser
    }

    pub(crate) fn send(&self, path: &str, body: &Value) -> reqwest::blocking::Response {
        let request = self.server.client().post(self.server.url(&format!("/api/v1{path}")));
        let request = request.header("content-type", "application/json").header("origin", self.server.url(""));
        let request = request.header("cookie", &self.cookie).body(body.to_string());
        request.send().expect("the server answers").error_for_status().expect("it is right")
    }
}

/// Sets an authenticator app of alice's up and signs out: the app, the step of the code that proved it, and a recovery code.
#[expect(clippy::disallowed_methods, reason = "codes go by the wall clock, as the product sees it")]
fn enrol(server: &Server) -> (Totp, i64, String) {
    let browser = Browser::sign_in(server, "alice", PASSWORD);
    let enrolment = browser.send("/me/factors/totp", &json!({})).text().expect("a body");
    let enrolment: Value = serde_json::from_str(&enrolment).expect("JSON");
    let secret = Secret::new(enrolment["secret"].as_str().expect("a secret").to_owned());
    let phone = Totp::read(&secret).expect("base32");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later").as_secs();
    let step = i64::try_from(now / 30).expect("a step");
    let confirmed = browser.send("/me/factors/totp/confirm", &json!({ "code": phone.code(step) }));
    let confirmed: Value = serde_json::from_str(&confirmed.text().expect("a body")).expect("JSON");
    let recovery = confirmed["recovery_codes"][0].as_str().expect("a code").to_owned();
    browser.send("/sign-out", &json!({}));
    (phone, step, recovery)
}

/// A client with this key, which answers what it is asked for.
fn ssh(server: &Server, session: &str, key: Option<&str>, code: &str) -> Output {
    let script = format!("#!/bin/sh\ncase \"$1\" in *Code*) echo '{code}' ;; *) echo '{PASSWORD}' ;; esac\n");
    let answer = server.file("answer.sh", &script);
    fs::set_permissions(&answer, fs::Permissions::from_mode(0o700)).expect("the file is ours");
    Command::new("ssh")
        .args(["-F", "/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"])
        .args(["-o", "NumberOfPasswordPrompts=1", "-o", "IdentitiesOnly=yes", "-p", &server.ssh.to_string()])
        .args(["-i", key.unwrap_or("none"), &format!("{session}@127.0.0.1"), "id -un"])
        .env_remove("SSH_AUTH_SOCK")
        .env("SSH_ASKPASS", answer)
        .env("SSH_ASKPASS_REQUIRE", "force")
        .stdin(Stdio::null())
        .output()
        .expect("ssh runs")
}

#[test]
fn a_code_is_asked_for_in_the_terminal_and_then_not_again_for_a_while() {
    let host = LinuxHost::start("web1");
    let server = Server::start();
    server.furnish(&[&host]);
    let key = server.key("alice");
    let public = fs::read_to_string(key.with_extension("pub")).expect("ssh-keygen wrote it");
    let password = server.file("password-alice", PASSWORD);
    let spec = format!("{{ssh_keys: [{:?}], password_file: {password:?}}}", public.trim());
    server.apply(&format!("---\nkind: User\nname: alice\nspec: {spec}\n"));
    let alice = signed_in(&server, "alice", PASSWORD);
    let session = alice.available(host.name());
    let (id, account) = (session["id"].as_str().expect("an id"), session["login_account"].as_str().expect("a name"));
    let is_in = |output: &Output| String::from_utf8_lossy(&output.stdout).trim() == account;
    let batch = || server.ssh("alice", id).arg("id -un").output().expect("ssh runs");
    let inside = batch();
    assert!(is_in(&inside), "she has no second factor: {}", inside.text());
    let alone = ssh(&server, id, None, "000000");
    assert!(alone.status.code() == Some(255) && alone.text().contains("password alone"), "{}", alone.text());

    let (phone, step, recovery) = enrol(&server);
    let refused = batch();
    assert!(refused.status.code() == Some(255) && refused.text().contains("second factor"), "{}", refused.text());
    let used = ssh(&server, id, key.to_str(), &phone.code(step));
    assert!(used.status.code() == Some(255) && used.text().contains("used before"), "{}", used.text());
    // With the password in place of the key.
    let inside = ssh(&server, id, None, &phone.code(step + 1));
    assert!(is_in(&inside), "{}", inside.text());
    let inside = batch();
    assert!(is_in(&inside), "it was shown just now: {}", inside.text());
    // `cardea login` is asked for one too, and what it gets stands for the factor nowhere.
    let (code, token) = (server.file("code", &recovery), server.file("token", ""));
    let address = format!("https://localhost:{}", server.http);
    let ca_file = server.dir.path().join("data/http-cert.pem").display().to_string();
    let login =
        ["--server", &address, "--ca-file", &ca_file, "--token-file", &token, "login", "--user", "alice", "--no-ssh"];
    let login = [&login[..], &["--password-file", &password, "--code-file", &code]].concat();
    let said = server.cli(&login).expect_success().text();
    assert!(said.contains("Signed in as alice"), "{said}");
    let again = server.cli(&login);
    assert_eq!(again.status.code(), Some(1), "a recovery code works once: {}", again.text());
    for secret in [PASSWORD, phone.code(step + 1).as_str(), &recovery] {
        assert!(!server.log().contains(secret), "no secret reaches the log");
    }
}
