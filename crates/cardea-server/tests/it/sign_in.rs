//! Sign-in by password: the cookie, its protection, and what guessing meets.

use std::time::SystemTime;

use cardea_domain::Secret;
use cardea_testkit::Postgres;
use cardea_vault::{TOTP_PERIOD, Totp};
use serde_json::{Value, json};

use crate::harness::{ADMIN_PASSWORD, Server};

fn sign_in(server: &Server, user: &str, password: &str) -> reqwest::blocking::Response {
    let body = json!({ "user": user, "password": password }).to_string();
    let request = server
        .client()
        .post(server.url("/api/v1/sign-in"))
        .header("origin", server.url(""))
        .header("content-type", "application/json");
    request.body(body).send().expect("the server answers")
}

#[test]
fn a_cookie_opens_the_api_and_only_from_our_own_pages() {
    let server = Server::start();
    let answer = sign_in(&server, "admin", ADMIN_PASSWORD);
    assert_eq!(answer.status(), 200);
    let cookie = answer.headers()["set-cookie"].to_str().expect("text").to_owned();
    for part in ["__Host-", "Secure", "HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
    let me =
        server.client().get(server.url("/api/v1/me")).header("cookie", &cookie).send().expect("the server answers");
    assert_eq!(me.status(), 200);
    let post = |origin: Option<String>| {
        let mut request = server
            .client()
            .post(server.url("/api/v1/tokens"))
            .header("cookie", &cookie)
            .header("content-type", "application/json");
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        request.body(json!({ "name": "script" }).to_string()).send().expect("the server answers").status().as_u16()
    };
    assert_eq!((post(None), post(Some("https://evil.example".to_owned()))), (403, 403));
    assert_eq!(post(Some(server.url(""))), 201);
    let out = server
        .client()
        .post(server.url("/api/v1/sign-out"))
        .header("cookie", &cookie)
        .header("origin", server.url(""))
        .send();
    assert!(out.expect("the server answers").status().is_success());
    let me =
        server.client().get(server.url("/api/v1/me")).header("cookie", &cookie).send().expect("the server answers");
    assert_eq!(me.status(), 401);
}

#[test]
fn guessing_tells_nothing_and_is_slowed_down() {
    let server = Server::start();
    let (wrong, unknown) = (sign_in(&server, "admin", "wrong password"), sign_in(&server, "nobody", "wrong password"));
    assert_eq!(
        (wrong.status(), unknown.status()),
        (reqwest::StatusCode::UNAUTHORIZED, reqwest::StatusCode::UNAUTHORIZED)
    );
    let tells = |answer: reqwest::blocking::Response| {
        let body: Value = serde_json::from_str(&answer.text().expect("text")).expect("a problem");
        (body["type"].clone(), body["detail"].clone())
    };
    assert_eq!(tells(wrong), tells(unknown));
    let slowed = (0..8).map(|_| sign_in(&server, "admin", "wrong password")).find(|answer| answer.status() == 429);
    let slowed = slowed.expect("after some failures the next has to wait");
    assert!(slowed.headers().contains_key("retry-after"));
    assert!(!server.log().contains("wrong password"), "no password reaches the log");
}

/// A browser that may have signed in.
struct Browser<'a> {
    server: &'a Server,
    cookie: String,
}

impl<'a> Browser<'a> {
    fn of(server: &'a Server) -> Self {
        Self { server, cookie: String::new() }
    }

    fn post(&mut self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.server.client().post(self.server.url(path)).header("cookie", &self.cookie);
        let request = request.header("origin", self.server.url("")).header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().expect("the server answers");
        if let Some(cookie) = answer.headers().get("set-cookie") {
            let text = cookie.to_str().expect("text");
            self.cookie = text.split(';').next().unwrap_or_default().to_owned();
        }
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().expect("text")).expect("JSON"))
    }

    fn get(&self, path: &str) -> u16 {
        let request = self.server.client().get(self.server.url(path)).header("cookie", &self.cookie);
        request.send().expect("the server answers").status().as_u16()
    }

    /// The ticket for the second step.
    fn ticket(&mut self) -> Value {
        let (status, problem) = self.post("/api/v1/sign-in", &json!({ "user": "admin", "password": ADMIN_PASSWORD }));
        assert_eq!((status, &problem["type"]), (401, &json!("/problems/mfa-required")));
        problem["ticket"].clone()
    }
}

fn step() -> i64 {
    let now = SystemTime::UNIX_EPOCH.elapsed().expect("it is later than 1970").as_secs();
    i64::try_from(now).expect("it is earlier than that") / TOTP_PERIOD
}

/// Sets a factor up as whoever must have one, at one server, and signs in with it at the other.
fn lives_with_a_factor(server: &Server, other: &Server) {
    let mut admin = Browser::of(server);
    let (status, me) = admin.post("/api/v1/sign-in", &json!({ "user": "admin", "password": ADMIN_PASSWORD }));
    assert_eq!((status, &me["sign_in"]["must"]), (200, &json!("enrol")));
    assert_eq!(admin.get("/api/v1/users"), 403);
    let (_, enrolment) = admin.post("/api/v1/me/factors/totp", &json!({}));
    let secret = enrolment["secret"].as_str().expect("a secret").to_owned();
    let phone = Totp::read(&Secret::new(secret.clone())).expect("base32");
    // The present step might end meanwhile; codes of its neighbours are good too, so this one is in time.
    let first = step();
    let (status, codes) = admin.post("/api/v1/me/factors/totp/confirm", &json!({ "code": phone.code(first) }));
    assert_eq!(status, 200, "{codes}");
    assert_eq!(admin.get("/api/v1/users"), 200);

    let mut elsewhere = Browser::of(other);
    let ticket = Browser::of(server).ticket();
    let used = json!({ "ticket": ticket, "code": phone.code(first) });
    assert_eq!(elsewhere.post("/api/v1/sign-in/totp", &used).0, 401);
    let next = json!({ "ticket": ticket, "code": phone.code(first + 1) });
    assert_eq!(elsewhere.post("/api/v1/sign-in/totp", &next).0, 200);
    assert_eq!(elsewhere.get("/api/v1/users"), 200);
    let ticket = elsewhere.ticket();
    let again = json!({ "ticket": ticket, "code": phone.code(first + 1) });
    assert_eq!(Browser::of(server).post("/api/v1/sign-in/totp", &again).0, 401, "no node takes it twice");
    let recovery = json!({ "ticket": ticket, "code": codes["recovery_codes"][0] });
    assert_eq!(Browser::of(server).post("/api/v1/sign-in/recovery-code", &recovery).0, 200);
    for log in [server.log(), other.log()] {
        let code = codes["recovery_codes"][0].as_str().expect("a code");
        assert!(!log.contains(&secret) && !log.contains(code) && !log.contains("cardea-ticket-"), "{log}");
    }
}

#[test]
fn whoever_runs_cardea_takes_a_lost_factor_off() {
    let server = Server::start();
    let mut admin = Browser::of(&server);
    admin.post("/api/v1/sign-in", &json!({ "user": "admin", "password": ADMIN_PASSWORD }));
    let (_, enrolment) = admin.post("/api/v1/me/factors/totp", &json!({}));
    let phone = Totp::read(&Secret::new(enrolment["secret"].as_str().expect("a secret").to_owned())).expect("base32");
    let (status, codes) = admin.post("/api/v1/me/factors/totp/confirm", &json!({ "code": phone.code(step()) }));
    assert_eq!(status, 200, "{codes}");
    Browser::of(&server).ticket();
    let shown = server.cli(&["factors", "show", "admin", "--json"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    assert_eq!((&shown["recovery_codes_left"], &shown["required"]), (&json!(10), &json!(false)));

    let reset = server.cli(&["factors", "reset", "admin"]);
    assert!(reset.status.success(), "{reset:?}");
    assert_eq!(admin.get("/api/v1/me"), 401, "its sign-ins are over");
    let signed_in =
        Browser::of(&server).post("/api/v1/sign-in", &json!({ "user": "admin", "password": ADMIN_PASSWORD }));
    assert_eq!(signed_in.0, 200, "the password is enough again");
    assert_eq!(server.cli(&["factors", "reset", "nobody"]).status.code(), Some(1));
}

#[test]
fn whoever_must_have_a_factor_sets_it_up_and_signs_in_with_it() {
    let mut server = Server::initialised(None);
    server.set("CARDEA__SIGN_IN__SECOND_FACTOR_ROLES", "administrator".to_owned());
    server.resume();
    lives_with_a_factor(&server, &server);
}

#[test]
fn the_second_step_may_be_at_another_node() {
    let mut server = Server::initialised(Some(Postgres::shared().fresh_database()));
    server.set("CARDEA__SIGN_IN__SECOND_FACTOR_ROLES", "administrator".to_owned());
    server.resume();
    lives_with_a_factor(&server, &server.join());
}
