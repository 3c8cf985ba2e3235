//! A throw-away Active Directory: a real Samba domain controller on a loopback address of its own. It speaks LDAP and nothing else.
//!
//! A domain takes seconds to make, so one is made for all tests and copied for each. The server ends with its value, and also when
//! the process that holds it is killed. It needs root.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use crate::{address, folder, linux_host::wait, postgres::fed};

/// Runs the server beside a pipe from this process: when the pipe closes, however this process ended, the server is killed. `$1`:
/// its folder. Says its number.
const SUPERVISOR: &str = r#"
trap '' HUP INT TERM
samba -s "$1/smb.conf" --foreground --no-process-group -M single </dev/null >>"$1/log" 2>&1 &
echo $!
exec >&-
cat >/dev/null
kill -KILL $!
wait $! 2>/dev/null
"#;

const FOLDER: &str = "cardea-samba-";
const LDAP: u16 = 389;
const LDAPS: u16 = 636;
/// How long a server may take to answer, on a machine that compiles at the same time.
const START_MAX: Duration = Duration::from_secs(60);
const ADMIN: &str = "Administrator@cardea.test";
const ADMIN_PASSWORD: &str = "Adm1n-Passw0rd!";

/// A running domain controller.
pub struct Samba {
    address: Ipv4Addr,
    folder: TempDir,
    /// Its open pipe keeps the server alive; the server's own number.
    server: Option<(Child, u32)>,
}

impl Samba {
    pub const BASE: &str = "DC=cardea,DC=test";
    /// An account that may read and nothing else.
    pub const SEARCHER: &str = "CN=cardea,CN=Users,DC=cardea,DC=test";
    pub const SEARCHER_PASSWORD: &str = "Searches-0nly";

    /// Starts a domain with nobody in it but its administrator and the searcher.
    ///
    /// # Panics
    /// If Samba is not installed, or does not start: then no test of it can say anything.
    pub fn start() -> Self {
        let folder = folder::make(FOLDER);
        copy(&template(), folder.path());
        let address = address::free(LDAPS);
        let made = rcgen::generate_simple_self_signed([address.to_string(), "dc1.cardea.test".to_owned()]);
        let made = made.expect("a certificate");
        let write = |name: &str, text: &str| {
            let file = folder.path().join(name);
            fs::write(&file, text).expect("the folder is writable");
            // Samba refuses a key that others can read.
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("it is ours");
        };
        write("cert.pem", &made.cert.pem());
        write("key.pem", &made.signing_key.serialize_pem());
        write("admin", ADMIN_PASSWORD);
        write("smb.conf", &settings(folder.path(), address));
        let mut samba = Self { address, folder, server: None };
        samba.resume();
        samba.add_user("cardea", Self::SEARCHER_PASSWORD);
        samba
    }

    /// Kills the server. What it wrote stays.
    pub fn stop(&mut self) {
        if let Some((mut supervisor, _)) = self.server.take() {
            drop(supervisor.stdin.take());
            supervisor.wait().expect("it is our child");
        }
    }

    /// Starts a stopped server again, on the same address.
    pub fn resume(&mut self) {
        let mut supervisor = Command::new("sh")
            .args(["-c", SUPERVISOR, "cardea-samba"])
            .arg(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh runs");
        let mut said = String::new();
        let pipe = supervisor.stdout.take().expect("stdout is piped");
        BufReader::new(pipe).read_line(&mut said).expect("the supervisor speaks UTF-8");
        let number = said.trim().parse().expect("the server's number");
        self.server = Some((supervisor, number));
        let log = self.folder.path().join("log");
        wait(START_MAX, &format!("Samba answers: see {}", log.display()), || {
            assert!(Path::new("/proc").join(number.to_string()).exists(), "Samba ended: {}", read(&log));
            // It opens its local socket last.
            [LDAP, LDAPS].iter().all(|port| TcpStream::connect((self.address, *port)).is_ok()) && self.socket().exists()
        });
    }

    /// From now on it answers nothing; the system still takes connections for it.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// It goes on where it was.
    pub fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let (_, number) = self.server.as_ref().expect("the server runs");
        let sent = Command::new("kill").args([signal, &number.to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill {signal}");
    }

    /// Where it speaks LDAP over TLS.
    pub fn url(&self) -> String {
        format!("ldaps://{}", self.address)
    }

    /// Where it speaks LDAP, and takes passwords after StartTLS only.
    pub fn plain_url(&self) -> String {
        format!("ldap://{}", self.address)
    }

    /// The server's own certificate, in PEM.
    pub fn ca(&self) -> String {
        read(&self.folder.path().join("cert.pem"))
    }

    /// The distinguished name of a user or group of this name.
    pub fn dn(name: &str) -> String {
        format!("CN={name},CN=Users,{}", Self::BASE)
    }

    /// Adds a user who may log in, with a mail address at `example.com`.
    pub fn add_user(&self, name: &str, password: &str) {
        let password = quoted(password);
        self.change(
            name,
            &format!(
                "changetype: add\nobjectClass: user\nsAMAccountName: {name}\nuserPrincipalName: {name}@cardea.test\n\
                 displayName: {name} of Cardea\nmail: {name}@example.com\nuserAccountControl: 512\nunicodePwd:: {password}\n"
            ),
        );
    }

    /// Adds an empty group.
    pub fn add_group(&self, name: &str) {
        self.change(name, &format!("changetype: add\nobjectClass: group\nsAMAccountName: {name}\n"));
    }

    /// Puts a user or a group into a group.
    pub fn add_member(&self, group: &str, member: &str) {
        self.change(group, &format!("changetype: modify\nadd: member\nmember: {}\n", Self::dn(member)));
    }

    /// Takes a user or a group out of a group.
    pub fn remove_member(&self, group: &str, member: &str) {
        self.change(group, &format!("changetype: modify\ndelete: member\nmember: {}\n", Self::dn(member)));
    }

    /// Replaces an attribute of a user or group.
    pub fn set(&self, name: &str, attribute: &str, value: &str) {
        self.change(name, &format!("changetype: modify\nreplace: {attribute}\n{attribute}: {value}\n"));
    }

    /// Disables a user, or lets them in again.
    pub fn set_disabled(&self, name: &str, is_disabled: bool) {
        self.set(name, "userAccountControl", if is_disabled { "514" } else { "512" });
    }

    /// Gives a user another password.
    pub fn set_password(&self, name: &str, password: &str) {
        let password = quoted(password);
        self.change(name, &format!("changetype: modify\nreplace: unicodePwd\nunicodePwd:: {password}\n"));
    }

    /// Gives a user another name, to log in with as well.
    pub fn rename(&self, name: &str, to: &str) {
        self.set(name, "sAMAccountName", to);
        self.change(name, &format!("changetype: modrdn\nnewrdn: CN={to}\ndeleteoldrdn: 1\n"));
    }

    /// Removes a user or a group.
    pub fn delete(&self, name: &str) {
        self.change(name, "changetype: delete\n");
    }

    fn change(&self, name: &str, change: &str) {
        let script = format!("dn: {}\n{change}", Self::dn(name));
        let socket = self.socket().display().to_string().replace('/', "%2F");
        let mut program = Command::new("ldapmodify");
        program
            .args(["-x", "-H", &format!("ldapi://{socket}"), "-D", ADMIN, "-y"])
            .arg(self.folder.path().join("admin"));
        fed(&mut program, &script);
    }

    /// Where its own machine's programs ask it; passwords may be said there.
    fn socket(&self) -> PathBuf {
        self.folder.path().join("private/ldap_priv/ldapi")
    }
}

impl Drop for Samba {
    fn drop(&mut self) {
        self.stop();
    }
}

/// As Active Directory takes a password: in quotation marks, UTF-16; in base64 for LDIF.
fn quoted(password: &str) -> String {
    let bytes: Vec<u8> = format!("\"{password}\"").encode_utf16().flat_map(u16::to_le_bytes).collect();
    data_encoding::BASE64.encode(&bytes)
}

/// A domain that was never started, made by whoever asks first and kept for the version of Samba that made it.
fn template() -> PathBuf {
    let version = Command::new("samba").arg("--version").output().expect("`cargo xtask test` installs Samba");
    let version = String::from_utf8_lossy(&version.stdout).replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/testkit");
    fs::create_dir_all(&kept).expect("the target folder is writable");
    let made = kept.join(format!("samba-domain-{}", version.trim_matches('-')));
    // Tests are processes side by side. The lock goes with the file's value.
    let lock = File::create(kept.join("samba-domain.lock")).expect("the target folder is writable");
    lock.lock().expect("a file can be locked");
    if !made.exists() {
        let dir = tempfile::tempdir_in(&kept).expect("the target folder is writable");
        provision(dir.path());
        fs::rename(dir.path().join("domain"), &made).expect("it is the same disk");
    }
    made
}

fn provision(dir: &Path) {
    // Without a file of its own Samba would read the machine's.
    let empty = dir.join("empty.conf");
    fs::write(&empty, "").expect("the folder is writable");
    let output = Command::new("samba-tool")
        .args(["domain", "provision", "--realm=CARDEA.TEST", "--domain=CARDEA", "--server-role=dc"])
        .args(["--dns-backend=NONE", "--host-name=dc1", "--host-ip=127.0.0.1", "--option=interfaces=lo"])
        .args(["--option=bind interfaces only=yes", &format!("--adminpass={ADMIN_PASSWORD}")])
        .arg(format!("--configfile={}", empty.display()))
        .arg(format!("--targetdir={}", dir.join("domain").display()))
        .output()
        .expect("samba-tool runs");
    assert!(output.status.success(), "samba-tool: {}", String::from_utf8_lossy(&output.stderr));
}

fn settings(dir: &Path, address: Ipv4Addr) -> String {
    let dir = dir.display();
    // `interfaces` takes an address only with its mask. A previous password would be good for an hour more.
    format!(
        "[global]\nnetbios name = DC1\nrealm = CARDEA.TEST\nworkgroup = CARDEA\n\
         server role = active directory domain controller\nserver services = ldap\n\
         interfaces = {address}/8\nbind interfaces only = yes\nold password allowed period = 0\n\
         private dir = {dir}/private\nlock directory = {dir}\nstate directory = {dir}/state\n\
         cache directory = {dir}/cache\nbinddns dir = {dir}/bind-dns\npid directory = {dir}\n\
         ncalrpc dir = {dir}/ncalrpc\nlog file = {dir}/log\n\
         tls enabled = yes\ntls keyfile = {dir}/key.pem\ntls certfile = {dir}/cert.pem\ntls cafile = {dir}/cert.pem\n"
    )
}

/// Copies all that is in one folder into another, with owners and extended attributes.
fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status();
    assert!(done.is_ok_and(|status| status.success()), "cp -a {}", from.display());
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
