//! Where walks take place: two hosts, four people, every kind of activity, and what administrators change about them.

use std::path::PathBuf;

use serde_json::Value;

use super::*;

pub(super) const PEOPLE: [&str; 4] = ["alice", "bob", "carol", "dave"];
pub(super) const HOSTS: [&str; 2] = ["web1", "web2"];
pub(super) const ACTIVITIES: [&str; 7] = ["admin", "dba", "own", "own-root", "job", "staged", "job-kept"];
pub(super) const POLICIES: [&str; 3] = ["plain", "asked", "hours"];
/// Of accounts that are there before Cardea.
const OPS_UID: u32 = 1500;
/// What is there before Cardea, and stays.
const OCCUPIED: [&str; 2] = ["web1 ops group_membership wheel", "web2 ops sudo_rule"];
const KEYS: [&str; 2] = [KEY, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFIR5p2lv7i3pG1yPQ7L2hYg9zq1m3h1yW8QvJ6T2k4d"];

/// A store with the configuration in it, closed.
pub(super) struct Template(TempDir);

/// The folder for scratch data: in memory, where the machine has such a place, so that nothing waits for a disk.
fn scratch() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}

pub(super) fn folder() -> TempDir {
    TempDir::new_in(scratch()).expect("a folder")
}

impl Template {
    pub(super) async fn new() -> Self {
        let dir = folder();
        Vault::create_key_file(&dir.path().join("key")).expect("a key file");
        let (clock, target, entropy) = (ManualClock::new(), FakeConnector::new(), SeededEntropy::new(1));
        let app = open(&dir, &clock, &target, &entropy).await;
        app.apply(&OPERATOR, documents(), crate::ApplyOptions::default()).await.expect("a good configuration");
        app.0.store.close().await;
        Self(dir)
    }

    /// A fresh copy.
    pub(super) fn copy(&self) -> TempDir {
        let dir = folder();
        for name in ["cardea.db", "key"] {
            std::fs::copy(self.0.path().join(name), dir.path().join(name)).expect("both folders are ours");
        }
        dir
    }
}

pub(super) fn furnish_hosts(target: &FakeConnector) {
    for host in HOSTS {
        let known = KnownAccount { uid: OPS_UID, comment: "by hand".to_owned(), locked: false, expires_day: None };
        target.plant_account(host, "ops", known);
    }
    for key in OCCUPIED {
        target.occupy(key);
    }
}

pub(super) fn key_of(user: u8) -> &'static str {
    KEYS[usize::from(user) % 2]
}

fn documents() -> Vec<Document> {
    let mut documents =
        vec![user("carol", &json!({ "roles": ["user", "administrator"] })), resource("web2", &json!({}))];
    documents.extend((0..CHANGES).map(|what| change(what, false)));
    let activity = |name: &str, spec: Value| Document { kind: Kind::Activity, name: name.to_owned(), spec };
    let script = |text: &str| json!([{ "run_script": { "script": text } }]);
    let group = |name: &str| json!({ "add_to_group": { "group": name } });
    let managed = json!({ "type": "managed", "account": "dba" });
    documents.extend([
        activity("dba", ssh(&managed, &json!({ "pre_session": [group("adm")] }))),
        activity(
            "own-root",
            ssh(
                &json!({ "type": "requester" }),
                &json!({ "pre_session": [{ "add_sudo_rule": { "commands": ["ALL"] } }] }),
            ),
        ),
        activity(
            "job",
            json!({ "platform": "linux", "protocol": "none", "pre_session": script("one"), "session": script("two"),
                "post_session": script("three") }),
        ),
        activity(
            "job-kept",
            json!({ "platform": "linux", "protocol": "none", "login_account": managed, "pre_session": [group("adm")],
                "session": script("two") }),
        ),
        activity(
            "staged",
            ssh(
                &json!({ "type": "activity_token" }),
                &json!({
                    "pre_session": [{ "add_to_group": { "group": "adm" }, "continue_on_error": true },
                        { "run_script": { "script": "one" } }, group("staff"), { "set_password": {} }],
                    "session": [group("late"), { "run_script": { "script": "two" } }],
                    "post_session": [{ "log_off_user": {} }, { "run_script": { "script": "three" } }],
                }),
            ),
        ),
    ]);
    // References go upwards: policies come last.
    documents.sort_by_key(|document| Kind::ALL.iter().position(|kind| *kind == document.kind));
    documents
}

fn ssh(account: &Value, more: &Value) -> Value {
    with(json!({ "platform": "linux", "protocol": "ssh", "login_account": account }), more)
}

fn with(mut spec: Value, more: &Value) -> Value {
    spec.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
    spec
}

fn user(name: &str, more: &Value) -> Document {
    let spec = with(json!({ "accounts": { "web1": "ops", "web2": "ops" } }), more);
    Document { kind: Kind::User, name: name.to_owned(), spec }
}

fn service_account(password: &str) -> Document {
    let spec = json!({ "platform": "linux", "user": "svc", "elevation": "sudo", "password": password });
    Document { kind: Kind::ServiceAccount, name: "svc".to_owned(), spec }
}

fn resource(name: &str, more: &Value) -> Document {
    let address = if name == "web1" { "192.0.2.1" } else { "192.0.2.2" };
    let spec = json!({ "platform": "linux", "address": address, "service_account": "svc",
        "host_key": format!("{}{}", &FakeConnector::HOST_KEY[..FakeConnector::HOST_KEY.len() - 1], if name == "web1" { "z" } else { "3" }),
        "uid_range": [100_000, 900_000] });
    Document { kind: Kind::Resource, name: name.to_owned(), spec: with(spec, more) }
}

fn policy(name: &str, users: &[&str], profile: &str, more: &Value) -> Document {
    let spec = json!({ "users": users, "activities": ACTIVITIES, "resources": HOSTS, "connection_profile": profile });
    Document { kind: Kind::AccessPolicy, name: name.to_owned(), spec: with(spec, more) }
}

fn profile(name: &str, spec: Value) -> Document {
    Document { kind: Kind::ConnectionProfile, name: name.to_owned(), spec }
}

/// How many changes [`change`] knows.
pub(super) const CHANGES: u8 = 14;

/// An object as it is at first, or as an administrator changes it.
pub(super) fn change(what: u8, is_changed: bool) -> Document {
    let either = |first: &'static str, other: &'static str| if is_changed { other } else { first };
    match what {
        0 => policy("plain", if is_changed { &["bob"] } else { &["alice", "bob"] }, "hour", &json!({})),
        1 => policy("asked", if is_changed { &["alice"] } else { &["alice", "bob", "carol"] }, "asked", &json!({})),
        2 => {
            let windows = json!([{ "from": "08:00", "to": either("18:00", "09:00") }]);
            policy("hours", &["alice", "bob"], "kept", &json!({ "schedule": { "zone": "UTC", "windows": windows } }))
        }
        3 => profile("hour", json!({ "max_duration": either("1h", "30m"), "extension": { "by": "20m", "limit": 2 } })),
        4 => {
            let first = json!({ "approvers": ["alice", "guards"], "quorum": if is_changed { 1 } else { 2 } });
            let second = json!({ "approvers": ["alice"], "escalation": { "after": "5m", "to": ["bob"] } });
            let approval = json!({ "tiers": [first, second], "window": "30m" });
            profile("asked", json!({ "max_duration": "2h", "approval": approval, "idle_limit": "10m" }))
        }
        5 => {
            let extension = json!({ "by": "20m", "limit": if is_changed { 1 } else { 2 } });
            profile("kept", json!({ "max_duration": "45m", "on_policy_change": "keep", "extension": extension }))
        }
        6 => {
            let more = json!({ "pre_session": [{ "add_sudo_rule": { "commands": ["ALL"] } },
                { "add_to_group": { "group": either("adm", "staff") } }] });
            let spec = ssh(&json!({ "type": "activity_token" }), &more);
            Document { kind: Kind::Activity, name: "admin".to_owned(), spec }
        }
        7 => {
            let more = json!({ "pre_session": [{ "add_to_group": { "group": "adm" } },
                { "add_to_group": { "group": either("wheel", "staff") } }],
                "session": [{ "add_to_group": { "group": "late" } }] });
            let spec = ssh(&json!({ "type": "requester" }), &more);
            Document { kind: Kind::Activity, name: "own".to_owned(), spec }
        }
        8 => user("bob", &json!({ "ssh_keys": [KEYS[1]], "disabled": is_changed })),
        9 => {
            let keys: &[&str] = if is_changed { &[] } else { &[KEYS[0]] };
            user("alice", &json!({ "ssh_keys": keys }))
        }
        10 => resource("web1", &json!({ "labels": { "env": either("test", "live") } })),
        11 => service_account(either("not a real one", "another")),
        12 => user("dave", &json!({ "disabled": is_changed })),
        _ => {
            let members: &[&str] = if is_changed { &["dave"] } else { &["carol", "dave"] };
            Document { kind: Kind::Group, name: "guards".to_owned(), spec: json!({ "members": members }) }
        }
    }
}
