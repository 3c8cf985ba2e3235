//! What the commands stand on: checked with a message that says what to do, or installed.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::{heading, packages, process, workspace::Workspace};

/// The oldest Node that the web tools run on: major, minor.
const NODE_MIN: (u32, u32) = (20, 19);
/// Node from npm, where the machine's is too old.
const NODE_PACKAGE: &str = "node@24";
const NEXTEST: &str = "0.9.151";
const DENY: &str = "0.20.2";

/// Rust as pinned, with formatter and linter.
pub(crate) fn rust(workspace: &Workspace) -> Result<()> {
    let file = workspace.root.join("rust-toolchain.toml");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let pinned = pinned_rust(&text).context("rust-toolchain.toml has no line `channel = \"…\"`")?;
    let answer = process::output(&mut workspace.command("", "rustc", &["--version"]))?;
    let found = answer.split(' ').nth(1).unwrap_or("unknown");
    if found != pinned {
        bail!(
            "rustc is {found}, but this project is built with {pinned}: install rustup from https://rustup.rs, which \
             picks it by rust-toolchain.toml, and see that its cargo comes first on PATH"
        );
    }
    for tool in ["fmt", "clippy"] {
        process::output(&mut workspace.command("", "cargo", &[tool, "--version"]))
            .with_context(|| format!("`cargo {tool}` is missing: run `rustup component add rustfmt clippy`"))?;
    }
    Ok(())
}

fn pinned_rust(toolchain: &str) -> Option<&str> {
    let line = toolchain.lines().find_map(|line| line.trim().strip_prefix("channel"))?;
    line.split('"').nth(1)
}

/// Node and npm; a private Node from npm's own registry where the machine's is too old.
pub(crate) fn node(workspace: &Workspace) -> Result<()> {
    if workspace.which("npm").is_none() {
        bail!("npm is missing: install Node.js 20.19 or newer, with npm, from your distribution or https://nodejs.org");
    }
    if node_fits(workspace) {
        return Ok(());
    }
    heading(&format!("Installing {NODE_PACKAGE} below target/, for Node here is missing or older than 20.19"));
    fs::create_dir_all(workspace.tools()).context("cannot make the folder for tools")?;
    let tools = workspace.tools();
    let prefix = tools.to_str().context("the target folder's path is not UTF-8")?;
    process::run(&mut workspace.command(
        "",
        "npm",
        &["install", "--silent", "--no-save", "--prefix", prefix, NODE_PACKAGE],
    ))?;
    if !node_fits(workspace) {
        bail!("npm's `node` package did not bring a Node that runs here: install Node.js 20.19 or newer by hand");
    }
    Ok(())
}

fn node_fits(workspace: &Workspace) -> bool {
    process::output(&mut workspace.command("", "node", &["--version"])).is_ok_and(|answer| is_new_enough(&answer))
}

fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.trim().trim_start_matches('v').split('.').map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= NODE_MIN,
        _ => false,
    }
}

/// Root, for the throw-away hosts.
pub(crate) fn root(what: &str) -> Result<()> {
    if !packages::is_root()? {
        bail!("{what} needs root: throw-away hosts are made of mounts and namespaces. Run it as root, or with sudo");
    }
    Ok(())
}

/// Cargo's test runner and the checker of licences and sources, built below `target/` where they are missing.
pub(crate) fn cargo_tools(workspace: &Workspace) -> Result<()> {
    for (name, version) in [("nextest", NEXTEST), ("deny", DENY)] {
        if process::output(&mut workspace.command("", "cargo", &[name, "--version"])).is_ok() {
            continue;
        }
        heading(&format!("Installing cargo-{name} {version} below target/ (once, some minutes)"));
        let tools = workspace.tools();
        let root = tools.to_str().context("the target folder's path is not UTF-8")?;
        let (program, build) = (format!("cargo-{name}"), format!("{root}/build"));
        process::run(&mut workspace.command(
            "",
            "cargo",
            &["install", "--quiet", "--locked", "--root", root, "--target-dir", &build, "--version", version, &program],
        ))?;
        fs::remove_dir_all(&build).with_context(|| format!("cannot remove {build}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pinned_rust_is_read_from_the_file() {
        assert_eq!(pinned_rust("[toolchain]\nchannel = \"1.95.0\"\n"), Some("1.95.0"));
        assert_eq!(pinned_rust("[toolchain]\n"), None);
    }

    #[test]
    fn old_and_unreadable_nodes_are_refused() {
        assert!(is_new_enough("v20.19.0\n") && is_new_enough("v24.1.0") && is_new_enough("v22.0.0"));
        assert!(
            !is_new_enough("v20.18.9") && !is_new_enough("v18.20.0") && !is_new_enough("") && !is_new_enough("vx.y")
        );
    }
}
