//! Addresses of directories: `ldaps://HOST[:PORT]` or `ldap://HOST[:PORT]`, and nothing behind it.

use std::{fmt, net::IpAddr};

/// Where a directory listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryUrl {
    /// Encrypted from the first byte.
    pub is_tls: bool,
    /// A name or an address, without the brackets of an IPv6 address.
    pub host: String,
    pub port: u16,
}

impl DirectoryUrl {
    const PORT: u16 = 389;
    const TLS_PORT: u16 = 636;
    const HOST_MAX: usize = 253;

    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        const FORM: &str = "write ldaps://HOST, or ldap://HOST with start_tls";
        let (is_tls, rest) = match (text.strip_prefix("ldaps://"), text.strip_prefix("ldap://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Err(FORM.to_owned()),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.strip_prefix('[') {
            Some(inside) => {
                let (host, port) = inside.split_once(']').ok_or(FORM)?;
                host.parse::<std::net::Ipv6Addr>().map_err(|_| format!("{host:?} is no IPv6 address"))?;
                (host, port.strip_prefix(':').or_else(|| port.is_empty().then_some("")).ok_or(FORM)?)
            }
            None => rest.split_once(':').unwrap_or((rest, "")),
        };
        let is_host = |c: char| c.is_ascii_alphanumeric() || ".-:".contains(c);
        if host.is_empty() || host.len() > Self::HOST_MAX || !host.chars().all(is_host) {
            return Err(FORM.to_owned());
        }
        let port = match port {
            "" if is_tls => Self::TLS_PORT,
            "" => Self::PORT,
            text => text.parse().ok().filter(|port| *port != 0).ok_or_else(|| format!("{text:?} is no port"))?,
        };
        Ok(Self { is_tls, host: host.to_owned(), port })
    }

    /// Whether it is this machine, as far as the text tells.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for DirectoryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { is_tls, host, port } = self;
        let scheme = if *is_tls { "ldaps" } else { "ldap" };
        if host.contains(':') { write!(f, "{scheme}://[{host}]:{port}") } else { write!(f, "{scheme}://{host}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_scheme_a_host_and_maybe_a_port() {
        for (text, whole) in [
            ("ldaps://dc1.example.com", "ldaps://dc1.example.com:636"),
            ("ldaps://dc1.example.com/", "ldaps://dc1.example.com:636"),
            ("ldap://127.0.0.1", "ldap://127.0.0.1:389"),
            ("ldap://[::1]:3389", "ldap://[::1]:3389"),
            ("ldaps://[2001:db8::1]", "ldaps://[2001:db8::1]:636"),
        ] {
            assert_eq!(DirectoryUrl::parse(text).map(|url| url.to_string()), Ok(whole.to_owned()), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "dc1",
            "ldap://",
            "http://dc1",
            "ldaps://dc1:0",
            "ldaps://dc1:70000",
            "ldaps://dc1:a",
            "ldaps://user@dc1",
            "ldaps://dc1/dc=example",
            "ldaps://dc1?x",
            "ldaps://[::1",
            "ldaps://[::1]x",
            "ldaps://[dc1]",
            "ldaps://a b",
        ] {
            assert!(DirectoryUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn loopback_is_known() {
        let is_loopback = |text| DirectoryUrl::parse(text).expect("an address").is_loopback();
        assert!(is_loopback("ldap://localhost") && is_loopback("ldap://127.9.9.9") && is_loopback("ldap://[::1]"));
        assert!(!is_loopback("ldap://dc1") && !is_loopback("ldap://10.0.0.1"));
    }
}
