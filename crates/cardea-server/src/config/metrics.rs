//! `[metrics]`: who may scrape `/metrics` beside administrators and auditors.

use std::{path::PathBuf, sync::Arc};

use cardea_domain::Secret;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{documents::read_secret, failure::Failure};

/// Nobody guesses as many random characters.
const TOKEN_LENGTH_MIN: usize = 32;

/// The scraper's token, and where it was read.
#[derive(Default)]
pub(crate) struct Metrics {
    token_file: Option<PathBuf>,
    pub(crate) token: Option<Arc<Secret>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Layer {
    token_file: Option<PathBuf>,
}

impl Layer {
    pub(super) fn over(self, under: Self) -> Self {
        Self { token_file: self.token_file.or(under.token_file) }
    }

    pub(super) fn resolve(self) -> Result<Metrics, Failure> {
        let Some(token_file) = self.token_file else { return Ok(Metrics::default()) };
        let wrong = |what: &str| Failure::Configuration(format!("metrics.token_file: {what}"));
        let token = read_secret(&token_file).map_err(|error| wrong(&error))?;
        let fits = |text: &String| text.len() >= TOKEN_LENGTH_MIN && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !token.expose(fits) {
            let path = token_file.display();
            return Err(wrong(&format!(
                "`{path}` holds no token: write {TOKEN_LENGTH_MIN} or more letters and digits to it, for example by `openssl rand -hex 32`"
            )));
        }
        Ok(Metrics { token_file: Some(token_file), token: Some(Arc::new(token)) })
    }
}

impl Metrics {
    pub(super) fn shown(&self) -> Value {
        self.token_file.as_ref().map_or_else(|| json!({}), |file| json!({ "token_file": file }))
    }
}
