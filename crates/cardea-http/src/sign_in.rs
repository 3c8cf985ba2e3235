//! Signing in and out in a browser.

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use cardea_app::{App, AppError, Lack, Shown, SignInState, SignInStep, SignedIn};
use cardea_domain::{Actor, Method, Permission, Secret, SignInId, Timestamp, Via};
use serde::{Deserialize, Serialize};

use crate::{
    Api, Gateway,
    actor::{COOKIE, From as Where, Newcomer, OwnPage},
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

/// What is shown in the second step of a sign-in.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecondStep {
    /// From the problem `mfa-required` that answered the password.
    ticket: String,
    code: String,
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
    /// The sign-in that the caller came by, if they did.
    sign_in: Option<MySignIn>,
}

/// The caller's sign-in: when it ends, and what it has shown.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct MySignIn {
    id: SignInId,
    created_at: Timestamp,
    /// When it ends, whatever happens.
    ends_at: Timestamp,
    /// When it was last used, to the minute. Event streams are no use, and neither is what a page reads by itself, which it says in
    /// the header `Cardea-Unattended`.
    last_seen_at: Timestamp,
    /// When it ends if it is not used any more.
    idle_ends_at: Timestamp,
    /// Until when sensitive acts ask for no factor.
    fresh_until: Timestamp,
    /// What can be shown then.
    methods: &'static [Method],
    /// What has to be done before anything else can be: set a second factor up (`enrol`), or show it (`show_factor`).
    #[schemars(extend("enum" = ["enrol", "show_factor", null]))]
    must: Option<&'static str>,
}

impl From<SignInState> for MySignIn {
    fn from(state: SignInState) -> Self {
        let SignInState { id, created_at, ends_at, last_seen_at, idle_ends_at, fresh_until, methods, lack } = state;
        let must = lack.map(|lack| match lack {
            Lack::Enrolment => "enrol",
            Lack::Factor => "show_factor",
        });
        Self { id, created_at, ends_at, last_seen_at, idle_ends_at, fresh_until, methods, must }
    }
}

impl Me {
    pub(crate) async fn of(api: &Api, actor: &Actor) -> Result<Self, Problem> {
        let gateway = api.gateway.clone();
        let sign_in = api.app.sign_in_state(actor).await?.map(MySignIn::from);
        let all = Permission::ALL.iter().copied();
        let permissions = all.filter(|permission| actor.reach(*permission).is_somewhere()).collect();
        let Actor::User { id, name, roles, via } = actor else {
            let (user, full_name) = (actor.to_string(), String::new());
            return Ok(Self { user, full_name, roles: Vec::new(), permissions, via: "operator", gateway, sign_in });
        };
        let via = match via {
            Via::Certificate | Via::Key | Via::Launch | Via::Password | Via::SignIn(_) => "sign_in",
            Via::Token { .. } => "token",
        };
        let (user, full_name) = (name.clone(), full_name(&api.app, *id));
        let roles = roles.iter().map(|role| role.name().to_owned()).collect();
        Ok(Self { user, full_name, roles, permissions, via, gateway, sign_in })
    }
}

fn full_name(app: &App, id: cardea_domain::ObjectId) -> String {
    let configuration = app.configuration();
    let user = configuration.get(id).and_then(|object| object.as_user());
    user.map(|user| user.full_name.clone()).unwrap_or_default()
}

/// Sign in.
///
/// Answers with a cookie that the browser keeps from scripts, or, where the user has a second factor, with the problem
/// `mfa-required`, its `methods` and a `ticket` for the second step. Throttled by user and by address.
///
/// **Who:** everybody. **Audit:** `sign_in`, also when it is refused.
#[utoipa::path(post, path = "/api/v1/sign-in", tag = "sign-in",
    extensions(("x-permission" = json!("public"))), security(()), request_body = Credentials,
    responses((status = 200, body = Me, description = "Signed in.")))]
pub(crate) async fn sign_in(
    State(api): State<Api>,
    Where(device): Where,
    _: OwnPage,
    Input(Credentials { user, password }): Input<Credentials>,
) -> Result<Response, Problem> {
    match api.app.sign_in(&device, &user, Secret::new(password)).await.map_err(wrong_credentials)? {
        SignInStep::Done(signed_in) => welcome(&api, &signed_in).await,
        SignInStep::SecondFactor { methods, ticket } => Err(Problem::second_step(methods, &ticket)),
    }
}

/// Sign in: the second step, by a code of an authenticator app.
///
/// A code works once; a ticket takes five attempts, from the address that showed the password.
///
/// **Who:** whoever holds the ticket. **Audit:** `sign_in`, also when it is refused.
#[utoipa::path(post, path = "/api/v1/sign-in/totp", tag = "sign-in",
    extensions(("x-permission" = json!("public"))), security(()), request_body = SecondStep,
    responses((status = 200, body = Me, description = "Signed in.")))]
pub(crate) async fn sign_in_with_totp(
    State(api): State<Api>,
    Where(device): Where,
    _: OwnPage,
    Input(SecondStep { ticket, code }): Input<SecondStep>,
) -> Result<Response, Problem> {
    let (ticket, shown) = (Secret::new(ticket), Shown::Totp(Secret::new(code)));
    let signed_in = api.app.second_step(&device, &ticket, shown).await.map_err(wrong_credentials)?;
    welcome(&api, &signed_in).await
}

/// Sign in: the second step, by a recovery code.
///
/// Each code works once.
///
/// **Who:** whoever holds the ticket. **Audit:** `sign_in`, also when it is refused.
#[utoipa::path(post, path = "/api/v1/sign-in/recovery-code", tag = "sign-in",
    extensions(("x-permission" = json!("public"))), security(()), request_body = SecondStep,
    responses((status = 200, body = Me, description = "Signed in.")))]
pub(crate) async fn sign_in_with_recovery_code(
    State(api): State<Api>,
    Where(device): Where,
    _: OwnPage,
    Input(SecondStep { ticket, code }): Input<SecondStep>,
) -> Result<Response, Problem> {
    let (ticket, shown) = (Secret::new(ticket), Shown::RecoveryCode(Secret::new(code)));
    let signed_in = api.app.second_step(&device, &ticket, shown).await.map_err(wrong_credentials)?;
    welcome(&api, &signed_in).await
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
    Where(device): Where,
    _: OwnPage,
    Input(SetUp { token, password }): Input<SetUp>,
) -> Result<Response, Problem> {
    let done = api.app.set_up(&device, Secret::new(token), Secret::new(password)).await.map_err(wrong_credentials)?;
    welcome(&api, &done).await
}

pub(crate) fn wrong_credentials(error: AppError) -> Problem {
    match error {
        AppError::Unauthenticated(sentence) => Problem::new("wrong-credentials", sentence),
        other => Problem::from(other),
    }
}

pub(crate) async fn welcome(api: &Api, signed_in: &SignedIn) -> Result<Response, Problem> {
    let me = Me::of(api, &signed_in.actor).await?;
    Ok(([(header::SET_COOKIE, sign_in_cookie(signed_in))], Json(me)).into_response())
}

/// The cookie that a browser shows from now on.
pub(crate) fn sign_in_cookie(signed_in: &SignedIn) -> HeaderValue {
    let cookie =
        signed_in.cookie.expose(|value| format!("{COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Strict"));
    let mut cookie = HeaderValue::try_from(cookie).expect("a token is letters and digits");
    cookie.set_sensitive(true);
    cookie
}

/// Sign out.
///
/// Ends the sign-in that the cookie stands for, with its event streams.
///
/// **Who:** everybody who is signed in. **Audit:** `sign_in`.
#[utoipa::path(post, path = "/api/v1/sign-out", tag = "sign-in",
    extensions(("x-permission" = json!("signed_in"))),
    responses((status = 204, description = "Signed out.")))]
pub(crate) async fn sign_out(State(api): State<Api>, Newcomer(actor): Newcomer) -> Result<Response, Problem> {
    api.app.sign_out(&actor).await?;
    let gone = format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, gone)]).into_response())
}

/// Show who the caller is.
///
/// **Who:** everybody who is signed in. **Audit:** none.
#[utoipa::path(get, path = "/api/v1/me", tag = "sign-in",
    extensions(("x-permission" = json!("signed_in"))),
    responses((status = 200, body = Me, description = "The caller.")))]
pub(crate) async fn show_me(State(api): State<Api>, Newcomer(actor): Newcomer) -> Result<Json<Me>, Problem> {
    Me::of(&api, &actor).await.map(Json)
}
