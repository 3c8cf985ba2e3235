//! The API of the server that holds the data directory, over its control socket.

use std::{path::Path, time::Duration};

use axum::body::Body;
use http_body_util::Full;
use hyper::{client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::{net::UnixStream, time::timeout};

use super::{Incoming, Outgoing, read_body};
use crate::{
    control::SocketPath,
    failure::{Failure, with_causes},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The socket, if somebody listens there.
pub(super) async fn find(data_dir: &Path) -> Option<SocketPath> {
    let socket = SocketPath::in_dir(data_dir).ok()?;
    timeout(CONNECT_TIMEOUT, UnixStream::connect(socket.as_path())).await.ok()?.ok()?;
    Some(socket)
}

pub(super) async fn send(socket: &SocketPath, request: Outgoing) -> Result<Incoming, Failure> {
    let gone = |error: &dyn std::error::Error| {
        Failure::No(format!("the server did not answer at its control socket: {}", with_causes(error)))
    };
    let stream = UnixStream::connect(socket.as_path()).await.map_err(|error| gone(&error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| gone(&error))?;
    // Ends with the sender, below.
    let connection = tokio::spawn(connection);
    let mut request = request.map(Full::new);
    request.headers_mut().insert(header::HOST, header::HeaderValue::from_static("localhost"));
    let answer = sender.send_request(request).await.map_err(|error| gone(&error))?;
    let (head, body) = answer.into_parts();
    let content = read_body(Body::new(body)).await;
    connection.abort();
    Ok((head.status, content?))
}

#[cfg(test)]
mod tests {
    use axum::{Extension, Router, body::Bytes, http::Request, routing::get};
    use axum_server::Handle;
    use cardea_http::Operator;
    use tempfile::TempDir;

    use super::*;
    use crate::{control, data_dir::DataDir};

    #[tokio::test]
    async fn a_request_arrives_as_the_operators_however_long_the_directorys_name_is() {
        let folder = TempDir::new().unwrap();
        for name in ["data".to_owned(), "long/".repeat(60)] {
            let data_dir = folder.path().join(name);
            DataDir::create(&data_dir).unwrap();
            assert!(find(&data_dir).await.is_none(), "nobody listens yet");
            // A file that a killed process left behind is no obstacle.
            drop(control::bind(&data_dir).unwrap());
            let listener = control::bind(&data_dir).unwrap();
            let who = |Extension(operator): Extension<Operator>| async move { operator.uid.to_string() };
            let handle = Handle::new();
            let server = tokio::spawn(control::serve(listener, Router::new().route("/", get(who)), handle.clone()));

            let socket = find(&data_dir).await.expect("the server listens");
            let (status, content) = send(&socket, Request::new(Bytes::new())).await.unwrap();
            let own = rustix::process::getuid().as_raw().to_string();
            assert_eq!((status.as_u16(), content), (200, Bytes::from(own)));

            handle.graceful_shutdown(None);
            server.await.unwrap().unwrap();
            assert!(find(&data_dir).await.is_none(), "nobody listens any more");
        }
    }
}
