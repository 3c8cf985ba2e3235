//! The data directory: private, owned by one process at a time, and where keys and certificate are kept.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::{self, ErrorKind, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use cardea_domain::Secret;
use tokio::time::{Instant, sleep};

use crate::failure::Failure;

const LOCK_FILE: &str = "cardea.lock";
const PRIVATE_SIZE_MAX: u64 = 64 << 10;
/// A command of the operator holds the lock for a moment only: worth a short wait.
const LOCK_WAIT: Duration = Duration::from_secs(5);
const LOCK_EVERY: Duration = Duration::from_millis(50);

/// A data directory that belongs to this process until it is dropped.
pub(crate) struct DataDir {
    path: PathBuf,
    /// Holding the lock is what it is for; the kernel lets go of it when the process ends, however it ends.
    _lock: File,
}

impl DataDir {
    /// Makes the directory, or takes one that is there, so that only its owner can look into it.
    pub(crate) fn create(path: &Path) -> Result<(), Failure> {
        let failed = |error: io::Error| Failure::file("make the data directory", path, &error);
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(failed)
    }

    /// Takes the directory, waiting a moment for a command that is about to end.
    pub(crate) async fn lock(path: &Path) -> Result<Self, Failure> {
        Self::lock_within(path, LOCK_WAIT).await
    }

    async fn lock_within(path: &Path, wait: Duration) -> Result<Self, Failure> {
        let end = Instant::now() + wait;
        loop {
            if let Some(taken) = Self::try_lock(path)? {
                return Ok(taken);
            }
            if Instant::now() >= end {
                let path_shown = path.display();
                let sentence = match holder(path) {
                    Some(pid) => {
                        format!("the data directory `{path_shown}` is in use by process {pid}: stop that first")
                    }
                    None => format!("the data directory `{path_shown}` is in use by another process: stop that first"),
                };
                return Err(Failure::No(sentence));
            }
            sleep(LOCK_EVERY).await;
        }
    }

    /// Takes the directory unless another process has it.
    pub(crate) fn try_lock(path: &Path) -> Result<Option<Self>, Failure> {
        check(path)?;
        let failed = |error: io::Error| Failure::file("lock the data directory", path, &error);
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join(LOCK_FILE));
        let mut lock = opened.map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        lock.set_len(0).and_then(|()| lock.rewind()).map_err(failed)?;
        writeln!(lock, "{}", std::process::id()).map_err(failed)?;
        Ok(Some(Self { path: path.to_owned(), _lock: lock }))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A private file's content, if there is one.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Secret>, Failure> {
        let path = self.path.join(name);
        let mut text = String::new();
        match File::open(&path).and_then(|file| file.take(PRIVATE_SIZE_MAX).read_to_string(&mut text)) {
            Ok(_) => Ok(Some(Secret::new(text))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::file("read", &path, &error)),
        }
    }

    /// Takes a file away, if it is there.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Failure> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(Failure::file("remove", &path, &error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Writes a private file, whole or not at all.
    pub(crate) fn write(&self, name: &str, content: &str) -> Result<(), Failure> {
        let (path, draft) = (self.path.join(name), self.path.join(format!("{name}.new")));
        let failed = |error: io::Error| Failure::file("write", &path, &error);
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).map_err(failed)?;
        file.write_all(content.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        fs::rename(&draft, &path).map_err(failed)?;
        File::open(&self.path).and_then(|folder| folder.sync_all()).map_err(failed)
    }
}

/// Refuses a directory that is not there or that others may look into: the store and the socket are in there.
fn check(path: &Path) -> Result<(), Failure> {
    let shown = path.display();
    let metadata = match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => metadata,
        Ok(_) => return Err(Failure::No(format!("`{shown}` is not a directory: name another with --data-dir"))),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Failure::No(format!(
                "there is no data directory `{shown}`: name it with --data-dir or CARDEA__DATA_DIR, or make a new installation with `cardea init`"
            )));
        }
        Err(error) => return Err(Failure::file("look into the data directory", path, &error)),
    };
    if metadata.mode() & 0o077 != 0 {
        return Err(Failure::No(format!(
            "others may look into the data directory `{shown}` (mode {:04o}): run `chmod 700 {shown}`",
            metadata.mode() & 0o7777
        )));
    }
    Ok(())
}

fn holder(path: &Path) -> Option<u32> {
    fs::read_to_string(path.join(LOCK_FILE)).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[tokio::test]
    async fn one_holder_at_a_time_and_the_second_is_told_who() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("a/data");
        DataDir::create(&path).unwrap();
        let held = DataDir::lock(&path).await.unwrap();
        assert!(DataDir::try_lock(&path).unwrap().is_none());
        let refusal = DataDir::lock_within(&path, Duration::ZERO).await.err().unwrap().to_string();
        assert!(refusal.contains(&format!("process {}", std::process::id())), "{refusal}");
        drop(held);
        assert!(DataDir::try_lock(&path).unwrap().is_some());
    }

    #[test]
    fn a_directory_that_others_may_look_into_is_refused_with_what_to_do() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("data");
        let missing = DataDir::try_lock(&path).err().unwrap().to_string();
        assert!(missing.contains("cardea init"), "{missing}");
        DataDir::create(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o750)).unwrap();
        let open = DataDir::try_lock(&path).err().unwrap().to_string();
        assert!(open.contains("chmod 700"), "{open}");
        DataDir::create(&path).unwrap();
        assert!(DataDir::try_lock(&path).unwrap().is_some());
    }

    #[test]
    fn private_files_are_private_and_replaced_whole() {
        let folder = TempDir::new().unwrap();
        DataDir::create(folder.path()).unwrap();
        let data = DataDir::try_lock(folder.path()).unwrap().unwrap();
        assert!(data.read("key").unwrap().is_none());
        fs::write(folder.path().join("key.new"), "left by a crash").unwrap();
        for content in ["one", "two"] {
            data.write("key", content).unwrap();
            assert!(data.read("key").unwrap().unwrap().expose(|text| text == content));
        }
        assert_eq!(fs::metadata(folder.path().join("key")).unwrap().mode() & 0o7777, 0o600);
    }
}
