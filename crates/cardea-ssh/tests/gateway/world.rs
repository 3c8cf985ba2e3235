//! A host, a gateway, a person with a key and a session. Dropping it checks the books.

use std::{
    fs::{self, Permissions},
    io::{Read as _, Write as _},
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use cardea_domain::{Gate, SessionId};
use cardea_ssh::{Gateway, Limits, Settings, generate_host_key};
use cardea_testkit::{FakeGate, FakeSession, LinuxHost, SeededEntropy, wait};
use tokio::{runtime::Runtime, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// For something that takes milliseconds, on a machine that does other things too.
pub(crate) const SOON: Duration = Duration::from_secs(20);
/// What every client is given at most, in seconds.
const CLIENT_MAX: &str = "100";

pub(crate) struct World {
    pub(crate) host: Arc<LinuxHost>,
    pub(crate) gate: Arc<FakeGate>,
    pub(crate) address: SocketAddr,
    /// Opened for the person's key; leads to the account `worker`.
    pub(crate) session: SessionId,
    pub(crate) folder: tempfile::TempDir,
    stop: CancellationToken,
    serving: Option<JoinHandle<()>>,
    runtime: Runtime,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(crate) fn with(limits: Limits) -> Self {
        let host = Arc::new(LinuxHost::start("target"));
        host.root(
            "useradd -m -s /bin/bash worker && mkdir -m 700 /home/worker/.ssh && chown worker: /home/worker/.ssh",
        );
        let runtime = Runtime::new().expect("a runtime");
        let (gate, entropy) = (FakeGate::new(), SeededEntropy::new(7));
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let settings = Settings { listen, host_key: generate_host_key(&*entropy), limits };
        let gateway = runtime
            .block_on(Gateway::bind(settings, Arc::clone(&gate) as Arc<dyn Gate>, entropy))
            .expect("the gateway binds");
        let address = gateway.local_addr();
        let stop = CancellationToken::new();
        let serving = Some(runtime.spawn(gateway.serve(stop.clone())));
        let folder = tempfile::tempdir().expect("a folder");
        let mut world = Self { host, gate, address, session: placeholder(), folder, stop, serving, runtime };
        world.make_key("mine");
        world.session = world.open(|_| {});
        world
    }

    /// Opens one more session for the person's key, changed as a test likes.
    pub(crate) fn open(&self, change: impl FnOnce(&mut FakeSession)) -> SessionId {
        let host = Arc::clone(&self.host);
        let mut session = FakeSession {
            user_key: self.public_key("mine"),
            address: self.host.address().to_string(),
            port: self.host.port(),
            host_key: self.host.host_key().to_owned(),
            account: "worker".to_owned(),
            authorize: Arc::new(move |key| {
                host.root(&format!(
                    "echo '{key}' >>/home/worker/.ssh/authorized_keys; chown worker: /home/worker/.ssh/*"
                ));
            }),
        };
        change(&mut session);
        self.gate.open(session)
    }

    pub(crate) fn make_key(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        let made =
            Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(&path).status();
        assert!(made.expect("ssh-keygen runs").success());
        path
    }

    /// The same, unless there is one of this name.
    pub(crate) fn make_key_once(&self, name: &str) {
        if !self.folder.path().join(name).exists() {
            self.make_key(name);
        }
    }

    pub(crate) fn public_key(&self, name: &str) -> String {
        let line = fs::read_to_string(self.folder.path().join(format!("{name}.pub"))).expect("the key was made");
        line.trim().to_owned()
    }

    /// `ssh` options that every client gets. Warnings are on, so that banners are shown.
    pub(crate) fn options(&self, key: &str) -> Vec<String> {
        let key = self.folder.path().join(key);
        let settings = [
            "BatchMode=yes",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "IdentitiesOnly=yes",
            "ConnectTimeout=20",
            "LogLevel=INFO",
        ];
        let mut options = vec!["-F".to_owned(), "/dev/null".to_owned()];
        options.extend(settings.into_iter().flat_map(|setting| ["-o".to_owned(), setting.to_owned()]));
        options.extend(["-o".to_owned(), format!("Port={}", self.address.port()), "-i".to_owned()]);
        options.push(key.display().to_string());
        options
    }

    /// A real client on its way to the session; options of its own in `extra` go before the usual ones.
    pub(crate) fn ssh(&self, extra: &[&str], command: &str) -> Command {
        self.ssh_as("mine", &self.session.to_string(), extra, command)
    }

    pub(crate) fn ssh_as(&self, key: &str, user: &str, extra: &[&str], command: &str) -> Command {
        let mut ssh = Command::new("timeout");
        ssh.args(["-k", "1", CLIENT_MAX, "ssh"]).args(extra).args(self.options(key));
        ssh.arg(format!("{user}@127.0.0.1")).arg(command);
        ssh.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        ssh
    }

    /// Runs a command through the gateway.
    pub(crate) fn run(&self, command: &str) -> Output {
        output(&mut self.ssh(&[], command))
    }

    /// Starts a client that says `up` once its command runs.
    pub(crate) fn start(&self, extra: &[&str], command: &str) -> Child {
        let mut client =
            self.ssh(extra, &format!("echo up; {command}")).stdin(Stdio::piped()).spawn().expect("ssh runs");
        expect(&mut client, if extra.contains(&"-t") { "up\r\n" } else { "up\n" });
        client
    }

    /// Waits until the connection's end was reported, and gives the reason.
    pub(crate) fn closed(&self) -> &'static str {
        wait(SOON, "the end of the connection is reported", || !self.gate.closed().is_empty());
        self.gate.closed()[0].reason
    }

    /// Stops the gateway as a server that shuts down does.
    pub(crate) fn stop(&mut self) {
        self.stop.cancel();
        if let Some(serving) = self.serving.take() {
            self.runtime.block_on(serving).expect("the gateway stops in order");
        }
    }

    /// Runs the test's own SSH client.
    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(async { tokio::time::timeout(SOON, work).await.expect("in time") })
    }

    /// A file of the test's, with this content.
    pub(crate) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::File::create(&path).and_then(|mut file| file.write_all(content)).expect("the folder is writable");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("it is ours");
        path
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop();
        if thread::panicking() {
            return;
        }
        let mut joined: Vec<_> = self.gate.joins().into_iter().map(|join| join.connection).collect();
        let mut closed: Vec<_> = self.gate.closed().into_iter().map(|closed| closed.connection).collect();
        joined.sort();
        closed.sort();
        assert_eq!(joined, closed, "every connection is reported as closed exactly once");
    }
}

fn placeholder() -> SessionId {
    "ses_00000000000000000000000000".parse().expect("an id")
}

pub(crate) fn output(command: &mut Command) -> Output {
    command.output().expect("the client runs")
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Reads exactly this from a client.
pub(crate) fn expect(client: &mut Child, text: &str) {
    let mut read = vec![0; text.len()];
    let from = client.stdout.as_mut().expect("its output is ours");
    if let Err(error) = from.read_exact(&mut read) {
        let mut why = String::new();
        client.stderr.take().map(|mut stderr| stderr.read_to_string(&mut why));
        panic!("the client said nothing: {error}: {why}");
    }
    assert_eq!(String::from_utf8_lossy(&read), text);
}
