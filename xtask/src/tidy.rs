//! `cargo xtask tidy`: the invariants of `ARCHITECTURE.md` that no compiler checks.
//!
//! Each rule is a function from what it looks at to its findings, so that a test can show it a violation.

mod documents;
mod graph;
mod locks;
mod source;

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

use crate::{heading, process, workspace::Workspace};

/// What a rule found: where, and what to do.
type Findings = Vec<String>;

/// A file of the project, by its path below the root. What is not text, such as an image, has none.
#[derive(Clone, Debug)]
struct File {
    path: String,
    text: String,
}

/// Every crate that is built, one a line.
const TREE: &[&str] = &["tree", "--locked", "--workspace", "--all-features", "--prefix", "none", "--format", "{p}"];

/// Checks every rule. Fails with all findings.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    heading("Tidy");
    let (foreign, files): (Vec<File>, Vec<File>) =
        files(&workspace.root)?.into_iter().partition(|file| file.path.starts_with("vendor/"));
    let crates = graph::read(&workspace.metadata()?)?;
    let mut findings = Findings::new();
    findings.extend(graph::layers(&crates));
    findings.extend(graph::owners(&crates));
    findings.extend(source::check(&files));
    findings.extend(source::forks(&foreign));
    findings.extend(locks::check(&files));
    findings.extend(locks::unwanted(&process::output(&mut workspace.command("", "cargo", TREE))?));
    findings.extend(documents::check(&files, &foreign, &crates));
    if findings.is_empty() {
        println!("{} files and {} crates are tidy", files.len(), crates.len());
        return Ok(());
    }
    for finding in &findings {
        eprintln!("{finding}");
    }
    bail!("{} findings of tidy", findings.len())
}

/// Every file of the project; what is installed or built left out.
fn files(root: &Path) -> Result<Vec<File>> {
    let mut files = Vec::new();
    collect(root, root, &mut files)?;
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<File>) -> Result<()> {
    const LEFT_OUT: [&str; 5] = [".git", "cardea-data", "dist", "node_modules", "target"];
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry.with_context(|| format!("cannot read {}", folder.display()))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if LEFT_OUT.contains(&name) || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, files)?;
        } else {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let path = path.strip_prefix(root).context("the file is below the root")?.display().to_string();
            files.push(File { path, text });
        }
    }
    Ok(())
}

#[cfg(test)]
fn file(path: &str, text: &str) -> File {
    File { path: path.to_owned(), text: text.to_owned() }
}
