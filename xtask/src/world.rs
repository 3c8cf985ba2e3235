//! A running Cardea with hosts to work on: what the demo shows and the browser journey walks through.
//!
//! With throw-away hosts everything starts afresh: store, keys, passwords, hosts. With a host of somebody's own the
//! folder is kept from run to run, so that the ledger outlives whatever is still out on that host. Dropping a world stops
//! the server first and then the hosts.

use std::{
    fs::{self, File},
    io::Read,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{
    process::{self, Running, Stop},
    workspace::Workspace,
};

/// How long a host or the server may take to answer, on a machine that compiles at the same time.
const START_MAX: Duration = Duration::from_secs(60);
const HOST_PORT: u16 = 2222;
const HOST_NAMES: [&str; 2] = ["web1", "db1"];
/// Memory for what a host writes. Kept off the disk: not every file system can carry an overlay.
const HOST_DISK: &str = "256m";
/// The server's data directory, below a world's folder.
const DATA: &str = "cardea-data";
/// The ports that the server has by default.
const HTTP_PORT: u16 = 8443;
const SSH_PORT: u16 = 4422;
/// The person who is to try it.
pub(crate) const USER: &str = "alice";
/// The person who approves what has to be approved.
pub(crate) const APPROVER: &str = "bob";

/// A host as Cardea is told of it.
pub(crate) struct Resource {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) port: u16,
    /// One OpenSSH line.
    pub(crate) host_key: String,
}

/// How Cardea gets in to the hosts.
pub(crate) struct Access {
    pub(crate) user: String,
    pub(crate) key: PathBuf,
    pub(crate) elevation: String,
}

/// A running server and what belongs to it.
pub(crate) struct World {
    server: Running,
    _hosts: Vec<Running>,
    _lock: File,
    program: PathBuf,
    pub(crate) folder: PathBuf,
    pub(crate) resources: Vec<Resource>,
    pub(crate) password: String,
    pub(crate) admin_password: String,
    pub(crate) approver_password: String,
    pub(crate) http_port: u16,
    pub(crate) ssh_port: u16,
}

impl World {
    /// Starts two throw-away hosts and a server that knows them, in a folder that is emptied first. Needs root.
    pub(crate) fn with_hosts(workspace: &Workspace, folder: &Path) -> Result<Self> {
        let lock = take(folder)?;
        empty(folder)?;
        make_key(&folder.join("root"))?;
        let access =
            Access { user: "svc".to_owned(), key: make_key(&folder.join("service"))?, elevation: "sudo".to_owned() };
        let mut hosts = Vec::new();
        let mut addresses = Vec::new();
        for name in HOST_NAMES {
            let address = free_address(&addresses)?;
            hosts.push(start_host(workspace, folder, name, &address)?);
            addresses.push(address);
        }
        let mut resources = Vec::new();
        for (index, name) in HOST_NAMES.iter().enumerate() {
            resources.push(furnish(folder, name, &addresses[index], &mut hosts[index])?);
        }
        Self::start(workspace, (folder, lock), hosts, resources, &access)
    }

    /// Starts a server that knows one host of somebody's own, in a folder that is that host's alone. What a former run
    /// left there is taken up: its store goes on removing what was still out.
    pub(crate) fn with_own_host(
        workspace: &Workspace,
        folder: &Path,
        resource: Resource,
        access: &Access,
    ) -> Result<Self> {
        let lock = take(folder)?;
        private_folder(folder)?;
        Self::start(workspace, (folder, lock), Vec::new(), vec![resource], access)
    }

    fn start(
        workspace: &Workspace,
        (folder, lock): (&Path, File),
        hosts: Vec<Running>,
        resources: Vec<Resource>,
        access: &Access,
    ) -> Result<Self> {
        if !folder.join(USER).exists() {
            make_key(&folder.join(USER))?;
        }
        let (password, admin_password) = (kept_password(folder, "password")?, kept_password(folder, "admin-password")?);
        let approver_password = kept_password(folder, "approver-password")?;
        write_configuration(workspace, folder, &resources, access)?;
        let (http_port, ssh_port) = (free_port_or(HTTP_PORT)?, free_port_or(SSH_PORT)?);
        let program = workspace.target.join("debug/cardea");
        let cardea = |arguments: &[&str]| cardea(&program, folder, (http_port, ssh_port), arguments);
        let known = folder.join(DATA).exists();
        let made = process::output(&mut cardea(&["init", "--admin-password-file", "admin-password"]));
        // `init` finishes one that was broken off and refuses one that is whole; `serve` tells what else is wrong with it.
        if !known {
            made?;
        }
        let log = folder.join("cardea.log");
        let mut server = Running::start("Cardea", &cardea(&["serve"]), &log, Stop::Terminate)?;
        process::wait_until("Cardea takes connections", START_MAX, || {
            server.must_live(&log)?;
            Ok(process::answers("127.0.0.1", http_port) && process::answers("127.0.0.1", ssh_port))
        })?;
        process::output(&mut cardea(&["apply", "-f", "demo.yaml"]))?;
        Ok(Self {
            server,
            _hosts: hosts,
            _lock: lock,
            program,
            folder: folder.to_owned(),
            resources,
            password,
            admin_password,
            approver_password,
            http_port,
            ssh_port,
        })
    }

    /// What the browser journey must know.
    pub(crate) fn describe(&self) -> Value {
        let hosts =
            self.resources.iter().map(|each| json!({"name": each.name, "address": each.address, "port": each.port}));
        json!({
            "url": self.url(),
            "user": USER,
            "password": self.password,
            "approver": { "user": APPROVER, "password": self.approver_password },
            "administrator": { "user": "admin", "password": self.admin_password },
            "ssh": self.ssh_words(),
            "root_key": self.folder.join("root"),
            "hosts": hosts.collect::<Vec<_>>(),
        })
    }

    /// Where the web interface is.
    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}", self.http_port)
    }

    /// The private key that [`USER`] registered.
    pub(crate) fn user_key(&self) -> PathBuf {
        self.folder.join(USER)
    }

    /// The words of the command that connects to a session, up to its id.
    pub(crate) fn ssh_words(&self) -> Vec<String> {
        let known_hosts = self.folder.join("known_hosts");
        vec![
            "ssh".to_owned(),
            "-i".to_owned(),
            self.user_key().display().to_string(),
            "-p".to_owned(),
            self.ssh_port.to_string(),
            "-o".to_owned(),
            "StrictHostKeyChecking=accept-new".to_owned(),
            "-o".to_owned(),
            format!("UserKnownHostsFile={}", known_hosts.display()),
        ]
    }

    /// A command of the operator's, for the running server.
    pub(crate) fn operator(&self, arguments: &[&str]) -> Command {
        cardea(&self.program, &self.folder, (self.http_port, self.ssh_port), arguments)
    }

    /// Fails with the end of its log when the server has ended.
    pub(crate) fn must_live(&mut self) -> Result<()> {
        self.server.must_live(&self.folder.join("cardea.log"))
    }

    /// Waits until the server ends by itself, which it never should.
    pub(crate) fn wait(&mut self) -> Result<()> {
        let log = self.folder.join("cardea.log");
        self.server.wait().with_context(|| process::tail(&log))
    }
}

/// The server's program with the settings of a world.
fn cardea(program: &Path, folder: &Path, (http_port, ssh_port): (u16, u16), arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(folder)
        .env("CARDEA__DATA_DIR", folder.join(DATA))
        .env("CARDEA__HTTP__LISTEN", format!("127.0.0.1:{http_port}"))
        .env("CARDEA__SSH__LISTEN", format!("127.0.0.1:{ssh_port}"));
    command
}

/// Takes a folder for one world. It is ours until the lock is dropped.
fn take(folder: &Path) -> Result<File> {
    let parent = folder.parent().context("a world's folder is below target/")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    let path = folder.with_extension("lock");
    let lock = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    if lock.try_lock().is_err() {
        bail!("{} is in use: another one is running there. Stop it first", folder.display());
    }
    Ok(lock)
}

fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    private_folder(folder)
}

fn private_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).context("cannot keep others out of the folder")
}

fn make_key(path: &Path) -> Result<PathBuf> {
    let arguments = ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"];
    process::output(Command::new("ssh-keygen").args(arguments).arg(path))?;
    Ok(path.to_owned())
}

fn public_key(path: &Path) -> Result<String> {
    let file = path.with_extension("pub");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(text.trim().to_owned())
}

/// Four groups of five letters and digits that are hard to mistake for one another: 100 bits.
fn one_time_password() -> Result<String> {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0_u8; 20];
    let mut source = File::open("/dev/urandom").context("cannot open /dev/urandom")?;
    source.read_exact(&mut bytes).context("cannot read /dev/urandom")?;
    let letters: Vec<char> = bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect();
    Ok(letters.chunks(5).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-"))
}

/// The password that the folder holds; a new one where it holds none.
fn kept_password(folder: &Path, name: &str) -> Result<String> {
    let path = folder.join(name);
    if path.exists() {
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        return Ok(text.trim().to_owned());
    }
    let password = one_time_password()?;
    secret_file(&path, &password)?;
    Ok(password)
}

fn secret_file(path: &Path, text: &str) -> Result<()> {
    fs::write(path, format!("{text}\n")).with_context(|| format!("cannot write {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).context("cannot keep others from reading it")
}

/// The demo's YAML: the readable template of `demo/`, with the keys and addresses of this run.
fn write_configuration(workspace: &Workspace, folder: &Path, resources: &[Resource], access: &Access) -> Result<()> {
    let read = |name: &str| {
        let file = workspace.root.join("demo").join(name);
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))
    };
    let (demo, resource) = (read("demo.yaml")?, read("resource.yaml")?);
    let user_key = public_key(&folder.join(USER))?;
    let service_key = access.key.display().to_string();
    let mut text = fill(
        &demo,
        &[("USER_KEY", &user_key), ("SVC", &access.user), ("SVC_KEY", &service_key), ("ELEVATION", &access.elevation)],
    )?;
    for each in resources {
        let port = each.port.to_string();
        let values =
            [("NAME", each.name.as_str()), ("ADDRESS", &each.address), ("PORT", &port), ("HOST_KEY", &each.host_key)];
        text.push_str(&fill(&resource, &values)?);
    }
    let file = folder.join("demo.yaml");
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// Puts values in the place of `${KEY}`. A value cannot end the YAML text that it stands in.
fn fill(template: &str, values: &[(&str, &str)]) -> Result<String> {
    let mut text = template.to_owned();
    for (key, value) in values {
        if value.contains(['"', '\\', '\n', '$']) {
            bail!("`{value}` holds a character that the demo's file cannot carry: use another");
        }
        text = text.replace(&format!("${{{key}}}"), value);
    }
    match text.find("${") {
        None => Ok(text),
        Some(at) => bail!("the template asks for something unknown: {}", &text[at..text.len().min(at + 20)]),
    }
}

/// A loopback address that is not in use on the hosts' port.
fn free_address(taken: &[String]) -> Result<String> {
    (1..=250)
        .map(|last| format!("127.0.60.{last}"))
        .find(|address| !taken.contains(address) && TcpListener::bind((address.as_str(), HOST_PORT)).is_ok())
        .context("every address 127.0.60.1 to 127.0.60.250 is in use on port 2222: stop what holds them")
}

/// A TCP port of the loopback interface that nobody listens on now.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("cannot bind a loopback port")?;
    Ok(listener.local_addr().context("a bound port has a number")?.port())
}

fn free_port_or(preferred: u16) -> Result<u16> {
    if TcpListener::bind(("127.0.0.1", preferred)).is_ok() { Ok(preferred) } else { free_port() }
}

fn start_host(workspace: &Workspace, folder: &Path, name: &str, address: &str) -> Result<Running> {
    let script = workspace.root.join("hosts/linux-host");
    let mut command = Command::new(script);
    command
        .arg(folder.join("hosts").join(name))
        .args([name, address, &HOST_PORT.to_string()])
        .arg(folder.join("root.pub"))
        .env("DISK", HOST_DISK);
    Running::start(name, &command, &folder.join(format!("{name}.log")), Stop::Kill)
}

/// Waits for a host and gives it the service account.
fn furnish(folder: &Path, name: &str, address: &str, host: &mut Running) -> Result<Resource> {
    let log = folder.join(format!("{name}.log"));
    process::wait_until(&format!("host {name} answers"), START_MAX, || {
        host.must_live(&log)?;
        Ok(as_root(folder, address, "true").is_ok())
    })?;
    let key = public_key(&folder.join("service"))?;
    as_root(
        folder,
        address,
        &format!(
            "useradd -m -s /bin/bash svc && mkdir -m 700 /home/svc/.ssh && \
             echo '{key}' >/home/svc/.ssh/authorized_keys && chown -R svc:svc /home/svc/.ssh && \
             echo 'svc ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/svc && chmod 440 /etc/sudoers.d/svc"
        ),
    )?;
    let line = as_root(folder, address, "cat /etc/ssh/host_ed25519.pub")?;
    let host_key = line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    Ok(Resource { name: name.to_owned(), address: address.to_owned(), port: HOST_PORT, host_key })
}

fn as_root(folder: &Path, address: &str, command: &str) -> Result<String> {
    let mut ssh = Command::new("ssh");
    ssh.args(["-F", "/dev/null", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"])
        .args(["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes"])
        .args(["-o", "ConnectTimeout=10", "-p", &HOST_PORT.to_string(), "-i"])
        .arg(folder.join("root"))
        .args([&format!("root@{address}"), command]);
    process::output(&mut ssh)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_differ_and_are_long() {
        let (one, other) = (one_time_password().expect("randomness"), one_time_password().expect("randomness"));
        assert_ne!(one, other);
        assert_eq!(one.len(), 23);
    }

    #[test]
    fn a_value_cannot_break_out_of_the_template() {
        assert_eq!(fill("name: \"${NAME}\"", &[("NAME", "web1")]).expect("fits"), "name: \"web1\"");
        assert!(fill("name: \"${NAME}\"", &[("NAME", "a\" evil: \"")]).is_err());
        assert!(fill("name: \"${NAME}\"", &[("NAME", "a\nkind: User")]).is_err());
    }

    #[test]
    fn a_template_without_its_value_is_refused() {
        assert!(fill("port: ${PORT}", &[]).is_err());
    }
}
