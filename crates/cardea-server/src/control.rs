//! The control socket: how the operator's commands reach a running server. Whoever may use it is the operator.
//!
//! It lies in the data directory, which only its owner can look into, with mode 0600; and the kernel says who calls.

use std::{
    fs::{self, File, Permissions},
    future::{Ready, ready},
    io::{self, ErrorKind},
    os::{
        fd::AsRawFd,
        unix::fs::PermissionsExt,
        unix::net::{SocketAddr, UnixListener},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use axum::{Extension, Router, middleware::AddExtension};
use axum_server::{Handle, accept::Accept};
use cardea_http::Operator;
use tokio::net::UnixStream;
use tower::Layer;

use crate::failure::Failure;

const SOCKET: &str = "control.sock";
/// `sun_path` (unix(7)) holds 108 bytes with the zero at the end.
const PATH_LENGTH_MAX: usize = 107;
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A way to name the socket that fits into `sun_path`, however long the data directory's name is.
pub(crate) struct SocketPath {
    path: PathBuf,
    /// Keeps the short name good.
    _folder: Option<File>,
}

impl SocketPath {
    /// The socket of this data directory.
    pub(crate) fn in_dir(data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join(SOCKET);
        if path.as_os_str().len() <= PATH_LENGTH_MAX {
            return Ok(Self { path, _folder: None });
        }
        let folder = File::open(data_dir)?;
        let short = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(SOCKET);
        Ok(Self { path: short, _folder: Some(folder) })
    }

    /// What to bind or connect to while this value lives.
    pub(crate) fn as_path(&self) -> &Path {
        &self.path
    }
}

/// Listens on the control socket of a data directory that this process holds.
pub(crate) fn bind(data_dir: &Path) -> Result<UnixListener, Failure> {
    let failed = |error: io::Error| Failure::file("listen on the control socket", &data_dir.join(SOCKET), &error);
    let socket = SocketPath::in_dir(data_dir).map_err(failed)?;
    // What a process left behind that was killed. Nobody else is there: the directory's lock is ours.
    match fs::remove_file(socket.as_path()) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(socket.as_path()).map_err(failed)?;
    fs::set_permissions(socket.as_path(), Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

/// Serves the API to the operator until the handle says stop.
pub(crate) async fn serve(listener: UnixListener, router: Router, handle: Handle<SocketAddr>) -> io::Result<()> {
    let server = axum_server::from_unix(listener)?;
    server
        .acceptor(OperatorOnly { own: rustix::process::geteuid().as_raw() })
        .handle(handle)
        .first_request_timeout(FIRST_REQUEST_TIMEOUT)
        .serve(router.into_make_service())
        .await
}

/// Lets in root and the user that Cardea runs as, and tells the API who it is.
#[derive(Clone, Copy)]
struct OperatorOnly {
    own: u32,
}

impl<S> Accept<UnixStream, S> for OperatorOnly {
    type Stream = UnixStream;
    type Service = AddExtension<S, Operator>;
    type Future = Ready<io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: UnixStream, service: S) -> Self::Future {
        ready(stream.peer_cred().and_then(|peer| {
            let uid = peer.uid();
            if uid == 0 || uid == self.own {
                return Ok((stream, Extension(Operator { uid }).layer(service)));
            }
            tracing::warn!(peer.uid = uid, "User id {uid} was turned away at the control socket");
            Err(io::Error::new(ErrorKind::PermissionDenied, "not the operator"))
        }))
    }
}
