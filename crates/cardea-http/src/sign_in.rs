//! Signing in and out in a browser.

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use cardea_app::{App, AppError, SignedIn};
use cardea_domain::{Actor, Permission, Secret, Via};
use serde::{Deserialize, Serialize};

use crate::{
    Api, Gateway,
    actor::{COOKIE, Caller, OwnPage, Peer},
    input::Input,
    problem::Problem,
};

/// User and password.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    user: String,
    password: String,
}

/// The one-time token of the set-up link, and the administrator's password to be.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetUp {
    token: String,
    password: String,
}

/// Who the caller is.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct Me {
    user: String,
    full_name: String,
    /// By themselves and by their groups: `administrator`, `auditor`, `user`, and names of roles.
    roles: Vec<String>,
    /// What they may do by these roles, here or there.
    permissions: Vec<Permission>,
    /// `operator` is whoever runs commands beside the data directory.
    #[schemars(extend("enum" = ["operator", "sign_in", "token"]))]
    via: &'static str,
    /// Where `ssh` finds the gateway.
    gateway: Gateway,
}

impl Me {
    fn of(api: &Api, actor: &Actor) -> Self {
        let gateway = api.gateway.clone();
        let all = Permission::ALL.iter().copied();
        let permissions = all.filter(|permission| actor.reach(*permission).is_somewhere()).collect();
        let Actor::User { id, name, roles, via } = actor else {
            let (user, full_name) = (actor.to_string(), String::new());
            return Self { user, full_name, roles: Vec::new(), permissions, via: "operator", gateway };
        };
        let via = match via {
            Via::Key | Via::Launch | Via::SignIn(_) => "sign_in",
            Via::Token { .. } => "token",
        };
        let (user, full_name) = (name.clone(), full_name(&api.app, *id));
        let roles = roles.iter().map(|role| role.name().to_owned()).collect();
        Self { user, full_name, roles, permissions, via, gateway }
    }
}

fn full_name(app: &App, id: cardea_domain::ObjectId) -> String {
    let configuration = app.configuration();
    let user = configuration.get(id).and_then(|object| object.as_user());
    user.map(|user| user.full_name.clone()).unwrap_or_default()
}

/// Sign in.
///
/// Answers with a cookie that the browser keeps from scripts. Throttled by user and by address.
///
/// **Who:** everybody. **Audit:** `sign_in`, also when it is refused.
#[utoipa::path(post, path = "/api/v1/sign-in", tag = "sign-in",
    extensions(("x-permission" = json!("public"))), security(()), request_body = Credentials,
    responses((status = 200, body = Me, description = "Signed in.")))]
pub(crate) async fn sign_in(
    State(api): State<Api>,
    Peer(peer): Peer,
    _: OwnPage,
    Input(Credentials { user, password }): Input<Credentials>,
) -> Result<Response, Problem> {
    let signed_in = api.app.sign_in(peer, &user, Secret::new(password)).await.map_err(wrong_credentials)?;
    Ok(welcome(&api, &signed_in))
}

/// Set the first administrator's password.
///
/// With the one-time token that `cardea init` printed. Signs in.
///
/// **Who:** whoever holds the token. **Audit:** `sign_in`, also when it is refused.
#[utoipa::path(post, path = "/api/v1/set-up", tag = "sign-in",
    extensions(("x-permission" = json!("public"))), security(()), request_body = SetUp,
    responses((status = 200, body = Me, description = "Set up and signed in.")))]
pub(crate) async fn set_up(
    State(api): State<Api>,
    Peer(peer): Peer,
    _: OwnPage,
    Input(SetUp { token, password }): Input<SetUp>,
) -> Result<Response, Problem> {
    let done = api.app.set_up(peer, Secret::new(token), Secret::new(password)).await.map_err(wrong_credentials)?;
    Ok(welcome(&api, &done))
}

fn wrong_credentials(error: AppError) -> Problem {
    match error {
        AppError::Unauthenticated(sentence) => Problem::new("wrong-credentials", sentence),
        other => Problem::from(other),
    }
}

fn welcome(api: &Api, signed_in: &SignedIn) -> Response {
    let cookie =
        signed_in.cookie.expose(|value| format!("{COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Strict"));
    let mut cookie = HeaderValue::try_from(cookie).expect("a token is letters and digits");
    cookie.set_sensitive(true);
    ([(header::SET_COOKIE, cookie)], Json(Me::of(api, &signed_in.actor))).into_response()
}

/// Sign out.
///
/// Ends the sign-in that the cookie stands for, with its event streams.
///
/// **Who:** everybody who is signed in. **Audit:** `sign_in`.
#[utoipa::path(post, path = "/api/v1/sign-out", tag = "sign-in",
    extensions(("x-permission" = json!("signed_in"))),
    responses((status = 204, description = "Signed out.")))]
pub(crate) async fn sign_out(State(api): State<Api>, caller: Caller) -> Result<Response, Problem> {
    api.app.sign_out(&caller.actor).await?;
    let gone = format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, gone)]).into_response())
}

/// Show who the caller is.
///
/// **Who:** everybody who is signed in. **Audit:** none.
#[utoipa::path(get, path = "/api/v1/me", tag = "sign-in",
    extensions(("x-permission" = json!("signed_in"))),
    responses((status = 200, body = Me, description = "The caller.")))]
pub(crate) async fn show_me(State(api): State<Api>, caller: Caller) -> Json<Me> {
    Json(Me::of(&api, &caller.actor))
}
