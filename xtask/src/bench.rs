//! `cargo xtask bench`: the figures of `docs/performance.md`, measured here and now.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::{packages, prerequisites, process, workspace::Workspace};

/// Runs one benchmark with the arguments that follow its name; without a name, lists what there is.
pub(crate) fn run(workspace: &Workspace, arguments: &[&str]) -> Result<()> {
    let known = known(workspace)?;
    let Some((name, rest)) = arguments.split_first() else {
        println!("{}", known.join("\n"));
        return Ok(());
    };
    if !known.iter().any(|bench| bench == name) {
        bail!("there is no benchmark `{name}`; there are: {}", known.join(", "));
    }
    prerequisites::rust(workspace)?;
    prerequisites::root("a benchmark against real hosts")?;
    packages::ensure(workspace, &[packages::HOSTS, packages::MEASUREMENTS])?;
    let fixed = ["bench", "--package", "cardea-server", "--bench", name, "--"];
    let words: Vec<&str> = fixed.into_iter().chain(rest.iter().copied()).collect();
    process::run(&mut workspace.command("", "cargo", &words))
}

/// The benchmarks that exist: each is a file of `crates/cardea-server/benches`.
fn known(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.root.join("crates/cardea-server/benches");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".rs").map(str::to_owned))
        .collect();
    names.sort();
    Ok(names)
}
