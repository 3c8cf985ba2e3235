//! Signing in by an identity provider: the way there, the way back, and its word that somebody has left.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use cardea_app::{AppError, Arrival, Departure, TRIP_LASTS, TripPlan, WayIn};
use cardea_domain::Secret;
use serde::{Deserialize, Serialize};

use crate::{
    Api,
    actor::{From as Where, Newcomer, OwnPage, cookie_named},
    input::{Form, Id, Input, Query},
    problem::Problem,
    sign_in::sign_in_cookie,
};

/// The cookie of a browser that is on its way to a provider. It has to come along when another site leads back here, so it is lax.
const COOKIE: &str = "__Host-cardea-trip";

/// A provider that people can sign in by.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct WayInView {
    name: String,
    /// What its button says.
    display_name: String,
    /// Whether it goes first.
    is_default: bool,
}

/// The providers that people can sign in by.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct WaysIn {
    /// The default one first, then by name.
    items: Vec<WayInView>,
}

/// Where to go when it is done.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Errand {
    /// A page of this server, `/sessions`. Any other address is taken for `/`.
    #[serde(default)]
    return_to: String,
}

/// Where the browser goes.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct DepartureView {
    url: String,
}

/// What a provider sends a browser back with. Some add keys of their own.
#[derive(Deserialize, schemars::JsonSchema)]
pub(crate) struct ArrivalQuery {
    #[serde(default)]
    state: String,
    code: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

/// A provider's word that somebody has left.
#[derive(Deserialize, schemars::JsonSchema)]
pub(crate) struct LogoutToken {
    logout_token: String,
}

impl From<WayIn> for WayInView {
    fn from(way: WayIn) -> Self {
        let WayIn { name, display_name, is_default } = way;
        Self { name, display_name, is_default }
    }
}

/// List the identity providers that people can sign in by.
///
/// **Who:** everybody. **Audit:** none.
#[utoipa::path(get, path = "/api/v1/sign-in/providers", tag = "sign-in",
    extensions(("x-permission" = json!("public"))), security(()),
    responses((status = 200, body = WaysIn, description = "For the buttons of the sign-in page.")))]
pub(crate) async fn list_ways_in(State(api): State<Api>) -> Json<WaysIn> {
    Json(WaysIn { items: api.app.ways_in().into_iter().map(WayInView::from).collect() })
}

/// Sign in by an identity provider: the way there.
///
/// Answers where the browser goes, and with a cookie that ties it to its way: the provider sends it back within ten minutes.
///
/// **Who:** everybody. **Audit:** none.
#[utoipa::path(post, path = "/api/v1/sign-in/providers/{name}", tag = "sign-in",
    extensions(("x-permission" = json!("public"))), security(()),
    params(("name" = String, Path, description = "Name of the identity provider.")), request_body = Errand,
    responses((status = 200, body = DepartureView, description = "Where the browser goes.")))]
pub(crate) async fn depart(
    State(api): State<Api>,
    Where(device): Where,
    _: OwnPage,
    Id(name): Id<String>,
    Input(Errand { return_to }): Input<Errand>,
) -> Result<Response, Problem> {
    let redirect_uri = redirect_uri(&api, &name)?;
    let plan = TripPlan { provider: &name, redirect_uri: &redirect_uri, return_to: &return_to };
    Ok(departed(api.app.depart(&device, plan).await?))
}

/// Show again who one is, at the identity provider that one signs in by.
///
/// As `/api/v1/me/proof`, where `provider` is among the `methods`.
///
/// **Who:** everybody who is signed in. **Audit:** `sign_in`, when the browser comes back.
#[utoipa::path(post, path = "/api/v1/me/proof/provider", tag = "sign-in",
    extensions(("x-permission" = json!("signed_in"))), request_body = Errand,
    responses((status = 200, body = DepartureView, description = "Where the browser goes.")))]
pub(crate) async fn depart_again(
    State(api): State<Api>,
    Newcomer(actor): Newcomer,
    Where(device): Where,
    Input(Errand { return_to }): Input<Errand>,
) -> Result<Response, Problem> {
    let back = |name: &str| redirect_uri(&api, name);
    Ok(departed(api.app.depart_again(&actor, &device, back, &return_to).await?))
}

/// Sign in by an identity provider: the way back.
///
/// Only the browser that set out gets in, once. Browsers are led on to the page that was asked for, or, with a problem, to the
/// sign-in page.
///
/// **Who:** everybody. **Audit:** `sign_in`, also when it is refused; `user.admit` when somebody is new or in other groups.
#[utoipa::path(get, path = "/api/v1/sign-in/providers/{name}/callback", tag = "sign-in",
    extensions(("x-permission" = json!("public"))), security(()),
    params(("name" = String, Path, description = "Name of the identity provider."),
        ("state" = Option<String>, Query, description = "As it was sent."),
        ("code" = Option<String>, Query, description = "For the provider's word about the person."),
        ("error" = Option<String>, Query, description = "Why it lets nobody in."),
        ("iss" = Option<String>, Query, description = "Which provider answers (RFC 9207).")),
    responses((status = 303, description = "Signed in: on to the page that was asked for.")))]
pub(crate) async fn arrive(
    State(api): State<Api>,
    Where(device): Where,
    headers: HeaderMap,
    Id(name): Id<String>,
    Query(query): Query<ArrivalQuery>,
) -> Response {
    let ArrivalQuery { state, code, error, iss } = query;
    let cookie = cookie_named(&headers, COOKIE);
    let arrival = Arrival { cookie, state, code: code.map(Secret::new), error, issuer: iss };
    let arrived = match redirect_uri(&api, &name) {
        Ok(redirect_uri) => api.app.arrive(&device, (&name, &redirect_uri), arrival).await,
        Err(error) => Err(error),
    };
    let mut response = match arrived {
        Ok(arrived) => {
            let mut response = led_to(&arrived.return_to);
            if let Some(signed_in) = &arrived.signed_in {
                response.headers_mut().append(header::SET_COOKIE, sign_in_cookie(signed_in));
            }
            response
        }
        Err(error) => {
            let wants_page = headers.get(header::ACCEPT).and_then(|kinds| kinds.to_str().ok());
            let problem = Problem::from(error);
            if wants_page.is_some_and(|kinds| kinds.contains("text/html")) {
                led_to(&format!("/sign-in?refused={}", problem.slug()))
            } else {
                problem.into_response()
            }
        }
    };
    response.headers_mut().append(header::SET_COOKIE, trip_cookie("", 0));
    response
}

/// Take an identity provider's word that somebody has left.
///
/// OpenID Connect Back-Channel Logout 1.0: ends the sign-ins that were made on the provider's word, and the sessions of their users
/// unless the provider is set otherwise. Each word counts once.
///
/// **Who:** the provider, by its signature. **Audit:** `sign_in`, also when it is refused.
#[utoipa::path(post, path = "/api/v1/sign-in/providers/{name}/logout", tag = "sign-in",
    extensions(("x-permission" = json!("public"))), security(()),
    params(("name" = String, Path, description = "Name of the identity provider.")),
    request_body(content = LogoutToken, content_type = "application/x-www-form-urlencoded"),
    responses((status = 204, description = "They are out.")))]
pub(crate) async fn take_logout(
    State(api): State<Api>,
    Where(device): Where,
    Id(name): Id<String>,
    Form(LogoutToken { logout_token }): Form<LogoutToken>,
) -> Result<StatusCode, Problem> {
    api.app.leave(&device, &name, &logout_token).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Where a provider sends browsers back to. One of its own for each: what comes back there was sent by it, or is not taken.
fn redirect_uri(api: &Api, provider: &str) -> Result<String, AppError> {
    let is_segment = provider.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-');
    if !is_segment {
        return Err(AppError::NotFound);
    }
    let origin = api.public_origin.as_ref().ok_or_else(|| {
        AppError::refused("no-public-url", "providers lead back to `public_url`: set it in the server's settings")
    })?;
    Ok(format!("{origin}/api/v1/sign-in/providers/{provider}/callback"))
}

fn departed(departure: Departure) -> Response {
    let Departure { url, cookie } = departure;
    let cookie = cookie.expose(|value| trip_cookie(value, TRIP_LASTS.as_secs()));
    ([(header::SET_COOKIE, cookie)], Json(DepartureView { url })).into_response()
}

fn trip_cookie(value: &str, seconds: u64) -> HeaderValue {
    let cookie = format!("{COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}");
    let mut cookie = HeaderValue::try_from(cookie).expect("a token is letters and digits");
    cookie.set_sensitive(true);
    cookie
}

fn led_to(page: &str) -> Response {
    let page = HeaderValue::try_from(page).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, page)]).into_response()
}
