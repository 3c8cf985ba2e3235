//! Three processes on one database: whatever becomes of one of them, no privilege outlives its session, nothing is done twice, and
//! what one is told the others know. Asserted on the host.

use std::{
    fs,
    io::Write as _,
    process::{Child, Stdio},
    time::Duration,
};

use cardea_testkit::{LinuxHost, Postgres, wait};
use serde_json::json;

use crate::harness::{Expect as _, PATIENCE, Server, Stream, until_gone};

/// A dead node's work is taken over within this.
const TAKE_OVER: Duration = Duration::from_secs(10);
/// To connect to the host and begin, on a machine that runs other tests beside.
const BEGIN: Duration = Duration::from_secs(8);
/// A node that its database does not answer freezes what it holds within 10 s.
const FROZEN_WITHIN: Duration = Duration::from_secs(12);
const AT_ONCE: Duration = Duration::from_secs(1);

struct Cluster {
    nodes: [Server; 3],
    names: [String; 3],
}

impl Cluster {
    fn start() -> Self {
        let first = Server::on(Some(Postgres::shared().fresh_database()));
        let (second, third) = (first.join(), first.join());
        let nodes = [first, second, third];
        let names = nodes.each_ref().map(Server::node);
        Self { nodes, names }
    }

    /// Which node's shell on the host runs the processes of this pattern. The host says so.
    fn at_work(&self, host: &LinuxHost, pattern: &str) -> usize {
        let slots = host.root(&format!(
            "for pid in $(pgrep -f '{pattern}'); do \
             ls -d /run/cardea/*/shells/*/*/$(ps -o sid= -p $pid | tr -d ' ').* 2>/dev/null; done; true"
        ));
        let working: Vec<_> =
            (0..3).filter(|index| slots.contains(&format!("/shells/{}.", self.names[*index]))).collect();
        let [one] = working[..] else { panic!("one node works on the host: {slots}, of {:?}", self.names) };
        one
    }
}

/// The processes of a `useradd` that was slowed down, and of a script. The brackets keep the search from finding itself.
const USERADD: &str = "^/bin/sh /usr/sbin/useradd";
const SCRIPT: &str = "/run/cardea/.*/script[s]/.*/text";

/// From here on useradd says that it began, and waits until it may go on.
fn slow_down(host: &LinuxHost) {
    host.root(
        "mv /usr/sbin/useradd /usr/sbin/useradd.real; touch /run/slow; \
         printf '#!/bin/sh\\necho began >>/run/began; while [ -e /run/slow ]; do sleep 0.05; done; exec useradd.real \"$@\"\\n' \
         >/usr/sbin/useradd; chmod 755 /usr/sbin/useradd",
    );
}

fn began(host: &LinuxHost) -> usize {
    host.root("cat /run/began 2>/dev/null || true").lines().count()
}

fn id_of(session: &serde_json::Value) -> String {
    session["id"].as_str().expect("a session has an id").to_owned()
}

fn logged_in(node: &Server, id: &str) -> Child {
    let open = node.ssh("alice", id).arg("sleep 600").stdout(Stdio::null()).spawn().expect("ssh runs");
    node.api("alice").until(id, &["logged_in"]);
    open
}

#[test]
fn a_node_that_dies_in_the_middle_of_a_step_is_stood_in_for() {
    let host = LinuxHost::start("web1");
    let mut cluster = Cluster::start();
    cluster.nodes[0].furnish(&[&host]);
    slow_down(&host);
    let before = host.accounts_digest();
    let id = cluster.nodes[1].api("alice").request("web1");
    wait(PATIENCE, "useradd began", || began(&host) == 1);
    let dead = cluster.at_work(&host, USERADD);

    cluster.nodes[dead].kill();

    // Another node begins within the lease and what it takes to begin, and ends what the dead one left running before.
    let others: Vec<_> = (0..3).filter(|index| *index != dead).collect();
    wait(TAKE_OVER + BEGIN, "another node began too", || began(&host) == 2);
    assert_ne!(cluster.at_work(&host, USERADD), dead);
    assert_eq!(host.root(&format!("pgrep -fc '{USERADD}'")).trim(), "1", "the dead node's command was ended");
    host.root("rm /run/slow");

    let node = &cluster.nodes[others[0]];
    let alice = node.api("alice");
    let session = alice.until(&id, &["available", "failed"]);
    assert_eq!(session["status"], "available", "{session:#}");
    let run = node.ssh("alice", &id).arg("sudo -n id -u").output().expect("ssh runs");
    assert_eq!(String::from_utf8_lossy(&run.stdout).trim(), "0", "{}", run.text());
    alice.end(&id);
    alice.until(&id, &["completed"]);
    assert_eq!(host.accounts_digest(), before);
}

#[test]
fn a_node_that_was_paused_past_its_lease_brings_nothing_back() {
    let host = LinuxHost::start("web1");
    let cluster = Cluster::start();
    cluster.nodes[0].furnish(&[&host]);
    let script = "echo ran >>/run/ran; while :; do sleep 0.05; done";
    cluster.nodes[0].apply(&format!(
        "kind: Activity\nname: Linux admin\nspec:\n  platform: linux\n  protocol: ssh\n  \
         login_account: {{type: activity_token}}\n  pre_session:\n    - add_sudo_rule: {{commands: [\"ALL\"]}}\n    \
         - run_script: {{script: {script:?}, limit: 5m}}\n    - add_to_group: {{group: adm}}\n"
    ));
    let before = host.accounts_digest();
    let ran = || host.root("cat /run/ran 2>/dev/null || true").lines().count();
    let running = || host.root(&format!("pgrep -f '{SCRIPT}' || true")).lines().count();
    let id = cluster.nodes[1].api("alice").request("web1");
    wait(PATIENCE, "the script runs", || ran() == 1);
    let paused = cluster.at_work(&host, SCRIPT);
    assert_ne!(host.accounts_digest(), before, "its account is there");

    cluster.nodes[paused].signal("-STOP");

    let other = &cluster.nodes[(paused + 1) % 3];
    let alice = other.api("alice");
    alice.until(&id, &["failed"]);
    alice.until_that(&id, "clean", |session| session["clean"] == true);
    assert_eq!((host.accounts_digest(), ran(), running()), (before.clone(), 1, 0));

    let others = [&cluster.nodes[(paused + 1) % 3], &cluster.nodes[(paused + 2) % 3]];
    wait(PATIENCE, "the others have given it up", || {
        others.iter().any(|node| node.log().contains("What a node left is taken over"))
    });
    let heard = cluster.nodes[paused].log().len();
    cluster.nodes[paused].signal("-CONT");
    wait(PATIENCE, "it learns that it was given up", || {
        cluster.nodes[paused].log()[heard..].contains("had given this one up")
    });
    // It works again like the others, on what is due now.
    let again = cluster.nodes[paused].api("alice").request("web1");
    wait(PATIENCE, "the script of the next session runs", || ran() == 2);
    cluster.nodes[paused].api("alice").end(&again);
    cluster.nodes[paused].api("alice").until(&again, &["canceled"]);
    assert_eq!((host.accounts_digest(), ran(), running()), (before, 2, 0));
    assert_eq!(other.api("admin").out(), 0);
}

#[test]
fn what_one_node_is_told_the_others_do() {
    let host = LinuxHost::start("web1");
    let mut cluster = Cluster::start();
    let nodes = &cluster.nodes;
    nodes[0].furnish(&[&host]);
    let before = host.accounts_digest();
    let (alice, admin) = (nodes[1].api("alice"), nodes[0].api("admin"));
    let mut stream = Stream::open(&nodes[1], &alice, None);
    let id = id_of(&nodes[0].api("alice").available("web1"));
    stream.until_status("available");

    // People know every gateway by the same key, and go in wherever they like.
    let keys = nodes.each_ref().map(|node| scanned(node.ssh));
    assert!(!keys[0].is_empty() && keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    let mut open = [logged_in(&nodes[0], &id), logged_in(&nodes[2], &id)];
    stream.until_status("logged_in");
    alice.end(&id);
    for open in &mut open {
        until_gone(open, AT_ONCE * 2);
    }
    stream.until_status("completed");
    assert_eq!(host.accounts_digest(), before);

    // A lock of a user at one node keeps her out at all of them.
    let id = id_of(&nodes[2].api("alice").available("web1"));
    let mut open = logged_in(&nodes[2], &id);
    let lock = admin.post("/locks", json!({ "user": "alice", "title": "Audit", "text": "Please wait." })).ok();
    wait(AT_ONCE, "alice is kept out at the other node", || alice.get("/sessions").status != 200);
    admin.call("DELETE", &format!("/locks/{}", id_of(&lock)), None).ok();
    wait(AT_ONCE, "alice is let in again", || alice.get("/sessions").status == 200);

    // Who is taken out of the policy is out at once, everywhere.
    let people = fs::read_to_string(nodes[0].dir.path().join("apply.yaml")).expect("it was applied");
    nodes[0].apply(&people.replace("users: [alice]", "users: [mallory]"));
    let mallory = nodes[1].api("mallory");
    let offered = || mallory.get("/my/activities").ok()["items"].as_array().is_some_and(|all| !all.is_empty());
    wait(AT_ONCE, "the other node judges by it", offered);
    until_gone(&mut open, AT_ONCE * 2);
    nodes[1].api("admin").until(&id, &["canceled"]);
    assert_eq!(host.accounts_digest(), before);

    // A copy of a node's data directory is not another node.
    let copy = tempfile::TempDir::new().expect("a folder");
    let data = nodes[2].dir.path().join("data");
    let copied = std::process::Command::new("cp").arg("-a").arg(&data).arg(copy.path()).status();
    assert!(copied.is_ok_and(|status| status.success()), "cp");
    let refused = nodes[2]
        .command()
        .arg("serve")
        .env("CARDEA__DATA_DIR", copy.path().join("data"))
        .env("CARDEA__HTTP__LISTEN", "127.0.0.1:0")
        .output();
    let refused = refused.expect("the binary runs");
    assert_eq!(refused.status.code(), Some(1), "{}", refused.text());
    assert!(refused.text().contains(&format!("as node `{}`", cluster.names[2])), "{}", refused.text());
    cluster.nodes[1].stop();
}

#[test]
fn a_node_that_cannot_ask_its_database_lets_nothing_through() {
    let host = LinuxHost::start("web1");
    let database = Postgres::shared().fresh_database();
    let server = Server::on(Some(database.clone()));
    server.furnish(&[&host]);
    let before = host.accounts_digest();
    let id = id_of(&server.api("alice").available("web1"));
    let mut open = server
        .ssh("alice", &id)
        .arg("while read -r line; do echo $line | sudo -n tee -a /run/typed; done")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("ssh runs");
    let mut keyboard = open.stdin.take().expect("it is piped");
    let typed = || host.root("cat /run/typed 2>/dev/null || true");
    writeln!(keyboard, "before").expect("the client reads");
    wait(PATIENCE, "what is typed arrives", || typed() == "before\n");

    Postgres::shared().cut_off(&database, true);
    wait(FROZEN_WITHIN, "the connections are frozen", || server.log().contains("open connections are frozen"));
    writeln!(keyboard, "meanwhile").expect("the client reads");
    let failed = || server.log().matches("could not give a sign of life").count();
    let so_far = failed();
    wait(PATIENCE, "another sign of life fails", || failed() > so_far);
    assert_eq!(typed(), "before\n", "nothing passes");

    Postgres::shared().cut_off(&database, false);
    wait(PATIENCE, "what waited arrives", || typed() == "before\nmeanwhile\n");
    server.api("alice").end(&id);
    until_gone(&mut open, AT_ONCE * 2);
    server.api("alice").until(&id, &["completed"]);
    assert_eq!(host.accounts_digest(), before);
}

/// The host key that a gateway shows.
fn scanned(port: u16) -> String {
    let scanned = std::process::Command::new("ssh-keyscan").args(["-p", &port.to_string(), "127.0.0.1"]).output();
    let scanned = String::from_utf8_lossy(&scanned.expect("ssh-keyscan runs").stdout).into_owned();
    scanned.lines().filter_map(|line| line.split_once(' ')).map(|(_, key)| key.to_owned()).collect()
}
