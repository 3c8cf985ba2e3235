//! Asks who people are where an organisation keeps them: in directories by LDAP, at identity
//! providers by `OpenID` Connect. It knows neither store nor keys nor why.
//!
//! Every answer comes from outside: it is bounded in time and size, and what does not fit is an error, never a guess.

mod ldap;
mod oidc;

pub use ldap::Ldap;
pub use oidc::OpenIdConnect;
