//! A small world: hosts, a server in its own folder, users with keys, and the API as a script would use it.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use cardea_testkit::{LinuxHost, wait};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take on a machine that runs other tests beside.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const ADMIN_PASSWORD: &str = "Correct-horse-7-battery";

/// A server that was set up in a folder of its own, and the ways to talk to it. Dropping it kills the process.
pub(crate) struct Server {
    pub(crate) dir: TempDir,
    pub(crate) http: u16,
    pub(crate) ssh: u16,
    store: Option<String>,
    settings: Vec<(&'static str, String)>,
    /// Where the keys of people are: every node's users are the same.
    keys: PathBuf,
    process: Option<Child>,
    client: reqwest::blocking::Client,
}

/// A status and the body that came with it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.body);
        self.body
    }

    /// Checks that it is a problem of this status and kind.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, slug: &str) {
        assert_eq!(
            (self.status, self.body["type"].as_str()),
            (status, Some(format!("/problems/{slug}").as_str())),
            "{}",
            self.body
        );
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

impl Server {
    /// A server on SQLite, initialised and started.
    pub(crate) fn start() -> Self {
        Self::on(None)
    }

    /// A server on SQLite, or on the PostgreSQL database of this URL.
    pub(crate) fn on(store: Option<String>) -> Self {
        let mut server = Self::initialised(store);
        server.resume();
        server
    }

    /// A server that was set up and not started yet.
    pub(crate) fn initialised(store: Option<String>) -> Self {
        let server = Self::in_a_folder(store);
        let password = server.file("admin-password", &format!("{ADMIN_PASSWORD}\n"));
        server.cli(&["init", "--admin-password-file", &password]).expect_success();
        server
    }

    fn in_a_folder(store: Option<String>) -> Self {
        let client =
            reqwest::blocking::Client::builder().tls_danger_accept_invalid_certs(true).timeout(PATIENCE).build();
        let dir = TempDir::new().expect("a folder");
        let (http, ssh, client, keys) = (free_port(), free_port(), client.expect("a client"), dir.path().to_path_buf());
        Self { dir, http, ssh, store, settings: Vec::new(), keys, process: None, client }
    }

    /// A further node on the same database, with the same master key, started.
    pub(crate) fn join(&self) -> Self {
        let mut node = Self::in_a_folder(self.store.clone());
        node.keys.clone_from(&self.keys);
        let master_key = self.dir.path().join("cardea-master.key");
        node.set("CARDEA__VAULT__KEY_FILE", master_key.to_str().expect("the path is text").to_owned());
        node.cli(&["init", "--join"]).expect_success();
        node.resume();
        node
    }

    /// The node's name, as its settings show it.
    pub(crate) fn node(&self) -> String {
        let shown = self.cli(&["config", "show", "--json"]).expect_success();
        let shown: Value = serde_json::from_slice(&shown.stdout).expect("it answers in JSON");
        shown["node"].as_str().expect("a node has a name").to_owned()
    }

    /// Sends the process a signal.
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.process_id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill {signal}");
    }

    /// One more setting, by the name of its environment variable, from the next start on.
    pub(crate) fn set(&mut self, variable: &'static str, value: String) {
        self.unset(variable);
        self.settings.push((variable, value));
    }

    /// Takes a setting back, from the next start on.
    pub(crate) fn unset(&mut self, variable: &str) {
        self.settings.retain(|(known, _)| *known != variable);
    }

    /// Has the process read a clock that [`Server::move_clock`] moves, from the next start on: by libfaketime, preloaded. Its
    /// timers go on at their usual pace.
    pub(crate) fn take_movable_clock(&mut self) {
        let library = fs::read_dir("/usr/lib").expect("a folder").flatten();
        let mut library = library.map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
        let library = library.find(|path| path.exists()).expect("libfaketime is installed by `cargo xtask test`");
        self.set("LD_PRELOAD", library.to_str().expect("the path is text").to_owned());
        let clock = self.file("clock", "+0\n");
        self.set("FAKETIME_TIMESTAMP_FILE", clock);
        for variable in ["FAKETIME_NO_CACHE", "FAKETIME_DONT_FAKE_MONOTONIC"] {
            self.set(variable, "1".to_owned());
        }
    }

    /// The process's clock is off by this much (`+1h`) from now on. The engine, which sleeps by its timers, is woken as it is by
    /// any change of the configuration.
    pub(crate) fn move_clock(&self, by: &str) {
        // In one step: the file is read at any moment.
        fs::rename(self.file("clock.new", &format!("{by}\n")), self.dir.path().join("clock")).expect("it is ours");
        self.apply(&format!("---\nkind: User\nname: clockmaker\nspec: {{full_name: {by:?}}}\n"));
    }

    /// Writes a file that only its owner reads, and gives its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        fs::write(&path, text).expect("the folder is writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("the file is ours");
        path.to_str().expect("the path is text").to_owned()
    }

    /// The binary with this server's settings in its environment.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cardea"));
        command
            .current_dir(self.dir.path())
            .env("CARDEA__DATA_DIR", self.dir.path().join("data"))
            .env("CARDEA__HTTP__LISTEN", format!("127.0.0.1:{}", self.http))
            .env("CARDEA__SSH__LISTEN", format!("127.0.0.1:{}", self.ssh))
            .stdin(Stdio::null());
        if let Some(url) = &self.store {
            command.env("CARDEA__STORE__URL", url);
        }
        command.envs(self.settings.iter().map(|(variable, value)| (variable, value)));
        command
    }

    pub(crate) fn cli(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().expect("the binary runs")
    }

    /// Starts the process and waits until it takes requests.
    pub(crate) fn resume(&mut self) {
        assert!(self.try_resume(), "the server did not start: {}", self.log());
    }

    /// Starts the process and waits until it takes requests, or has ended.
    pub(crate) fn try_resume(&mut self) -> bool {
        let log =
            fs::OpenOptions::new().create(true).append(true).open(self.dir.path().join("server.log")).expect("a log");
        let errors = log.try_clone().expect("a second handle");
        self.process = Some(self.command().arg("serve").stdout(log).stderr(errors).spawn().expect("the binary runs"));
        let end = Instant::now() + PATIENCE;
        while !self.is_ready() {
            if self.process.as_mut().is_some_and(|process| process.try_wait().is_ok_and(|gone| gone.is_some())) {
                return false;
            }
            assert!(Instant::now() < end, "the server did not start: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        true
    }

    fn is_ready(&self) -> bool {
        self.client.get(self.url("/readyz")).send().is_ok_and(|answer| answer.status().is_success())
    }

    /// The running process.
    pub(crate) fn process_id(&self) -> u32 {
        self.process.as_ref().map_or(0, Child::id)
    }

    /// What the server logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("server.log")).unwrap_or_default()
    }

    /// Kills the process as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("it is our child");
            process.wait().expect("it is our child");
            // What libfaketime shares between threads, and removes itself only at a peaceful end.
            for name in ["sem.faketime_sem_", "faketime_shm_"] {
                let _there_is_none_otherwise = fs::remove_file(format!("/dev/shm/{name}{}", process.id()));
            }
        }
    }

    /// Asks the process to stop and waits until it has.
    pub(crate) fn stop(&mut self) {
        let id = self.process_id().to_string();
        if let Some(mut process) = self.process.take() {
            Command::new("kill").args(["-TERM", &id]).status().expect("kill is there");
            let status = process.wait().expect("it is our child");
            assert!(status.success(), "a stop on request is no failure: {status}");
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.http)
    }

    /// A token of this user, from the operator.
    pub(crate) fn token(&self, user: &str) -> String {
        let made = self.cli(&["token", "create", "--user", user, "--expires", "8h"]);
        String::from_utf8_lossy(&made.expect_success().stdout).trim().lines().last().unwrap_or_default().to_owned()
    }

    /// The API as this user.
    pub(crate) fn api(&self, user: &str) -> Api<'_> {
        Api { server: self, token: self.token(user) }
    }

    pub(crate) fn client(&self) -> &reqwest::blocking::Client {
        &self.client
    }

    /// Applies YAML and expects it to be taken.
    pub(crate) fn apply(&self, yaml: &str) {
        let file = self.file("apply.yaml", yaml);
        self.cli(&["apply", "-f", &file]).expect_success();
    }

    /// A key pair of a user, made once: the file of its private half.
    pub(crate) fn key(&self, user: &str) -> PathBuf {
        let path = self.keys.join(format!("key-{user}"));
        if !path.exists() {
            let status = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-C", user, "-f"])
                .arg(&path)
                .status();
            assert!(status.is_ok_and(|status| status.success()), "ssh-keygen");
        }
        path
    }

    /// A real ssh client on its way through the gateway.
    pub(crate) fn ssh(&self, user: &str, login: &str) -> Command {
        let mut command = Command::new("ssh");
        command.args([
            "-F",
            "/dev/null",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
        ]);
        command.args(["-o", "LogLevel=INFO", "-o", "IdentitiesOnly=yes", "-p", &self.ssh.to_string(), "-i"]);
        command.arg(self.key(user)).arg(format!("{login}@127.0.0.1")).stdin(Stdio::null());
        command
    }

    /// Service account, resources and the users alice (an operator) and mallory (nobody in particular), with one activity
    /// that gives root.
    pub(crate) fn furnish(&self, hosts: &[&LinuxHost]) {
        let mut yaml = self.people();
        for host in hosts {
            yaml += &self.service_account(host.name(), &host.service_key());
            yaml += &self.resource(host.name(), &host.address().to_string(), host.port(), host.host_key());
        }
        let names: Vec<_> = hosts.iter().map(|host| host.name()).collect();
        yaml += &policy(&names);
        self.apply(&yaml);
    }

    pub(crate) fn people(&self) -> String {
        let mut yaml = String::new();
        for user in ["alice", "mallory"] {
            let public = fs::read_to_string(self.key(user).with_extension("pub")).expect("ssh-keygen wrote it");
            yaml += &format!("---\nkind: User\nname: {user}\nspec: {{ssh_keys: [{:?}]}}\n", public.trim());
        }
        yaml
    }

    /// The service account of one host.
    pub(crate) fn service_account(&self, host: &str, private_key: &str) -> String {
        let file = self.file(&format!("service-key-{host}"), private_key);
        let spec = format!("platform: linux, user: svc, private_key_file: {file:?}, elevation: sudo");
        format!("---\nkind: ServiceAccount\nname: {host}\nspec: {{{spec}}}\n")
    }

    pub(crate) fn resource(&self, name: &str, address: &str, port: u16, host_key: &str) -> String {
        format!(
            "---\nkind: Resource\nname: {name}\nspec: {{platform: linux, address: {address}, port: {port}, service_account: {name}, host_key: {host_key:?}}}\n"
        )
    }
}

/// Activity, profile and policy for these resources.
pub(crate) fn policy(resources: &[&str]) -> String {
    format!(
        r#"---
kind: Activity
name: Linux admin
spec:
  platform: linux
  protocol: ssh
  login_account: {{type: activity_token}}
  pre_session:
    - add_sudo_rule: {{commands: ["ALL"]}}
    - add_to_group: {{group: adm}}
---
kind: ConnectionProfile
name: one-hour
spec: {{max_duration: 1h}}
---
kind: AccessPolicy
name: operators
spec: {{users: [alice], activities: [Linux admin], resources: {resources:?}, connection_profile: one-hour}}
"#
    )
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("server log:\n{}", self.log());
        }
    }
}

/// The API as one user.
pub(crate) struct Api<'a> {
    pub(crate) server: &'a Server,
    pub(crate) token: String,
}

impl Api<'_> {
    pub(crate) fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.attempt(method, path, body).expect("the server answers")
    }

    /// The answer; none if the server was gone before it came.
    pub(crate) fn attempt(&self, method: &str, path: &str, body: Option<&Value>) -> Option<Answer> {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request =
            self.server.client.request(method, self.server.url(&format!("/api/v1{path}"))).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().ok()?;
        let status = answer.status().as_u16();
        let text = answer.text().ok()?;
        Some(Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) })
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None)
    }

    #[expect(clippy::needless_pass_by_value, reason = "bodies are written where they are sent")]
    pub(crate) fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, Some(&body))
    }

    /// Requests the one activity on one resource; the session's id.
    pub(crate) fn request(&self, resource: &str) -> String {
        let created = self.post("/sessions", json!({ "activity": "Linux admin", "resources": [resource] })).ok();
        created["items"][0]["id"].as_str().expect("a session has an id").to_owned()
    }

    pub(crate) fn session(&self, id: &str) -> Value {
        self.get(&format!("/sessions/{id}")).ok()
    }

    /// Waits until the session has one of these statuses.
    pub(crate) fn until(&self, id: &str, statuses: &[&str]) -> Value {
        self.until_that(id, &statuses.join(" or "), |session| {
            statuses.contains(&session["status"].as_str().unwrap_or_default())
        })
    }

    /// Waits until the session is as it should be.
    pub(crate) fn until_that(&self, id: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let session = self.session(id);
            if is_so(&session) {
                return session;
            }
            assert!(Instant::now() < end, "the session never became {what}: {session:#}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Requests and waits until it is available.
    pub(crate) fn available(&self, resource: &str) -> Value {
        let id = self.request(resource);
        let session = self.until(&id, &["available", "failed"]);
        assert_eq!(session["status"], "available", "{session:#}");
        session
    }

    pub(crate) fn end(&self, id: &str) {
        self.post(&format!("/sessions/{id}/end"), json!({})).ok();
    }

    /// How many privileges the ledger says are out there.
    pub(crate) fn out(&self) -> usize {
        self.get("/grants?state=out").ok()["items"].as_array().map_or(usize::MAX, Vec::len)
    }

    /// The kinds of privileges that the ledger says are out there, in order of their names.
    pub(crate) fn kinds_out(&self) -> Vec<String> {
        let out = self.get("/grants?state=out").ok();
        let items = out["items"].as_array().expect("a list").iter();
        let mut kinds: Vec<_> =
            items.map(|grant| grant["kind"].as_str().expect("a grant has a kind").to_owned()).collect();
        kinds.sort();
        kinds
    }
}

/// An open stream of events.
pub(crate) struct Stream(BufReader<reqwest::blocking::Response>);

/// One event.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) data: Value,
}

impl Stream {
    pub(crate) fn open(server: &Server, api: &Api<'_>, last: Option<&str>) -> Self {
        let request = server.client().get(server.url("/api/v1/events")).bearer_auth(&api.token);
        // Longer than anything takes that is waited for.
        let mut request = request.timeout(PATIENCE * 10);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        Self(BufReader::new(request.send().expect("the server answers").error_for_status().expect("it streams")))
    }

    pub(crate) fn next(&mut self) -> Event {
        let mut event = Event { id: String::new(), kind: String::new(), data: Value::Null };
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).expect("the stream goes on") > 0, "the stream ended");
            match line.trim_end().split_once(':') {
                None if !event.kind.is_empty() => return event,
                Some(("id", value)) => event.id = value.trim().to_owned(),
                Some(("event", value)) => event.kind = value.trim().to_owned(),
                Some(("data", value)) => event.data = serde_json::from_str(value).expect("data is JSON"),
                None | Some(_) => {}
            }
        }
    }

    /// Reads on until an alert of this kind.
    pub(crate) fn until_alert(&mut self, code: &str) -> Value {
        loop {
            let event = self.next();
            if event.kind == "alert" && event.data["code"] == code {
                return event.data;
            }
        }
    }

    /// Reads on until some session has this status.
    pub(crate) fn until_status(&mut self, status: &str) -> Event {
        loop {
            let event = self.next();
            if event.kind == "session" && event.data["status"] == status {
                return event;
            }
        }
    }
}

/// What a command's end says.
pub(crate) trait Expect {
    fn expect_success(self) -> Self;
    fn text(&self) -> String;
}

impl Expect for Output {
    #[track_caller]
    fn expect_success(self) -> Self {
        assert!(self.status.success(), "{}: {}", self.status, self.text());
        self
    }

    fn text(&self) -> String {
        format!("{}{}", String::from_utf8_lossy(&self.stdout), String::from_utf8_lossy(&self.stderr))
    }
}

/// Waits until a child has ended by itself.
pub(crate) fn until_gone(child: &mut Child, limit: Duration) {
    wait(limit, "the client ends", || child.try_wait().expect("it is our child").is_some());
}

/// Whether a path exists, for paths that may be unreadable.
pub(crate) fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
