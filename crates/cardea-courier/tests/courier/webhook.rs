use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    sync::mpsc,
    thread,
    time::Duration,
};

use cardea_courier::{Allow, Outside, Target};
use cardea_domain::{Courier as _, Post};

/// What a receiver heard: the first line, the headers in lower case, and the body.
#[derive(Debug)]
struct Heard {
    first: String,
    headers: BTreeMap<String, String>,
    body: String,
}

/// A web server that gives one answer to everything. It never answers if that is empty.
fn receiver(answer: &'static str) -> (u16, mpsc::Receiver<Heard>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("it is bound").port();
    let (tell, heard) = mpsc::channel();
    thread::spawn(move || {
        let mut silent = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
            let (mut first, mut headers) = (String::new(), BTreeMap::new());
            reader.read_line(&mut first).expect("a request");
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).expect("a header");
                let Some((name, value)) = line.trim().split_once(": ") else { break };
                headers.insert(name.to_lowercase(), value.to_owned());
            }
            let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("a body");
            let body = String::from_utf8(body).expect("text");
            if tell.send(Heard { first, headers, body }).is_err() {
                return;
            }
            stream.write_all(answer.as_bytes()).expect("it listens");
            if answer.is_empty() {
                silent.push(stream);
            }
        }
    });
    (port, heard)
}

fn outside(url: String) -> Outside {
    let allow = Allow { loopback: true, private: false };
    Outside::new(None, BTreeMap::from([("chat".to_owned(), Target { url, allow, ca: None })])).expect("sound settings")
}

fn post() -> Post {
    Post { headers: vec![("webhook-id", "ntc_1".to_owned())], body: "{\"type\":\"invited\"}".to_owned() }
}

#[tokio::test]
async fn a_post_arrives_as_it_was_given() {
    let (port, heard) = receiver("HTTP/1.1 204 No Content\r\n\r\n");
    outside(format!("http://localhost:{port}/hook?room=1")).post("chat", &post()).await.expect("it is taken");
    let heard = heard.recv_timeout(Duration::from_secs(20)).expect("a request");
    assert_eq!(heard.first, "POST /hook?room=1 HTTP/1.1\r\n");
    assert_eq!(
        (heard.headers["webhook-id"].as_str(), heard.headers["content-type"].as_str()),
        ("ntc_1", "application/json")
    );
    assert_eq!(heard.body, post().body);
}

#[tokio::test]
async fn what_is_not_taken_is_told_and_redirects_lead_nowhere() {
    let (elsewhere, reached) = receiver("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let to = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://localhost:{elsewhere}/\r\ncontent-length: 0\r\n\r\n"
    );
    for (answer, status) in [
        (to, "307"),
        ("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n".to_owned(), "500"),
        ("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n".to_owned(), "410"),
        ("nothing that is HTTP\r\n\r\n".to_owned(), ""),
    ] {
        let (port, _heard) = receiver(answer.leak());
        let url = format!("http://127.0.0.1:{port}/a-secret-path");
        let error = outside(url).post("chat", &post()).await.expect_err(status);
        assert!(error.contains(status) && !error.contains("a-secret-path"), "{error}");
    }
    assert!(reached.try_recv().is_err());
}

#[tokio::test]
async fn who_never_answers_is_given_up() {
    let (port, _heard) = receiver("");
    let outside = outside(format!("http://127.0.0.1:{port}/"));
    let asked = tokio::time::timeout(Duration::from_secs(60), async { outside.post("chat", &post()).await });
    asked.await.expect("it ends by itself").expect_err("nobody answers");
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_called() {
    let (port, heard) = receiver("HTTP/1.1 204 No Content\r\n\r\n");
    // The name is looked up, and its address is not allowed.
    let target = Target { url: format!("https://localhost:{port}/"), allow: Allow::default(), ca: None };
    let outside = Outside::new(None, BTreeMap::from([("chat".to_owned(), target)])).expect("a name says nothing yet");
    let error = outside.post("chat", &post()).await.expect_err("it is this machine");
    assert!(error.contains("no public address"), "{error}");
    assert!(heard.try_recv().is_err());
    outside.post("pager", &post()).await.expect_err("there is no such webhook");
}
