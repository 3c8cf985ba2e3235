//! The listening side: takes connections in, within limits, until told to stop.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use cardea_domain::{Entropy, Gate};
use russh::keys::PrivateKey;
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, info, warn};

use crate::{Limits, Settings, crowd::Crowd, keyring::Keyring, settings, visit};

/// Connections get this long to end after the gateway is told to stop.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// After a failed accept (no file descriptors left), before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const SWEEP: Duration = Duration::from_secs(60);

/// Why a gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    #[error("cannot listen on {address}: choose another address or port for the SSH gateway, or stop what uses it")]
    Bind { address: SocketAddr, source: std::io::Error },
    #[error("the gateway's host key cannot be read: it must be an unencrypted private key in OpenSSH form")]
    HostKey(#[source] russh::keys::ssh_key::Error),
}

/// An SSH gateway that listens. Nobody is let in before [`Gateway::serve`] runs.
pub struct Gateway {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// What all connections have in common.
pub(crate) struct Shared {
    pub(crate) gate: Arc<dyn Gate>,
    pub(crate) keys: Keyring,
    pub(crate) ssh: Arc<russh::server::Config>,
    pub(crate) limits: Limits,
    pub(crate) crowd: Crowd,
}

impl Gateway {
    /// Binds the address and reads the host key.
    pub async fn bind(
        settings: Settings,
        gate: Arc<dyn Gate>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, GatewayError> {
        let host_key = settings.host_key.expose(|pem| PrivateKey::from_openssh(pem)).map_err(GatewayError::HostKey)?;
        if host_key.is_encrypted() {
            return Err(GatewayError::HostKey(russh::keys::ssh_key::Error::Encrypted));
        }
        let address = settings.listen;
        let listener = TcpListener::bind(address).await.map_err(|source| GatewayError::Bind { address, source })?;
        let address = listener.local_addr().map_err(|source| GatewayError::Bind { address, source })?;
        let ssh = settings::towards_people(host_key);
        let crowd = Crowd::new(settings.limits);
        let shared = Shared { gate, keys: Keyring::new(entropy), ssh, limits: settings.limits, crowd };
        Ok(Self { listener, address, shared: Arc::new(shared) })
    }

    /// Where it listens: with port 0 in the settings, the port that it got.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is cancelled, then tells every open connection and waits for them, at most ten seconds.
    pub async fn serve(self, stop: CancellationToken) {
        let Self { listener, address, shared } = self;
        info!(%address, "The SSH gateway listens on {address}");
        let connections = TaskTracker::new();
        let mut sweep = interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = sweep.tick() => shared.keys.sweep(),
                (socket, peer) = accept(&listener) => match shared.crowd.enter(peer.ip()) {
                    Some(place) => {
                        let visit = visit::Arrival { socket, peer, place, stop: stop.clone() };
                        connections.spawn(visit::receive(Arc::clone(&shared), visit));
                    }
                    None => debug!(%peer, "Refused a connection: too many are open"),
                },
            }
        }
        drop(listener);
        connections.close();
        let since = Instant::now();
        match timeout(DRAIN_MAX, connections.wait()).await {
            Ok(()) => info!("The SSH gateway stopped after {} ms", since.elapsed().as_millis()),
            Err(_) => warn!("The SSH gateway stopped with {} connections still open", connections.len()),
        }
    }
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                warn!(%error, "Cannot take a connection: {error}. Raise the limit of open files if this goes on");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
