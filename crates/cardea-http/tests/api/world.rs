//! A whole application for one test: store, engine, router, hosts, and a few people.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode, header},
};
use cardea_app::{App, Event, Parts, SignInSettings};
use cardea_domain::{Actor, Secret};
use cardea_http::{Gateway, HttpSettings, MetricsSettings, Operator};
use cardea_store::{Store, StoreUrl};
use cardea_testkit::{FakeConnector, ManualClock, SeededEntropy};
use cardea_vault::Vault;
use futures_util::{Stream, StreamExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

pub(crate) const PUBLIC_URL: &str = "https://cardea.example.com";
pub(crate) const PASSWORD: &str = "a long sentence for tests";
pub(crate) const SCRAPER: &str = "a-token-that-opens-nothing-but-the-figures";
/// How long a test waits for anything before it gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// An application with users `admin`, `alice` (may run `Linux admin` on `web1` and `db1`), `bob` (may do nothing) and
/// `carol` (auditor).
pub(crate) struct World {
    pub(crate) app: App,
    pub(crate) store: Store,
    pub(crate) hosts: Arc<FakeConnector>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) stop: CancellationToken,
    router: Router,
    engine: JoinHandle<()>,
    _dir: TempDir,
}

/// How a request says who sends it.
#[derive(Clone)]
pub(crate) enum As {
    Nobody,
    Operator,
    Token(String),
    /// A cookie, and what the browser says about the page.
    Cookie(String, Option<&'static str>),
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// Checks the status and gives the body.
    #[track_caller]
    pub(crate) fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    /// Checks that it is this problem, in the shape that every problem has, and gives it.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, slug: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let body = self.json();
        assert_eq!(body["type"], format!("/problems/{slug}"), "{body}");
        assert_eq!(body["status"], status);
        assert_eq!(body["request_id"], self.header("x-request-id"));
        assert!(
            ["title", "detail"].iter().all(|key| body[key].as_str().is_some_and(|text| !text.is_empty())),
            "{body}"
        );
        body
    }

    /// The pointers of the wrong fields.
    #[track_caller]
    pub(crate) fn wrong_fields(&self) -> Vec<String> {
        let body = self.problem(422, "invalid-input");
        let fields = body["fields"].as_array().expect("fields");
        fields.iter().map(|field| field["pointer"].as_str().expect("a pointer").to_owned()).collect()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_with(SignInSettings::default()).await
    }

    pub(crate) async fn start_with(sign_in: SignInSettings) -> Self {
        Self::start_on("sqlite:cardea.db", sign_in).await
    }

    /// On the database of this address.
    pub(crate) async fn start_on(address: &str, sign_in: SignInSettings) -> Self {
        let dir = TempDir::new().expect("a scratch folder");
        let key_file = dir.path().join("master.key");
        Vault::create_key_file(&key_file).expect("a master key");
        let url = StoreUrl::parse(address, dir.path()).expect("an address");
        let store = Store::open(&url).await.expect("a store");
        let (clock, hosts, entropy) = (ManualClock::new(), FakeConnector::new(), SeededEntropy::new(1));
        let parts = Parts {
            store: store.clone(),
            vault: Arc::new(Vault::open(&key_file).expect("a vault")),
            clock: clock.clone(),
            entropy: entropy.clone(),
            linux: hosts.clone(),
            node: "main".to_owned(),
            sign_in,
        };
        let app = App::open(parts).await.expect("an application");
        app.initialise(Some(Secret::new(PASSWORD.to_owned()))).await.expect("an administrator");
        let stop = CancellationToken::new();
        let settings = HttpSettings {
            public_url: PUBLIC_URL.to_owned(),
            gateway: Gateway { host: "cardea.example.com".to_owned(), port: 4422 },
            entropy,
            heartbeat: Duration::from_millis(50),
            metrics: MetricsSettings { token: Some(Arc::new(Secret::new(SCRAPER.to_owned()))), process: || None },
            certificates_last: Duration::from_secs(3600),
            stop: stop.clone(),
        };
        let router = cardea_http::router(app.clone(), settings);
        let engine = tokio::spawn({
            let (app, stop) = (app.clone(), stop.clone());
            async move { app.run_engine(stop).await }
        });
        let world = Self { app, store, hosts, clock, stop, router, engine, _dir: dir };
        world.apply(configuration()).await;
        world
    }

    /// Applies documents as the operator.
    pub(crate) async fn apply(&self, documents: Value) {
        self.send(&As::Operator, "POST", "/api/v1/apply", Some(json!({ "documents": documents }))).await.ok(200);
    }

    /// A token of the user.
    pub(crate) async fn token(&self, user: &str) -> As {
        let issued = self.send(&As::Operator, "POST", "/api/v1/operator/tokens", Some(json!({ "user": user }))).await;
        As::Token(issued.ok(201)["token"].as_str().expect("a token").to_owned())
    }

    /// The cookie of the administrator's sign-in.
    pub(crate) async fn cookie(&self) -> String {
        self.cookie_of("admin").await
    }

    /// Sends a request from an address and with a browser of one's own.
    pub(crate) async fn post_from(&self, peer: &str, agent: &str, path: &str, body: Value) -> Answer {
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
        let request = request.header(header::USER_AGENT, agent).body(Body::from(body.to_string()));
        let mut request = request.expect("a request");
        let peer: std::net::SocketAddr = peer.parse().expect("an address");
        request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
        self.ask(&As::Nobody, request).await
    }

    /// Somebody who signed in with a password, as deciding about requests takes.
    pub(crate) async fn signed_in(&self, user: &str) -> As {
        As::Cookie(self.cookie_of(user).await, Some(PUBLIC_URL))
    }

    async fn cookie_of(&self, user: &str) -> String {
        let body = json!({ "user": user, "password": PASSWORD });
        let answer = self.send(&As::Nobody, "POST", "/api/v1/sign-in", Some(body)).await;
        answer.ok(200);
        let cookie = answer.header("set-cookie").split(';').next().expect("a cookie").to_owned();
        assert!(cookie.starts_with("__Host-cardea="), "{cookie}");
        cookie
    }

    pub(crate) async fn get(&self, who: &As, path: &str) -> Answer {
        self.send(who, "GET", path, None).await
    }

    pub(crate) async fn post(&self, who: &As, path: &str, body: Value) -> Answer {
        self.send(who, "POST", path, Some(body)).await
    }

    pub(crate) async fn send(&self, who: &As, method: &str, path: &str, body: Option<Value>) -> Answer {
        let request = Request::builder().method(method).uri(path);
        let request = match body {
            Some(body) => request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        };
        self.ask(who, request.expect("a request")).await
    }

    /// Sends any request and reads the whole answer.
    pub(crate) async fn ask(&self, who: &As, request: Request<Body>) -> Answer {
        let response = self.answer(who, request).await;
        let (parts, body) = response.into_parts();
        let read = tokio::time::timeout(PATIENCE, to_bytes(body, 64 << 20)).await;
        let bytes = read.expect("an answer that ends").expect("a body");
        let text = String::from_utf8(bytes.to_vec()).expect("text");
        Answer { status: parts.status, headers: parts.headers, text }
    }

    /// Sends any request as nobody and leaves the answer unread.
    pub(crate) async fn raw(&self, request: Request<Body>) -> axum::response::Response {
        self.answer(&As::Nobody, request).await
    }

    async fn answer(&self, who: &As, mut request: Request<Body>) -> axum::response::Response {
        let headers = request.headers_mut();
        headers.entry(header::HOST).or_insert_with(|| "127.0.0.1:8443".parse().expect("a host"));
        match who {
            As::Nobody => {}
            As::Operator => drop(request.extensions_mut().insert(Operator { uid: 0 })),
            As::Token(token) => {
                headers.insert(header::AUTHORIZATION, format!("Bearer {token}").parse().expect("a header"));
            }
            As::Cookie(cookie, origin) => {
                headers.insert(header::COOKIE, cookie.parse().expect("a cookie"));
                if let Some(origin) = origin {
                    headers.insert(header::ORIGIN, origin.parse().expect("an origin"));
                }
            }
        }
        self.router.clone().oneshot(request).await.expect("the router always answers")
    }

    /// Opens an event stream.
    pub(crate) async fn listen(&self, who: &As, path: &str, last: Option<&str>) -> Result<Events, Answer> {
        let mut request = Request::builder().uri(path).header(header::ACCEPT, "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = self.answer(who, request.body(Body::empty()).expect("a request")).await;
        if response.status() != StatusCode::OK {
            let (parts, body) = response.into_parts();
            let bytes = to_bytes(body, 1 << 20).await.expect("a body");
            let text = String::from_utf8(bytes.to_vec()).expect("text");
            return Err(Answer { status: parts.status, headers: parts.headers, text });
        }
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Ok(Events::of(response.into_body()))
    }

    /// Adds `vault1`, where alice may run `Linux admin` if as many of dave, erin and alice as the quorum says approve it.
    pub(crate) async fn guard_vault(&self, quorum: u32) {
        let approver = |name: &str| json!({ "kind": "User", "name": name, "spec": { "password": PASSWORD } });
        self.apply(json!([
            approver("dave"),
            approver("erin"),
            { "kind": "Group", "name": "guards", "spec": { "members": ["dave", "alice"] } },
            { "kind": "Resource", "name": "vault1", "spec": {
                "platform": "linux", "address": "vault1.example.com", "service_account": "svc",
                "host_key": FakeConnector::HOST_KEY,
            } },
            { "kind": "ConnectionProfile", "name": "guarded", "spec": { "max_duration": "1h", "approval":
                { "tiers": [{ "approvers": ["guards", "erin"], "quorum": quorum }], "window": "2h" } } },
            { "kind": "AccessPolicy", "name": "vault", "spec": { "users": ["alice"], "activities": ["Linux admin"],
                "resources": ["vault1"], "connection_profile": "guarded" } },
        ]))
        .await;
    }

    /// Requests `Linux admin` on the resources; the ids of the sessions.
    pub(crate) async fn request(&self, who: &As, resources: &[&str]) -> Vec<String> {
        let body = json!({ "activity": "Linux admin", "resources": resources, "notes": "for a test" });
        let created = self.post(who, "/api/v1/sessions", body).await.ok(201);
        let items = created["items"].as_array().expect("sessions");
        items.iter().map(|session| session["id"].as_str().expect("an id").to_owned()).collect()
    }

    /// Waits until the session satisfies the condition, and gives it as the operator sees it.
    pub(crate) async fn until(&self, id: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let mut changes = self.app.subscribe(&Actor::Engine, None);
        let path = format!("/api/v1/sessions/{id}");
        let mut last = Value::Null;
        let wait = async {
            loop {
                last = self.get(&As::Operator, &path).await.ok(200);
                if holds(&last) {
                    return;
                }
                while !matches!(changes.next().await, Some((_, Event::Session(_) | Event::Grant(_) | Event::Reset))) {}
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            panic!("it never came true: {last:#}");
        }
        last
    }

    /// Waits for a status.
    pub(crate) async fn until_status(&self, id: &str, status: &str) -> Value {
        self.until(id, |session| session["status"] == status).await
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
        self.engine.abort();
    }
}

/// Server-sent events, as they come.
pub(crate) struct Events {
    chunks: std::pin::Pin<Box<dyn Stream<Item = String> + Send>>,
    text: String,
}

/// One event. A comment has no name.
#[derive(Debug, PartialEq, Eq, Default)]
pub(crate) struct Heard {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) data: String,
}

impl Heard {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.data).expect("JSON")
    }
}

impl Events {
    fn of(body: Body) -> Self {
        let chunks = body.into_data_stream();
        let chunks = chunks.map(|chunk| String::from_utf8(chunk.expect("a chunk").to_vec()).expect("text"));
        Self { chunks: Box::pin(chunks), text: String::new() }
    }

    /// The next event that is no comment; `None` when the stream ended.
    pub(crate) async fn next(&mut self) -> Option<Heard> {
        loop {
            let heard = self.any().await?;
            if !heard.name.is_empty() {
                return Some(heard);
            }
        }
    }

    /// The next event or comment; `None` when the stream ended.
    pub(crate) async fn any(&mut self) -> Option<Heard> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let mut heard = Heard::default();
                for line in block.lines() {
                    match line.split_once(": ") {
                        Some(("event", value)) => heard.name = value.to_owned(),
                        Some(("id", value)) => heard.id = value.to_owned(),
                        Some(("data", value)) => heard.data.push_str(value),
                        _ => {}
                    }
                }
                self.text = rest.to_owned();
                return Some(heard);
            }
            let chunk = tokio::time::timeout(PATIENCE, self.chunks.next()).await.expect("an event in time")?;
            self.text.push_str(&chunk);
        }
    }

    /// Passes over events until one has this name.
    pub(crate) async fn until(&mut self, name: &str) -> Heard {
        loop {
            let heard = self.next().await.unwrap_or_else(|| panic!("the stream ended before `{name}`"));
            if heard.name == name {
                return heard;
            }
        }
    }
}

fn configuration() -> Value {
    let resource = |name: &str| {
        json!({ "kind": "Resource", "name": name, "spec": {
            "platform": "linux", "address": format!("{name}.example.com"), "service_account": "svc",
            "host_key": FakeConnector::HOST_KEY,
        } })
    };
    let user = |name: &str, role: &str| json!({ "kind": "User", "name": name, "spec": { "full_name": name.to_uppercase(), "roles": [role] } });
    json!([
        { "kind": "ServiceAccount", "name": "svc", "spec":
            { "platform": "linux", "user": "svc", "elevation": "sudo", "password": "not for anybody's eyes" } },
        resource("web1"),
        resource("db1"),
        { "kind": "Resource", "name": "new1", "spec":
            { "platform": "linux", "address": "new1.example.com", "service_account": "svc" } },
        user("alice", "user"),
        user("bob", "user"),
        user("carol", "auditor"),
        { "kind": "Activity", "name": "Linux admin", "spec": {
            "platform": "linux", "protocol": "ssh", "login_account": { "type": "activity_token" },
            "pre_session": [{ "add_sudo_rule": { "commands": ["ALL"] } }, { "add_to_group": { "group": "adm" } }],
        } },
        { "kind": "ConnectionProfile", "name": "one-hour", "spec": { "max_duration": "1h" } },
        { "kind": "AccessPolicy", "name": "operators", "spec": {
            "users": ["alice"], "activities": ["Linux admin"], "resources": ["web1", "db1"],
            "connection_profile": "one-hour",
        } },
    ])
}
