//! Activity sessions: request them, look at them, end them.

mod view;

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use cardea_app::{NewRequest, SessionDetail, SessionQuery, SortKey, View};
use cardea_domain::{Actor, SessionId, Timestamp};
use futures_util::{StreamExt as _, stream};
use serde::Deserialize;

pub(crate) use self::view::{
    ConnectionList, CreatedSessions, EndedSession, EndedSessions, SessionPage, SessionSummary, SessionView,
};
use crate::{
    Api,
    actor::Caller,
    grant::limit,
    input::{Id, Input, OptionalInput, Query},
    problem::Problem,
};

/// A request for an activity.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSessions {
    /// Name or id of the activity.
    activity: String,
    /// Names or ids of 1 to 50 resources: one session each, all or none.
    resources: Vec<String>,
    /// Name or id of the policy to ask by; needed only where several fit.
    policy: Option<String>,
    /// At most 4,000 characters.
    #[serde(default)]
    notes: String,
    /// At most 200 characters.
    #[serde(default)]
    ticket: String,
    /// Values of the fields that the connection profile adds, by their names.
    #[serde(default)]
    custom: BTreeMap<String, CustomValue>,
    /// When to begin, at most 366 days ahead and within the policy's hours; at once if left out.
    start_at: Option<Timestamp>,
}

/// A value of a custom field: as text, or as what it is.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
enum CustomValue {
    Flag(bool),
    Number(i64),
    Text(String),
}

impl CustomValue {
    fn into_text(self) -> String {
        match self {
            Self::Flag(flag) => flag.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text,
        }
    }
}

/// Why something is done.
#[derive(Clone, Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Because {
    /// At most 1,000 characters.
    #[serde(default)]
    pub(crate) reason: Option<String>,
}

/// Sessions to end.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionsToEnd {
    /// At most 1,000.
    ids: Vec<String>,
    /// At most 1,000 characters.
    #[serde(default)]
    reason: Option<String>,
}

/// Which sessions, in which order.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// `active` (if left out), `scheduled`, `history`, or `approvals`: what waits for the caller's decision.
    view: Option<String>,
    /// The sessions of this request (`req_…`), whatever their view and whatever else is asked for.
    request: Option<String>,
    /// `all` that the caller may see (if left out), or `mine`.
    scope: Option<String>,
    /// Substring of user, activity, resource, login account, notes, ticket, status or reason, in any case.
    #[serde(default)]
    q: String,
    /// Substring of the resource's name.
    #[serde(default)]
    resource: String,
    /// Statuses, separated by commas.
    status: Option<String>,
    /// Requested then or later.
    #[param(format = DateTime)]
    requested_from: Option<String>,
    /// Requested before that.
    #[param(format = DateTime)]
    requested_before: Option<String>,
    /// `requested_at`, `start_at`, `end_at`, `status`, `user`, `resource`, `activity` or `login_account`; with `-`
    /// before it, descending. `-requested_at` if left out.
    sort: Option<String>,
    /// 1 to 1000; 100 if left out.
    limit: Option<u32>,
    /// Where the page before ended.
    cursor: Option<String>,
}

impl ListQuery {
    fn parse(self) -> Result<SessionQuery, Problem> {
        let view = match self.view.as_deref() {
            None | Some("active") => View::Active,
            Some("scheduled") => View::Scheduled,
            Some("history") => View::History,
            Some("approvals") => View::Approvals,
            Some(_) => return Err(Problem::field("/view", "write `active`, `scheduled`, `history` or `approvals`")),
        };
        let mine = match self.scope.as_deref() {
            None | Some("all") => false,
            Some("mine") => true,
            Some(_) => return Err(Problem::field("/scope", "write `all` or `mine`")),
        };
        for (pointer, text) in [("/q", &self.q), ("/resource", &self.resource)] {
            if text.contains(char::is_control) || text.chars().count() > SEARCH_MAX {
                return Err(Problem::field(pointer, "write at most 200 printable characters"));
            }
        }
        let request = self.request.as_deref().map(str::parse).transpose();
        let request = request.map_err(|_| Problem::field("/request", "write the id of a request, `req_…`"))?;
        let statuses = self.status.as_deref().unwrap_or_default().split(',').filter(|text| !text.is_empty());
        let statuses = statuses.map(str::parse).collect::<Result<_, _>>();
        let sort = self.sort.as_deref().unwrap_or("-requested_at");
        let (key, descending) = sort.strip_prefix('-').map_or((sort, false), |key| (key, true));
        Ok(SessionQuery {
            view,
            mine,
            q: self.q,
            resource: self.resource,
            statuses: statuses.map_err(|message: String| Problem::field("/status", message))?,
            requested_from: time("/requested_from", self.requested_from)?,
            requested_before: time("/requested_before", self.requested_before)?,
            sort: sort_key(key)?,
            descending,
            limit: limit(self.limit)?,
            cursor: self.cursor,
            request,
        })
    }
}

fn time(pointer: &'static str, text: Option<String>) -> Result<Option<Timestamp>, Problem> {
    text.map(|text| text.parse()).transpose().map_err(|message: String| Problem::field(pointer, message))
}

/// The longest text that is searched for.
const SEARCH_MAX: usize = 200;

fn sort_key(text: &str) -> Result<SortKey, Problem> {
    Ok(match text {
        "activity" => SortKey::Activity,
        "end_at" => SortKey::EndAt,
        "login_account" => SortKey::LoginAccount,
        "requested_at" => SortKey::RequestedAt,
        "resource" => SortKey::Resource,
        "start_at" => SortKey::StartAt,
        "status" => SortKey::Status,
        "user" => SortKey::User,
        _ => {
            let known = "write one of requested_at, start_at, end_at, status, user, resource, activity, login_account; \
                         with `-` before it for descending";
            return Err(Problem::field("/sort", known));
        }
    })
}

/// List sessions.
///
/// **Who:** everybody, their own; approvers, what waits for them; administrators and auditors, all. **Audit:** none.
#[utoipa::path(get, path = "/api/v1/sessions", tag = "sessions",
    extensions(("x-permission" = json!("signed_in"))), params(ListQuery),
    responses((status = 200, body = SessionPage, description = "A page of sessions.")))]
pub(crate) async fn list_sessions(
    State(api): State<Api>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<SessionPage>, Problem> {
    let page = api.app.sessions(&caller.actor, query.parse()?).await?;
    Ok(Json(SessionPage::of(&page, &api, &caller.actor)))
}

/// Request an activity on one or more resources.
///
/// One session for each resource, all or none. They wait for approval where the profile asks for one, begin at the wanted
/// time if there is one, and else are made ready at once; watch their status. With an `Idempotency-Key`, the same request
/// sent again within 24 hours is answered with the sessions that the first one made.
///
/// **Who:** users, what policies give them. **Audit:** `session.create`.
#[utoipa::path(post, path = "/api/v1/sessions", tag = "sessions",
    extensions(("x-permission" = json!("sessions.request"))), request_body = NewSessions,
    params(("Idempotency-Key" = Option<String>, Header,
        description = "The caller's own name for this request: 1 to 255 printable ASCII characters.")),
    responses((status = 201, body = CreatedSessions, description = "The sessions.")))]
pub(crate) async fn create_sessions(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    Input(new): Input<NewSessions>,
) -> Result<(StatusCode, Json<CreatedSessions>), Problem> {
    let NewSessions { activity, resources, policy, notes, ticket, custom, start_at } = new;
    let custom = custom.into_iter().map(|(name, value)| (name, value.into_text())).collect();
    // What is not text is not a key either; its place says so.
    let key = headers.get("idempotency-key").map(|value| value.to_str().unwrap_or_default().to_owned());
    let request = NewRequest { activity, resources, policy, notes, ticket, custom, start_at, idempotency_key: key };
    let created = api.app.create_sessions(&caller.actor, request).await?;
    Ok((StatusCode::CREATED, Json(CreatedSessions::of(&created, &api, &caller.actor))))
}

/// Show a session.
///
/// **Who:** its user, its approvers, administrators, auditors. **Audit:** none.
#[utoipa::path(get, path = "/api/v1/sessions/{id}", tag = "sessions",
    extensions(("x-permission" = json!("own or approver or sessions.see_all"))), params(("id" = String, Path)),
    responses((status = 200, body = SessionView, description = "The session.")))]
pub(crate) async fn show_session(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<SessionId>,
) -> Result<Json<SessionView>, Problem> {
    let shown = api.app.session(&caller.actor, id).await?;
    Ok(Json(api.view(&shown, &caller.actor)))
}

/// End a session.
///
/// Connections are cut at once; clean-up begins and goes on until everything is gone.
///
/// **Who:** its user, administrators. **Audit:** `session.end`.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/end", tag = "sessions",
    extensions(("x-permission" = json!("own or sessions.end_any"))), params(("id" = String, Path)),
    request_body = Option<Because>,
    responses((status = 200, body = SessionView, description = "The session as it is now.")))]
pub(crate) async fn end_session(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<SessionId>,
    OptionalInput(because): OptionalInput<Because>,
) -> Result<Json<SessionView>, Problem> {
    let ended = api.app.end_session(&caller.actor, id, because.reason).await?;
    Ok(Json(api.view(&ended, &caller.actor)))
}

/// Take a failed session off the active list.
///
/// **Who:** its user, administrators. **Audit:** `session.dismiss`.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/dismiss", tag = "sessions",
    extensions(("x-permission" = json!("own or sessions.dismiss_any"))), params(("id" = String, Path)),
    responses((status = 200, body = SessionView, description = "The session as it is now.")))]
pub(crate) async fn dismiss_session(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<SessionId>,
) -> Result<Json<SessionView>, Problem> {
    let dismissed = api.app.dismiss_session(&caller.actor, id).await?;
    Ok(Json(api.view(&dismissed, &caller.actor)))
}

/// Try a failed session again.
///
/// It is judged by the configuration of now, gets a fresh account, and has to be approved again if it was and what was
/// approved has changed.
///
/// **Who:** its user, administrators. **Audit:** `session.retry`.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/retry", tag = "sessions",
    extensions(("x-permission" = json!("own or sessions.retry_any"))), params(("id" = String, Path)),
    responses((status = 200, body = SessionView, description = "The session as it is now.")))]
pub(crate) async fn retry_session(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<SessionId>,
) -> Result<Json<SessionView>, Problem> {
    let begun = api.app.retry_session(&caller.actor, id).await?;
    Ok(Json(api.view(&begun, &caller.actor)))
}

impl Api {
    /// A session as this caller is shown it.
    pub(crate) fn view(&self, detail: &SessionDetail, actor: &Actor) -> SessionView {
        SessionView::of(detail, actor, &self.app.configuration(), self.app.now())
    }
}

const ENDED_AT_ONCE_MAX: usize = 1000;
/// So many are written together; the store groups them into few commits.
const ENDED_TOGETHER: usize = 64;

/// End several sessions.
///
/// Each by itself: what cannot be ended does not keep the others from ending.
///
/// **Who:** each session's user, administrators. **Audit:** `session.end` for each.
#[utoipa::path(post, path = "/api/v1/sessions/end", tag = "sessions",
    extensions(("x-permission" = json!("signed_in"))), request_body = SessionsToEnd,
    responses((status = 200, body = EndedSessions, description = "What became of each, in the order given.")))]
pub(crate) async fn end_sessions(
    State(api): State<Api>,
    caller: Caller,
    Input(SessionsToEnd { ids, reason }): Input<SessionsToEnd>,
) -> Result<Json<EndedSessions>, Problem> {
    if ids.is_empty() || ids.len() > ENDED_AT_ONCE_MAX {
        return Err(Problem::field("/ids", "list 1 to 1000 ids of sessions"));
    }
    let (api, actor) = (&api, &caller.actor);
    let ends = ids.into_iter().map(|id| end_one(api, actor, id, reason.clone()));
    Ok(Json(EndedSessions::new(stream::iter(ends).buffered(ENDED_TOGETHER).collect().await)))
}

async fn end_one(api: &Api, actor: &Actor, id: String, reason: Option<String>) -> EndedSession {
    let ended = match id.parse() {
        Ok(session) => api.app.end_session(actor, session, reason).await.map_err(Problem::from),
        Err(_) => Err(Problem::not_found()),
    };
    EndedSession::of(id, ended.map(|detail| api.view(&detail, actor)))
}

/// List a session's connections, through the gateway and past it.
///
/// **Who:** its user, administrators, auditors. **Audit:** none.
#[utoipa::path(get, path = "/api/v1/sessions/{id}/connections", tag = "sessions",
    extensions(("x-permission" = json!("own or approver or sessions.see_all"))), params(("id" = String, Path)),
    responses((status = 200, body = ConnectionList, description = "The connections, oldest first.")))]
pub(crate) async fn list_connections(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<SessionId>,
) -> Result<Json<ConnectionList>, Problem> {
    let connections = api.app.connections(&caller.actor, id).await?;
    Ok(Json(ConnectionList::of(connections)))
}
