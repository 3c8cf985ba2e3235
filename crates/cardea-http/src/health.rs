//! Whether the server lives and can work: for load balancers and whoever starts it.

use axum::extract::State;

use crate::{Api, problem::Problem};

/// Whether the process lives.
///
/// **Who:** everybody, also without signing in. **Audit:** none.
#[utoipa::path(get, path = "/healthz", tag = "health", security(()),
    responses((status = 200, body = String, content_type = "text/plain", description = "It lives.")))]
pub(crate) async fn show_health() -> &'static str {
    "alive\n"
}

/// Whether the server can take requests.
///
/// **Who:** everybody, also without signing in. **Audit:** none.
#[utoipa::path(get, path = "/readyz", tag = "health", security(()),
    responses((status = 200, body = String, content_type = "text/plain", description = "It is ready.")))]
pub(crate) async fn show_readiness(State(api): State<Api>) -> Result<&'static str, Problem> {
    api.app.ready().await?;
    Ok("ready\n")
}
