//! The folder of a host: its keys, its log, and what it wrote.

use std::{fs, path::Path};

use tempfile::TempDir;

/// What a folder's name begins with; the number of the process that it belongs to follows, then `-`.
const PREFIX: &str = "cardea-host-";

/// A new folder, removed with its value.
pub(super) fn make() -> TempDir {
    let prefix = format!("{PREFIX}{}-", std::process::id());
    tempfile::Builder::new().prefix(&prefix).tempdir().expect("a temporary folder")
}

/// Removes the folders of processes that are dead: they were killed before they could. Their hosts ended with them.
pub(super) fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.filter_map(Result::ok) {
        let owner = entry.file_name().to_str().and_then(owner);
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            // Another start may be sweeping the same one.
            let _already_gone = fs::remove_dir_all(entry.path());
        }
    }
}

fn owner(name: &str) -> Option<u32> {
    let (pid, _) = name.strip_prefix(PREFIX)?.split_once('-')?;
    pid.parse().ok()
}
