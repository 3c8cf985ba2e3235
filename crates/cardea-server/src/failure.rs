//! How a command ends when it does not end well: a sentence for people and an exit code for scripts.

use std::{fmt, io, process::ExitCode};

/// Why a command did not do as asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The configuration of the server, or a file with objects, is wrong. Says where. Exit code 64.
    Configuration(String),
    /// The answer is no, or there was none. Exit code 1.
    No(String),
    /// The command was used wrongly. Exit code 2, as for what the argument parser refuses.
    Usage(String),
}

impl Failure {
    /// Something could not be done with a file.
    pub(crate) fn file(what: &str, path: &std::path::Path, error: &io::Error) -> Self {
        Self::No(format!("cannot {what} `{}`: {error}", path.display()))
    }

    /// What the process exits with.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::No(_) => 1,
            Self::Usage(_) => 2,
            Self::Configuration(_) => 64,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(sentence) | Self::No(sentence) | Self::Usage(sentence) => f.write_str(sentence),
        }
    }
}

/// An error with its causes, on one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = inner.source();
    }
    text.replace('\n', " ")
}
