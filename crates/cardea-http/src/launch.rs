//! One-time tokens: how a session is joined with `ssh` and without a key.

use axum::{Json, extract::State};
use cardea_domain::{SessionId, Timestamp};
use serde::Serialize;

use crate::{
    Api,
    actor::{Caller, From as Where},
    input::Id,
    problem::Problem,
};

/// A way to join a session once. The token is shown this once; Cardea keeps only a digest of it.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct LaunchView {
    /// What to type in a terminal. Without the token: other people on the machine see commands.
    command: String,
    /// The user name for the SSH client: the session's id.
    user: String,
    /// What to give when the client asks for a password.
    token: String,
    expires_at: Timestamp,
}

/// Make a one-time token that joins a session through the gateway.
///
/// Good once, for a minute, and for nothing but this session. At most six unused ones at a time.
///
/// **Who:** its user. **Audit:** `session.launch`.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/launch", tag = "sessions",
    extensions(("x-permission" = json!("own"))), params(("id" = String, Path)),
    responses((status = 200, body = LaunchView, description = "The command and the token.")))]
pub(crate) async fn launch_session(
    State(api): State<Api>,
    caller: Caller,
    Where(device): Where,
    Id(id): Id<SessionId>,
) -> Result<Json<LaunchView>, Problem> {
    let launch = api.app.launch_session(&caller.actor, id, device.peer).await?;
    let (host, port) = (&api.gateway.host, api.gateway.port);
    Ok(Json(LaunchView {
        command: format!("ssh -p {port} {id}@{host}"),
        user: id.to_string(),
        token: launch.token.expose(Clone::clone),
        expires_at: launch.expires_at,
    }))
}
