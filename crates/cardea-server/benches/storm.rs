//! `cargo xtask bench storm [sessions] [hosts]`: 1,000 sessions on 10 hosts that expire in the same second. All end clean, nothing
//! is left; and how much of that time the hosts' own tools take, for as many accounts on the same hosts.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "../tests/it/crowd.rs"]
mod crowd;
#[path = "../tests/it/harness.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod harness;

use std::{
    thread,
    time::{Duration, Instant},
};

use cardea_testkit::LinuxHost;
use crowd::Times;

const SESSIONS: usize = 1000;
const HOSTS: usize = 10;
/// Above the numbers that Cardea takes.
const FIRST_UID: usize = 400_000;

fn main() {
    // Cargo adds words of its own, with dashes.
    let words: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let number = |place: usize, usual| words.get(place).map_or(usual, |word| word.parse().expect("a number"));
    let (sessions, hosts) = (number(0, SESSIONS), number(1, HOSTS));
    let hosts: Vec<_> = (1..=hosts).map(|number| LinuxHost::plan(&format!("web{number}")).yielding().start()).collect();
    let each = sessions / hosts.len();
    // As Cardea's connector calls them: one tool at a time on each host, and the homes go separately.
    let useradd = on_all(&hosts, each, "useradd -m -U -u \"$uid\" -K SUB_UID_COUNT=0 -K SUB_GID_COUNT=0 \"bare$n\"");
    let userdel = on_all(&hosts, each, "userdel -f \"bare$n\"; rm -rf \"/home/bare$n\"");
    let Times { taken, available, clean } = crowd::expire_together(&hosts, sessions);
    let row = |what: &str, time: Duration, tool: Option<Duration>| {
        let rate = sessions as f64 / time.as_secs_f64();
        let share = tool.map(|tool| format!("{:5.0} %", 100.0 * tool.as_secs_f64() / time.as_secs_f64()));
        println!("{what:48} {:7.1} s {rate:8.0}/s {}", time.as_secs_f64(), share.unwrap_or_default());
    };
    println!("{sessions} sessions on {} hosts{:44} {:>12}", hosts.len(), "", "hosts' tools");
    row("bare useradd", useradd, None);
    row("bare userdel", userdel, None);
    row("requests taken", taken, None);
    row("all available", available, Some(useradd));
    row("all expired in one second: verified clean after", clean, Some(userdel));
}

/// Runs a command for so many accounts on every host, the hosts side by side; how long until the last host is done.
fn on_all(hosts: &[LinuxHost], accounts: usize, command: &str) -> Duration {
    let script =
        format!("for n in $(seq {accounts}); do uid=$(({FIRST_UID} + n)); {command} || exit 1; done 2>/dev/null");
    let began = Instant::now();
    thread::scope(|scope| hosts.iter().for_each(|host| drop(scope.spawn(|| host.root(&script)))));
    began.elapsed()
}
