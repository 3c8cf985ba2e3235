//! Activity sessions: request them, look at them, end them.

use std::collections::BTreeMap;

use axum::{Json, extract::State, http::StatusCode};
use cardea_app::{Connection, NewRequest, SessionDetail, SessionQuery, SortKey, View};
use cardea_domain::{
    Actor, ConnectionId, Period, Permit, Progress, Reason, RequestId, Session, SessionId, Status, Timestamp, Verb,
};
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};

use crate::{
    Api,
    actor::Caller,
    grant::{GrantView, limit},
    input::{Id, Input, OptionalInput, Query},
    problem::Problem,
};

/// A session without its part of the ledger: what `session` events carry.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct SessionSummary {
    id: SessionId,
    request_id: RequestId,
    status: Status,
    /// Why it is where it is, where there is something to say.
    reason: Option<Reason>,
    /// The user's name.
    user: String,
    activity: String,
    resource: String,
    policy: String,
    connection_profile: String,
    /// The account's name on the resource.
    login_account: String,
    requested_at: Timestamp,
    wanted_start_at: Option<Timestamp>,
    /// When it became available.
    start_at: Option<Timestamp>,
    /// When it will end, or ended.
    end_at: Option<Timestamp>,
    max_duration: Period,
    notes: String,
    ticket: String,
    custom: BTreeMap<String, String>,
    /// How far the running stage is, while one runs.
    progress: Option<Progress>,
    /// Clean-up has been failing for more than a minute. It goes on.
    cleanup_stalled: bool,
    /// Whether it is on the active list.
    listed: bool,
    /// Whether nothing of it is out there any more, proven.
    clean: bool,
    /// What it will be when clean-up is done.
    closes_as: Option<Status>,
    actions: SessionActions,
}

/// What the caller may do with a session as it is now.
#[derive(Clone, Copy, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct SessionActions {
    end: bool,
    dismiss: bool,
}

/// A session.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct SessionView {
    #[serde(flatten)]
    summary: SessionSummary,
    /// Its part of the ledger, in the order of placing.
    grants: Vec<GrantView>,
    approvals: Vec<Approval>,
}

/// A decision on a session. There are none: every request is decided by policies alone.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct Approval {}

/// A page of sessions.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct SessionPage {
    items: Vec<SessionView>,
    /// The `cursor` of the next page.
    next: Option<String>,
}

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
}

/// What became of a request.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct CreatedSessions {
    request_id: Option<RequestId>,
    items: Vec<SessionView>,
}

/// Why something is done.
#[derive(Clone, Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Because {
    /// At most 1,000 characters.
    #[serde(default)]
    reason: Option<String>,
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

/// What became of each session that was to end.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct EndedSessions {
    items: Vec<EndedSession>,
}

/// What became of one: the session as it is now, or the problem.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct EndedSession {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<SessionView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

/// One connection through the gateway.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct ConnectionView {
    id: ConnectionId,
    session: SessionId,
    /// Where the person connected from.
    peer: String,
    opened_at: Timestamp,
    closed_at: Option<Timestamp>,
    /// `client`, `target`, `session_ended`, `gateway_stopping` or `error`.
    close_reason: Option<String>,
}

/// The connections of a session.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct ConnectionList {
    items: Vec<ConnectionView>,
    next: Option<String>,
}

/// Which sessions, in which order.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// `active` (if left out) or `history`.
    view: Option<String>,
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
    /// `requested_at`, `start_at`, `end_at`, `status`, `user`, `resource`, `activity` or `login_account`; with `-`
    /// before it, descending. `-requested_at` if left out.
    sort: Option<String>,
    /// 1 to 1000; 100 if left out.
    limit: Option<u32>,
    /// Where the page before ended.
    cursor: Option<String>,
}

impl SessionSummary {
    pub(crate) fn of(session: &Session, actor: &Actor) -> Self {
        Self {
            id: session.id,
            request_id: session.request,
            status: session.status,
            reason: session.reason.clone(),
            user: session.user_name.clone(),
            activity: session.activity_name.clone(),
            resource: session.resource_name.clone(),
            policy: session.policy_name.clone(),
            connection_profile: session.profile_name.clone(),
            login_account: session.account.name.clone(),
            requested_at: session.requested_at,
            wanted_start_at: None,
            start_at: session.start_at,
            end_at: session.end_at,
            max_duration: session.pins.max_duration,
            notes: session.notes.clone(),
            ticket: session.ticket.clone(),
            custom: BTreeMap::new(),
            progress: session.progress.clone(),
            cleanup_stalled: session.cleanup_stalled,
            listed: session.listed,
            clean: session.clean,
            closes_as: session.closes_as,
            actions: SessionActions::of(session, actor),
        }
    }
}

impl SessionActions {
    fn of(session: &Session, actor: &Actor) -> Self {
        let may = |verb| Permit::for_session(actor, verb, session).is_ok();
        let runs = session.status == Status::Provisioning || session.status.is_open();
        Self {
            end: runs && may(Verb::EndSession),
            // Whether it can be dismissed is the session's to say; asked of a copy, it changes nothing.
            dismiss: session.clone().dismiss().is_ok() && may(Verb::DismissSession),
        }
    }
}

impl SessionView {
    pub(crate) fn of(detail: &SessionDetail, actor: &Actor) -> Self {
        Self {
            summary: SessionSummary::of(&detail.session, actor),
            grants: detail.grants.iter().map(GrantView::of).collect(),
            approvals: Vec::new(),
        }
    }
}

impl From<Connection> for ConnectionView {
    fn from(connection: Connection) -> Self {
        Self {
            id: connection.id,
            session: connection.session,
            peer: connection.peer.to_string(),
            opened_at: connection.opened_at,
            closed_at: connection.closed_at,
            close_reason: connection.close_reason,
        }
    }
}

impl ListQuery {
    fn parse(self) -> Result<SessionQuery, Problem> {
        let view = match self.view.as_deref() {
            None | Some("active") => View::Active,
            Some("history") => View::History,
            Some(_) => return Err(Problem::field("/view", "write `active` or `history`")),
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
            sort: sort_key(key)?,
            descending,
            limit: limit(self.limit)?,
            cursor: self.cursor,
        })
    }
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
/// **Who:** everybody, their own; administrators and auditors, all. **Audit:** none.
#[utoipa::path(get, path = "/api/v1/sessions", tag = "sessions", params(ListQuery),
    responses((status = 200, body = SessionPage, description = "A page of sessions.")))]
pub(crate) async fn list_sessions(
    State(api): State<Api>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<SessionPage>, Problem> {
    let page = api.app.sessions(&caller.actor, query.parse()?).await?;
    let items = page.items.iter().map(|detail| SessionView::of(detail, &caller.actor)).collect();
    Ok(Json(SessionPage { items, next: page.next }))
}

/// Request an activity on one or more resources.
///
/// One session for each resource, all or none. They are made ready at once; watch their status.
///
/// **Who:** users, what policies give them. **Audit:** `session.create`.
#[utoipa::path(post, path = "/api/v1/sessions", tag = "sessions", request_body = NewSessions,
    responses((status = 201, body = CreatedSessions, description = "The sessions.")))]
pub(crate) async fn create_sessions(
    State(api): State<Api>,
    caller: Caller,
    Input(new): Input<NewSessions>,
) -> Result<(StatusCode, Json<CreatedSessions>), Problem> {
    let NewSessions { activity, resources, policy, notes, ticket } = new;
    let request = NewRequest { activity, resources, policy, notes, ticket };
    let created = api.app.create_sessions(&caller.actor, request).await?;
    let answer = CreatedSessions {
        request_id: created.first().map(|detail| detail.session.request),
        items: created.iter().map(|detail| SessionView::of(detail, &caller.actor)).collect(),
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Show a session.
///
/// **Who:** its user, administrators, auditors. **Audit:** none.
#[utoipa::path(get, path = "/api/v1/sessions/{id}", tag = "sessions", params(("id" = String, Path)),
    responses((status = 200, body = SessionView, description = "The session.")))]
pub(crate) async fn show_session(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<SessionId>,
) -> Result<Json<SessionView>, Problem> {
    Ok(Json(SessionView::of(&api.app.session(&caller.actor, id).await?, &caller.actor)))
}

/// End a session.
///
/// Connections are cut at once; clean-up begins and goes on until everything is gone.
///
/// **Who:** its user, administrators. **Audit:** `session.end`.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/end", tag = "sessions", params(("id" = String, Path)),
    request_body = Option<Because>,
    responses((status = 200, body = SessionView, description = "The session as it is now.")))]
pub(crate) async fn end_session(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<SessionId>,
    OptionalInput(because): OptionalInput<Because>,
) -> Result<Json<SessionView>, Problem> {
    let ended = api.app.end_session(&caller.actor, id, because.reason).await?;
    Ok(Json(SessionView::of(&ended, &caller.actor)))
}

/// Take a failed session off the active list.
///
/// **Who:** its user, administrators. **Audit:** `session.dismiss`.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/dismiss", tag = "sessions", params(("id" = String, Path)),
    responses((status = 200, body = SessionView, description = "The session as it is now.")))]
pub(crate) async fn dismiss_session(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<SessionId>,
) -> Result<Json<SessionView>, Problem> {
    let dismissed = api.app.dismiss_session(&caller.actor, id).await?;
    Ok(Json(SessionView::of(&dismissed, &caller.actor)))
}

const ENDED_AT_ONCE_MAX: usize = 1000;
/// So many are written together; the store groups them into few commits.
const ENDED_TOGETHER: usize = 64;

/// End several sessions.
///
/// Each by itself: what cannot be ended does not keep the others from ending.
///
/// **Who:** each session's user, administrators. **Audit:** `session.end` for each.
#[utoipa::path(post, path = "/api/v1/sessions/end", tag = "sessions", request_body = SessionsToEnd,
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
    Ok(Json(EndedSessions { items: stream::iter(ends).buffered(ENDED_TOGETHER).collect().await }))
}

async fn end_one(api: &Api, actor: &Actor, id: String, reason: Option<String>) -> EndedSession {
    let ended = match id.parse() {
        Ok(session) => api.app.end_session(actor, session, reason).await.map_err(Problem::from),
        Err(_) => Err(Problem::not_found()),
    };
    match ended {
        Ok(detail) => EndedSession { id, session: Some(SessionView::of(&detail, actor)), problem: None },
        Err(problem) => EndedSession { id, session: None, problem: Some(problem) },
    }
}

/// List a session's connections through the gateway.
///
/// **Who:** its user, administrators, auditors. **Audit:** none.
#[utoipa::path(get, path = "/api/v1/sessions/{id}/connections", tag = "sessions", params(("id" = String, Path)),
    responses((status = 200, body = ConnectionList, description = "The connections, oldest first.")))]
pub(crate) async fn list_connections(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<SessionId>,
) -> Result<Json<ConnectionList>, Problem> {
    let connections = api.app.connections(&caller.actor, id).await?;
    Ok(Json(ConnectionList { items: connections.into_iter().map(ConnectionView::from).collect(), next: None }))
}
