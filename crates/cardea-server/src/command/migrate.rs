//! `cardea migrate`.

use cardea_store::Store;
use serde_json::json;

use crate::{config::Config, data_dir::DataDir, failure::Failure, output};

/// Brings the store to this version's form. Opening it does that, here as at every start.
pub(crate) async fn run(config: &Config, as_json: bool) -> Result<(), Failure> {
    let _data = DataDir::lock(&config.data_dir).await?;
    Store::open(&config.store.url).await?.close().await;
    if as_json {
        return output::json(&json!({ "store": config.store.url.to_string(), "version": env!("CARGO_PKG_VERSION") }));
    }
    output::line(&format!("{} has the form of version {}.", config.store.url, env!("CARGO_PKG_VERSION")))
}
