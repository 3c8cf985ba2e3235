//! The certificate that HTTPS shows: a given one, or one that Cardea makes for itself and keeps in the data directory.

use std::{fs, io, path::Path, time::Duration};

use axum_server::tls_rustls::RustlsConfig;
use cardea_domain::{Clock, Secret, Timestamp};
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};

use crate::{
    config::Http,
    data_dir::DataDir,
    failure::{Failure, with_causes},
};

const CERT_FILE: &str = "http-cert.pem";
const KEY_FILE: &str = "http-key.pem";
/// Browsers take at most 398 days from a certificate.
const LASTS: Duration = Duration::from_secs(365 * 86_400);
const RENEWED_BEFORE: Duration = Duration::from_secs(30 * 86_400);
/// How often a running server looks whether its certificate is to be replaced.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(3600);
const PEM_SIZE_MAX: u64 = 256 << 10;

/// A certificate chain and its key, in PEM.
pub(crate) struct Certificate {
    chain: String,
    key: Secret,
}

impl Certificate {
    /// The given certificate, or the self-made one: made if there is none, and anew before it expires or when the names
    /// that it must hold have changed.
    pub(crate) fn load(http: &Http, data: &DataDir, clock: &dyn Clock) -> Result<Self, Failure> {
        let certificate = match &http.certificate {
            Some(files) => Self {
                chain: read(&files.cert_file, "http.cert_file")?,
                key: Secret::new(read(&files.key_file, "http.key_file")?),
            },
            None => self_made(&http.public_host, data, clock.now())?,
        };
        Ok(certificate)
    }

    /// What the HTTPS listener serves with.
    pub(crate) async fn listener_config(&self) -> Result<RustlsConfig, Failure> {
        let chain = self.chain.clone().into_bytes();
        let key = self.key.expose(|key| key.clone().into_bytes());
        RustlsConfig::from_pem(chain, key).await.map_err(|error| unusable(&error))
    }

    /// Follows the certificate for as long as the server runs: a file that was replaced is served from then on, a
    /// self-made one is renewed. Never returns.
    pub(crate) async fn follow(mut self, http: &Http, data: &DataDir, clock: &dyn Clock, served: &RustlsConfig) {
        loop {
            tokio::time::sleep(LOOKED_AT_EVERY).await;
            let fresh = match Self::load(http, data, clock) {
                Ok(fresh) => fresh,
                Err(failure) => {
                    tracing::warn!("The certificate could not be looked at again, the one in use stays: {failure}");
                    continue;
                }
            };
            if fresh.chain == self.chain {
                continue;
            }
            match fresh.listener_config().await {
                Ok(config) => {
                    served.reload_from_config(config.get_inner());
                    tracing::info!("A new certificate is served from now on");
                    self = fresh;
                }
                Err(failure) => tracing::warn!("The new certificate is not served, the one in use stays: {failure}"),
            }
        }
    }
}

fn read(path: &Path, setting: &str) -> Result<String, Failure> {
    let wrong = |what: String| Failure::Configuration(format!("{setting}: `{}` {what}", path.display()));
    let size = fs::metadata(path).map_err(|error| wrong(format!("cannot be read: {error}")))?.len();
    if size > PEM_SIZE_MAX {
        return Err(wrong("is too large for a certificate or a key".to_owned()));
    }
    fs::read_to_string(path).map_err(|error| wrong(format!("cannot be read: {error}")))
}

fn unusable(error: &io::Error) -> Failure {
    Failure::Configuration(format!(
        "the certificate cannot be used: {}: check http.cert_file and http.key_file, both PEM and made for each other",
        with_causes(error)
    ))
}

/// What the self-made certificate is for. Stands above the PEM, where readers skip it, so that it can be told from the
/// file itself when it has to be made anew.
struct Head {
    names: Vec<String>,
    until: Timestamp,
}

impl Head {
    const MARK: &str = "Made by Cardea for ";

    fn line(&self) -> String {
        format!("{}{}, until {}\n", Self::MARK, self.names.join(" "), self.until)
    }

    fn of(chain: &str) -> Option<Self> {
        let (names, until) = chain.lines().next()?.strip_prefix(Self::MARK)?.split_once(", until ")?;
        Some(Self { names: names.split(' ').map(str::to_owned).collect(), until: until.parse().ok()? })
    }
}

fn self_made(public_host: &str, data: &DataDir, now: Timestamp) -> Result<Certificate, Failure> {
    let names = names(public_host);
    if let (Some(chain), Some(key)) = (data.read(CERT_FILE)?, data.read(KEY_FILE)?) {
        let chain = chain.expose(Clone::clone);
        let fits = |head: Head| head.names == names && head.until > now.plus(RENEWED_BEFORE);
        if Head::of(&chain).is_some_and(fits) {
            return Ok(Certificate { chain, key });
        }
    }
    let certificate = make(&Head { names, until: now.plus(LASTS) }, now)?;
    // The key first: a certificate without its key would be served by nobody, and both are made anew then.
    certificate.key.expose(|key| data.write(KEY_FILE, key))?;
    data.write(CERT_FILE, &certificate.chain)?;
    Ok(certificate)
}

fn make(head: &Head, now: Timestamp) -> Result<Certificate, Failure> {
    let failed = |error: rcgen::Error| {
        Failure::No(format!(
            "no certificate can be made for {}: {error}: give one with http.cert_file and http.key_file",
            head.names.join(", ")
        ))
    };
    let mut wanted = CertificateParams::new(head.names.clone()).map_err(failed)?;
    wanted.distinguished_name = DistinguishedName::new();
    wanted.distinguished_name.push(DnType::CommonName, "Cardea");
    wanted.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    wanted.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // A day of grace for clients whose clock is behind.
    let (year, month, day) = civil(now.minus(Duration::from_secs(86_400)));
    wanted.not_before = rcgen::date_time_ymd(year, month, day);
    let (year, month, day) = civil(head.until);
    wanted.not_after = rcgen::date_time_ymd(year, month, day);
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = wanted.self_signed(&key).map_err(failed)?;
    Ok(Certificate { chain: format!("{}{}", head.line(), certificate.pem()), key: Secret::new(key.serialize_pem()) })
}

/// What clients may call the server: the machine itself by all its usual names, and what `public_url` says.
fn names(public_host: &str) -> Vec<String> {
    let machine = rustix::system::uname().nodename().to_string_lossy().to_lowercase();
    let public = public_host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let mut names = Vec::new();
    for name in ["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned(), machine, public] {
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-.:".contains(c));
        if is_name && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Year, month and day, UTC.
fn civil(at: Timestamp) -> (i32, u8, u8) {
    let text = at.to_string();
    let mut parts = text.splitn(3, ['-', 'T']).map(|part| part.get(..part.len().min(4)).unwrap_or_default());
    let year = parts.next().and_then(|year| year.parse().ok()).unwrap_or(1970);
    let mut small = || parts.next().and_then(|part| part.get(..2)?.parse().ok()).unwrap_or(1);
    (year, small(), small())
}

#[cfg(test)]
mod tests;
