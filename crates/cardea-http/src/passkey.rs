//! Passkeys: registering and taking off, and signing in with one.
//!
//! Questions and answers have WebAuthn's JSON form (level 3, section 5.1), so that browsers read and write them by themselves.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use cardea_app::{AskedPasskey, PasskeyAnswer, PasskeyRow, Shown};
use cardea_domain::{PasskeyId, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Api,
    actor::{Caller, From as Where, Newcomer, OwnPage},
    factor::RecoveryCodesView,
    input::{Id, Input},
    problem::Problem,
    sign_in::{Me, welcome, wrong_credentials},
};

/// What a browser is to ask of an authenticator.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct PasskeyAskedView {
    /// To be sent with the answer. Good for one right answer.
    challenge: String,
    /// `PublicKeyCredentialCreationOptionsJSON` or `PublicKeyCredentialRequestOptionsJSON` of WebAuthn.
    options: Value,
    /// Until when it has to be answered.
    expires_at: Timestamp,
}

impl From<AskedPasskey> for PasskeyAskedView {
    fn from(AskedPasskey { challenge, options, expires_at }: AskedPasskey) -> Self {
        Self { challenge: challenge.expose(Clone::clone), options, expires_at }
    }
}

/// What the authenticator said.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasskeyShown {
    /// From the question.
    challenge: String,
    /// `AuthenticationResponseJSON` of WebAuthn.
    credential: Value,
}

impl From<PasskeyShown> for Shown {
    fn from(PasskeyShown { challenge, credential }: PasskeyShown) -> Self {
        Self::Passkey(PasskeyAnswer { challenge: Secret::new(challenge), credential })
    }
}

/// A passkey, in place of a password or after one.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasskeySignIn {
    /// From the problem `mfa-required` that answered the password. Without it the passkey stands alone.
    #[serde(default)]
    ticket: Option<String>,
    /// From the question.
    challenge: String,
    /// `AuthenticationResponseJSON` of WebAuthn.
    credential: Value,
}

/// A passkey to be.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasskeyWish {
    /// What its user will call it.
    name: String,
}

/// The passkey that was made.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasskeyMade {
    name: String,
    /// From the question.
    challenge: String,
    /// `RegistrationResponseJSON` of WebAuthn.
    credential: Value,
}

/// A passkey of a user.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct PasskeyView {
    id: PasskeyId,
    name: String,
    created_at: Timestamp,
    last_used_at: Option<Timestamp>,
}

impl From<PasskeyRow> for PasskeyView {
    fn from(PasskeyRow { id, name, created_at, used_at, .. }: PasskeyRow) -> Self {
        Self { id, name, created_at, last_used_at: used_at }
    }
}

/// Ask for a passkey.
///
/// To sign in with it, alone or after the password, or to show it again. Says nothing about users: the browser finds the passkey.
///
/// **Who:** everybody. **Audit:** none.
#[utoipa::path(post, path = "/api/v1/sign-in/passkey/challenge", tag = "sign-in",
    extensions(("x-permission" = json!("public"))), security(()),
    responses((status = 201, body = PasskeyAskedView, description = "The question.")))]
pub(crate) async fn ask_passkey(
    State(api): State<Api>,
    Where(device): Where,
    _: OwnPage,
) -> Result<(StatusCode, Json<PasskeyAskedView>), Problem> {
    Ok((StatusCode::CREATED, Json(api.app.ask_passkey(&device)?.into())))
}

/// Sign in with a passkey.
///
/// Alone it counts as two factors: its authenticator has verified the user. With a ticket it is the second step.
///
/// **Who:** everybody. **Audit:** `sign_in`, also when it is refused.
#[utoipa::path(post, path = "/api/v1/sign-in/passkey", tag = "sign-in",
    extensions(("x-permission" = json!("public"))), security(()), request_body = PasskeySignIn,
    responses((status = 200, body = Me, description = "Signed in.")))]
pub(crate) async fn sign_in_with_passkey(
    State(api): State<Api>,
    Where(device): Where,
    _: OwnPage,
    Input(PasskeySignIn { ticket, challenge, credential }): Input<PasskeySignIn>,
) -> Result<Response, Problem> {
    let answer = PasskeyAnswer { challenge: Secret::new(challenge), credential };
    let signed_in = match ticket {
        Some(ticket) => api.app.second_step(&device, &Secret::new(ticket), Shown::Passkey(answer)).await,
        None => api.app.sign_in_with_passkey(&device, answer).await,
    };
    welcome(&api, &signed_in.map_err(wrong_credentials)?).await
}

/// Begin to register a passkey.
///
/// Counts for nothing until it is confirmed.
///
/// **Who:** users, signed in, with a fresh factor (a password where there is none). **Audit:** `factor.change`.
#[utoipa::path(post, path = "/api/v1/me/factors/passkeys", tag = "factors",
    extensions(("x-permission" = json!("sign_in"))), request_body = PasskeyWish,
    responses((status = 201, body = PasskeyAskedView, description = "What the browser is to ask for.")))]
pub(crate) async fn begin_passkey(
    State(api): State<Api>,
    Newcomer(actor): Newcomer,
    Where(device): Where,
    Input(PasskeyWish { name }): Input<PasskeyWish>,
) -> Result<(StatusCode, Json<PasskeyAskedView>), Problem> {
    Ok((StatusCode::CREATED, Json(api.app.begin_passkey(&actor, &device, &name).await?.into())))
}

/// Confirm a passkey.
///
/// The first factor of a user gives recovery codes, and ends their other sign-ins; after it there are none in the answer.
///
/// **Who:** users, signed in, with a fresh factor (a password where there is none). **Audit:** `factor.change`, also when it is refused.
#[utoipa::path(post, path = "/api/v1/me/factors/passkeys/confirm", tag = "factors",
    extensions(("x-permission" = json!("sign_in"))), request_body = PasskeyMade,
    responses((status = 200, body = RecoveryCodesView, description = "Recovery codes, shown this once.")))]
pub(crate) async fn confirm_passkey(
    State(api): State<Api>,
    Newcomer(actor): Newcomer,
    Where(device): Where,
    Input(PasskeyMade { name, challenge, credential }): Input<PasskeyMade>,
) -> Result<Json<RecoveryCodesView>, Problem> {
    let answer = PasskeyAnswer { challenge: Secret::new(challenge), credential };
    Ok(Json(api.app.register_passkey(&actor, &device, &name, answer).await?.into()))
}

/// Take one's own passkey off.
///
/// The last factor takes the recovery codes with it. Refused to whoever must have one.
///
/// **Who:** users, signed in, with a fresh factor. **Audit:** `factor.change`, also when it is refused.
#[utoipa::path(delete, path = "/api/v1/me/factors/passkeys/{id}", tag = "factors",
    extensions(("x-permission" = json!("sign_in"))),
    params(("id" = String, Path, description = "The passkey.")),
    responses((status = 204, description = "It is off.")))]
pub(crate) async fn remove_passkey(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<PasskeyId>,
) -> Result<StatusCode, Problem> {
    api.app.remove_passkey(&caller.actor, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
