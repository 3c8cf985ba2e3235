//! `[store]`: where the state is kept.

use std::path::{Path, PathBuf};

use cardea_domain::Secret;
use cardea_store::StoreUrl;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{documents::read_secret, failure::Failure};

const DEFAULT: &str = "sqlite:cardea.db";

/// The database. Its URL may hold a password.
pub(crate) struct Store {
    pub(crate) url: StoreUrl,
}

/// The URL itself, or a file that holds it.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Layer {
    url: Option<String>,
    url_file: Option<PathBuf>,
}

impl Layer {
    /// A source that gives either form replaces both of the source below.
    pub(super) fn over(self, under: Self) -> Self {
        if self.url.is_some() || self.url_file.is_some() { self } else { under }
    }

    pub(super) fn resolve(self, data_dir: &Path) -> Result<Store, Failure> {
        let url = match (self.url, self.url_file) {
            (Some(_), Some(_)) => {
                return Err(Failure::Configuration("store.url and store.url_file are both given: keep one".to_owned()));
            }
            (None, None) => Secret::new(DEFAULT.to_owned()),
            (Some(url), None) => Secret::new(url),
            (None, Some(file)) => {
                read_secret(&file).map_err(|error| Failure::Configuration(format!("store.url_file: {error}")))?
            }
        };
        let parsed = url.expose(|url| StoreUrl::parse(url, data_dir));
        let url = parsed.map_err(|error| Failure::Configuration(format!("store.url: {error}")))?;
        Ok(Store { url })
    }
}

impl Store {
    pub(super) fn shown(&self) -> Value {
        json!({ "url": self.url.to_string() })
    }
}
