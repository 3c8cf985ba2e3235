//! Builds the product from its parts. The one place that knows them all.

use std::sync::Arc;

use axum::Router;
use cardea_app::{App, AppError, Keyring, Outlets, Parts, SignInSettings, Webhook};
use cardea_connectors::Linux;
use cardea_courier::Outside;
use cardea_domain::{Clock, Entropy, Kind};
use cardea_http::{HttpSettings, MetricsSettings};
use cardea_identity::{Ldap, OpenIdConnect};
use cardea_store::{Store, StoreError};
use cardea_vault::{RelyingParty, System, Vault, VaultError};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::SystemClock,
    config::{Config, Mail},
    data_dir::DataDir,
    failure::{Failure, with_causes},
    node, process,
};

/// What hosts know this installation by. It hangs on the master key and not on the store: whoever loses the store and keeps the
/// key still has the kept accounts on the hosts.
fn name_on_hosts(vault: &Vault) -> String {
    vault.digest("host", b"installation").iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// The product, put together.
pub(crate) struct Wired {
    pub(crate) app: App,
    store: Store,
}

impl Wired {
    /// Opens store and vault and loads the configuration, as the node that the data directory is.
    pub(crate) async fn open(config: &Config, data: &DataDir) -> Result<Self, Failure> {
        let node = node::ensure(data)?;
        let vault = Arc::new(Vault::open(&config.vault.key_file)?);
        let store = Store::open_as(&config.store.url, &node).await?;
        let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) = (Arc::new(SystemClock), Arc::new(System));
        let installation = App::installation(&store, &*clock, &*entropy).await?;
        let credentials = Arc::new(Keyring::new(store.clone(), Arc::clone(&vault), installation.clone()));
        let (at, random) = (Arc::clone(&clock), Arc::clone(&entropy));
        let linux = Arc::new(Linux::new(credentials, at, random, name_on_hosts(&vault), node.clone()));
        // Hashing leaves half of the processors to everybody else.
        let hashes_at_once = std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1));
        // A host that is an address can have none: nothing else is wrong with it.
        let relying_party = RelyingParty::new(&config.http.public_url).map(Arc::new);
        let sign_in = SignInSettings { hashes_at_once, relying_party, ..config.sign_in.settings.clone() };
        let app = App::open(Parts { store: store.clone(), vault, clock, entropy, linux, node, sign_in }).await?;
        app.tell_by(outlets(config)?);
        app.ask_directories_by(Arc::new(Ldap::default()));
        app.ask_openid_by(Arc::new(OpenIdConnect::default()));
        Ok(Self { app, store })
    }

    /// Refuses an installation that has nobody who could sign in.
    pub(crate) fn must_be_initialised(&self, config: &Config) -> Result<(), Failure> {
        if self.app.configuration().of(Kind::User).next().is_some() {
            return Ok(());
        }
        let path = config.data_dir.display();
        Err(Failure::No(format!("nothing is set up in `{path}`: run `cardea init --data-dir {path}` first")))
    }

    /// The API and the web UI.
    pub(crate) fn router(&self, config: &Config, stop: CancellationToken) -> Router {
        let gateway = cardea_http::Gateway { host: config.http.public_host.clone(), port: config.ssh.listen.port() };
        let settings = HttpSettings {
            public_url: config.http.public_url.clone(),
            gateway,
            entropy: Arc::new(System),
            heartbeat: cardea_http::HEARTBEAT,
            metrics: MetricsSettings { token: config.metrics.token.clone(), process: process::figures },
            certificates_last: config.ssh.certificates_last,
            stop,
        };
        cardea_http::router(self.app.clone(), settings)
    }

    /// Lets go of the store.
    pub(crate) async fn close(self) {
        self.store.close().await;
    }
}

/// What is told outside, and by what.
fn outlets(config: &Config) -> Result<Outlets, Failure> {
    let targets = config.webhooks.iter().map(|(name, webhook)| (name.clone(), webhook.target())).collect();
    let server = config.mail.as_ref().map(Mail::server);
    let courier = Outside::new(server, targets).map_err(Failure::Configuration)?;
    let webhooks = config
        .webhooks
        .iter()
        .map(|(name, webhook)| Ok(Webhook { name: name.clone(), kinds: webhook.kinds.clone(), key: webhook.key()? }));
    let webhooks = webhooks.collect::<Result<_, String>>().map_err(Failure::Configuration)?;
    for refused in config.mail.iter().flat_map(|mail| &mail.refused) {
        tracing::error!("{refused}: the built-in text is used in place of this template");
    }
    let mail = config.mail.as_ref().map(|mail| mail.templates.clone());
    Ok(Outlets { public_url: config.http.public_url.clone(), courier: Arc::new(courier), mail, webhooks })
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        Self::No(with_causes(&error))
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::No(with_causes(&error))
    }
}

impl From<AppError> for Failure {
    fn from(error: AppError) -> Self {
        Self::No(with_causes(&error))
    }
}
