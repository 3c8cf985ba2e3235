//! The operator's figures: what the store holds at this moment, and how long the engine's steps take on each host.
//!
//! Counted where a step ends, read at most once a second. Numbers and names of hosts only.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use cardea_domain::{Object, Session, Status, Timestamp};
use cardea_store::{DirectorySyncRow, NoticeFigures, StoreFigures};
use tokio::time::Instant;

use crate::{App, AppError, directory::directories, engine::WORKERS_MAX};

/// Hosts with figures of their own; those that come later share [`OTHER_HOSTS`].
const HOSTS_MAX: usize = 500;
/// No name of a resource: these may not hold `+`.
const OTHER_HOSTS: &str = "+other";
/// How old an answer may be: a scraper that asks more often costs nothing more.
const FRESH: Duration = Duration::from_secs(1);

/// What an operator watches.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Sessions on the active list, for every status that can be on it.
    pub sessions: Vec<(Status, u64)>,
    /// Grants that are, or could be, on a target.
    pub grants_out: u64,
    /// Sessions whose clean-up has been failing for more than a minute.
    pub stalled: u64,
    /// How long the oldest of these clean-ups has been running; zero if there is none.
    pub oldest_stalled: Duration,
    /// Sessions that wait for the engine or are being worked on.
    pub due: u64,
    /// How long the first of them has been due; zero if there is none.
    pub oldest_due: Duration,
    /// Reviews of broken glass that should have been made by now.
    pub reviews_overdue: u64,
    /// Sessions that are being worked on.
    pub workers_busy: usize,
    /// How many can be worked on at once.
    pub workers_max: usize,
    /// Units of work that wait for SQLite's writer, or that hold a connection to PostgreSQL.
    pub store_units: usize,
    /// What waits to be told outside, and what was given up.
    pub notices: NoticeFigures,
    /// How long the first notice has been due; zero if there is none.
    pub oldest_notice: Duration,
    /// Every directory that was looked at, by name.
    pub directories: Vec<(String, DirectoryFigures)>,
    /// Steps by host, in the order of names.
    pub steps: Vec<(String, StepTimes)>,
}

/// How looks at a directory go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryFigures {
    /// The last look changed nothing, because it failed or was held.
    pub is_failing: bool,
    /// How long ago the last good one was; `None` if there never was one.
    pub since_good: Option<Duration>,
}

/// How long steps took.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepTimes {
    /// How many took at most this long, for each of [`StepTimes::BOUNDS`].
    pub within: [u64; StepTimes::BOUNDS.len()],
    pub count: u64,
    /// All of them together.
    pub sum: Duration,
}

impl StepTimes {
    /// Upper bounds in seconds: a warm host takes a tenth of one, and a command on a host a minute at most.
    pub const BOUNDS: [f64; 11] = [0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

    fn add(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        for (within, bound) in self.within.iter_mut().zip(Self::BOUNDS) {
            *within += u64::from(seconds <= bound);
        }
        self.count += 1;
        self.sum += took;
    }
}

/// The running counts behind [`Figures`].
#[derive(Default)]
pub(crate) struct Metrics {
    busy: AtomicUsize,
    steps: Mutex<BTreeMap<String, StepTimes>>,
    last: tokio::sync::Mutex<Option<(Instant, Arc<Figures>)>>,
}

impl Metrics {
    /// Counts a step until what it gives is dropped. Scans of whole hosts take minutes by nature: their time is not
    /// a step's.
    pub(crate) fn step(&self, session: &Session) -> Running<'_> {
        self.busy.fetch_add(1, Ordering::Relaxed);
        let host = (!session.clean).then(|| session.resource_name.clone());
        Running { metrics: self, began: Instant::now(), host }
    }

    fn took(&self, host: String, time: Duration) {
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        let is_room = steps.len() < HOSTS_MAX || steps.contains_key(&host);
        steps.entry(if is_room { host } else { OTHER_HOSTS.to_owned() }).or_default().add(time);
    }
}

/// A step that is running.
pub(crate) struct Running<'a> {
    metrics: &'a Metrics,
    began: Instant,
    host: Option<String>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.metrics.busy.fetch_sub(1, Ordering::Relaxed);
        if let Some(host) = self.host.take() {
            self.metrics.took(host, self.began.elapsed());
        }
    }
}

impl App {
    /// The figures of this moment, or of at most a second ago. Who may see them is the caller's to decide: they name
    /// hosts and nobody.
    pub async fn figures(&self) -> Result<Arc<Figures>, AppError> {
        let mut last = self.0.metrics.last.lock().await;
        if let Some((_, figures)) = last.as_ref().filter(|(read_at, _)| read_at.elapsed() < FRESH) {
            return Ok(figures.clone());
        }
        let now = self.0.clock.now();
        let read = self.0.store.read(move |tx| {
            Box::pin(async move {
                Ok::<_, AppError>((tx.figures(now).await?, tx.notice_figures().await?, tx.directory_syncs().await?))
            })
        });
        let (stored, notices, looks) = read.await?;
        let figures = Arc::new(Figures {
            directories: self.directory_figures(&looks, now),
            ..self.with_counts(&stored, notices, now)
        });
        *last = Some((Instant::now(), figures.clone()));
        Ok(figures)
    }

    fn directory_figures(&self, looks: &[DirectorySyncRow], now: Timestamp) -> Vec<(String, DirectoryFigures)> {
        let configuration = self.configuration();
        let figures = |provider: &Object| {
            let look = looks.iter().find(|look| look.provider == provider.id)?;
            let since_good = look.succeeded_at.map(|at| now.since(at));
            Some((provider.name.to_string(), DirectoryFigures { is_failing: look.error.is_some(), since_good }))
        };
        directories(&configuration).filter_map(figures).collect()
    }

    fn with_counts(&self, stored: &StoreFigures, notices: NoticeFigures, now: Timestamp) -> Figures {
        let age = |since: Option<Timestamp>| since.map_or(Duration::ZERO, |since| now.since(since));
        let count = |status| stored.sessions.iter().find(|(known, _)| *known == status).map_or(0, |(_, count)| *count);
        let metrics = &self.0.metrics;
        let steps = metrics.steps.lock().unwrap_or_else(PoisonError::into_inner);
        Figures {
            sessions: Status::ALL.into_iter().map(|status| (status, count(status))).collect(),
            grants_out: stored.grants_out,
            stalled: stored.stalled,
            oldest_stalled: age(stored.stalled_since),
            due: stored.due,
            oldest_due: age(stored.due_since),
            reviews_overdue: stored.reviews_overdue,
            workers_busy: metrics.busy.load(Ordering::Relaxed),
            workers_max: WORKERS_MAX,
            store_units: self.0.store.units(),
            notices,
            oldest_notice: age(notices.due_since),
            directories: Vec::new(),
            steps: steps.iter().map(|(host, times)| (host.clone(), times.clone())).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_counts_for_every_bound_that_it_is_within() {
        let mut times = StepTimes::default();
        for millis in [10, 100, 700, 120_000] {
            times.add(Duration::from_millis(millis));
        }
        assert_eq!(times.within, [1, 1, 2, 2, 2, 3, 3, 3, 3, 3, 3]);
        assert_eq!((times.count, times.sum), (4, Duration::from_millis(120_810)));
    }

    #[test]
    fn hosts_beyond_the_limit_share_one_line() {
        let metrics = Metrics::default();
        for n in 0..HOSTS_MAX + 10 {
            metrics.took(format!("host{n}"), Duration::ZERO);
        }
        metrics.took("host0".to_owned(), Duration::ZERO);
        let steps = metrics.steps.lock().expect("nobody panicked");
        assert_eq!((steps.len(), steps["host0"].count, steps[OTHER_HOSTS].count), (HOSTS_MAX + 1, 2, 10));
    }
}
