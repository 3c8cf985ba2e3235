//! What people show beside their password, and the password itself: setting up, showing again, changing, taking off.

use axum::{Json, extract::State, http::StatusCode};
use cardea_app::{Enrolment, Factors, RecoveryCodes, Shown};
use cardea_domain::{Secret, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Api,
    actor::{Caller, From as Where, Newcomer},
    input::{Id, Input},
    passkey::{PasskeyShown, PasskeyView},
    problem::Problem,
    sign_in::Me,
};

/// What is shown again.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum ProofShown {
    /// A passkey of one's own: the answer to `/api/v1/sign-in/passkey/challenge`.
    Passkey(PasskeyShown),
    /// For whoever has no second factor.
    Password(String),
    /// One of the recovery codes.
    RecoveryCode(String),
    /// The present code of the authenticator app.
    Totp(String),
}

/// A code of the app that is being set up.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AppCode {
    code: String,
}

/// Another password.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordChange {
    /// The present one. Whoever showed a second factor lately may leave it out.
    #[serde(default)]
    old: Option<String>,
    new: String,
}

/// What a user can show beside their password.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct FactorsView {
    /// Whether they must have a second factor.
    required: bool,
    /// Since when they have an authenticator app.
    totp_since: Option<Timestamp>,
    /// Oldest first.
    passkeys: Vec<PasskeyView>,
    recovery_codes_left: u32,
}

impl From<Factors> for FactorsView {
    fn from(factors: Factors) -> Self {
        let Factors { is_required, totp_since, passkeys, recovery_codes_left } = factors;
        let passkeys = passkeys.into_iter().map(PasskeyView::from).collect();
        Self { required: is_required, totp_since, passkeys, recovery_codes_left }
    }
}

/// An authenticator app to be. It is shown this once, and counts when a code of it was shown.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct EnrolmentView {
    /// To be typed where there is no camera.
    secret: String,
    /// To be shown as a QR code.
    uri: String,
    /// Until when a code has to be shown.
    expires_at: Timestamp,
}

impl From<Enrolment> for EnrolmentView {
    fn from(enrolment: Enrolment) -> Self {
        let Enrolment { secret, uri, expires_at } = enrolment;
        Self { secret: secret.expose(Clone::clone), uri: uri.expose(Clone::clone), expires_at }
    }
}

/// Codes to be kept on paper. They are shown this once, and each works once.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct RecoveryCodesView {
    recovery_codes: Vec<String>,
}

impl From<RecoveryCodes> for RecoveryCodesView {
    fn from(RecoveryCodes(codes): RecoveryCodes) -> Self {
        Self { recovery_codes: codes.iter().map(|code| code.expose(Clone::clone)).collect() }
    }
}

/// Show a factor again.
///
/// For sensitive acts, which answer `factor-needed` when the last one was shown too long ago.
///
/// **Who:** everybody who is signed in. **Audit:** `sign_in`, also when it is refused.
#[utoipa::path(post, path = "/api/v1/me/proof", tag = "sign-in",
    extensions(("x-permission" = json!("signed_in"))), request_body = ProofShown,
    responses((status = 200, body = Me, description = "The caller, with the new `fresh_until`.")))]
pub(crate) async fn show_proof(
    State(api): State<Api>,
    Newcomer(actor): Newcomer,
    Where(device): Where,
    Input(shown): Input<ProofShown>,
) -> Result<Json<Me>, Problem> {
    let shown = match shown {
        ProofShown::Passkey(shown) => shown.into(),
        ProofShown::Password(password) => Shown::Password(Secret::new(password)),
        ProofShown::RecoveryCode(code) => Shown::RecoveryCode(Secret::new(code)),
        ProofShown::Totp(code) => Shown::Totp(Secret::new(code)),
    };
    api.app.show_again(&actor, &device, shown).await?;
    Me::of(&api, &actor).await.map(Json)
}

/// Change one's own password.
///
/// Ends the caller's other sign-ins.
///
/// **Who:** users, signed in, who know the old one or showed a second factor lately. **Audit:** `password.change`.
#[utoipa::path(put, path = "/api/v1/me/password", tag = "sign-in",
    extensions(("x-permission" = json!("sign_in"))), request_body = PasswordChange,
    responses((status = 204, description = "It is changed.")))]
pub(crate) async fn change_password(
    State(api): State<Api>,
    caller: Caller,
    Where(device): Where,
    Input(PasswordChange { old, new }): Input<PasswordChange>,
) -> Result<StatusCode, Problem> {
    api.app.change_password(&caller.actor, &device, old.map(Secret::new), Secret::new(new)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Show one's own factors.
///
/// **Who:** users. **Audit:** none.
#[utoipa::path(get, path = "/api/v1/me/factors", tag = "factors",
    extensions(("x-permission" = json!("signed_in"))),
    responses((status = 200, body = FactorsView, description = "What the caller can show.")))]
pub(crate) async fn show_my_factors(
    State(api): State<Api>,
    Newcomer(actor): Newcomer,
) -> Result<Json<FactorsView>, Problem> {
    Ok(Json(api.app.factors(&actor, None).await?.into()))
}

/// Take one's own second factors off.
///
/// The app, every passkey and the recovery codes. Refused to whoever must have one.
///
/// **Who:** users, signed in, with a fresh factor. **Audit:** `factor.change`.
#[utoipa::path(delete, path = "/api/v1/me/factors", tag = "factors",
    extensions(("x-permission" = json!("sign_in"))),
    responses((status = 204, description = "It is off.")))]
pub(crate) async fn remove_factors(State(api): State<Api>, caller: Caller) -> Result<StatusCode, Problem> {
    api.app.remove_factors(&caller.actor).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Begin to set an authenticator app up.
///
/// Counts for nothing until it is confirmed; then it takes the place of one that was there before.
///
/// **Who:** users, signed in, with a fresh factor (a password where there is none). **Audit:** `factor.change`.
#[utoipa::path(post, path = "/api/v1/me/factors/totp", tag = "factors",
    extensions(("x-permission" = json!("sign_in"))),
    responses((status = 201, body = EnrolmentView, description = "The secret, shown this once.")))]
pub(crate) async fn enrol_totp(
    State(api): State<Api>,
    Newcomer(actor): Newcomer,
) -> Result<(StatusCode, Json<EnrolmentView>), Problem> {
    let issuer = format!("Cardea ({})", api.gateway.host);
    let enrolment = api.app.enrol_totp(&actor, &issuer).await?;
    Ok((StatusCode::CREATED, Json(enrolment.into())))
}

/// Confirm an authenticator app by a code of it.
///
/// Gives recovery codes, and ends the caller's other sign-ins.
///
/// **Who:** users, signed in, with a fresh factor (a password where there is none). **Audit:** `factor.change`, also when it is refused.
#[utoipa::path(post, path = "/api/v1/me/factors/totp/confirm", tag = "factors",
    extensions(("x-permission" = json!("sign_in"))), request_body = AppCode,
    responses((status = 200, body = RecoveryCodesView, description = "Recovery codes, shown this once.")))]
pub(crate) async fn confirm_totp(
    State(api): State<Api>,
    Newcomer(actor): Newcomer,
    Where(device): Where,
    Input(AppCode { code }): Input<AppCode>,
) -> Result<Json<RecoveryCodesView>, Problem> {
    Ok(Json(api.app.confirm_totp(&actor, &device, &Secret::new(code)).await?.into()))
}

/// Make new recovery codes.
///
/// The ones before are of no use any more.
///
/// **Who:** users, signed in, with a fresh factor. **Audit:** `factor.change`.
#[utoipa::path(post, path = "/api/v1/me/factors/recovery-codes", tag = "factors",
    extensions(("x-permission" = json!("sign_in"))),
    responses((status = 201, body = RecoveryCodesView, description = "Recovery codes, shown this once.")))]
pub(crate) async fn renew_recovery_codes(
    State(api): State<Api>,
    caller: Caller,
) -> Result<(StatusCode, Json<RecoveryCodesView>), Problem> {
    Ok((StatusCode::CREATED, Json(api.app.renew_recovery_codes(&caller.actor).await?.into())))
}

/// Show a user's factors.
///
/// **Who:** administrators and auditors; users, their own. **Audit:** none.
#[utoipa::path(get, path = "/api/v1/users/{name}/factors", tag = "factors",
    extensions(("x-permission" = json!("own or sign_ins.see"))),
    params(("name" = String, Path, description = "Name or id.")),
    responses((status = 200, body = FactorsView, description = "What the user can show.")))]
pub(crate) async fn show_factors(
    State(api): State<Api>,
    caller: Caller,
    Id(name): Id<String>,
) -> Result<Json<FactorsView>, Problem> {
    Ok(Json(api.app.factors(&caller.actor, Some(&name)).await?.into()))
}

/// Take a user's second factor off.
///
/// For whoever lost it. Ends their sign-ins; the next one needs the password alone, and whoever must have a second factor can
/// then only set up a new one.
///
/// **Who:** administrators, signed in with a fresh factor, and the operator; not with a token. **Audit:** `factor.reset`.
#[utoipa::path(delete, path = "/api/v1/users/{name}/factors", tag = "factors",
    extensions(("x-permission" = json!("factors.reset"))),
    params(("name" = String, Path, description = "Name or id.")),
    responses((status = 204, description = "It is off.")))]
pub(crate) async fn reset_factors(
    State(api): State<Api>,
    caller: Caller,
    Id(name): Id<String>,
) -> Result<StatusCode, Problem> {
    api.app.reset_factors(&caller.actor, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
