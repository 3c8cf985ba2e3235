//! Running programs: to their end, or beside us until their [`Running`] is dropped.
//!
//! Nothing started here outlives xtask: what runs beside us asks the kernel to be signalled when we die, so Ctrl-C, an
//! error and `kill -9` all leave nothing behind.

use std::{
    fs::File,
    net::TcpStream,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// How often a condition is looked at while waiting for it.
const POLL: Duration = Duration::from_millis(25);
/// How long a process may take to stop before it is killed.
const STOP_MAX: Duration = Duration::from_secs(15);

/// A command to be run in a folder.
pub(crate) fn command(folder: &Path, program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder);
    command
}

/// Runs a command to its end; its output is ours. Fails when it does.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = line_of(command);
    let status = command.status().with_context(|| format!("`{line}` cannot be started"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// Runs a command to its end and gives what it wrote to stdout. Fails, with what it wrote to stderr, when it does.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let line = line_of(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("`{line}` cannot be started"))?;
    if !output.status.success() {
        bail!("`{line}` failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The command as a person would type it. Environment left out: it may hold secrets.
fn line_of(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// The signal that asks a process to stop.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stop {
    Interrupt,
    Kill,
    Terminate,
}

impl Stop {
    fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "INT",
            Self::Kill => "KILL",
            Self::Terminate => "TERM",
        }
    }
}

/// A process beside us. Dropping it stops the process and waits until it is gone.
pub(crate) struct Running {
    name: String,
    child: Child,
    stop: Stop,
}

impl Running {
    /// Starts a command beside us, its output in a log file. Call it from the main thread only: the kernel's promise to
    /// signal the process when we die is tied to the thread that started it.
    pub(crate) fn start(name: &str, command: &Command, log: &Path, stop: Stop) -> Result<Self> {
        let log_file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut guarded = Command::new("setpriv");
        guarded.args(["--pdeathsig", stop.name()]).arg(command.get_program()).args(command.get_args());
        if let Some(folder) = command.get_current_dir() {
            guarded.current_dir(folder);
        }
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => guarded.env(key, value),
                None => guarded.env_remove(key),
            };
        }
        // Ctrl-C reaches the whole group of the terminal. Whoever is asked to stop in an orderly way hears it from us.
        if matches!(stop, Stop::Terminate) {
            guarded.process_group(0);
        }
        let child = guarded
            .stdin(Stdio::null())
            .stdout(log_file.try_clone().context("a second handle of the log file")?)
            .stderr(log_file)
            .spawn()
            .with_context(|| format!("{name} cannot be started: is setpriv (util-linux) installed?"))?;
        Ok(Self { name: name.to_owned(), child, stop })
    }

    /// Fails with the end of its log when the process has ended.
    pub(crate) fn must_live(&mut self, log: &Path) -> Result<()> {
        if let Some(status) = self.child.try_wait().context("asking for the state of a process")? {
            bail!("{} ended ({status}):\n{}", self.name, tail(log));
        }
        Ok(())
    }

    /// Waits until the process ends by itself.
    pub(crate) fn wait(&mut self) -> Result<()> {
        let status = self.child.wait().context("waiting for a process")?;
        bail!("{} ended ({status})", self.name)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        let asked = Command::new("sh").args(["-c", "kill -s \"$1\" \"$2\"", "sh", self.stop.name(), &pid]).status();
        let deadline = Instant::now() + STOP_MAX;
        while asked.is_ok() && Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(POLL);
        }
        let _already_gone = self.child.kill();
        let _already_reaped = self.child.wait();
    }
}

/// The last lines of a log file.
pub(crate) fn tail(log: &Path) -> String {
    const LINES_MAX: usize = 20;
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES_MAX)..].join("\n")
}

/// Looks at a condition until it holds. An error of the condition's ends the wait at once; `what` says what was awaited.
pub(crate) fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + limit;
    while !condition()? {
        if Instant::now() >= deadline {
            bail!("not within {} s: {what}", limit.as_secs());
        }
        thread::sleep(POLL);
    }
    Ok(())
}

/// Whether something accepts connections there.
pub(crate) fn answers(address: &str, port: u16) -> bool {
    TcpStream::connect((address, port)).is_ok()
}
