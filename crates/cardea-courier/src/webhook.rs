//! Webhooks by HTTPS: no redirects, no proxies, no addresses inside, and of the answer nothing but its status.

use std::{net::IpAddr, sync::Arc, time::Duration};

use cardea_domain::Post;
use reqwest::{Certificate, Client, Url, header, redirect};

use crate::{
    address::{Allow, Guarded, refusal},
    with_causes,
};

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long the receiver may take in all.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Where a webhook is.
pub struct Target {
    pub url: String,
    pub allow: Allow,
    /// Certificates in PEM that are trusted in place of the system's.
    pub ca: Option<Vec<u8>>,
}

pub(crate) struct Caller {
    client: Client,
    url: Url,
}

impl Caller {
    pub(crate) fn new(target: Target) -> Result<Self, String> {
        let Target { url, allow, ca } = target;
        let url = checked(&url, allow).map_err(|error| format!("url: {error}"))?;
        let mut builder = Client::builder()
            .user_agent("Cardea")
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_LIMIT)
            .timeout(ANSWER_LIMIT)
            // A receiver that went away is found out by the next attempt, not by a connection that looks open.
            .pool_max_idle_per_host(0)
            .dns_resolver(Arc::new(Guarded(allow)));
        if let Some(ca) = ca {
            let wrong = |error: reqwest::Error| format!("ca_file: {}", with_causes(&error));
            builder = builder.tls_certs_only(Certificate::from_pem_bundle(&ca).map_err(wrong)?);
        }
        let client = builder.build().map_err(|error| format!("url: {}", with_causes(&error)))?;
        Ok(Self { client, url })
    }

    pub(crate) async fn send(&self, post: &Post) -> Result<(), String> {
        let mut request = self.client.post(self.url.clone()).header(header::CONTENT_TYPE, "application/json");
        for (name, value) in &post.headers {
            request = request.header(*name, value);
        }
        // Its address may hold a secret: chats do that.
        let answer = request.body(post.body.clone()).send().await.map_err(|error| with_causes(&error.without_url()))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status if status.is_redirection() => Err(format!("it answered {status}: redirects are not followed")),
            status => Err(format!("it answered {status}")),
        }
    }
}

/// Whether a webhook may be there, as far as that can be told without looking its name up.
///
/// # Errors
/// What is wrong with it, and what to write.
pub fn check_url(url: &str, allow: Allow) -> Result<(), String> {
    checked(url, allow).map(drop)
}

fn checked(text: &str, allow: Allow) -> Result<Url, String> {
    let wrong = "write it as https://chat.example.com/hook";
    let url = Url::parse(text).map_err(|_| wrong)?;
    let host = url.host_str().ok_or(wrong)?.trim_matches(['[', ']']);
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(format!("{wrong}, without user, password and `#`"));
    }
    // A name is looked at when it is looked up; an address is not looked up.
    let address: Option<IpAddr> = host.parse().ok();
    if let Some(address) = address.filter(|address| !allow.covers(*address)) {
        return Err(refusal(address));
    }
    let is_own = host == "localhost" || address.is_some_and(|address| address.to_canonical().is_loopback());
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_own && allow.loopback => Ok(url),
        _ => Err(format!("{wrong}: `http` is taken on this machine only, and if `loopback` is allowed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_outside_and_encrypted_unless_something_is_allowed() {
        let (nothing, own) = (Allow::default(), Allow { loopback: true, private: false });
        for good in ["https://chat.example.com/hook?x=1", "https://8.8.8.8:8443/"] {
            assert!(checked(good, nothing).is_ok(), "{good}");
        }
        let bad = [
            "",
            "chat.example.com",
            "http://chat.example.com/",
            "ftp://chat.example.com/",
            "https://me:pw@chat.example.com/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://10.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "http://localhost/",
            "https://169.254.169.254/",
            "https://[::ffff:127.0.0.1]/",
            "file:///etc/passwd",
        ];
        for bad in bad {
            assert!(checked(bad, nothing).is_err(), "{bad}");
        }
        for good in ["http://127.0.0.1:8080/", "http://localhost/", "https://[::1]/"] {
            assert!(checked(good, own).is_ok(), "{good}");
        }
        assert!(checked("http://chat.example.com/", own).is_err());
    }
}
