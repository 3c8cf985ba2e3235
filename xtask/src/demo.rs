//! `cargo xtask demo`: Cardea with two throw-away hosts, or with a host of one's own, until Ctrl-C.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    path::PathBuf,
};

use anyhow::{Context, Result, bail};

use crate::{
    heading, leaving, packages, prerequisites, process, web,
    workspace::Workspace,
    world::{self, Access, Resource, World},
};

const OWN_HOST: &str = "\
cargo xtask demo --host ADDRESS[:PORT] --user NAME --key FILE [--host-key 'ssh-ed25519 AAAA…'] [--elevation sudo|doas|none]
NAME is an account on that host which logs in with the private key FILE and may run everything by sudo without a password.";

const THROWN_AWAY: &str = "Ctrl-C stops everything that was started here.";
const KEPT: &str = "\
Ctrl-C ends every session, waits until the host is clean, and stops. The folder is kept: the next start with this host
has the same passwords, and goes on removing what could not be removed. Do not delete it while something is out.";

/// Builds, starts, says where it is, and runs until it is interrupted.
pub(crate) fn run(workspace: &Workspace, arguments: &[&str]) -> Result<()> {
    let own = OwnHost::parse(arguments)?;
    if own.is_none() && !packages::is_root()? {
        bail!(
            "the demo's two hosts need root: they are made of mounts and namespaces. Run it as root or with sudo, or \
             point the demo at a host of your own instead:\n\n{OWN_HOST}"
        );
    }
    prerequisites::rust(workspace)?;
    prerequisites::node(workspace)?;
    if own.is_none() {
        packages::ensure(workspace, &[packages::HOSTS])?;
    }
    build(workspace)?;
    heading("Starting");
    let folder = workspace.target.join("demo");
    let Some(own) = own else {
        let mut world = World::with_hosts(workspace, &folder)?;
        println!("{}", announcement(&world, THROWN_AWAY));
        return world.wait();
    };
    let folder = workspace.target.join("demo-own").join(own.folder_name());
    let (resource, access) = own.check()?;
    let mut world = World::with_own_host(workspace, &folder, resource, &access)?;
    println!("{}", announcement(&world, KEPT));
    leaving::run_until_interrupted(&mut world)
}

/// Builds the server with the web interface inside, for development.
fn build(workspace: &Workspace) -> Result<()> {
    web::build(workspace)?;
    heading("Building the server");
    process::run(&mut workspace.command(
        "",
        "cargo",
        &["build", "--locked", "--package", "cardea-server", "--features", "embed-ui"],
    ))
}

fn announcement(world: &World, end: &str) -> String {
    let hosts: Vec<String> =
        world.resources.iter().map(|each| format!("{} ({}:{})", each.name, each.address, each.port)).collect();
    format!(
        "
Cardea is running. Its certificate is self-made: let the browser go on.

  URL            {url}
  User           {user}
  Password       {password}
  Approver       {approver}, {approver_password}
  Administrator  admin, {admin_password}
  Hosts          {hosts}

Create a session, take its id from the dashboard, and log in:

  {ssh} SESSION_ID@127.0.0.1

Then try `sudo id`, end the session, and see it gone. \"Emergency root\" waits until {approver} approves it.
The configuration is {folder}/demo.yaml, the log {folder}/cardea.log.
{end}",
        url = world.url(),
        user = world::USER,
        password = world.password,
        admin_password = world.admin_password,
        approver = world::APPROVER,
        approver_password = world.approver_password,
        hosts = hosts.join(", "),
        ssh = world.ssh_words().join(" "),
        folder = world.folder.display(),
    )
}

/// A host of somebody's own, as the command line names it.
#[derive(Debug, PartialEq, Eq)]
struct OwnHost {
    address: String,
    port: u16,
    user: String,
    key: PathBuf,
    host_key: Option<String>,
    elevation: String,
}

impl OwnHost {
    fn parse(arguments: &[&str]) -> Result<Option<Self>> {
        let (mut host, mut user, mut key, mut host_key, mut elevation) = (None, None, None, None, "sudo");
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let value = words.next().with_context(|| format!("`{word}` needs a value\n\n{OWN_HOST}"))?;
            match *word {
                "--host" => host = Some(*value),
                "--user" => user = Some(*value),
                "--key" => key = Some(*value),
                "--host-key" => host_key = Some((*value).to_owned()),
                "--elevation" if ["sudo", "doas", "none"].contains(value) => elevation = value,
                _ => bail!("`{word} {value}` is not understood\n\n{OWN_HOST}"),
            }
        }
        let Some(host) = host else {
            if arguments.is_empty() {
                return Ok(None);
            }
            bail!("a host of your own needs --host\n\n{OWN_HOST}");
        };
        let (Some(user), Some(key)) = (user, key) else { bail!("--host needs --user and --key\n\n{OWN_HOST}") };
        let (address, port) = split_port(host)?;
        let key = std::path::absolute(key).context("the key's path cannot be made absolute")?;
        let (user, elevation) = (user.to_owned(), elevation.to_owned());
        Ok(Some(Self { address, port, user, key, host_key, elevation }))
    }

    /// The folder of this host alone: a store that knows what is out on one host must never be pointed at another.
    fn folder_name(&self) -> String {
        let address = self.address.to_lowercase().replace('.', "_").replace([':', '/'], "+");
        format!("{address}+{}", self.port)
    }

    /// What Cardea needs to know, once the host's key is trusted.
    fn check(self) -> Result<(Resource, Access)> {
        if !self.key.is_file() {
            bail!("there is no private key {}: give one with --key", self.key.display());
        }
        let host_key = match self.host_key {
            Some(line) => line,
            None => ask_about_key(&self.address, self.port)?,
        };
        let resource = Resource { name: "my-host".to_owned(), address: self.address, port: self.port, host_key };
        Ok((resource, Access { user: self.user, key: self.key, elevation: self.elevation }))
    }
}

/// `ADDRESS`, `ADDRESS:PORT`, or `[IPV6]:PORT`.
fn split_port(host: &str) -> Result<(String, u16)> {
    let bare = host.trim_start_matches('[');
    let (address, port) = match bare.rsplit_once(':') {
        Some((address, port)) if !address.contains(':') || address.ends_with(']') => (address, port),
        _ => (bare, "22"),
    };
    let port = port.parse().with_context(|| format!("`{port}` in `{host}` is not a port"))?;
    Ok((address.trim_end_matches(']').to_owned(), port))
}

/// Shows the key that the host offers and asks whether it is the right one.
fn ask_about_key(address: &str, port: u16) -> Result<String> {
    let port = port.to_string();
    let answer = process::output(std::process::Command::new("ssh-keyscan").args([
        "-T",
        "10",
        "-t",
        "ed25519,ecdsa,rsa",
        "-p",
        &port,
        address,
    ]))?;
    let line = strongest_key(&answer)
        .with_context(|| format!("{address} port {port} shows no SSH host key: is an SSH server there?"))?;
    if !io::stdin().is_terminal() {
        bail!("the host shows this key; if it is the right one, add: --host-key '{line}'");
    }
    print!("The host shows this key:\n\n  {line}\n\nIs it the right one? [y/N] ");
    io::stdout().flush().context("cannot write to the terminal")?;
    let mut reply = String::new();
    io::stdin().lock().read_line(&mut reply).context("cannot read from the terminal")?;
    if !matches!(reply.trim(), "y" | "yes") {
        bail!("not trusted, nothing was started");
    }
    Ok(line)
}

/// The Ed25519 key if the host has one, else the first that it shows; without the host's name.
fn strongest_key(scan: &str) -> Option<String> {
    let keys: Vec<&str> = scan
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(' ').map(|(_, key)| key.trim()))
        .collect();
    let best = keys.iter().find(|key| key.starts_with("ssh-ed25519 ")).or(keys.first())?;
    Some((*best).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_of_ones_own_needs_address_user_and_key() {
        assert_eq!(OwnHost::parse(&[]).expect("nothing is fine"), None);
        assert!(OwnHost::parse(&["--host", "db.example.com"]).is_err());
        assert!(OwnHost::parse(&["--user", "svc", "--key", "/k"]).is_err());
        assert!(OwnHost::parse(&["--host"]).is_err());
        let words = ["--host", "db.example.com:2022", "--user", "svc", "--key", "/k", "--elevation", "doas"];
        let own = OwnHost::parse(&words).expect("complete").expect("one host");
        assert_eq!((own.address.as_str(), own.port, own.elevation.as_str()), ("db.example.com", 2022, "doas"));
        assert_eq!(own.folder_name(), "db_example_com+2022");
        assert!(OwnHost::parse(&["--host", "h", "--user", "u", "--key", "/k", "--elevation", "su"]).is_err());
    }

    #[test]
    fn ports_are_split_off_names_and_addresses_of_both_kinds() {
        let split = |text| split_port(text).expect("an address");
        assert_eq!(split("10.0.0.1"), ("10.0.0.1".to_owned(), 22));
        assert_eq!(split("10.0.0.1:2222"), ("10.0.0.1".to_owned(), 2222));
        assert_eq!(split("fe80::1"), ("fe80::1".to_owned(), 22));
        assert_eq!(split("[fe80::1]:2222"), ("fe80::1".to_owned(), 2222));
        assert!(split_port("host:ssh").is_err());
    }

    #[test]
    fn the_ed25519_key_is_preferred() {
        let scan = "# h SSH-2.0\nh ssh-rsa AAAB\nh ssh-ed25519 AAAC\n";
        assert_eq!(strongest_key(scan).as_deref(), Some("ssh-ed25519 AAAC"));
        assert_eq!(strongest_key("# nothing\n"), None);
    }
}
