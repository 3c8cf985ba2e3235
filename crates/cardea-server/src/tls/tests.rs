use std::net::{Ipv4Addr, TcpListener};

use tempfile::TempDir;

use super::*;
use crate::clock::SystemClock;

fn data(folder: &TempDir) -> DataDir {
    let path = folder.path().join("data");
    DataDir::create(&path).unwrap();
    DataDir::try_lock(&path).unwrap().unwrap()
}

#[tokio::test]
async fn a_client_that_trusts_the_self_made_certificate_alone_gets_through() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = TempDir::new().unwrap();
    let certificate = self_made("cardea.example.com", &data(&folder), SystemClock.now()).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = certificate.listener_config().await.unwrap();
    let router = axum::Router::new().route("/", axum::routing::get(|| async { "hello" }));
    let server = axum_server::from_tcp_rustls(listener, config).unwrap();
    let server = tokio::spawn(server.serve(router.into_make_service()));

    let trusted = reqwest::Certificate::from_pem(certificate.chain.as_bytes()).unwrap();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([trusted]).build().unwrap();
    for host in ["localhost", "127.0.0.1"] {
        let answer = client.get(format!("https://{host}:{port}/")).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "hello", "{host}");
    }
    let stranger = reqwest::Client::builder().no_proxy().build().unwrap();
    assert!(stranger.get(format!("https://localhost:{port}/")).send().await.is_err());
    server.abort();
}

#[test]
fn it_is_kept_until_it_is_about_to_expire_or_its_names_change() {
    let folder = TempDir::new().unwrap();
    let data = data(&folder);
    let now = SystemClock.now();
    let days = |days: u64| Duration::from_secs(days * 86_400);
    let chain_at = |host: &str, at| self_made(host, &data, at).unwrap().chain;

    let first = chain_at("localhost", now);
    assert!(first.starts_with("Made by Cardea for localhost 127.0.0.1 ::1"), "{first}");
    assert_eq!(first, chain_at("localhost", now.plus(days(300))));
    let named = chain_at("cardea.example.com", now);
    assert_ne!(first, named);
    assert_ne!(named, chain_at("cardea.example.com", now.plus(days(340))));
}

#[test]
fn a_damaged_certificate_is_made_anew() {
    let folder = TempDir::new().unwrap();
    let data = data(&folder);
    let first = self_made("localhost", &data, SystemClock.now()).unwrap().chain;
    data.write(CERT_FILE, "nonsense").unwrap();
    let second = self_made("localhost", &data, SystemClock.now()).unwrap().chain;
    assert!(second.contains("BEGIN CERTIFICATE") && first != second);
}

#[test]
fn days_are_read_from_times() {
    assert_eq!(civil("2026-02-28T23:59:59Z".parse().unwrap()), (2026, 2, 28));
}
