//! `cardea config show`.

use crate::{config::Config, failure::Failure, output};

/// Prints the settings in effect, without secrets.
pub(crate) fn show(config: &Config, json: bool) -> Result<(), Failure> {
    let shown = config.shown();
    if json {
        return output::json(&shown);
    }
    let toml =
        toml::to_string(&shown).map_err(|error| Failure::No(format!("the settings cannot be shown: {error}")))?;
    output::line(toml.trim_end())
}
