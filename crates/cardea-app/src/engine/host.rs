//! Hosts as the clock asks them: claimed and worked on like sessions, by a loop and workers of their own, so that a slow or
//! dead host holds up nobody but itself. One poll answers for every session on a host, and nobody asks a host on which
//! nobody has a session.

use std::{collections::HashSet, sync::Arc, time::Duration};

use cardea_domain::{
    Actor, Configuration, ConnectorError, Kind, Object, ObjectId, Period, Permit, Target, Timestamp, Verb,
};
use cardea_store::{AuditEntry, HostRow, Outcome, Tx};
use tokio::{
    task::{self, JoinError, JoinSet},
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::{Busy, CLAIM_MAX, DRAIN, FAULT_PAUSE, RENEW, SLEEP_MAX, STORE_PAUSE};
use crate::{App, AppError, plan::host_of};

/// Hosts that are asked at once. Each waits mostly for its host.
const WORKERS_MAX: usize = 256;
/// How often a host is searched for marks that the ledger does not know.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);
/// Sweeps of different hosts are spread over this much more.
const SWEEP_SPREAD: u64 = 600;
/// At the start, one host after the other is searched this much later.
const SEED_PAUSE: Duration = Duration::from_millis(50);
/// How soon a sweep that could not do everything is done again; doubled each time, up to [`SWEEP_EVERY`].
const SWEEP_AGAIN: Duration = Duration::from_secs(60);
/// A host that does not answer is asked at most this much more seldom.
const POLL_MAX: Duration = Duration::from_secs(300);
/// Unanswered polls in a row after which somebody should know.
const BLIND_AFTER: u32 = 3;

/// What this process has had searched already.
#[derive(Default)]
struct Seeded {
    /// The configuration that it went through last.
    configuration: Option<Arc<Configuration>>,
    keys: HashSet<String>,
}

/// What a worker did on a host, for its row.
#[derive(Default)]
struct Visit {
    /// Whether the host was asked who is logged in, and answered.
    polled: Option<bool>,
    swept: Option<Swept>,
}

/// What a sweep came to.
pub(super) struct Swept {
    /// Whether all was done that there was to do.
    pub(super) done: bool,
    /// Marks that were told about and left, and are still there.
    pub(super) reported: Vec<String>,
}

/// A host that a worker holds.
pub(super) struct Held {
    pub(super) row: HostRow,
    /// The way there, as it is configured now.
    pub(super) target: Target,
    /// Every resource that is this host.
    pub(super) resources: Vec<ObjectId>,
}

impl App {
    /// Asks hosts until `stop`, then lets running looks finish.
    pub(super) async fn run_hosts(&self, stop: CancellationToken) {
        let (mut workers, busy, mut seeded) = (JoinSet::new(), Busy::new(), Seeded::default());
        let mut renewal = JoinSet::new();
        renewal.spawn(self.clone().keep_hosts(busy.clone()));
        loop {
            let pause = match self.start_hosts(&mut workers, &busy, &mut seeded).await {
                Ok(pause) => pause,
                Err(error) => {
                    error!(%error, "Hosts cannot be asked, because the store does not answer; trying again");
                    STORE_PAUSE
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.0.host_nudge.notified() => {}
                () = tokio::time::sleep(pause) => {}
                Some(_) = renewal.join_next() => break,
                Some(done) = workers.join_next_with_id() => forget(&mut workers, &busy, done),
            }
        }
        let drained = tokio::time::timeout(DRAIN, async { while workers.join_next().await.is_some() {} });
        if drained.await.is_err() {
            debug!("Looks at hosts were cut off by the stop; they are done again at the next start");
        }
    }

    /// Starts a worker for every host that is due; says how long to sleep.
    async fn start_hosts(
        &self,
        workers: &mut JoinSet<()>,
        busy: &Busy<String>,
        seeded: &mut Seeded,
    ) -> Result<Duration, AppError> {
        self.seed(seeded).await?;
        loop {
            let room = WORKERS_MAX.saturating_sub(busy.len());
            if room == 0 {
                return Ok(SLEEP_MAX);
            }
            let exclude = busy.held();
            let (now, node, held) = (self.0.clock.now(), self.0.node.clone(), exclude.clone());
            let next = self.store().read(move |tx| Box::pin(async move { tx.next_host_wake(now, &node, &held).await }));
            match next.await? {
                None => return Ok(self.sleep_max()),
                Some(at) if at > now => return Ok(at.since(now).min(self.sleep_max())),
                Some(_) => {}
            }
            let (claim, limit) = (self.claim(now), CLAIM_MAX.min(u32::try_from(room).unwrap_or(CLAIM_MAX)));
            let claimed = self
                .store()
                .write(move |tx| Box::pin(async move { tx.claim_hosts(now, &claim, &exclude, limit).await }));
            for host in claimed.await? {
                let (app, key) = (self.clone(), host.key.clone());
                let worker = workers.spawn(async move { app.work_on_host(host).await });
                busy.insert(key, worker);
            }
        }
    }

    /// Has every host of the configuration searched that this process has not had searched: after a start the ledger may be
    /// older than the hosts.
    async fn seed(&self, seeded: &mut Seeded) -> Result<(), AppError> {
        let configuration = self.configuration();
        if seeded.configuration.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, &configuration)) {
            return Ok(());
        }
        let mut at = self.0.clock.now();
        for resource in configuration.of(Kind::Resource) {
            let Some(key) = resource.as_resource().and_then(|spec| spec.host_key.clone()) else { continue };
            if seeded.keys.contains(&key) {
                continue;
            }
            // One without its service account gets one by a change of the configuration.
            let Ok(target) = self.target_of(&configuration, resource).await else { continue };
            let (host, due) = (key.clone(), at);
            let asked = self.store().write(move |tx| {
                Box::pin(async move { tx.sweep_host(&host, &target, due).await.map_err(AppError::from) })
            });
            asked.await?;
            seeded.keys.insert(key);
            at = at.plus(SEED_PAUSE);
        }
        seeded.configuration = Some(configuration);
        Ok(())
    }

    async fn keep_hosts(self, busy: Busy<String>) {
        let mut renewal = tokio::time::interval(RENEW);
        renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            renewal.tick().await;
            if tokio::time::timeout(RENEW, self.renew_hosts(&busy)).await.is_err() {
                error!("The store takes too long to renew this node's hold on the hosts that it asks; trying again");
            }
        }
    }

    async fn renew_hosts(&self, busy: &Busy<String>) {
        let (claim, keys) = (self.claim(self.0.clock.now()), busy.worked_on());
        if keys.is_empty() {
            return;
        }
        let renewed = self.store().write(move |tx| Box::pin(async move { tx.renew_host_claims(&claim, &keys).await }));
        if let Err(error) = renewed.await {
            error!(%error, "This node could not renew its hold on the hosts that it asks");
        }
    }

    /// One claim of one host.
    async fn work_on_host(self, row: HostRow) {
        let key = row.key.clone();
        let held = match self.hold_host(row).await {
            Ok(held) => held,
            Err(error) => {
                error!(%error, "The store does not say how to reach a host; it stays due as it is");
                // It is claimed anew as soon as this worker is gone.
                return tokio::time::sleep(STORE_PAUSE).await;
            }
        };
        let visit = self.visit(&held).await;
        if let Err(error) = self.retried(|| self.let_host_go(&held, &visit)).await {
            error!(host = %held.target, key, %error, "The store does not take what was learned of a host; it is asked again");
            tokio::time::sleep(STORE_PAUSE).await;
        }
    }

    /// The resources that are this host now, and the way there.
    async fn hold_host(&self, row: HostRow) -> Result<Held, AppError> {
        let configuration = self.configuration();
        let is_it = |spec: &cardea_domain::ResourceSpec| spec.host_key.as_deref() == Some(row.key.as_str());
        let same: Vec<_> =
            configuration.of(Kind::Resource).filter(|resource| resource.as_resource().is_some_and(is_it)).collect();
        let mut resources: Vec<_> = same.iter().map(|resource| resource.id).collect();
        let named = same.iter().find(|resource| resource.id == row.resource).or(same.first());
        let target = match named {
            Some(resource) => self.target_of(&configuration, resource).await.unwrap_or_else(|_| row.target.clone()),
            None => row.target.clone(),
        };
        if !resources.contains(&row.resource) {
            resources.push(row.resource);
        }
        Ok(Held { row, target, resources })
    }

    async fn visit(&self, held: &Held) -> Visit {
        let now = self.0.clock.now();
        let is_due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        let mut visit = Visit::default();
        if is_due(held.row.poll_at) {
            let asked = self.poll(held).await;
            if let Err(error) = &asked {
                let failures = held.row.failures + 1;
                warn!(host = %held.target, failures, %error, "A host does not say who is logged in");
            }
            visit.polled = Some(asked.is_ok());
        }
        if is_due(held.row.sweep_at) {
            let swept = self.sweep(held).await.unwrap_or_else(|error| {
                warn!(host = %held.target, %error, "A host could not be searched for marks; trying again later");
                Swept { done: false, reported: held.row.reported.clone() }
            });
            visit.swept = Some(swept);
        }
        visit
    }

    /// Has a host asked at `poll_at` or sooner who is logged in.
    pub(super) async fn poll_by(&self, tx: &mut Tx, target: &Target, poll_at: Timestamp) -> Result<(), AppError> {
        tx.poll_host(&host_of(target), target, poll_at).await?;
        let waker = self.clone();
        tx.after_commit(Box::new(move || waker.0.host_nudge.notify_one()));
        Ok(())
    }

    /// Has a host asked within `interval`, if it would not be.
    pub(super) async fn keep_polled(&self, target: &Target, interval: Duration) -> Result<(), AppError> {
        let (poll_at, key) = (self.0.clock.now().plus(interval), host_of(target));
        let asked = self.store().read(move |tx| Box::pin(async move { tx.is_polled(&key, poll_at).await }));
        if asked.await? {
            return Ok(());
        }
        let (app, target) = (self.clone(), target.clone());
        self.store().write(move |tx| Box::pin(async move { app.poll_by(tx, &target, poll_at).await })).await
    }

    /// Writes down what was learned, and when the host is asked next. A session that came meanwhile and saw that the host is asked
    /// soon enough does not change the row: so it is looked once more who stands there.
    async fn let_host_go(&self, held: &Held, visit: &Visit) -> Result<(), AppError> {
        self.write_host(held, visit).await?;
        if !self.store().is_shared() {
            return Ok(());
        }
        let resources = held.resources.clone();
        let read = self.store().read(move |tx| Box::pin(async move { tx.monitor_interval(&resources).await }));
        match read.await? {
            Some(interval) if visit.polled != Some(false) => self.keep_polled(&held.target, interval.get()).await,
            _ => Ok(()),
        }
    }

    async fn write_host(&self, held: &Held, visit: &Visit) -> Result<(), AppError> {
        let (app, key, resources) = (self.clone(), held.row.key.clone(), held.resources.clone());
        let (polled, swept) = (visit.polled, visit.swept.as_ref().map(|swept| (swept.done, swept.reported.clone())));
        let (name, was_allowed) = (held.target.name.clone(), held.row.may_remove);
        let written = self.store().write(move |tx| {
            Box::pin(async move {
                let Some(mut host) = tx.host(&key).await? else { return Ok(()) };
                if host.claim.as_ref().is_none_or(|claim| claim.node != app.0.node) {
                    return Ok(());
                }
                let now = app.0.clock.now();
                let answered = polled.unwrap_or_else(|| swept.as_ref().is_none_or(|(done, _)| *done));
                host.failures = if answered { 0 } else { host.failures.saturating_add(1) };
                let interval = tx.monitor_interval(&resources).await?;
                host.poll_at = next_poll(&host, interval, polled, now);
                if let Some((done, reported)) = swept {
                    host.reported = reported;
                    // Whoever said so while it was searched meant the next search, which is due.
                    if was_allowed || !host.may_remove {
                        host.may_remove &= !done;
                        host.sweep_at = Some(now.plus(next_sweep(&host, done)));
                    }
                } else if host.sweep_at.is_none() {
                    host.sweep_at = Some(now.plus(next_sweep(&host, true)));
                }
                if polled == Some(false) && host.failures == BLIND_AFTER {
                    let text =
                        format!("{name} does not say who is logged in: log-ins past the gateway are not seen there");
                    let alert = app.alert("monitor_blind", text, None, Some(&name));
                    app.raise(tx, &sweeper()?, alert, serde_json::Value::Null).await?;
                }
                Ok(tx.save_host(&host).await?)
            })
        });
        written.await
    }

    /// Has a resource's host searched now for what carries Cardea's mark and is not in the ledger. With `remove`, what is this
    /// installation's by its token is taken away.
    pub async fn sweep_resource(&self, actor: &Actor, name_or_id: &str, remove: bool) -> Result<Object, AppError> {
        let asked = self.sweep_once(actor, name_or_id, remove).await;
        if let Err(error @ (AppError::Denied(_) | AppError::Refused { .. })) = &asked {
            self.refused(actor, Verb::SweepHost, name_or_id.chars().take(64).collect(), error).await;
        }
        asked
    }

    async fn sweep_once(&self, actor: &Actor, name_or_id: &str, remove: bool) -> Result<Object, AppError> {
        Permit::somewhere(actor, Verb::SweepHost)?;
        let configuration = self.configuration();
        let resource = self.object(actor, Kind::Resource, name_or_id)?;
        let permit = Permit::for_object(actor, Verb::SweepHost, &resource, &configuration)?;
        let target = self.target_of(&configuration, &resource).await?;
        if target.host_key.is_none() {
            return Err(ConnectorError::HostKeyMissing.into());
        }
        let (now, id, entry_id) = (self.0.clock.now(), resource.id, self.mint_audit());
        let asked = self.store().write(move |tx| {
            Box::pin(async move {
                tx.sweep_host(&host_of(&target), &target, now).await?;
                if remove {
                    tx.allow_removal(&host_of(&target)).await?;
                }
                let message = if remove {
                    "asked to have the host searched now, and what the ledger does not know taken away"
                } else {
                    "asked to have the host searched now"
                };
                let entry = AuditEntry {
                    id: entry_id,
                    at: now,
                    subject: id.to_string(),
                    outcome: Outcome::Ok,
                    detail: serde_json::json!({ "message": message, "remove": remove }),
                };
                tx.record(&permit, &entry).await.map_err(AppError::from)
            })
        });
        asked.await?;
        self.0.host_nudge.notify_one();
        Ok(resource)
    }
}

/// The engine's own permit for work that belongs to no session.
pub(super) fn sweeper() -> Result<Permit, AppError> {
    Ok(Permit::ask(&Actor::Engine, Verb::SweepHost)?)
}

/// A worker is done with its host. One that panicked is a fault of ours: its host is still due, and is held back for a while.
fn forget(workers: &mut JoinSet<()>, busy: &Busy<String>, done: Result<(task::Id, ()), JoinError>) {
    match done {
        Ok((worker, ())) => {
            busy.remove(worker);
        }
        Err(error) => {
            let Some(key) = busy.remove(error.id()) else { return };
            error!(key, %error, "A worker died; its host is asked again");
            let pause = workers.spawn(tokio::time::sleep(FAULT_PAUSE));
            busy.insert(key, pause);
        }
    }
}

/// When the host is asked next: not while nobody stands on it, and more seldom while it does not answer.
fn next_poll(host: &HostRow, interval: Option<Period>, polled: Option<bool>, now: Timestamp) -> Option<Timestamp> {
    let interval = interval?.get();
    let pause = match polled {
        Some(false) => interval.saturating_mul(1 << host.failures.min(8)).min(POLL_MAX.max(interval)),
        _ => interval,
    };
    let at = now.plus(pause);
    match host.poll_at {
        Some(known) if polled.is_none() => Some(known.min(at)),
        _ => Some(at),
    }
}

/// How long until the host is searched again. Each host has its own time, so that not all are searched at once.
fn next_sweep(host: &HostRow, done: bool) -> Duration {
    if !done {
        return SWEEP_AGAIN.saturating_mul(1 << host.failures.saturating_sub(1).min(6)).min(SWEEP_EVERY);
    }
    let sum = host.key.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    SWEEP_EVERY + Duration::from_secs(sum % SWEEP_SPREAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_host_whose_worker_died_is_not_asked_again_at_once() {
        let (mut workers, busy) = (JoinSet::new(), Busy::new());
        let worker = workers.spawn(async { panic!("as planned") });
        busy.insert("key".to_owned(), worker);
        let began = tokio::time::Instant::now();
        for _ in 0..2 {
            assert_eq!(busy.held(), ["key"], "who is held is not claimed");
            let done = workers.join_next_with_id().await.expect("somebody works on it");
            forget(&mut workers, &busy, done);
        }
        assert_eq!((busy.len(), workers.len()), (0, 0));
        assert!(began.elapsed() >= FAULT_PAUSE);
    }
}
