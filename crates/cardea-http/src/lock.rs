//! What administrators do to sessions, users and resources that should stand still, and to what does not go away.

use std::time::Duration;

use axum::{Json, extract::State, http::StatusCode};
use cardea_app::{LockMessage, StandingLock};
use cardea_domain::{GrantId, Kind, LockScope, ObjectId, SessionId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Api,
    actor::Caller,
    grant::OutGrantView,
    input::{Id, Input, OptionalInput},
    problem::Problem,
    session::{Because, SessionView},
};

/// A lock and what people who meet it read.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Locking {
    /// 1 to 100 characters.
    title: String,
    /// At most 1,000 characters.
    #[serde(default)]
    text: String,
    /// This session; everything of its user; or everything on its resource.
    #[serde(default)]
    scope: LockScope,
}

/// A lock of a user or a resource as a whole.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LockingWhole {
    /// A user's name or id; this or `resource`.
    user: Option<String>,
    /// A resource's name or id.
    resource: Option<String>,
    /// 1 to 100 characters.
    title: String,
    /// At most 1,000 characters.
    #[serde(default)]
    text: String,
}

/// How much longer.
#[derive(Clone, Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Extending {
    /// As much as the profile allows if left out.
    minutes: Option<u32>,
}

/// A user or a resource that is locked as a whole.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct LockView {
    /// The id of the user or resource.
    id: ObjectId,
    /// Its name.
    name: String,
    /// `User` or `Resource`.
    kind: Kind,
    title: String,
    text: String,
    /// Who locked it.
    by: String,
    at: Timestamp,
}

/// Everything that is locked as a whole.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct LockList {
    items: Vec<LockView>,
}

fn view(api: &Api, lock: StandingLock) -> LockView {
    let configuration = api.app.configuration();
    let name = configuration.get(lock.object).map_or_else(|| lock.object.to_string(), |object| object.name.to_string());
    let (id, kind) = (lock.object, lock.object.kind());
    LockView { id, name, kind, title: lock.title, text: lock.text, by: lock.by, at: lock.at }
}

/// Extend a session.
///
/// Its end and every expiry on the resource are moved, the resource's first: if that fails nothing has changed.
///
/// **Who:** its user and administrators, as far as its connection profile allows. **Audit:** `session.extend`.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/extend", tag = "sessions",
    extensions(("x-permission" = json!("own or sessions.extend_any"))), params(("id" = String, Path)),
    request_body = Option<Extending>,
    responses((status = 200, body = SessionView, description = "The session with its new end.")))]
pub(crate) async fn extend_session(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<SessionId>,
    OptionalInput(Extending { minutes }): OptionalInput<Extending>,
) -> Result<Json<SessionView>, Problem> {
    if minutes == Some(0) {
        return Err(Problem::field("/minutes", "write at least 1, or leave it out"));
    }
    let by = minutes.map(|minutes| Duration::from_secs(u64::from(minutes) * 60));
    let extended = api.app.extend_session(&caller.actor, id, by).await?;
    Ok(Json(api.view(&extended, &caller.actor)))
}

/// Lock a session.
///
/// Its connections freeze at once; its login account is shut on the resource until it is unlocked.
///
/// **Who:** administrators. **Audit:** `lock`.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/lock", tag = "locks",
    extensions(("x-permission" = json!("sessions.lock"))), params(("id" = String, Path)),
    request_body = Locking,
    responses((status = 200, body = SessionView, description = "The session, locked or being locked.")))]
pub(crate) async fn lock_session(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<SessionId>,
    Input(Locking { title, text, scope }): Input<Locking>,
) -> Result<Json<SessionView>, Problem> {
    let locked = api.app.lock_session(&caller.actor, id, scope, LockMessage { title, text }).await?;
    Ok(Json(api.view(&locked, &caller.actor)))
}

/// Unlock a session.
///
/// Connections go on when the resource has confirmed that all is as it was before the lock.
///
/// **Who:** administrators. **Audit:** `lock`.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/unlock", tag = "locks",
    extensions(("x-permission" = json!("sessions.lock"))), params(("id" = String, Path)),
    request_body = Option<Because>,
    responses((status = 200, body = SessionView, description = "The session, being unlocked.")))]
pub(crate) async fn unlock_session(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<SessionId>,
    OptionalInput(because): OptionalInput<Because>,
) -> Result<Json<SessionView>, Problem> {
    let unlocked = api.app.unlock_session(&caller.actor, id, because.reason).await?;
    Ok(Json(api.view(&unlocked, &caller.actor)))
}

/// List locks.
///
/// The users and resources that are locked as a whole.
///
/// **Who:** administrators and auditors. **Audit:** none.
#[utoipa::path(get, path = "/api/v1/locks", tag = "locks",
    extensions(("x-permission" = json!("configuration.see"))),
    responses((status = 200, body = LockList, description = "Every one.")))]
pub(crate) async fn list_locks(State(api): State<Api>, caller: Caller) -> Result<Json<LockList>, Problem> {
    let locks = api.app.locks(&caller.actor).await?;
    Ok(Json(LockList { items: locks.into_iter().map(|lock| view(&api, lock)).collect() }))
}

/// Lock a user or a resource.
///
/// All its sessions freeze, and nothing of it begins; a locked user signs in nowhere.
///
/// **Who:** administrators, but not themselves. **Audit:** `lock`.
#[utoipa::path(post, path = "/api/v1/locks", tag = "locks",
    extensions(("x-permission" = json!("users.lock or resources.lock"))), request_body = LockingWhole,
    responses((status = 201, body = LockView, description = "The lock.")))]
pub(crate) async fn create_lock(
    State(api): State<Api>,
    caller: Caller,
    Input(LockingWhole { user, resource, title, text }): Input<LockingWhole>,
) -> Result<(StatusCode, Json<LockView>), Problem> {
    let (kind, name) = match (user, resource) {
        (Some(user), None) => (Kind::User, user),
        (None, Some(resource)) => (Kind::Resource, resource),
        _ => return Err(Problem::field("/user", "name a user or a resource: one of them")),
    };
    let lock = api.app.lock_object(&caller.actor, kind, &name, LockMessage { title, text }).await?;
    Ok((StatusCode::CREATED, Json(view(&api, lock))))
}

/// Unlock a user or a resource.
///
/// **Who:** administrators. **Audit:** `lock`.
#[utoipa::path(delete, path = "/api/v1/locks/{id}", tag = "locks",
    extensions(("x-permission" = json!("users.lock or resources.lock"))),
    params(("id" = String, Path, description = "The id of the user or resource.")),
    responses((status = 204, description = "It is unlocked; its sessions are being unlocked.")))]
pub(crate) async fn delete_lock(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<ObjectId>,
) -> Result<StatusCode, Problem> {
    api.app.unlock_object(&caller.actor, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Try a removal now.
///
/// A privilege whose removal keeps failing is tried at once, without waiting for its pause to be over.
///
/// **Who:** administrators. **Audit:** `removal.try`.
#[utoipa::path(post, path = "/api/v1/grants/{id}/try-now", tag = "grants",
    extensions(("x-permission" = json!("removals.try"))), params(("id" = String, Path)),
    responses((status = 200, body = OutGrantView, description = "The privilege, still out there.")))]
pub(crate) async fn try_removal(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<GrantId>,
) -> Result<Json<OutGrantView>, Problem> {
    let tried = api.app.try_removal(&caller.actor, id).await?;
    Ok(Json(OutGrantView::of(&tried)))
}
