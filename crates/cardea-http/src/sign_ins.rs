//! Sign-ins as a list, to be looked at and ended.

use axum::{Json, extract::State, http::StatusCode};
use cardea_app::SignInRow;
use cardea_domain::{Actor, SignInId, Timestamp, Via};
use serde::{Deserialize, Serialize};

use crate::{
    Api,
    actor::Caller,
    input::{Id, Input, Query},
    problem::Problem,
};

/// Whose sign-ins or tokens.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Whose {
    #[serde(default)]
    pub(crate) user: Option<String>,
}

/// Which sign-ins.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignInsToEnd {
    /// Name or id of the user; oneself if left out.
    #[serde(default)]
    user: Option<String>,
    /// Also the one that asks.
    #[serde(default)]
    own_too: bool,
}

/// A sign-in.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct SignInView {
    id: SignInId,
    created_at: Timestamp,
    /// To the minute.
    last_seen_at: Timestamp,
    /// When it ends, whatever happens.
    ends_at: Timestamp,
    /// The address that it was made from; of IPv6 the network.
    peer: String,
    /// What the browser called itself.
    agent: String,
    /// Whether a second factor was shown in it.
    second_factor: bool,
    /// Whether it is the one that asks.
    own: bool,
}

/// Sign-ins, newest first.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct SignInList {
    items: Vec<SignInView>,
}

/// How many were ended.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct EndedSignIns {
    ended: u64,
}

impl SignInView {
    fn of(row: SignInRow, actor: &Actor) -> Self {
        let SignInRow { id, created_at, last_seen_at, expires_at, peer, agent, factor_at, .. } = row;
        Self {
            id,
            created_at,
            last_seen_at,
            ends_at: expires_at,
            peer: peer.unwrap_or_default(),
            agent: agent.unwrap_or_default(),
            second_factor: factor_at.is_some(),
            own: matches!(actor, Actor::User { via: Via::SignIn(own), .. } if *own == id),
        }
    }
}

/// List sign-ins.
///
/// **Who:** everybody, their own; administrators and auditors, with `user`, anybody's. **Audit:** none.
#[utoipa::path(get, path = "/api/v1/sign-ins", tag = "sign-in",
    extensions(("x-permission" = json!("own or sign_ins.see"))),
    params(("user" = Option<String>, Query, description = "Name or id of the user; oneself if left out.")),
    responses((status = 200, body = SignInList, description = "Those that are not over.")))]
pub(crate) async fn list_sign_ins(
    State(api): State<Api>,
    caller: Caller,
    Query(Whose { user }): Query<Whose>,
) -> Result<Json<SignInList>, Problem> {
    let rows = api.app.sign_ins(&caller.actor, user.as_deref()).await?;
    Ok(Json(SignInList { items: rows.into_iter().map(|row| SignInView::of(row, &caller.actor)).collect() }))
}

/// End a sign-in.
///
/// **Who:** its user, and administrators. **Audit:** `sign_in.end`.
#[utoipa::path(delete, path = "/api/v1/sign-ins/{id}", tag = "sign-in",
    extensions(("x-permission" = json!("own or sign_ins.end"))), params(("id" = String, Path)),
    responses((status = 204, description = "It is over.")))]
pub(crate) async fn end_sign_in(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<SignInId>,
) -> Result<StatusCode, Problem> {
    api.app.end_sign_in(&caller.actor, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// End all sign-ins of a user.
///
/// The one that asks goes on, unless it says otherwise.
///
/// **Who:** everybody, their own; administrators, with `user`, anybody's. **Audit:** `sign_in.end`.
#[utoipa::path(post, path = "/api/v1/sign-ins/end", tag = "sign-in",
    extensions(("x-permission" = json!("own or sign_ins.end"))), request_body = SignInsToEnd,
    responses((status = 200, body = EndedSignIns, description = "They are over.")))]
pub(crate) async fn end_sign_ins(
    State(api): State<Api>,
    caller: Caller,
    Input(SignInsToEnd { user, own_too }): Input<SignInsToEnd>,
) -> Result<Json<EndedSignIns>, Problem> {
    let ended = api.app.end_sign_ins(&caller.actor, user.as_deref(), !own_too).await?;
    Ok(Json(EndedSignIns { ended }))
}
