//! Hosts that fall ill while privileges are out there: what Cardea says meanwhile, and that everything is gone when the fault is over.
//!
//! The server reads a clock that the test moves (libfaketime), so a minute or an hour of failing takes a moment; hosts, timers and
//! time limits are real.

use std::time::Duration;

use cardea_testkit::{HostPlan, LinuxHost, wait};
use serde_json::{Value, json};

use crate::harness::{Api, Expect as _, PATIENCE, Server, Stream};

const ALL: [&str; 4] = ["account", "dead_man", "group_membership", "sudo_rule"];

/// A host, a server with a clock of its own, and what the host was before anything happened.
struct Ward {
    host: LinuxHost,
    server: Server,
    before: String,
    alice: String,
    admin: String,
}

impl Ward {
    fn new(plan: HostPlan) -> Self {
        let host = plan.start();
        let mut server = Server::initialised(None);
        server.take_movable_clock();
        server.resume();
        server.furnish(&[&host]);
        let (alice, admin) = (server.token("alice"), server.token("admin"));
        let before = host.fingerprint();
        Self { host, server, before, alice, admin }
    }

    fn alice(&self) -> Api<'_> {
        Api { server: &self.server, token: self.alice.clone() }
    }

    fn admin(&self) -> Api<'_> {
        Api { server: &self.server, token: self.admin.clone() }
    }

    /// An available session with something of alice's running in it: its id and the account's name.
    fn open(&self) -> (String, String) {
        let session = self.alice().available("web1");
        let text = |key: &str| session[key].as_str().expect("text").to_owned();
        let (id, account) = (text("id"), text("login_account"));
        let started =
            self.server.ssh("alice", &id).arg("setsid sleep 900 >/dev/null 2>&1 </dev/null & exit 0").output();
        started.expect("ssh runs").expect_success();
        // The gateway's own key stays for further connections.
        self.alice().until(&id, &["available"]);
        (id, account)
    }

    /// Requests in vain: why. Nothing of it is left.
    #[track_caller]
    fn fails(&self, code: &str, says: &str) {
        let alice = self.alice();
        let id = alice.request("web1");
        alice.until(&id, &["failed"]);
        let session = alice.until_that(&id, "clean", |session| session["clean"] == true);
        let detail = session["reason"]["detail"].as_str().unwrap_or_default();
        assert!(session["reason"]["code"] == code && detail.contains(says), "{session:#}");
    }

    /// The clean-up fails: it is told after each try, and after a minute loudly, to everybody who should know.
    #[track_caller]
    fn stalls(&self, id: &str, says: &str) {
        let (alice, admin) = (self.alice(), self.admin());
        let mut alerts = Stream::open(&self.server, &admin, None);
        let session = alice.until_that(id, "failing its clean-up", failed_once);
        assert_eq!((&session["status"], &session["clean"]), (&json!("canceling"), &json!(false)), "{session:#}");
        self.server.move_clock("+61s");
        let session = alice.until_that(id, "stalled", |session| session["cleanup_stalled"] == true);
        assert_eq!(session["status"], "canceling");
        let alert = alerts.until_alert("cleanup_stalled");
        assert_eq!((&alert["session"], &alert["resource"]), (&json!(id), &json!("web1")));
        assert!(alert["text"].as_str().is_some_and(|text| text.contains(says)), "{alert}");
        let lines = self.log(id);
        let is_told = |level: &str| {
            let told =
                |line: &&Value| line["message"].as_str().is_some_and(|text| text.starts_with("Could not remove"));
            lines.iter().filter(told).any(|line| line["level"] == level && line.to_string().contains(says))
        };
        assert!(is_told("error"), "{lines:#?}");
        let out = alice.get("/grants?state=out").ok()["items"].as_array().expect("a list").clone();
        let last_words = |grant: &Value| grant["last_error"].as_str().is_some_and(|text| text.contains(says));
        assert!(out.iter().any(last_words), "{out:#?}");
    }

    /// The fault is over, and the next try comes, an hour later at most: everything is gone, proven.
    #[track_caller]
    fn mends(&self, id: &str) {
        self.server.move_clock("+1h");
        self.is_gone(id);
    }

    #[track_caller]
    fn is_gone(&self, id: &str) {
        let session = self.alice().until(id, &["completed"]);
        assert_eq!((&session["clean"], &session["cleanup_stalled"]), (&json!(true), &json!(false)), "{session:#}");
        for grant in session["grants"].as_array().expect("a list") {
            assert!(grant["evidence"]["read_back"].as_str().is_some_and(|text| !text.is_empty()), "{grant:#}");
        }
        self.is_as_before();
    }

    #[track_caller]
    fn is_as_before(&self) {
        assert_eq!(self.alice().kinds_out(), Vec::<String>::new());
        let now = self.host.fingerprint();
        assert!(now == self.before, "before {}\nnow {now}", self.before);
        assert_eq!(self.host.root("ls -A /var/lib/cardea-host 2>/dev/null || true"), "");
    }

    fn log(&self, id: &str) -> Vec<Value> {
        self.admin().get(&format!("/sessions/{id}/log")).ok()["items"].as_array().expect("lines").clone()
    }

    /// Whether the session's log has a line with this in it.
    fn is_said(&self, id: &str, text: &str) -> bool {
        self.log(id).iter().any(|line| line["message"].as_str().is_some_and(|message| message.contains(text)))
    }

    /// Has Cardea connect anew.
    fn restart(&mut self) {
        self.server.stop();
        self.server.resume();
    }
}

fn failed_once(session: &Value) -> bool {
    let grants = session["grants"].as_array();
    grants.is_some_and(|grants| grants.iter().any(|grant| grant["attempts"].as_i64() > Some(0)))
}

#[test]
fn unreachable_for_an_hour() {
    let ward = Ward::new(LinuxHost::plan("web1").own_network());
    let (id, _) = ward.open();
    ward.host.link_down();
    ward.alice().end(&id);

    ward.stalls(&id, "cannot be reached");
    assert_eq!(ward.alice().kinds_out(), ["account", "authorized_key", "dead_man", "group_membership", "sudo_rule"]);
    // Who wants in meanwhile hears why not.
    ward.fails("unreachable", "no answer in time");
    ward.server.move_clock("+59m");
    let tried = |session: &Value| session["grants"][0]["attempts"].as_i64().unwrap_or_default();
    let before = tried(&ward.alice().session(&id));
    ward.alice().until_that(&id, "tried again after an hour", |session| tried(session) > before);
    assert_eq!(ward.alice().session(&id)["status"], "canceling", "it is never given up");

    ward.host.link_up();
    ward.server.move_clock("+65m");
    ward.is_gone(&id);
}

#[test]
fn host_key_changed_while_grants_are_out() {
    let mut ward = Ward::new(LinuxHost::plan("web1"));
    let (id, _) = ward.open();
    let change_key = "cd /etc/ssh && mv host_ed25519 kept && mv host_ed25519.pub kept.pub && ssh-keygen -q -t ed25519 -N '' -f host_ed25519";
    ward.host.root(change_key);
    ward.host.stop();
    ward.host.resume();
    ward.alice().end(&id);
    ward.stalls(&id, "the host key is not the pinned one");
    ward.host.root("cd /etc/ssh && mv -f kept host_ed25519 && mv -f kept.pub host_ed25519.pub");
    ward.host.stop();
    ward.host.resume();
    ward.mends(&id);
}

#[test]
fn a_host_that_was_given_a_new_key_is_cleaned_once_somebody_vouches_for_it() {
    let mut ward = Ward::new(LinuxHost::plan("web1"));
    let (id, _) = ward.open();
    ward.host.root("cd /etc/ssh && rm host_ed25519* && ssh-keygen -q -t ed25519 -N '' -C '' -f host_ed25519");
    ward.host.stop();
    ward.host.resume();
    ward.alice().end(&id);
    ward.stalls(&id, "set `host_key` of the resource to the new key");

    let fresh = ward.host.root("cut -d' ' -f1,2 /etc/ssh/host_ed25519.pub");
    let (address, port) = (ward.host.address().to_string(), ward.host.port());
    ward.server.apply(&ward.server.resource("web1", &address, port, fresh.trim()));
    ward.mends(&id);
}

#[test]
fn disk_full_while_placing_and_while_removing() {
    let mut ward = Ward::new(LinuxHost::plan("web1").disk("64m"));
    // So big that what Cardea's own removals set free is not enough to write them anew.
    ward.host.root(
        "for n in $(seq 3000); do echo filler$n:x:$((300000 + n)): >&3; \
         echo filler$n:x:$((300000 + n)):$((300000 + n))::/nonexistent:/usr/sbin/nologin; done >>/etc/passwd 3>>/etc/group",
    );
    ward.before = ward.host.fingerprint();
    let fill = "cat /dev/zero >/opt/fill 2>/dev/null; true";
    ward.host.root(fill);
    ward.fails("target_refused", "/var/lib/cardea-host/");
    ward.host.root("rm /opt/fill");
    ward.is_as_before();

    let (id, account) = ward.open();
    ward.host.root(fill);
    ward.alice().end(&id);
    ward.stalls(&id, "failure while writing changes to /etc/");
    let uid = ward.host.uid_of(&account).expect("userdel could not");
    assert_eq!(ward.host.processes_of(uid), Vec::<String>::new(), "what can be taken away on a full disk is");
    assert!(ward.host.root("cat /etc/sudoers.d/*").lines().all(|line| !line.starts_with(&format!("#{uid} "))));
    ward.host.root("rm /opt/fill");
    ward.mends(&id);
}

#[test]
fn sudoers_folder_read_only() {
    let ward = Ward::new(LinuxHost::plan("web1"));
    let shut = "mount --bind /etc/sudoers.d /etc/sudoers.d && mount -o remount,ro,bind /etc/sudoers.d";
    ward.host.root(shut);
    ward.fails("target_refused", "/etc/sudoers.d");
    ward.host.root("umount /etc/sudoers.d");
    ward.is_as_before();

    let (id, account) = ward.open();
    ward.host.root(shut);
    ward.alice().end(&id);
    ward.stalls(&id, "Read-only file system");
    assert_eq!(ward.alice().kinds_out(), ["dead_man", "sudo_rule"], "the switch stays for what could not be removed");
    assert_eq!(ward.host.uid_of(&account), None, "the rest is not held up");
    ward.host.root("umount /etc/sudoers.d");
    ward.mends(&id);
}

#[test]
fn passwd_locked_by_another_process() {
    let ward = Ward::new(LinuxHost::plan("web1"));
    // As vipw and every account tool do it. They wait a quarter of a minute for it, each.
    let hold = "setsid perl -MFcntl -e 'open F, \">>/etc/.pwd.lock\" or die; $l = pack(\"ssx4qqlx4\", F_WRLCK, 0, 0, 0, 0); \
                fcntl(F, F_SETLKW, $l) or die; open P, \">/run/holder\"; print P $$; close P; sleep 900' \
                >/dev/null 2>&1 </dev/null & for n in $(seq 1000); do [ ! -s /run/holder ] || exit 0; sleep 0.01; done; exit 1";
    let release = "kill $(cat /run/holder) && rm /run/holder";
    let (id, _) = ward.open();
    ward.host.root(hold);
    ward.alice().end(&id);
    // A try takes most of a minute here: the first is over when a minute has passed.
    ward.server.move_clock("+61s");
    ward.stalls(&id, "cannot lock /etc/");
    ward.host.root(release);
    ward.mends(&id);
    ward.host.root(hold);
    ward.fails("target_refused", "cannot lock /etc/");
    ward.host.root(release);
    ward.is_as_before();
}

#[test]
fn account_deleted_by_hand() {
    let ward = Ward::new(LinuxHost::plan("web1"));
    let (id, account) = ward.open();
    // Its folder of keys is immutable, so something of its home stays.
    ward.host.root(&format!("userdel -f -r {account} 2>/dev/null; true"));
    assert_eq!(ward.host.uid_of(&account), None);
    ward.alice().end(&id);
    ward.is_gone(&id);
    assert!(ward.is_said(&id, "Everything that this session placed is gone"));
}

#[test]
fn account_renamed_by_hand() {
    let ward = Ward::new(LinuxHost::plan("web1"));
    let (id, account) = ward.open();
    ward.host.root(&format!("pkill -KILL -u {account}; usermod -l renamed {account}"));
    ward.alice().end(&id);
    ward.is_gone(&id);
    assert_eq!((ward.host.uid_of(&account), ward.host.uid_of("renamed")), (None, None));
}

#[test]
fn sudo_rule_edited_by_hand() {
    let ward = Ward::new(LinuxHost::plan("web1"));
    // With our mark it is ours, whatever else it says.
    let (id, account) = ward.open();
    ward.host.root(&format!("echo '{account} ALL=(ALL) NOPASSWD: ALL' >>/etc/sudoers.d/cardea-*"));
    ward.alice().end(&id);
    ward.is_gone(&id);
    // Without it, it is for a person to say whose it is.
    let (id, _) = ward.open();
    let file = ward.host.root("ls /etc/sudoers.d/cardea-*").trim().to_owned();
    ward.host.root(&format!("sed -i 1d {file}"));
    ward.alice().end(&id);
    ward.stalls(
        &id,
        &format!("{file} does not carry Cardea's mark any more, so it was left as it is: look at it and remove it"),
    );
    assert_eq!(ward.alice().kinds_out(), ["dead_man", "sudo_rule"]);
    ward.host.root(&format!("rm {file}"));
    ward.mends(&id);
}

#[test]
fn service_account_locked_and_unlocked() {
    let mut ward = Ward::new(LinuxHost::plan("web1"));
    let (id, _) = ward.open();
    ward.host.root("usermod -L -e 1 svc");
    // A connection that is open stays open.
    ward.restart();
    ward.alice().end(&id);
    ward.stalls(&id, "the host refused the service account's log-in");
    ward.fails("login_refused", "svc");
    ward.host.root("usermod -U -e '' svc");
    ward.mends(&id);
}

/// On a host whose clock is wrong a session begins, gives what it is to give, and ends: by Cardea, and by the host as late as
/// on every other.
fn clock_wrong(by: &str) {
    let ward = Ward::new(LinuxHost::plan("web1").clock_off(by));
    let (id, _) = ward.open();
    let run = ward.server.ssh("alice", &id).arg("sudo -n id -u").output().expect("ssh runs");
    assert_eq!(String::from_utf8_lossy(&run.stdout).trim(), "0", "{}", run.text());
    let seconds = |command: &str| ward.host.root(command).trim().parse::<i64>().expect("seconds");
    let now = seconds("date +%s");
    // An hour and the margin, as the host's own clock counts.
    let bounds = [
        "date -d \"$(sed -nE 's/.*NOTAFTER=(....)(..)(..)(..)(..)(..)Z.*/\\1-\\2-\\3 \\4:\\5:\\6Z/p' /etc/sudoers.d/cardea-*)\" +%s",
        "sed -nE 's/.* end=([0-9]+) .*/\\1/p' /var/lib/cardea-host/grt_*",
        "date -d \"$(sed -nE 's/.*expiry-time=\"(....)(..)(..)(..)(..)(..)Z\".*/\\1-\\2-\\3 \\4:\\5:\\6Z/p' /home/alice-*/.ssh/authorized_keys)\" +%s",
    ];
    for bound in bounds {
        let left = seconds(bound) - now;
        assert!((3700..=3905).contains(&left), "{left} s are left, says {bound}");
    }
    ward.alice().end(&id);
    ward.is_gone(&id);
}

#[test]
fn clock_of_the_host_an_hour_fast() {
    clock_wrong("+1h");
}

#[test]
fn clock_of_the_host_an_hour_slow() {
    clock_wrong("-1h");
}

#[test]
fn sessions_are_not_shown_as_over_while_anything_is_out() {
    let mut ward = Ward::new(LinuxHost::plan("web1"));
    let (id, _) = ward.open();
    ward.host.stop();
    ward.alice().end(&id);
    ward.stalls(&id, "cannot be reached");
    // A restart forgets nothing of it.
    ward.restart();
    let session = ward.alice().session(&id);
    assert_eq!((&session["status"], &session["cleanup_stalled"]), (&json!("canceling"), &json!(true)));
    assert!(ALL.iter().all(|kind| ward.alice().kinds_out().contains(&(*kind).to_owned())));
    ward.host.resume();
    // An administrator need not wait for the next try.
    let grant = session["grants"].as_array().expect("a list").iter().find(|grant| grant["state"] == "removing");
    let grant = grant.and_then(|grant| grant["id"].as_str()).expect("one is being removed");
    wait(Duration::from_secs(5) + PATIENCE, "it is tried now", || {
        let tried = ward.admin().post(&format!("/grants/{grant}/try-now"), json!({}));
        tried.status == 409 || ward.alice().session(&id)["status"] == "completed"
    });
    ward.is_gone(&id);
}
