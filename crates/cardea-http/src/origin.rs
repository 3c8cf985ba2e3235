//! Web origins (RFC 6454): which page sent a request that a browser attached a cookie to.

use std::fmt;

use axum::http::{HeaderMap, Uri, header, uri::Authority};

/// Scheme, host and port of a page, in the form that browsers send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin(String);

impl Origin {
    /// The origin of an address.
    pub(crate) fn of_url(url: &str) -> Option<Self> {
        let uri: Uri = url.trim().parse().ok()?;
        Some(Self::new(uri.scheme_str()?, uri.authority()?))
    }

    /// The origin of the host that a request was sent to. Cardea is spoken to over TLS only.
    pub(crate) fn of_host(uri: &Uri, headers: &HeaderMap) -> Option<Self> {
        authority(uri, headers).map(|authority| Self::new("https", &authority))
    }

    /// What the browser says.
    pub(crate) fn of_request(headers: &HeaderMap) -> Option<Self> {
        Self::of_url(headers.get(header::ORIGIN)?.to_str().ok()?)
    }

    fn new(scheme: &str, authority: &Authority) -> Self {
        let scheme = scheme.to_lowercase();
        let host = authority.host().to_lowercase();
        // Browsers leave the usual port out.
        match (scheme.as_str(), authority.port_u16()) {
            ("https", Some(443) | None) | ("http", Some(80) | None) => Self(format!("{scheme}://{host}")),
            (_, Some(port)) => Self(format!("{scheme}://{host}:{port}")),
            (_, None) => Self(format!("{scheme}://{host}")),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The host and port that a request names: in its address over HTTP/2, in its header over HTTP/1.
pub(crate) fn authority(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    match uri.authority() {
        Some(authority) => Some(authority.clone()),
        None => headers.get(header::HOST)?.to_str().ok()?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_origin_are_equal_and_different_origins_are_not() {
        let of = |url: &str| Origin::of_url(url).expect(url);
        assert_eq!(of("https://Cardea.example.com/"), of("https://cardea.example.com:443"));
        for other in ["http://cardea.example.com", "https://cardea.example.com:8443", "https://evil.example.com"] {
            assert_ne!(of("https://cardea.example.com"), of(other), "{other}");
        }
        for none in ["null", "", "cardea.example.com", "/path"] {
            assert_eq!(Origin::of_url(none), None, "{none}");
        }
    }
}
