//! Signing in on the word of an identity provider, by `OpenID` Connect: the authorization code flow with PKCE.
//!
//! What ties a browser to its trip there is one random cookie: `state`, `nonce` and the verifier of PKCE all follow from it and from
//! the master key, and are written down nowhere. The store keeps that there is such a trip; coming back ends it, whatever comes of it.

mod arrival;
mod leaving;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use cardea_domain::{
    Actor, Configuration, Credentials as _, IdentityProviderSpec, Kind, Method, Object, ObjectId, OidcSpec, OpenId,
    OpenIdFault, OpenIdProvider, OpenIdQuestion, Secret, SecretField, Via,
};
use cardea_store::{HeldFactors, Trip};
use cardea_vault::pkce_challenge;
use data_encoding::BASE64URL_NOPAD;

use crate::{App, AppError, Device};

pub use arrival::{Arrival, Arrived};

/// A person needs a while at the provider, for a password and a second factor.
pub const TRIP_LASTS: Duration = Duration::from_secs(600);
/// Browsers that are on their way at once, in all and from one network.
const TRIPS_MAX: i64 = 20_000;
const TRIPS_FROM_ONE_MAX: i64 = 500;
/// A page's address; a longer one is forgotten.
const RETURN_BYTES_MAX: usize = 2_000;

/// What asks providers.
pub(crate) type Asked = OnceLock<Arc<dyn OpenId>>;

/// A browser that is to be sent to a provider.
pub struct Departure {
    /// Where it is sent.
    pub url: String,
    /// What it has to show when it comes back.
    pub cookie: Secret,
}

/// Where a browser wants to go, and where the provider sends it back to.
#[derive(Clone, Copy)]
pub struct TripPlan<'a> {
    /// Name of the provider.
    pub provider: &'a str,
    /// The same address each time: the provider knows it.
    pub redirect_uri: &'a str,
    /// The page that was asked for.
    pub return_to: &'a str,
}

/// A provider that people can sign in by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayIn {
    pub name: String,
    pub display_name: String,
    pub is_default: bool,
}

/// A provider as it is configured now, and what asks it.
struct Provider {
    object: Object,
    asked: OpenIdProvider,
    by: Arc<dyn OpenId>,
}

impl App {
    /// Says once, before anything runs, what asks identity providers. None is asked without; a second time changes nothing.
    pub fn ask_openid_by(&self, openid: Arc<dyn OpenId>) {
        drop(self.0.openid.set(openid));
    }

    /// The providers that people can sign in by: the default one first, then by name.
    pub fn ways_in(&self) -> Vec<WayIn> {
        let configuration = self.configuration();
        let way = |object: &Object| {
            let spec = object.as_identity_provider().filter(|spec| spec.as_oidc().is_some())?;
            let name = object.name.to_string();
            let display_name = if spec.display_name.is_empty() { name.clone() } else { spec.display_name.clone() };
            Some(WayIn { name, display_name, is_default: spec.default })
        };
        let mut ways: Vec<_> = configuration.of(Kind::IdentityProvider).filter_map(way).collect();
        ways.sort_by_key(|way| (!way.is_default, way.name.clone()));
        ways
    }

    /// The name of the provider by which a user signs in.
    pub(crate) fn way_of(&self, user: ObjectId) -> Option<String> {
        openid_of(&self.configuration(), user).map(|(provider, _)| provider.name.to_string())
    }

    /// Whether a user's provider is trusted with second factors.
    pub(crate) fn trusts_mfa_of(&self, user: ObjectId) -> bool {
        openid_of(&self.configuration(), user).is_some_and(|(_, spec)| spec.trusts_mfa)
    }

    /// What a user who has these factors can show.
    pub(crate) fn methods(&self, user: ObjectId, held: HeldFactors) -> &'static [Method] {
        let configuration = self.configuration();
        match openid_of(&configuration, user) {
            None => Method::of(held.totp, held.passkey),
            // Whatever they have here is asked for beside what they show there.
            Some((_, spec)) if held.any() && !spec.trusts_mfa => Method::of(held.totp, held.passkey),
            Some(_) => Method::with_provider(held.totp, held.passkey),
        }
    }

    /// Sends a browser to a provider to sign in.
    pub async fn depart(&self, device: &Device, plan: TripPlan<'_>) -> Result<Departure, AppError> {
        self.set_out(device, plan, None).await
    }

    /// Sends the browser of the present sign-in to its user's provider, to show again who they are. `redirect_uri` gives the address
    /// to come back to, of the provider's name.
    pub async fn depart_again(
        &self,
        actor: &Actor,
        device: &Device,
        redirect_uri: impl Fn(&str) -> Result<String, AppError>,
        return_to: &str,
    ) -> Result<Departure, AppError> {
        let Actor::User { id: user, via: Via::SignIn(sign_in), .. } = actor else {
            return Err(AppError::refused("no-sign-in", "only a sign-in in the browser can show a factor again"));
        };
        let provider = self.way_of(*user).ok_or_else(|| {
            AppError::refused("no-factor", "you sign in with a password of Cardea or of a directory: show that")
        })?;
        let redirect_uri = redirect_uri(&provider)?;
        let plan = TripPlan { provider: &provider, redirect_uri: &redirect_uri, return_to };
        self.set_out(device, plan, Some(*sign_in)).await
    }

    async fn set_out(
        &self,
        device: &Device,
        plan: TripPlan<'_>,
        sign_in: Option<cardea_domain::SignInId>,
    ) -> Result<Departure, AppError> {
        let provider = self.openid_provider(plan.provider).await?;
        let (now, cookie) = (self.0.clock.now(), self.random_token("trip"));
        // State and nonce are meant to be seen: what they prove is in the cookie.
        let [state, nonce] = [STATE, NONCE].map(|purpose| self.derived(purpose, &cookie).expose(Clone::clone));
        let question = OpenIdQuestion {
            redirect_uri: plan.redirect_uri,
            state: &state,
            nonce: &nonce,
            challenge: &pkce_challenge(&self.derived(VERIFIER, &cookie)),
            again: sign_in.is_some(),
        };
        let url = provider.by.address(&provider.asked, question, now).await;
        let url = url.map_err(|fault| fault_of(&provider.object, &fault))?;
        let trip = Trip {
            digest: self.trip_digest(&state),
            provider: provider.object.id,
            sign_in,
            return_to: if is_local(plan.return_to) { plan.return_to.to_owned() } else { "/".to_owned() },
            peer: device.network(),
            expires_at: now.plus(TRIP_LASTS),
        };
        let kept = self.0.store.write(move |tx| {
            Box::pin(async move {
                let (all, from_there) = tx.insert_trip(&trip, now).await?;
                if all > TRIPS_MAX || from_there > TRIPS_FROM_ONE_MAX {
                    return Err(AppError::Throttled { retry_after: TRIP_LASTS });
                }
                Ok(())
            })
        });
        kept.await?;
        Ok(Departure { url, cookie })
    }

    async fn openid_provider(&self, name: &str) -> Result<Provider, AppError> {
        let configuration = self.configuration();
        let object = configuration.find(Kind::IdentityProvider, name).ok_or(AppError::NotFound)?.clone();
        let spec = openid(&object).ok_or(AppError::NotFound)?.clone();
        let by = self.0.openid.get().cloned();
        let by = by.ok_or_else(|| AppError::Unavailable("this process asks no identity providers".to_owned()))?;
        let id = object.id;
        let rows = self.0.store.read(move |tx| Box::pin(async move { tx.secrets_of(id).await })).await?;
        let client_secret = match rows.iter().find(|row| row.field == SecretField::ClientSecret) {
            Some(row) => Some(self.0.keyring.open(row.id).await.map_err(AppError::Internal)?),
            None => None,
        };
        let asked = OpenIdProvider { id, version: object.version, spec, client_secret };
        Ok(Provider { object, asked, by })
    }

    /// What follows from the cookie of a trip, for one purpose: 43 letters and digits.
    fn derived(&self, purpose: &str, cookie: &Secret) -> Secret {
        let digest = cookie.expose(|text| self.0.keyring.digest(purpose, text.as_bytes()));
        Secret::new(BASE64URL_NOPAD.encode(&digest))
    }

    fn trip_digest(&self, state: &str) -> Vec<u8> {
        self.0.keyring.digest("oidc trip", state.as_bytes()).to_vec()
    }
}

const NONCE: &str = "oidc nonce";
const STATE: &str = "oidc state";
const VERIFIER: &str = "oidc verifier";

/// What an object takes if it speaks `OpenID` Connect.
fn openid(object: &Object) -> Option<&OidcSpec> {
    object.as_identity_provider().and_then(IdentityProviderSpec::as_oidc)
}

/// The provider that vouches for a user, if it speaks `OpenID` Connect.
fn openid_of(configuration: &Configuration, user: ObjectId) -> Option<(&Object, &OidcSpec)> {
    let (provider, _) = configuration.provider_of(user)?;
    Some((provider, openid(provider)?))
}

/// What it says is for administrators; whoever wants to sign in is told as much as helps them to ask.
fn fault_of(provider: &Object, fault: &OpenIdFault) -> AppError {
    let code = match fault {
        OpenIdFault::Away(_) => "provider-away",
        OpenIdFault::Wrong(_) => "provider-fault",
    };
    AppError::refused(code, format!("{} could not be asked who this is: {fault}", provider.name))
}

/// Whether it is a page of this server: a path, and nothing that a browser takes for another host.
fn is_local(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && path.len() <= RETURN_BYTES_MAX
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_this_server_are_returned_to() {
        for good in ["/", "/sessions?view=active#x", "/a/b"] {
            assert!(is_local(good), "{good}");
        }
        for bad in ["", "a", "//evil.example", "/\\evil.example", "https://evil.example", "/a\nb", "/ä"] {
            assert!(!is_local(bad), "{bad}");
        }
        assert!(!is_local(&format!("/{}", "a".repeat(RETURN_BYTES_MAX))));
    }
}
