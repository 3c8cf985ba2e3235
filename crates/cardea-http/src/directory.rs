//! Directories of people: looking who is there still, and how that goes.

use axum::{Json, extract::State};
use cardea_app::{AwayUser, DirectoryState, Synced};
use cardea_domain::{AbsenceReason, ObjectId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Api,
    actor::Caller,
    input::{Id, Input},
    problem::Problem,
};

/// How a directory is looked at.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Look {
    /// Whether most of its users, or all, may be taken away by it.
    #[serde(default)]
    confirm: bool,
}

/// What a look at a directory did.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct SyncedView {
    /// Users whom the directory vouches for and who were looked for.
    checked: usize,
    /// Names of users who are let in no more; their sign-ins, tokens and sessions end.
    gone: Vec<String>,
    /// Names of users who are let in again.
    back: Vec<String>,
    /// Names of users whose groups changed.
    regrouped: Vec<String>,
}

impl From<Synced> for SyncedView {
    fn from(synced: Synced) -> Self {
        let Synced { checked, gone, back, regrouped } = synced;
        Self { checked, gone, back, regrouped }
    }
}

/// A user whom their directory lets in no more.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct AwayView {
    id: ObjectId,
    name: String,
    /// What the directory says of them.
    reason: AbsenceReason,
    /// When a look at the directory found that.
    since: Timestamp,
}

/// How a directory stands, and how the last look at it went.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct DirectoryView {
    id: ObjectId,
    /// The identity provider's name.
    name: String,
    /// When it is looked at next; `null` before the first time.
    due_at: Option<Timestamp>,
    /// When the last look ended.
    ended_at: Option<Timestamp>,
    /// When the last look ended that did what was to do.
    succeeded_at: Option<Timestamp>,
    /// Why the last look changed nothing; `null` if it did what was to do.
    error: Option<String>,
    /// How many users it vouches for.
    users: usize,
    /// How many of them are linked to somebody in it, by what it never changes about them: these are looked for.
    linked: usize,
    /// Users whom it lets in no more.
    away: Vec<AwayView>,
}

/// Every directory.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct DirectoryList {
    items: Vec<DirectoryView>,
}

impl From<DirectoryState> for DirectoryView {
    fn from(state: DirectoryState) -> Self {
        let DirectoryState { id, name, due_at, ended_at, succeeded_at, error, users, linked, away } = state;
        let away = away.into_iter().map(|AwayUser { id, name, reason, since }| AwayView { id, name, reason, since });
        Self { id, name, due_at, ended_at, succeeded_at, error, users, linked, away: away.collect() }
    }
}

/// List directories.
///
/// When each was looked at last, how that went, and whom it lets in no more.
///
/// **Who:** administrators and auditors. **Audit:** none.
#[utoipa::path(get, path = "/api/v1/directories", tag = "configuration",
    extensions(("x-permission" = json!("configuration.see"))),
    responses((status = 200, body = DirectoryList, description = "Every one.")))]
pub(crate) async fn list_directories(State(api): State<Api>, caller: Caller) -> Result<Json<DirectoryList>, Problem> {
    let states = api.app.directory_states(&caller.actor).await?;
    Ok(Json(DirectoryList { items: states.into_iter().map(DirectoryView::from).collect() }))
}

/// Look who is in a directory still.
///
/// As it is looked by itself every `sync_every`. A look that would take away more than half of the directory's users, and five or
/// more, or all of them, is refused with `sync-held` unless it is confirmed.
///
/// **Who:** administrators. **Audit:** `directory.sync`, for the directory and for every user who changed, also when it is refused.
#[utoipa::path(post, path = "/api/v1/identity-providers/{name}/sync", tag = "configuration",
    extensions(("x-permission" = json!("configuration.change.identity_provider"))),
    params(("name" = String, Path, description = "Name of the identity provider.")), request_body = Look,
    responses((status = 200, body = SyncedView, description = "What it did.")))]
pub(crate) async fn sync_directory(
    State(api): State<Api>,
    caller: Caller,
    Id(name): Id<String>,
    Input(Look { confirm }): Input<Look>,
) -> Result<Json<SyncedView>, Problem> {
    Ok(Json(api.app.sync_directory(&caller.actor, &name, confirm).await?.into()))
}
