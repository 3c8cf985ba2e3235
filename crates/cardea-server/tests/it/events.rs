//! Everything is pushed: a browser that listens sees each change, and one that comes back misses none.

use std::io::{BufRead as _, BufReader};

use cardea_testkit::LinuxHost;
use serde_json::Value;

use crate::harness::{Api, Server};

/// An open stream of events.
struct Stream(BufReader<reqwest::blocking::Response>);

#[derive(Debug)]
struct Event {
    id: String,
    kind: String,
    data: Value,
}

impl Stream {
    fn open(server: &Server, api: &Api<'_>, last: Option<&str>) -> Self {
        let mut request = server.client().get(server.url("/api/v1/events")).bearer_auth(&api.token);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        Self(BufReader::new(request.send().expect("the server answers").error_for_status().expect("it streams")))
    }

    fn next(&mut self) -> Event {
        let mut event = Event { id: String::new(), kind: String::new(), data: Value::Null };
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).expect("the stream goes on") > 0, "the stream ended");
            match line.trim_end().split_once(':') {
                None if !event.kind.is_empty() => return event,
                Some(("id", value)) => event.id = value.trim().to_owned(),
                Some(("event", value)) => event.kind = value.trim().to_owned(),
                Some(("data", value)) => event.data = serde_json::from_str(value).expect("data is JSON"),
                None | Some(_) => {}
            }
        }
    }

    fn until_status(&mut self, status: &str) -> Event {
        loop {
            let event = self.next();
            if event.kind == "session" && event.data["status"] == status {
                return event;
            }
        }
    }
}

#[test]
fn a_session_is_followed_live_and_resumed_without_a_gap() {
    let host = LinuxHost::start("web1");
    let server = Server::start();
    server.furnish(&[&host]);
    let (alice, mallory) = (server.api("alice"), server.api("mallory"));
    let mut live = Stream::open(&server, &alice, None);
    let mut others = Stream::open(&server, &mallory, None);
    assert_eq!((live.next().kind, others.next().kind), ("ready".to_owned(), "ready".to_owned()));

    let id = alice.request("web1");
    let available = live.until_status("available");
    assert_eq!(available.data["id"], id.as_str());
    alice.end(&id);
    live.until_status("completed");

    let mut resumed = Stream::open(&server, &alice, Some(&available.id));
    assert_eq!(resumed.until_status("completed").data["id"], id.as_str());
    let mut lost = Stream::open(&server, &alice, Some("0000000000000000-1"));
    let kinds: Vec<_> = (0..2).map(|_| lost.next().kind).collect();
    assert!(kinds.contains(&"reset".to_owned()), "{kinds:?}");

    server.apply("kind: User\nname: carol\nspec: {}\n");
    assert_eq!(others.next().kind, "configuration", "mallory heard nothing of alice's session");
}
