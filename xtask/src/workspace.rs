//! Where things are.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;

/// The folders of this checkout, and the search path that finds the project's own tools first.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    path: OsString,
}

impl Workspace {
    /// The checkout that this program was built from.
    pub(crate) fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask is a folder of the workspace")?;
        let root = root.to_owned();
        let answer = process::output(&mut metadata_command(&root))?;
        let metadata: Value = serde_json::from_str(&answer).context("`cargo metadata` writes JSON")?;
        let target = metadata["target_directory"].as_str().context("`cargo metadata` names the target folder")?;
        let target = PathBuf::from(target);
        fs::create_dir_all(&target).with_context(|| format!("cannot make {}", target.display()))?;
        let path = search_path(&target)?;
        Ok(Self { root, target, path })
    }

    /// A command in the checkout's root, or in a folder below it, that finds the project's own tools.
    pub(crate) fn command(&self, folder: &str, program: &str, arguments: &[&str]) -> Command {
        let mut command = process::command(&self.root.join(folder), program, arguments);
        command.env("PATH", &self.path);
        command
    }

    /// Where tools are installed that the machine lacks.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// Where a program is, if it is anywhere on the search path.
    pub(crate) fn which(&self, program: &str) -> Option<PathBuf> {
        std::env::split_paths(&self.path).map(|folder| folder.join(program)).find(|file| file.is_file())
    }

    /// What cargo knows of the workspace's own crates.
    pub(crate) fn metadata(&self) -> Result<Value> {
        let answer = process::output(&mut metadata_command(&self.root))?;
        serde_json::from_str(&answer).context("`cargo metadata` writes JSON")
    }
}

fn metadata_command(root: &Path) -> Command {
    process::command(root, "cargo", &["metadata", "--no-deps", "--format-version", "1"])
}

fn search_path(target: &Path) -> Result<OsString> {
    #[expect(clippy::disallowed_methods, reason = "the search path is handed on to the programs that are run")]
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let own = [target.join("tools/bin"), target.join("tools/node_modules/node/bin")];
    // Administrators' programs are not on everybody's path, and cargo's own run without a login shell.
    let usual = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    let folders = own.into_iter().chain(std::env::split_paths(&inherited)).chain(usual);
    std::env::join_paths(folders).context("a folder on PATH holds a colon")
}
