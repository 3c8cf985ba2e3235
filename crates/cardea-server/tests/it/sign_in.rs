//! Sign-in by password: the cookie, its protection, and what guessing meets.

use serde_json::json;

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
        let body: serde_json::Value = serde_json::from_str(&answer.text().expect("text")).expect("a problem");
        (body["type"].clone(), body["detail"].clone())
    };
    assert_eq!(tells(wrong), tells(unknown));
    let slowed = (0..8).map(|_| sign_in(&server, "admin", "wrong password")).find(|answer| answer.status() == 429);
    let slowed = slowed.expect("after some failures the next has to wait");
    assert!(slowed.headers().contains_key("retry-after"));
    assert!(!server.log().contains("wrong password"), "no password reaches the log");
}
