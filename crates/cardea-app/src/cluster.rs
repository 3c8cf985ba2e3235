//! Several nodes on one database: this one's signs of life, what it hears of the others, and what it does for those that are gone.
//!
//! Nothing here is trusted for safety. What a node missed it finds in the store within [`BEAT`]; a node that cannot ask the
//! store lets nothing through its gateway's connections; and fences keep a late command from being obeyed.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use cardea_domain::{
    Actor, Approval, Configuration, Grant, GrantId, GrantState, ObjectId, Permit, Privilege, Session, SessionId, Stage,
    Timestamp, Verb,
};
use cardea_store::{Heard, News, NodeRow, OwnKey, StandingLock, Tx};
use futures_util::{StreamExt as _, stream};
use serde_json::json;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    App, AppError,
    change::Note,
    engine::FENCE_MAX,
    event::{Alert, Audience, Event},
    session::details,
};

/// How often a node gives a sign of life, and looks for what it may have missed.
const BEAT: Duration = Duration::from_secs(2);
/// How long the store may take to answer it, and whatever follows from it or from what others tell. What is not done by then is done
/// with the next.
const BEAT_LIMIT: Duration = Duration::from_secs(2);
/// How long taking over from nodes that are gone may take at once.
const TAKE_OVER_LIMIT: Duration = Duration::from_secs(60);
/// A node whose signs of life stopped for longer is given up by the others.
const GONE_AFTER: Duration = Duration::from_secs(10);
/// For so long after another node was seen it counts as there.
const SHARED_FOR: Duration = Duration::from_secs(60);
/// After it has come, the others may not have known of it for a moment: it reads everything anew with so many beats.
const FRESH_BEATS: u32 = 2;
/// Clocks of nodes that differ by more are told about: leases are read by each node's own.
const SKEW_MAX: Duration = Duration::from_secs(5);
/// News that are dealt with together.
const TOGETHER: usize = 256;

/// Sessions whose keys are taken away with one beat, and at once.
const KEYS_TOGETHER: u32 = 256;
const KEYS_AT_ONCE: usize = 8;

const GIVEN_UP: &str = "This node of Cardea was away for too long: connect again.";

/// What this process knows of the newest configuration, and who else is there.
#[derive(Default)]
pub(crate) struct Cluster {
    /// The change that the configuration in memory is of.
    revision: Mutex<i64>,
    /// What is in memory is known to be old.
    stale: Notify,
}

/// The configuration and what is locked as a whole, at one moment.
struct Known {
    revision: i64,
    configuration: Configuration,
    locks: Vec<StandingLock>,
    own_keys: Vec<OwnKey>,
}

/// What one sign of life brought back.
struct Pulse {
    /// The others had not given this node up.
    was_known: bool,
    nodes: Vec<NodeRow>,
    revision: i64,
}

/// What a node knows of the others, by its own clock.
struct Watch {
    seen: HashMap<String, (i64, Instant)>,
    warned: BTreeSet<String>,
    last_company: Option<Instant>,
    fresh: u32,
    has_come: bool,
    /// Takes over from those that are gone, beside the signs of life.
    taking_over: JoinSet<()>,
}

impl App {
    /// Lives among the other nodes until `stop`: gives signs of life, hears what others do, and takes over from those that
    /// are gone.
    pub async fn run_cluster(&self, stop: CancellationToken) {
        let Some(mut heard) = self.0.store.hear() else { return self.live_alone(stop).await };
        let mut watch = Watch::new();
        self.trust(Instant::now());
        let mut watchdog = JoinSet::new();
        watchdog.spawn(self.clone().watch_trust());
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                // Without it nobody would see that the store is away: the server stops.
                Some(_) = watchdog.join_next() => break,
                _ = beat.tick() => self.live(&mut watch).await,
                () = self.0.cluster.stale.notified() => self.reload_soon().await,
                Some(first) = heard.recv() => {
                    if let Ok(true) = timeout(BEAT_LIMIT, self.hear(first, &mut heard)).await {
                        continue;
                    }
                    watch.fresh = watch.fresh.max(1);
                }
            }
        }
        let node = self.0.node.clone();
        let left = self.0.store.write(move |tx| Box::pin(async move { tx.leave(&node).await }));
        if let Err(error) = left.await {
            warn!(%error, "This node could not say that it goes; the others find out");
        }
    }

    /// Where there can be no other nodes.
    async fn live_alone(&self, stop: CancellationToken) {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.0.cluster.stale.notified() => self.reload_or_say().await,
                // Also where the store takes no end, because its disk is full: what it says can still be read.
                _ = beat.tick() => {
                    if !matches!(timeout(BEAT_LIMIT, self.check_doors()).await, Ok(Ok(()))) {
                        warn!("The sessions of open connections could not be read; trying again");
                    }
                }
            }
        }
    }

    /// One sign of life, and what follows from the answer.
    async fn live(&self, watch: &mut Watch) {
        // Whoever was stopped for long sees that before the store answers.
        self.judge_trust();
        let asked = Instant::now();
        let error = match timeout(BEAT_LIMIT, self.beat()).await {
            Ok(Ok(pulse)) => {
                return match timeout(BEAT_LIMIT, self.lived(watch, pulse)).await {
                    Ok(Ok(())) => self.trust(asked),
                    Ok(Err(error)) => error!(%error, "What the store has could not be read; trying again"),
                    Err(_) => error!("What the store has could not be read in time; trying again"),
                };
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the store does not answer".to_owned(),
        };
        warn!(%error, "This node could not give a sign of life");
    }

    async fn beat(&self) -> Result<Pulse, AppError> {
        let (node, now) = (self.0.node.clone(), self.0.clock.now());
        let beaten = self.0.store.write(move |tx| {
            Box::pin(async move {
                tx.tell(News::Beat);
                let was_known = tx.beat(&node, now).await?;
                if !was_known {
                    tx.insert_node(&node, now).await?;
                }
                let (nodes, revision) = (tx.nodes().await?, tx.revision().await?);
                Ok::<_, AppError>(Pulse { was_known, nodes, revision })
            })
        });
        beaten.await
    }

    /// What follows from a sign of life. Fails if what is known here is not what the store has.
    async fn lived(&self, watch: &mut Watch, pulse: Pulse) -> Result<(), AppError> {
        let Pulse { was_known, nodes, revision } = pulse;
        if !was_known {
            if watch.has_come {
                error!("The other nodes had given this one up: its open connections are cut");
                self.0.doors.close_all(GIVEN_UP);
            }
            watch.has_come = true;
            watch.fresh = FRESH_BEATS;
        }
        let others: Vec<_> = nodes.into_iter().filter(|node| node.name != self.0.node).collect();
        self.0.store.set_shared(watch.has_company(!others.is_empty()));
        let gone = watch.gone(&others, self.0.clock.now());
        while watch.taking_over.try_join_next().is_some() {}
        if !gone.is_empty() && watch.taking_over.is_empty() {
            watch.taking_over.spawn(self.clone().take_over_all(gone));
        }
        if watch.fresh > 0 {
            self.read_anew().await?;
            watch.fresh -= 1;
        } else if revision != self.0.cluster.revision() {
            self.reload().await?;
        }
        self.check_doors().await
    }

    /// What another node tells, with what waits behind it. Whether all was done that there was to do.
    pub(crate) async fn hear(&self, first: Heard, more: &mut mpsc::Receiver<Heard>) -> bool {
        let mut heard = vec![first];
        while heard.len() < TOGETHER
            && let Ok(next) = more.try_recv()
        {
            heard.push(next);
        }
        if heard.contains(&Heard::Lost) {
            return false;
        }
        let news: Vec<_> = heard
            .into_iter()
            .filter_map(|heard| if let Heard::News(news) = heard { Some(news) } else { None })
            .flatten()
            .collect();
        if news.contains(&News::Beat) && !self.0.store.is_shared() {
            // It is told from now on; what it missed until now it reads with its next beats.
            self.0.store.set_shared(true);
        }
        if news.contains(&News::Configuration) {
            self.reload_or_say().await;
        }
        let passed = self.pass_on(news).await;
        if let Err(error) = &passed {
            warn!(%error, "What other nodes told could not be read; everything is read anew");
        }
        passed.is_ok()
    }

    /// Reads what others changed, and tells browsers, connections and the engine.
    async fn pass_on(&self, news: Vec<News>) -> Result<(), AppError> {
        for one in &news {
            if let News::Alert { at, code, text, session, resource } = one.clone() {
                let alert = Alert { at, code: code.into(), text, session, resource };
                self.0.hub.publish(None, Event::Alert(Arc::new(alert)));
            }
        }
        let ids: BTreeSet<_> = news.iter().filter_map(session_of).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let ids: Vec<_> = ids.into_iter().collect();
        let read = self.0.store.read(move |tx| {
            Box::pin(async move {
                let sessions = tx.sessions_by_id(&ids).await?;
                details(tx, sessions).await
            })
        });
        let details: HashMap<_, _> = read.await?.into_iter().map(|detail| (detail.session.id, detail)).collect();
        let mut told = BTreeSet::new();
        for one in &news {
            let Some(detail) = session_of(one).and_then(|id| details.get(&id)) else { continue };
            match one {
                News::Session(id) if told.insert(*id) => {
                    self.publish_session(&detail.session);
                    self.judge_door(&detail.session);
                }
                News::Grants(_) => self.publish_grants(&detail.session, &detail.grants),
                News::Approval { decided, .. } => {
                    self.publish_approval(&detail.session, detail.approvals.last().filter(|_| *decided));
                }
                News::Say { session, sentence } => self.0.doors.say(*session, sentence),
                News::Alert { .. } | News::Session(_) | News::Beat | News::Configuration => {}
            }
        }
        self.nudge();
        Ok(())
    }

    /// Anything that others did may have been missed.
    async fn read_anew(&self) -> Result<(), AppError> {
        if !self.0.store.is_shared() {
            return Ok(());
        }
        self.reload().await?;
        self.0.hub.publish(None, Event::Reset);
        self.nudge();
        Ok(())
    }

    /// The next sign of life does what this does not get done.
    async fn reload_soon(&self) {
        if timeout(BEAT_LIMIT, self.reload_or_say()).await.is_err() {
            warn!("The configuration could not be read anew in time; trying again");
        }
    }

    async fn reload_or_say(&self) {
        if let Err(error) = self.reload().await {
            error!(%error, "The configuration could not be read anew; trying again");
        }
    }

    /// Reads the configuration and what is locked as a whole, if somebody changed them.
    pub(crate) async fn reload(&self) -> Result<(), AppError> {
        let read = self.0.store.read(|tx| {
            Box::pin(async move {
                let (revision, objects) = (tx.revision().await?, tx.objects().await?);
                let configuration = Configuration::new(objects).with_memberships(tx.memberships().await?);
                let mut configuration = configuration.with_absences(tx.absences().await?);
                let locks = tx.standing_locks().await?;
                locks.iter().for_each(|lock| configuration.set_locked(lock.object, true));
                let own_keys = tx.own_keys().await?;
                Ok::<_, AppError>(Known { revision, configuration, locks, own_keys })
            })
        });
        let known = read.await?;
        let before = self.configuration();
        let changed = changed_between(&before, &known.configuration);
        let is_newer = self.0.cluster.learn(known.revision, || {
            self.set_configuration(known.configuration);
            self.0.locks.replace(known.locks);
            self.0.own_keys.replace(known.own_keys);
        });
        if is_newer {
            self.recheck_keys();
            self.0.ground.changed(changed);
            self.nudge();
            self.0.hub.publish(None, Event::Configuration);
        }
        Ok(())
    }

    /// Brings every open connection to what the store says of its session.
    async fn check_doors(&self) -> Result<(), AppError> {
        let held = self.0.doors.held();
        if held.is_empty() {
            return Ok(());
        }
        let read = self.0.store.read(move |tx| Box::pin(async move { tx.sessions_by_id(&held).await }));
        for session in read.await? {
            self.judge_door(&session);
        }
        Ok(())
    }

    async fn take_over_all(self, gone: Vec<NodeRow>) {
        let taken = timeout(TAKE_OVER_LIMIT, async {
            for gone in gone {
                self.take_over(gone).await;
            }
        });
        if taken.await.is_err() {
            error!("Taking over from a node that is gone takes too long; trying again");
        }
    }

    /// Does for a node that is gone what it cannot do any more: its connections are over, and its gateway's keys go.
    async fn take_over(&self, gone: NodeRow) {
        warn!(node = %gone.name, "A node gives no sign of life: its work is taken over");
        let (name, gone) = (gone.name.clone(), &gone);
        let done = async {
            let read = self.0.store.read(move |tx| {
                Box::pin(async move { tx.sessions_with_keys_of(&name, KEYS_TOGETHER).await.map_err(AppError::from) })
            });
            let sessions = read.await?;
            if sessions.is_empty() {
                return self.retried(|| self.close_connections_of(gone.name.clone(), Some(gone.beats))).await;
            }
            // The next beat goes on with the others: this node's own sign of life does not wait for them.
            let mut taken = stream::iter(sessions)
                .map(|id| self.retried(move || self.take_keys_away(id, gone.name.clone())))
                .buffer_unordered(KEYS_AT_ONCE);
            while let Some(done) = taken.next().await {
                done?;
            }
            Ok(false)
        };
        match done.await {
            Ok(false) => {}
            Ok(true) => info!(node = %gone.name, "What a node left is taken over"),
            // Its row is still there: the next beat tries again.
            Err(error) => {
                error!(node = %gone.name, %error, "A node that is gone could not be cleaned up after; trying again");
            }
        }
    }

    async fn take_keys_away(&self, id: SessionId, node: String) -> Result<(), AppError> {
        let app = self.clone();
        let taken = self.0.store.write(move |tx| {
            Box::pin(async move {
                let owners = tx.gateway_keys_of(id).await?;
                tx.forget_gateway_keys(id, Some(&node)).await?;
                let Some(mut session) = tx.session(id).await?.filter(|session| session.status.is_standing()) else {
                    // Whatever it still has goes with the rest of it.
                    return Ok(());
                };
                let mut keys = tx.grants_of(id).await?;
                keys.retain(|grant| is_placed_key(grant) && owners.get(&grant.id) == Some(&node));
                if keys.is_empty() {
                    return Ok(());
                }
                for key in &mut keys {
                    key.state = GrantState::Removing;
                }
                tx.save_grants(&keys).await?;
                app.announce_grants(tx, &session, &keys);
                session.wake_at = Some(app.0.clock.now());
                let permit = Permit::ask(&Actor::Gateway, Verb::DriveSession)?;
                let note =
                    Note::warn(Stage::Session, format!("The node {node} is gone: its gateway's key is taken away"))
                        .with(json!({ "node": node }));
                app.save_session(tx, &permit, &mut session, note).await?;
                let waker = app.clone();
                tx.after_commit(Box::new(move || waker.nudge()));
                Ok(())
            })
        });
        taken.await
    }
}

impl Cluster {
    /// The change that the configuration in memory is of.
    pub(crate) fn revision(&self) -> i64 {
        *self.revision.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts what was read in place with `put`, unless what is known is as new. Whether it was newer.
    pub(crate) fn learn(&self, revision: i64, put: impl FnOnce()) -> bool {
        let mut known = self.revision.lock().unwrap_or_else(PoisonError::into_inner);
        if revision <= *known {
            return false;
        }
        put();
        *known = revision;
        true
    }

    /// This process made the change `revision`: its part is put in place with `put` if it is the next one after what is in memory.
    /// What is known already holds it if it is as new. If others made changes that it does not know yet, everything is read.
    pub(crate) fn made(&self, revision: i64, put: impl FnOnce()) {
        let mut known = self.revision.lock().unwrap_or_else(PoisonError::into_inner);
        if revision == *known + 1 {
            put();
            *known = revision;
        } else if revision > *known {
            self.stale.notify_one();
        }
    }
}

impl Watch {
    fn new() -> Self {
        Self {
            seen: HashMap::new(),
            warned: BTreeSet::new(),
            last_company: None,
            fresh: FRESH_BEATS,
            has_come: false,
            taking_over: JoinSet::new(),
        }
    }

    /// Whether another node is there, or was a moment ago.
    fn has_company(&mut self, now: bool) -> bool {
        let had = self.last_company.is_some_and(|at| at.elapsed() < SHARED_FOR);
        if now {
            self.last_company = Some(Instant::now());
            if !had {
                self.fresh = FRESH_BEATS;
            }
        }
        now || had
    }

    /// Those of the others that gave no sign of life for too long.
    fn gone(&mut self, others: &[NodeRow], now: Timestamp) -> Vec<NodeRow> {
        self.seen.retain(|name, _| others.iter().any(|other| other.name == *name));
        let mut gone = Vec::new();
        for other in others {
            let known = self.seen.get(&other.name).copied();
            match known {
                Some((beats, at)) if beats == other.beats => {
                    if at.elapsed() > GONE_AFTER {
                        gone.push(other.clone());
                    }
                }
                _ => {
                    self.seen.insert(other.name.clone(), (other.beats, Instant::now()));
                    if known.is_none() {
                        info!(node = %other.name, "Another node works on this database");
                    } else {
                        self.warn_of_skew(other, now);
                    }
                }
            }
        }
        gone
    }

    /// It beat since the last look, so its clock and this one's should show about the same.
    fn warn_of_skew(&mut self, other: &NodeRow, now: Timestamp) {
        let apart = now.since(other.seen_at).max(other.seen_at.since(now));
        if apart > SKEW_MAX && self.warned.insert(other.name.clone()) {
            warn!(node = %other.name, "The clock of a node is {} s off this one's: keep the clocks of all nodes together", apart.as_secs());
        }
    }
}

pub(crate) fn is_placed_key(grant: &Grant) -> bool {
    matches!(grant.privilege, Privilege::AuthorizedKey { .. })
        && matches!(grant.state, GrantState::Placed | GrantState::Placing)
}

fn session_of(news: &News) -> Option<SessionId> {
    match news {
        News::Session(id) | News::Grants(id) => Some(*id),
        News::Approval { session, .. } | News::Say { session, .. } => Some(*session),
        // An alert stands for itself.
        News::Alert { .. } | News::Beat | News::Configuration => None,
    }
}

pub(crate) fn overtaken() -> AppError {
    AppError::refused("overtaken", "somebody else has taken the session up meanwhile")
}

/// The objects that are not the same in both.
fn changed_between(before: &Configuration, after: &Configuration) -> Vec<ObjectId> {
    let differs = |from: &Configuration, to: &Configuration| -> Vec<ObjectId> {
        let is_other = |id: &ObjectId, version| to.get(*id).map(|object| object.version) != Some(version);
        from.all().filter(|object| is_other(&object.id, object.version)).map(|object| object.id).collect()
    };
    let locked = before.locked().symmetric_difference(after.locked()).copied();
    let given = before.given_otherwise(after);
    let differing = differs(before, after).into_iter().chain(differs(after, before));
    let ids: BTreeSet<_> = differing.chain(locked).chain(given).chain(before.away_otherwise(after)).collect();
    ids.into_iter().collect()
}

impl App {
    /// For a unit that writes grants without saving their session: nobody else moves it until the unit ends, and none of them was
    /// moved on from `state` by somebody who took the session up meanwhile.
    pub(crate) async fn still(
        tx: &mut Tx,
        session: SessionId,
        grants: &[GrantId],
        states: &[GrantState],
    ) -> Result<(), AppError> {
        tx.hold_session(session).await?;
        let now = tx.known_grants(grants).await?;
        let is_still = now.len() == grants.len() && now.iter().all(|grant| states.contains(&grant.state));
        if is_still { Ok(()) } else { Err(overtaken()) }
    }

    /// The host has seen a higher fence than the store: it is of a time that a restored backup does not know. Ours go above it from
    /// now on.
    pub(crate) async fn catch_up(&self, id: SessionId, seen: i64) -> Result<(), AppError> {
        let to = seen.min(FENCE_MAX);
        let raised = self
            .0
            .store
            .write(move |tx| Box::pin(async move { tx.raise_fence_to(id, to).await.map_err(AppError::from) }));
        raised.await
    }

    /// For a unit of a worker: its claim of the session is still the newest.
    pub(crate) async fn still_claimed(tx: &mut Tx, session: &Session) -> Result<(), AppError> {
        let newest = tx.hold_session(session.id).await?;
        if newest == Some(session.fence) { Ok(()) } else { Err(overtaken()) }
    }

    fn publish_grants(&self, session: &Session, grants: &[Grant]) {
        for grant in grants {
            let audience = Audience::of(session);
            self.0.hub.publish(Some(audience), Event::Grant(Arc::new(grant.clone())));
        }
    }

    fn publish_approval(&self, session: &Session, approval: Option<&Approval>) {
        let audience = Audience::with_approvers(session);
        let (session, approval) = (Arc::new(session.clone()), approval.map(|approval| Arc::new(approval.clone())));
        self.0.hub.publish(Some(audience), Event::Approval { session, approval });
    }
}
