use serde_json::json;

use super::*;
use crate::{Entropy, FieldError};

struct Count(std::sync::atomic::AtomicU8);

impl Entropy for Count {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    }
}

fn world(objects: &[(Kind, &str, serde_json::Value)]) -> Configuration {
    let entropy = Count(0.into());
    let now = Timestamp::from_micros(0);
    Configuration::new(objects.iter().map(|(kind, name, spec)| Object {
        id: ObjectId::mint(*kind, now, &entropy),
        name: Name::new(*name).expect(name),
        spec: parsed(*kind, spec.clone()).expect(name),
        version: 1,
        created_at: now,
        updated_at: now,
    }))
}

fn parsed(kind: Kind, spec: serde_json::Value) -> Result<Spec, Vec<FieldError>> {
    Spec::parse(kind, spec).map(|(spec, _)| spec)
}

fn pointers(kind: Kind, spec: serde_json::Value) -> Vec<String> {
    parsed(kind, spec).err().unwrap_or_default().into_iter().map(|error| error.pointer).collect()
}

fn linux() -> Vec<(Kind, &'static str, serde_json::Value)> {
    let host =
        |labels| json!({ "platform": "linux", "address": "127.0.0.1", "service_account": "svc", "labels": labels });
    let rule = json!([{ "add_sudo_rule": { "commands": ["ALL"] } }]);
    vec![
        (Kind::User, "alice", json!({})),
        (Kind::User, "bob", json!({})),
        (Kind::Group, "admins", json!({ "members": ["Alice"] })),
        (Kind::ServiceAccount, "svc", json!({ "platform": "linux", "user": "svc", "elevation": "sudo" })),
        (Kind::Resource, "web1", host(json!({ "tier": "web" }))),
        (Kind::Resource, "db1", host(json!({ "tier": "db" }))),
        (Kind::ResourceGroup, "web", json!({ "match_labels": { "tier": "web" } })),
        (
            Kind::Activity,
            "Linux admin",
            json!({ "platform": "linux", "protocol": "ssh", "login_account": { "type": "activity_token" }, "pre_session": rule }),
        ),
        (Kind::ConnectionProfile, "short", json!({ "max_duration": "1h" })),
    ]
}

#[test]
fn a_policy_gives_what_it_names_to_whom_it_names_and_nothing_else() {
    let mut objects = linux();
    objects.push((Kind::AccessPolicy, "p", json!({ "groups": ["admins"], "activities": ["linux_admin"], "resource_groups": ["web"], "connection_profile": "short" })));
    let world = world(&objects);
    let offers = |user: &str| -> Vec<String> {
        let user = world.find(Kind::User, user).expect("a user").id;
        world.offers(user).iter().map(|offer| format!("{} on {}", offer.activity.name, offer.resource.name)).collect()
    };
    assert_eq!(offers("alice"), ["Linux admin on web1"]);
    assert!(offers("bob").is_empty());
}

#[test]
fn what_is_wrong_is_named_at_its_place() {
    let activity = |action: serde_json::Value| json!({ "platform": "linux", "protocol": "ssh", "login_account": { "type": "activity_token" }, "pre_session": [action] });
    let cases = [
        (Kind::ConnectionProfile, json!({ "max_duration": "1h", "record": true }), "/spec/record"),
        (Kind::ConnectionProfile, json!({ "max_duration": "1h", "approval": {} }), "/spec/approval"),
        (Kind::ConnectionProfile, json!({ "max_duration": "1h", "connect_auth": "key+mfa" }), "/spec/connect_auth"),
        (Kind::ConnectionProfile, json!({ "max_duration": "soon" }), "/spec/max_duration"),
        (Kind::ConnectionProfile, json!({}), "/spec"),
        (Kind::User, json!({ "role": [] }), "/spec/role"),
        (Kind::User, json!({ "ssh_keys": ["ssh-ed25519 AAAA"] }), "/spec/ssh_keys/0"),
        (Kind::User, json!({ "password": "" }), "/spec/password"),
        (Kind::Resource, json!({ "platform": "linux", "address": "a b", "service_account": "s" }), "/spec/address"),
        (
            Kind::Resource,
            json!({ "platform": "linux", "address": "a", "service_account": "s", "uid_range": [5, 1] }),
            "/spec/uid_range",
        ),
        (
            Kind::Activity,
            activity(json!({ "add_sudo_rule": { "commands": ["ls"] } })),
            "/spec/pre_session/0/add_sudo_rule/commands/0",
        ),
        (
            Kind::Activity,
            activity(json!({ "add_sudo_rule": { "commands": ["/bin/ls\n"] } })),
            "/spec/pre_session/0/add_sudo_rule/commands/0",
        ),
        (
            Kind::Activity,
            activity(json!({ "add_sudo_rule": { "commands": ["ALL"], "password": true } })),
            "/spec/pre_session/0/add_sudo_rule/password",
        ),
        (
            Kind::Activity,
            activity(json!({ "add_to_group": { "group": "a b" } })),
            "/spec/pre_session/0/add_to_group/group",
        ),
    ];
    for (kind, spec, pointer) in cases {
        assert_eq!(pointers(kind, spec.clone()), [pointer], "{spec}");
    }
}

#[test]
fn secrets_never_stay_in_a_spec() {
    let spec = json!({ "platform": "linux", "user": "svc", "elevation": "sudo", "private_key": "PRIVATE", "sudo_password": "SECRET" });
    let (spec, secrets) = Spec::parse(Kind::ServiceAccount, spec).expect("a good spec");
    assert_eq!(secrets.len(), 2);
    let shown = format!("{spec:?} {}", spec.to_json());
    assert!(!shown.contains("PRIVATE") && !shown.contains("SECRET"));
    assert_eq!(Spec::from_stored(Kind::ServiceAccount, spec.to_json()), Ok(spec));
}

#[test]
fn different_privileges_of_one_kept_account_are_warned_of_where_they_meet() {
    let activity = |group: &str, account: &str| {
        json!({ "platform": "linux", "protocol": "ssh", "login_account": { "type": "managed", "account": account },
            "pre_session": [{ "add_to_group": { "group": group } }] })
    };
    let policy = |activity: &str, resource: &str| json!({ "users": ["alice"], "activities": [activity], "resources": [resource], "connection_profile": "hour" });
    let warnings = |other: serde_json::Value, resource: &str| {
        let mut objects = linux();
        objects.retain(|(kind, ..)| matches!(kind, Kind::User));
        let host = json!({ "platform": "linux", "address": "127.0.0.1", "service_account": "svc" });
        objects.extend([
            (Kind::Resource, "here", host.clone()),
            (Kind::Resource, "there", host),
            (Kind::ConnectionProfile, "hour", json!({ "max_duration": "1h" })),
            (Kind::Activity, "one", activity("adm", "dba")),
            (Kind::Activity, "other", other),
            (Kind::AccessPolicy, "p", policy("one", "here")),
            (Kind::AccessPolicy, "q", policy("other", resource)),
        ]);
        world(&objects).warnings()
    };
    let warned = warnings(activity("wheel", "dba"), "here");
    assert!(
        warned.len() == 1 && ["`one`", "`other`", "`dba`"].iter().all(|name| warned[0].contains(name)),
        "{warned:?}"
    );
    assert!(warnings(activity("wheel", "dba"), "there").is_empty(), "on another host it is another account");
    assert!(warnings(activity("wheel", "web"), "here").is_empty());
    assert!(warnings(activity("adm", "dba"), "here").is_empty(), "the same privileges");
}
