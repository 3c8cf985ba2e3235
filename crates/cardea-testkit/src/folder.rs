//! Folders of what runs beside a test: removed with their value, or by the next start if the test was killed.

use std::{fs, path::Path};

use tempfile::TempDir;

/// A new folder. Its name begins with the prefix; the number of the process that it belongs to follows, then `-`.
pub(crate) fn make(prefix: &str) -> TempDir {
    sweep(prefix, &std::env::temp_dir());
    let prefix = format!("{prefix}{}-", std::process::id());
    tempfile::Builder::new().prefix(&prefix).tempdir().expect("a temporary folder")
}

/// Removes the folders of processes that are dead: they were killed before they could. What ran there ended with them.
fn sweep(prefix: &str, parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.filter_map(Result::ok) {
        let owner = entry.file_name().to_str().and_then(|name| owner(prefix, name));
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            // Another start may be sweeping the same one.
            let _already_gone = fs::remove_dir_all(entry.path());
        }
    }
}

fn owner(prefix: &str, name: &str) -> Option<u32> {
    let (pid, _) = name.strip_prefix(prefix)?.split_once('-')?;
    pid.parse().ok()
}
