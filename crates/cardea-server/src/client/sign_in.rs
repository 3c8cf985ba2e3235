//! How somebody at a command line becomes a user: by their password and second factor, for a token.

use std::path::Path;

use axum::{
    body::Bytes,
    http::{HeaderMap, Request, header},
};
use cardea_domain::{Secret, Timestamp};
use serde_json::{Value, json};

use super::{Problem, read_answer, remote::Remote};
use crate::failure::Failure;

/// The problem that answers a right password where a second factor is to follow.
const MFA_REQUIRED: &str = "/problems/mfa-required";

/// Signs in, makes a token that ends at `expires_at`, and signs out again: nothing is left but the token. `code` is asked for one of
/// the authenticator app, or a recovery code, where the user has a second factor.
pub(crate) async fn token(
    (server, ca_file): (&str, Option<&Path>),
    (user, password): (&str, Secret),
    code: impl FnOnce() -> Result<Secret, Failure>,
    (name, expires_at): (&str, Timestamp),
) -> Result<Secret, Failure> {
    let remote = Remote::new(server, ca_file)?;
    let credentials = password.expose(|password| json!({ "user": user, "password": password }).to_string());
    let (answer, headers) = send(&remote, "/sign-in", credentials, None).await?;
    let headers = match answer {
        Ok(_) => headers,
        Err(Problem { kind, ticket: Some(ticket), .. }) if kind == MFA_REQUIRED => {
            second_step(&remote, &Secret::new(ticket), code()?).await?
        }
        Err(problem) => return Err(problem.into()),
    };
    let cookie = cookie_of(&headers)
        .ok_or_else(|| Failure::No("the answer has no sign-in: is that a Cardea server?".to_owned()))?;
    let wish = json!({ "name": name, "expires_at": expires_at }).to_string();
    let (made, _) = ask(&remote, "/tokens", wish, Some(&cookie)).await?;
    ask(&remote, "/sign-out", "{}".to_owned(), Some(&cookie)).await?;
    let token = made.get("token").and_then(Value::as_str);
    token.map(|token| Secret::new(token.to_owned())).ok_or_else(|| Failure::No("the answer has no token".to_owned()))
}

/// Shows a second factor: six digits are the app's, anything else is a recovery code.
async fn second_step(remote: &Remote, ticket: &Secret, code: Secret) -> Result<HeaderMap, Failure> {
    let is_of_app = code.expose(|code| code.chars().filter(|c| !c.is_whitespace()).all(|c| c.is_ascii_digit()));
    let step = if is_of_app { "/sign-in/totp" } else { "/sign-in/recovery-code" };
    let body = ticket.expose(|ticket| code.expose(|code| json!({ "ticket": ticket, "code": code }).to_string()));
    Ok(ask(remote, step, body, None).await?.1)
}

async fn ask(
    remote: &Remote,
    target: &str,
    body: String,
    cookie: Option<&Secret>,
) -> Result<(Value, HeaderMap), Failure> {
    let (answer, headers) = send(remote, target, body, cookie).await?;
    Ok((answer?, headers))
}

async fn send(
    remote: &Remote,
    target: &str,
    body: String,
    cookie: Option<&Secret>,
) -> Result<(Result<Value, Problem>, HeaderMap), Failure> {
    let mut request = Request::post(format!("/api/v1{target}")).header(header::CONTENT_TYPE, "application/json");
    request = request.header(header::ORIGIN, remote.origin());
    if let Some(cookie) = cookie {
        request = request.header(header::COOKIE, cookie.expose(Clone::clone));
    }
    let request = request.body(Bytes::from(body)).map_err(|error| Failure::No(error.to_string()))?;
    let (status, headers, content) = remote.send_whole(request).await?;
    Ok((read_answer(status, &content)?, headers))
}

/// Name and value, without what the browser is told about it.
fn cookie_of(headers: &HeaderMap) -> Option<Secret> {
    let set = headers.get(header::SET_COOKIE)?.to_str().ok()?;
    set.split(';').next().map(|pair| Secret::new(pair.trim().to_owned()))
}
