//! Throw-away Linux hosts: real OpenSSH servers with accounts of their own, run by `hosts/linux-host`.
//!
//! A host lives as long as its value, and ends also when the process that holds it is killed. It needs root and listens on
//! an address that no other host has.

mod network;
mod plan;

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

pub use plan::HostPlan;

use crate::{address, folder};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../hosts/linux-host");
const FOLDER: &str = "cardea-host-";
const PORT: u16 = 2222;
/// How long a host may take to answer, on a machine that compiles at the same time.
const START_MAX: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// A running host. Dropping it kills all its processes and removes what it wrote.
pub struct LinuxHost {
    plan: HostPlan,
    address: Ipv4Addr,
    folder: tempfile::TempDir,
    process: Option<Child>,
    host_key: String,
}

impl LinuxHost {
    /// The account that is Cardea's on every host: opened by [`LinuxHost::service_key`], passwordless sudo.
    pub const SERVICE_ACCOUNT: &str = "svc";

    /// Starts a host and waits until it answers. Panics with the reason when it cannot.
    pub fn start(name: &str) -> Self {
        Self::plan(name).start()
    }

    /// Like [`LinuxHost::start`], on a disk of this size (`64m`) in memory. It is lost when the host stops.
    pub fn start_small(name: &str, size: &str) -> Self {
        Self::plan(name).disk(size).start()
    }

    /// A host that is unlike the others: say how, then start it.
    pub fn plan(name: &str) -> HostPlan {
        HostPlan::new(name)
    }

    fn start_as(plan: HostPlan) -> Self {
        let folder = folder::make(FOLDER);
        for key in ["root", "service"] {
            make_key(&folder.path().join(key));
        }
        let address = if plan.own_network { network::free_address() } else { address::free(PORT) };
        let mut host = Self { plan, address, folder, process: None, host_key: String::new() };
        host.resume();
        let public_key = read(&host.folder.path().join("service.pub"));
        let public_key = public_key.trim();
        host.root(&format!(
            "useradd -m -s /bin/bash svc && mkdir -m 700 /home/svc/.ssh && \
             echo '{public_key}' >/home/svc/.ssh/authorized_keys && chown -R svc:svc /home/svc/.ssh && \
             echo 'svc ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/svc && chmod 440 /etc/sudoers.d/svc"
        ));
        let line = host.root("cat /etc/ssh/host_ed25519.pub");
        host.host_key = line.split(' ').take(2).collect::<Vec<_>>().join(" ").trim().to_owned();
        host
    }

    /// Kills the host as a power cut would. What it wrote to disk stays.
    pub fn stop(&mut self) {
        let first = self.first_process();
        let Some(mut process) = self.process.take() else { return };
        let _already_dead = process.kill();
        process.wait().expect("the host's process is our child");
        wait(START_MAX, "the host's processes are gone", || first.as_ref().is_none_or(|first| !first.exists()));
    }

    /// Starts a stopped host again, with the files it had and the same key. Its link is up.
    pub fn resume(&mut self) {
        let log = fs::File::create(self.folder.path().join("log")).expect("the host's folder is writable");
        let mut command = Command::new("nice");
        command.args(["-n", if self.plan.yields { "10" } else { "0" }, SCRIPT]);
        self.plan.describe(&mut command);
        if self.plan.own_network {
            command.env("LINK", network::link(self.address));
        }
        let child = command
            // What is to tell the host that we are gone, however we went: the pipe closes with us.
            .env("TETHER", "1")
            .arg(self.folder.path().join("state"))
            .arg(self.name())
            .arg(self.address.to_string())
            .arg(PORT.to_string())
            .arg(self.folder.path().join("root.pub"))
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("hosts/linux-host runs");
        self.process = Some(child);
        let deadline = Instant::now() + START_MAX;
        while self.try_root("true").is_err() {
            let ended = self.process.as_mut().is_some_and(|process| process.try_wait().is_ok_and(|end| end.is_some()));
            assert!(
                !ended && Instant::now() < deadline,
                "host {} did not start (hosts need root and what `cargo xtask test` installs): {}",
                self.name(),
                read(&self.folder.path().join("log"))
            );
            thread::sleep(POLL);
        }
    }

    /// The folder in `/proc` of the host's process 1: the child of its script that has a number of its own in there.
    fn first_process(&self) -> Option<PathBuf> {
        let pid = self.process.as_ref()?.id();
        let space = |process: &Path| fs::read_link(process.join("ns/pid")).ok();
        let ours = space(Path::new("/proc/self"));
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        children
            .split_whitespace()
            .map(|child| Path::new("/proc").join(child))
            .find(|child| space(child).is_some_and(|theirs| Some(theirs) != ours))
    }

    /// Takes the link of a host with a network of its own down: what is sent to it and by it vanishes. Nothing is refused.
    pub fn link_down(&self) {
        self.set_link("down");
    }

    /// Brings the link back. Connections that were open go on.
    pub fn link_up(&self) {
        self.set_link("up");
    }

    fn set_link(&self, state: &str) {
        assert!(self.plan.own_network, "{} has no network of its own: plan it with own_network()", self.name());
        let first = self.first_process().expect("the host runs");
        network::set_link(&first, state);
    }

    /// Moves the clock of a host that was planned with one that is off: by this much it is off now. cron, at and what they run see
    /// it; log-ins keep the clock that sshd was started with.
    pub fn move_clock(&self, by: &str) {
        assert!(self.plan.has_clock_of_its_own(), "{} has the machine's clock: plan it with clock_off()", self.name());
        // at sleeps until its next job by the old clock, and looks again when it is told to. cron looks every minute.
        self.root(&format!("echo '{by}' >/etc/faketimerc; ! pgrep -x atd >/dev/null || kill -HUP $(pgrep -x atd)"));
    }

    /// Runs a shell command as the host's root over ssh and gives its output. Panics when it fails.
    pub fn root(&self, command: &str) -> String {
        self.try_root(command).unwrap_or_else(|error| panic!("{}: {command}: {error}", self.name()))
    }

    /// Like [`LinuxHost::root`]; what the command wrote to stderr when it fails.
    pub fn try_root(&self, command: &str) -> Result<String, String> {
        let output = self
            .ssh("root", &self.folder.path().join("root"))
            .arg(command)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("the ssh client does not run: {error}"))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
        }
    }

    /// A real ssh client on its way to this host: add a command and run it.
    pub fn ssh(&self, user: &str, private_key: &Path) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "/dev/null", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"])
            .args(["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes"])
            .args(["-o", "ConnectTimeout=10", "-p", &PORT.to_string(), "-i"])
            .arg(private_key)
            .arg(format!("{user}@{}", self.address));
        ssh
    }

    /// The host's name.
    pub fn name(&self) -> &str {
        self.plan.name()
    }

    /// Where its sshd listens.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The port of its sshd.
    pub fn port(&self) -> u16 {
        PORT
    }

    /// The host's public key: one OpenSSH line without comment.
    pub fn host_key(&self) -> &str {
        &self.host_key
    }

    /// The service account's private key in OpenSSH form.
    pub fn service_key(&self) -> String {
        read(&self.service_key_file())
    }

    /// The file that holds [`LinuxHost::service_key`].
    pub fn service_key_file(&self) -> PathBuf {
        self.folder.path().join("service")
    }

    /// The number of an account, if it exists.
    pub fn uid_of(&self, account: &str) -> Option<u32> {
        self.try_root(&format!("id -u -- '{account}'")).ok()?.trim().parse().ok()
    }

    /// Everything on the host that a privilege could hide in, one line per file with a hash of its sorted lines.
    /// Equal texts before and after mean that the accounts are as before.
    pub fn accounts_digest(&self) -> String {
        self.root(
            "for f in /etc/passwd /etc/shadow /etc/group /etc/gshadow /etc/subuid /etc/subgid /etc/sudoers \
             /etc/sudoers.d/* /home/*/.ssh/* /root/.ssh/* /var/spool/cron/crontabs/* /var/spool/cron/atjobs/*; do \
             [ -f \"$f\" ] && printf '%s %s\\n' \"$(sort \"$f\" | sha256sum | cut -c1-16)\" \"$f\"; done; \
             ls -A /home /var/mail /var/lib/systemd/linger /etc/sudoers.d 2>/dev/null; true",
        )
    }

    /// All that a privilege could be on this host as one text, readable where two differ: accounts, groups, sub-ids, sudo,
    /// cron, at, units and what is preloaded; everything in homes and mail (owner, mode, digest); processes of people with
    /// their numbers. Passwords stand there as digests. Left out are times, the service account's processes, which come and
    /// go with Cardea's connections, and at's counter, which only grows.
    pub fn fingerprint(&self) -> String {
        self.root(include_str!("linux_host/fingerprint.sh"))
    }

    /// Living processes of a numeric user id, also when its account is gone: one `pid command` line each.
    pub fn processes_of(&self, uid: u32) -> Vec<String> {
        let all = self.root("ps -eo uid=,stat=,pid=,args=");
        all.lines()
            .filter_map(|line| {
                let (owner, rest) = line.trim().split_once(' ')?;
                let (state, rest) = rest.trim().split_once(' ')?;
                (owner.parse() == Ok(uid) && !state.starts_with('Z')).then(|| rest.trim().to_owned())
            })
            .collect()
    }

    /// Files of a numeric user id anywhere on the host.
    pub fn files_of(&self, uid: u32) -> Vec<String> {
        // What the host wrote lies in three folders of its state and in its file systems in memory: no need to walk
        // through the machine's own files, of which there may be millions.
        let written = match self.plan.disk {
            None => self.written_files_of(uid),
            Some(_) => self.root(&format!("find / -xdev -uid {uid} 2>/dev/null; find /home /root -uid {uid}; true")),
        };
        let memory = self.root(&format!("find /tmp /run /dev/shm -uid {uid} 2>/dev/null; true"));
        written.lines().chain(memory.lines()).map(str::to_owned).collect()
    }

    fn written_files_of(&self, uid: u32) -> String {
        let state = self.folder.path().join("state");
        let found = Command::new("find")
            .args(["changes", "home", "root", "-uid", &uid.to_string()])
            .current_dir(state)
            .output()
            .expect("find runs");
        String::from_utf8_lossy(&found.stdout).into_owned()
    }
}

impl Drop for LinuxHost {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Waits for a condition. Panics with `what` when it does not come true in time.
pub fn wait(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        thread::sleep(POLL);
    }
}

fn make_key(path: &Path) {
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(path).status();
    assert!(made.is_ok_and(|status| status.success()), "ssh-keygen makes a key: is openssh-client installed?");
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default().trim_end().to_owned() + "\n"
}
