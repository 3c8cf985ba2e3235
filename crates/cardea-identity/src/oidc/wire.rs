//! The line to one provider: encrypted unless it is on this machine, without redirects and proxies, and with bounded answers.

use std::{error::Error, net::IpAddr, time::Duration};

use cardea_domain::{OidcSpec, OpenIdFault, OpenIdProvider, Secret};
use form_urlencoded::byte_serialize;
use reqwest::{Certificate, Client, RequestBuilder, Response, Url, header, redirect};
use serde_json::Value;

use super::wrong;

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long a provider may take in all.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// The most that a provider may say at once: key sets of large ones have 20 KiB.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// How Cardea shows a provider that it is itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Credentials {
    /// RFC 6749, 2.3.1.
    Basic,
    /// In the form, for providers that take it no other way.
    Post,
}

/// A form that is sent.
#[derive(Default)]
pub(super) struct Form(String);

impl Form {
    pub(super) fn add(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.extend(byte_serialize(name.as_bytes()).chain(["="]).chain(byte_serialize(value.as_bytes())));
    }

    pub(super) fn add_secret(&mut self, name: &str, value: &Secret) {
        value.expose(|value| self.add(name, value));
    }
}

pub(super) struct Wire {
    client: Client,
    /// The issuer is on this machine and needs no encryption: neither does anything else of it that is.
    is_here: bool,
}

impl Wire {
    pub(super) fn new(spec: &OidcSpec) -> Result<Self, OpenIdFault> {
        let mut builder = Client::builder()
            .user_agent("Cardea")
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_LIMIT)
            .timeout(ANSWER_LIMIT)
            .pool_max_idle_per_host(0);
        if let Some(ca) = &spec.ca {
            let authorities = Certificate::from_pem_bundle(ca.as_bytes());
            let authorities = authorities.map_err(|error| wrong(format!("its `ca`: {}", with_causes(&error))))?;
            builder = builder.tls_certs_only(authorities);
        }
        let client = builder.build().map_err(|error| wrong(with_causes(&error)))?;
        let is_here = Url::parse(&spec.issuer).is_ok_and(|issuer| issuer.scheme() == "http" && is_loopback(&issuer));
        Ok(Self { client, is_here })
    }

    /// A document of the provider; with a bearer's token, what it says of one person.
    pub(super) async fn get(&self, url: &Url, bearer: Option<&str>) -> Result<Value, OpenIdFault> {
        self.check(url)?;
        let mut request = self.client.get(url.clone());
        if let Some(token) = bearer {
            request = request.bearer_auth(token);
        }
        answer(request).await
    }

    /// What the provider answers to a form, sent by who Cardea is there.
    pub(super) async fn post(
        &self,
        url: &Url,
        form: Form,
        provider: &OpenIdProvider,
        credentials: Credentials,
    ) -> Result<Value, OpenIdFault> {
        self.check(url)?;
        let (mut form, id) = (form, &provider.spec.client_id);
        let mut request = self.client.post(url.clone());
        match (&provider.client_secret, credentials) {
            (Some(secret), Credentials::Basic) => {
                let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                request = secret.expose(|secret| request.basic_auth(encoded(id), Some(encoded(secret))));
            }
            (Some(secret), Credentials::Post) => {
                form.add("client_id", id);
                form.add_secret("client_secret", secret);
            }
            (None, _) => form.add("client_id", id),
        }
        let form_type = "application/x-www-form-urlencoded";
        answer(request.header(header::CONTENT_TYPE, form_type).body(form.0)).await
    }

    /// Documents name addresses; one that leads secrets over a network in the clear is not followed.
    pub(super) fn check(&self, url: &Url) -> Result<(), OpenIdFault> {
        let has_user = !url.username().is_empty() || url.password().is_some();
        let is_safe = match url.scheme() {
            "https" => true,
            "http" => self.is_here && is_loopback(url),
            _ => false,
        };
        if is_safe && !has_user {
            return Ok(());
        }
        let said: String = url.as_str().chars().take(200).collect();
        Err(wrong(format!("it leads to `{said}`: only `https` without a user in the address is gone to")))
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

async fn answer(request: RequestBuilder) -> Result<Value, OpenIdFault> {
    let sent = request.header(header::ACCEPT, "application/json").send().await;
    let answer = sent.map_err(|error| away(&error.without_url()))?;
    let status = answer.status();
    if status.is_redirection() {
        return Err(wrong(format!("it answered {status}: redirects are not followed")));
    }
    if status.is_server_error() {
        return Err(OpenIdFault::Away(format!("it answered {status}")));
    }
    let body = body(answer).await?;
    let document = serde_json::from_slice::<Value>(&body);
    if !status.is_success() {
        return Err(wrong(format!("it answered {status}{}", reason(&document.unwrap_or_default()))));
    }
    document.map_err(|_| wrong("its answer is no JSON"))
}

/// The error that OAuth has a word for, if it is one: words of letters alone, so that nothing else comes along.
fn reason(document: &Value) -> String {
    let is_word = |word: &&str| word.len() <= 40 && word.bytes().all(|c| c.is_ascii_lowercase() || c == b'_');
    document["error"].as_str().filter(is_word).map(|word| format!(" ({word})")).unwrap_or_default()
}

async fn body(mut answer: Response) -> Result<Vec<u8>, OpenIdFault> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| away(&error.without_url()))? {
        if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(wrong(format!("its answer is longer than {ANSWER_BYTES_MAX} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn away(error: &reqwest::Error) -> OpenIdFault {
    OpenIdFault::Away(format!("it cannot be reached: {}", with_causes(error)))
}

fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let said = inner.to_string();
        // Some repeat what their causes say.
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cardea_domain::{Kind, ObjectId, Timestamp};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
        sync::Mutex,
    };

    use super::*;

    fn spec(issuer: &str) -> OidcSpec {
        let spec = serde_json::json!({ "issuer": issuer, "client_id": "me:x" });
        serde_json::from_value(spec).expect("a spec")
    }

    /// Answers each request with this, and keeps what it was asked.
    async fn provider(answer: String) -> (Url, Arc<Mutex<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let issuer = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(String::new()));
        let heard = asked.clone();
        tokio::spawn(async move {
            while let Ok((mut peer, _)) = listener.accept().await {
                let mut buffer = vec![0; 8192];
                let read = peer.read(&mut buffer).await.expect("a request");
                *heard.lock().await = String::from_utf8_lossy(&buffer[..read]).into_owned();
                // Whoever has read enough hangs up.
                drop(peer.write_all(answer.as_bytes()).await);
            }
        });
        (Url::parse(&issuer).expect("an address"), asked)
    }

    fn answer(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    async fn got(answer: String) -> Result<Value, String> {
        let (url, _) = provider(answer).await;
        let wire = Wire::new(&spec(url.as_str())).expect("a client");
        wire.get(&url, None).await.map_err(|fault| fault.to_string())
    }

    #[tokio::test]
    async fn answers_are_bounded_and_redirects_are_not_followed() {
        assert_eq!(got(answer("200 OK", "{}")).await, Ok(serde_json::json!({})));
        let error = got(answer("302 Found", "")).await.expect_err("a redirect");
        assert!(error.contains("redirects are not followed"), "{error}");
        let error = got(answer("200 OK", &"x".repeat(ANSWER_BYTES_MAX + 1))).await.expect_err("too long");
        assert!(error.contains("longer than"), "{error}");
        let error = got(answer("400 Bad Request", r#"{"error": "invalid_grant", "hint": "hush"}"#)).await;
        assert_eq!(error, Err("it answered 400 Bad Request (invalid_grant)".to_owned()));
        let error = got(answer("400 Bad Request", r#"{"error": "<b>"}"#)).await;
        assert_eq!(error, Err("it answered 400 Bad Request".to_owned()), "nothing that is not a word");
        assert_eq!(got(answer("200 OK", "<html>")).await, Err("its answer is no JSON".to_owned()));
    }

    #[tokio::test]
    async fn forms_and_credentials_are_encoded() {
        let (url, asked) = provider(answer("200 OK", "{}")).await;
        let now = Timestamp::from_micros(0);
        let provider = OpenIdProvider {
            id: ObjectId::mint(Kind::IdentityProvider, now, &*cardea_testkit::SeededEntropy::new(1)),
            version: 1,
            spec: spec(url.as_str()),
            client_secret: Some(Secret::new("p%".to_owned())),
        };
        let wire = Wire::new(&provider.spec).expect("a client");
        for (credentials, seen) in [
            // `me%3Ax:p%25`
            (Credentials::Basic, "Basic bWUlM0F4OnAlMjU="),
            (Credentials::Post, "client_id=me%3Ax&client_secret=p%25"),
        ] {
            let mut form = Form::default();
            form.add_secret("code", &Secret::new("a&b=c d".to_owned()));
            wire.post(&url, form, &provider, credentials).await.expect("an answer");
            let asked = asked.lock().await;
            assert!(asked.contains("code=a%26b%3Dc+d") && asked.contains(seen), "{asked}");
        }
    }

    #[test]
    fn only_what_is_encrypted_is_gone_to_unless_the_issuer_is_here() {
        let wire = |issuer: &str| Wire::new(&spec(issuer)).expect("a client");
        let (outside, here) = (wire("https://a.example"), wire("http://127.0.0.1:9"));
        let check = |wire: &Wire, url: &str| wire.check(&Url::parse(url).expect("an address"));
        assert!(check(&outside, "https://keys.example/x").is_ok(), "providers keep their keys elsewhere");
        assert!(check(&here, "http://127.0.0.1:9/keys").is_ok());
        for (wire, url) in [
            (&outside, "http://a.example/keys"),
            (&outside, "http://127.0.0.1/keys"),
            (&here, "http://a.example/keys"),
            (&here, "http://localhost/keys"),
            (&outside, "file:///etc/passwd"),
            (&outside, "https://me:pw@a.example/"),
        ] {
            assert!(check(wire, url).is_err(), "{url}");
        }
    }
}
