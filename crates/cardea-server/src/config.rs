//! The server's settings: a TOML file, over it the environment (`CARDEA__SECTION__KEY`), over that the flags.
//!
//! Each source is read into the same [`Layer`], so that each can name its own place when it is wrong. Unknown keys are
//! refused everywhere: a setting that is not read is a setting that somebody relies on in vain.

mod data_dir;
mod http;
mod log;
mod mail;
mod metrics;
mod sign_in;
mod ssh;
mod store;
mod trace;
mod vault;
mod webhook;

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::failure::Failure;

pub(crate) use http::Http;
pub(crate) use log::{Format, Log};
pub(crate) use mail::Mail;
pub(crate) use metrics::Metrics;
pub(crate) use sign_in::SignIn;
pub(crate) use ssh::Ssh;
pub(crate) use store::Store;
pub(crate) use trace::Trace;
pub(crate) use vault::Vault;
pub(crate) use webhook::Webhooks;

/// The environment of the process, taken once.
pub(crate) type Environment = BTreeMap<String, String>;

const PREFIX: &str = "CARDEA__";

/// All settings, checked, with their defaults filled in.
pub(crate) struct Config {
    /// Where everything is kept that is not in the store. Absolute.
    pub(crate) data_dir: PathBuf,
    pub(crate) http: Http,
    pub(crate) log: Log,
    /// No mail is sent without.
    pub(crate) mail: Option<Mail>,
    pub(crate) metrics: Metrics,
    pub(crate) sign_in: SignIn,
    pub(crate) ssh: Ssh,
    pub(crate) store: Store,
    pub(crate) trace: Trace,
    pub(crate) vault: Vault,
    pub(crate) webhooks: Webhooks,
}

/// What one source says.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Layer {
    data_dir: Option<PathBuf>,
    http: http::Layer,
    log: log::Layer,
    mail: mail::Layer,
    metrics: metrics::Layer,
    sign_in: sign_in::Layer,
    ssh: ssh::Layer,
    store: store::Layer,
    trace: trace::Layer,
    vault: vault::Layer,
    webhook: webhook::Layers,
}

impl Config {
    /// Reads all sources.
    pub(crate) fn load(
        file: Option<&Path>,
        environment: &Environment,
        data_dir: Option<PathBuf>,
    ) -> Result<Self, Failure> {
        let mut layer = match file {
            Some(file) => Layer::of_file(file)?,
            None => Layer::default(),
        };
        for (name, value) in environment.iter().filter(|(name, _)| name.starts_with(PREFIX)) {
            layer = Layer::of_variable(name, value)?.over(layer);
        }
        let flags = Layer { data_dir, ..Layer::default() };
        Self::of(flags.over(layer))
    }

    fn of(layer: Layer) -> Result<Self, Failure> {
        let data_dir = data_dir::resolve(layer.data_dir)?;
        Ok(Self {
            http: layer.http.resolve()?,
            log: layer.log.resolve()?,
            mail: layer.mail.resolve()?,
            metrics: layer.metrics.resolve()?,
            sign_in: layer.sign_in.resolve()?,
            ssh: layer.ssh.resolve(),
            store: layer.store.resolve(&data_dir)?,
            trace: layer.trace.resolve()?,
            vault: layer.vault.resolve(&data_dir)?,
            webhooks: webhook::resolve(layer.webhook)?,
            data_dir,
        })
    }

    /// Everything as it is in effect, without secrets.
    pub(crate) fn shown(&self) -> Value {
        json!({
            "data_dir": self.data_dir,
            "http": self.http.shown(),
            "log": self.log.shown(),
            "mail": self.mail.as_ref().map_or_else(|| json!({}), Mail::shown),
            "metrics": self.metrics.shown(),
            "sign_in": self.sign_in.shown(),
            "ssh": self.ssh.shown(),
            "store": self.store.shown(),
            "trace": self.trace.shown(),
            "vault": self.vault.shown(),
            "webhook": webhook::shown(&self.webhooks),
        })
    }
}

impl Layer {
    fn of_file(file: &Path) -> Result<Self, Failure> {
        let shown = file.display();
        let text = fs::read_to_string(file)
            .map_err(|error| Failure::Configuration(format!("{shown}: cannot be read: {error}")))?;
        toml::from_str(&text).map_err(|error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            Failure::Configuration(format!("{shown}:{line}: {}", one_line(error.message())))
        })
    }

    fn of_variable(name: &str, value: &str) -> Result<Self, Failure> {
        let path = name.trim_start_matches(PREFIX).to_lowercase();
        let mut inner = toml::Value::String(value.to_owned());
        for key in path.rsplit("__") {
            inner = toml::Value::Table(toml::Table::from_iter([(key.to_owned(), inner)]));
        }
        Self::deserialize(inner).map_err(|error: toml::de::Error| {
            Failure::Configuration(format!("environment variable {name}: {}", one_line(error.message())))
        })
    }

    fn over(self, under: Self) -> Self {
        Self {
            data_dir: self.data_dir.or(under.data_dir),
            http: self.http.over(under.http),
            log: self.log.over(under.log),
            mail: self.mail.over(under.mail),
            metrics: self.metrics.over(under.metrics),
            sign_in: self.sign_in.over(under.sign_in),
            ssh: self.ssh.over(under.ssh),
            store: self.store.over(under.store),
            trace: self.trace.over(under.trace),
            vault: self.vault.over(under.vault),
            webhook: webhook::over(self.webhook, under.webhook),
        }
    }
}

/// An address to listen on.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct Listen(SocketAddr);

impl TryFrom<String> for Listen {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not an address to listen on: write it as 127.0.0.1:8443 or [::1]:8443");
        text.parse().map(Self).map_err(|_| wrong())
    }
}

/// A list; as one text, words with commas between.
#[derive(Deserialize)]
#[serde(try_from = "toml::Value")]
struct Words(Vec<String>);

impl TryFrom<toml::Value> for Words {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Self, String> {
        let wrong = || "write a list of words".to_owned();
        let word = |value: toml::Value| value.as_str().map(str::to_owned).ok_or_else(wrong);
        match value {
            toml::Value::Array(words) => words.into_iter().map(word).collect::<Result<_, _>>().map(Self),
            toml::Value::String(text) => Ok(Self(text.split(',').map(|word| word.trim().to_owned()).collect())),
            _ => Err(wrong()),
        }
    }
}

/// Certificates are a few KiB each.
const PEM_BYTES_MAX: u64 = 1 << 20;

/// Reads certificates in PEM. Whether they are some is found out by whoever uses them.
fn read_pem(file: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = fs::File::open(file).and_then(|opened| opened.take(PEM_BYTES_MAX).read_to_end(&mut bytes));
    read.map(|_| bytes).map_err(|error| format!("cannot read `{}`: {error}", file.display()))
}

fn one_line(text: &str) -> String {
    text.trim().replace('\n', ", ")
}

#[cfg(test)]
mod tests;
