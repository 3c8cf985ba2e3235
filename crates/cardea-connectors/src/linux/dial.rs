//! The way to a host: TCP, the pinned host key, the service account's log-in.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use cardea_domain::{ConnectorError, Credentials, SecretId, Target};
use russh::{
    client::{self, AuthResult, Handle},
    keys::{self, HashAlg, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate},
};
use tokio::{net::TcpStream, time::timeout};

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(15);
const AUTHENTICATE_LIMIT: Duration = Duration::from_secs(15);
/// A peer that answers none of three of these is gone: what waits for its answer waits no longer.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// A connection on which the service account is logged in.
pub(super) struct Line {
    pub(super) handle: Handle<Witness>,
    /// The server's version string, `SSH-2.0-OpenSSH_9.2p1`.
    pub(super) version: String,
}

/// Watches the handshake: lets only the pinned key pass and keeps what it saw.
pub(super) struct Witness {
    pinned: Option<PublicKey>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    host_key: Option<PublicKey>,
    version: String,
}

impl client::Handler for Witness {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let shown = shown.public_key();
        let known = self.pinned.as_ref().is_some_and(|pinned| pinned.key_data() == shown.key_data());
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).host_key = Some(shown);
        Ok(known)
    }

    async fn kex_done(
        &mut self,
        _shared_secret: Option<&[u8]>,
        _names: &russh::Names,
        session: &mut client::Session,
    ) -> Result<(), Self::Error> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).version =
            String::from_utf8_lossy(session.remote_sshid()).chars().take(255).collect();
        Ok(())
    }
}

/// Connects, checks the host's key and logs in.
pub(super) async fn dial(target: &Target, credentials: &dyn Credentials) -> Result<Line, ConnectorError> {
    let pinned = target.host_key.as_deref().ok_or(ConnectorError::HostKeyMissing)?;
    let key = PublicKey::from_openssh(pinned).map_err(|error| {
        ConnectorError::Refused(format!("the resource's host_key is not a public key ({error}): set it again"))
    })?;
    let seen = Arc::new(Mutex::new(Seen::default()));
    let connected = handshake(&target.address, target.port, Some(key), &seen).await?;
    let (shown, version) = {
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        (seen.host_key.as_ref().map(one_line), seen.version.clone())
    };
    let mut handle = match connected {
        Ok(handle) => handle,
        Err(russh::Error::UnknownKey) => {
            let shown = shown.unwrap_or_default();
            return Err(ConnectorError::HostKeyChanged { pinned: pinned.to_owned(), shown });
        }
        Err(error) => return Err(unreachable(&target.address, target.port, &error.to_string())),
    };
    let log_in = log_in(&mut handle, target, credentials);
    timeout(AUTHENTICATE_LIMIT, log_in)
        .await
        .map_err(|_| ConnectorError::LoginRefused(format!("no answer to the log-in of {} in time", target.user)))??;
    Ok(Line { handle, version })
}

/// The key that a host shows, without trusting or using it.
pub(super) async fn learn_host_key(address: &str, port: u16) -> Result<String, ConnectorError> {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let refused = handshake(address, port, None, &seen).await?;
    let shown = seen.lock().unwrap_or_else(PoisonError::into_inner).host_key.as_ref().map(one_line);
    shown.ok_or_else(|| {
        let why = refused.err().map_or_else(|| "it showed no key".to_owned(), |error| error.to_string());
        unreachable(address, port, &why)
    })
}

type Handshake = Result<Handle<Witness>, russh::Error>;

async fn handshake(
    address: &str,
    port: u16,
    pinned: Option<PublicKey>,
    seen: &Arc<Mutex<Seen>>,
) -> Result<Handshake, ConnectorError> {
    let stream = timeout(CONNECT_LIMIT, TcpStream::connect((address, port)))
        .await
        .map_err(|_| unreachable(address, port, "no answer in time"))?
        .map_err(|error| unreachable(address, port, &error.to_string()))?;
    stream.set_nodelay(true).map_err(|error| unreachable(address, port, &error.to_string()))?;
    let mut config = client::Config { keepalive_interval: Some(KEEPALIVE), ..client::Config::default() };
    if let Some(pinned) = &pinned {
        // A host has keys of several kinds and shows the first that we name.
        let kind = pinned.algorithm();
        let others = config.preferred.key.iter().filter(|other| !same_kind(other, &kind));
        let first = config.preferred.key.iter().filter(|other| same_kind(other, &kind));
        config.preferred.key = Cow::Owned(first.chain(others).cloned().collect());
    }
    let witness = Witness { pinned, seen: seen.clone() };
    timeout(HANDSHAKE_LIMIT, client::connect_stream(Arc::new(config), stream, witness))
        .await
        .map_err(|_| unreachable(address, port, "it does not speak SSH in time"))
}

/// Whether both name the same kind of key; RSA keys sign in several ways.
fn same_kind(one: &keys::Algorithm, other: &keys::Algorithm) -> bool {
    matches!((one, other), (keys::Algorithm::Rsa { .. }, keys::Algorithm::Rsa { .. })) || one == other
}

async fn log_in(
    handle: &mut Handle<Witness>,
    target: &Target,
    credentials: &dyn Credentials,
) -> Result<(), ConnectorError> {
    let user = &target.user;
    let broken = |error: russh::Error| unreachable(&target.address, target.port, &error.to_string());
    let (result, with) = if let Some(id) = target.private_key {
        let key = private_key(id, credentials).await?;
        let hash: Option<HashAlg> = handle.best_supported_rsa_hash().await.map_err(broken)?.flatten();
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
        (handle.authenticate_publickey(user, key).await.map_err(broken)?, "private key")
    } else if let Some(id) = target.password {
        let password = credentials.open(id).await.map_err(|why| unopened(&why))?.expose(String::clone);
        (handle.authenticate_password(user, password).await.map_err(broken)?, "password")
    } else {
        let why = "the service account has neither private_key nor password: set one";
        return Err(ConnectorError::LoginRefused(why.to_owned()));
    };
    match result {
        AuthResult::Success => Ok(()),
        AuthResult::Failure { partial_success: true, .. } => Err(ConnectorError::LoginRefused(format!(
            "it took the {with} of {user} and wants a second factor: let the service account in with one"
        ))),
        // What sshd does with an account that PAM does not let in.
        AuthResult::Failure { .. } if handle.is_closed() => Err(ConnectorError::LoginRefused(format!(
            "it hung up during the log-in of {user}: unlock the account there if it is locked or expired; if not, see what its sshd logged"
        ))),
        AuthResult::Failure { .. } => Err(ConnectorError::LoginRefused(format!(
            "it does not take the {with} of {user}: check that {user} exists there and that the service account's {with} is the right one"
        ))),
    }
}

async fn private_key(id: SecretId, credentials: &dyn Credentials) -> Result<keys::PrivateKey, ConnectorError> {
    let text = credentials.open(id).await.map_err(|why| unopened(&why))?;
    text.expose(|text| keys::decode_secret_key(text, None)).map_err(|_| {
        ConnectorError::LoginRefused(
            "the service account's private_key cannot be read: give an OpenSSH private key without a passphrase"
                .to_owned(),
        )
    })
}

fn unopened(why: &str) -> ConnectorError {
    ConnectorError::LoginRefused(format!("the service account's secret cannot be opened: {why}"))
}

fn unreachable(address: &str, port: u16, why: &str) -> ConnectorError {
    ConnectorError::Unreachable(format!(
        "{address}:{port}: {why}; check the resource's address and port, and the network"
    ))
}

fn one_line(key: &PublicKey) -> String {
    PublicKey::new(key.key_data().clone(), "").to_openssh().unwrap_or_default().trim().to_owned()
}
