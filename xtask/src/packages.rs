//! Debian packages: installing what is missing, without ever starting a service by it.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use anyhow::{Context, Result, bail};

use crate::{heading, process, workspace::Workspace};

/// A program or file, and the package that brings it.
pub(crate) struct Need {
    /// A program's name, or an absolute path in which one folder may be `*`.
    pub(crate) probe: &'static str,
    pub(crate) package: &'static str,
}

/// What throw-away hosts are made of.
pub(crate) const HOSTS: &[Need] = &[
    Need { probe: "/usr/sbin/sshd", package: "openssh-server" },
    Need { probe: "ssh", package: "openssh-client" },
    Need { probe: "sudo", package: "sudo" },
    Need { probe: "ps", package: "procps" },
    Need { probe: "cron", package: "cron" },
    Need { probe: "at", package: "at" },
    Need { probe: "unshare", package: "util-linux" },
    Need { probe: "mount", package: "mount" },
    Need { probe: "ip", package: "iproute2" },
    Need { probe: "/usr/lib/*/faketime/libfaketimeMT.so.1", package: "libfaketime" },
];

/// What the gate needs beside them.
pub(crate) const TESTS: &[Need] = &[
    Need { probe: "/usr/lib/postgresql/*/bin/initdb", package: "postgresql" },
    Need { probe: "chromium", package: "chromium" },
    Need { probe: "samba", package: "samba-ad-dc" },
    Need { probe: "/usr/lib/*/samba/ldb/samba_dsdb.so", package: "samba-dsdb-modules" },
    Need { probe: "/usr/share/samba/setup/provision.ldif", package: "samba-ad-provision" },
    Need { probe: "ldapmodify", package: "ldap-utils" },
    Need { probe: "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", package: "fonts-dejavu-core" },
];

/// What benchmarks need beside them: a database server, and a client that fills a SQLite file.
pub(crate) const MEASUREMENTS: &[Need] = &[
    Need { probe: "/usr/lib/postgresql/*/bin/initdb", package: "postgresql" },
    Need { probe: "sqlite3", package: "sqlite3" },
];

/// Units that these packages would start at the next boot.
const UNITS: &[(&str, &str)] = &[
    ("at", "atd"),
    ("cron", "cron"),
    ("openssh-server", "ssh"),
    ("postgresql", "postgresql"),
    ("samba-ad-dc", "nmbd"),
    ("samba-ad-dc", "samba-ad-dc"),
    ("samba-ad-dc", "smbd"),
    ("samba-ad-dc", "winbind"),
];

const POLICY: &str = "/usr/sbin/policy-rc.d";
const POLICY_ASIDE: &str = "/usr/sbin/policy-rc.d.cardea-aside";

/// Installs the packages of what is missing.
pub(crate) fn ensure(workspace: &Workspace, needs: &[&[Need]]) -> Result<()> {
    let missing: Vec<&str> = needs
        .iter()
        .flat_map(|list| list.iter())
        .filter(|need| !is_there(workspace, need.probe))
        .map(|need| need.package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !is_root()? {
        bail!("these Debian packages are missing: {list}. Run `sudo apt-get install --no-install-recommends {list}`");
    }
    if workspace.which("apt-get").is_none() {
        bail!("these Debian packages are missing and there is no apt-get: {list}. Install what holds them here");
    }
    heading(&format!("Installing {list}"));
    let _quiet = NoServices::hold()?;
    process::run(apt(workspace, &["update", "-qq"]).env("DEBIAN_FRONTEND", "noninteractive"))?;
    let install: Vec<&str> =
        ["install", "-y", "-qq", "--no-install-recommends"].into_iter().chain(missing.iter().copied()).collect();
    process::run(apt(workspace, &install).env("DEBIAN_FRONTEND", "noninteractive"))?;
    if Path::new("/run/systemd/system").exists() {
        for (_, unit) in UNITS.iter().filter(|(package, _)| missing.contains(package)) {
            process::run(&mut workspace.command("", "systemctl", &["--quiet", "disable", unit]))?;
        }
    }
    Ok(())
}

/// Whether we are root.
pub(crate) fn is_root() -> Result<bool> {
    Ok(process::output(Command::new("id").arg("-u"))?.trim() == "0")
}

fn apt(workspace: &Workspace, arguments: &[&str]) -> Command {
    workspace.command("", "apt-get", arguments)
}

fn is_there(workspace: &Workspace, probe: &str) -> bool {
    if !probe.starts_with('/') {
        return workspace.which(probe).is_some();
    }
    let Some((folder, rest)) = probe.split_once("/*/") else { return Path::new(probe).exists() };
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.filter_map(Result::ok).any(|entry| entry.path().join(rest).exists())
}

/// While this lives, installing a package starts no service: Debian asks `policy-rc.d`, which says no.
struct NoServices {
    ours: bool,
}

impl NoServices {
    fn hold() -> Result<Self> {
        let there = Path::new(POLICY).exists();
        if there && refuses() {
            return Ok(Self { ours: false });
        }
        if there {
            fs::rename(POLICY, POLICY_ASIDE).context("cannot move the machine's policy-rc.d aside")?;
        }
        fs::write(POLICY, "#!/bin/sh\nexit 101\n").context("cannot write /usr/sbin/policy-rc.d")?;
        fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755)).context("cannot make policy-rc.d a program")?;
        Ok(Self { ours: true })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours {
            let _already_gone = fs::remove_file(POLICY);
            let _there_was_none = fs::rename(POLICY_ASIDE, POLICY);
        }
    }
}

/// Whether the machine's own policy refuses to start services.
fn refuses() -> bool {
    Command::new(POLICY).args(["ssh", "start"]).status().is_ok_and(|status| status.code() == Some(101))
}
