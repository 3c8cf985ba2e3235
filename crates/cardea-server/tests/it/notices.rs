//! Mail to a real mail server and webhooks to a real web server, from a server that is killed in between.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    sync::mpsc,
    thread,
    time::Duration,
};

use cardea_testkit::{Line, SmtpCatcher, wait};
use cardea_vault::MessageKey;
use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::harness::{PATIENCE, Server};

const KEY: &[u8] = b"a key that both of them have got";

/// What a webhook was sent.
struct Heard {
    headers: BTreeMap<String, String>,
    body: String,
}

impl Heard {
    /// The event, if the signature is right.
    fn verified(&self) -> Value {
        let [id, at] = ["webhook-id", "webhook-timestamp"].map(|name| &self.headers[name]);
        let signed = MessageKey::new(KEY).sign(format!("{id}.{at}.{}", self.body).as_bytes());
        assert_eq!(self.headers["webhook-signature"], format!("v1,{}", BASE64.encode(&signed)));
        serde_json::from_str(&self.body).expect("JSON")
    }
}

/// A web server that says no to the first post and takes all others.
fn receiver() -> (u16, mpsc::Receiver<Heard>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("it is bound").port();
    let (tell, heard) = mpsc::channel();
    thread::spawn(move || {
        let mut status = "500 Not yet";
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
            let mut headers = BTreeMap::new();
            for line in reader.by_ref().lines().map_while(Result::ok).skip(1) {
                let Some((name, value)) = line.split_once(": ") else { break };
                headers.insert(name.to_lowercase(), value.to_owned());
            }
            let mut body = vec![0; headers["content-length"].parse().expect("a length")];
            reader.read_exact(&mut body).expect("a body");
            let body = String::from_utf8(body).expect("text");
            let _gone = stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes());
            status = "204 No Content";
            if tell.send(Heard { headers, body }).is_err() {
                return;
            }
        }
    });
    (port, heard)
}

/// A server that mails to the catcher, where alice needs dave's yes.
fn server(catcher: &SmtpCatcher) -> Server {
    let mut server = Server::initialised(None);
    let password = server.file("mail-password", SmtpCatcher::PASSWORD);
    server.set("CARDEA__MAIL__SERVER", format!("localhost:{}", catcher.port));
    server.set("CARDEA__MAIL__FROM", "Cardea <cardea@example.com>".to_owned());
    server.set("CARDEA__MAIL__USER", SmtpCatcher::USER.to_owned());
    server.set("CARDEA__MAIL__PASSWORD_FILE", password);
    server.set("CARDEA__MAIL__CA_FILE", catcher.ca_file().to_str().expect("the path is text").to_owned());
    server
}

/// Nobody ever connects to the host: nothing is approved here.
fn furnish(server: &Server) {
    let service = std::fs::read_to_string(server.key("svc")).expect("ssh-keygen wrote it");
    let host_key = std::fs::read_to_string(server.key("host").with_extension("pub")).expect("ssh-keygen wrote it");
    let host_key = host_key.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let yaml = server.people()
        + &server.service_account("web1", &service)
        + &server.resource("web1", "127.0.0.1", 9, &host_key)
        + &crate::harness::policy(&["web1"]).replace(
            "spec: {max_duration: 1h}",
            "spec: {max_duration: 1h, approval: {tiers: [{approvers: [dave]}], window: 8h}}",
        )
        + "---\nkind: User\nname: dave\nspec: {email: dave@example.com}\n";
    server.apply(&yaml);
}

#[test]
fn a_mail_is_not_lost_by_a_kill() {
    let catcher = SmtpCatcher::start(Line::StartTls);
    let mut server = server(&catcher);
    server.resume();
    furnish(&server);
    // The mail server takes connections and says nothing: the attempt is under way when the process dies.
    catcher.pause();
    let id = server.api("alice").request("web1");
    server.kill();
    assert!(catcher.caught().is_empty());
    catcher.go_on();
    server.resume();
    let mail = catcher.until("the mail", |mail| mail.to == ["dave@example.com"]);
    assert!(mail.secure && mail.user.as_deref() == Some(SmtpCatcher::USER), "{}", mail.raw);
    let link = format!("https://localhost:{}/approvals?q={id}", server.http);
    assert!(mail.text().contains(&link), "{}", mail.raw);
    let admin = server.api("admin");
    let is_sent = || admin.get("/notices?state=sent").ok()["items"].as_array().is_some_and(|sent| sent.len() == 1);
    wait(PATIENCE, "it is written down that it was sent", is_sent);
    let message_id = mail.header("message-id").expect("it has one");
    let sent = admin.get("/notices?state=sent").ok();
    assert_eq!(message_id, format!("<{}@example.com>", sent["items"][0]["id"].as_str().expect("an id")));
}

#[test]
fn a_webhook_is_signed_and_tried_again() {
    let catcher = SmtpCatcher::start(Line::Tls);
    let (port, heard) = receiver();
    let mut server = server(&catcher);
    server.set("CARDEA__MAIL__SECURITY", "tls".to_owned());
    let secret = server.file("webhook-secret", &format!("whsec_{}\n", BASE64.encode(KEY)));
    server.set("CARDEA__WEBHOOK__CHAT__URL", format!("http://127.0.0.1:{port}/hook"));
    server.set("CARDEA__WEBHOOK__CHAT__SECRET_FILE", secret);
    server.set("CARDEA__WEBHOOK__CHAT__ALLOW", "loopback".to_owned());
    server.set("CARDEA__WEBHOOK__CHAT__EVENTS", "request_waiting".to_owned());
    server.resume();
    furnish(&server);
    let id = server.api("alice").request("web1");
    let first = heard.recv_timeout(PATIENCE).expect("an attempt");
    assert_eq!(first.verified()["type"], "request_waiting");
    // Beside it the mail has arrived.
    catcher.until("the mail", |mail| mail.to == ["dave@example.com"]);
    let admin = server.api("admin");
    let waiting = || {
        let waiting = admin.get("/notices?state=waiting").ok();
        waiting["items"].as_array().and_then(|items| items.iter().find(|item| item["attempts"] == 1).cloned())
    };
    wait(PATIENCE, "the first attempt is written down", || waiting().is_some());
    let notice = waiting().expect("it is there");
    assert!(notice["last_error"].as_str().is_some_and(|error| error.contains("500")), "{notice}");
    let path = format!("/notices/{}/try-now", notice["id"].as_str().expect("an id"));
    admin.post(&path, json!({})).ok();
    let second = heard.recv_timeout(Duration::from_secs(60)).expect("another attempt");
    assert_eq!(second.verified()["data"]["sessions"], json!([id]));
    assert_eq!((second.body, &second.headers["webhook-id"]), (first.body, &first.headers["webhook-id"]));
}
