//! The commands as an operator types them.

use cardea_testkit::LinuxHost;
use serde_json::Value;

use crate::harness::{Expect as _, Server, exists};

#[test]
fn a_broken_file_changes_nothing_and_is_named_with_line_and_field() {
    let server = Server::start();
    let cases = [
        ("kind: User\nname: bob\nspec:\n  emial: x\n", 4, "emial"),
        (
            "kind: User\nname: bob\nspec: {}\n---\nkind: ConnectionProfile\nname: p\nspec:\n  max_duration: soon\n",
            8,
            "max_duration",
        ),
        (
            "kind: User\nname: bob\nspec: {}\n---\nkind: Group\nname: g\nspec:\n  members:\n    - bob\n    - nobody\n",
            10,
            "nobody",
        ),
        ("kind: User\nname: bob\nspec: {}\n---\nkind: Usr\nname: x\nspec: {}\n", 5, "Usr"),
        ("kind: User\nname: bob\nspec: {}\n---\nkind: User\nname: BOB\nspec: {}\n", 6, "name"),
        ("kind: User\nname: bob\nname: eve\nspec: {}\n", 3, "name"),
        ("kind: ConnectionProfile\nname: p\nspec:\n  max_duration: 1h\n  record: true\n", 5, "record"),
        ("kind: User\nname: bob\nspec:\n  password: literal\n", 4, "password_file"),
        ("kind: User\nname: bob\nspec:\n  password_file: not-there\n", 4, "not-there"),
        ("kind: User\nname: [\n", 3, ""),
    ];
    for (yaml, line, word) in cases {
        let file = server.file("broken.yaml", yaml);
        for command in ["plan", "apply"] {
            let run = server.cli(&[command, "-f", &file]);
            assert_eq!(run.status.code(), Some(64), "{yaml}: {}", run.text());
            let said = String::from_utf8_lossy(&run.stderr);
            assert!(said.contains(&format!("broken.yaml:{line}:")) && said.contains(word), "{yaml}: {said}");
        }
    }
    let users = server.api("admin").get("/users").ok();
    assert_eq!(users["items"].as_array().map(Vec::len), Some(1), "only admin is there");
}

#[test]
fn plan_and_apply_show_and_make_the_same_difference_with_and_without_a_server() {
    let mut server = Server::start();
    let file = server.file("world.yaml", "kind: User\nname: bob\nspec: {full_name: Bob}\n");
    assert_eq!(server.cli(&["plan", "-f", &file]).status.code(), Some(1));
    server.stop();
    let plan = server.cli(&["plan", "-f", &file, "--json"]);
    assert_eq!(plan.status.code(), Some(1), "{}", plan.text());
    let changes: Value = serde_json::from_slice(&plan.stdout).expect("JSON");
    assert_eq!((&changes["changes"][0]["what"], &changes["changes"][0]["name"]), (&"create".into(), &"bob".into()));
    server.cli(&["apply", "-f", &file]).expect_success();
    assert_eq!(server.cli(&["plan", "-f", &file]).status.code(), Some(0));
    server.resume();
    assert_eq!(server.cli(&["plan", "-f", &file]).status.code(), Some(0));
    let run = server.cli(&["apply", "--prune", "-f", &file]).expect_success();
    assert_eq!(
        server.cli(&["token", "create", "--user", "admin"]).status.code(),
        Some(0),
        "pruning keeps the last administrator: {}",
        run.text()
    );
}

#[test]
fn a_session_from_the_command_line() {
    let host = LinuxHost::start("web1");
    let server = Server::start();
    server.furnish(&[&host]);
    let token = server.file("token", &server.token("alice"));
    let url = format!("https://localhost:{}", server.http);
    let as_alice = |arguments: &[&str]| {
        let ca = server.dir.path().join("data/http-cert.pem");
        let mut command = server.command();
        command.env("CARDEA_TOKEN_FILE", &token).env("CARDEA_SERVER", &url).env("CARDEA_CA_FILE", ca).args(arguments);
        command.output().expect("the binary runs")
    };
    let created =
        as_alice(&["sessions", "create", "Linux admin", "web1", "--notes", "a look", "--json"]).expect_success();
    let created: Value = serde_json::from_slice(&created.stdout).expect("JSON");
    let id = created["items"][0]["id"].as_str().expect("an id").to_owned();
    server.api("alice").until(&id, &["available"]);
    let list = as_alice(&["sessions", "list"]).expect_success();
    assert!(list.text().contains(&id) && list.text().contains("available"), "{}", list.text());
    let refused = as_alice(&["apply", "-f", &server.file("x.yaml", "kind: User\nname: eve\nspec: {}\n")]);
    assert_eq!(refused.status.code(), Some(1), "alice is no administrator: {}", refused.text());
    as_alice(&["sessions", "end", &id]).expect_success();
    server.api("alice").until(&id, &["completed"]);
    let log = as_alice(&["sessions", "log", &id]).expect_success();
    assert!(log.text().contains("Added sudo rule"), "{}", log.text());
    assert_eq!(as_alice(&["sessions", "end", &id]).status.code(), Some(1), "the answer is no");
    assert_eq!(as_alice(&["sessions", "ennd"]).status.code(), Some(2), "wrong usage");
}

#[test]
fn why_somebody_may_or_may_not_is_explained() {
    let server = Server::start();
    server.file("secret", "not a real one");
    server.apply(concat!(
        "kind: User\nname: alice\nspec: {}\n---\nkind: User\nname: bob\nspec: {}\n---\n",
        "kind: Group\nname: inner\nspec: {members: [alice]}\n---\nkind: Group\nname: team\nspec: {members: [inner]}\n---\n",
        "kind: ServiceAccount\nname: svc\nspec: {platform: linux, user: root, elevation: none, password_file: secret}\n---\n",
        "kind: Resource\nname: web1\nspec: {platform: linux, address: 192.0.2.1, service_account: svc, host_key: \"ssh-ed25519 ",
        "AAAAC3NzaC1lZDI1NTE5AAAAIFIR5p2lv7i3pG1yPQ7L2hXg9zq1m3h1yW8QvJ6T2k4d\"}\n---\n",
        "kind: Activity\nname: admin\nspec: {platform: linux, protocol: ssh, login_account: {type: activity_token}}\n---\n",
        "kind: ConnectionProfile\nname: hour\nspec: {max_duration: 1h}\n---\n",
        "kind: AccessPolicy\nname: p\nspec: {groups: [team], activities: [admin], resources: [web1], connection_profile: hour}\n",
    ));
    let yes = server.cli(&["explain", "alice", "web1"]).expect_success().text();
    assert!(yes.contains("yes: alice may run admin on web1") && yes.contains("team → inner → alice"), "{yes}");
    let no = server.cli(&["explain", "bob", "web1", "admin"]);
    assert_eq!(no.status.code(), Some(1), "{}", no.text());
    let said = no.text();
    assert!(
        said.contains("no: bob may not run admin on web1")
            && said.contains("Put the user into one of its groups (team)"),
        "{said}"
    );
    let json = server.cli(&["explain", "bob", "web1", "--json"]);
    let json: Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(json["activities"][0]["policies"][0]["findings"][0]["rule"], "user_named");
}

#[test]
fn one_process_owns_the_data_and_a_second_is_told_so() {
    let server = Server::start();
    let second = server.cli(&["serve"]);
    assert!(!second.status.success() && second.text().contains("in use by"), "{}", second.text());
    assert!(server.api("admin").get("/me").status == 200, "the first goes on");
    let again = server.cli(&["init"]);
    assert_eq!(again.status.code(), Some(1), "{}", again.text());
}

#[test]
fn the_key_is_kept_apart_from_the_data_and_both_from_others() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = Server::initialised(None);
    let mode = |path: &str| {
        let path = server.dir.path().join(path);
        assert!(exists(&path), "{}", path.display());
        std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777
    };
    assert_eq!((mode("cardea-master.key"), mode("data")), (0o600, 0o700));
}

#[test]
fn settings_that_are_not_known_are_refused() {
    let server = Server::initialised(None);
    let run =
        server.command().env("CARDEA__HTTP__LISEN", "127.0.0.1:1").arg("serve").output().expect("the binary runs");
    assert_eq!(run.status.code(), Some(64), "{}", run.text());
    let file = server.file("cardea.toml", "[http]\nlisten = \"127.0.0.1:1\"\nlisen = 1\n");
    let run = server.cli(&["serve", "--config", &file]);
    assert_eq!(run.status.code(), Some(64));
    assert!(run.text().contains("lisen"), "{}", run.text());
}

#[test]
fn a_host_key_is_learned_only_when_told_to() {
    let host = LinuxHost::start("web1");
    let server = Server::start();
    server.furnish(&[&host]);
    let bare = server.resource("web1", &host.address().to_string(), host.port(), "x").replace(", host_key: \"x\"", "");
    server.apply(&bare);
    let id = server.api("alice").request("web1");
    let failed = server.api("alice").until(&id, &["failed"]);
    assert_eq!(failed["reason"]["code"], "host_key_missing");
    server.cli(&["host-key", "learn", "web1"]).expect_success();
    let resource = server.api("admin").get("/resources/web1").ok();
    assert_eq!(resource["spec"]["host_key"], host.host_key());
    assert_eq!(server.cli(&["host-key", "learn", "web1"]).status.code(), Some(1), "a pinned key is not overwritten");
    server.api("alice").available("web1");
}
