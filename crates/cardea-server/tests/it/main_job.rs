//! The main job: request, provision, log in, sudo, end, nothing left. On both databases.

use std::{process::Stdio, time::Duration};

use cardea_testkit::{LinuxHost, Postgres, wait};

use crate::harness::{Expect as _, Server, until_gone};

fn main_job(server: &Server, host: &LinuxHost, bystander: &LinuxHost) {
    let (before, before_there) = (host.accounts_digest(), bystander.accounts_digest());
    server.furnish(&[host, bystander]);
    let plan = server
        .file("again.yaml", &std::fs::read_to_string(server.dir.path().join("apply.yaml")).expect("it was applied"));
    assert_eq!(server.cli(&["plan", "-f", &plan]).status.code(), Some(0), "what was applied is no difference");
    let (alice, mallory) = (server.api("alice"), server.api("mallory"));

    let session = alice.available(host.name());
    let id = session["id"].as_str().expect("an id");
    let account = session["login_account"].as_str().expect("an account");
    let uid = host.uid_of(account).expect("the account is on the host");
    assert_eq!(bystander.uid_of(account), None, "and only there");
    assert!(host.root("cat /etc/sudoers.d/*").contains("NOTAFTER="), "the sudo rule expires by itself");
    assert_eq!(mallory.get(&format!("/sessions/{id}")).status, 404, "nobody else sees it");

    let run = server.ssh("alice", id).arg("sudo -n id -u; id -un; id -nG; exit 7").output().expect("ssh runs");
    let said = String::from_utf8_lossy(&run.stdout);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!((run.status.code(), lines[0], lines[1]), (Some(7), "0", account), "{}", run.text());
    assert!(lines[2].contains("adm"), "{said}");
    let stranger = server.ssh("mallory", id).arg("id").output().expect("ssh runs");
    assert_eq!(stranger.status.code(), Some(255), "{}", stranger.text());

    let litter = "setsid sh -c 'sleep 900 & sleep 900' >/dev/null 2>&1 </dev/null & sudo -n setsid sleep 901 >/dev/null 2>&1 </dev/null & \
                  touch /tmp/left-behind; echo '0 0 1 1 * true' | crontab -; true";
    server.ssh("alice", id).arg(litter).output().expect("ssh runs").expect_success();
    wait(Duration::from_secs(10), "a stray process and a stray file are there", || {
        host.processes_of(uid).len() >= 2 && !host.files_of(uid).is_empty()
    });
    let mut open = server.ssh("alice", id).arg("sleep 600").stdout(Stdio::null()).spawn().expect("ssh runs");
    alice.until(id, &["logged_in"]);

    alice.end(id);
    until_gone(&mut open, Duration::from_secs(2));
    let session = alice.until(id, &["completed"]);
    assert_eq!(
        (host.accounts_digest(), bystander.accounts_digest()),
        (before, before_there),
        "the hosts are as before"
    );
    assert_eq!(host.processes_of(uid), Vec::<String>::new());
    assert_eq!(host.root("pgrep -f '[s]leep 901' || true"), "", "what ran under sudo is gone too");
    wait(Duration::from_secs(30), "no file of the account is left", || host.files_of(uid).is_empty());
    assert_eq!(server.api("admin").out(), 0);
    for grant in session["grants"].as_array().expect("a session has grants") {
        assert_eq!(grant["state"], "removed", "{grant}");
        assert!(grant["evidence"]["read_back"].as_str().is_some_and(|text| !text.is_empty()), "{grant}");
        assert_eq!(grant["evidence"]["self_reported"], true, "alice was root there: {grant}");
    }
    let ended = server.ssh("alice", id).arg("id").output().expect("ssh runs");
    assert_eq!(ended.status.code(), Some(255));
    assert!(ended.text().contains("over"), "the refusal says why: {}", ended.text());
    let log = alice.get(&format!("/sessions/{id}/log")).ok();
    assert!(log["items"].as_array().is_some_and(|lines| lines.len() >= 8), "{log:#}");
}

#[test]
fn the_main_job_on_sqlite() {
    let (host, bystander) = (LinuxHost::start("web1"), LinuxHost::start("web2"));
    main_job(&Server::start(), &host, &bystander);
}

#[test]
fn the_main_job_on_postgresql() {
    let postgres = Postgres::start();
    let (host, bystander) = (LinuxHost::start("web1"), LinuxHost::start("web2"));
    main_job(&Server::on(Some(postgres.fresh_database())), &host, &bystander);
}
