//! Servers that are no directories.

use cardea_domain::Directory;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::world::{PASSWORD, directory, sign_in};

/// A server that answers the first question with this, again and again if it is to, and hangs up; where it is.
async fn server(answer: &[u8], again: bool) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let answer = answer.to_vec();
    let port = listener.local_addr().expect("it listens").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut question = [0; 1024];
            let _asked = stream.read(&mut question).await;
            while stream.write_all(&answer).await.is_ok() && again {}
        }
    });
    format!("ldap://127.0.0.1:{port}")
}

#[tokio::test]
async fn an_answer_that_is_none_is_a_fault() {
    // Another protocol; a message without content; a response without a result; a search's answer to a bind.
    for answer in [
        &b"220 smtp ready\r\n"[..],
        b"\x30\x00",
        b"\x30\x05\x02\x01\x01\x61\x00",
        b"\x30\x07\x02\x01\x01\x64\x02\x04\x00",
    ] {
        let fault = sign_in(directory(&server(answer, false).await), "alice", PASSWORD).await;
        assert!(fault.is_err(), "{answer:?}: {fault:?}");
    }
}

#[tokio::test]
async fn a_message_without_end_is_cut_off() {
    // The head of a message of 2 GiB, and then as much as is taken.
    let mut head = vec![0; 1 << 16];
    head[..6].copy_from_slice(b"\x30\x84\x7f\xff\xff\xff");
    let fault = sign_in(directory(&server(&head, true).await), "alice", PASSWORD).await.expect_err("no answer");
    // Not because it took too long.
    assert!(fault.0.contains("cut the line"), "{fault}");
}

#[tokio::test]
async fn what_does_not_begin_tls_hears_no_password() {
    for answer in [
        &b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x34\x04\x00\x04\x00"[..],
        b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00",
        b"\x30\x84\x7f\xff\xff\xff",
        b"HTTP/1.1 400 Bad Request\r\n",
    ] {
        let directory = Directory { start_tls: true, ..directory(&server(answer, false).await) };
        let fault = sign_in(directory, "alice", PASSWORD).await.expect_err("no answer");
        assert!(fault.0.contains("TLS"), "{fault}");
    }
}
