//! `cargo xtask test`: the whole gate, the same on a desk and in CI.
//!
//! A step that fails does not stop the steps that do not need it: one run shows all there is to mend. The last line
//! always says how many checks passed and failed. `--long` is the same gate with the long proofs at their full size.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{
    heading,
    junit::{self, Count},
    packages,
    postgres::Postgres,
    prerequisites, process, tidy, web,
    workspace::Workspace,
    world::World,
};

/// Tells tests to run their proofs at full size.
const LONG_VARIABLE: &str = "CARDEA_TEST_LONG";

/// Runs every step; the long proofs at their full size if `is_long`.
pub(crate) fn run(workspace: &Workspace, is_long: bool) -> Result<ExitCode> {
    let mut gate = Gate { workspace, is_long, steps: Vec::new() };
    if gate.step("prerequisites", prerequisites) {
        gate.all();
    }
    Ok(gate.sum_up())
}

struct Gate<'a> {
    workspace: &'a Workspace,
    is_long: bool,
    steps: Vec<Step>,
}

struct Step {
    name: &'static str,
    took: Duration,
    count: Count,
    /// Why it failed.
    error: Option<String>,
}

impl Gate<'_> {
    fn all(&mut self) {
        self.step("format", |workspace| cargo(workspace, &["fmt", "--check"]));
        self.step("tidy", |workspace| tidy::run(workspace).map(|()| Count::ONE));
        self.step("web lint", |workspace| npm(workspace, &["run", "lint"]));
        let web = self.step("web types and build", |workspace| npm(workspace, &["run", "build"]));
        self.step("web tests", web_tests);
        if !web {
            return self.not_run("the Rust steps, which embed the web interface");
        }
        self.step("clippy", |workspace| cargo(workspace, CLIPPY));
        self.step("bans, licences, sources", |workspace| cargo(workspace, DENY));
        if self.step("build the tests", |workspace| cargo(workspace, &[NEXTEST, &["--no-run"]].concat())) {
            if self.is_long {
                self.step("long tests", |workspace| rust_tests(workspace, &Suite::LONG));
                self.step("model walks", model_walks);
            } else {
                self.step("tests", |workspace| rust_tests(workspace, &Suite::SHORT));
            }
            self.step("browser journey", journey);
        } else {
            self.not_run("the tests and the browser journey, which were not built");
        }
    }

    /// Runs a step and notes how it went.
    fn step(&mut self, name: &'static str, action: impl FnOnce(&Workspace) -> Result<Count>) -> bool {
        heading(name);
        let began = Instant::now();
        let (count, error) = match action(self.workspace) {
            Ok(count) if count.failed == 0 => (count, None),
            Ok(count) => (count, Some(format!("{} failed", count.failed))),
            Err(error) => (Count::FAULT, Some(format!("{error:#}"))),
        };
        if let Some(error) = &error {
            eprintln!("xtask: {name}: {error}");
        }
        let passed = error.is_none();
        self.steps.push(Step { name, took: began.elapsed(), count, error });
        passed
    }

    fn not_run(&mut self, name: &'static str) {
        let error = Some("not run".to_owned());
        self.steps.push(Step { name, took: Duration::ZERO, count: Count::FAULT, error });
    }

    fn sum_up(self) -> ExitCode {
        heading("Summary");
        let mut total = Count::default();
        for step in &self.steps {
            total += step.count;
            let outcome = step.error.as_deref().map_or("ok", |error| error.lines().next().unwrap_or_default());
            println!("{:>6.1} s  {:<28} {outcome}", step.took.as_secs_f64(), step.name);
        }
        println!("{} passed, {} failed", total.passed, total.failed);
        if total.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// The server that tests run: with the web interface inside, and with places where tests kill it.
const FEATURES: &str = "embed-ui,fail-points";
const CLIPPY: &[&str] =
    &["clippy", "--locked", "--workspace", "--all-targets", "--features", FEATURES, "--", "-D", "warnings"];
const DENY: &[&str] = &["deny", "--workspace", "check", "bans", "licenses", "sources"];
const NEXTEST: &[&str] = &["nextest", "run", "--locked", "--workspace", "--features", FEATURES];
/// The one proof that is all computation runs optimised, by itself.
const WALKS: &str = "test(nothing_that_anybody_does_leaves_a_privilege_behind)";

const NO_WALKS: &str = "not test(nothing_that_anybody_does_leaves_a_privilege_behind)";

/// A size of the Rust tests: the profile of nextest, and which tests.
struct Suite {
    profile: &'static str,
    words: &'static [&'static str],
    is_long: bool,
}

impl Suite {
    const SHORT: Self = Self { profile: "gate", words: &[], is_long: false };
    const LONG: Self = Self { profile: "long", words: &["-E", NO_WALKS], is_long: true };
}

fn prerequisites(workspace: &Workspace) -> Result<Count> {
    prerequisites::rust(workspace)?;
    prerequisites::root("the gate, which tests against real hosts,")?;
    prerequisites::node(workspace)?;
    packages::ensure(workspace, &[packages::HOSTS, packages::TESTS])?;
    prerequisites::cargo_tools(workspace)?;
    web::packages(workspace, "web")?;
    web::packages(workspace, "e2e")?;
    Ok(Count::ONE)
}

fn cargo(workspace: &Workspace, arguments: &[&str]) -> Result<Count> {
    process::run(&mut workspace.command("", "cargo", arguments))?;
    Ok(Count::ONE)
}

fn npm(workspace: &Workspace, arguments: &[&str]) -> Result<Count> {
    process::run(&mut web::npm(workspace, "web", arguments))?;
    Ok(Count::ONE)
}

/// The web interface's unit tests; one of them is that the generated client is fresh.
fn web_tests(workspace: &Workspace) -> Result<Count> {
    let report = workspace.target.join("web-tests.xml");
    let output = format!("--outputFile.junit={}", report.display());
    counted(&report, || npm(workspace, &["test", "--", "--reporter=default", "--reporter=junit", &output]))
}

/// Every Rust test, with a scratch PostgreSQL beside them.
fn rust_tests(workspace: &Workspace, suite: &Suite) -> Result<Count> {
    let postgres = Postgres::start(workspace)?;
    let words = [NEXTEST, &["--profile", suite.profile], suite.words].concat();
    let mut tests = workspace.command("", "cargo", &words);
    tests.env("CARDEA_TEST_POSTGRES", postgres.url());
    if suite.is_long {
        tests.env(LONG_VARIABLE, "1");
    }
    counted(&report_of(workspace, suite.profile), || {
        process::run(&mut tests)?;
        Ok(Count::ONE)
    })
}

/// 100,000 random walks through the engine.
fn model_walks(workspace: &Workspace) -> Result<Count> {
    let words = [
        "nextest",
        "run",
        "--locked",
        "--cargo-profile",
        "long",
        "--profile",
        "long",
        "--package",
        "cardea-app",
        "-E",
        WALKS,
    ];
    counted(&report_of(workspace, "long"), || {
        process::run(workspace.command("", "cargo", &words).env(LONG_VARIABLE, "1"))?;
        Ok(Count::ONE)
    })
}

fn report_of(workspace: &Workspace, profile: &str) -> PathBuf {
    workspace.target.join("nextest").join(profile).join("junit.xml")
}

/// A browser, a real ssh client and real hosts, all the way from sign-in to proven clean-up.
fn journey(workspace: &Workspace) -> Result<Count> {
    // The server that the tests were built with: the browser needs no other.
    let folder = workspace.target.join("e2e");
    let world = World::with_hosts(workspace, &folder.join("world"))?;
    let description = folder.join("world.json");
    fs::write(&description, world.describe().to_string()).context("cannot write the world's description")?;
    let report = folder.join("journey.xml");
    let words = ["journey.mjs", path(&description)?, path(&report)?, path(&folder)?];
    counted(&report, || {
        process::run(&mut workspace.command("e2e", "node", &words))?;
        Ok(Count::ONE)
    })
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("the checkout's path is not UTF-8")
}

/// What a runner's fresh report counts. A runner that fails without counting a failure failed to run.
fn counted(report: &PathBuf, runner: impl FnOnce() -> Result<Count>) -> Result<Count> {
    if report.exists() {
        fs::remove_file(report).with_context(|| format!("cannot remove {}", report.display()))?;
    }
    let ran = runner();
    match (junit::read(report), ran) {
        (Ok(count), Err(error)) if count.failed == 0 => Err(error),
        (Ok(count), _) if count.passed + count.failed == 0 => bail!("{} counts no test", report.display()),
        (Ok(count), _) => Ok(count),
        (Err(_), Err(error)) | (Err(error), Ok(_)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(text: Option<&str>, ran: Result<Count>) -> Result<Count> {
        let name = format!("cardea-gate-{}-{:?}.xml", std::process::id(), std::thread::current().id());
        let file = std::env::temp_dir().join(name);
        let answer = counted(&file, || {
            if let Some(text) = text {
                fs::write(&file, text).expect("the temporary folder is writable");
            }
            ran
        });
        let _there_may_be_none = fs::remove_file(&file);
        answer
    }

    #[test]
    fn failures_are_counted_from_the_report() {
        let xml = "<testsuites tests=\"3\" failures=\"1\" errors=\"0\">";
        let count = report(Some(xml), Err(anyhow::anyhow!("exit 100"))).expect("counted");
        assert_eq!(count, Count { passed: 2, failed: 1 });
    }

    #[test]
    fn a_runner_that_does_not_run_is_an_error() {
        assert!(report(None, Err(anyhow::anyhow!("does not compile"))).is_err());
        assert!(report(None, Ok(Count::ONE)).is_err());
        assert!(report(Some("<testsuites tests=\"3\" failures=\"0\">"), Err(anyhow::anyhow!("killed"))).is_err());
        assert!(report(Some("<testsuites tests=\"0\" failures=\"0\">"), Ok(Count::ONE)).is_err());
    }
}
