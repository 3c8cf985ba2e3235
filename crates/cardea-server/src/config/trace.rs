//! `[trace]`: where spans are sent. Nowhere, unless it is set.

use std::net::IpAddr;

use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::failure::Failure;

/// The collector.
#[derive(Default)]
pub(crate) struct Trace {
    /// Where spans are posted to, path and all.
    pub(crate) endpoint: Option<Url>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Layer {
    otlp_url: Option<String>,
}

impl Layer {
    pub(super) fn over(self, under: Self) -> Self {
        Self { otlp_url: self.otlp_url.or(under.otlp_url) }
    }

    pub(super) fn resolve(self) -> Result<Trace, Failure> {
        let Some(given) = self.otlp_url else { return Ok(Trace::default()) };
        let endpoint = endpoint(&given).ok_or_else(|| {
            Failure::Configuration(
                "trace.otlp_url is not where a collector can be: write it as https://collector.example.com:4318, or \
                 http://127.0.0.1:4318 for one on this machine; without user, password or query"
                    .to_owned(),
            )
        })?;
        Ok(Trace { endpoint: Some(endpoint) })
    }
}

impl Trace {
    pub(super) fn shown(&self) -> Value {
        self.endpoint.as_ref().map_or_else(|| json!({}), |url| json!({ "otlp_url": url.as_str() }))
    }
}

/// OTLP over HTTP says `/v1/traces` below the base. Who works on what is nobody's business on the network, so plain HTTP is
/// for this machine only.
fn endpoint(text: &str) -> Option<Url> {
    let mut url = Url::parse(text).ok()?;
    let host = url.host_str()?;
    let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    let is_local = host == "localhost" || address.is_some_and(|address| address.is_loopback());
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_local);
    let is_bare = url.query().is_none() && url.fragment().is_none();
    if !is_safe || !is_bare || !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Some(url)
}
