//! The port to identity providers that speak `OpenID` Connect: where browsers are sent, and what a provider says of who comes back.
//!
//! A provider's word counts only if it signed it, to this client and lately. What follows from it is decided by who asks.

use async_trait::async_trait;

use crate::{ObjectId, OidcSpec, Secret, Timestamp};

/// A provider as it is configured now.
pub struct OpenIdProvider {
    pub id: ObjectId,
    /// Of its object: what it published is not kept longer than the configuration that said where it is.
    pub version: i64,
    pub spec: OidcSpec,
    /// Without it Cardea is a public client there, and PKCE alone shows that a code was meant for it.
    pub client_secret: Option<Secret>,
}

/// What a browser takes along to a provider.
pub struct OpenIdQuestion<'a> {
    /// Where the provider sends it back to.
    pub redirect_uri: &'a str,
    /// Comes back with the browser.
    pub state: &'a str,
    /// Comes back in the provider's word.
    pub nonce: &'a str,
    /// The digest of the verifier of PKCE.
    pub challenge: &'a str,
    /// Whether somebody who is signed in there has to show again who they are.
    pub again: bool,
}

/// What is given for a provider's word.
pub struct OpenIdCode<'a> {
    pub code: &'a Secret,
    pub verifier: &'a Secret,
    pub nonce: &'a str,
    pub redirect_uri: &'a str,
}

/// Somebody, by a provider's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenIdPerson {
    /// What the provider never changes about them.
    pub subject: String,
    /// The provider's own name for their sign-in there.
    pub sid: Option<String>,
    /// When they last showed there who they are.
    pub shown_at: Option<Timestamp>,
    /// Whether the provider says that it was by more than one factor.
    pub with_mfa: bool,
    pub user: String,
    pub name: String,
    pub email: String,
    pub groups: Vec<String>,
}

/// Who has left, by a provider's word: one sign-in there, a person, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenIdLeaver {
    pub sid: Option<String>,
    pub subject: Option<String>,
    /// Tells this word from every other.
    pub word: String,
}

/// Why a provider's word cannot be had or does not count. A sentence for administrators, without secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenIdFault {
    /// It cannot be asked now.
    #[error("{0}")]
    Away(String),
    /// What it says is not what it has to be.
    #[error("{0}")]
    Wrong(String),
}

/// Asks providers. Every call ends within a bounded time.
#[async_trait]
pub trait OpenId: Send + Sync {
    /// The address that a browser is sent to.
    async fn address(
        &self,
        provider: &OpenIdProvider,
        question: OpenIdQuestion<'_>,
        now: Timestamp,
    ) -> Result<String, OpenIdFault>;

    /// Gives the provider its code back, for its word about whoever came back with it.
    async fn redeem(
        &self,
        provider: &OpenIdProvider,
        code: OpenIdCode<'_>,
        now: Timestamp,
    ) -> Result<OpenIdPerson, OpenIdFault>;

    /// Reads the provider's word that somebody has left (`OpenID` Connect Back-Channel Logout 1.0, 2.6). Whether it came before is
    /// for who asks to know.
    async fn leaver(&self, provider: &OpenIdProvider, token: &str, now: Timestamp)
    -> Result<OpenIdLeaver, OpenIdFault>;
}
