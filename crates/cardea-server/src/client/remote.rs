//! The API of a server elsewhere, over TLS.

use std::{error::Error as _, fs, path::Path, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, StatusCode},
};
use reqwest::{Certificate, Url, redirect};

use super::{Incoming, Outgoing, read_body};
use crate::failure::{Failure, with_causes};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A server, and whom to trust to be it.
pub(super) struct Remote {
    base: Url,
    client: reqwest::Client,
}

impl Remote {
    /// Trusts the certificates in `ca_file` and nobody else; without one, whom the machine trusts.
    pub(super) fn new(server: &str, ca_file: Option<&Path>) -> Result<Self, Failure> {
        let base = Url::parse(server).ok().filter(|url| url.scheme() == "https" && url.has_host());
        let base = base.ok_or_else(|| {
            Failure::Usage(format!("`{server}` is not a server: write it as https://cardea.example.com:8443"))
        })?;
        // A redirect could carry the token to somebody else.
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(redirect::Policy::none())
            .https_only(true);
        if let Some(file) = ca_file {
            builder = builder.tls_certs_only(certificates(file)?);
        }
        let client = builder
            .build()
            .map_err(|error| Failure::No(format!("no TLS client can be made: {}", with_causes(&error))))?;
        Ok(Self { base, client })
    }

    /// Where its own pages would come from.
    pub(super) fn origin(&self) -> String {
        self.base.origin().ascii_serialization()
    }

    pub(super) async fn send(&self, request: Outgoing) -> Result<Incoming, Failure> {
        let (status, _, content) = self.send_whole(request).await?;
        Ok((status, content))
    }

    /// The same, with what stands above the answer's content.
    pub(super) async fn send_whole(&self, request: Outgoing) -> Result<(StatusCode, HeaderMap, Bytes), Failure> {
        let (head, body) = request.into_parts();
        let url = self.base.join(&head.uri.to_string()).map_err(|error| Failure::Usage(error.to_string()))?;
        let sent = self.client.request(head.method, url).headers(head.headers).body(body).send().await;
        let answer = sent.map_err(|error| self.unreachable(&error))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        Ok((status, headers, read_body(Body::from_stream(answer.bytes_stream())).await?))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        // The error itself only repeats the address.
        let causes = error.source().map_or_else(|| error.to_string(), with_causes);
        let advice = if causes.contains("ertificate") {
            ": if the server has a self-made certificate, fetch `http-cert.pem` from its data directory and name it with --ca-file or CARDEA_CA_FILE"
        } else {
            ""
        };
        Failure::No(format!("`{}` cannot be reached: {causes}{advice}", self.base))
    }
}

fn certificates(file: &Path) -> Result<Vec<Certificate>, Failure> {
    let wrong = |what: String| Failure::Usage(format!("the CA file `{}` {what}", file.display()));
    let pem = fs::read(file).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) | Err(_) => Err(wrong("holds no certificate in PEM".to_owned())),
    }
}
