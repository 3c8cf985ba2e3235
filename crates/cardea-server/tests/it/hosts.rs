//! Hosts from their own side: log-ins past the gateway, and a ledger that is older than the host.

use std::{
    fs,
    process::Stdio,
    time::{Duration, Instant},
};

use cardea_testkit::{LinuxHost, wait};

use crate::harness::{Expect as _, PATIENCE, Server, policy, until_gone};

/// How often the server has asked a host who is logged in.
fn polls(server: &Server) -> usize {
    server.log().matches("Asked a host who is logged in").count()
}

#[test]
fn a_log_in_past_the_gateway_ends_a_session_whose_profile_denies_it() {
    const INTERVAL: Duration = Duration::from_secs(5);
    let host = LinuxHost::start("web1");
    let before = host.accounts_digest();
    let mut server = Server::initialised(None);
    server.set("CARDEA__LOG__FILTER", "info,cardea_app=debug".to_owned());
    server.resume();
    server.furnish(&[&host]);
    let rules = "{max_duration: 1h, direct_login: deny, monitor_interval: 5s}";
    server.apply(&policy(&["web1"]).replace("{max_duration: 1h}", rules));
    let alice = server.api("alice");
    let session = alice.available("web1");
    let (id, account) = (session["id"].as_str().expect("an id"), session["login_account"].as_str().expect("a name"));
    let others = [alice.available("web1"), alice.available("web1")];

    let mut open = server.ssh("alice", id).arg("sleep 600").stdout(Stdio::null()).spawn().expect("ssh runs");
    alice.until(id, &["logged_in"]);
    let (seen, began) = (polls(&server), Instant::now());
    wait(PATIENCE, "the host was asked twice more", || polls(&server) >= seen + 3);
    assert!(began.elapsed() >= INTERVAL * 2, "three sessions, and one question each time");
    assert_eq!(alice.session(id)["status"], "logged_in", "who comes through the gateway stays");

    // Nobody but root gets a key of their own in, and alice is root there.
    let public = fs::read_to_string(server.key("alice").with_extension("pub")).expect("a key");
    let add = format!("echo '{}' >>.ssh/authorized_keys", public.trim());
    let refused = server.ssh("alice", id).arg(&add).output().expect("ssh runs");
    assert!(!refused.status.success(), "{}", refused.text());
    server.ssh("alice", id).arg(format!("sudo -n sh -c \"{add}\"")).output().expect("ssh runs").expect_success();
    let mut past = host.ssh(account, &server.key("alice"));
    let mut past = past.arg("sleep 601").stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("ssh runs");

    let session = alice.until(id, &["canceled"]);
    assert_eq!(session["reason"]["code"], "direct_login", "{session:#}");
    until_gone(&mut past, PATIENCE);
    until_gone(&mut open, PATIENCE);
    let connections = alice.get(&format!("/sessions/{id}/connections")).ok();
    let direct = connections["items"].as_array().expect("a list").iter().filter(|it| it["direct"] == true).count();
    assert_eq!(direct, 1, "{connections:#}");
    for other in &others {
        assert_eq!(alice.session(other["id"].as_str().expect("an id"))["status"], "available", "others are left alone");
        alice.end(other["id"].as_str().expect("an id"));
        alice.until(other["id"].as_str().expect("an id"), &["completed"]);
    }
    assert_eq!(host.accounts_digest(), before);
}

#[test]
fn a_restored_backup_finds_what_it_does_not_know_and_removes_it_when_told_to() {
    let host = LinuxHost::start("web1");
    let before = host.accounts_digest();
    let mut server = Server::start();
    server.furnish(&[&host]);
    server.stop();
    let (store, backup) = (server.dir.path().join("data/cardea.db"), server.dir.path().join("backup.db"));
    fs::copy(&store, &backup).expect("a backup");
    server.resume();
    let session = server.api("alice").available("web1");
    let id = session["id"].as_str().expect("an id").to_owned();
    let uid = host.uid_of(session["login_account"].as_str().expect("a name")).expect("it is on the host");
    let litter = "setsid sleep 900 >/dev/null 2>&1 </dev/null & true";
    server.ssh("alice", &id).arg(litter).output().expect("ssh runs").expect_success();
    server.stop();
    fs::copy(&backup, &store).expect("a restore");

    server.resume();

    assert_eq!(server.api("alice").get(&format!("/sessions/{id}")).status, 404, "nobody knows it");
    wait(PATIENCE, "it is told", || server.log().contains("cardea grants sweep web1 --remove"));
    assert_eq!(host.uid_of(session["login_account"].as_str().expect("a name")), Some(uid), "and left as it is");
    let next = server.api("alice").available("web1");
    let other = host.uid_of(next["login_account"].as_str().expect("a name")).expect("it is on the host");
    assert!(other > uid, "{other} after {uid}: a number that is in use is not given again");
    let id = next["id"].as_str().expect("an id");
    server.api("alice").end(id);
    server.api("alice").until(id, &["completed"]);

    server.cli(&["grants", "sweep", "web1", "--remove"]).expect_success();

    wait(PATIENCE, "the host is as it was", || host.accounts_digest() == before);
    wait(PATIENCE, "the switch that would have ended it is gone", || {
        host.try_root("ls -d /var/lib/cardea-host").is_err()
    });
    assert_eq!(host.processes_of(uid), Vec::<String>::new());
}
