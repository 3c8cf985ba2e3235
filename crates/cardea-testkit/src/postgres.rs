//! A throw-away PostgreSQL server, reached over a socket in a private folder. It never outlives the test process.

use std::{
    collections::hash_map::RandomState,
    fs,
    hash::{BuildHasher as _, Hasher as _},
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::{MetadataExt as _, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

/// Names a server that runs already: the address of any database of it that a superuser may connect to. The gate starts
/// one for all test processes.
pub const POSTGRES_VARIABLE: &str = "CARDEA_TEST_POSTGRES";

/// `nobody`: PostgreSQL refuses to run as root.
const UNPRIVILEGED: u32 = 65_534;

/// Runs the server beside a pipe from this process: when the pipe closes, however this process ended, the server is
/// stopped and its folder removed. `$1`: folder of the programs; `$2`: folder of the data; `$3`: settings; the rest: how to
/// drop privileges. Says `ready` once it answers.
const SUPERVISOR: &str = r#"
trap '' HUP INT TERM
bin=$1 dir=$2 settings=$3; shift 3
exec 2>>"$dir/log"
"$@" "$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c max_connections=200 \
    $settings </dev/null >>"$dir/log" &
server=$!
tries=0
until "$bin/pg_isready" -q -h "$dir" -U cardea || [ $tries -ge 600 ]; do
    tries=$((tries + 1)); kill -0 $server 2>/dev/null || break; sleep 0.05
done
if "$bin/pg_isready" -q -h "$dir" -U cardea; then echo ready; else echo failed; fi
exec >&-
cat >/dev/null
kill -QUIT $server 2>/dev/null
wait $server
rm -rf "$dir"
"#;

/// For tests: what a server that goes away with them need not do.
const HASTY: &str = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c shared_buffers=32MB";

/// A server with a superuser `cardea`.
pub struct Postgres {
    address: String,
    programs: PathBuf,
    /// Its open pipe keeps the server alive.
    _supervisor: Option<Child>,
}

impl Postgres {
    /// The server of this process, started when it is first asked for; or the one that [`POSTGRES_VARIABLE`] names.
    ///
    /// # Panics
    /// If PostgreSQL's server programs are not installed, or it does not start: then no test of it can say anything.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| {
            #[expect(clippy::disallowed_methods, reason = "the gate shares its server through this variable")]
            let address = std::env::var(POSTGRES_VARIABLE);
            match address {
                Ok(address) => Self { address, programs: programs(), _supervisor: None },
                Err(_) => Self::start(),
            }
        })
    }

    /// Starts a server that would forget what it committed if the machine stopped. It stops when the value is dropped, or
    /// with this process.
    ///
    /// # Panics
    /// As [`Postgres::shared`].
    pub fn start() -> Self {
        Self::start_with(HASTY)
    }

    /// As [`Postgres::start`], with PostgreSQL's own settings: a commit is on the disk before it is answered. For
    /// measurements.
    ///
    /// # Panics
    /// As [`Postgres::shared`].
    pub fn start_durable() -> Self {
        Self::start_with("")
    }

    fn start_with(settings: &str) -> Self {
        let programs = programs();
        // The supervisor removes it: a process that is killed cannot.
        let dir = tempfile::Builder::new().prefix("cardea-pg-").tempdir().expect("a temporary folder").keep();
        let drop_privileges = drop_privileges(&dir);
        initialise(&programs, &dir, &drop_privileges);
        let mut supervisor = Command::new("sh")
            .args(["-c", SUPERVISOR, "cardea-pg"])
            .args([&programs, &dir])
            .arg(settings)
            .args(&drop_privileges)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh runs");
        let mut said = String::new();
        let pipe = supervisor.stdout.take().expect("stdout is piped");
        BufReader::new(pipe).read_line(&mut said).expect("the supervisor speaks UTF-8");
        assert_eq!(said, "ready\n", "PostgreSQL did not start: see {}", dir.join("log").display());
        let address = format!("postgres://cardea@localhost/postgres?host={}", dir.display());
        Self { address, programs, _supervisor: Some(supervisor) }
    }

    /// Runs a script of SQL in a database of this server, by its address; what it answers, a row a line.
    pub(crate) fn run(&self, database: &str, script: &str) -> String {
        fed(Command::new(self.programs.join("psql")).args(["-qAtX", "-v", "ON_ERROR_STOP=1", database]), script)
    }

    /// The time that the server's processes were on a processor. Those that are gone by now are not counted.
    ///
    /// # Panics
    /// If it is not a server that this process started.
    pub fn cpu(&self) -> Duration {
        let (_, dir) = self.address.split_once("host=").expect("the address names the server's folder");
        let pid = fs::read_to_string(Path::new(dir).join("data/postmaster.pid")).expect("a running server");
        let postmaster = pid.lines().next().expect("its number comes first").to_owned();
        let is_of_it = |process: &Path| {
            let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
            let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
            parent == Some(postmaster.as_str()) || process.ends_with(&postmaster)
        };
        let processes = fs::read_dir("/proc").expect("/proc is mounted").filter_map(Result::ok);
        let spent = processes.map(|entry| entry.path()).filter(|process| is_of_it(process)).map(|process| {
            let text = fs::read_to_string(process.join("schedstat")).unwrap_or_default();
            text.split_whitespace().next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or(0)
        });
        Duration::from_nanos(spent.sum())
    }

    /// The address of the server's database `postgres`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// From now on nobody gets to the database of this address, and who was there is cut off; or everybody does again.
    ///
    /// # Panics
    /// If the server refuses.
    pub fn cut_off(&self, database: &str, is_cut: bool) {
        let (server, _) = database.split_once('?').unwrap_or((database, ""));
        let name = server.rsplit('/').next().expect("the address names a database");
        let mut script = format!("alter database {name} allow_connections {};", !is_cut);
        if is_cut {
            script += &format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}';");
        }
        self.run(&self.address, &script);
    }

    /// Makes an empty database and returns its address.
    ///
    /// # Panics
    /// If the server refuses.
    pub fn fresh_database(&self) -> String {
        let name = format!("t{:016x}", RandomState::new().build_hasher().finish());
        let made = Command::new(self.programs.join("createdb"))
            .arg(format!("--maintenance-db={}", self.address))
            .args(["--template=template0", "--encoding=UTF8", &name])
            .output()
            .expect("createdb runs");
        assert!(made.status.success(), "createdb: {}", String::from_utf8_lossy(&made.stderr));
        let (server, parameters) = self.address.split_once('?').unwrap_or((&self.address, ""));
        let (server, _) = server.rsplit_once('/').expect("the address names a database");
        format!("{server}/{name}?{parameters}")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(supervisor) = &mut self._supervisor {
            drop(supervisor.stdin.take());
            drop(supervisor.wait());
        }
    }
}

/// Runs a program that reads a script; what it answered.
///
/// # Panics
/// If the program is not there or fails.
pub(crate) fn fed(program: &mut Command, script: &str) -> String {
    let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program is installed");
    child.stdin.take().expect("it is piped").write_all(script.as_bytes()).expect("it reads its script");
    let done = child.wait_with_output().expect("it is our child");
    assert!(done.status.success(), "{:?}: {}", program.get_program(), done.status);
    String::from_utf8(done.stdout).expect("it answers in text")
}

/// The newest installed server programs; Debian keeps them out of the path.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let number = |path: &Path| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    let newest =
        versions.map(|entry| entry.path()).filter(|path| path.join("bin/initdb").exists()).max_by_key(|p| number(p));
    newest.expect("PostgreSQL's server programs are installed: apt-get install postgresql").join("bin")
}

/// How to run a program as somebody whom PostgreSQL accepts; gives them the folder.
fn drop_privileges(dir: &Path) -> Vec<String> {
    let own = fs::metadata("/proc/self").expect("/proc is mounted").uid();
    if own != 0 {
        return Vec::new();
    }
    chown(dir, Some(UNPRIVILEGED), Some(UNPRIVILEGED)).expect("root may give a folder away");
    let id = UNPRIVILEGED;
    ["setpriv", &format!("--reuid={id}"), &format!("--regid={id}"), "--clear-groups", "--pdeathsig=QUIT"]
        .map(str::to_owned)
        .to_vec()
}

fn initialise(programs: &Path, dir: &Path, drop_privileges: &[String]) {
    let initdb = programs.join("initdb").display().to_string();
    let mut words = drop_privileges.to_vec();
    words.extend([initdb, "--no-sync".into(), "--auth=trust".into(), "--username=cardea".into()]);
    words.extend([
        "--encoding=UTF8".into(),
        "--locale=C.UTF-8".into(),
        "-D".into(),
        dir.join("data").display().to_string(),
    ]);
    let done = Command::new(&words[0]).args(&words[1..]).current_dir(dir).output().expect("initdb runs");
    assert!(done.status.success(), "initdb: {}", String::from_utf8_lossy(&done.stderr));
}
