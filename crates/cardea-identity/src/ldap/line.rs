//! The connection to a directory: dialled, encrypted and bounded here; the library sees one end of a pair of sockets.
//!
//! The library keeps whatever a server sends until a message is whole. A server that never ends one would fill the memory: what
//! may come is counted on the way, and the line is cut when it is too much.

use std::{
    io,
    net::SocketAddr,
    os::unix::net::UnixStream as Plain,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use cardea_domain::{Directory, DirectoryFault, DirectoryUrl};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{fault, task::Task};

/// How long a directory may take until it can be spoken to.
const DIAL_LIMIT: Duration = Duration::from_secs(5);
/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 4;
/// What may come for one question.
const ANSWER_MAX: usize = 8 << 20;
const CHUNK: usize = 16 << 10;
/// How long the answer to StartTLS may be.
const START_TLS_MAX: usize = 4096;

/// The extended request 1.3.6.1.4.1.1466.20037 (RFC 4511, 4.14) as message 1.
const START_TLS: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

/// A line to a directory. It is cut when the value is dropped.
pub(super) struct Line {
    left: Arc<AtomicUsize>,
    _relay: Task<()>,
}

impl Line {
    /// Connects, and encrypts as the settings say. The other end is for the library.
    pub(super) async fn open(directory: &Directory) -> Result<(Self, Plain), DirectoryFault> {
        let dialled = timeout(DIAL_LIMIT, dial(directory)).await;
        let url = &directory.url;
        let stream =
            dialled.map_err(|_| fault(format!("{url} did not answer within {} s", DIAL_LIMIT.as_secs())))??;
        let broken = |error: io::Error| fault(format!("the machine has no more sockets: {error}"));
        let (ours, theirs) = Plain::pair().map_err(broken)?;
        ours.set_nonblocking(true).map_err(broken)?;
        let ours = UnixStream::from_std(ours).map_err(broken)?;
        let left = Arc::new(AtomicUsize::new(0));
        let relay = Task::spawn(relay(stream, ours, Arc::clone(&left)));
        Ok((Self { left, _relay: relay }, theirs))
    }

    /// Before a question: its answer may be this long again.
    pub(super) fn expect_answer(&self) {
        self.left.store(ANSWER_MAX, Ordering::Relaxed);
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

async fn dial(directory: &Directory) -> Result<Box<dyn Stream>, DirectoryFault> {
    let url = &directory.url;
    let is_plain = !url.is_tls && !directory.start_tls;
    let mut stream = connect(url, is_plain).await?;
    if is_plain {
        return Ok(Box::new(stream));
    }
    let config = tls(directory.ca.as_deref())?;
    if !url.is_tls {
        start_tls(&mut stream).await.map_err(|error| fault(format!("{url} does not begin TLS: {error}")))?;
    }
    let name = ServerName::try_from(url.host.clone()).map_err(|_| fault(format!("{} is no host name", url.host)))?;
    let secured = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    Ok(Box::new(secured.map_err(|error| fault(format!("{url}: TLS: {error}")))?))
}

async fn connect(url: &DirectoryUrl, is_plain: bool) -> Result<TcpStream, DirectoryFault> {
    let found = tokio::net::lookup_host((url.host.as_str(), url.port)).await;
    let addresses: Vec<SocketAddr> =
        found.map_err(|error| fault(format!("{url} is not found: {error}")))?.take(ADDRESSES_MAX).collect();
    let mut why = fault(format!("{url} has no address"));
    for address in addresses {
        // Passwords are said on it.
        if is_plain && !address.ip().to_canonical().is_loopback() {
            return Err(fault(format!("{url} is {address}, not this machine: use ldaps:// or start_tls")));
        }
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // A question is one small packet.
                let _as_it_is = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => why = fault(format!("{url} cannot be reached: {error}")),
        }
    }
    Err(why)
}

fn tls(ca: Option<&str>) -> Result<ClientConfig, DirectoryFault> {
    let wrong = |error: &dyn std::fmt::Display| fault(format!("TLS cannot be set up: {error}"));
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&error))?;
    let Some(ca) = ca else {
        let verified = builder.with_platform_verifier().map_err(|error| wrong(&error))?;
        return Ok(verified.with_no_client_auth());
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca.as_bytes()) {
        let certificate = certificate.map_err(|error| fault(format!("ca: {error}")))?;
        roots.add(certificate).map_err(|error| fault(format!("ca: {error}")))?;
    }
    if roots.is_empty() {
        return Err(fault("ca: there is no certificate in it".to_owned()));
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Asks for TLS. Reads exactly the answer: what an attacker put behind it is TLS's to refuse, and never taken for the directory's.
async fn start_tls(stream: &mut TcpStream) -> io::Result<()> {
    let nonsense = || io::Error::other("its answer is none");
    stream.write_all(START_TLS).await?;
    let mut head = [0; 2];
    stream.read_exact(&mut head).await?;
    let length = match head {
        [0x30, short] if short < 0x80 => usize::from(short),
        [0x30, 0x81] => usize::from(stream.read_u8().await?),
        [0x30, 0x82] => usize::from(stream.read_u16().await?),
        [0x30, 0x84] => usize::try_from(stream.read_u32().await?).unwrap_or(usize::MAX),
        _ => return Err(nonsense()),
    };
    if length > START_TLS_MAX {
        return Err(nonsense());
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    match result_code(&body).ok_or_else(nonsense)? {
        0 => Ok(()),
        code => Err(io::Error::other(format!("it says no (result {code})"))),
    }
}

/// The result of an extended response to message 1.
fn result_code(body: &[u8]) -> Option<u8> {
    let response = body.strip_prefix(b"\x02\x01\x01\x78")?;
    let inside = match *response.first()? {
        short @ 0..0x80 => response.get(1..1 + usize::from(short))?,
        long => response.get(1 + usize::from(long & 0x7f)..)?,
    };
    match inside {
        [0x0a, 1, code, ..] => Some(*code),
        _ => None,
    }
}

/// Carries bytes both ways until one side ends or the directory says more than it may.
async fn relay(stream: Box<dyn Stream>, ours: UnixStream, left: Arc<AtomicUsize>) {
    let (mut from_directory, mut to_directory) = tokio::io::split(stream);
    let (mut from_us, mut to_us) = ours.into_split();
    let up = async {
        let _broken = tokio::io::copy(&mut from_us, &mut to_directory).await;
        let _broken = to_directory.shutdown().await;
    };
    let down = async {
        let mut chunk = vec![0; CHUNK];
        while let Ok(count @ 1..) = from_directory.read(&mut chunk).await {
            let take = |left: usize| left.checked_sub(count);
            let is_too_much = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err();
            if is_too_much || to_us.write_all(&chunk[..count]).await.is_err() {
                break;
            }
        }
    };
    tokio::select! { () = up => {}, () = down => {} }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_start_tls_is_read_strictly() {
        // Samba's, and the same with lengths of four bytes, as Active Directory writes them.
        assert_eq!(result_code(b"\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"), Some(0));
        assert_eq!(result_code(b"\x02\x01\x01\x78\x84\x00\x00\x00\x07\x0a\x01\x34\x04\x00\x04\x00"), Some(52));
        for nonsense in
            [&b""[..], b"\x02\x01\x02\x78\x03\x0a\x01\x00", b"\x02\x01\x01\x61\x03\x0a\x01\x00", b"\x02\x01\x01\x78"]
        {
            assert_eq!(result_code(nonsense), None, "{nonsense:?}");
        }
    }
}
