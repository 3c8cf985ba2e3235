//! What can go wrong, and what to do about it.

use std::{io, path::PathBuf};

/// Why the vault did not do as asked. Holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The sealed value was changed, cut, or moved to another row.
    #[error(
        "a sealed secret is damaged or stands in a row that it was not made for: restore the store from a backup, or set the secret again"
    )]
    Damaged,
    /// Written by a newer version, or not by Cardea at all.
    #[error(
        "a sealed secret has format {0}, which this version of Cardea does not know: use the version that wrote it"
    )]
    Format(u8),
    /// A master key file is there already; it is never overwritten.
    #[error(
        "`{0}` exists: a master key is never overwritten. To use it, leave it there; to make a new one, move it away"
    )]
    KeyFileExists(PathBuf),
    /// The file is not a master key.
    #[error("`{0}` is not a master key of Cardea: put back the file that `cardea init` made")]
    KeyFileMalformed(PathBuf),
    /// Somebody else owns the file.
    #[error("the master key file `{path}` belongs to user id {owner}, not to {wanted}: run `chown {wanted} {path}`")]
    KeyFileOwner { path: PathBuf, owner: u32, wanted: u32 },
    /// Others may read the file.
    #[error("the master key file `{path}` can be read by others (mode {mode:04o}): run `chmod 600 {path}`")]
    KeyFileOpen { path: PathBuf, mode: u32 },
    /// The file could not be read.
    #[error("cannot read the master key file `{0}`: point `[vault] key_file` to the file that `cardea init` made")]
    KeyFileRead(PathBuf, #[source] io::Error),
    /// The file could not be written.
    #[error("cannot write the master key file `{0}`: choose another place with `[vault] key_file`")]
    KeyFileWrite(PathBuf, #[source] io::Error),
    /// What was opened is no private key.
    #[error("the authority's key is not an SSH key: the store was changed by somebody else than Cardea")]
    NotAKey,
    /// The public key cannot be certified.
    #[error("this is not a public key that can be certified: give one that `ssh-keygen` made")]
    NotCertifiable,
    /// Sealed under another master key.
    #[error("a sealed secret was made with another master key: point `[vault] key_file` to the key of this store")]
    OtherKey,
    /// The opened value is not text.
    #[error("a sealed secret is not text: set the secret again")]
    NotText,
}
