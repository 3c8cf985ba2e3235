//! Random walks: users, approvers, administrators, the gateway, the clock, crashes and a faulty target in any order, with
//! every command to the target waiting for its turn. What must hold always is asked after each step; when all is quiet, the
//! target has what it had before Cardea and what live sessions hold, and nothing else.
//!
//! `CARDEA_WALK_SEED=7` walks one seed alone and prints what happens; `CARDEA_TEST_LONG=1` walks 100,000.

mod act;
mod action;
mod check;
mod errors;
mod world;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use cardea_domain::{KnownAccount, Lease, RequestId, Timestamp};
use cardea_testkit::{Fate, Waiting, is_long, setting};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

use self::{
    action::{Action, Fated, Finale, draw, shrink},
    errors::Errors,
    world::Template,
};
use super::*;
use crate::{
    AppError,
    engine::{Busy, handover::Open},
};

const OPERATOR: Actor = Actor::Operator { uid: 0 };
/// Walks of the ordinary gate, and of the long one.
const WALKS: u64 = 250;
const WALKS_LONG: u64 = 100_000;
/// How long anything may take that nobody holds up.
const STEP_MAX: Duration = Duration::from_secs(30);
/// Sessions of a walk.
const SESSIONS_MAX: usize = 8;
/// Rounds until everything that is owed must be done.
const ROUNDS_MAX: usize = 120;
const SHRINK_TRIES: usize = 200;

/// What is wrong, for people.
type Fault = String;

/// A session, and what the walk knows of it.
struct Known {
    id: SessionId,
    user: u8,
    fence: i64,
    /// The code that its reason must have, because an end was granted.
    ended: Option<&'static str>,
    has_touched: bool,
    end_max: Option<Timestamp>,
}

/// A connection that the gateway holds.
struct Held {
    session: usize,
    lease: Lease,
    is_frozen: bool,
}

/// What came of something that took its time.
enum Outcome {
    Extended,
    Joined(usize, Lease),
    Refused,
}

struct Walk {
    app: Option<App>,
    handed: Option<Open>,
    store: Store,
    clock: Arc<ManualClock>,
    target: Arc<FakeConnector>,
    entropy: Arc<SeededEntropy>,
    dir: TempDir,
    workers: JoinSet<()>,
    busy: Busy,
    /// Actors who wait for a host, and the session that each is about.
    actors: JoinSet<Outcome>,
    acting: HashMap<tokio::task::Id, usize>,
    sessions: Vec<Known>,
    held: Vec<Held>,
    /// Requests by their keys.
    keys: HashMap<(u8, u8), (NewRequest, RequestId)>,
    changed: [bool; world::CHANGES as usize],
    away: [bool; 2],
    /// Things that their own host has ended, which Cardea does not know.
    expired: bool,
    /// Since when calls wait.
    since: HashMap<u64, Timestamp>,
    /// Starts of the process.
    starts: u8,
    errors: Errors,
    is_told: bool,
    /// How sessions ended.
    met: Met,
}

/// Reasons that sessions had, and how many each.
type Met = BTreeMap<String, usize>;

/// What walks must meet, or they prove nothing.
const TO_BE_MET: [&str; 16] = [
    "changed_meanwhile",
    "checked_out",
    "collision",
    "denied",
    "done",
    "ended_by_administrator",
    "ended_by_operator",
    "ended_by_user",
    "ground_lost",
    "idle",
    "no_answer",
    "not_approved",
    "reached_end",
    "target_refused",
    "too_late",
    "unreachable",
];

impl Walk {
    async fn begin(template: &Template, seed: u64, errors: Errors, is_told: bool) -> Self {
        let dir = template.copy();
        let (clock, target, entropy) = (ManualClock::new(), FakeConnector::new(), SeededEntropy::new(seed ^ 0x5eed));
        world::furnish_hosts(&target);
        target.step_by_step();
        let app = open(&dir, &clock, &target, &entropy).await;
        Self {
            handed: Some(app.open_handover()),
            store: app.0.store.clone(),
            app: Some(app),
            clock,
            target,
            entropy,
            dir,
            workers: JoinSet::new(),
            busy: Busy::new(),
            actors: JoinSet::new(),
            acting: HashMap::new(),
            sessions: Vec::new(),
            held: Vec::new(),
            keys: HashMap::new(),
            changed: [false; world::CHANGES as usize],
            away: [false; 2],
            expired: false,
            since: HashMap::new(),
            starts: 1,
            errors,
            is_told,
            met: Met::new(),
        }
    }

    fn app(&self) -> App {
        self.app.clone().expect("it runs")
    }

    fn tell(&self, what: impl FnOnce() -> String) {
        if self.is_told {
            eprintln!("  {} {}", self.clock.now(), what());
        }
    }

    /// Lets everything go on that nothing holds up, as the engine's own loop does.
    async fn settle(&mut self) -> Result<(), Fault> {
        let mut steps = self.target.steps();
        let mut is_new = true;
        let mut since = None;
        loop {
            // Whoever was woken has its turn first.
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            steps.mark_unchanged();
            is_new |= self.collect()?;
            let Some(app) = self.app.clone() else { return Ok(()) };
            is_new |= app.0.nudge.notified().now_or_never().is_some();
            is_new |= app.0.handover.arrived().now_or_never().is_some();
            if is_new {
                is_new = false;
                app.check_ground().await.map_err(|error| format!("sessions could not be judged: {error}"))?;
                let started = app.start_due(&mut self.workers, &self.busy).await;
                started.map_err(|error| format!("the engine could not read the store: {error}"))?;
                continue;
            }
            let attending = app.0.attending.tasks();
            if !attending.is_empty() && !attending.is_subset(&self.target.tasks_waiting(is_no_script)) {
                // Somebody looks after a session whose script runs: it goes on by itself, until it waits for the target as well.
                since.get_or_insert_with(Instant::now);
                if since.is_some_and(|since| since.elapsed() > STEP_MAX) {
                    return Err("a look beside a script never ends".to_owned());
                }
                continue;
            }
            since = None;
            let waiting = self.target.tasks_waiting(|_| true).len();
            if self.workers.len() + self.actors.len() == waiting {
                let now = self.clock.now();
                for waiting in self.target.waiting() {
                    self.since.entry(waiting.number).or_insert(now);
                }
                return self.gateway().await;
            }
            let pulse = async {
                tokio::select! {
                    _ = steps.changed() => {}
                    () = app.0.nudge.notified() => app.nudge(),
                    () = app.0.handover.arrived() => app.nudge(),
                    Some(done) = self.workers.join_next_with_id() => {
                        is_new = true;
                        check_worker(&done)?;
                        app.finished(&mut self.workers, &self.busy, done);
                    }
                    Some(done) = self.actors.join_next_with_id() => {
                        let (id, outcome) = done.map_err(|error| format!("an actor died: {error}"))?;
                        self.acting.remove(&id);
                        self.held.extend(outcome.held());
                    }
                }
                Ok::<_, Fault>(())
            };
            let stuck = |_| format!("something waits for nothing, beside {waiting} that wait for the target");
            timeout(STEP_MAX, pulse).await.map_err(stuck)??;
        }
    }

    /// Takes in who is done. Whether the engine has to look again.
    fn collect(&mut self) -> Result<bool, Fault> {
        let mut is_new = false;
        while let Some(done) = self.workers.try_join_next_with_id() {
            is_new = true;
            check_worker(&done)?;
            self.app().finished(&mut self.workers, &self.busy, done);
        }
        while let Some(done) = self.actors.try_join_next_with_id() {
            let (id, outcome) = done.map_err(|error| format!("an actor died: {error}"))?;
            self.acting.remove(&id);
            self.held.extend(outcome.held());
        }
        Ok(is_new)
    }

    /// The gateway cuts what it is told to cut, and hears freezes.
    async fn gateway(&mut self) -> Result<(), Fault> {
        let mut index = 0;
        while let Some(held) = self.held.get_mut(index) {
            while let Some(Some(word)) = held.lease.words.next().now_or_never() {
                match word {
                    cardea_domain::Word::Frozen(_) => held.is_frozen = true,
                    cardea_domain::Word::Thawed(_) => held.is_frozen = false,
                    cardea_domain::Word::Notice(_) => {}
                }
            }
            if (&mut held.lease.ended).now_or_never().is_some() {
                let held = self.held.swap_remove(index);
                let closed = ClosedConnection { connection: held.lease.connection, reason: "ended" };
                self.app().closed(closed).await;
            } else {
                index += 1;
            }
        }
        Ok(())
    }

    /// Calls that wait, in an order that does not depend on who came first.
    fn calls(&self) -> Vec<Waiting> {
        let place = |waiting: &Waiting| self.sessions.iter().position(|known| Some(known.id) == waiting.call.session);
        let mut calls = self.target.waiting();
        calls.sort_by_key(|waiting| (place(waiting), waiting.call.about.clone(), waiting.number));
        calls
    }

    async fn step(&mut self, waiting: &Waiting, fate: Fate) -> Result<(), Fault> {
        self.tell(|| format!("    {:?} {:?} {fate:?}", waiting.call.operation, waiting.call.about));
        self.target.step(waiting.number, fate);
        self.settle().await
    }

    fn is_away(&self, waiting: &Waiting) -> bool {
        world::HOSTS.iter().zip(self.away).any(|(host, is_away)| is_away && *host == waiting.call.host)
    }

    /// So many calls go on, the first that is awaited first.
    async fn flow(&mut self, calls: usize) -> Result<(), Fault> {
        for _ in 0..calls {
            let Some(waiting) = self.calls().into_iter().find(|waiting| waiting.is_awaited) else { return Ok(()) };
            let away = ConnectorError::Unreachable("no route to host".to_owned());
            let fate = if self.is_away(&waiting) && !waiting.is_done { Fate::Fails(away) } else { Fate::Well };
            self.step(&waiting, fate).await?;
        }
        Ok(())
    }

    /// Time passes, on the hosts too. What waited longer than its limit is answered.
    async fn wait(&mut self, by: Duration) -> Result<(), Fault> {
        self.clock.advance(by);
        self.target_time();
        if let Some(app) = &self.app {
            app.nudge();
        }
        self.settle().await
    }

    fn target_time(&mut self) {
        /// Longer than any command may take.
        const LIMIT: Duration = Duration::from_secs(60);
        let now = self.clock.now();
        let waiting = self.target.waiting();
        self.since.retain(|number, _| waiting.iter().any(|waiting| waiting.number == *number));
        for waiting in waiting {
            if self.since.get(&waiting.number).is_none_or(|since| now.since(*since) < LIMIT) {
                continue;
            }
            let lost = ConnectorError::Unknown("no answer in time".to_owned());
            self.target.step(waiting.number, Fate::Fails(lost));
        }
        let before = self.target.things().len();
        self.target.expire(now);
        self.expired |= self.target.things().len() < before;
    }

    /// The process is gone in the middle of whatever it did. What it sent is on its way.
    async fn crash(&mut self) -> Result<(), Fault> {
        self.workers.abort_all();
        self.actors.abort_all();
        while self.workers.join_next().await.is_some() {}
        while self.actors.join_next().await.is_some() {}
        self.busy = Busy::new();
        self.acting.clear();
        self.held.clear();
        (self.app, self.handed) = (None, None);
        // What was handed to the store is done; a kill would lose it or not.
        let flushed = self.store.write(|_| Box::pin(async { Ok::<_, AppError>(()) })).await;
        flushed.map_err(|error| format!("the store is gone: {error}"))
    }

    async fn start(&mut self) -> Result<(), Fault> {
        let vault = Arc::new(Vault::open(&self.dir.path().join("key")).expect("a vault"));
        let (store, clock, entropy) = (self.store.clone(), self.clock.clone(), self.entropy.clone());
        let parts = Parts {
            store,
            vault,
            clock,
            entropy,
            linux: self.target.clone(),
            node: "main".to_owned(),
            sign_in: SignInSettings::default(),
        };
        let app = App::open(parts).await.map_err(|error| format!("it does not start again: {error}"))?;
        self.handed = Some(app.open_handover());
        self.app = Some(app);
        self.starts += 1;
        self.settle().await
    }

    /// Everything goes well from now on, and time passes until nothing is owed any more.
    async fn calm(&mut self) -> Result<(), Fault> {
        self.away = [false; 2];
        for waiting in self.target.waiting().into_iter().filter(|waiting| !waiting.is_awaited) {
            self.target.step(waiting.number, Fate::Fails(ConnectorError::Unknown("it never arrived".to_owned())));
        }
        for _ in 0..ROUNDS_MAX {
            self.flow(usize::MAX).await?;
            let owed = self.owed().await?;
            let Some(at) = owed else { return self.check_calm().await };
            self.wait(at.since(self.clock.now())).await?;
        }
        Err(format!("it never comes to rest: {}", self.picture().await))
    }

    async fn finish(&mut self, finale: Finale) -> Result<(), Fault> {
        match finale {
            Finale::Gone => {
                self.crash().await?;
                for waiting in self.target.waiting() {
                    self.target.step(waiting.number, Fate::Well);
                }
                self.clock.advance(Duration::from_secs(48 * 3600));
                self.target.expire(self.clock.now());
                return self.check_empty();
            }
            Finale::Ended => {
                for index in 0..self.sessions.len() {
                    self.act(Action::End { by: 4, session: index as u8 }).await?;
                }
            }
            Finale::Waited => {
                for _ in 0..40 {
                    if self.is_over().await? {
                        break;
                    }
                    self.wait(Duration::from_secs(480)).await?;
                    self.flow(usize::MAX).await?;
                    self.check().await?;
                }
                // What waits for a person who never comes.
                for index in 0..self.sessions.len() {
                    self.act(Action::End { by: 4, session: index as u8 }).await?;
                }
            }
        }
        self.calm().await?;
        self.check_over().await
    }

    async fn run(&mut self, actions: &[Action], finale: Finale) -> Result<(), Fault> {
        for action in actions {
            self.tell(|| format!("{action:?}"));
            let done = self.act(*action).await;
            done.map_err(|fault| format!("after {action:?}: {fault}"))?;
            self.check().await.map_err(|fault| format!("after {action:?}: {fault}"))?;
        }
        if finale != Finale::Gone {
            self.tell(|| "calm".to_owned());
            self.calm().await?;
        }
        self.tell(|| format!("{finale:?}"));
        self.finish(finale).await.map_err(|fault| format!("{finale:?}: {fault}"))
    }
}

impl Outcome {
    fn held(self) -> Option<Held> {
        match self {
            Self::Joined(session, lease) => Some(Held { session, lease, is_frozen: false }),
            Self::Extended | Self::Refused => None,
        }
    }
}

fn is_no_script(operation: Operation) -> bool {
    operation != Operation::RunScript
}

fn check_worker(done: &Result<(tokio::task::Id, ()), tokio::task::JoinError>) -> Result<(), Fault> {
    done.as_ref().map(drop).map_err(|error| format!("a worker died: {error}"))
}

/// Walks on a runtime of its own, where nothing happens at the same time but what the store does.
fn walk(template: &Template, seed: u64, actions: &[Action], finale: Finale, is_told: bool) -> Result<Met, Fault> {
    let errors = Errors::default();
    let _heard = tracing::subscriber::set_default(errors.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut walk = Walk::begin(template, seed, errors, is_told).await;
        let walked = walk.run(actions, finale).await;
        drop(walk.crash().await);
        walk.store.close().await;
        walked.map(|()| walk.met)
    })
}

fn template() -> Template {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(Template::new())
}

/// Finds the fewest actions that still fail, and says how to see it again.
fn report(template: &Template, seed: u64, fault: &Fault) -> String {
    // At once: making it smaller takes a while, and may be cut off.
    eprintln!("seed {seed} fails: {fault}");
    let (actions, finale) = draw(seed);
    let fewer = shrink(actions, SHRINK_TRIES, |actions| walk(template, seed, actions, finale, false).is_err());
    let last = walk(template, seed, &fewer, finale, true).err();
    let list: Vec<_> = fewer.iter().map(|action| format!("    {action:?}")).collect();
    format!(
        "seed {seed} fails: {fault}\n  The fewest actions that fail ({}), before {finale:?}:\n{}\n  Again: CARDEA_WALK_SEED={seed} \
         cargo nextest run -p cardea-app walk --no-capture",
        last.unwrap_or_else(|| "not each time".to_owned()),
        list.join("\n")
    )
}

/// The walks of these seeds, two for each processor, because each waits for its store; the first that fails, or how sessions ended.
fn walk_all(template: &Template, seeds: std::ops::Range<u64>) -> Result<Met, (u64, Fault)> {
    let (next, walked) = (AtomicU64::new(seeds.start), Mutex::new(Ok(Met::new())));
    let one_by_one = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if !seeds.contains(&seed) || walked.lock().expect("nobody panics with it").is_err() {
                return;
            }
            let (actions, finale) = draw(seed);
            let one = walk(template, seed, &actions, finale, false);
            let mut walked = walked.lock().expect("nobody panics with it");
            match (one, &mut *walked) {
                (Ok(one), Ok(met)) => one.into_iter().for_each(|(code, count)| *met.entry(code).or_default() += count),
                (Err(fault), Ok(_)) => *walked = Err((seed, fault)),
                (_, Err(_)) => {}
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..2 * std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(one_by_one);
        }
    });
    walked.into_inner().expect("nobody panicked with it")
}

#[test]
fn nothing_that_anybody_does_leaves_a_privilege_behind() {
    let template = template();
    let number = |name: &str| setting(name).map(|text| text.parse::<u64>().expect("it is a number"));
    if let Some(seed) = number("CARDEA_WALK_SEED") {
        let (actions, finale) = draw(seed);
        let walked = walk(&template, seed, &actions, finale, true);
        assert!(walked.is_ok(), "{}", report(&template, seed, &walked.err().unwrap_or_default()));
        return;
    }
    let walks = number("CARDEA_WALKS").unwrap_or(if is_long() { WALKS_LONG } else { WALKS });
    let first = number("CARDEA_WALK_FIRST").unwrap_or(0);
    let began = Instant::now();
    let met = walk_all(&template, first..first + walks);
    let met = met.unwrap_or_else(|(seed, fault)| panic!("{}", report(&template, seed, &fault)));
    let took = began.elapsed().as_secs_f64();
    eprintln!(
        "{walks} walks from seed {first} in {took:.1} s, {:.0} a second; sessions ended so: {met:?}",
        walks as f64 / took
    );
    let missed: Vec<_> = TO_BE_MET.iter().filter(|code| walks >= WALKS && !met.contains_key(**code)).collect();
    // The rarest come a few times in so few walks, or by chance not at all.
    let may_miss = if walks < 4 * WALKS { 3 } else { 0 };
    assert!(missed.len() <= may_miss, "no session of any walk met {missed:?}");
}
