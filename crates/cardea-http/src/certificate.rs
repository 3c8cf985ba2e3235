//! Certificates for the caller's SSH keys, and the authority that signs them.

use std::time::Duration;

use axum::{Json, extract::State, http::StatusCode};
use cardea_domain::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Api, actor::Caller, input::Input, problem::Problem};

/// A key to certify.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CertificateWish {
    /// One OpenSSH line. The private half stays with its owner.
    public_key: String,
    /// How long at most; as long as the server allows if left out.
    minutes: Option<u32>,
}

/// A certificate. Whoever holds the private key comes in through the gateway with it.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct CertificateView {
    /// One OpenSSH line: for a file `KEY-cert.pub` beside the key.
    certificate: String,
    serial: u64,
    expires_at: Timestamp,
}

/// The authority that signs certificates for people.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct AuthorityView {
    /// One OpenSSH line.
    public_key: String,
}

/// Certify an SSH key of the caller's.
///
/// The certificate is good for the gateway until it expires, and only while the sign-in or token stands by which it was asked
/// for, and its user may act.
///
/// **Who:** `ssh_keys.certify`, in a sign-in with a fresh factor or by a token with the scope `sessions`.
/// **Audit:** `ssh_certificate.issue`.
#[utoipa::path(post, path = "/api/v1/me/ssh-certificate", tag = "my",
    extensions(("x-permission" = json!("ssh_keys.certify"))), request_body = CertificateWish,
    responses((status = 201, body = CertificateView, description = "The certificate.")))]
pub(crate) async fn issue_certificate(
    State(api): State<Api>,
    caller: Caller,
    Input(CertificateWish { public_key, minutes }): Input<CertificateWish>,
) -> Result<(StatusCode, Json<CertificateView>), Problem> {
    if minutes == Some(0) {
        return Err(Problem::field("/minutes", "write at least 1"));
    }
    let wished = minutes.map_or(Duration::MAX, |minutes| Duration::from_secs(u64::from(minutes) * 60));
    let lasts = wished.min(api.certificates_last);
    let new = api.app.issue_certificate(&caller.actor, &public_key, lasts).await?;
    let view = CertificateView { certificate: new.certificate, serial: new.serial, expires_at: new.expires_at };
    Ok((StatusCode::CREATED, Json(view)))
}

/// Show the authority that signs certificates for people.
///
/// Its key is made when it is first asked for.
///
/// **Who:** everybody who is signed in. **Audit:** none.
#[utoipa::path(get, path = "/api/v1/ssh-authority", tag = "my",
    extensions(("x-permission" = json!("signed_in"))),
    responses((status = 200, body = AuthorityView, description = "Its public key.")))]
pub(crate) async fn show_authority(State(api): State<Api>, caller: Caller) -> Result<Json<AuthorityView>, Problem> {
    Ok(Json(AuthorityView { public_key: api.app.show_authority(&caller.actor).await? }))
}
