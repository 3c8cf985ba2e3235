//! `cargo xtask bench engine [lives] [history] [rest] [sqlite] [postgresql]`: what a session costs Cardea itself, on both
//! databases, with every step durable. The target is in memory and answers at once; a real one takes its time on top
//! (`bench provision`).
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "engine/world.rs"]
mod world;

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use cardea_app::{SessionQuery, SortKey, View};
use cardea_domain::Status;
use cardea_store::Tally;
use cardea_testkit::Postgres;
use tokio::task::JoinSet;
use world::{Place, Use, World};

/// The server's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PARTS: [&str; 3] = ["lives", "history", "rest"];
/// Both are measured unless one is named.
const DATABASES: [&str; 2] = ["sqlite", "postgresql"];
/// Sessions that are on their way at once.
const CLIENTS: usize = 64;
const WARM_UP: Duration = Duration::from_secs(3);
/// Shorter than the time after which a session's scan is due, which is measured by itself.
const LIVES_TIME: Duration = Duration::from_secs(12);
/// Past sessions of the two stores that are compared.
const PAST: [u32; 2] = [1_000, 1_000_000];
const ROUNDS: usize = 300;
/// Rounds that only fill caches.
const WARM_ROUNDS: usize = 30;
const RESTING: u32 = 100_000;
/// Of CPU between two looks at a store that nobody uses.
const STILL: Duration = Duration::from_millis(20);
const REST_TIME: Duration = Duration::from_secs(10);

fn main() {
    // Cargo adds words of its own, with dashes.
    let parts: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_named = |names: &[&str]| parts.iter().any(|word| names.contains(&word.as_str()));
    let wanted = |part: &str| !is_named(&PARTS) || is_named(&[part]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let server = Arc::new(Postgres::start_durable());
        let mut servers = vec![None, Some(&server)];
        servers.retain(|server| !is_named(&DATABASES) || is_named(&[DATABASES[usize::from(server.is_some())]]));
        if wanted("lives") {
            println!(
                "{:31} {:>8} {:>8} {:>8} {:>8} {:>8} {:>7} {:>10} {:>8} {:>8}",
                "full life, 64 at a time",
                "lives/s",
                "p50 ms",
                "p99 ms",
                "CPU ms",
                "its DB's",
                "units",
                "(writes)",
                "statem.",
                "commits"
            );
            for server in servers.iter().copied() {
                if wanted("pg") && server.is_none() {
                    continue;
                }
                lives(server, Use::None, "account").await;
                lives(server, Use::Key, "account, its key").await;
                lives(server, Use::Connection, "account, gateway's key").await;
            }
        }
        if wanted("history") {
            println!("{:31} {:>14} {:>14} {:>8}", "median, in turn", "1,000 past", "1,000,000 past", "ratio");
            for server in servers.iter().copied() {
                history(server).await;
            }
        }
        if wanted("rest") {
            println!("{:31} {:>14} {:>14}", format!("{RESTING} sessions at rest"), "CPU in 10 s", "statements");
            for server in servers.iter().copied() {
                rest(server).await;
            }
        }
    });
}

fn name(server: Option<&Arc<Postgres>>) -> &'static str {
    if server.is_some() { "PostgreSQL" } else { "SQLite" }
}

/// Lives side by side, as many as there is time for; then the scans that they owe.
async fn lives(server: Option<&Arc<Postgres>>, used: Use, what: &str) {
    let world = Arc::new(World::open(Place::new(server)).await);
    crowd(&world, used, WARM_UP).await;
    world.scan().await;
    let of_database = || server.map_or(Duration::ZERO, |server| server.cpu());
    let (before, spent, began) = (world.tally(), [cpu(), of_database()], Instant::now());
    let mut samples = crowd(&world, used, LIVES_TIME).await;
    let (lived, took) = (world.tally(), began.elapsed());
    let spent = [cpu().saturating_sub(spent[0]), of_database().saturating_sub(spent[1])];
    world.scan().await;
    let count = samples.len() as f64;
    samples.sort();
    println!(
        "{:31} {:8.0} {:8.1} {:8.1} {:8.2} {:8.2} {}",
        format!("{}: {what}", name(server)),
        count / took.as_secs_f64(),
        percentile(&samples, 50),
        percentile(&samples, 99),
        spent[0].as_secs_f64() * 1000.0 / count,
        spent[1].as_secs_f64() * 1000.0 / count,
        cost(before, lived, count)
    );
    println!("{:31} {:44} {}", "  and its part of a scan, later", "", cost(lived, world.tally(), count));
    Arc::into_inner(world).expect("nobody else holds it").close().await;
}

/// Lives of many clients, one after the other each, until the time is over; how long each life took.
async fn crowd(world: &Arc<World>, used: Use, time: Duration) -> Vec<Duration> {
    let until = Instant::now() + time;
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let world = Arc::clone(world);
        clients.spawn(async move {
            let mut samples = Vec::new();
            while Instant::now() < until {
                let began = Instant::now();
                world.life(used).await;
                samples.push(began.elapsed());
            }
            samples
        });
    }
    clients.join_all().await.concat()
}

/// What each life asked of the store.
fn cost(before: Tally, after: Tally, lives: f64) -> String {
    let each = |of: fn(&Tally) -> u64| (of(&after) - of(&before)) as f64 / lives;
    let (reads, writes) = (each(|tally| tally.reads), each(|tally| tally.writes));
    let (statements, commits) = (each(|tally| tally.statements), each(|tally| tally.commits));
    format!("{:7.1} {writes:10.1} {statements:8.1} {commits:8.2}", reads + writes)
}

/// What is timed in a store with much history and in one with little.
const STEPS: [&str; 5] = ["create", "list own active", "list all active", "list own history", "list all history"];

/// The same steps in turn in both stores, so that whatever else the machine does happens to both.
async fn history(server: Option<&Arc<Postgres>>) {
    let mut worlds = Vec::new();
    for past in PAST {
        let world = World::open(Place::new(server)).await;
        let began = Instant::now();
        let session = world.life(Use::Connection).await;
        world.scan().await;
        let world = world.repeat(session, past).await;
        println!("{:31} {:14.1} s", format!("  ({past} past sessions written)"), began.elapsed().as_secs_f64());
        worlds.push(world);
    }
    let mut samples: [[Vec<Duration>; STEPS.len()]; 2] = Default::default();
    for round in 0..WARM_ROUNDS + ROUNDS {
        for turn in 0..2 {
            let index = (round + turn) % 2;
            let times = steps(&worlds[index]).await;
            if round >= WARM_ROUNDS {
                samples[index].iter_mut().zip(times).for_each(|(samples, time)| samples.push(time));
            }
        }
    }
    samples.as_flattened_mut().iter_mut().for_each(|samples| samples.sort());
    for (step, what) in STEPS.iter().enumerate() {
        let [little, much] = [0, 1].map(|index| percentile(&samples[index][step], 50));
        let what = format!("{}: {what}", name(server));
        println!("{what:31} {little:11.3} ms {much:11.3} ms {:8.2}", much / little);
    }
    for world in worlds {
        world.close().await;
    }
}

/// One life, stopped for a look at each list.
async fn steps(world: &World) -> [Duration; STEPS.len()] {
    let began = Instant::now();
    let id = world.request().await;
    let created = began.elapsed();
    world.until(id, Status::Available).await;
    let active = [list(world, View::Active, false).await, list(world, View::Active, true).await];
    world.end(id).await;
    let past = [list(world, View::History, false).await, list(world, View::History, true).await];
    [created, active[0], active[1], past[0], past[1]]
}

/// The first page, newest first, as the dashboards ask for it.
async fn list(world: &World, view: View, sees_all: bool) -> Duration {
    let query = SessionQuery {
        view,
        mine: !sees_all,
        q: String::new(),
        resource: String::new(),
        statuses: Vec::new(),
        requested_from: None,
        requested_before: None,
        sort: SortKey::RequestedAt,
        descending: true,
        limit: 50,
        cursor: None,
        request: None,
    };
    let began = Instant::now();
    let page = world.app.sessions(&world.alice(sees_all), query).await.expect("a page");
    let took = began.elapsed();
    assert!(!page.items.is_empty(), "there is something to list");
    took
}

/// Many sessions that are available, and nothing to do.
async fn rest(server: Option<&Arc<Postgres>>) {
    let world = World::open(Place::new(server)).await;
    let session = world.request().await;
    world.until(session, Status::Available).await;
    let world = world.repeat(session, RESTING).await;
    loop {
        world.quiet().await;
        let began = cpu();
        world.quiet().await;
        // A statement is counted when it is over: none is under way when nothing takes any time.
        if cpu().saturating_sub(began) < STILL {
            break;
        }
    }
    let (before, began) = (world.tally(), cpu());
    tokio::time::sleep(REST_TIME).await;
    let spent = cpu().saturating_sub(began);
    let statements = world.tally().statements - before.statements;
    println!("{:31} {:11.1} ms {statements:14}", name(server), spent.as_secs_f64() * 1000.0);
    world.close().await;
}

/// The time that all threads of this process were on a processor.
fn cpu() -> Duration {
    let threads = fs::read_dir("/proc/self/task").expect("/proc is mounted");
    let spent = |thread: fs::DirEntry| {
        let text = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        text.split_whitespace().next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or(0)
    };
    Duration::from_nanos(threads.filter_map(Result::ok).map(spent).sum())
}

/// In milliseconds.
fn percentile(sorted: &[Duration], share: usize) -> f64 {
    sorted[(sorted.len() - 1) * share / 100].as_secs_f64() * 1000.0
}
