//! Cardea is killed while sessions are open and does not come back: the hosts take everything away by themselves.
//!
//! An hour and the margin are not waited for: the host's clock is moved (libfaketime), for cron, at and what they run. They look
//! once a minute.

use std::{fs, process::Stdio, time::Duration};

use cardea_testkit::{HostPlan, LinuxHost, wait};
use serde_json::Value;

use crate::harness::{Expect as _, PATIENCE, Server, policy, until_gone};

/// at and cron wake up once a minute, and the machine is slow.
const TWO_MINUTES: Duration = Duration::from_secs(150);

fn cardea_does_not_come_back(plan: HostPlan) {
    let host = plan.clock_off("+1s").start();
    let before = host.fingerprint();
    let mut server = Server::start();
    server.furnish(&[&host]);
    let session = server.api("alice").available("web1");
    let text = |key: &str| session[key].as_str().expect("text").to_owned();
    let (id, account) = (text("id"), text("login_account"));
    let uid = host.uid_of(&account).expect("it is there");
    // What is to outlive the connection: as the account, as root, and later.
    let litter = "setsid sleep 900 >/dev/null 2>&1 </dev/null & sudo -n setsid sleep 901 >/dev/null 2>&1 </dev/null & \
                  echo '0 0 1 1 * true' | crontab - 2>/dev/null; exit 0";
    server.ssh("alice", &id).arg(litter).output().expect("ssh runs").expect_success();
    let mut open = server.ssh("alice", &id).arg("sleep 902").stdout(Stdio::null()).spawn().expect("ssh runs");
    server.api("alice").until(&id, &["logged_in"]);
    let all = ["account", "authorized_key", "dead_man", "group_membership", "sudo_rule"];
    assert_eq!(server.api("alice").kinds_out(), all);

    server.kill();
    until_gone(&mut open, Duration::from_secs(10));
    assert!(host.root("ls /etc/sudoers.d").contains("cardea-"), "nobody has taken anything away yet");
    host.move_clock("+66m");

    wait(TWO_MINUTES, "the host ends it by itself", || host.try_root("test -e /var/lib/cardea-host").is_err());
    assert_eq!(host.uid_of(&account), None);
    assert_eq!(host.processes_of(uid), Vec::<String>::new());
    let now = host.fingerprint();
    assert!(now == before, "before {before}\nnow {now}");

    // It comes back after all, and finds that there is nothing left to do.
    server.resume();
    let alice = server.api("alice");
    alice.end(&id);
    alice.until(&id, &["completed"]);
    assert_eq!((alice.kinds_out(), host.fingerprint()), (Vec::new(), before));
}

#[test]
fn by_cron() {
    cardea_does_not_come_back(LinuxHost::plan("web1").without_at());
}

#[test]
fn by_at() {
    cardea_does_not_come_back(LinuxHost::plan("web1").without_cron());
}

#[test]
fn a_host_that_cannot_is_shown_or_refused() {
    let host = LinuxHost::plan("web1").without_at().without_cron().start();
    let before = host.fingerprint();
    let server = Server::start();
    server.furnish(&[&host]);
    let alice = server.api("alice");
    let id = alice.available("web1")["id"].as_str().expect("an id").to_owned();
    let log = alice.get(&format!("/sessions/{id}/log")).ok();
    let says = |line: &Value| line["message"].as_str().is_some_and(|text| text.contains("no systemd, at or cron"));
    let warned = log["items"].as_array().expect("lines").iter().find(|line| says(line));
    assert_eq!(warned.map(|line| &line["level"]), Some(&"warn".into()), "{log:#}");
    alice.end(&id);
    alice.until(&id, &["completed"]);

    server.apply(&policy(&["web1"]).replace("max_duration: 1h", "max_duration: 1h, require_host_expiry: true"));
    let id = alice.request("web1");
    alice.until(&id, &["failed"]);
    let session = alice.until_that(&id, "clean", |session| session["clean"] == true);
    assert_eq!(session["reason"]["code"], "no_host_expiry", "{session:#}");
    assert_eq!((alice.kinds_out(), host.fingerprint()), (Vec::new(), before));
}

/// A person's own account that is in the group already, by hand: with a ledger that is older than the session, and with Cardea gone
/// for ever.
fn a_membership_by_hand_stays(actions: &str) {
    let host = LinuxHost::plan("web1").without_cron().clock_off("+1s").start();
    host.root("useradd -m -u 5000 -G adm ops");
    let mut server = Server::start();
    server.furnish(&[&host]);
    server.apply(&server.people().replace("spec: {", "spec: {accounts: {web1: ops}, "));
    let made = "login_account: {type: activity_token}\n  pre_session:\n    - add_sudo_rule: {commands: [\"ALL\"]}\n    - add_to_group: {group: adm}\n";
    let theirs = policy(&["web1"]).replace(made, &format!("login_account: {{type: requester}}\n{actions}"));
    assert!(theirs.contains("requester"), "{theirs}");
    server.apply(&theirs);
    let begin = |server: &Server| {
        let alice = server.api("alice");
        let id = alice.available("web1")["id"].as_str().expect("an id").to_owned();
        alice.until_that(&id, "through its steps", |session| {
            let mut grants = session["grants"].as_array().expect("a list").iter();
            grants.all(|grant| !matches!(grant["state"].as_str(), Some("planned" | "placing")))
        });
        assert!(host.try_root("ls /var/lib/cardea-host/grt_*").is_ok(), "the switch is there");
    };
    server.stop();
    let (store, backup) = (server.dir.path().join("data/cardea.db"), server.dir.path().join("backup.db"));
    fs::copy(&store, &backup).expect("a backup");
    server.resume();
    begin(&server);
    server.stop();
    fs::copy(&backup, &store).expect("a restore");
    server.resume();

    server.cli(&["grants", "sweep", "web1", "--remove"]).expect_success();

    wait(PATIENCE, "the switch is gone", || host.try_root("test -e /var/lib/cardea-host").is_err());
    assert_eq!(host.root("id -nG ops"), "ops adm\n");

    begin(&server);
    server.kill();
    host.move_clock("+66m");

    wait(TWO_MINUTES, "the host ends it by itself", || host.try_root("test -e /var/lib/cardea-host").is_err());
    assert_eq!(host.root("id -nG ops"), "ops adm\n");
}

#[test]
fn a_membership_from_before_stays_where_a_session_would_add_it_while_it_is_open() {
    a_membership_by_hand_stays("  session:\n    - add_to_group: {group: adm}\n");
}

#[test]
fn a_membership_from_before_stays_where_a_session_would_add_it_behind_a_script() {
    a_membership_by_hand_stays(
        "  pre_session:\n    - run_script: {script: \"true\"}\n    - add_to_group: {group: adm}\n",
    );
}
