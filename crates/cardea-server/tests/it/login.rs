//! `cardea login`: a password once, then a token for the command line and a certified key in a real ssh agent.

use std::{
    fs,
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

use cardea_testkit::{LinuxHost, wait};
use serde_json::{Value, json};

use crate::{
    connect::Browser,
    harness::{Expect as _, PATIENCE, Server, until_gone},
    password::signed_in,
};

const PASSWORD: &str = "five silver spoons and a fork";

/// An ssh agent with nothing in it.
struct Agent {
    process: Child,
    socket: PathBuf,
}

impl Agent {
    fn start(server: &Server) -> Self {
        let socket = server.dir.path().join("agent");
        let mut command = Command::new("ssh-agent");
        let process = command.arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().expect("ssh-agent runs");
        let agent = Self { process, socket };
        wait(PATIENCE, "the agent listens", || agent.socket.exists());
        agent
    }

    fn list(&self) -> String {
        Command::new("ssh-add").arg("-L").env("SSH_AUTH_SOCK", &self.socket).output().expect("ssh-add runs").text()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.process.kill().expect("it is our child");
        self.process.wait().expect("it is our child");
    }
}

/// `cardea` as alice has it on her own machine: no data directory, a home, an agent.
fn alices(server: &Server, arguments: &[&str], agent: Option<&Agent>) -> Output {
    let home = server.dir.path().join("home");
    fs::create_dir_all(&home).expect("the folder is writable");
    let mut command = Command::new(env!("CARGO_BIN_EXE_cardea"));
    command.env_remove("SSH_AUTH_SOCK").env_remove("XDG_CONFIG_HOME").env("HOME", &home);
    command.env("CARDEA_SERVER", format!("https://localhost:{}", server.http));
    command.env("CARDEA_CA_FILE", server.dir.path().join("data/http-cert.pem"));
    if let Some(agent) = agent {
        command.env("SSH_AUTH_SOCK", &agent.socket);
    }
    command.args(arguments).current_dir(home).stdin(Stdio::null()).output().expect("the binary runs")
}

fn ssh(server: &Server, session: &str, key: Option<&str>, agent: Option<&Agent>) -> Output {
    let mut command = Command::new("ssh");
    command.env_remove("SSH_AUTH_SOCK");
    command.args(["-F", "/dev/null", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"]);
    command.args(["-o", "UserKnownHostsFile=/dev/null", "-p", &server.ssh.to_string()]);
    if let Some(key) = key {
        command.args(["-i", key]);
    }
    if let Some(agent) = agent {
        command.env("SSH_AUTH_SOCK", &agent.socket);
    }
    command.arg(format!("{session}@127.0.0.1")).arg("id -un").stdin(Stdio::null()).output().expect("ssh runs")
}

#[test]
fn login_puts_a_certified_key_into_the_agent_that_opens_ones_sessions() {
    let host = LinuxHost::start("web1");
    let server = Server::start();
    server.furnish(&[&host]);
    let password = server.file("password-alice", PASSWORD);
    // No key of hers is registered.
    server.apply(&format!("---\nkind: User\nname: alice\nspec: {{password_file: {password:?}}}\n"));
    let agent = Agent::start(&server);
    let login = ["login", "--user", "alice", "--password-file", &password, "--expires", "2h"];
    let wrong = server.file("wrong", "not her password");
    let refused = alices(&server, &["login", "--user", "alice", "--password-file", &wrong], Some(&agent));
    assert_eq!(refused.status.code(), Some(1), "{}", refused.text());

    let said = alices(&server, &login, Some(&agent)).expect_success().text();
    assert!(said.contains("Signed in as alice") && said.contains("agent has a certified key"), "{said}");
    let folder = server.dir.path().join("home/.config/cardea");
    let token = folder.join(format!("tokens/localhost_{}", server.http));
    let mode = |path: &PathBuf| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&token), mode(&folder.join("tokens"))), (0o600, 0o700));
    assert!(fs::read_dir(folder.join("keys")).expect("the folder").next().is_none(), "only the agent has the key");
    assert!(agent.list().contains("ssh-ed25519-cert-v01@openssh.com"), "{}", agent.list());
    // The token that it keeps is what the other commands use.
    alices(&server, &["sessions", "list"], None).expect_success();

    let alice = signed_in(&server, "alice", PASSWORD);
    let session = alice.available(host.name());
    let (id, account) = (session["id"].as_str().expect("an id"), session["login_account"].as_str().expect("a name"));
    let inside = ssh(&server, id, None, Some(&agent));
    assert_eq!(String::from_utf8_lossy(&inside.stdout).trim(), account, "{}", inside.text());
    assert_eq!(ssh(&server, id, None, None).status.code(), Some(255), "without the agent there is no way in");

    // Without an agent the key stays in a file.
    let said = alices(&server, &login, None).expect_success().text();
    let key = folder.join(format!("keys/localhost_{}", server.http));
    assert!(said.contains(key.to_str().expect("text")) && mode(&key) == 0o600, "{said}");
    let inside = ssh(&server, id, key.to_str(), None);
    assert_eq!(String::from_utf8_lossy(&inside.stdout).trim(), account, "{}", inside.text());

    let shown = String::from_utf8(server.cli(&["ca", "show"]).expect_success().stdout).expect("text");
    assert!(shown.starts_with("ssh-ed25519 "), "{shown}");
    let disabled = format!("---\nkind: User\nname: alice\nspec: {{password_file: {password:?}, disabled: true}}\n");
    server.apply(&disabled);
    let out = ssh(&server, id, None, Some(&agent));
    assert!(out.status.code() == Some(255) && out.text().contains("disabled"), "{}", out.text());
    for secret in [PASSWORD, fs::read_to_string(&token).expect("it is ours").trim()] {
        assert!(!server.log().contains(secret), "no secret reaches the log");
    }
}

/// The public half of a key of the test's.
fn public_half(server: &Server, key: &str) -> String {
    fs::read_to_string(server.key(key).with_extension("pub")).expect("ssh-keygen wrote it").trim().to_owned()
}

/// alice and mallory, who have passwords and no keys, and an open session of alice's: its id and its account.
fn with_passwords(server: &Server, host: &LinuxHost) -> (String, String) {
    server.furnish(&[host]);
    let password = server.file("password", PASSWORD);
    for user in ["alice", "mallory"] {
        server.apply(&format!("---\nkind: User\nname: {user}\nspec: {{password_file: {password:?}}}\n"));
    }
    let session = signed_in(server, "alice", PASSWORD).available(host.name());
    let text = |name: &str| session[name].as_str().expect("text").to_owned();
    (text("id"), text("login_account"))
}

#[test]
fn a_key_is_whose_use_of_it_was_seen_and_opens_nothing_when_it_is_taken_away() {
    let host = LinuxHost::start("web1");
    let server = Server::start();
    let (id, account) = with_passwords(&server, &host);
    let key = json!({ "public_key": public_half(&server, "alice") });
    for user in ["mallory", "alice"] {
        Browser::sign_in(&server, user, PASSWORD).send("/me/ssh-keys", &key);
    }
    let keys_of = |user: &str| {
        let listed = server.cli(&["keys", "list", user, "--json"]).expect_success();
        let listed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
        listed["items"].as_array().expect("a list").clone()
    };
    assert_eq!((keys_of("mallory").len(), &keys_of("alice")[0]["proven"]), (1, &json!(false)));
    let inside = server.ssh("alice", &id).arg("id -un").output().expect("ssh runs");
    assert_eq!(String::from_utf8_lossy(&inside.stdout).trim(), account, "{}", inside.text());
    let hers = keys_of("alice");
    assert_eq!((keys_of("mallory").len(), &hers[0]["proven"]), (0, &json!(true)), "she holds it, and he does not");

    let mut open = server.ssh("alice", &id);
    let mut open = open.arg("echo up; cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("ssh runs");
    let mut up = [0; 3];
    open.stdout.as_mut().expect("it is piped").read_exact(&mut up).expect("it is in");
    server.cli(&["keys", "remove", "alice", hers[0]["id"].as_str().expect("an id")]).expect_success();
    until_gone(&mut open, PATIENCE);
    let refused = server.ssh("alice", &id).arg("id -un").output().expect("ssh runs");
    assert_eq!(refused.status.code(), Some(255), "{}", refused.text());
}

#[test]
fn a_certificate_ends_with_the_sign_in_or_the_token_that_it_hangs_on() {
    let host = LinuxHost::start("web1");
    let mut server = Server::start();
    let (id, account) = with_passwords(&server, &host);
    let is_in = |out: &Output| String::from_utf8_lossy(&out.stdout).trim() == account;
    let key = server.key("certified");
    let beside = key.with_file_name("key-certified-cert.pub");
    let certify = |browser: &Browser<'_>| {
        let wish = json!({ "public_key": public_half(&server, "certified") });
        let made: Value =
            serde_json::from_str(&browser.send("/me/ssh-certificate", &wish).text().expect("a body")).expect("JSON");
        fs::write(&beside, made["certificate"].as_str().expect("a certificate")).expect("the folder is ours");
    };
    let browser = Browser::sign_in(&server, "alice", PASSWORD);
    certify(&browser);
    let inside = ssh(&server, &id, key.to_str(), None);
    assert!(is_in(&inside), "{}", inside.text());
    browser.send("/sign-out", &json!({}));
    let out = ssh(&server, &id, key.to_str(), None);
    assert!(out.status.code() == Some(255) && out.text().contains("hangs on is over"), "{}", out.text());

    // The token that `cardea login` keeps, revoked.
    let agent = Agent::start(&server);
    let password = server.file("password", PASSWORD);
    alices(&server, &["login", "--user", "alice", "--password-file", &password], Some(&agent)).expect_success();
    let inside = ssh(&server, &id, None, Some(&agent));
    assert!(is_in(&inside), "{}", inside.text());
    let alice = signed_in(&server, "alice", PASSWORD);
    let tokens = alice.get("/tokens").ok();
    let token = tokens["items"].as_array().expect("a list").iter().find(|one| one["name"] == "cardea login");
    let token = token.and_then(|one| one["id"].as_str()).expect("the token of `cardea login`");
    alice.call("DELETE", &format!("/tokens/{token}"), None).ok();
    let out = ssh(&server, &id, None, Some(&agent));
    assert!(out.status.code() == Some(255) && out.text().contains("hangs on is over"), "{}", out.text());

    // However long certificates may last: no longer than a sign-in may be idle.
    server.set("CARDEA__SIGN_IN__IDLE", "10m".to_owned());
    server.stop();
    server.resume();
    let login = ["login", "--json", "--user", "alice", "--password-file", &password, "--expires", "2h"];
    let said = alices(&server, &login, Some(&agent)).expect_success();
    let said: Value = serde_json::from_slice(&said.stdout).expect("JSON");
    let time = |name: &str| {
        let text = said[name].as_str().expect("a time");
        text.parse::<cardea_domain::Timestamp>().expect("a time")
    };
    let (token, certificate) = (time("expires_at"), time("certificate_expires_at"));
    assert!(token.since(certificate).as_secs() >= 109 * 60, "{said}");
}
