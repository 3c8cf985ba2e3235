//! Log lines go to stderr: stdout belongs to what commands answer.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, Layer as _, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::{
    config::{Format, Log},
    trace::Collector,
};

/// Logs as the server is told to, from now on, and hands spans to the collector if there is one.
pub(crate) fn for_server(log: &Log, collector: Option<&Collector>) {
    // The filter was read when the configuration was checked.
    let filter = EnvFilter::new(&log.filter);
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = match log.format {
        Format::Json => lines.json().with_filter(filter).boxed(),
        Format::Text => lines.with_ansi(io::stderr().is_terminal()).with_filter(filter).boxed(),
    };
    tracing_subscriber::registry().with(lines).with(collector.map(Collector::layer)).init();
}

/// Says only what went wrong, from now on: commands speak for themselves.
pub(crate) fn for_commands() {
    fmt()
        // What the verifier says is in the command's own sentence.
        .with_env_filter(EnvFilter::new("warn,rustls_platform_verifier=off"))
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .without_time()
        .with_target(false)
        .init();
}
