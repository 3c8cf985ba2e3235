//! The gateway as a client: dials the target, checks that it shows the pinned key, logs in.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use cardea_domain::GateRefusal;
use russh::{
    Channel, Disconnect, Error,
    client::{self, Handle, Handler, Msg},
    keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate},
};
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::warn;

use crate::{hold::Hold, line::Line, settings};

/// For an open target to open one more channel.
const CHANNEL_TIME_MAX: Duration = Duration::from_secs(10);
/// For a target to see the connection off, before it is cut.
const GOODBYE_MAX: Duration = Duration::from_millis(200);

/// A silent target is asked for a sign of life this often.
const SIGN_EVERY: Duration = Duration::from_secs(30);
/// For the sign to come; then the target is lost.
const SIGN_MAX: Duration = Duration::from_secs(90);

/// Where to, and as whom.
pub(crate) struct Host {
    pub(crate) address: String,
    pub(crate) port: u16,
    /// One OpenSSH public-key line.
    pub(crate) host_key: String,
    pub(crate) account: String,
}

/// An open connection to a target, logged in.
pub(crate) struct Target {
    handle: Handle<Greeter>,
    /// Cancelled when the connection is over.
    gone: CancellationToken,
    _cut: DropGuard,
}

impl Target {
    /// Dials and logs in. `reached` hears of our end of the connection, and has to answer before anybody logs in. An error is
    /// what to tell the person.
    pub(crate) async fn dial<F>(
        host: &Host,
        key: Arc<PrivateKey>,
        limit: Duration,
        reached: impl FnOnce(SocketAddr) -> F,
    ) -> Result<Self, String>
    where
        F: Future<Output = Result<(), GateRefusal>>,
    {
        let place = format!("the target {}:{}", host.address, host.port);
        let dialled = match timeout(limit, connect(host, key, reached)).await {
            Ok(dialled) => dialled,
            Err(_) => Err(format!("did not answer within {} seconds. {LATER}", limit.as_secs())),
        };
        dialled.map_err(|reason| {
            warn!(target.address = %host.address, target.port = host.port, "Cannot log in to {place}: it {reason}");
            format!("{place} {reason}")
        })
    }

    /// Opens a channel. An error is what to tell the person.
    pub(crate) async fn open_channel(&self) -> Result<Channel<Msg>, Arc<str>> {
        match timeout(CHANNEL_TIME_MAX, self.handle.channel_open_session()).await {
            Ok(Ok(channel)) => Ok(channel),
            Ok(Err(Error::ChannelOpenFailure(_))) => {
                Err("the target opens no more channels (MaxSessions of its sshd): close one, or log in once more."
                    .into())
            }
            Ok(Err(_)) => Err("the connection to the target was lost. Log in again.".into()),
            Err(_) => Err("the target did not open a channel in time. Log in again.".into()),
        }
    }

    /// Waits until the connection is over.
    pub(crate) async fn gone(&self) {
        self.gone.cancelled().await;
    }

    /// Waits until the target gives no sign of life. It is not asked for one while nothing passes: a locked account's own
    /// end of the connection stands still with the rest of its processes.
    pub(crate) async fn faded(&self, hold: &Hold) {
        loop {
            hold.until_thawed().await;
            sleep(SIGN_EVERY).await;
            tokio::select! {
                biased;
                () = hold.until_frozen() => {}
                sign = timeout(SIGN_MAX, self.handle.send_ping()) => {
                    if sign.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Ends the connection, politely if the target is quick.
    pub(crate) async fn leave(&self) {
        let goodbye = async {
            let _gone = self.handle.disconnect(Disconnect::ByApplication, "", "").await;
            self.gone().await;
        };
        let _slow = timeout(GOODBYE_MAX, goodbye).await;
    }
}

const LATER: &str = "Try again; if it stays so, tell an administrator.";

async fn connect<F>(host: &Host, key: Arc<PrivateKey>, reached: impl FnOnce(SocketAddr) -> F) -> Result<Target, String>
where
    F: Future<Output = Result<(), GateRefusal>>,
{
    let pinned = PublicKey::from_openssh(&host.host_key)
        .map_err(|_| "has no readable host key in Cardea. Tell an administrator to set it.".to_owned())?;
    let socket = TcpStream::connect((host.address.as_str(), host.port))
        .await
        .map_err(|error| format!("cannot be reached: {error}. {LATER}"))?;
    // Small writes are keystrokes; if the option cannot be set they are merely late.
    let _late = socket.set_nodelay(true);
    let source = socket.local_addr().map_err(|error| format!("was reached, but not for long: {error}. {LATER}"))?;

    let (gone, cut) = (CancellationToken::new(), CancellationToken::new());
    let config = settings::towards_target(&pinned.algorithm());
    let stranger = Arc::new(OnceLock::new());
    let greeter = Greeter { pinned, stranger: Arc::clone(&stranger), _gone: gone.clone().drop_guard() };
    let line = Line::new(socket, cut.clone());
    let _cut = cut.drop_guard();
    let (shaken, heard) = tokio::join!(client::connect_stream(config, line, greeter), reached(source));
    let mut handle = shaken.map_err(|error| match stranger.get() {
        Some(()) => CHANGED.to_owned(),
        // A host that has only keys of other algorithms than the pinned one is as strange.
        None if matches!(error, Error::NoCommonAlgo { kind: russh::AlgorithmKind::Key, .. }) => CHANGED.to_owned(),
        None => format!("does not speak SSH as expected: {error}. {LATER}"),
    })?;
    heard.map_err(|refusal| format!("was reached, but {}", refusal.sentence))?;
    let key = PrivateKeyWithHashAlg::new(key, None);
    match handle.authenticate_publickey(&host.account, key).await {
        Ok(answer) if answer.success() => Ok(Target { handle, gone, _cut }),
        Ok(_) => Err(format!("refused Cardea's key for the account `{}`. {LATER}", host.account)),
        Err(error) => Err(format!("broke off the log-in: {error}. {LATER}")),
    }
}

const CHANGED: &str = "showed another host key than the pinned one, so nothing was sent to it. Tell an administrator: if the \
     host was rebuilt, its new key must be set on the resource; if not, somebody may be in between.";

/// Looks at the key that the target shows.
struct Greeter {
    pinned: PublicKey,
    /// Set when it was not the pinned one.
    stranger: Arc<OnceLock<()>>,
    /// Dropped with the connection.
    _gone: DropGuard,
}

impl Handler for Greeter {
    type Error = Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Error> {
        let is_pinned = matches!(shown, PublicKeyOrCertificate::PublicKey { key, .. }
            if key.key_data() == self.pinned.key_data());
        if !is_pinned {
            self.stranger.get_or_init(|| ());
        }
        Ok(is_pinned)
    }
}
