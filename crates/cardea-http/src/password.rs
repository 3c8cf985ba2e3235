//! The password of a session's login account, for its user's eyes.

use axum::{Json, extract::State};
use cardea_domain::SessionId;
use serde::Serialize;

use crate::{
    Api,
    actor::{Caller, From as Where},
    input::Id,
    problem::Problem,
};

/// A password that is shown. Cardea keeps it sealed until nothing of the session is left.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct PasswordView {
    /// The login account's name on the resource.
    user: String,
    password: String,
    /// Seconds after which whoever shows it to a person hides it again.
    hide_after_s: u64,
}

/// Show the password of a session's login account.
///
/// Where the connection profile says `password_access: reveal`, while the session is open. An account that was made for the
/// session and has no password gets one by this, which takes a moment. At most six times a minute.
///
/// **Who:** its user; not with a token that the operator issued. **Audit:** `session.password`.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/password", tag = "sessions",
    extensions(("x-permission" = json!("own"))), params(("id" = String, Path)),
    responses((status = 200, body = PasswordView, description = "The account and its password.")))]
pub(crate) async fn reveal_password(
    State(api): State<Api>,
    caller: Caller,
    Where(device): Where,
    Id(id): Id<SessionId>,
) -> Result<Json<PasswordView>, Problem> {
    let revealed = api.app.reveal_password(&caller.actor, id, device.peer).await?;
    Ok(Json(PasswordView {
        user: revealed.user,
        password: revealed.password.expose(Clone::clone),
        hide_after_s: revealed.hide_after.as_secs(),
    }))
}
