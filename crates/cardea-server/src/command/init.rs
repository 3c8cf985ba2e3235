//! `cardea init`: a new installation, with everything that a server needs to start.

use std::path::PathBuf;

use cardea_store::{Store, StoreError, StoreUrl};
use cardea_vault::{Vault, VaultError};
use clap::Args;
use serde_json::json;

use crate::{
    clock::SystemClock, config::Config, data_dir::DataDir, documents::read_secret, failure::Failure, host_key, output,
    tls::Certificate, wiring::Wired,
};

/// What `init` takes.
#[derive(Args)]
pub(crate) struct Arguments {
    /// A file with the password of `admin`; without it, a one-time link to choose one is printed
    #[arg(long, value_name = "FILE")]
    admin_password_file: Option<PathBuf>,
    /// Make a further node of an installation on PostgreSQL; its master key must be here already
    #[arg(long, conflicts_with = "admin_password_file")]
    join: bool,
}

/// Makes a new installation, or takes up one that was broken off. Refuses one that has users already.
pub(crate) async fn run(arguments: &Arguments, config: &Config, as_json: bool) -> Result<(), Failure> {
    if arguments.join {
        return join(config, as_json).await;
    }
    let password = arguments.admin_password_file.as_deref().map(read_secret).transpose();
    let password = password.map_err(|error| Failure::Usage(format!("--admin-password-file: {error}")))?;
    DataDir::create(&config.data_dir)?;
    let data = DataDir::lock(&config.data_dir).await?;
    ensure_master_key(config).await?;
    let wired = Wired::open(config, &data).await?;
    let made = async {
        let token = wired.app.initialise(password).await?;
        host_key::ensure(&data, &wired.app).await?;
        Ok::<_, Failure>(token)
    };
    let made = made.await;
    wired.close().await;
    let token = made?;
    Certificate::load(&config.http, &data, &SystemClock)?;
    let link = token.map(|token| token.expose(|token| format!("{}/set-up#{token}", config.http.public_url)));
    if as_json {
        return output::json(&json!({
            "data_dir": config.data_dir,
            "key_file": config.vault.key_file,
            "administrator": "admin",
            "set_up_url": link,
        }));
    }
    output::line(&format!("Data directory: {}", config.data_dir.display()))?;
    output::line(&format!(
        "Master key:     {} (no backup holds it: keep a copy in a safe place)",
        config.vault.key_file.display()
    ))?;
    match link {
        None => output::line("Start the server with `cardea serve` and sign in as `admin`."),
        Some(link) => {
            output::line(
                "Start the server with `cardea serve`, then choose the password of `admin` within 24 hours at",
            )?;
            output::line(&link)
        }
    }
}

/// Makes a data directory for a further node.
async fn join(config: &Config, as_json: bool) -> Result<(), Failure> {
    if !matches!(config.store.url, StoreUrl::Postgres(_)) {
        return Err(Failure::Usage(
            "--join: nodes share a database on PostgreSQL: name it with `[store] url = \"postgres://…\"`".to_owned(),
        ));
    }
    let path = &config.vault.key_file;
    if !path.exists() {
        return Err(Failure::No(format!(
            "there is no master key at `{}`: put a copy of the installation's there, or say where it is with `[vault] key_file`",
            path.display()
        )));
    }
    DataDir::create(&config.data_dir)?;
    let data = DataDir::lock(&config.data_dir).await?;
    let wired = Wired::open(config, &data).await?;
    let joined = async {
        wired.must_be_initialised(config)?;
        // Opens something that was sealed with the installation's master key: another key is found out here.
        host_key::ensure(&data, &wired.app).await.map(drop)
    };
    let joined = joined.await;
    let node = wired.app.node().to_owned();
    wired.close().await;
    joined?;
    Certificate::load(&config.http, &data, &SystemClock)?;
    if as_json {
        return output::json(&json!({ "data_dir": config.data_dir, "key_file": path, "node": node }));
    }
    output::line(&format!("Data directory: {}", config.data_dir.display()))?;
    output::line(&format!("Node:           {node}"))?;
    output::line("Start it with `cardea serve`.")
}

/// Makes the master key, unless one is there. A store that was made with a key that is missing gets no new one: what is
/// sealed in it could never be opened again.
async fn ensure_master_key(config: &Config) -> Result<(), Failure> {
    let path = &config.vault.key_file;
    if path.exists() {
        return Ok(());
    }
    let store = Store::open(&config.store.url).await?;
    let known = store.read(|tx| Box::pin(async move { tx.installation().await })).await;
    store.close().await;
    if known.map_err(|error: StoreError| Failure::from(error))?.is_some() {
        return Err(Failure::No(format!(
            "the store {} belongs to an installation whose master key is not at `{}`: put the key back there, or say where it is with `[vault] key_file`",
            config.store.url,
            path.display()
        )));
    }
    match Vault::create_key_file(path) {
        // Somebody else made it in between: theirs is as good.
        Ok(()) | Err(VaultError::KeyFileExists(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
