//! People's SSH keys: one's own, and for administrators those of others.

use axum::{Json, extract::State, http::StatusCode};
use cardea_app::SshKey;
use cardea_domain::{OwnKeyId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Api,
    actor::Caller,
    input::{Id, Ids, Input},
    problem::Problem,
};

/// A key with which a user comes in through the gateway.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct SshKeyView {
    /// None for a key that the configuration gives: only an administrator takes that away.
    id: Option<OwnKeyId>,
    name: String,
    /// Type and base64, without comment.
    public_key: String,
    /// As `ssh-keygen -l` prints it.
    fingerprint: String,
    created_at: Option<Timestamp>,
    /// Whether it is this user's and nobody else's: the configuration says so, or they came in with it. Until then it works, and
    /// goes to whoever shows first that they hold it.
    proven: bool,
    /// When it last let its user in.
    last_used_at: Option<Timestamp>,
}

/// A user's keys.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct SshKeyList {
    items: Vec<SshKeyView>,
    next: Option<String>,
}

/// A key to register.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSshKey {
    /// One line as `ssh-keygen` prints it. Nobody else may have it by the configuration, or have come in with it.
    public_key: String,
    /// At most 64 characters; the key's comment if left out.
    #[serde(default)]
    name: String,
}

impl From<SshKey> for SshKeyView {
    fn from(key: SshKey) -> Self {
        let SshKey { id, name, public_key, fingerprint, created_at, is_proven, last_used_at } = key;
        Self { id, name, public_key, fingerprint, created_at, proven: is_proven, last_used_at }
    }
}

/// List the caller's SSH keys.
///
/// **Who:** everybody, their own. **Audit:** none.
#[utoipa::path(get, path = "/api/v1/me/ssh-keys", tag = "my",
    extensions(("x-permission" = json!("signed_in"))),
    responses((status = 200, body = SshKeyList, description = "The keys; what the configuration gives first.")))]
pub(crate) async fn list_ssh_keys(State(api): State<Api>, caller: Caller) -> Result<Json<SshKeyList>, Problem> {
    let keys = api.app.ssh_keys(&caller.actor, None).await?;
    Ok(Json(SshKeyList { items: keys.into_iter().map(SshKeyView::from).collect(), next: None }))
}

/// Register an SSH key.
///
/// At most 20. A key names one person: one that the configuration gives somebody, or that somebody has come in with, is refused. It
/// is the caller's for good once they came in with it. They are told of it by mail.
///
/// **Who:** users, for themselves, in a sign-in with a fresh factor. **Audit:** `ssh_key.change`.
#[utoipa::path(post, path = "/api/v1/me/ssh-keys", tag = "my",
    extensions(("x-permission" = json!("sign_in"))), request_body = NewSshKey,
    responses((status = 201, body = SshKeyView, description = "The key.")))]
pub(crate) async fn add_ssh_key(
    State(api): State<Api>,
    caller: Caller,
    Input(NewSshKey { public_key, name }): Input<NewSshKey>,
) -> Result<(StatusCode, Json<SshKeyView>), Problem> {
    let key = api.app.add_ssh_key(&caller.actor, &public_key, &name).await?;
    Ok((StatusCode::CREATED, Json(key.into())))
}

/// Take an SSH key away.
///
/// Connections of sessions that were entered with it are cut.
///
/// **Who:** users, their own, in a sign-in. **Audit:** `ssh_key.change`.
#[utoipa::path(delete, path = "/api/v1/me/ssh-keys/{id}", tag = "my",
    extensions(("x-permission" = json!("sign_in"))), params(("id" = String, Path)),
    responses((status = 204, description = "It is gone.")))]
pub(crate) async fn remove_ssh_key(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<OwnKeyId>,
) -> Result<StatusCode, Problem> {
    api.app.remove_ssh_key(&caller.actor, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List a user's SSH keys.
///
/// **Who:** administrators and auditors; users, their own. **Audit:** none.
#[utoipa::path(get, path = "/api/v1/users/{name}/ssh-keys", tag = "factors",
    extensions(("x-permission" = json!("own or sign_ins.see"))),
    params(("name" = String, Path, description = "Name or id.")),
    responses((status = 200, body = SshKeyList, description = "The keys; what the configuration gives first.")))]
pub(crate) async fn list_ssh_keys_of(
    State(api): State<Api>,
    caller: Caller,
    Id(name): Id<String>,
) -> Result<Json<SshKeyList>, Problem> {
    let keys = api.app.ssh_keys(&caller.actor, Some(&name)).await?;
    Ok(Json(SshKeyList { items: keys.into_iter().map(SshKeyView::from).collect(), next: None }))
}

/// Take a user's SSH key away.
///
/// One that they registered themselves. Connections of sessions that were entered with it are cut, and certificates for it are good no
/// more.
///
/// **Who:** administrators, signed in with a fresh factor, and the operator; not with a token. **Audit:** `ssh_key.remove`.
#[utoipa::path(delete, path = "/api/v1/users/{name}/ssh-keys/{id}", tag = "factors",
    extensions(("x-permission" = json!("factors.reset"))),
    params(("name" = String, Path, description = "Name or id."), ("id" = String, Path)),
    responses((status = 204, description = "It is gone.")))]
pub(crate) async fn remove_ssh_key_of(
    State(api): State<Api>,
    caller: Caller,
    Ids(name, id): Ids<String, OwnKeyId>,
) -> Result<StatusCode, Problem> {
    api.app.remove_ssh_key_of(&caller.actor, &name, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
