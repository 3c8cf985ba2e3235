//! The file that holds the master key: one self-describing line of text below a comment, readable by its owner alone.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use cardea_domain::Entropy;
use data_encoding::BASE64;
use zeroize::Zeroizing;

use crate::{System, VaultError};

pub(crate) type MasterKey = Zeroizing<[u8; 32]>;

const HEAD: &str = "# Cardea's master key. Without it, no stored secret can be opened: keep a copy in a safe place,\n\
                    # apart from the backups of the data directory, which do not hold it.\n";
const MARK: &str = "cardea-master-key-1:";
const SIZE_MAX: u64 = 4096;

/// Writes a new key. Never overwrites.
pub(crate) fn create(path: &Path) -> Result<(), VaultError> {
    let mut key = Zeroizing::new([0; 32]);
    System.fill(key.as_mut_slice());
    let text = Zeroizing::new(format!("{HEAD}{MARK}{}\n", BASE64.encode(key.as_slice())));
    let failed = |error: io::Error| VaultError::KeyFileWrite(path.to_owned(), error);
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = opened.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => VaultError::KeyFileExists(path.to_owned()),
        _ => failed(error),
    })?;
    if let Err(error) = file.write_all(text.as_bytes()).and_then(|()| file.sync_all()) {
        // Half a key would stand in the way of the next attempt. That this may fail too changes nothing.
        let _ = fs::remove_file(path);
        return Err(failed(error));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A key that is lost in a power cut after secrets were sealed with it is lost for good.
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

/// Reads the key after checking that nobody else can have read or written it.
pub(crate) fn read(path: &Path) -> Result<MasterKey, VaultError> {
    let failed = |error: io::Error| VaultError::KeyFileRead(path.to_owned(), error);
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let wanted = rustix::process::geteuid().as_raw();
    // Root may put the key there for a service that runs as somebody else.
    if metadata.uid() != wanted && metadata.uid() != 0 {
        return Err(VaultError::KeyFileOwner { path: path.to_owned(), owner: metadata.uid(), wanted });
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(VaultError::KeyFileOpen { path: path.to_owned(), mode: metadata.mode() & 0o7777 });
    }
    let mut text = Zeroizing::new(String::with_capacity(512));
    file.take(SIZE_MAX).read_to_string(&mut text).map_err(failed)?;
    parse(&text).ok_or_else(|| VaultError::KeyFileMalformed(path.to_owned()))
}

fn parse(text: &str) -> Option<MasterKey> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix(MARK))?;
    let bytes = Zeroizing::new(BASE64.decode(line.as_bytes()).ok()?);
    let mut key = Zeroizing::new([0; 32]);
    if bytes.len() != key.len() {
        return None;
    }
    key.copy_from_slice(&bytes);
    Some(key)
}
