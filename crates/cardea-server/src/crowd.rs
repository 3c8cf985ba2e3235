//! How many may be connected at once: what is beyond is turned away, before it costs anything.

use std::{
    future::Future,
    io::{self, ErrorKind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum_server::accept::Accept;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::Service;

/// Lets at most so many connections through to `inner`, those in their TLS handshake included.
#[derive(Clone)]
pub(crate) struct Crowd<A> {
    inner: A,
    free: Arc<Semaphore>,
}

impl<A> Crowd<A> {
    /// At most `most` connections at once.
    pub(crate) fn new(inner: A, most: usize) -> Self {
        Self { inner, free: Arc::new(Semaphore::new(most)) }
    }
}

impl<I, S, A> Accept<I, S> for Crowd<A>
where
    A: Accept<I, S>,
    A::Future: Send + 'static,
{
    type Stream = A::Stream;
    type Service = Counted<A::Service>;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let Ok(place) = Arc::clone(&self.free).try_acquire_owned() else {
            return Box::pin(async { Err(io::Error::new(ErrorKind::QuotaExceeded, "too many connections")) });
        };
        let accepted = self.inner.accept(stream, service);
        Box::pin(async move {
            let (stream, inner) = accepted.await?;
            Ok((stream, Counted { inner, _place: Arc::new(place) }))
        })
    }
}

/// A connection's service, which holds the connection's place until it is gone.
#[derive(Clone)]
pub(crate) struct Counted<S> {
    inner: S,
    _place: Arc<OwnedSemaphorePermit>,
}

impl<S: Service<R>, R> Service<R> for Counted<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.inner.call(request)
    }
}

/// Lets the process open as many files and connections as its surroundings allow: the usual soft limit of 1024 is
/// less than the gateway and the API may have between them.
pub(crate) fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
        tracing::warn!("The limit of open files stays at {:?}: {error}", limit.current);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    };

    use axum_server::accept::DefaultAcceptor;

    use super::*;

    fn says_hello(mut stream: &TcpStream) -> bool {
        let asked = stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n");
        let (mut answer, mut byte) = (Vec::new(), [0]);
        while asked.is_ok() && !answer.ends_with(b"hello") && stream.read_exact(&mut byte).is_ok() {
            answer.extend(byte);
        }
        answer.starts_with(b"HTTP/1.1 200")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_too_many_is_turned_away_until_somebody_leaves() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let router = axum::Router::new().route("/", axum::routing::get(|| async { "hello" }));
        let server = axum_server::from_tcp(listener).unwrap().acceptor(Crowd::new(DefaultAcceptor::new(), 2));
        let server = tokio::spawn(server.serve(router.into_make_service()));
        let checks = tokio::task::spawn_blocking(move || {
            let open = || TcpStream::connect(address).unwrap();
            let (first, second) = (open(), open());
            assert!(says_hello(&first) && says_hello(&second));
            assert!(!says_hello(&open()), "the third is turned away");
            first.shutdown(Shutdown::Both).unwrap();
            let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
            while !says_hello(&open()) {
                assert!(std::time::Instant::now() < end, "the place of the first becomes free");
            }
            assert!(says_hello(&second), "who is in stays in");
        });
        checks.await.unwrap();
        server.abort();
    }
}
