//! Texts that mean something to a database, a shell, a mail server, a template or a browser, in every text of every operation: in
//! bodies, paths, queries and headers, as the document describes them. A new operation is asked the same by itself.
//!
//! The answer is a yes or a problem that says where, never a failure; what was taken is read again as it was sent; and afterwards
//! everything else is as before.

mod places;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use axum::{
    body::Body,
    extract::ConnectInfo,
    http::{HeaderValue, Request},
};
use cardea_app::SignInSettings;
use cardea_identity::{Ldap, OpenIdConnect};
use cardea_testkit::Postgres;
use serde_json::{Map, Value, json};

use self::places::{Types, placed, with};
use crate::{
    matrix::{Asked, Things, furnish, operations},
    world::{Answer, As, World},
};

const NASTY: [&str; 9] = [
    "'; drop table session; -- \" or 1=1 %_\\",
    "--help $(touch /tmp/nasty)`touch /tmp/nasty`; touch /tmp/nasty | cat & \\",
    "a\u{0}b",
    "a\r\nBcc: everybody@example.com\r\n\r\nb",
    "%s%n%00{}{{}}{link}${7*7} ../../../../etc/passwd <script>alert(1)</script>&amp;",
    "e\u{301}\u{202e}gnp.exe\u{200b}",
    "\u{1f469}\u{200d}\u{1f467} \u{ffff}\u{10ffff}",
    "",
    LONG,
];
/// Stands for a text that is longer than any that is taken.
const LONG: &str = "LONG";
const LONG_CHARS: usize = 100_000;
/// Deeper the document's types do not go.
const DEPTH_MAX: usize = 12;
/// Where texts must have been taken and read again, or this suite proves nothing.
const KEPT: [&str; 8] = [
    "approve_session /reason",
    "create_lock /title",
    "create_sessions /notes",
    "create_sessions /ticket",
    "create_token /name",
    "create_user /spec/full_name",
    "lock_session /title",
    "replace_user /spec/full_name",
];

fn nasty() -> impl Iterator<Item = String> {
    NASTY.iter().map(|text| if *text == LONG { "x".repeat(LONG_CHARS) } else { (*text).to_owned() })
}

/// A number that is new each time.
fn fresh() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0x0a00_0001);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// All texts that stand under this key.
fn texts<'a>(value: &'a Value, key: &str, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| texts(item, key, found)),
        Value::Object(map) => {
            for (name, value) in map {
                match value {
                    Value::String(text) if name == key => drop(found.insert(text)),
                    Value::Array(items) if name == key => found.extend(items.iter().filter_map(Value::as_str)),
                    _ => {}
                }
                texts(value, key, found);
            }
        }
        _ => {}
    }
}

/// Percent-encoded to the last letter.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// What was found by asking.
#[derive(Default)]
struct Findings {
    asked: usize,
    /// How many nasty texts were read again as they were sent, by operation and place.
    kept: BTreeMap<String, usize>,
    faults: Vec<String>,
}

impl Findings {
    fn note(&mut self, id: &str, place: &str, text: &str, fault: &str) {
        let text: String = text.chars().take(60).collect();
        self.faults.push(format!("{id} {place} {text:?}: {fault}"));
    }

    /// Whether the answer is a yes; if it is neither that nor a problem that says where, it is a fault.
    fn is_yes(&mut self, (id, place): (&str, &str), text: &str, answer: &Answer) -> bool {
        self.asked += 1;
        let status = answer.status.as_u16();
        if (200..300).contains(&status) {
            return true;
        }
        let problem: Value = serde_json::from_str(&answer.text).unwrap_or_default();
        let says = |key: &str| problem[key].as_str().is_some_and(|text| !text.is_empty());
        let is_problem = (400..500).contains(&status) && says("type") && says("title") && says("detail");
        let names_a_field = problem["fields"].as_array().is_some_and(|fields| !fields.is_empty());
        // There are a directory and a provider among the things, and none that answers.
        let away = ["/problems/directory-away", "/problems/provider-away"];
        let is_away = status == 503 && away.iter().any(|kind| problem["type"] == *kind);
        if !(is_problem || is_away) || (status == 422 && !names_a_field) {
            let said: String = answer.text.chars().take(300).collect();
            self.note(id, place, text, &format!("{status} {said}"));
        }
        false
    }
}

/// A world with people, and what is asked of it.
struct Suite {
    world: World,
    types: Types,
    things: Things,
    admin: As,
    alice: As,
    dave: As,
    findings: Findings,
}

impl Suite {
    async fn start(address: &str) -> Self {
        let world = World::start_on(address, SignInSettings::default()).await;
        world.app.ask_directories_by(Arc::new(Ldap::default()));
        world.app.ask_openid_by(Arc::new(OpenIdConnect::default()));
        let (things, _) = furnish(&world).await;
        let (admin, alice, dave) =
            (world.signed_in("admin").await, world.signed_in("alice").await, world.signed_in("dave").await);
        let types = Types(cardea_http::openapi());
        Self { world, types, things, admin, alice, dave, findings: Findings::default() }
    }

    /// Somebody who may.
    fn who(&self, asked: &Asked) -> As {
        match asked.id.as_str() {
            "create_sessions" | "extend_session" => self.alice.clone(),
            "approve_session" | "approve_sessions" | "deny_session" | "deny_sessions" => self.dave.clone(),
            _ if asked.takes == ["operator"] => As::Operator,
            _ => self.admin.clone(),
        }
    }

    /// Each time from another address: nobody is slowed down who did nothing before.
    async fn ask(&self, who: &As, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let peer = SocketAddr::from((Ipv4Addr::from_bits(fresh()), 1000));
        let request = Request::builder().method(method).uri(path).extension(ConnectInfo(peer));
        let request = match body {
            Some(body) => request.header("content-type", "application/json").body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        };
        self.world.ask(who, request.expect("a request")).await
    }

    /// The operation as the document has it.
    fn documented(&self, id: &str) -> Value {
        let paths = self.types.0["paths"].as_object().expect("paths");
        let mut all = paths.values().flat_map(|item| item.as_object().into_iter().flat_map(Map::values));
        all.find(|operation| operation["operationId"] == id).expect("it is in the document").clone()
    }

    /// A session of alice's that the operation is about.
    async fn session_for(&self, id: &str) -> String {
        if id.starts_with("approve") || id.starts_with("deny") {
            return self.world.request(&self.alice, &["vault1"]).await.remove(0);
        }
        let session = self.world.request(&self.alice, &["web1"]).await.remove(0);
        self.world.until_status(&session, "available").await;
        if id == "unlock_session" {
            let path = format!("/api/v1/sessions/{session}/lock");
            self.world.post(&As::Operator, &path, json!({ "title": "stop" })).await.ok(200);
        }
        session
    }

    /// A good body: of what is there, where it makes or changes something like that.
    async fn good(&self, asked: &Asked) -> Option<Value> {
        let body = asked.body.clone()?;
        if body.get("spec").is_none() {
            return Some(body);
        }
        let kind = asked.path.trim_start_matches("/api/v1/").split('/').next().unwrap_or_default();
        if asked.method == "PUT" {
            let shown = self.world.get(&As::Operator, &asked.path).await.ok(200);
            return Some(json!({ "spec": shown["spec"], "version": shown["version"] }));
        }
        let list = self.world.get(&As::Operator, &format!("/api/v1/{kind}")).await.ok(200);
        Some(with(&body, "spec", list["items"][0]["spec"].clone()))
    }

    /// The nasty texts in every place of the operation's body.
    async fn bodies(&mut self, asked: &Asked) {
        let Some(good) = self.good(asked).await else { return };
        let schema = self.documented(&asked.id)["requestBody"]["content"]["application/json"]["schema"].clone();
        for (place, body) in self.types.places(&schema, Some(&good), DEPTH_MAX) {
            for text in nasty() {
                self.body(asked, (&place, placed(&body, &text)), &text).await;
            }
        }
    }

    async fn body(&mut self, asked: &Asked, (place, mut body): (&str, Value), text: &str) {
        let mut path = asked.path.clone();
        if path.contains(&self.things.session) {
            path = path.replace(&self.things.session, &self.session_for(&asked.id).await);
        } else if body.get("ids").is_some() && place != "/ids/0" {
            body["ids"] = json!([self.session_for(&asked.id).await]);
        }
        let good = self.good(asked).await.unwrap_or_default();
        if asked.method == "PUT" && good.get("version").is_some() {
            body["version"] = good["version"].clone();
        }
        if asked.id.starts_with("create_") && body.get("spec").is_some() && place != "/name" {
            body["name"] = json!(format!("new {}", fresh()));
        }
        let answer = self.ask(&self.who(asked), &asked.method, &path, Some(&body)).await;
        if !self.findings.is_yes((&asked.id, place), text, &answer) {
            return;
        }
        if !text.is_empty() {
            self.read_again((asked, place), &path, &answer, text).await;
        }
        self.undo(asked, &good, &answer).await;
    }

    /// Checks that what was taken is there as it was sent, wherever a text of that name can be read.
    async fn read_again(&mut self, (asked, place): (&Asked, &str), path: &str, answer: &Answer, text: &str) {
        let told: Value = serde_json::from_str(&answer.text).unwrap_or_default();
        let key = place.rsplit('/').find(|part| part.parse::<usize>().is_err()).unwrap_or_default();
        for (path, is_list) in self.readable(path, &told) {
            let answer = self.world.get(&self.admin, &path).await;
            if answer.status != 200 {
                self.findings.note(&asked.id, place, text, &format!("{path}: {}", answer.text));
                continue;
            }
            let (again, mut known) = (answer.json(), BTreeSet::new());
            texts(&again, key, &mut known);
            if known.contains(text) {
                *self.findings.kept.entry(format!("{} {place}", asked.id)).or_default() += 1;
            } else if !known.is_empty() && !is_list {
                self.findings.note(&asked.id, place, text, &format!("{path} has {known:?}"));
            }
        }
    }

    /// Where a change can be read: where it was made, on what, or what it made. Lists show only some of what there is.
    fn readable(&self, path: &str, told: &Value) -> Vec<(String, bool)> {
        let made = told["items"].get(0).unwrap_or(told);
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let mut paths = vec![path.to_owned(), parent.to_owned()];
        let one = |key: &str| Some(format!("{path}/{}", encoded(made[key].as_str()?)));
        paths.extend(["id", "name"].into_iter().filter_map(one));
        let known = self.types.0["paths"].as_object().expect("paths");
        let is = |known: &str, path: &str| {
            let mut pairs = known.split('/').zip(path.split('/'));
            known.split('/').count() == path.split('/').count()
                && pairs.all(|(known, part)| known.starts_with('{') || known == part)
        };
        let read = |path: String| match known.get(&path) {
            Some(item) => item.get("get").map(|_| (path, true)),
            None => {
                let mut all = known.iter();
                all.any(|(known, item)| is(known, &path) && item.get("get").is_some()).then_some((path, false))
            }
        };
        paths.into_iter().filter_map(read).collect()
    }

    /// So that the next text meets what this one met.
    async fn undo(&self, asked: &Asked, good: &Value, answer: &Answer) {
        if asked.id.starts_with("create_") && good.get("spec").is_some() {
            let made = answer.json();
            let path = format!("{}/{}", asked.path, made["id"].as_str().expect("an id"));
            self.world.send(&As::Operator, "DELETE", &path, None).await.ok(204);
        }
        if asked.id == "create_lock" {
            let path = format!("/api/v1/locks/{}", self.things.zoe);
            self.world.send(&As::Operator, "DELETE", &path, None).await.ok(204);
        }
        if asked.method == "PUT" && good.get("spec").is_some() {
            let now = self.world.get(&As::Operator, &asked.path).await.ok(200);
            let body = with(good, "version", now["version"].clone());
            self.world.send(&As::Operator, "PUT", &asked.path, Some(body)).await.ok(200);
        }
    }

    /// The nasty texts in place of every parameter of path, query and headers.
    async fn parameters(&mut self, method: &str, path: &str, operation: &Value) {
        let (id, who) = (operation["operationId"].as_str().expect("an id"), self.admin.clone());
        let filled = |text: &str| {
            let parts =
                path.split('/').map(|part| if part.starts_with('{') { text.to_owned() } else { part.to_owned() });
            parts.collect::<Vec<_>>().join("/")
        };
        let plain = filled("ses_00000000000000000000000000");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().expect("a name");
            for text in nasty().filter(|text| text.len() < LONG_CHARS) {
                let mut request = Request::builder().method(method.to_uppercase().as_str());
                request = match parameter["in"].as_str() {
                    Some("path") if text.is_empty() => continue,
                    Some("path") => request.uri(filled(&encoded(&text))),
                    Some("query") => request.uri(format!("{plain}?{name}={}", encoded(&text))),
                    _ => match HeaderValue::from_bytes(text.as_bytes()) {
                        Ok(value) => request.uri(&plain).header(name, value),
                        Err(_) => continue,
                    },
                };
                let answer = self.world.ask(&who, request.body(Body::empty()).expect("a request")).await;
                self.findings.is_yes((id, name), &text, &answer);
            }
        }
    }

    /// What nobody asked to be changed.
    async fn untouched(&self) -> Vec<Value> {
        let mut all = Vec::new();
        for path in ["users/bob", "users/admin", "resources/web1", "connection-profiles/one-hour"] {
            all.push(self.world.get(&As::Operator, &format!("/api/v1/{path}")).await.ok(200));
        }
        let session = self.world.get(&As::Operator, &format!("/api/v1/sessions/{}", self.things.session)).await.ok(200);
        all.extend(["id", "user", "activity", "resource", "notes", "ticket"].map(|key| session[key].clone()));
        all
    }
}

async fn every_text_of_every_operation(address: &str) {
    let mut suite = Suite::start(address).await;
    let before = suite.untouched().await;
    for asked in operations(&suite.things) {
        suite.bodies(&asked).await;
    }
    let paths = suite.types.0["paths"].as_object().expect("paths").clone();
    for (path, item) in &paths {
        for (method, operation) in item.as_object().expect("a path item") {
            // A stream never ends; who may open one is asked elsewhere.
            if operation["operationId"] != "follow_events" {
                suite.parameters(method, path, operation).await;
            }
        }
    }
    let Findings { asked, kept, faults } = &suite.findings;
    assert!(faults.is_empty(), "{} of {asked}:\n{}", faults.len(), faults.join("\n"));
    let lost: Vec<_> = KEPT.iter().filter(|place| !kept.contains_key(**place)).collect();
    assert!(lost.is_empty(), "nothing was taken at {lost:?}; it was at {kept:#?}");
    assert!(*asked > 1000, "the document lost its types: {asked}");
    assert_eq!(suite.untouched().await, before);
    // Every list and every page can still be read.
    for (path, item) in paths.iter().filter(|(path, item)| !path.contains('{') && item.get("get").is_some()) {
        // The one needs a question, the other never ends.
        if !["explain", "follow_events"].contains(&item["get"]["operationId"].as_str().expect("an id")) {
            let answer = suite.world.get(&suite.admin, path).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn every_text_of_every_operation_may_be_nasty_on_sqlite() {
    every_text_of_every_operation("sqlite:cardea.db").await;
}

#[tokio::test]
async fn every_text_of_every_operation_may_be_nasty_on_postgresql() {
    every_text_of_every_operation(&Postgres::shared().fresh_database()).await;
}
