//! Traces: which steps and frames belong to which request, for whoever collects spans by OpenTelemetry.
//!
//! A session's steps come seconds and days after its request, in other tasks and after restarts, so the session carries
//! the request's place in its trace. Without a collector nothing is read or written. A trace knows ids and names of
//! hosts, never what was typed, asked or answered.

use cardea_domain::Session;
use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::App;

/// The place of the running request in its trace, as in the header `traceparent`; nothing if nobody collects spans.
pub(crate) fn traceparent() -> Option<String> {
    let context = Span::current().context();
    let span = context.span();
    let place = span.span_context();
    let flags = place.trace_flags().to_u8();
    place.is_valid().then(|| format!("00-{}-{}-{flags:02x}", place.trace_id(), place.span_id()))
}

impl App {
    /// The span of one step with a session, below the request that it came from.
    pub(crate) async fn step_span(&self, session: &Session) -> Span {
        let id = session.id;
        let (host, status) = (session.resource_name.as_str(), session.status.as_str());
        let span = tracing::info_span!("step", session.id = %id, host, status);
        // Only a collector takes a parent.
        if span.set_parent(Context::new()).is_err() {
            return span;
        }
        match self.0.store.read(move |tx| Box::pin(async move { tx.trace_of(id).await })).await {
            Ok(place) => {
                if let Some(context) = place.as_deref().and_then(parse) {
                    drop(span.set_parent(context));
                }
            }
            // The step itself will say what is wrong with the store; it then has a trace of its own.
            Err(error) => tracing::debug!(session.id = %id, %error, "The trace of a session could not be read"),
        }
        span
    }
}

/// Reads what [`traceparent`] wrote.
fn parse(text: &str) -> Option<Context> {
    let mut parts = text.split('-').skip(1);
    let trace = TraceId::from_hex(parts.next()?).ok()?;
    let span = SpanId::from_hex(parts.next()?).ok()?;
    let flags = TraceFlags::new(u8::from_str_radix(parts.next()?, 16).ok()?);
    let place = SpanContext::new(trace, span, flags, true, TraceState::default());
    place.is_valid().then(|| Context::new().with_remote_span_context(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written_and_nonsense_is_none() {
        let context = parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").expect("a place");
        let place = context.span().span_context().clone();
        assert_eq!(place.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!((place.span_id().to_string().as_str(), place.is_sampled()), ("b7ad6b7169203331", true));
        for text in ["", "00-", "00-x-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"] {
            assert!(parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn nobody_collects_nothing_is_noted() {
        assert_eq!(traceparent(), None);
    }
}
