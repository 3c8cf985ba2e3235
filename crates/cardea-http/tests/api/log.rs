//! Session logs: as JSON, as CSV, as they grow.

use cardea_domain::ConnectorError;
use cardea_testkit::Operation;
use serde_json::json;

use crate::world::{As, World};

#[tokio::test]
async fn the_log_tells_the_steps_in_order() {
    let world = World::start().await;
    let alice = world.token("alice").await;
    let id = world.request(&alice, &["web1"]).await.remove(0);
    world.until_status(&id, "available").await;
    let log = world.get(&alice, &format!("/api/v1/sessions/{id}/log")).await.ok(200);
    let lines = log["items"].as_array().expect("lines");
    assert!(lines.len() >= 4, "{log:#}");
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(line["line"], index + 1);
        assert!(["at", "message"].iter().all(|key| line[key].is_string()), "{line}");
    }
    assert_eq!(lines[0]["stage"], "request");
    assert!(lines.iter().any(|line| line["stage"] == "pre_session"));
    let path = format!("/api/v1/sessions/{id}/log?format=xml");
    assert_eq!(world.get(&alice, &path).await.wrong_fields(), ["/format"]);
}

#[tokio::test]
async fn csv_holds_any_text_and_no_formula() {
    let world = World::start().await;
    let alice = world.token("alice").await;
    let nasty = "=HYPERLINK(\"http://evil\"), \"two\"\r\nlines";
    world.hosts.fail_next(Operation::Observe, ConnectorError::Refused(nasty.to_owned()));
    let id = world.request(&alice, &["web1"]).await.remove(0);
    world.until(&id, |session| session["status"] == "failed" && session["clean"] == true).await;
    world.post(&alice, &format!("/api/v1/sessions/{id}/dismiss"), json!({})).await.ok(200);
    let json = world.get(&alice, &format!("/api/v1/sessions/{id}/log")).await.ok(200);
    let answer = world.get(&alice, &format!("/api/v1/sessions/{id}/log?format=csv")).await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").starts_with("text/csv"));
    assert_eq!(answer.header("content-disposition"), format!("attachment; filename=\"{id}-log.csv\""));
    let records = read_csv(&answer.text);
    assert_eq!(records[0], ["line", "time", "level", "stage", "message"]);
    let lines = json["items"].as_array().expect("lines");
    assert_eq!(records.len(), lines.len() + 1);
    for (record, line) in records[1..].iter().zip(lines) {
        let message = line["message"].as_str().expect("a message");
        assert_eq!(record[4].strip_prefix('\'').unwrap_or(&record[4]), message);
        assert!(!record[4].starts_with(['=', '+', '-', '@', '\t', '\r']), "{record:?}");
    }
    assert!(records.iter().any(|record| record[4].contains("\"two\"")), "{records:?}");
}

/// Reads CSV as RFC 4180 has it.
fn read_csv(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, quoted) {
            ('"', true) if letters.peek() == Some(&'"') => cell.extend(letters.next()),
            ('"', _) => quoted = !quoted,
            (',', false) => record.push(std::mem::take(&mut cell)),
            ('\r', false) => {
                assert_eq!(letters.next(), Some('\n'));
                record.push(std::mem::take(&mut cell));
                records.push(std::mem::take(&mut record));
            }
            (other, _) => cell.push(other),
        }
    }
    assert!(!quoted && cell.is_empty() && record.is_empty(), "the last record ends too");
    records
}

#[tokio::test]
async fn a_followed_log_tells_every_line_once_and_ends_with_the_session() {
    let world = World::start().await;
    let alice = world.token("alice").await;
    let hold = world.hosts.hold(Operation::Place);
    let id = world.request(&alice, &["web1"]).await.remove(0);
    hold.reached(1).await;
    let path = format!("/api/v1/sessions/{id}/log?follow=1");
    let mut tail = world.listen(&alice, &path, None).await.expect("a stream");
    let first = tail.next().await.expect("a line");
    assert_eq!((first.name.as_str(), first.id.as_str()), ("line", "1"));
    drop(hold);
    world.until_status(&id, "available").await;
    world.post(&alice, &format!("/api/v1/sessions/{id}/end"), json!({})).await.ok(200);
    let mut heard = vec![first];
    loop {
        let event = tail.next().await.expect("`end` before the stream ends");
        if event.name == "end" {
            break;
        }
        heard.push(event);
    }
    assert_eq!(tail.next().await, None);
    let numbers: Vec<u64> = heard.iter().map(|line| line.id.parse().expect("a number")).collect();
    assert_eq!(numbers, (1..=u64::try_from(heard.len()).expect("few")).collect::<Vec<_>>());
    let log = world.get(&alice, &format!("/api/v1/sessions/{id}/log")).await.ok(200);
    for (line, event) in log["items"].as_array().expect("lines").iter().zip(&heard) {
        assert_eq!(&event.json(), line);
    }

    let mut rest = world.listen(&alice, &path, Some("2")).await.expect("a stream");
    assert_eq!(rest.next().await.expect("a line").id, "3");
}

#[tokio::test]
async fn the_log_of_another_cannot_be_followed() {
    let world = World::start().await;
    let (alice, bob) = (world.token("alice").await, world.token("bob").await);
    let id = world.request(&alice, &["web1"]).await.remove(0);
    let path = format!("/api/v1/sessions/{id}/log?follow=1");
    world.listen(&bob, &path, None).await.err().expect("a refusal").problem(404, "not-found");
    world.listen(&As::Nobody, &path, None).await.err().expect("a refusal").problem(401, "not-signed-in");
}
