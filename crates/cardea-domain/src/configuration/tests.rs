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
        (Kind::ConnectionProfile, json!({ "max_duration": "1h", "connect_auth": "password" }), "/spec/connect_auth"),
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

#[test]
fn a_group_has_the_members_of_the_groups_in_it_and_says_by_which_way() {
    let mut objects = linux();
    objects.push((Kind::Group, "ops", json!({ "members": ["admins", "night"] })));
    objects.push((Kind::Group, "night", json!({ "members": ["bob", "ops"] })));
    objects.push((Kind::Group, "all", json!({ "members": ["ops"] })));
    objects.push((Kind::AccessPolicy, "p", json!({ "groups": ["all"], "activities": ["linux_admin"], "resource_groups": ["web"], "connection_profile": "short" })));
    let world = world(&objects);
    let find = |kind, name: &str| world.find(kind, name).expect("it is there");
    let (alice, all) = (find(Kind::User, "alice").id, find(Kind::Group, "all"));
    let way: Vec<_> =
        world.membership(all, alice).expect("she is in it").iter().map(|group| group.name.as_str()).collect();
    assert_eq!(way, ["all", "ops", "admins"]);
    assert_eq!((world.offers(alice).len(), world.offers(find(Kind::User, "bob").id).len()), (1, 1));
    assert!(world.membership(find(Kind::Group, "night"), alice).is_some(), "round in circles, and to an end");
    let around = world.groups_around([find(Kind::Group, "admins").id]);
    assert_eq!(around.len(), 4, "itself and all that it stands in");
    let fault = |name| world.group_fault(find(Kind::Group, name)).unwrap_or_default();
    assert_eq!(fault("all"), "a group cannot be in itself: ops → night → ops");
    assert_eq!(fault("admins"), "");
}

#[test]
fn groups_stand_in_groups_only_so_deep() {
    let names: Vec<_> = (0..10).map(|number| format!("g{number}")).collect();
    let inner = |number: usize| if number == 0 { json!([]) } else { json!([names[number - 1]]) };
    let objects: Vec<_> =
        (0..10).map(|number| (Kind::Group, names[number].as_str(), json!({ "members": inner(number) }))).collect();
    let world = world(&objects);
    let fault = |number: usize| world.group_fault(world.find(Kind::Group, &names[number]).expect("it is there"));
    assert_eq!(fault(7), None);
    assert!(fault(8).is_some_and(|fault| fault.starts_with("groups stand in groups at most 8 deep: g8 → g7 → g6")));
}

#[test]
fn from_their_expiry_on_users_may_do_nothing() {
    let at = |text: &str| text.parse::<Timestamp>().expect("a time");
    let world = world(&[
        (Kind::User, "alice", json!({ "expires_at": "2026-12-01T00:00:00Z" })),
        (Kind::User, "bob", json!({ "expires_at": "2026-11-01T00:00:00Z" })),
        (Kind::User, "carol", json!({ "disabled": true })),
        (Kind::User, "dave", json!({})),
    ]);
    let may = |now| {
        let of = |name| world.may_act(world.find(Kind::User, name).expect("there").id, at(now));
        ["alice", "bob", "carol", "dave"].map(of)
    };
    assert_eq!(may("2026-10-31T23:59:59Z"), [true, true, false, true]);
    assert_eq!(may("2026-11-01T00:00:00Z"), [true, false, false, true]);
    assert_eq!(may("2026-12-01T00:00:00Z"), [false, false, false, true]);
    assert_eq!(world.next_expiry(at("2026-11-01T00:00:00Z")), Some(at("2026-12-01T00:00:00Z")));
    let bob = world.find(Kind::User, "bob").expect("there").id;
    assert_eq!(world.expired_between(at("2026-10-31T00:00:00Z"), at("2026-11-01T00:00:00Z")), [bob]);
    assert_eq!(world.expired_between(at("2026-11-01T00:00:00Z"), at("2026-11-30T00:00:00Z")), []);
    assert_eq!(pointers(Kind::User, json!({ "expires_at": "tomorrow" })), ["/spec/expires_at"]);
}

#[test]
fn tiers_name_people_who_exist_and_can_be_waited_for() {
    let profile =
        |tiers: serde_json::Value| json!({ "max_duration": "1h", "approval": { "tiers": tiers, "window": "2h" } });
    let tier = |more: serde_json::Value| {
        let mut tier = json!({ "approvers": ["alice", "+manager"] });
        tier.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
        json!([{ "approvers": ["bob"] }, tier])
    };
    let wrong = |tiers| pointers(Kind::ConnectionProfile, profile(tiers));
    assert!(wrong(tier(json!({ "escalation": { "after": "1h", "to": ["bob"] } }))).is_empty());
    assert_eq!(wrong(json!([])), ["/spec/approval/tiers"]);
    assert_eq!(wrong(json!(vec![json!({ "approvers": ["bob"] }); 6])), ["/spec/approval/tiers"]);
    assert_eq!(wrong(tier(json!({ "quorum": 0 }))), ["/spec/approval/tiers/1/quorum"]);
    for escalation in [json!({ "after": "2h", "to": ["bob"] }), json!({ "after": "59s", "to": ["bob"] })] {
        assert_eq!(wrong(tier(json!({ "escalation": escalation }))), ["/spec/approval/tiers/1/escalation/after"]);
    }
    assert_eq!(
        wrong(tier(json!({ "escalation": { "after": "1h", "to": [] } }))),
        ["/spec/approval/tiers/1/escalation/to"]
    );
    let named = parsed(Kind::ConnectionProfile, profile(tier(json!({})))).expect("a good profile").references();
    let named: Vec<_> = named.into_iter().map(|reference| reference.name).collect();
    assert_eq!(named, ["bob", "alice"], "the manager is nobody's name");
}
