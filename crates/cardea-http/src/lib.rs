//! The HTTP API and the embedded web UI: translates between the wire and `cardea_app::App`, and decides nothing.
//!
//! One file per noun. Every answer that is not the wished one is a [`problem`](crate::problem); every shape is in the
//! OpenAPI document, which is made from the same routes and types that serve it. Listening and TLS are not done here.

mod actor;
mod apply;
mod approval;
mod certificate;
mod directory;
mod event;
mod explain;
mod factor;
mod grant;
mod guard;
mod health;
mod input;
mod invitation;
mod launch;
mod lock;
mod log;
mod metrics;
mod my;
mod notice;
mod object;
mod openapi;
mod openid;
mod origin;
mod passkey;
mod password;
mod permission;
mod problem;
mod problems;
mod review;
mod session;
mod sign_in;
mod sign_ins;
mod ssh_key;
mod stream;
mod token;
mod ui;

use std::{sync::Arc, time::Duration};

use axum::{Router, extract::DefaultBodyLimit, middleware, routing};
use cardea_app::App;
use cardea_domain::Entropy;
use tokio_util::sync::CancellationToken;
use tower_http::compression::CompressionLayer;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{origin::Origin, stream::Streams};

pub use metrics::{MetricsSettings, ProcessFigures};

/// What the server is known as to its clients, and what the routes need beside [`App`].
#[derive(Clone)]
pub struct HttpSettings {
    /// Where browsers find the server, `https://cardea.example.com`. Requests with a cookie must come from here. An
    /// address that is not one allows nothing but pages served by the very host that a request is sent to.
    pub public_url: String,
    /// Where `ssh` finds the gateway.
    pub gateway: Gateway,
    /// Numbers of requests start at a random place, so that they differ from one start to the next.
    pub entropy: Arc<dyn Entropy>,
    /// How often event streams say something, and how late they notice that a sign-in is over: [`HEARTBEAT`].
    pub heartbeat: Duration,
    /// Who may scrape `/metrics`.
    pub metrics: MetricsSettings,
    /// How long certificates for people's SSH keys last at most.
    pub certificates_last: Duration,
    /// Ends event streams, which would otherwise hold a shutdown up.
    pub stop: CancellationToken,
}

/// Where `ssh` finds the gateway, as people are told.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Gateway {
    /// Host name or IP address.
    pub host: String,
    pub port: u16,
}

/// Marks a request that came over the control socket or from this very process: whoever sent it is the operator,
/// unless the request carries a token of a user. The server puts it into the request's extensions.
#[derive(Clone, Copy, Debug)]
pub struct Operator {
    /// Numeric user id of the sender.
    pub uid: u32,
}

/// What every handler can reach.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) app: App,
    pub(crate) gateway: Gateway,
    pub(crate) public_origin: Option<Origin>,
    pub(crate) streams: Arc<Streams>,
    pub(crate) heartbeat: Duration,
    pub(crate) metrics: MetricsSettings,
    pub(crate) certificates_last: Duration,
    pub(crate) stop: CancellationToken,
    /// The OpenAPI document.
    pub(crate) document: Arc<str>,
}

/// Shorter than the idle limits of common proxies.
pub const HEARTBEAT: Duration = Duration::from_secs(15);

/// The largest body that is read.
const BODY_BYTES_MAX: usize = 1 << 20;

/// The whole service: API, pages, UI. The peer's address is taken from `ConnectInfo<SocketAddr>`.
pub fn router(app: App, settings: HttpSettings) -> Router {
    let (router, openapi) = documented().split_for_parts();
    let api = Api {
        app,
        gateway: settings.gateway,
        public_origin: Origin::of_url(&settings.public_url),
        streams: Arc::default(),
        heartbeat: settings.heartbeat,
        metrics: settings.metrics,
        certificates_last: settings.certificates_last,
        stop: settings.stop,
        document: openapi::document(&openapi).to_string().into(),
    };
    router
        .route("/problems/{slug}", routing::get(problems::page))
        .method_not_allowed_fallback(problem::wrong_method)
        .fallback(ui::serve)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn_with_state(
            guard::Guard::new(&*settings.entropy, guard::ANSWER_WITHIN),
            guard::guard,
        ))
        .with_state(api)
}

/// The OpenAPI document of [`router`], as it is served at `/api/openapi.json`.
pub fn openapi() -> serde_json::Value {
    openapi::document(&documented().into_openapi())
}

/// Every route of the API. A route that is not here is not in the document, and one that is not in the document fails
/// the tests.
fn documented() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(openapi::head())
        .routes(routes!(health::show_health))
        .routes(routes!(health::show_readiness))
        .routes(routes!(metrics::show_metrics))
        .routes(routes!(openapi::show_document))
        .routes(routes!(sign_in::sign_in))
        .routes(routes!(sign_in::sign_in_with_totp))
        .routes(routes!(sign_in::sign_in_with_recovery_code))
        .routes(routes!(passkey::ask_passkey))
        .routes(routes!(passkey::sign_in_with_passkey))
        .routes(routes!(openid::list_ways_in))
        .routes(routes!(openid::depart))
        .routes(routes!(openid::arrive))
        .routes(routes!(openid::take_logout))
        .routes(routes!(openid::depart_again))
        .routes(routes!(sign_in::set_up))
        .routes(routes!(sign_in::sign_out))
        .routes(routes!(sign_in::show_me))
        .routes(routes!(factor::show_proof))
        .routes(routes!(factor::change_password))
        .routes(routes!(factor::show_my_factors, factor::remove_factors))
        .routes(routes!(factor::enrol_totp))
        .routes(routes!(factor::confirm_totp))
        .routes(routes!(passkey::begin_passkey))
        .routes(routes!(passkey::confirm_passkey))
        .routes(routes!(passkey::remove_passkey))
        .routes(routes!(factor::renew_recovery_codes))
        .routes(routes!(factor::show_factors, factor::reset_factors))
        .routes(routes!(sign_ins::list_sign_ins))
        .routes(routes!(sign_ins::end_sign_in))
        .routes(routes!(sign_ins::end_sign_ins))
        .routes(routes!(token::list_tokens, token::create_token))
        .routes(routes!(token::revoke_token))
        .routes(routes!(invitation::accept_invitation))
        .routes(routes!(invitation::invite_user))
        .routes(routes!(token::issue_token))
        .routes(routes!(my::list_my_activities))
        .routes(routes!(permission::list_permissions))
        .routes(routes!(explain::explain))
        .routes(routes!(ssh_key::list_ssh_keys, ssh_key::add_ssh_key))
        .routes(routes!(ssh_key::remove_ssh_key))
        .routes(routes!(ssh_key::list_ssh_keys_of))
        .routes(routes!(ssh_key::remove_ssh_key_of))
        .routes(routes!(certificate::issue_certificate))
        .routes(routes!(certificate::show_authority))
        .routes(routes!(session::list_sessions, session::create_sessions))
        .routes(routes!(session::end_sessions))
        .routes(routes!(session::show_session))
        .routes(routes!(session::end_session))
        .routes(routes!(session::dismiss_session))
        .routes(routes!(session::retry_session))
        .routes(routes!(approval::approve_session))
        .routes(routes!(approval::approve_sessions))
        .routes(routes!(approval::deny_session))
        .routes(routes!(approval::deny_sessions))
        .routes(routes!(review::list_reviews))
        .routes(routes!(review::review_session))
        .routes(routes!(lock::extend_session))
        .routes(routes!(lock::lock_session))
        .routes(routes!(lock::unlock_session))
        .routes(routes!(lock::list_locks, lock::create_lock))
        .routes(routes!(lock::delete_lock))
        .routes(routes!(lock::try_removal))
        .routes(routes!(session::list_connections))
        .routes(routes!(launch::launch_session))
        .routes(routes!(password::reveal_password))
        .routes(routes!(log::show_log))
        .routes(routes!(grant::list_grants))
        .routes(routes!(notice::list_notices))
        .routes(routes!(notice::try_notice))
        .routes(routes!(event::follow_events))
        .routes(routes!(apply::apply_documents))
        .routes(routes!(directory::list_directories))
        .routes(routes!(directory::sync_directory))
        .routes(routes!(object::learn_host_key))
        .routes(routes!(object::sweep_resource))
        .merge(object::routes())
}
