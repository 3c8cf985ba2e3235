//! Invitations to choose a password.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use cardea_app::AppError;
use cardea_domain::{Secret, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Api,
    actor::{Caller, From as Where, OwnPage},
    input::Input,
    problem::Problem,
};

/// An invitation that is on its way.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct InvitationView {
    /// Where it goes.
    email: String,
    /// Its link works once, and not after this.
    expires_at: Timestamp,
}

/// What the link holds, and the password to be.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Accepting {
    token: String,
    password: String,
}

/// Invite a user.
///
/// Sends them a mail with a link to choose a password. The link works once, for three days; inviting again makes it void.
///
/// **Who:** administrators, the operator; within their scope who has the permission by a role. Nobody invites a user who may do more
/// than they. **Audit:** `user.invite`.
#[utoipa::path(post, path = "/api/v1/users/{name}/invite", tag = "users",
    extensions(("x-permission" = json!("configuration.change.user"))),
    params(("name" = String, Path, description = "Name or id of the user.")),
    responses((status = 202, body = InvitationView, description = "The mail is on its way.")))]
pub(crate) async fn invite_user(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<(StatusCode, Json<InvitationView>), Problem> {
    let invited = api.app.invite(&caller.actor, &name).await?;
    let view = InvitationView { email: invited.email, expires_at: invited.expires_at };
    Ok((StatusCode::ACCEPTED, Json(view)))
}

/// Take an invitation up.
///
/// With the token behind the `#` of the link in the mail. Sets the password and signs nobody in.
///
/// **Who:** whoever holds the token. **Audit:** `sign_in`, also when it is refused.
#[utoipa::path(post, path = "/api/v1/accept-invitation", tag = "sign-in",
    extensions(("x-permission" = json!("public"))), security(()), request_body = Accepting,
    responses((status = 204, description = "The password is set: sign in with it.")))]
pub(crate) async fn accept_invitation(
    State(api): State<Api>,
    Where(device): Where,
    _: OwnPage,
    Input(Accepting { token, password }): Input<Accepting>,
) -> Result<StatusCode, Problem> {
    let accepted = api.app.accept_invitation(&device, Secret::new(token), Secret::new(password)).await;
    accepted.map_err(|error| match error {
        AppError::Unauthenticated(sentence) => Problem::new("wrong-credentials", sentence),
        other => Problem::from(other),
    })?;
    Ok(StatusCode::NO_CONTENT)
}
