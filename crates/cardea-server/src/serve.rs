//! `cardea serve`: one process with web UI, API, SSH gateway and engine, from start to drained stop.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    os::unix::net,
    sync::Arc,
    time::Duration,
};

use axum_server::{Handle, tls_rustls::RustlsConfig};
use cardea_ssh::{Gateway, Limits, Settings};
use cardea_vault::System;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::SystemClock,
    config::Config,
    control,
    crowd::{Crowd, raise_file_limit},
    data_dir::DataDir,
    failure::{Failure, with_causes},
    host_key, logging,
    tls::Certificate,
    trace::Collector,
    wiring::Wired,
};

/// Requests under way get this long to finish when the server stops.
const GRACE: Duration = Duration::from_secs(5);
/// After this long the process ends whatever is still running: what is half done is taken up at the next start.
const DRAIN_MAX: Duration = Duration::from_secs(20);
/// Browsers hold a few each, and one for events.
const CONNECTIONS_MAX: usize = 4096;
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs the server until it is told to stop.
pub(crate) async fn serve(config: Config) -> Result<(), Failure> {
    let collector = Collector::new(&config.trace)?;
    logging::for_server(&config.log, collector.as_ref());
    let outcome = hold_and_run(config).await;
    if let Some(collector) = collector {
        collector.close().await;
    }
    outcome
}

async fn hold_and_run(config: Config) -> Result<(), Failure> {
    raise_file_limit();
    // Held to the very end: nobody else may open the store before this process let go of it.
    let data = Arc::new(DataDir::lock(&config.data_dir).await?);
    let config = Arc::new(config);
    // Before anything is opened: a port that is taken is found out while nothing has happened yet.
    let listener = listen(config.http.listen)?;
    let wired = Wired::open(&config, &data).await?;
    let outcome = match wired.must_be_initialised(&config) {
        Ok(()) => run(&config, &data, &wired, listener).await,
        Err(failure) => Err(failure),
    };
    wired.close().await;
    outcome
}

async fn run(config: &Arc<Config>, data: &Arc<DataDir>, wired: &Wired, listener: TcpListener) -> Result<(), Failure> {
    let certificate = Certificate::load(&config.http, data, &SystemClock)?;
    let tls = certificate.listener_config().await?;
    let host_key = host_key::ensure(data, &wired.app).await?;
    let settings = Settings { listen: config.ssh.listen, host_key, limits: Limits::default() };
    let gateway = Gateway::bind(settings, Arc::new(wired.app.clone()), Arc::new(System))
        .await
        .map_err(|error| Failure::No(format!("{} (ssh.listen)", with_causes(&error))))?;
    let control = control::bind(data.path())?;
    let stopping = Stopping::new();
    // From here on a signal stops what runs in good order.
    let signals = stopping.on_signals()?;

    let mut parts = JoinSet::new();
    let router = wired.router(config, stopping.token.clone());
    parts.spawn(https(listener, tls.clone(), router.clone(), stopping.https.clone()));
    parts.spawn(operators(control, router, stopping.control.clone()));
    let (app, token) = (wired.app.clone(), stopping.token.clone());
    parts.spawn(async move {
        app.run_engine(token).await;
        ("the engine", Ok(()))
    });
    let (app, token) = (wired.app.clone(), stopping.token.clone());
    parts.spawn(async move {
        app.run_notices(token).await;
        ("the outbox", Ok(()))
    });
    let (app, token) = (wired.app.clone(), stopping.token.clone());
    parts.spawn(async move {
        app.run_directories(token).await;
        ("the looks at directories", Ok(()))
    });
    let (app, token) = (wired.app.clone(), stopping.token.clone());
    parts.spawn(async move {
        app.run_cluster(token).await;
        ("the cluster", Ok(()))
    });
    let token = stopping.token.clone();
    let ssh_listen = gateway.local_addr();
    parts.spawn(async move {
        gateway.serve(token).await;
        ("the SSH gateway", Ok(()))
    });
    let (config, data, token) = (Arc::clone(config), Arc::clone(data), stopping.token.clone());
    let public_url = config.http.public_url.clone();
    parts.spawn(async move {
        tokio::select! {
            () = token.cancelled() => {}
            () = certificate.follow(&config.http, &data, &SystemClock, &tls) => {}
        }
        ("the certificate", Ok(()))
    });
    tracing::info!(%ssh_listen, node = wired.app.node(), "Cardea is ready: {public_url}");
    let outcome = until_stopped(parts, &stopping).await;
    signals.abort();
    outcome
}

/// Waits for the first part that ends, stops the others, and waits for them.
async fn until_stopped(mut parts: JoinSet<(&'static str, io::Result<()>)>, stopping: &Stopping) -> Result<(), Failure> {
    let mut outcome = Ok(());
    let mut note = |ended: Result<(&'static str, io::Result<()>), tokio::task::JoinError>| {
        let stopped = stopping.token.is_cancelled();
        let sentence = match ended {
            Ok((_, Ok(()))) if stopped => return,
            Ok((part, Ok(()))) => format!("{part} ended by itself"),
            Ok((part, Err(error))) => format!("{part} failed: {error}"),
            Err(error) => format!("a part of the server panicked: {error}"),
        };
        tracing::error!("{sentence}");
        if outcome.is_ok() {
            outcome = Err(Failure::No(sentence));
        }
    };
    if let Some(ended) = parts.join_next().await {
        note(ended);
    }
    stopping.begin();
    let drained = timeout(DRAIN_MAX, async {
        while let Some(ended) = parts.join_next().await {
            note(ended);
        }
    });
    if drained.await.is_err() {
        tracing::warn!("Some work did not end in time: it is taken up at the next start");
    }
    outcome
}

fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address)
        .map_err(|error| Failure::No(format!("cannot listen on {address} (http.listen): {error}")))
}

async fn https(
    listener: TcpListener,
    tls: RustlsConfig,
    router: axum::Router,
    handle: Handle<SocketAddr>,
) -> (&'static str, io::Result<()>) {
    let served = async {
        let server = axum_server::from_tcp_rustls(listener, tls)?.handle(handle);
        let mut server = server.map(|tls| Crowd::new(tls, CONNECTIONS_MAX));
        server.http_builder().http1().header_read_timeout(HEADER_READ_TIMEOUT);
        let server = server.first_request_timeout(HEADER_READ_TIMEOUT);
        server.serve(router.into_make_service_with_connect_info::<SocketAddr>()).await
    };
    ("HTTPS", served.await)
}

async fn operators(
    listener: net::UnixListener,
    router: axum::Router,
    handle: Handle<net::SocketAddr>,
) -> (&'static str, io::Result<()>) {
    ("the control socket", control::serve(listener, router, handle).await)
}

/// Tells every part to stop, once.
#[derive(Clone)]
struct Stopping {
    token: CancellationToken,
    https: Handle<SocketAddr>,
    control: Handle<net::SocketAddr>,
}

impl Stopping {
    fn new() -> Self {
        Self { token: CancellationToken::new(), https: Handle::new(), control: Handle::new() }
    }

    fn begin(&self) {
        self.token.cancel();
        self.https.graceful_shutdown(Some(GRACE));
        self.control.graceful_shutdown(Some(GRACE));
    }

    /// Begins at SIGTERM or SIGINT; a second one ends the process on the spot.
    fn on_signals(&self) -> Result<tokio::task::JoinHandle<()>, Failure> {
        let failed = |error: io::Error| Failure::No(format!("signals cannot be listened to: {error}"));
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let stopping = self.clone();
        Ok(tokio::spawn(async move {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            tracing::info!("Stopping: work under way is brought to an end. Ask again to stop at once");
            stopping.begin();
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            std::process::exit(130);
        }))
    }
}
