//! What is told outside, as administrators see it.

use axum::{Json, extract::State};
use cardea_app::NoticeRow;
use cardea_domain::{NoticeId, NoticeKind, NoticeState, SessionId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Api,
    actor::Caller,
    input::{Id, Query},
    problem::Problem,
};

/// A page, if nothing else was asked for.
const PAGE: u32 = 100;
const PAGE_MAX: u32 = 1000;

/// One notice to one receiver.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct NoticeView {
    id: NoticeId,
    kind: NoticeKind,
    /// `mail`, or `webhook:NAME`.
    outlet: String,
    /// A mail address, or the webhook's name.
    receiver: String,
    /// The sessions that it is about.
    sessions: Vec<SessionId>,
    state: NoticeState,
    created_at: Timestamp,
    /// When it is tried next.
    next_attempt_at: Option<Timestamp>,
    /// When it is given up.
    give_up_at: Timestamp,
    attempts: u32,
    /// Why the last attempt failed.
    last_error: Option<String>,
    /// When it was sent, dropped or given up.
    done_at: Option<Timestamp>,
}

/// A part of the outbox.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct NoticeList {
    items: Vec<NoticeView>,
    /// What to send as `cursor` for the next part.
    next: Option<NoticeId>,
}

/// Which part of the outbox.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct NoticeQuery {
    /// `waiting`, `sent`, `failed` or `dropped`; all if left out.
    state: Option<String>,
    /// 1 to 1,000.
    limit: Option<u32>,
    /// From the last page.
    cursor: Option<String>,
}

impl From<NoticeRow> for NoticeView {
    fn from(row: NoticeRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            outlet: row.outlet,
            receiver: row.receiver,
            sessions: row.sessions,
            state: row.state,
            created_at: row.created_at,
            next_attempt_at: row.wake_at,
            give_up_at: row.give_up_at,
            attempts: row.attempts,
            last_error: row.last_error,
            done_at: row.done_at,
        }
    }
}

fn state_of(text: &str) -> Result<NoticeState, Problem> {
    NoticeState::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| {
        let known = NoticeState::ALL.map(NoticeState::as_str).join(", ");
        Problem::field("/state", format!("write one of {known}"))
    })
}

/// List notices.
///
/// Mails and webhooks that wait, were sent, were given up, or were not true any more when their turn came; newest first. What
/// was sent is forgotten after 7 days, what was given up after 30.
///
/// **Who:** administrators, the operator. **Audit:** none.
#[utoipa::path(get, path = "/api/v1/notices", tag = "notices",
    extensions(("x-permission" = json!("notices.manage"))), params(NoticeQuery),
    responses((status = 200, body = NoticeList, description = "A part of the outbox.")))]
pub(crate) async fn list_notices(
    State(api): State<Api>,
    caller: Caller,
    Query(query): Query<NoticeQuery>,
) -> Result<Json<NoticeList>, Problem> {
    let state = query.state.as_deref().map(state_of).transpose()?;
    let limit = query.limit.unwrap_or(PAGE);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(Problem::field("/limit", format!("write 1 to {PAGE_MAX}")));
    }
    let not_ours = || Problem::field("/cursor", "this is not a cursor that a list gave out: start without one");
    let before = query.cursor.map(|cursor| cursor.parse().map_err(|_| not_ours())).transpose()?;
    let page = api.app.notices(&caller.actor, state, (before, limit)).await?;
    Ok(Json(NoticeList { items: page.items.into_iter().map(NoticeView::from).collect(), next: page.next }))
}

/// Send a notice now.
///
/// One that waits is tried at once; one that was given up is taken up again.
///
/// **Who:** administrators, the operator. **Audit:** `notice.manage`.
#[utoipa::path(post, path = "/api/v1/notices/{id}/try-now", tag = "notices",
    extensions(("x-permission" = json!("notices.manage"))), params(("id" = String, Path)),
    responses((status = 200, body = NoticeView, description = "The notice, which is due now.")))]
pub(crate) async fn try_notice(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<NoticeId>,
) -> Result<Json<NoticeView>, Problem> {
    Ok(Json(api.app.send_notice_now(&caller.actor, id).await?.into()))
}
