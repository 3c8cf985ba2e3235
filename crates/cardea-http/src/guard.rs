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
use tracing::Instrument as _;

use crate::{origin::authority, problem::Problem};

/// Hands out the numbers by which requests are found in the log.
#[derive(Clone)]
pub(crate) struct Numbers {
    start: Arc<str>,
    next: Arc<AtomicU64>,
}

impl Numbers {
    pub(crate) fn new(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; 4];
        entropy.fill(&mut bytes);
        Self { start: format!("{:08x}", u32::from_be_bytes(bytes)).into(), next: Arc::default() }
    }

    fn take(&self) -> String {
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

/// Event streams are not held by it: their handlers answer at once and the body follows.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// The outermost layer.
pub(crate) async fn guard(State(numbers): State<Numbers>, request: Request, next: Next) -> Response {
    let number = numbers.take();
    let span = tracing::info_span!("request", id = number, method = %request.method(), path = request.uri().path());
    // RFC 6797 binds a host name on all its ports: on this one it would break whatever else the person runs there.
    let is_localhost = authority(request.uri(), request.headers()).is_some_and(|host| host.host() == "localhost");
    let is_api = request.uri().path().starts_with("/api/");
    let mut response = NUMBER.scope(number.clone(), answer(request, next)).instrument(span.clone()).await;
    span.in_scope(|| tracing::debug!(status = response.status().as_u16(), "Answered {}", response.status()));
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

async fn answer(request: Request, next: Next) -> Response {
    let answered = AssertUnwindSafe(tokio::time::timeout(ANSWER_WITHIN, next.run(request))).catch_unwind();
    match answered.await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            tracing::warn!("Gave up on a request after {} s", ANSWER_WITHIN.as_secs());
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
