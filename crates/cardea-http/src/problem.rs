//! Problem details (RFC 9457): the one shape of every answer that is not the wished one.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use cardea_app::AppError;
use cardea_domain::{FieldError, Method as Proof, Secret};

use crate::{guard, problems::Known};

// Boxed texts keep it small: it is the `Err` of every function here.
/// What went wrong and what to do. Clients branch on `type`, never on text.
#[derive(Clone, Debug, serde::Serialize, schemars::JsonSchema)]
pub(crate) struct Problem {
    /// `/problems/SLUG`: what kind of problem it is; a page that explains it.
    #[serde(rename = "type")]
    kind: Box<str>,
    /// The same for every problem of the kind.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened here and what to do.
    detail: Box<str>,
    /// Finds the request in the server's log.
    request_id: Box<str>,
    /// The wrong fields, where the input is wrong.
    fields: Vec<FieldError>,
    #[serde(flatten)]
    wanted: Option<Box<Wanted>>,
    #[serde(skip)]
    retry_after: Option<Duration>,
}

/// What has to be shown, where something has.
#[derive(Clone, Debug, serde::Serialize, schemars::JsonSchema)]
struct Wanted {
    /// Any of these will do.
    methods: &'static [Proof],
    /// For the second step of the sign-in.
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket: Option<String>,
}

impl Problem {
    /// A problem of a kind in the table.
    pub(crate) fn new(slug: &str, detail: impl Into<String>) -> Self {
        let known = Known::find(slug);
        Self {
            kind: format!("/problems/{}", known.slug).into(),
            title: known.title,
            status: known.status,
            detail: detail.into().into_boxed_str(),
            request_id: guard::request_number().into(),
            fields: Vec::new(),
            wanted: None,
            retry_after: None,
        }
    }

    /// The last part of its `type`.
    pub(crate) fn slug(&self) -> &str {
        self.kind.rsplit('/').next().unwrap_or_default()
    }

    /// The thing is absent, or hidden from the caller.
    pub(crate) fn not_found() -> Self {
        Self::new("not-found", "There is no such thing, or you may not see it: check the address.")
    }

    /// Fields of the input are wrong.
    pub(crate) fn invalid(fields: Vec<FieldError>) -> Self {
        let detail = match fields.as_slice() {
            [one] if one.pointer.is_empty() => one.message.clone(),
            [one] => format!("{}: {}", one.pointer, one.message),
            many => format!("{} fields are wrong: see `fields`.", many.len()),
        };
        Self { fields, ..Self::new("invalid-input", detail) }
    }

    /// One field of the input is wrong.
    pub(crate) fn field(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError::new(pointer, message)])
    }

    /// The password was right, and a second factor is wanted.
    pub(crate) fn second_step(methods: &'static [Proof], ticket: &Secret) -> Self {
        let wanted = Wanted { methods, ticket: Some(ticket.expose(Clone::clone)) };
        let detail = "Show a second factor: send the ticket with one of `methods` to `/api/v1/sign-in/totp`, \
                      `/api/v1/sign-in/passkey` or `/api/v1/sign-in/recovery-code`.";
        Self { wanted: Some(Box::new(wanted)), ..Self::new("mfa-required", detail) }
    }

    /// The caller is to wait.
    pub(crate) fn wait(slug: &str, detail: &str, pause: Duration) -> Self {
        Self { retry_after: Some(pause), ..Self::new(slug, detail) }
    }
}

impl From<AppError> for Problem {
    fn from(error: AppError) -> Self {
        match error {
            AppError::Conflict => {
                Self::new("changed-meanwhile", "Somebody else changed this first: read it again and repeat.")
            }
            AppError::Denied(denial) if denial.hidden => Self::not_found(),
            AppError::Denied(denial) => Self::new("not-allowed", denial.sentence),
            AppError::EnrolmentNeeded => {
                let detail = "You must have a second factor: set one up with `/api/v1/me/factors/totp` or \
                              `/api/v1/me/factors/passkeys`, then go on.";
                Self::new("enrolment-needed", detail)
            }
            AppError::FactorNeeded { methods } => {
                let detail =
                    "What you showed was too long ago: show one of `methods` to `/api/v1/me/proof`, then repeat.";
                let wanted = Some(Box::new(Wanted { methods, ticket: None }));
                Self { wanted, ..Self::new("factor-needed", detail) }
            }
            AppError::Internal(cause) => {
                let problem =
                    Self::new("internal", "Something is broken in Cardea: look for the request id in its log.");
                tracing::error!(request.id = problem.request_id, cause, "Answering a request failed: {cause}");
                problem
            }
            AppError::Invalid(fields) => Self::invalid(fields),
            AppError::NotFound => Self::not_found(),
            AppError::Refused { code, sentence } => Self::new(&code, sentence),
            AppError::Throttled { retry_after } => {
                // Rounded up: whoever waits exactly as long as told is let in.
                let pause = Duration::from_secs(retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0));
                let detail = format!("Too many attempts: wait {} s.", pause.as_secs());
                Self::wait("too-many-attempts", &detail, pause)
            }
            AppError::Unauthenticated(sentence) => Self::new("not-signed-in", sentence),
            AppError::Unavailable(cause) => {
                let problem = Self::new("unavailable", "Cardea cannot answer at the moment: try again soon.");
                tracing::warn!(request.id = problem.request_id, cause, "Not available: {cause}");
                problem
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(pause) = retry_after {
            headers.insert(header::RETRY_AFTER, pause.as_secs().into());
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Answers requests whose path exists, but not with this method.
pub(crate) async fn wrong_method(method: Method, uri: Uri) -> Problem {
    Problem::new("wrong-method", format!("{} cannot be asked with {method}: see `/api/openapi.json`.", uri.path()))
}
