//! What happens, as it happens.

use axum::{
    extract::State,
    http::HeaderMap,
    response::{Response, sse},
};
use cardea_app::{Alert, Event, Subscription};
use cardea_domain::{Actor, SessionId, Timestamp};
use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use serde_json::json;

use crate::{
    Api,
    actor::Caller,
    approval::ApprovalChange,
    grant::GrantView,
    problem::Problem,
    session::SessionSummary,
    stream::{Lifeline, Pulse, named, respond},
};

/// Something that a person should look at.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct AlertView {
    at: Timestamp,
    /// Stable: `direct_login`, `orphan_removed`, …
    code: String,
    /// A sentence for people.
    text: String,
    session: Option<SessionId>,
    /// The resource's name.
    resource: Option<String>,
}

impl AlertView {
    fn of(alert: &Alert) -> Self {
        Self {
            at: alert.at,
            code: alert.code.clone().into_owned(),
            text: alert.text.clone(),
            session: alert.session,
            resource: alert.resource.clone(),
        }
    }
}

/// Follow changes.
///
/// Server-sent events: `ready` first; `session` (a `SessionSummary`) and `grant` (a `GrantView`) with each change that
/// the caller may see; `approval` (an `ApprovalChange`) when a session waits for approval, is decided about or waits no more,
/// for its approvers too; `alert` (an `AlertView`) to administrators, auditors and the operator when
/// a person should look at something, and to users about their own account; `configuration` when what somebody may do could be different; `reset` when events
/// were lost: read everything again. A comment each 15 seconds keeps the line alive. Every event has an id; sent back in the
/// header `Last-Event-ID`, it resumes without a gap. The stream ends with the sign-in, at most 15 seconds after it.
///
/// **Who:** everybody, of what they may see. **Audit:** none.
#[utoipa::path(get, path = "/api/v1/events", tag = "events",
    extensions(("x-permission" = json!("signed_in"))),
    params(("Last-Event-ID" = Option<String>, Header, description = "The last event that was heard.")),
    responses((status = 200, body = String, content_type = "text/event-stream", description = "The events.")))]
pub(crate) async fn follow_events(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let subscription = api.app.subscribe(&caller.actor, last);
    // Whoever loses the line right after `ready` must come back to where they were, not to where we are.
    let position = last.map_or_else(|| subscription.position(), ToOwned::to_owned);
    let ready = named("ready", &json!({})).id(position);
    let changes = stream::unfold((Lifeline::new(api, caller)?, subscription), next);
    Ok(respond(stream::iter([ready]).chain(changes)))
}

async fn next(
    (mut line, mut subscription): (Lifeline, Subscription),
) -> Option<(sse::Event, (Lifeline, Subscription))> {
    let event = tokio::select! {
        pulse = line.pulse() => match pulse {
            Pulse::Beat => line.beat().await?,
            Pulse::Stop => return None,
        },
        change = subscription.next() => {
            let (id, event) = change?;
            view(&event, &line.caller.actor, &line.api).id(id)
        }
    };
    Some((event, (line, subscription)))
}

fn view(event: &Event, actor: &Actor, api: &Api) -> sse::Event {
    let (configuration, now) = (api.app.configuration(), api.app.now());
    match event {
        Event::Alert(alert) => named("alert", &AlertView::of(alert)),
        Event::Approval { session, approval } => {
            named("approval", &ApprovalChange::of(session, approval.as_deref(), actor, &configuration, now))
        }
        Event::Configuration => named("configuration", &json!({})),
        Event::Grant(grant) => named("grant", &GrantView::of(grant)),
        Event::Reset => named("reset", &json!({})),
        Event::Session(session) => named("session", &SessionSummary::of(session, actor, &configuration, now)),
    }
}
