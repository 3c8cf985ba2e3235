//! `cargo xtask dist`: the one binary.

use std::fs;

use anyhow::{Context, Result, bail};

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
    let bytes = fs::read(&binary).with_context(|| format!("there is no {}", binary.display()))?;
    must_be_without_fail_points(&bytes)?;
    println!("{} ({:.1} MB)", binary.display(), bytes.len() as f64 / 1e6);
    Ok(())
}

/// Whoever sets the environment of a shipped binary must not be able to have it kill itself half-way.
fn must_be_without_fail_points(binary: &[u8]) -> Result<()> {
    const VARIABLE: &[u8] = b"CARDEA_FAIL_POINT";
    if binary.windows(VARIABLE.len()).any(|bytes| bytes == VARIABLE) {
        bail!("the binary was built with the feature `fail-points`, which is for tests only: find out what enables it");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_with_fail_points_is_not_shipped() {
        assert!(must_be_without_fail_points(b"..CARDEA__HTTP__LISTEN..CARDEA_FAIL_POIN").is_ok());
        assert!(must_be_without_fail_points(b"..CARDEA_FAIL_POINT_LOG..").is_err());
    }
}
