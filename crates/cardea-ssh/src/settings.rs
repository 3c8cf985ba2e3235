//! What the gateway is told at its start, and how it speaks SSH.

use std::{borrow::Cow, net::SocketAddr, sync::Arc, time::Duration};

use cardea_domain::Secret;
use russh::{
    MethodKind, MethodSet, Preferred, SshId, cipher,
    keys::{Algorithm, EcdsaCurve, HashAlg, PrivateKey},
};

/// Bytes that a peer may send on one channel before the other side has taken any: OpenSSH's own figure. This bounds
/// what the gateway holds: at most this much for each channel and direction.
pub(crate) const WINDOW: u32 = 2 * 1024 * 1024;
/// Messages that may wait on one channel. Beyond, the connection is not read until some are taken; only a peer that
/// sends its window in packets of a few bytes gets there.
const CHANNEL_MESSAGES_MAX: usize = 32 * 1024;
const PACKET_MAX: u32 = 32 * 1024;
/// A silent peer is asked for a sign of life this often.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVES_UNANSWERED_MAX: usize = 3;
/// A connection on which nothing moves, not even a sign of life, ends. Also ends writing to a peer that stopped reading.
const STALL_MAX: Duration = Duration::from_secs(120);
const LOGIN_ATTEMPTS_MAX: usize = 10;

/// How a gateway is set up.
pub struct Settings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its own private key in OpenSSH form, as [`crate::generate_host_key`] makes it.
    pub host_key: Secret,
    pub limits: Limits,
}

/// What strangers may use up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open connections, logged in or not.
    pub connections_max: usize,
    /// Connections of one user who has logged in, on all sessions together.
    pub per_user_max: usize,
    /// Connections of one address that have not logged in yet.
    pub unauthenticated_per_peer_max: usize,
    /// From the first byte to the end of the log-in.
    pub login_time_max: Duration,
    /// After that, for somebody who has shown a key or a password to find the second factor.
    pub factor_time_max: Duration,
    /// For a target to answer, shake hands and let the gateway in.
    pub dial_time_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            per_user_max: 256,
            unauthenticated_per_peer_max: 32,
            login_time_max: Duration::from_secs(30),
            factor_time_max: Duration::from_secs(120),
            dial_time_max: Duration::from_secs(10),
        }
    }
}

/// The protocol towards people.
pub(crate) fn towards_people(host_key: PrivateKey) -> Arc<russh::server::Config> {
    Arc::new(russh::server::Config {
        server_id: SshId::Standard(Cow::Borrowed("SSH-2.0-Cardea")),
        // Beside keys: one-time tokens and passwords, by either way in which a client asks for them, and second factors.
        methods: MethodSet::from(
            [MethodKind::PublicKey, MethodKind::KeyboardInteractive, MethodKind::Password].as_slice(),
        ),
        // Neither keys nor tokens can be guessed, so slowing down refusals would only slow down people with several keys. Who guesses
        // passwords and codes is slowed down by the product.
        auth_rejection_time: Duration::ZERO,
        auth_rejection_time_initial: Some(Duration::ZERO),
        max_auth_attempts: LOGIN_ATTEMPTS_MAX,
        keys: vec![host_key],
        preferred: preferred(accepted_keys()),
        window_size: WINDOW,
        manual_window: true,
        manual_close: true,
        maximum_packet_size: PACKET_MAX,
        channel_buffer_size: CHANNEL_MESSAGES_MAX,
        inactivity_timeout: Some(STALL_MAX),
        keepalive_interval: Some(KEEPALIVE),
        keepalive_max: KEEPALIVES_UNANSWERED_MAX,
        ..Default::default()
    })
}

/// The protocol towards a target that must show a key of this algorithm.
pub(crate) fn towards_target(host_key: &Algorithm) -> Arc<russh::client::Config> {
    let algorithms = match host_key {
        Algorithm::Rsa { .. } => rsa_with_sha2(),
        other => vec![other.clone()],
    };
    Arc::new(russh::client::Config {
        client_id: SshId::Standard(Cow::Borrowed("SSH-2.0-Cardea")),
        preferred: preferred(algorithms),
        window_size: WINDOW,
        manual_window: true,
        maximum_packet_size: PACKET_MAX,
        channel_buffer_size: CHANNEL_MESSAGES_MAX,
        // Signs of life are asked for by `Target::faded`, which knows when there can be none.
        inactivity_timeout: None,
        ..Default::default()
    })
}

/// Keys that people may log in with: no DSA, and RSA only with SHA-2 signatures.
pub(crate) fn accepted_keys() -> Vec<Algorithm> {
    let curves = [EcdsaCurve::NistP256, EcdsaCurve::NistP384, EcdsaCurve::NistP521];
    let mut keys = vec![Algorithm::Ed25519, Algorithm::SkEd25519, Algorithm::SkEcdsaSha2NistP256];
    keys.extend(curves.map(|curve| Algorithm::Ecdsa { curve }));
    keys.extend(rsa_with_sha2());
    keys
}

fn rsa_with_sha2() -> Vec<Algorithm> {
    [HashAlg::Sha512, HashAlg::Sha256].map(|hash| Algorithm::Rsa { hash: Some(hash) }).to_vec()
}

fn preferred(key: Vec<Algorithm>) -> Preferred {
    Preferred {
        key: Cow::Owned(key),
        cipher: Cow::Borrowed(&[
            cipher::AES_256_GCM,
            cipher::CHACHA20_POLY1305,
            cipher::AES_256_CTR,
            cipher::AES_192_CTR,
            cipher::AES_128_CTR,
        ]),
        ..Preferred::DEFAULT
    }
}
