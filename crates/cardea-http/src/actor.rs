//! Who sent a request: by token, by the control socket, or by cookie.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, Method, header, request::Parts},
};
use cardea_app::{App, AppError, Device};
use cardea_domain::{Actor, Secret, Via};

use crate::{Api, Operator, origin::Origin, problem::Problem};

/// The cookie of a sign-in. The prefix makes browsers refuse it from anywhere but this very host, over TLS.
pub(crate) const COOKIE: &str = "__Host-cardea";

/// A page sends this with what it reads by itself, because something changed and not because a person is there.
const UNATTENDED: &str = "cardea-unattended";

/// Whoever sent the request, and what proves it.
pub(crate) struct Caller {
    pub(crate) actor: Actor,
    credential: Credential,
}

enum Credential {
    Bearer(Secret),
    Cookie(Secret),
    Operator(Operator),
}

impl Credential {
    /// A token is deliberate, so it wins over the way that the request came by; a cookie is attached by the browser.
    fn of(parts: &Parts) -> Result<Self, Problem> {
        if let Some(value) = parts.headers.get(header::AUTHORIZATION) {
            let token = value.to_str().ok().and_then(|text| {
                let (scheme, token) = text.split_once(' ')?;
                scheme.eq_ignore_ascii_case("bearer").then(|| Secret::new(token.trim().to_owned()))
            });
            return token.map(Self::Bearer).ok_or_else(|| {
                Problem::new("not-signed-in", "Write the token into the header as `Authorization: Bearer TOKEN`.")
            });
        }
        if let Some(operator) = parts.extensions.get::<Operator>() {
            return Ok(Self::Operator(*operator));
        }
        cookie_named(&parts.headers, COOKIE).map(Self::Cookie).ok_or_else(|| {
            Problem::new("not-signed-in", "Sign in, or send a token in the header `Authorization: Bearer TOKEN`.")
        })
    }

    async fn actor(&self, app: &App) -> Result<Actor, AppError> {
        match self {
            Self::Bearer(token) => app.actor_by_token(token).await,
            Self::Cookie(cookie) => app.actor_by_sign_in(cookie).await,
            Self::Operator(operator) => Ok(Actor::Operator { uid: operator.uid }),
        }
    }

    /// The actor of a request, which is use of the sign-in if a person is behind it.
    async fn of_request(&self, app: &App, parts: &Parts) -> Result<Actor, AppError> {
        if is_unattended(parts) { self.still(app).await } else { self.actor(app).await }
    }

    /// The same, also of a sign-in whose second factor is lacking.
    async fn incomplete(&self, app: &App, parts: &Parts) -> Result<Actor, AppError> {
        match self {
            Self::Cookie(cookie) if is_unattended(parts) => app.still_present(cookie).await,
            Self::Cookie(cookie) => app.present(cookie).await,
            Self::Bearer(_) | Self::Operator(_) => return self.actor(app).await,
        }
        .map(cardea_app::Present::incomplete)
    }

    /// The actor without counting as use of the sign-in.
    async fn still(&self, app: &App) -> Result<Actor, AppError> {
        match self {
            Self::Cookie(cookie) => app.actor_still_signed_in(cookie).await,
            Self::Bearer(_) | Self::Operator(_) => self.actor(app).await,
        }
    }

    /// Reads who it is, and refuses what a browser was tricked into.
    fn from_here(parts: &Parts, api: &Api) -> Result<Self, Problem> {
        let credential = Self::of(parts)?;
        if matches!(credential, Self::Cookie(_)) && !is_safe(&parts.method) {
            must_be_from_here(parts, api)?;
        }
        Ok(credential)
    }
}

impl Caller {
    /// Whether the credential still stands for the same actor with the same roles. A store that cannot be asked at
    /// the moment changes nothing.
    pub(crate) async fn still_stands(&self, app: &App) -> bool {
        match self.credential.still(app).await {
            Ok(actor) => actor == self.actor,
            Err(AppError::Unavailable(_) | AppError::Internal(_)) => true,
            Err(_) => false,
        }
    }
}

impl FromRequestParts<Api> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let credential = Credential::from_here(parts, api)?;
        let actor = credential.of_request(&api.app, parts).await?;
        must_be_within(&actor, &parts.method)?;
        Ok(Self { actor, credential })
    }
}

/// Whoever sent the request, also while their sign-in lacks its second factor. Only for what gives it one.
pub(crate) struct Newcomer(pub(crate) Actor);

impl FromRequestParts<Api> for Newcomer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let actor = Credential::from_here(parts, api)?.incomplete(&api.app, parts).await?;
        must_be_within(&actor, &parts.method)?;
        Ok(Self(actor))
    }
}

/// Where a request came from. Requests without an address came from this machine.
pub(crate) struct From(pub(crate) Device);

impl<S: Send + Sync> FromRequestParts<S> for From {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |info| info.0.ip());
        let agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Ok(Self(Device::new(peer, agent)))
    }
}

/// Keeps other sites from signing a browser in under their own name: where a browser says who asks, it must be us.
pub(crate) struct OwnPage;

impl FromRequestParts<Api> for OwnPage {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        if parts.headers.contains_key(header::ORIGIN) {
            must_be_from_here(parts, api)?;
        }
        Ok(Self)
    }
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Whether nobody is behind a request: what a page reads by itself, and streams, which browsers open again by themselves.
fn is_unattended(parts: &Parts) -> bool {
    let is_stream = parts.headers.get(header::ACCEPT).is_some_and(|kind| kind == "text/event-stream");
    is_safe(&parts.method) && (is_stream || parts.headers.contains_key(UNATTENDED))
}

/// A token that only reads changes nothing, whatever the operation itself would ask for.
fn must_be_within(actor: &Actor, method: &Method) -> Result<(), Problem> {
    match actor {
        Actor::User { via: Via::Token { scopes, .. }, .. } if scopes.is_read_only() && !is_safe(method) => {
            Err(Problem::new("not-allowed", "This token only reads: use one with more scopes, or sign in."))
        }
        _ => Ok(()),
    }
}

fn must_be_from_here(parts: &Parts, api: &Api) -> Result<(), Problem> {
    let origin = Origin::of_request(&parts.headers);
    let here = [api.public_origin.clone(), Origin::of_host(&parts.uri, &parts.headers)];
    if origin.is_some() && here.contains(&origin) {
        return Ok(());
    }
    let detail = "The request did not come from a page of this server, or did not say so in the header `Origin`: \
                  programs use a token instead of a cookie.";
    Err(Problem::new("foreign-origin", detail))
}

/// What the browser sends under this name.
pub(crate) fn cookie_named(headers: &HeaderMap, wanted: &str) -> Option<Secret> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = pairs.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == wanted).map(|(_, value)| Secret::new(value.to_owned()))
}
