//! `[log]`: what the server tells on stderr.

use serde::Deserialize;
use serde_json::{Value, json};
use tracing_subscriber::EnvFilter;

use crate::failure::Failure;

const DEFAULT: &str = "info";

/// What is logged, and how it looks.
pub(crate) struct Log {
    /// Directives as `tracing` reads them: `info`, `warn,cardea_app=debug`.
    pub(crate) filter: String,
    pub(crate) format: Format,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// One JSON object per line, for collectors.
    Json,
    /// For people.
    #[default]
    Text,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Layer {
    filter: Option<String>,
    format: Option<Format>,
}

impl Layer {
    pub(super) fn over(self, under: Self) -> Self {
        Self { filter: self.filter.or(under.filter), format: self.format.or(under.format) }
    }

    pub(super) fn resolve(self) -> Result<Log, Failure> {
        let filter = self.filter.unwrap_or_else(|| DEFAULT.to_owned());
        EnvFilter::try_new(&filter).map_err(|error| {
            Failure::Configuration(format!("log.filter: {error}: write it as `info` or `warn,cardea_app=debug`"))
        })?;
        Ok(Log { filter, format: self.format.unwrap_or_default() })
    }
}

impl Log {
    pub(super) fn shown(&self) -> Value {
        let format = match self.format {
            Format::Json => "json",
            Format::Text => "text",
        };
        json!({ "filter": self.filter, "format": format })
    }
}
