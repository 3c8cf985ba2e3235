//! What providers publish: where to go, and the keys that they sign with. Kept for a while, asked for again when a new key signs.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use cardea_domain::{ObjectId, OpenIdFault, OpenIdProvider, Timestamp};
use reqwest::Url;
use serde_json::Value;

use super::{
    address,
    token::Keys,
    wire::{Credentials, Wire},
    wrong,
};

/// What was published counts for so long.
const KEPT: Duration = Duration::from_secs(3600);
/// Keys are asked for again at most so often, whoever shows tokens that name keys which nobody has.
const KEYS_EVERY: Duration = Duration::from_secs(10);
/// A provider that could not be asked is asked again after this long.
const SILENT: Duration = Duration::from_secs(5);

/// What is known of each provider.
#[derive(Default)]
pub(super) struct Published(Mutex<HashMap<ObjectId, Arc<Place>>>);

/// What is known of one.
#[derive(Default)]
struct Place {
    known: Mutex<Option<Arc<Known>>>,
    /// Why it could not be asked, when, and by which version of its object: whoever comes next does not wait for the same again.
    silent: Mutex<Option<(i64, Timestamp, OpenIdFault)>>,
    /// Documents are asked for one after the other, however many wait for them.
    asking: tokio::sync::Mutex<()>,
}

/// What a provider published.
#[derive(Clone)]
pub(super) struct Known {
    version: i64,
    at: Timestamp,
    pub(super) wire: Arc<Wire>,
    pub(super) authorization: Url,
    pub(super) token: Url,
    pub(super) userinfo: Option<Url>,
    pub(super) credentials: Credentials,
    jwks: Url,
    keys: Arc<Keys>,
    keys_at: Timestamp,
}

impl Place {
    fn recall(&self, provider: &OpenIdProvider, now: Timestamp) -> Option<Arc<Known>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.clone().filter(|known| known.version == provider.version && now.since(known.at) < KEPT)
    }

    fn keep(&self, known: &Arc<Known>) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(known));
    }

    fn silence(&self, provider: &OpenIdProvider, now: Timestamp) -> Option<OpenIdFault> {
        let silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        let (version, at, fault) = silent.clone()?;
        (version == provider.version && now.since(at) < SILENT).then_some(fault)
    }

    fn fall_silent(&self, provider: &OpenIdProvider, now: Timestamp, fault: &OpenIdFault) {
        let silent = Some((provider.version, now, fault.clone()));
        *self.silent.lock().unwrap_or_else(PoisonError::into_inner) = silent;
    }
}

impl Published {
    fn place(&self, provider: ObjectId) -> Arc<Place> {
        Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(provider).or_default())
    }

    /// What a provider publishes.
    pub(super) async fn of(&self, provider: &OpenIdProvider, now: Timestamp) -> Result<Arc<Known>, OpenIdFault> {
        let place = self.place(provider.id);
        if let Some(known) = place.recall(provider, now) {
            return Ok(known);
        }
        let _asking = place.asking.lock().await;
        if let Some(known) = place.recall(provider, now) {
            return Ok(known);
        }
        if let Some(fault) = place.silence(provider, now) {
            return Err(fault);
        }
        let asked = ask(provider, now).await;
        match &asked {
            Ok(known) => place.keep(known),
            Err(fault) => place.fall_silent(provider, now, fault),
        }
        asked
    }

    /// The claims of a token that the provider signed, to this client. A key that is not known is asked for.
    pub(super) async fn opened(
        &self,
        provider: &OpenIdProvider,
        token: &str,
        now: Timestamp,
    ) -> Result<Value, OpenIdFault> {
        let (known, place) = (self.of(provider, now).await?, self.place(provider.id));
        if let Some(claims) = known.keys.open(token, &provider.spec)? {
            return Ok(claims);
        }
        let _asking = place.asking.lock().await;
        // Somebody else may have asked meanwhile.
        let known = place.recall(provider, now).unwrap_or(known);
        if let Some(claims) = known.keys.open(token, &provider.spec)? {
            return Ok(claims);
        }
        if now.since(known.keys_at) >= KEYS_EVERY {
            let keys = Arc::new(Keys::read(&known.wire.get(&known.jwks, None).await?)?);
            let known = Arc::new(Known { keys, keys_at: now, ..(*known).clone() });
            place.keep(&known);
            if let Some(claims) = known.keys.open(token, &provider.spec)? {
                return Ok(claims);
            }
        }
        Err(wrong("its token is signed by none of its keys"))
    }
}

async fn ask(provider: &OpenIdProvider, now: Timestamp) -> Result<Arc<Known>, OpenIdFault> {
    let (spec, wire) = (&provider.spec, Wire::new(&provider.spec)?);
    let url = format!("{}/.well-known/openid-configuration", spec.issuer.trim_end_matches('/'));
    let url = Url::parse(&url).map_err(|_| wrong("its `issuer` is no address"))?;
    let document = wire.get(&url, None).await?;
    if document["issuer"].as_str() != Some(&spec.issuer) {
        return Err(wrong("it says that it is another issuer than its `issuer` here"));
    }
    let lists = |key: &str, word: &str| document[key].as_array().map(|list| list.contains(&word.into()));
    if lists("code_challenge_methods_supported", "S256") == Some(false) {
        return Err(wrong("it does not take PKCE with S256"));
    }
    let methods = "token_endpoint_auth_methods_supported";
    let is_post =
        lists(methods, "client_secret_basic") == Some(false) && lists(methods, "client_secret_post") == Some(true);
    let (authorization, jwks) = (address(&document, "authorization_endpoint")?, address(&document, "jwks_uri")?);
    wire.check(&authorization)?;
    let keys = Arc::new(Keys::read(&wire.get(&jwks, None).await?)?);
    let userinfo = document["userinfo_endpoint"].is_string().then(|| address(&document, "userinfo_endpoint"));
    Ok(Arc::new(Known {
        version: provider.version,
        at: now,
        wire: Arc::new(wire),
        authorization,
        token: address(&document, "token_endpoint")?,
        userinfo: userinfo.transpose()?,
        credentials: if is_post { Credentials::Post } else { Credentials::Basic },
        jwks,
        keys,
        keys_at: now,
    }))
}
