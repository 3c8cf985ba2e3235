//! What a use case answers when it does not do as asked. HTTP turns each into one status; see `cardea-http`.

use std::time::Duration;

use cardea_domain::{ConnectorError, Denial, FieldError, Method, Refusal};
use cardea_store::StoreError;

/// A no, or a failure.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Somebody else changed the same thing first.
    #[error("somebody else changed this first: read it again and repeat")]
    Conflict,
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The sign-in can only set a second factor up, which its user must have.
    #[error("you must have a second factor: set one up first")]
    EnrolmentNeeded,
    /// The sign-in has to show one of these first.
    #[error("show who you are again: what you showed was too long ago")]
    FactorNeeded { methods: &'static [Method] },
    /// A fault of ours. The text is for the log, never for the caller.
    #[error("{0}")]
    Internal(String),
    /// The input is wrong in these places.
    #[error("{}", first(.0))]
    Invalid(Vec<FieldError>),
    #[error("there is no such thing, or you may not see it")]
    NotFound,
    /// The state of things forbids it.
    #[error("{sentence}")]
    Refused { code: String, sentence: String },
    #[error("too many attempts: wait {} s", retry_after.as_secs())]
    Throttled { retry_after: Duration },
    #[error("{0}")]
    Unauthenticated(String),
    #[error("{0}")]
    Unavailable(String),
}

fn first(errors: &[FieldError]) -> String {
    errors
        .first()
        .map_or_else(|| "the input is wrong".to_owned(), |error| format!("{}: {}", error.pointer, error.message))
}

impl AppError {
    /// A refusal with a code of its own.
    pub fn refused(code: impl Into<String>, sentence: impl Into<String>) -> Self {
        Self::Refused { code: code.into(), sentence: sentence.into() }
    }

    /// One wrong field.
    pub fn field(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::new(pointer, message)])
    }

    /// A stable word for audit entries.
    pub fn code(&self) -> &str {
        match self {
            Self::Conflict => "conflict",
            Self::Denied(_) => "denied",
            Self::EnrolmentNeeded => "enrolment-needed",
            Self::FactorNeeded { .. } => "factor-needed",
            Self::Internal(_) => "internal",
            Self::Invalid(_) => "invalid",
            Self::NotFound => "not-found",
            Self::Refused { code, .. } => code,
            Self::Throttled { .. } => "throttled",
            Self::Unauthenticated(_) => "unauthenticated",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

impl From<Refusal> for AppError {
    fn from(refusal: Refusal) -> Self {
        Self::refused(refusal.code(), refusal.to_string())
    }
}

impl From<ConnectorError> for AppError {
    fn from(error: ConnectorError) -> Self {
        Self::refused(error.code().replace('_', "-"), error.to_string())
    }
}

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::Conflict,
            StoreError::BadCursor => {
                Self::field("/cursor", "this is not a cursor that a list gave out: start without one")
            }
            StoreError::Busy => Self::Unavailable("the store is busy: try again".to_owned()),
            StoreError::Full => Self::Unavailable("the disk of the store is full: nothing was changed".to_owned()),
            other => Self::Internal(with_causes(&other)),
        }
    }
}

/// An error with its causes, for the log.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
