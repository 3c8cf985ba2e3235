//! API tokens: how programs act for a user.

use axum::{Json, extract::State, http::StatusCode};
use cardea_app::{NewToken, TokenRow};
use cardea_domain::{Timestamp, TokenId, TokenScopes};
use serde::{Deserialize, Serialize};

use crate::{
    Api,
    actor::Caller,
    input::{Id, Input, Query},
    problem::Problem,
    sign_ins::Whose,
};

/// A token to be.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenWish {
    /// What it is for.
    name: String,
    /// When it ends.
    #[serde(default)]
    expires_at: Option<Timestamp>,
    /// What it may be used for; left out, whatever its user may do.
    #[serde(default)]
    scopes: Option<TokenScopes>,
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
    scopes: TokenScopes,
}

/// A token, without its value.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct TokenView {
    id: TokenId,
    name: String,
    created_at: Timestamp,
    expires_at: Timestamp,
    /// To the minute.
    last_used_at: Option<Timestamp>,
    scopes: TokenScopes,
    /// Made by whoever runs Cardea, and not by its user.
    operator_issued: bool,
}

/// Tokens, newest first.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct TokenList {
    items: Vec<TokenView>,
}

impl From<TokenRow> for TokenView {
    fn from(row: TokenRow) -> Self {
        let TokenRow { id, name, created_at, expires_at, last_used_at, scopes, operator_issued, .. } = row;
        Self { id, name, created_at, expires_at, last_used_at, scopes, operator_issued }
    }
}

impl From<NewToken> for NewTokenView {
    fn from(new: NewToken) -> Self {
        let token = new.token.expose(Clone::clone);
        Self { id: new.id, name: new.name, token, expires_at: new.expires_at, scopes: new.scopes }
    }
}

/// Make a token for oneself.
///
/// A token is not asked for a factor later: making it needs a fresh one, and its scopes say what it may be used for.
///
/// **Who:** users, signed in; not with a token. **Audit:** `token.create`.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "tokens",
    extensions(("x-permission" = json!("tokens.create"))), request_body = TokenWish,
    responses((status = 201, body = NewTokenView, description = "The token, shown this once.")))]
pub(crate) async fn create_token(
    State(api): State<Api>,
    caller: Caller,
    Input(wish): Input<TokenWish>,
) -> Result<(StatusCode, Json<NewTokenView>), Problem> {
    let TokenWish { name, expires_at, scopes } = wish;
    let new = api.app.create_token(&caller.actor, cardea_app::TokenWish { name, expires_at, scopes }).await?;
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

/// List tokens.
///
/// **Who:** everybody, their own; administrators and auditors, with `user`, anybody's. **Audit:** none.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "tokens",
    extensions(("x-permission" = json!("own or sign_ins.see"))),
    params(("user" = Option<String>, Query, description = "Name or id of the user; oneself if left out.")),
    responses((status = 200, body = TokenList, description = "Those that are not over.")))]
pub(crate) async fn list_tokens(
    State(api): State<Api>,
    caller: Caller,
    Query(Whose { user }): Query<Whose>,
) -> Result<Json<TokenList>, Problem> {
    let tokens = api.app.tokens(&caller.actor, user.as_deref()).await?;
    Ok(Json(TokenList { items: tokens.into_iter().map(TokenView::from).collect() }))
}

/// Revoke a token.
///
/// It ends at once, with its event streams.
///
/// **Who:** its user, and administrators. **Audit:** `token.revoke`.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "tokens",
    extensions(("x-permission" = json!("own or sign_ins.end"))), params(("id" = String, Path)),
    responses((status = 204, description = "It is over.")))]
pub(crate) async fn revoke_token(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<TokenId>,
) -> Result<StatusCode, Problem> {
    api.app.revoke_token(&caller.actor, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
