//! `cargo xtask dist`: the one binary.

use std::fs;

use anyhow::{Context, Result};

use crate::{heading, prerequisites, process, web, workspace::Workspace};

/// Builds `target/release/cardea` with the web interface inside, and says how big it is.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    prerequisites::rust(workspace)?;
    prerequisites::node(workspace)?;
    web::build(workspace)?;
    heading("Building the release");
    process::run(&mut workspace.command(
        "",
        "cargo",
        &["build", "--release", "--locked", "--package", "cardea-server", "--features", "embed-ui"],
    ))?;
    let binary = workspace.target.join("release/cardea");
    let size = fs::metadata(&binary).with_context(|| format!("there is no {}", binary.display()))?.len();
    println!("{} ({:.1} MB)", binary.display(), size as f64 / 1e6);
    Ok(())
}
