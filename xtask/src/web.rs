//! The web interface: its packages, its build, its checks.

use std::{fs, path::Path, process::Command, time::SystemTime};

use anyhow::{Context, Result};

use crate::{heading, process, workspace::Workspace};

const STAMP: &str = "node_modules/.installed-from";

/// Installs the packages of a folder as its lock file says, unless that was done.
pub(crate) fn packages(workspace: &Workspace, folder: &str) -> Result<()> {
    let root = workspace.root.join(folder);
    let lock = root.join("package-lock.json");
    let wanted = fs::read(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
    if fs::read(root.join(STAMP)).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    heading(&format!("Installing the packages of {folder}/"));
    process::run(&mut npm(workspace, folder, &["ci", "--no-audit", "--no-fund"]))?;
    fs::write(root.join(STAMP), wanted).context("cannot note which packages are installed")
}

/// Builds `web/dist`, unless it is newer than everything that it is made of.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    packages(workspace, "web")?;
    let folder = workspace.root.join("web");
    let built = modified(&folder.join("dist/index.html"));
    if built.is_some_and(|built| newest(&folder).is_some_and(|source| source < built)) {
        return Ok(());
    }
    heading("Building the web interface");
    process::run(&mut npm(workspace, "web", &["run", "build"]))
}

/// An npm command in a folder.
pub(crate) fn npm(workspace: &Workspace, folder: &str, arguments: &[&str]) -> Command {
    workspace.command(folder, "npm", arguments)
}

/// When the newest file below a folder changed; what is installed or built left out.
fn newest(folder: &Path) -> Option<SystemTime> {
    let entries = fs::read_dir(folder).ok()?;
    entries
        .filter_map(Result::ok)
        .filter(|entry| !matches!(entry.file_name().to_str(), Some("node_modules" | "dist")))
        .filter_map(|entry| if entry.path().is_dir() { newest(&entry.path()) } else { modified(&entry.path()) })
        .max()
}

fn modified(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|metadata| metadata.modified()).ok()
}
