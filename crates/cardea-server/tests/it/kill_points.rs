//! `kill -9` behind every durable step of a session's life and around every command to its host, one place after the other:
//! after a restart the host is byte for byte as before.
//!
//! The places are found by letting one life pass them all, so a step that is new is among them without anybody's doing. The
//! ordinary gate takes some of them, others each time; with `CARDEA_TEST_LONG=1` it is all.

use std::{
    collections::HashMap,
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use cardea_testkit::LinuxHost;
use serde_json::{Value, json};

use crate::harness::{Api, Expect as _, PATIENCE, Server};

/// The places are shared out among tests, which run side by side.
const SHARDS: usize = 4;
/// How many places a shard takes in the ordinary gate.
const KILLS: usize = 6;
const FAIL_POINT: &str = "CARDEA_FAIL_POINT";
const FAIL_POINT_LOG: &str = "CARDEA_FAIL_POINT_LOG";

const WORLD: &str = r#"---
kind: Activity
name: Linux admin
spec:
  platform: linux
  protocol: ssh
  login_account: {type: activity_token}
  pre_session:
    - add_sudo_rule: {commands: ["ALL"]}
    - add_to_group: {group: adm}
    - run_script: {script: "echo before"}
    - authorize_key: {}
  post_session:
    - run_script: {script: "echo behind"}
---
kind: ConnectionProfile
name: one-hour
spec: {max_duration: 1h, extension: {by: 30m, limit: 2}}
"#;

/// A host, and a server whose data can be put back to before anything happened.
struct World {
    host: LinuxHost,
    server: Server,
    /// The host as nobody has touched it.
    before: String,
    alice: String,
    admin: String,
}

impl World {
    fn new() -> Self {
        let host = LinuxHost::start("web1");
        let mut server = Server::start();
        server.furnish(&[&host]);
        server.apply(WORLD);
        let (alice, admin) = (server.token("alice"), server.token("admin"));
        server.key("alice");
        server.stop();
        copy(&server.dir.path().join("data"), &server.dir.path().join("untouched"));
        let before = host.fingerprint();
        Self { host, server, before, alice, admin }
    }

    /// A server that has done nothing yet, and that does what `variable` says. False if it has ended already.
    fn begin(&mut self, variable: &'static str, value: &str) -> bool {
        let data = self.server.dir.path().join("data");
        fs::remove_dir_all(&data).expect("no server has it");
        copy(&self.server.dir.path().join("untouched"), &data);
        self.server.set(variable, value.to_owned());
        let runs = self.server.try_resume();
        self.server.unset(variable);
        runs
    }

    fn alice(&self) -> Api<'_> {
        Api { server: &self.server, token: self.alice.clone() }
    }

    fn admin(&self) -> Api<'_> {
        Api { server: &self.server, token: self.admin.clone() }
    }

    /// A session with everything in it, from its request to its proven end; none if the server died on the way.
    fn life(&self) -> Option<()> {
        let (alice, admin) = (self.alice(), self.admin());
        let wish = json!({ "activity": "Linux admin", "resources": ["web1"] });
        let created = alice.attempt("POST", "/sessions", Some(&wish))?.ok();
        let id = created["items"][0]["id"].as_str().expect("an id").to_owned();
        self.until(&id, |session| session["status"] == "available")?;
        // What runs and waits there outlives the connection.
        let litter = "setsid sleep 900 >/dev/null 2>&1 </dev/null & echo '0 0 1 1 * true' | crontab -; sudo -n id -u";
        let run = self.server.ssh("alice", &id).arg(litter).output().expect("ssh runs");
        alice.attempt("GET", "/me", None)?;
        assert_eq!(String::from_utf8_lossy(&run.stdout).trim(), "0", "{}", run.text());
        self.until(&id, |session| session["status"] == "available")?;
        alice.attempt("POST", &format!("/sessions/{id}/extend"), Some(&json!({})))?.ok();
        let lock = json!({ "title": "Wait", "text": "Somebody looks into it." });
        admin.attempt("POST", &format!("/sessions/{id}/lock"), Some(&lock))?.ok();
        self.until(&id, |session| session["lock"]["stage"] == "locked")?;
        admin.attempt("POST", &format!("/sessions/{id}/unlock"), Some(&json!({})))?.ok();
        self.until(&id, |session| session["status"] == "available")?;
        alice.attempt("POST", &format!("/sessions/{id}/end"), Some(&json!({})))?.ok();
        self.until(&id, |session| session["status"] == "completed")?;
        Some(())
    }

    /// Waits for the session to be so, or for the server to be gone.
    fn until(&self, id: &str, is_so: impl Fn(&Value) -> bool) -> Option<Value> {
        let end = Instant::now() + PATIENCE;
        loop {
            let session = self.alice().attempt("GET", &format!("/sessions/{id}"), None)?.ok();
            if is_so(&session) {
                return Some(session);
            }
            assert!(Instant::now() < end && session["status"] != "failed", "{session:#}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What people do after a crash: see what is there, check that it is true, end it; none if the server died again.
    fn wind_up(&self) -> Option<()> {
        let alice = self.alice();
        let active = alice.attempt("GET", "/sessions?view=active", None)?.ok();
        for session in active["items"].as_array().expect("a list") {
            let id = session["id"].as_str().expect("an id");
            let session = self.settled(id)?;
            if session["clean"] != true {
                let account = session["login_account"].as_str().expect("an account");
                assert!(self.host.uid_of(account).is_some(), "{account} is on the host, as is said: {session:#}");
                // It may have come to its end meanwhile, as was wanted before the crash.
                let ended = alice.attempt("POST", &format!("/sessions/{id}/end"), Some(&json!({})))?;
                assert!(matches!(ended.status, 200 | 409), "{ended:?}");
            }
        }
        for session in active["items"].as_array().expect("a list") {
            let id = session["id"].as_str().expect("an id");
            let end = Instant::now() + PATIENCE;
            while alice.attempt("GET", &format!("/sessions/{id}"), None)?.ok()["clean"] != true {
                assert!(Instant::now() < end, "never clean: {:#}", alice.session(id));
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        let out = alice.attempt("GET", "/grants?state=out", None)?.ok();
        assert_eq!(out["items"], json!([]), "nothing is out there any more");
        Some(())
    }

    /// Waits until the engine has done with the session what there was to do.
    fn settled(&self, id: &str) -> Option<Value> {
        let end = Instant::now() + PATIENCE;
        loop {
            let session = self.alice().attempt("GET", &format!("/sessions/{id}"), None)?.ok();
            let is_standing = match session["status"].as_str() {
                Some("available" | "logged_in") => true,
                Some("locked") => session["lock"]["stage"] == "locked",
                _ => false,
            };
            if is_standing || session["clean"] == true {
                return Some(session);
            }
            assert!(Instant::now() < end, "it hangs: {session:#}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The places that a life passes, in order: a name, and for the how many-th time.
    fn places(&mut self) -> Vec<(String, usize)> {
        let lists: Vec<_> = (0..2).map(|_| self.passages()).collect();
        let mut counts = HashMap::<&str, usize>::new();
        let mut places = Vec::new();
        for name in &lists[0] {
            let count = counts.entry(name).or_default();
            *count += 1;
            // What does not come in every life, such as a look whether a connection still lives, is left out.
            if lists[1].iter().filter(|other| *other == name).count() >= *count {
                places.push((name.clone(), *count));
            }
        }
        places
    }

    fn passages(&mut self) -> Vec<String> {
        let log = self.server.dir.path().join("passages");
        assert!(self.begin(FAIL_POINT_LOG, log.to_str().expect("the path is text")), "it starts");
        self.life().expect("nobody killed it");
        self.server.kill();
        self.must_be_as_before("a whole life");
        let passages = fs::read_to_string(&log).expect("it was written").lines().map(str::to_owned).collect();
        fs::remove_file(&log).expect("it is ours");
        passages
    }

    /// Kills at one place, and once more while the next start puts things in order. Whether the place was passed.
    fn kill_at(&mut self, (name, count): &(String, usize), again: usize) -> bool {
        let runs = self.begin(FAIL_POINT, &format!("{name}:{count}"));
        let died = !runs || self.life().is_none();
        self.server.kill();
        self.server.set(FAIL_POINT, format!("any:{again}"));
        let runs = self.server.try_resume();
        self.server.unset(FAIL_POINT);
        if !runs || self.wind_up().is_none() {
            self.server.kill();
            self.server.resume();
            self.wind_up().expect("nobody kills it now");
        }
        let place = format!("{name}, passage {count}, and then passage {again} of any");
        self.server.kill();
        self.must_be_as_before(&place);
        died
    }

    #[track_caller]
    fn must_be_as_before(&self, killed_at: &str) {
        let now = self.host.fingerprint();
        assert!(now == self.before, "killed at {killed_at}: before {}\nnow {now}", self.before);
        let ours = self.host.root("ls -A /var/lib/cardea-host 2>/dev/null || true");
        assert_eq!(ours, "", "killed at {killed_at}: the dead man's switch is left");
    }
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.is_ok_and(|status| status.success()), "{} is copied", from.display());
}

#[expect(clippy::disallowed_methods, reason = "what the gate says to its tests")]
fn is_long() -> bool {
    std::env::var_os("CARDEA_TEST_LONG").is_some()
}

fn shard(number: usize) {
    let mut world = World::new();
    let all = world.places();
    for word in ["committed", "before place", "during place", "after place", "before remove", "after observe"] {
        assert!(all.iter().any(|(name, _)| name.starts_with(word)), "no `{word}` among {all:?}");
    }
    // Another one in each run.
    let seed = usize::try_from(std::process::id()).expect("64 bits");
    let ours: Vec<_> = all.iter().skip(number).step_by(SHARDS).collect();
    let step = if is_long() { 1 } else { ours.len().div_ceil(KILLS) };
    eprintln!("{} places, {} of this shard, each {step}-th, seed {seed}", all.len(), ours.len());
    let chosen: Vec<_> = ours.into_iter().skip(seed % step).step_by(step).collect();
    let mut missed = Vec::new();
    for (index, place) in chosen.iter().enumerate() {
        // Somewhere in what is left to do, which is some forty passages.
        let again = 1 + (seed + index * 7) % 40;
        eprintln!("killed at {place:?}, and then at passage {again}");
        if !world.kill_at(place, again) {
            missed.push(place);
        }
    }
    assert!(missed.len() * 5 <= chosen.len(), "too many places were not passed: {missed:?}");
}

#[test]
fn killed_at_every_place_1() {
    shard(0);
}

#[test]
fn killed_at_every_place_2() {
    shard(1);
}

#[test]
fn killed_at_every_place_3() {
    shard(2);
}

#[test]
fn killed_at_every_place_4() {
    shard(3);
}
