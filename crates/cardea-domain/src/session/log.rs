//! A session's action log: lines for people, each of a stage and a level.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// The stage that a log line belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Request,
    PreSession,
    Session,
    PostSession,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Self; 4] = [Self::Request, Self::PreSession, Self::Session, Self::PostSession];

    /// The stage on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::PreSession => "pre_session",
            Self::Session => "session",
            Self::PostSession => "post_session",
        }
    }
}

/// How much a log line matters. Order: debug < info < warn < error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

impl LogLevel {
    /// Every level.
    pub const ALL: [Self; 4] = [Self::Debug, Self::Info, Self::Warn, Self::Error];

    /// The level on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// One line of a session's action log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// From 1, without gaps within a session.
    pub line: i64,
    pub at: Timestamp,
    pub level: LogLevel,
    pub stage: Stage,
    pub message: String,
}
