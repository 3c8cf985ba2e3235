//! `data_dir`: where keys, certificate, control socket and the embedded store are.

use std::path::{Path, PathBuf, absolute};

use crate::failure::Failure;

const DEFAULT: &str = "cardea-data";

/// The directory, absolute: it stays the same place whatever the working directory is later.
pub(super) fn resolve(given: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let given = given.unwrap_or_else(|| PathBuf::from(DEFAULT));
    let path = absolute(&given)
        .map_err(|error| Failure::Configuration(format!("data_dir `{}` is not a path: {error}", given.display())))?;
    if path.parent().is_none_or(|parent| parent == Path::new("")) {
        return Err(Failure::Configuration(format!(
            "data_dir `{}` is no place for data: name a directory of its own, for example /var/lib/cardea/data",
            given.display()
        )));
    }
    Ok(path)
}
