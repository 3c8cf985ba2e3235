//! Log lines go to stderr: stdout belongs to what commands answer.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::config::{Format, Log};

/// Logs as the server is told to, from now on.
pub(crate) fn for_server(log: &Log) {
    // The filter was read when the configuration was checked.
    let filter = EnvFilter::new(&log.filter);
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match log.format {
        Format::Json => lines.json().init(),
        Format::Text => lines.with_ansi(io::stderr().is_terminal()).init(),
    }
}

/// Says only what went wrong, from now on: commands speak for themselves.
pub(crate) fn for_commands() {
    tracing_subscriber::fmt()
        // What the verifier says is in the command's own sentence.
        .with_env_filter(EnvFilter::new("warn,rustls_platform_verifier=off"))
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .without_time()
        .with_target(false)
        .init();
}
