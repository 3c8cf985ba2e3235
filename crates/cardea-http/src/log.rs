//! The action log of a session: what was done for it and on its behalf, line by line.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use cardea_app::{AppError, Event, Subscription};
use cardea_domain::{LogLevel, LogLine, SessionId, Stage, Status, Timestamp};
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Api,
    actor::Caller,
    input::{Id, Query},
    problem::Problem,
    stream::{Lifeline, Pulse, named, respond},
};

/// One line.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct LogLineView {
    /// From 1, without gaps.
    line: i64,
    at: Timestamp,
    level: LogLevel,
    stage: Stage,
    message: String,
}

/// A session's log.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct Log {
    items: Vec<LogLineView>,
    next: Option<String>,
}

/// In which form.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LogQuery {
    /// `json` (if left out) or `csv`.
    format: Option<String>,
    /// `1`: as server-sent events, from the first line on, until the session is over.
    follow: Option<String>,
}

impl From<LogLine> for LogLineView {
    fn from(line: LogLine) -> Self {
        Self { line: line.line, at: line.at, level: line.level, stage: line.stage, message: line.message }
    }
}

/// Read a session's log.
///
/// At most 10,000 lines. Followed, it is a stream of `line` events whose ids are the lines' numbers, and `end` when
/// the session is over; `Last-Event-ID` resumes.
///
/// **Who:** its user, its approvers, administrators, auditors. **Audit:** none.
#[utoipa::path(get, path = "/api/v1/sessions/{id}/log", tag = "sessions",
    extensions(("x-permission" = json!("own or approver or sessions.see_all"))), params(("id" = String, Path), LogQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "The last line that was heard, when following.")),
    responses((status = 200, description = "The log.",
        content((Log = "application/json"), (String = "text/csv"), (String = "text/event-stream")))))]
pub(crate) async fn show_log(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<SessionId>,
    Query(query): Query<LogQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let follows = match query.follow.as_deref() {
        None | Some("0") => false,
        Some("1") => true,
        Some(_) => return Err(Problem::field("/follow", "write 1, or leave it out")),
    };
    if follows {
        let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
        return follow(api, caller, id, last.and_then(|text| text.parse().ok()).unwrap_or(0)).await;
    }
    let lines = api.app.session_log(&caller.actor, id).await?;
    match query.format.as_deref() {
        None | Some("json") => {
            let items = lines.into_iter().map(LogLineView::from).collect();
            Ok(Json(Log { items, next: None }).into_response())
        }
        Some("csv") => Ok(csv(id, &lines)),
        Some(_) => Err(Problem::field("/format", "write `json` or `csv`")),
    }
}

// === CSV ===

fn csv(id: SessionId, lines: &[LogLine]) -> Response {
    let mut text = String::from("line,time,level,stage,message\r\n");
    for LogLine { line, at, level, stage, message } in lines {
        let fields = [line.to_string(), at.to_string(), level.as_str().to_owned(), stage.as_str().to_owned()];
        text.push_str(&fields.join(","));
        text.push(',');
        text.push_str(&cell(message));
        text.push_str("\r\n");
    }
    let name = format!("attachment; filename=\"{id}-log.csv\"");
    let kind = "text/csv; charset=utf-8; header=present".to_owned();
    ([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)], text).into_response()
}

/// A cell (RFC 4180). Spreadsheets run what begins like a formula, so such text gets an apostrophe before it.
fn cell(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

// === Following ===

/// A log that is being followed.
struct Tail {
    line: Lifeline,
    changes: Subscription,
    session: SessionId,
    /// The last line that was sent.
    sent: i64,
    /// Nothing more will come.
    over: bool,
}

async fn follow(api: Api, caller: Caller, session: SessionId, sent: i64) -> Result<Response, Problem> {
    // Listening begins before the first look, so that nothing falls between.
    let changes = api.app.subscribe(&caller.actor, None);
    let mut tail = Tail { line: Lifeline::new(api, caller)?, changes, session, sent, over: false };
    let first = tail.look().await?;
    let later = stream::unfold(tail, async |mut tail| {
        if tail.over {
            return None;
        }
        let events = tail.wait().await?;
        Some((stream::iter(events), tail))
    });
    Ok(respond(stream::iter(first).chain(later.flatten())))
}

impl Tail {
    /// The lines that were not sent yet.
    async fn look(&mut self) -> Result<Vec<axum::response::sse::Event>, AppError> {
        let (app, actor) = (&self.line.api.app, &self.line.caller.actor);
        // The status first: a session that is over by then has written its last line.
        let status = app.session(actor, self.session).await?.session.status;
        let lines = app.session_log(actor, self.session).await?;
        let new = lines.into_iter().filter(|line| line.line > self.sent).map(LogLineView::from);
        let mut events: Vec<_> = new.map(|line| named("line", &line).id(line.line.to_string())).collect();
        self.sent += i64::try_from(events.len()).unwrap_or(0);
        self.over = matches!(status, Status::Completed | Status::Canceled | Status::Denied | Status::Expired);
        if self.over {
            events.push(named("end", &json!({})));
        }
        Ok(events)
    }

    /// Waits until there may be something new. `None` when the stream is to end.
    async fn wait(&mut self) -> Option<Vec<axum::response::sse::Event>> {
        loop {
            tokio::select! {
                pulse = self.line.pulse() => return match pulse {
                    Pulse::Beat => Some(vec![self.line.beat().await?]),
                    Pulse::Stop => None,
                },
                change = self.changes.next() => match change?.1 {
                    Event::Session(session) | Event::Approval { session, .. } if session.id == self.session => return self.look().await.ok(),
                    Event::Grant(grant) if grant.session == self.session => return self.look().await.ok(),
                    Event::Reset => return self.look().await.ok(),
                    Event::Alert(_)
                    | Event::Approval { .. }
                    | Event::Configuration
                    | Event::Grant(_)
                    | Event::Session(_) => {}
                },
            }
        }
    }
}
