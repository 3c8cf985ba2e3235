//! The operator's view: figures while a session lives, its whole life in one trace, and a log that programs read.

use std::{
    collections::HashSet,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use cardea_testkit::LinuxHost;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value as AnyValue, trace::v1::Span,
};
use prost::Message as _;
use serde_json::Value;

use crate::harness::{ADMIN_PASSWORD, Expect as _, PATIENCE, Server};

/// A collector for OTLP over HTTP: keeps what it is sent.
struct Collector {
    url: String,
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let bodies = Arc::<Mutex<Vec<_>>>::default();
        let kept = Arc::clone(&bodies);
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let body = receive(&stream.expect("a connection"));
                kept.lock().expect("nobody panicked").push(body);
            }
        });
        Self { url, bodies }
    }

    fn bytes(&self) -> Vec<u8> {
        self.bodies.lock().expect("nobody panicked").concat()
    }

    fn spans(&self) -> Vec<Span> {
        let bodies = self.bodies.lock().expect("nobody panicked");
        let exports = bodies.iter().map(|body| ExportTraceServiceRequest::decode(&**body).expect("OTLP"));
        exports.flat_map(|export| export.resource_spans).flat_map(|of| of.scope_spans).flat_map(|of| of.spans).collect()
    }
}

/// One request, answered; its body.
fn receive(mut stream: &TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut reader = BufReader::new(stream);
    let (mut line, mut length, mut first) = (String::new(), 0, String::new());
    while reader.read_line(&mut line).expect("a head") > 0 && !line.trim().is_empty() {
        if first.is_empty() {
            first.clone_from(&line);
        }
        if let Some(("content-length", value)) = line.to_ascii_lowercase().split_once(':') {
            length = value.trim().parse().expect("a length");
        }
        line.clear();
    }
    assert_eq!(first.trim(), "POST /v1/traces HTTP/1.1");
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").expect("it listens");
    body
}

fn attribute(span: &Span, key: &str) -> String {
    let value = span.attributes.iter().find(|attribute| attribute.key == key).and_then(|found| found.value.clone());
    match value.and_then(|value| value.value) {
        Some(AnyValue::StringValue(text)) => text,
        Some(AnyValue::IntValue(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// What the spans of this name say under this key.
fn said(spans: &[&Span], name: &str, key: &str) -> HashSet<String> {
    spans.iter().filter(|span| span.name == name).map(|span| attribute(span, key)).collect()
}

#[test]
fn a_session_is_one_trace_from_its_request_to_the_host_also_after_a_restart() {
    let (host, collector) = (LinuxHost::start("web1"), Collector::start());
    let mut server = Server::initialised(None);
    server.set("CARDEA__TRACE__OTLP_URL", collector.url.clone());
    server.set("CARDEA__LOG__FORMAT", "json".to_owned());
    server.set("CARDEA__LOG__FILTER", "info,cardea_connectors=debug".to_owned());
    server.resume();
    server.furnish(&[&host]);
    let alice = server.api("alice");
    let id = alice.available("web1")["id"].as_str().expect("an id").to_owned();
    server.ssh("alice", &id).arg("echo what-alice-typed").output().expect("ssh runs").expect_success();
    let mut secrets = vec![alice.token.clone(), ADMIN_PASSWORD.to_owned(), "what-alice-typed".to_owned()];
    server.stop();
    server.resume();
    let alice = server.api("alice");
    alice.end(&id);
    alice.until(&id, &["completed"]);
    secrets.push(alice.token.clone());
    server.stop();

    let spans = collector.spans();
    let is_request = |span: &&Span| {
        attribute(span, "method") == "POST" && attribute(span, "path") == "/api/v1/sessions" && span.name == "request"
    };
    let requests: Vec<_> = spans.iter().filter(is_request).collect();
    assert_eq!((requests.len(), attribute(requests[0], "status").as_str()), (1, "201"));
    let trace: Vec<_> = spans.iter().filter(|span| span.trace_id == requests[0].trace_id).collect();
    let steps: HashSet<_> = trace.iter().filter(|span| span.name == "step").map(|span| &span.span_id).collect();
    for span in trace.iter().filter(|span| span.name == "step") {
        assert_eq!(span.parent_span_id, requests[0].span_id, "each step hangs on the request");
    }
    for span in trace.iter().filter(|span| span.name == "frame") {
        assert!(steps.contains(&span.parent_span_id), "each frame hangs on a step: {span:?}");
        assert_eq!(attribute(span, "host"), "web1");
        let of = attribute(span, "session.id");
        assert!(of == id || of.is_empty(), "looks at the host as a whole name no session: {span:?}");
    }
    let statuses = said(&trace, "step", "status");
    assert!(["provisioning", "canceling"].iter().all(|status| statuses.contains(*status)), "{statuses:?}");
    let verbs = said(&trace, "frame", "verb");
    assert!(["observe", "place", "remove"].iter().all(|verb| verbs.contains(*verb)), "{verbs:?}");
    let is_ours = |span: &&Span| span.name == "frame" && attribute(span, "session.id") == id;
    let elsewhere = spans.iter().filter(is_ours).filter(|span| span.trace_id != requests[0].trace_id);
    assert_eq!(elsewhere.count(), 0, "no frame of the session is anywhere else");

    let sent = String::from_utf8_lossy(&collector.bytes()).into_owned();
    assert!(sent.contains(&id), "what was sent can be searched");
    for secret in &secrets {
        assert!(!sent.contains(secret), "`{secret}` left the house");
    }
    log_can_be_read_by_programs(&server.log(), &id);
}

/// Each line is an object, and lines about the session say so. Which of them connected to the host is a matter of who came first.
fn log_can_be_read_by_programs(log: &str, id: &str) {
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let spans = |line: &Value| line["spans"].as_array().cloned().unwrap_or_default();
    let is_answer = |line: &&Value| line["fields"]["message"].as_str().is_some_and(|text| text.starts_with("Answered"));
    let of_session = |line: &&Value| spans(line).iter().any(|span| span["session.id"] == id && span["name"] == "step");
    let answered: Vec<_> = lines.iter().filter(is_answer).filter(of_session).collect();
    for line in &answered {
        let names: Vec<_> = spans(line).iter().map(|span| span["name"].clone()).collect();
        assert_eq!(names, ["step", "frame"], "{line}");
    }
    let placing = answered.iter().filter(|line| spans(line)[1]["verb"] == "place").count();
    assert!(placing >= 3, "account, sudo rule and membership were placed: {answered:?}");
}

#[test]
fn a_collector_that_is_away_holds_nothing_up() {
    let host = LinuxHost::start("web1");
    let mut server = Server::initialised(None);
    server.set("CARDEA__TRACE__OTLP_URL", "http://127.0.0.1:1".to_owned());
    server.resume();
    server.furnish(&[&host]);
    let alice = server.api("alice");
    let id = alice.available("web1")["id"].as_str().expect("an id").to_owned();
    alice.end(&id);
    alice.until(&id, &["completed"]);
    server.stop();
    assert!(server.log().contains("opentelemetry"), "the log says that spans are lost: {}", server.log());
}

#[test]
fn figures_are_scraped_with_a_token_of_their_own_while_a_session_lives() {
    let host = LinuxHost::start("web1");
    let mut server = Server::initialised(None);
    let token = "0123456789abcdef0123456789abcdef";
    let file = server.file("scraper-token", &format!("{token}\n"));
    server.set("CARDEA__METRICS__TOKEN_FILE", file);
    server.resume();
    server.furnish(&[&host]);
    let scrape = |token: &str| {
        let answer = server.client().get(server.url("/metrics")).bearer_auth(token).send().expect("it answers");
        (answer.status().as_u16(), answer.text().expect("text"))
    };
    assert_eq!(scrape("0123456789abcdef0123456789abcdeX").0, 401);
    let alice = server.api("alice");
    assert_eq!(scrape(&alice.token).0, 403);
    let until = |line: &str| {
        let mut page = String::new();
        cardea_testkit::wait(PATIENCE, line, || {
            page = scrape(token).1;
            page.lines().any(|each| each == line)
        });
        page
    };
    let id = alice.available("web1")["id"].as_str().expect("an id").to_owned();
    assert_eq!(alice.kinds_out(), ["account", "dead_man", "group_membership", "sudo_rule"]);
    let page = until("cardea_grants_out 4");
    for line in ["cardea_sessions{status=\"available\"} 1", "cardea_workers_busy 0", "cardea_workers_max 1024"] {
        assert!(page.lines().any(|each| each == line), "no `{line}` in {page}");
    }
    assert!(page.contains("\ncardea_step_seconds_count{host=\"web1\"} "), "{page}");
    assert!(page.contains("\nprocess_resident_memory_bytes ") && page.contains("\ncardea_store_units "), "{page}");
    assert!(!page.contains("alice") && !page.contains(token), "{page}");
    alice.end(&id);
    alice.until(&id, &["completed"]);
    until("cardea_grants_out 0");
}
