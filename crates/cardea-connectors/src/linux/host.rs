//! One pinned target: its connection, made when it is needed and given up when it idles.

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use cardea_domain::{ConnectorError, Frame, ScanFinding, Target, UidRange};
use tokio::{
    sync::Mutex,
    time::{sleep, timeout_at},
};

use super::{
    Ground,
    answer::Answer,
    link::{Claim, Facts, Link},
    scan::Scans,
};

/// How long an unused connection is kept warm.
const IDLE_LIMIT: Duration = Duration::from_secs(5 * 60);

/// A target and at most one connection to it.
pub(super) struct Host {
    target: Target,
    ground: Arc<Ground>,
    state: Arc<Mutex<State>>,
    scans: Scans,
}

#[derive(Default)]
struct State {
    link: Option<Arc<Link>>,
    failed: Option<(Instant, ConnectorError)>,
}

/// Makes a frame's words when the host is known.
pub(super) type Words<'a> = &'a (dyn Fn(&Facts) -> Result<Vec<String>, ConnectorError> + Sync);

impl Host {
    pub(super) fn new(target: Target, ground: Arc<Ground>) -> Self {
        Self { target, ground, state: Arc::default(), scans: Scans::default() }
    }

    /// Whether there is a connection, or one is being made.
    pub(super) fn is_connected(&self) -> bool {
        self.state.try_lock().map_or(true, |state| state.link.as_ref().is_some_and(|link| !link.is_closed()))
    }

    /// One frame of a session, within its limit, connection and all.
    #[tracing::instrument(name = "frame", skip_all, fields(host = %self.target.name, verb = %verb, session.id = %frame.session))]
    pub(super) async fn run(&self, frame: Frame, verb: &str, words: Words<'_>) -> Result<Answer, ConnectorError> {
        let deadline = Instant::now() + frame.limit;
        let link = self.link_by(deadline).await?;
        heard(link.run(Some(claim(frame)), deadline, verb, &words(link.facts())?).await)
    }

    /// One frame that belongs to no session.
    #[tracing::instrument(name = "frame", skip_all, fields(host = %self.target.name, verb = %verb))]
    pub(super) async fn ask(&self, limit: Duration, verb: &str, words: &[String]) -> Result<Answer, ConnectorError> {
        let deadline = Instant::now() + limit;
        heard(self.link_by(deadline).await?.run(None, deadline, verb, words).await)
    }

    /// Files of these numbers, wherever they are on the host.
    pub(super) async fn scan(&self, range: UidRange) -> Result<Vec<ScanFinding>, ConnectorError> {
        self.scans.run(self, range).await
    }

    /// One frame that belongs to no session, on a shell of its own.
    #[tracing::instrument(name = "frame", skip_all, fields(host = %self.target.name, verb = %verb))]
    pub(super) async fn ask_apart(
        &self,
        limit: Duration,
        verb: &str,
        words: &[String],
    ) -> Result<Answer, ConnectorError> {
        let link = self.link().await?;
        heard(link.run_apart(None, (Instant::now() + limit, Duration::ZERO), verb, words).await)
    }

    /// One frame of a session on a shell of its own: begun within the frame's limit, and answered `limit` later.
    #[tracing::instrument(name = "frame", skip_all, fields(host = %self.target.name, verb = %verb, session.id = %frame.session))]
    pub(super) async fn run_apart(
        &self,
        frame: Frame,
        limit: Duration,
        verb: &str,
        words: &[String],
    ) -> Result<Answer, ConnectorError> {
        let deadline = Instant::now() + frame.limit;
        let link = self.link_by(deadline).await?;
        heard(link.run_apart(Some(claim(frame)), (deadline, limit), verb, words).await)
    }

    async fn link_by(&self, deadline: Instant) -> Result<Arc<Link>, ConnectorError> {
        let awake = async {
            let link = self.link().await?;
            if link.answers().await { Ok(link) } else { self.link().await }
        };
        timeout_at(deadline.into(), awake)
            .await
            .map_err(|_| ConnectorError::Unreachable(format!("{}: no connection in time", self.target)))?
    }

    /// The connection. Who waited while it could not be made hears why, instead of trying again one after the other.
    async fn link(&self) -> Result<Arc<Link>, ConnectorError> {
        let asked_at = Instant::now();
        let mut state = self.state.lock().await;
        if let Some(link) = state.link.as_ref().filter(|link| !link.is_closed()) {
            return Ok(link.clone());
        }
        if let Some((_, error)) = state.failed.as_ref().filter(|(failed_at, _)| *failed_at >= asked_at) {
            return Err(error.clone());
        }
        match Link::open(&self.target, &self.ground).await {
            Ok(link) => {
                let link = Arc::new(link);
                state.link = Some(link.clone());
                tokio::spawn(close_when_idle(Arc::downgrade(&self.state)));
                Ok(link)
            }
            Err(error) => {
                state.link = None;
                state.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
}

/// Says in the log, for those who want to know each, that a frame was answered.
fn heard(answer: Result<Answer, ConnectorError>) -> Result<Answer, ConnectorError> {
    match &answer {
        Ok(_) => tracing::debug!("Answered"),
        Err(error) => tracing::debug!(%error, "Answered with an error"),
    }
    answer
}

fn claim(frame: Frame) -> Claim {
    Claim { session: frame.session, fence: frame.fence }
}

/// Ends with the connection, or with its host.
async fn close_when_idle(state: Weak<Mutex<State>>) {
    loop {
        sleep(IDLE_LIMIT / 4).await;
        let Some(state) = state.upgrade() else { return };
        let mut state = state.lock().await;
        let Some(link) = state.link.as_ref() else { return };
        if link.is_closed() {
            state.link = None;
            return;
        }
        if link.used_at().elapsed() >= IDLE_LIMIT {
            link.close().await;
            state.link = None;
            return;
        }
    }
}
