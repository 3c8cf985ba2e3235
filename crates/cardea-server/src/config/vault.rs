//! `[vault]`: the master key.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::failure::Failure;

const DEFAULT: &str = "cardea-master.key";

/// Where the master key is. Never in the data directory, so that a copy of that opens nothing.
pub(crate) struct Vault {
    pub(crate) key_file: PathBuf,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Layer {
    key_file: Option<PathBuf>,
}

impl Layer {
    pub(super) fn over(self, under: Self) -> Self {
        Self { key_file: self.key_file.or(under.key_file) }
    }

    pub(super) fn resolve(self, data_dir: &Path) -> Result<Vault, Failure> {
        let beside = || data_dir.parent().unwrap_or(Path::new("/")).join(DEFAULT);
        let given = self.key_file.unwrap_or_else(beside);
        let key_file = std::path::absolute(&given).map_err(|error| {
            Failure::Configuration(format!("vault.key_file `{}` is not a path: {error}", given.display()))
        })?;
        if key_file.starts_with(data_dir) {
            return Err(Failure::Configuration(format!(
                "vault.key_file `{}` is in the data directory: put the key elsewhere, so that a copy of the data opens nothing",
                key_file.display()
            )));
        }
        Ok(Vault { key_file })
    }
}

impl Vault {
    pub(super) fn shown(&self) -> Value {
        json!({ "key_file": self.key_file })
    }
}
