//! Around every request: a number, a time limit, a net for panics, and the headers that keep browsers safe.

use std::{
    any::Any,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use cardea_domain::Entropy;
use futures_util::FutureExt as _;
use tracing::{Instrument as _, field::Empty};

use crate::{origin::authority, problem::Problem};

/// Hands out the numbers by which requests are found in the log, and knows how long an answer may take.
#[derive(Clone)]
pub(crate) struct Guard {
    start: Arc<str>,
    next: Arc<AtomicU64>,
    answer_within: Duration,
}

/// Event streams are not held by it: their handlers answer at once and the body follows.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Bytes of a path that the log and traces get.
const PATH_MAX: usize = 256;

impl Guard {
    pub(crate) fn new(entropy: &dyn Entropy, answer_within: Duration) -> Self {
        let mut bytes = [0; 4];
        entropy.fill(&mut bytes);
        Self { start: format!("{:08x}", u32::from_be_bytes(bytes)).into(), next: Arc::default(), answer_within }
    }

    fn number(&self) -> String {
        format!("{}-{}", self.start, self.next.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

tokio::task_local! {
    static NUMBER: String;
}

/// The number of the request that is being answered.
pub(crate) fn request_number() -> String {
    NUMBER.try_with(Clone::clone).unwrap_or_default()
}

/// The outermost layer.
pub(crate) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let number = guard.number();
    let path = cut(request.uri().path());
    let span = tracing::info_span!("request", id = number, method = %request.method(), path, status = Empty);
    // RFC 6797 binds a host name on all its ports: on this one it would break whatever else the person runs there.
    let is_localhost = authority(request.uri(), request.headers()).is_some_and(|host| host.host() == "localhost");
    let is_api = request.uri().path().starts_with("/api/");
    let mut response =
        NUMBER.scope(number.clone(), answer(request, next, guard.answer_within)).instrument(span.clone()).await;
    span.record("status", response.status().as_u16());
    span.in_scope(|| tracing::debug!("Answered {}", response.status()));
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if !is_localhost {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    if is_api {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Ok(value) = HeaderValue::from_str(&number) {
        headers.insert(HeaderName::from_static("x-request-id"), value);
    }
    response
}

async fn answer(request: Request, next: Next, within: Duration) -> Response {
    let answered = AssertUnwindSafe(tokio::time::timeout(within, next.run(request))).catch_unwind();
    match answered.await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            tracing::warn!("Gave up on a request after {} s", within.as_secs());
            Problem::new("unavailable", "Cardea took too long to answer: try again soon.").into_response()
        }
        Err(panic) => {
            let cause = said(&*panic);
            tracing::error!(cause, "Answering a request panicked: {cause}");
            let detail = "Something is broken in Cardea: look for the request id in its log.";
            Problem::new("internal", detail).into_response()
        }
    }
}

/// No longer than what finds the request: strangers may send paths of any length.
fn cut(path: &str) -> &str {
    let end = (0..=PATH_MAX.min(path.len())).rev().find(|end| path.is_char_boundary(*end));
    &path[..end.unwrap_or_default()]
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

/// Nothing inline, nothing from elsewhere, nobody frames us.
const ALWAYS: [(&str, &str); 7] = [
    (
        "content-security-policy",
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    ),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
];

#[cfg(test)]
mod tests {
    use axum::{Router, body::to_bytes, middleware, routing};
    use tower::ServiceExt as _;

    use super::*;

    struct Zero;

    impl Entropy for Zero {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    async fn panics() {
        panic!("a secret of the inside");
    }

    async fn ask(path: &str) -> (u16, String, String) {
        let router = Router::new()
            .route("/panics", routing::get(panics))
            .route("/hangs", routing::get(std::future::pending::<()>))
            .layer(middleware::from_fn_with_state(Guard::new(&Zero, Duration::from_millis(10)), guard));
        let request = Request::get(path).body(axum::body::Body::empty()).expect("a request");
        let response = router.oneshot(request).await.expect("an answer");
        let number = response.headers()["x-request-id"].to_str().expect("text").to_owned();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1 << 16).await.expect("a body");
        (status, number, String::from_utf8(body.to_vec()).expect("text"))
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_that_says_nothing_of_the_inside() {
        let (status, number, body) = ask("/panics").await;
        assert_eq!((status, number.as_str()), (500, "00000000-1"));
        assert!(body.contains("/problems/internal") && body.contains(&number) && !body.contains("secret"), "{body}");
    }

    #[test]
    fn a_long_path_is_cut_between_characters() {
        assert_eq!(cut("/api"), "/api");
        assert_eq!(cut(&"é".repeat(200)).len(), 256);
        assert_eq!(cut(&format!("/{}", "é".repeat(200))).len(), 255);
    }

    #[tokio::test]
    async fn what_takes_too_long_is_given_up() {
        let (status, _, body) = ask("/hangs").await;
        assert!(status == 503 && body.contains("/problems/unavailable"), "{body}");
    }
}
