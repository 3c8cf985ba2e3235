//! API tokens: how programs act for a user.

use axum::{Json, extract::State, http::StatusCode};
use cardea_app::NewToken;
use cardea_domain::{Timestamp, TokenId};
use serde::{Deserialize, Serialize};

use crate::{Api, actor::Caller, input::Input, problem::Problem};

/// A token to be.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenWish {
    /// What it is for.
    name: String,
    /// When it ends.
    #[serde(default)]
    expires_at: Option<Timestamp>,
}

/// A token of any user to be.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssuedTokenWish {
    /// Name or id of the user.
    user: String,
    /// When it ends.
    #[serde(default)]
    expires_at: Option<Timestamp>,
}

/// A new token. It is shown this once; Cardea keeps only a digest of it.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct NewTokenView {
    id: TokenId,
    name: String,
    /// For the header `Authorization: Bearer TOKEN`.
    token: String,
    expires_at: Timestamp,
}

impl From<NewToken> for NewTokenView {
    fn from(new: NewToken) -> Self {
        Self { id: new.id, name: new.name, token: new.token.expose(Clone::clone), expires_at: new.expires_at }
    }
}

/// Make a token for oneself.
///
/// **Who:** users; not with a token that the operator issued. **Audit:** `token.create`.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "tokens",
    extensions(("x-permission" = json!("tokens.create"))), request_body = TokenWish,
    responses((status = 201, body = NewTokenView, description = "The token, shown this once.")))]
pub(crate) async fn create_token(
    State(api): State<Api>,
    caller: Caller,
    Input(wish): Input<TokenWish>,
) -> Result<(StatusCode, Json<NewTokenView>), Problem> {
    let new = api.app.create_token(&caller.actor, &wish.name, wish.expires_at).await?;
    Ok((StatusCode::CREATED, Json(new.into())))
}

/// Make a token for any user.
///
/// It is marked as the operator's in every audit entry and may not touch users, tokens or policies.
///
/// **Who:** the operator, over the control socket. **Audit:** `token.issue`.
#[utoipa::path(post, path = "/api/v1/operator/tokens", tag = "tokens",
    extensions(("x-permission" = json!("operator"))), request_body = IssuedTokenWish,
    responses((status = 201, body = NewTokenView, description = "The token, shown this once.")))]
pub(crate) async fn issue_token(
    State(api): State<Api>,
    caller: Caller,
    Input(wish): Input<IssuedTokenWish>,
) -> Result<(StatusCode, Json<NewTokenView>), Problem> {
    let new = api.app.issue_token(&caller.actor, &wish.user, wish.expires_at).await?;
    Ok((StatusCode::CREATED, Json(new.into())))
}
