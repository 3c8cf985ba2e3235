//! How commands reach the API: over the control socket of a running server, over TLS, or, when no server runs, in this
//! very process. It is the same API each time, so a command does the same whichever way it goes.

mod here;
mod remote;
mod sign_in;
mod socket;

use std::{path::PathBuf, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{Method, Request, StatusCode, header},
};
use cardea_domain::Secret;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

pub(crate) use sign_in::token;

use crate::{
    config::{Config, Environment},
    control::SocketPath,
    data_dir::DataDir,
    documents::{dotted, read_secret},
    failure::Failure,
    output::printable,
    own_files,
};

/// The whole of one request. Learning a host key and large applies take the longest.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
const ANSWER_SIZE_MAX: usize = 64 << 20;
/// A server that starts or stops holds the data directory without answering; that passes.
const REACH_TIMEOUT: Duration = Duration::from_secs(10);
const REACH_EVERY: Duration = Duration::from_millis(50);

/// Where the API is to be looked for.
pub(crate) struct Whereabouts {
    /// A server elsewhere.
    pub(crate) server: Option<String>,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) ca_file: Option<PathBuf>,
    /// What says where the data directory is.
    pub(crate) config_file: Option<PathBuf>,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) environment: Environment,
}

impl Whereabouts {
    /// The file that was named, or the one that `cardea login` wrote for this very server.
    fn token_file(&self) -> Option<PathBuf> {
        let kept = || own_files::of_server(&self.environment, "tokens", self.server.as_deref()?);
        self.token_file.clone().or_else(|| kept().filter(|file| file.exists()))
    }
}

/// A way to the API.
pub(crate) struct Client {
    way: Way,
    token: Option<Secret>,
}

enum Way {
    Here(Box<here::Here>),
    Remote(remote::Remote),
    Socket(SocketPath),
}

/// An answer that is not the wished one (RFC 9457).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Problem {
    #[serde(rename = "type")]
    kind: String,
    /// For the second step of a sign-in.
    ticket: Option<String>,
    title: String,
    detail: String,
    pub(crate) fields: Vec<Field>,
}

/// One wrong field of a request.
#[derive(Debug, Deserialize)]
pub(crate) struct Field {
    pub(crate) pointer: String,
    pub(crate) message: String,
}

impl Client {
    /// Finds a way to the API.
    pub(crate) async fn reach(whereabouts: &Whereabouts) -> Result<Self, Failure> {
        let token = whereabouts.token_file().as_deref().map(read_secret).transpose();
        let token = token.map_err(|error| Failure::Usage(format!("the token file: {error}")))?;
        let way = match &whereabouts.server {
            Some(url) => {
                if token.is_none() {
                    return Err(Failure::Usage(
                        "a server elsewhere asks who you are: name a file with an API token by --token-file or CARDEA_TOKEN_FILE, or sign in with `cardea login`"
                            .to_owned(),
                    ));
                }
                Way::Remote(remote::Remote::new(url, whereabouts.ca_file.as_deref())?)
            }
            None => Self::beside_the_data(whereabouts).await?,
        };
        Ok(Self { way, token })
    }

    async fn beside_the_data(whereabouts: &Whereabouts) -> Result<Way, Failure> {
        let config =
            Config::load(whereabouts.config_file.as_deref(), &whereabouts.environment, whereabouts.data_dir.clone())?;
        let end = Instant::now() + REACH_TIMEOUT;
        loop {
            if let Some(data) = DataDir::try_lock(&config.data_dir)? {
                return Ok(Way::Here(Box::new(here::Here::open(&config, data).await?)));
            }
            if let Some(socket) = socket::find(&config.data_dir).await {
                return Ok(Way::Socket(socket));
            }
            if Instant::now() >= end {
                return Err(Failure::No(format!(
                    "the data directory `{}` is in use, but nobody answers at its control socket: try again, or stop the process that holds it",
                    config.data_dir.display()
                )));
            }
            sleep(REACH_EVERY).await;
        }
    }

    /// Whether there is no server: what is asked for is written down, and done when one starts.
    pub(crate) fn is_alone(&self) -> bool {
        matches!(self.way, Way::Here(_))
    }

    /// Reads.
    pub(crate) async fn get(&self, target: &str) -> Result<Value, Failure> {
        self.ask(Method::GET, target, None).await?.map_err(Failure::from)
    }

    /// Does.
    pub(crate) async fn post(&self, target: &str, body: &Value) -> Result<Value, Failure> {
        self.try_post(target, body).await?.map_err(Failure::from)
    }

    /// Does, and lets the caller look at what was wrong.
    pub(crate) async fn try_post(&self, target: &str, body: &Value) -> Result<Result<Value, Problem>, Failure> {
        self.ask(Method::POST, target, Some(body)).await
    }

    /// Takes away.
    pub(crate) async fn delete(&self, target: &str) -> Result<(), Failure> {
        self.ask(Method::DELETE, target, None).await?.map(drop).map_err(Failure::from)
    }

    /// Lets go of what the way holds.
    pub(crate) async fn close(self) {
        if let Way::Here(here) = self.way {
            here.close().await;
        }
    }

    async fn ask(&self, method: Method, target: &str, body: Option<&Value>) -> Result<Result<Value, Problem>, Failure> {
        let mut request = Request::builder().method(method).uri(format!("/api/v1{target}"));
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, token.expose(|token| format!("Bearer {token}")));
        }
        let content = match body {
            Some(value) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Bytes::from(value.to_string())
            }
            None => Bytes::new(),
        };
        let request = request
            .body(content)
            .map_err(|_| Failure::Usage("the token cannot be sent: it is not a token of Cardea".to_owned()))?;
        let sent = async {
            match &self.way {
                Way::Here(here) => here.send(request).await,
                Way::Remote(remote) => remote.send(request).await,
                Way::Socket(socket) => socket::send(socket, request).await,
            }
        };
        let (status, content) = timeout(ANSWER_TIMEOUT, sent).await.map_err(|_| {
            Failure::No(format!("no answer within {} s: look at the server's log", ANSWER_TIMEOUT.as_secs()))
        })??;
        read_answer(status, &content)
    }
}

fn read_answer(status: StatusCode, content: &[u8]) -> Result<Result<Value, Problem>, Failure> {
    if !status.is_success() {
        let problem = serde_json::from_slice(content).unwrap_or_else(|_| Problem {
            title: format!("the answer was {status}, and not from Cardea"),
            ..Problem::default()
        });
        return Ok(Err(problem));
    }
    if content.is_empty() {
        return Ok(Ok(Value::Null));
    }
    serde_json::from_slice(content)
        .map(Ok)
        .map_err(|_| Failure::No("the answer was not JSON: is that a Cardea server?".to_owned()))
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        if !problem.fields.is_empty() {
            let lines = problem.fields.iter().map(|field| format!("{}{}", dotted(&field.pointer), field.message));
            return Self::No(printable(&lines.collect::<Vec<_>>().join("; ")));
        }
        Self::No(printable(if problem.detail.is_empty() { &problem.title } else { &problem.detail }))
    }
}

/// A path below `/api/v1` with its parts and query escaped.
pub(crate) fn target(parts: &[&str], query: &[(&str, &str)]) -> String {
    let mut url = reqwest::Url::parse("http://cardea").expect("this is a URL");
    url.path_segments_mut().expect("http URLs have paths").extend(parts);
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

/// Requests and answers as they pass through any of the ways.
type Outgoing = Request<Bytes>;
type Incoming = (StatusCode, Bytes);

/// Reads a whole body, bounded.
async fn read_body(body: Body) -> Result<Bytes, Failure> {
    axum::body::to_bytes(body, ANSWER_SIZE_MAX).await.map_err(|_| {
        Failure::No(format!("the answer broke off, or has more than {} MiB: ask for less", ANSWER_SIZE_MAX >> 20))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_escaped() {
        assert_eq!(target(&["resources", "a/b c?", "host-key"], &[]), "/resources/a%2Fb%20c%3F/host-key");
        assert_eq!(target(&["sessions"], &[("q", "a&b=c"), ("limit", "5")]), "/sessions?q=a%26b%3Dc&limit=5");
    }

    #[test]
    fn problems_become_sentences() {
        let problem = br#"{"type":"/problems/x","title":"X","status":409,"detail":"Do y.","request_id":"1"}"#;
        let answer = read_answer(StatusCode::CONFLICT, problem).unwrap();
        assert_eq!(Failure::from(answer.unwrap_err()), Failure::No("Do y.".to_owned()));
        let fields = br#"{"title":"X","detail":"/user: a","fields":[{"pointer":"/user","message":"a"},{"pointer":"","message":"b"}]}"#;
        let answer = read_answer(StatusCode::UNPROCESSABLE_ENTITY, fields).unwrap();
        assert_eq!(Failure::from(answer.unwrap_err()), Failure::No("user: a; b".to_owned()));
        let strange = read_answer(StatusCode::BAD_GATEWAY, b"<html>").unwrap().unwrap_err();
        assert!(Failure::from(strange).to_string().contains("not from Cardea"));
        assert!(read_answer(StatusCode::OK, b"<html>").is_err());
        assert_eq!(read_answer(StatusCode::NO_CONTENT, b"").unwrap().unwrap(), Value::Null);
    }
}
