//! `cardea config show`.

use serde_json::json;

use crate::{config::Config, failure::Failure, node, output};

/// Prints the settings in effect, without secrets.
pub(crate) fn show(config: &Config, json: bool) -> Result<(), Failure> {
    let mut shown = config.shown();
    if let Some(name) = node::known(&config.data_dir) {
        shown["node"] = json!(name);
    }
    if json {
        return output::json(&shown);
    }
    let toml =
        toml::to_string(&shown).map_err(|error| Failure::No(format!("the settings cannot be shown: {error}")))?;
    output::line(toml.trim_end())
}
