//! Identity providers by `OpenID` Connect: the authorization code flow with PKCE, and words that somebody has left.
//!
//! Providers are asked by HTTPS; what they sign is checked by `jsonwebtoken`.

mod claims;
mod published;
mod token;
mod wire;

use async_trait::async_trait;
use cardea_domain::{
    OpenId, OpenIdCode, OpenIdFault, OpenIdLeaver, OpenIdPerson, OpenIdProvider, OpenIdQuestion, Timestamp,
};
use reqwest::Url;
use serde_json::Value;

use self::{published::Published, wire::Form};

/// Asks identity providers, and keeps for a while what they publish.
#[derive(Default)]
pub struct OpenIdConnect {
    published: Published,
}

#[async_trait]
impl OpenId for OpenIdConnect {
    async fn address(
        &self,
        provider: &OpenIdProvider,
        question: OpenIdQuestion<'_>,
        now: Timestamp,
    ) -> Result<String, OpenIdFault> {
        let known = self.published.of(provider, now).await?;
        let mut url = known.authorization.clone();
        let scopes = std::iter::once("openid").chain(provider.spec.scopes.iter().map(String::as_str));
        let OpenIdQuestion { redirect_uri, state, nonce, challenge, again } = question;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &provider.spec.client_id)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("scope", &scopes.collect::<Vec<_>>().join(" "))
            .append_pair("state", state)
            .append_pair("nonce", nonce)
            .append_pair("code_challenge", challenge)
            .append_pair("code_challenge_method", "S256");
        if again {
            url.query_pairs_mut().append_pair("prompt", "login").append_pair("max_age", "0");
        }
        Ok(url.into())
    }

    async fn redeem(
        &self,
        provider: &OpenIdProvider,
        code: OpenIdCode<'_>,
        now: Timestamp,
    ) -> Result<OpenIdPerson, OpenIdFault> {
        let known = self.published.of(provider, now).await?;
        let OpenIdCode { code, verifier, nonce, redirect_uri } = code;
        let mut form = Form::default();
        form.add("grant_type", "authorization_code");
        form.add("redirect_uri", redirect_uri);
        form.add_secret("code", code);
        form.add_secret("code_verifier", verifier);
        let answer = known.wire.post(&known.token, form, provider, known.credentials).await?;
        let token = text(&answer, "id_token")?;
        let said = self.published.opened(provider, token, now).await?;
        let said = claims::Said::read(&said, (&provider.spec.client_id, nonce), now)?;
        let mut person = said.person(&provider.spec.claims)?;
        // Some say it there alone.
        if let (true, Some(url)) = (person.lacks_something, &known.userinfo) {
            let elsewhere = known.wire.get(url, Some(text(&answer, "access_token")?)).await?;
            person.complete(&elsewhere, &provider.spec.claims)?;
        }
        Ok(person.told)
    }

    async fn leaver(
        &self,
        provider: &OpenIdProvider,
        token: &str,
        now: Timestamp,
    ) -> Result<OpenIdLeaver, OpenIdFault> {
        let said = self.published.opened(provider, token, now).await?;
        claims::leaver(&said, &provider.spec.client_id, now)
    }
}

fn text<'a>(answer: &'a Value, key: &str) -> Result<&'a str, OpenIdFault> {
    answer[key].as_str().ok_or_else(|| wrong(format!("its answer has no `{key}`")))
}

/// An address that a provider publishes.
fn address(document: &Value, key: &str) -> Result<Url, OpenIdFault> {
    Url::parse(text(document, key)?).map_err(|_| wrong(format!("its `{key}` is no address")))
}

fn wrong(sentence: impl Into<String>) -> OpenIdFault {
    OpenIdFault::Wrong(sentence.into())
}
