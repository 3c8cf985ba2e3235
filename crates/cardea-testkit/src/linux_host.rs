//! Throw-away Linux hosts: real OpenSSH servers with accounts of their own, run by `hosts/linux-host`.
//!
//! A host lives as long as its value. It needs root and listens on a loopback address that no other host has.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../hosts/linux-host");
const PORT: u16 = 2222;
/// How long a host may take to answer, on a machine that compiles at the same time.
const START_MAX: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// A running host. Dropping it kills all its processes and removes what it wrote.
pub struct LinuxHost {
    name: String,
    address: Ipv4Addr,
    folder: tempfile::TempDir,
    process: Option<Child>,
    host_key: String,
    disk: Option<String>,
}

impl LinuxHost {
    /// The account that is Cardea's on every host: opened by [`LinuxHost::service_key`], passwordless sudo.
    pub const SERVICE_ACCOUNT: &str = "svc";

    /// Starts a host and waits until it answers. Panics with the reason when it cannot.
    pub fn start(name: &str) -> Self {
        Self::start_on(name, None)
    }

    /// Like [`LinuxHost::start`], on a disk of this size (`64m`) in memory. It is lost when the host stops.
    pub fn start_small(name: &str, size: &str) -> Self {
        Self::start_on(name, Some(size.to_owned()))
    }

    fn start_on(name: &str, disk: Option<String>) -> Self {
        let folder = tempfile::Builder::new().prefix("cardea-host-").tempdir().expect("a temporary folder");
        for key in ["root", "service"] {
            make_key(&folder.path().join(key));
        }
        let mut host = Self {
            name: name.to_owned(),
            address: free_address(),
            folder,
            process: None,
            host_key: String::new(),
            disk,
        };
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
        let Some(mut process) = self.process.take() else { return };
        let pid = process.id();
        let first = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let gone = Path::new("/proc").join(first.trim());
        let _already_dead = process.kill();
        process.wait().expect("the host's process is our child");
        wait(START_MAX, "the host's processes are gone", || first.is_empty() || !gone.exists());
    }

    /// Starts a stopped host again, with the files it had and the same key.
    pub fn resume(&mut self) {
        let log = fs::File::create(self.folder.path().join("log")).expect("the host's folder is writable");
        let child = Command::new(SCRIPT)
            .envs(self.disk.as_ref().map(|size| ("DISK", size)))
            .arg(self.folder.path().join("state"))
            .arg(&self.name)
            .arg(self.address.to_string())
            .arg(PORT.to_string())
            .arg(self.folder.path().join("root.pub"))
            .stdin(Stdio::null())
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
                "host {} did not start (hosts need root, openssh-server and sudo): {}",
                self.name,
                read(&self.folder.path().join("log"))
            );
            thread::sleep(POLL);
        }
    }

    /// Runs a shell command as the host's root over ssh and gives its output. Panics when it fails.
    pub fn root(&self, command: &str) -> String {
        self.try_root(command).unwrap_or_else(|error| panic!("{}: {command}: {error}", self.name))
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
        &self.name
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
        let written = match self.disk {
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

/// An address of 127.64.0.0/10 that nobody listens on. Tests run as processes side by side, so it starts from ours.
fn free_address() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const TRIES_MAX: u32 = 1000;
    for _ in 0..TRIES_MAX {
        let ours = std::process::id().wrapping_mul(61).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        // Neither .0 nor .255, which some tools take for networks.
        let [_, high, middle, low] = (ours & 0x003f_ffff).to_be_bytes();
        let address = Ipv4Addr::new(127, 64 + high, middle, low.clamp(1, 254));
        if TcpListener::bind((address, PORT)).is_ok() {
            return address;
        }
    }
    panic!("no free loopback address in 127.64.0.0/10 after {TRIES_MAX} tries");
}

fn make_key(path: &Path) {
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(path).status();
    assert!(made.is_ok_and(|status| status.success()), "ssh-keygen makes a key: is openssh-client installed?");
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default().trim_end().to_owned() + "\n"
}
