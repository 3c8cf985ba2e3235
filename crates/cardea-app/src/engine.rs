//! The engine: takes every session from request to proven clean-up.
//!
//! A session's row is its unit of work. `wake_at` is the one timer, `fence` rises with each claim and goes to the target
//! with every command. A worker holds one session at a time and writes each step down before and after it touches the
//! target, so that a crash at any instruction leaves rows from which the next start goes on.

mod account;
mod bounds;
mod clean_up;
mod drift;
pub(crate) mod handover;
mod host;
mod lock;
pub(crate) mod meanwhile;
mod open;
mod poll;
mod provision;
mod scan;
mod script;
mod share;
mod stand;
mod sweep;
pub(crate) mod turn;
mod wait;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use cardea_domain::{Actor, Claim, Grant, Permit, Room, Session, SessionId, Status, Timestamp, Verb};
use cardea_store::Store;
use tokio::{
    task::{self, AbortHandle, JoinError, JoinSet},
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug, error, warn};

use crate::{App, AppError, session::by_session};

/// Sessions that are worked on at once. Each waits mostly for its host; a slow host holds up only its own sessions.
pub(crate) const WORKERS_MAX: usize = 1024;
/// Sessions claimed in one unit of work.
const CLAIM_MAX: u32 = 64;
/// How long the engine sleeps at most, whatever the rows say.
const SLEEP_MAX: Duration = Duration::from_secs(60);
/// The shortest time between two looks at what is due in the store: what comes meanwhile is looked at together.
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// The pause after a fault of ours with a session or a host.
const FAULT_PAUSE: Duration = Duration::from_secs(5);
/// The pause after the store failed to answer.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// How long workers may go on after a stop: about one step on a host. What is cut off goes on at the next start.
const DRAIN: Duration = Duration::from_secs(10);

/// For how long a session is in a node's hands without a sign of life; then another node takes it up.
const LEASE: Duration = Duration::from_secs(10);
/// How often a node says that it still works on what it holds.
const RENEW: Duration = Duration::from_secs(3);

/// The highest fence that is taken over from a host. Hosts take no number of so many digits for one (frame.sh), so that whatever
/// somebody writes there, the next claim is above it.
pub(crate) const FENCE_MAX: i64 = 100_000_000_000_000;

/// How long the engine sleeps at most while other nodes are there, whose claims it does not hear of.
const SHARED_SLEEP_MAX: Duration = Duration::from_secs(2);

/// What each running worker holds, and a way to stop it. The task that renews the claims looks at it too.
pub(crate) struct Busy<K = SessionId>(Arc<Mutex<HashMap<task::Id, (K, AbortHandle)>>>);

impl<K> Clone for Busy<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Clone + PartialEq> Busy<K> {
    fn new() -> Self {
        Self(Arc::default())
    }

    fn all(&self) -> MutexGuard<'_, HashMap<task::Id, (K, AbortHandle)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn len(&self) -> usize {
        self.all().len()
    }

    fn insert(&self, held: K, worker: AbortHandle) {
        self.all().insert(worker.id(), (held, worker));
    }

    fn remove(&self, worker: task::Id) -> Option<K> {
        self.all().remove(&worker).map(|(held, _)| held)
    }

    fn has(&self, held: &K) -> bool {
        self.all().values().any(|(known, _)| known == held)
    }

    /// All that is held, also by workers that are done and were not looked at since.
    fn held(&self) -> Vec<K> {
        self.all().values().map(|(held, _)| held.clone()).collect()
    }

    /// What is worked on.
    fn worked_on(&self) -> Vec<K> {
        self.all().values().filter(|(_, worker)| !worker.is_finished()).map(|(held, _)| held.clone()).collect()
    }

    fn abort(&self, held: &K) {
        self.all().values().filter(|(known, _)| known == held).for_each(|(_, worker)| worker.abort());
    }
}

/// Why a worker put its session down.
enum Stop {
    /// Somebody else moved the session: it will be claimed again, with a newer fence.
    Overtaken,
    /// A fault of ours or of the store.
    Failed(AppError),
}

impl From<AppError> for Stop {
    fn from(error: AppError) -> Self {
        match error {
            AppError::Conflict | AppError::Refused { .. } => Self::Overtaken,
            other => Self::Failed(other),
        }
    }
}

impl From<cardea_store::StoreError> for Stop {
    fn from(error: cardea_store::StoreError) -> Self {
        AppError::from(error).into()
    }
}

impl App {
    /// Drives sessions and asks hosts until `stop`, then lets running steps finish.
    pub async fn run_engine(&self, stop: CancellationToken) {
        tokio::join!(self.run_sessions(stop.clone()), self.run_hosts(stop));
    }

    async fn run_sessions(&self, stop: CancellationToken) {
        let mut workers = JoinSet::new();
        let busy = Busy::new();
        let open = self.open_handover();
        // Beside this loop, which may be at one change for longer than a lease; it ends with it, after the last steps.
        let mut renewal = JoinSet::new();
        renewal.spawn(self.clone().keep_claims(busy.clone()));
        'running: loop {
            let next_expiry = self.check_ground().await.unwrap_or_else(|error| {
                error!(%error, "Sessions could not all be judged after a change; they are judged again");
                Some(self.0.clock.now().plus(STORE_PAUSE))
            });
            let pause = match self.start_due(&mut workers, &busy).await {
                Ok(pause) => pause,
                Err(error) => {
                    error!(%error, "The engine cannot read the store; trying again");
                    STORE_PAUSE
                }
            };
            let until_expiry = next_expiry.map(|at| at.since(self.0.clock.now()));
            let pause = until_expiry.map_or(pause, |until| until.min(pause));
            let looked = Instant::now();
            let (soon, mut look_at) = (looked + LOOK_PAUSE, looked + pause);
            loop {
                tokio::select! {
                    () = stop.cancelled() => break 'running,
                    () = tokio::time::sleep_until(look_at) => break,
                    () = self.0.nudge.notified() => look_at = look_at.min(soon),
                    () = self.0.handover.arrived() => self.start_handed(&mut workers, &busy),
                    // It never ends by itself: without it every lease would run out.
                    Some(_) = renewal.join_next() => break 'running,
                    Some(done) = workers.join_next_with_id() => {
                        self.finished(&mut workers, &busy, done);
                        while let Some(done) = workers.try_join_next_with_id() {
                            self.finished(&mut workers, &busy, done);
                        }
                        self.start_handed(&mut workers, &busy);
                        look_at = look_at.min(soon);
                    }
                }
            }
        }
        drop(open);
        let drained = tokio::time::timeout(DRAIN, async { while workers.join_next().await.is_some() {} });
        if drained.await.is_err() {
            debug!("Steps were cut off by the stop; they go on at the next start");
        }
    }

    /// Starts a worker for every session that is due; says how long to sleep.
    async fn start_due(&self, workers: &mut JoinSet<()>, busy: &Busy) -> Result<Duration, AppError> {
        loop {
            self.start_handed(workers, busy);
            let room = WORKERS_MAX.saturating_sub(busy.len());
            if room == 0 {
                return Ok(SLEEP_MAX);
            }
            let now = self.0.clock.now();
            let (in_hand, left) = (self.in_hand(busy), self.0.turns.left());
            if let Some(pause) = self.pause_at(now, in_hand(), left.clone()).await? {
                return Ok(pause);
            }
            let limit = CLAIM_MAX.min(u32::try_from(room).unwrap_or(CLAIM_MAX));
            let claim = self.claim(now);
            let claimed = self.0.store.write(move |tx| {
                Box::pin(async move {
                    let sessions = tx.claim_due(now, &claim, in_hand, left, limit).await?;
                    let ids: Vec<_> = sessions.iter().map(|session| session.id).collect();
                    let grants = if ids.is_empty() { Vec::new() } else { tx.grants_of_many(&ids).await? };
                    Ok::<_, AppError>((sessions, grants))
                })
            });
            let (sessions, grants) = claimed.await?;
            let mut grants = by_session(grants);
            for session in sessions {
                let grants = grants.remove(&session.id).unwrap_or_default();
                self.start(workers, busy, session, grants);
            }
        }
    }

    /// What workers have, and what is on its way to them.
    fn in_hand(&self, busy: &Busy) -> impl Fn() -> Vec<SessionId> + Send + 'static + use<> {
        let (app, busy) = (self.clone(), busy.clone());
        move || [busy.held(), app.0.handover.coming()].concat()
    }

    /// Starts a worker for every session that was handed over, without asking the store.
    fn start_handed(&self, workers: &mut JoinSet<()>, busy: &Busy) {
        for (session, grants) in self.0.handover.take(|id| busy.has(id)) {
            self.start(workers, busy, session, grants);
        }
        self.0.handover.count(busy.len());
    }

    /// A worker for a session that is claimed.
    fn start(&self, workers: &mut JoinSet<()>, busy: &Busy, session: Session, grants: Vec<Grant>) {
        let (app, id) = (self.clone(), session.id);
        let worker = workers.spawn(async move { app.work(session, grants).await });
        busy.insert(id, worker);
    }

    /// How long nothing is due that this node could take, but for those of `exclude` and where there is no room `left`; `None` if
    /// something is. Another node's sessions it can take from the moment on that that node's lease is over.
    async fn pause_at(
        &self,
        now: Timestamp,
        exclude: Vec<SessionId>,
        left: Room,
    ) -> Result<Option<Duration>, AppError> {
        let (node, is_shared) = (self.0.node.clone(), self.0.store.is_shared());
        let most = self.sleep_max();
        let read = self.0.store.read(move |tx| {
            Box::pin(async move {
                let next = tx.next_wake(now, &node, &exclude, &left).await?;
                let lease = if is_shared { tx.next_lease_end(&node, now, now.plus(most)).await? } else { None };
                Ok::<_, AppError>([next, lease].into_iter().flatten().min())
            })
        });
        let next = read.await?;
        Ok(match next {
            Some(at) if at <= now => None,
            Some(at) => Some(at.since(now).min(most)),
            None => Some(most),
        })
    }

    /// How long to sleep at most.
    pub(crate) fn sleep_max(&self) -> Duration {
        if self.0.store.is_shared() { SHARED_SLEEP_MAX } else { SLEEP_MAX }
    }

    /// One claim of one session.
    async fn work(self, session: Session, grants: Vec<Grant>) {
        let id = session.id;
        let _counted = self.0.metrics.step(&session);
        let span = self.step_span(&session).await;
        let outcome = Box::pin(self.step(session, grants)).instrument(span).await;
        if let Err(Stop::Failed(error)) = outcome {
            error!(session.id = %id, %error, "A step failed inside Cardea; trying again");
            self.wake_later(id, FAULT_PAUSE).await;
        }
    }

    /// Does what is due. `grants` are all of the session's, as they were when it was claimed.
    async fn step(&self, session: Session, grants: Vec<Grant>) -> Result<(), Stop> {
        match session.status {
            Status::WaitingForApproval => self.wait_on(session.id).await,
            Status::Scheduled => self.begin_scheduled(session.id).await,
            Status::Provisioning => self.provision(session, grants).await,
            Status::Available | Status::LoggedIn | Status::Locked => self.stand(session).await,
            Status::Canceling => self.clean_up_claimed(session, grants).await,
            Status::Failed if !session.clean => self.clean_up_claimed(session, grants).await,
            Status::Failed | Status::Completed | Status::Canceled | Status::Denied | Status::Expired => {
                self.scan(session).await
            }
        }
    }

    /// This node's hold on what it takes up now.
    fn claim(&self, now: Timestamp) -> Claim {
        Claim { node: self.0.node.clone(), until: now.plus(LEASE) }
    }

    async fn keep_claims(self, busy: Busy) {
        let mut renewal = tokio::time::interval(RENEW);
        renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            renewal.tick().await;
            if tokio::time::timeout(RENEW, self.renew_claims(&busy)).await.is_err() {
                error!("The store takes too long to renew this node's hold on its sessions; trying again");
            }
        }
    }

    /// Says that this node still works on what it holds. Workers whose session another node took up meanwhile are stopped: it was
    /// away for too long, and the fences refuse whatever they would still do.
    async fn renew_claims(&self, busy: &Busy) {
        let ids = [busy.worked_on(), self.0.handover.coming()].concat();
        if ids.is_empty() {
            return;
        }
        let (claim, is_shared) = (self.claim(self.0.clock.now()), self.0.store.is_shared());
        let renewed = self.0.store.write(move |tx| {
            Box::pin(async move {
                tx.renew_claims(&claim, &ids).await?;
                if is_shared { tx.claimed_by_others(&claim.node, &ids).await } else { Ok(Vec::new()) }
            })
        });
        match renewed.await {
            Ok(lost) => {
                for id in lost {
                    warn!(session.id = %id, "Another node took this session up: this one stops working on it");
                    busy.abort(&id);
                }
            }
            Err(error) => error!(%error, "This node could not renew its hold on the sessions that it works on"),
        }
    }

    /// After a fault of ours: look again soon, so that no session is forgotten while the process lives.
    async fn wake_later(&self, id: SessionId, pause: Duration) {
        let at = self.0.clock.now().plus(pause);
        let set = self.retried(|| {
            let node = self.0.node.clone();
            self.0.store.write(move |tx| {
                Box::pin(async move {
                    let Some(mut session) = tx.session(id).await? else { return Ok(()) };
                    if session.claim.as_ref().is_some_and(|claim| claim.node != node) {
                        // Another node took it up meanwhile.
                        return Ok(());
                    }
                    session.wake_at = Some(at);
                    session.claim = None;
                    let permit = Permit::ask(&Actor::Engine, Verb::DriveSession)?;
                    tx.save_session(&permit, &mut session).await.map_err(AppError::from)
                })
            })
        });
        if let Err(error) = set.await {
            error!(session.id = %id, %error, "The store does not take a session's next step; it stays due as it is");
            tokio::time::sleep(STORE_PAUSE).await;
        }
    }

    /// A worker is done with its session. One that panicked is a fault of ours: its session is looked at again soon,
    /// because no session may be forgotten while the process lives.
    fn finished(&self, workers: &mut JoinSet<()>, busy: &Busy, done: Result<(task::Id, ()), JoinError>) {
        match done {
            Ok((worker, ())) => {
                busy.remove(worker);
            }
            Err(error) => {
                let Some(id) = busy.remove(error.id()) else { return };
                if error.is_cancelled() {
                    return;
                }
                error!(session.id = %id, %error, "A worker died; its session is taken up again");
                let app = self.clone();
                let worker = workers.spawn(async move { app.wake_later(id, FAULT_PAUSE).await });
                busy.insert(id, worker);
            }
        }
    }

    fn store(&self) -> &Store {
        &self.0.store
    }
}

/// The engine's own permit.
pub(crate) fn drive() -> Result<Permit, AppError> {
    Ok(Permit::ask(&Actor::Engine, Verb::DriveSession)?)
}

#[cfg(test)]
mod tests;
