//! `[http]`: the web UI and the API.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use serde::Deserialize;
use serde_json::{Value, json};

use super::Listen;
use crate::failure::Failure;

/// Where HTTPS is served, and under which name and certificate.
pub(crate) struct Http {
    pub(crate) listen: SocketAddr,
    /// What browsers are told to call: `https://HOST[:PORT]`, without a path.
    pub(crate) public_url: String,
    /// The host in `public_url`.
    pub(crate) public_host: String,
    /// A certificate chain and its key, in PEM. Without them a self-made certificate is used.
    pub(crate) certificate: Option<CertificateFiles>,
}

/// A given certificate.
#[derive(Clone)]
pub(crate) struct CertificateFiles {
    pub(crate) cert_file: PathBuf,
    pub(crate) key_file: PathBuf,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Layer {
    listen: Option<Listen>,
    public_url: Option<String>,
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
}

impl Layer {
    pub(super) fn over(self, under: Self) -> Self {
        Self {
            listen: self.listen.or(under.listen),
            public_url: self.public_url.or(under.public_url),
            cert_file: self.cert_file.or(under.cert_file),
            key_file: self.key_file.or(under.key_file),
        }
    }

    pub(super) fn resolve(self) -> Result<Http, Failure> {
        let listen = self.listen.map_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 8443)), |listen| listen.0);
        let given = self.public_url.unwrap_or_else(|| format!("https://localhost:{}", listen.port()));
        let (public_url, public_host) = origin(&given).ok_or_else(|| {
            Failure::Configuration(format!(
                "http.public_url: `{given}` is not what browsers can call: write it as https://cardea.example.com or https://localhost:8443"
            ))
        })?;
        let certificate = match (self.cert_file, self.key_file) {
            (None, None) => None,
            (Some(cert_file), Some(key_file)) => Some(CertificateFiles { cert_file, key_file }),
            (Some(_), None) => return Err(missing("key_file", "cert_file")),
            (None, Some(_)) => return Err(missing("cert_file", "key_file")),
        };
        Ok(Http { listen, public_url, public_host, certificate })
    }
}

impl Http {
    pub(super) fn shown(&self) -> Value {
        let mut shown = json!({ "listen": self.listen, "public_url": self.public_url });
        if let Some(certificate) = &self.certificate {
            shown["cert_file"] = json!(certificate.cert_file);
            shown["key_file"] = json!(certificate.key_file);
        }
        shown
    }
}

/// The URL as browsers write the origin, and its host.
fn origin(text: &str) -> Option<(String, String)> {
    let url = reqwest::Url::parse(text).ok()?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let anonymous = url.username().is_empty() && url.password().is_none();
    if url.scheme() != "https" || !bare || !anonymous {
        return None;
    }
    let host = url.host_str()?.to_owned();
    Some((url.as_str().trim_end_matches('/').to_owned(), host))
}

fn missing(what: &str, given: &str) -> Failure {
    Failure::Configuration(format!("http.{what} is missing: a certificate needs both, and http.{given} is given"))
}
