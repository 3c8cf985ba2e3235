//! The gate's scratch PostgreSQL: one server for all tests, in a temporary folder, gone with the gate.

use std::{
    fs::{self, DirBuilder},
    os::unix::{fs::DirBuilderExt, net::UnixStream},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{
    process::{self, Running, Stop},
    workspace::Workspace,
};

const START_MAX: Duration = Duration::from_secs(60);
/// PostgreSQL refuses to run as root; its package brings this account.
const ACCOUNT: &str = "postgres";

/// A running server. Dropping it stops the server and removes its data.
pub(crate) struct Postgres {
    _server: Running,
    folder: Folder,
}

impl Postgres {
    /// Starts a server whose superuser is `postgres`, reached over a socket in a folder that others cannot enter.
    pub(crate) fn start(workspace: &Workspace) -> Result<Self> {
        let programs = newest_programs(Path::new("/usr/lib/postgresql"))?;
        // Not below target/: the account may not be allowed to walk there.
        let folder = Folder::make(&format!("/tmp/cardea-gate-postgres-{}", std::process::id()))?;
        process::run(&mut workspace.command("", "chown", &[ACCOUNT, folder.text()]))?;
        let data = format!("{}/data", folder.text());
        let initdb = programs.join("initdb");
        let initdb = initdb.to_str().context("PostgreSQL's path is UTF-8")?;
        process::output(&mut as_account(
            workspace,
            initdb,
            &["-D", &data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"],
        ))?;
        let server = programs.join("postgres");
        let server = server.to_str().context("PostgreSQL's path is UTF-8")?;
        let settings = [
            "listen_addresses=".to_owned(),
            format!("unix_socket_directories={}", folder.text()),
            "fsync=off".to_owned(),
            "synchronous_commit=off".to_owned(),
            "full_page_writes=off".to_owned(),
            "max_connections=300".to_owned(),
        ];
        let mut words = vec!["-D", data.as_str()];
        for setting in &settings {
            words.extend(["-c", setting]);
        }
        let log = workspace.target.join("gate-postgres.log");
        let command = as_account(workspace, server, &words);
        let mut running = Running::start("PostgreSQL", &command, &log, Stop::Interrupt)?;
        process::wait_until("PostgreSQL answers", START_MAX, || {
            running.must_live(&log)?;
            Ok(UnixStream::connect(format!("{}/.s.PGSQL.5432", folder.text())).is_ok())
        })?;
        Ok(Self { _server: running, folder })
    }

    /// How its superuser connects.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@localhost/postgres?host={}", self.folder.text())
    }
}

fn as_account(workspace: &Workspace, program: &str, arguments: &[&str]) -> std::process::Command {
    let account = ["--reuid", ACCOUNT, "--regid", ACCOUNT, "--clear-groups", "--", program];
    let words: Vec<&str> = account.into_iter().chain(arguments.iter().copied()).collect();
    let mut command = workspace.command("", "setpriv", &words);
    command.current_dir("/").env("LC_ALL", "C.UTF-8");
    command
}

/// The server programs of the newest version that is installed.
fn newest_programs(folder: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let versions = entries.filter_map(Result::ok).filter_map(|entry| {
        let programs = entry.path().join("bin");
        let version: u32 = entry.file_name().to_str()?.parse().ok()?;
        programs.join("initdb").exists().then_some((version, programs))
    });
    let (_, programs) = versions.max().with_context(|| format!("{} holds no initdb", folder.display()))?;
    Ok(programs)
}

/// A private folder that is removed when dropped.
struct Folder(String);

impl Folder {
    fn make(path: &str) -> Result<Self> {
        DirBuilder::new().mode(0o700).create(path).with_context(|| format!("cannot make {path}"))?;
        Ok(Self(path.to_owned()))
    }

    fn text(&self) -> &str {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _already_gone = fs::remove_dir_all(&self.0);
    }
}
