//! Whether the server lives and can work: for load balancers and whoever starts it.

use axum::extract::State;
use cardea_app::AppError;

use crate::{Api, problem::Problem};

/// Whether the process lives.
///
/// **Who:** everybody, also without signing in. **Audit:** none.
#[utoipa::path(get, path = "/healthz", tag = "health",
    extensions(("x-permission" = json!("public"))), security(()),
    responses((status = 200, body = String, content_type = "text/plain", description = "It lives.")))]
pub(crate) async fn show_health() -> &'static str {
    "alive\n"
}

/// Whether the server can take requests.
///
/// **Who:** everybody, also without signing in. **Audit:** none.
#[utoipa::path(get, path = "/readyz", tag = "health",
    extensions(("x-permission" = json!("public"))), security(()),
    responses((status = 200, body = String, content_type = "text/plain", description = "It is ready.")))]
pub(crate) async fn show_readiness(State(api): State<Api>) -> Result<&'static str, Problem> {
    // Whatever it is that fails: the answer to "can you work" is no.
    api.app.ready().await.map_err(|error| Problem::from(AppError::Unavailable(error.to_string())))?;
    Ok("ready\n")
}
