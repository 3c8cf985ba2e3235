//! `cargo xtask bench provision`: how long from request to Available, and from end to verified removal, on a real host,
//! beside the time that the same bare commands take there in the same run.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "../tests/it/harness.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod harness;

use std::{
    fs,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use cardea_testkit::LinuxHost;
use harness::{Server, Stream};

const WARM_ROUNDS: usize = 60;
const COLD_ROUNDS: usize = 8;
const CUT_ROUNDS: usize = 100;
const BARE_ROUNDS: usize = 30;

/// What a session places and takes away, as an administrator would type it, timed on the host: no ssh, no ledger, no
/// read-back, no look for processes and files.
const BARE: &str = r#"
for round in $(seq ROUNDS); do
  began=$(date +%s%N)
  useradd -m -u 69999 -e 2030-01-01 bare
  echo '#69999 ALL=(root) NOTAFTER=20300101000000Z NOPASSWD: ALL' > /etc/sudoers.d/bare.new
  chmod 440 /etc/sudoers.d/bare.new && visudo -qcf /etc/sudoers.d/bare.new && mv /etc/sudoers.d/bare.new /etc/sudoers.d/bare
  gpasswd -a bare adm >/dev/null
  placed=$(date +%s%N)
  gpasswd -d bare adm >/dev/null; rm /etc/sudoers.d/bare; userdel -r bare 2>/dev/null
  echo "$(( (placed - began) / 1000 )) $(( ($(date +%s%N) - placed) / 1000 ))"
done
"#;

fn main() {
    let host = LinuxHost::start("web1");
    let (placed, removed) = bare(&host);
    let mut server = Server::start();
    server.furnish(&[&host]);
    let (mut available, mut clean) = (Vec::new(), Vec::new());
    {
        let alice = server.api("alice");
        let mut live = Stream::open(&server, &alice, None);
        for round in 0..=WARM_ROUNDS {
            let (to_available, to_clean) = life(&alice, &mut live);
            // The first one connects.
            if round > 0 {
                available.push(to_available);
                clean.push(to_clean);
            }
        }
    }
    let cut: Vec<_> = {
        let alice = server.api("alice");
        (0..CUT_ROUNDS).map(|_| cut(&alice)).collect()
    };
    let resident = resident_mib(&server);
    let (mut cold, mut ready) = (Vec::new(), Vec::new());
    for _ in 0..COLD_ROUNDS {
        server.stop();
        let began = Instant::now();
        server.resume();
        ready.push(began.elapsed());
        let alice = server.api("alice");
        let mut live = Stream::open(&server, &alice, None);
        cold.push(life(&alice, &mut live).0);
    }
    println!("{:42} {:>9} {:>9} {:>9} {:>9}", "", "p50", "p90", "p99", "max");
    row("bare commands on the host: place", placed.clone());
    row("request to Available, warm connection", available.clone());
    row("request to Available, cold connection", cold);
    row("bare commands on the host: remove", removed.clone());
    row("end to verified removal, warm", clean.clone());
    row("end to connection cut, seen by ssh", cut);
    row("server start to ready", ready);
    println!(
        "warm place / bare place: {:.1}   warm removal / bare removal: {:.1}",
        ratio(&available, &placed),
        ratio(&clean, &removed)
    );
    let binary = fs::metadata(env!("CARGO_BIN_EXE_cardea")).map_or(0, |file| file.len());
    let sessions = WARM_ROUNDS + CUT_ROUNDS;
    println!("resident memory after {sessions} sessions: {resident} MiB   binary: {} MiB", binary / 1024 / 1024);
}

/// One session from request to proven clean-up: how long until it was available, and until it was clean again.
fn life(alice: &harness::Api<'_>, live: &mut Stream) -> (Duration, Duration) {
    let began = Instant::now();
    let id = alice.request("web1");
    live.until_status("available");
    let available = began.elapsed();
    let began = Instant::now();
    alice.end(&id);
    live.until_status("completed");
    (available, began.elapsed())
}

/// How long after an end is asked for until the person's ssh client is gone.
fn cut(alice: &harness::Api<'_>) -> Duration {
    let session = alice.available("web1");
    let id = session["id"].as_str().expect("an id");
    let mut open = alice.server.ssh("alice", id).arg("sleep 600").stderr(Stdio::null()).spawn().expect("ssh runs");
    alice.until(id, &["logged_in"]);
    let gone = thread::spawn(move || {
        open.wait().expect("it is our child");
        Instant::now()
    });
    let began = Instant::now();
    alice.end(id);
    let cut = gone.join().expect("waiting cannot fail").saturating_duration_since(began);
    alice.until(id, &["completed"]);
    cut
}

fn bare(host: &LinuxHost) -> (Vec<Duration>, Vec<Duration>) {
    let said = host.root(&BARE.replace("ROUNDS", &BARE_ROUNDS.to_string()));
    let micros = |text: &str| Duration::from_micros(text.parse().expect("a number"));
    said.lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(placed, removed)| (micros(placed), micros(removed)))
        .unzip()
}

fn row(what: &str, mut samples: Vec<Duration>) {
    samples.sort();
    let at = |share: usize| samples[(samples.len() - 1) * share / 100].as_secs_f64() * 1000.0;
    println!("{what:42} {:6.1} ms {:6.1} ms {:6.1} ms {:6.1} ms", at(50), at(90), at(99), at(100));
}

fn ratio(one: &[Duration], other: &[Duration]) -> f64 {
    let median = |samples: &[Duration]| {
        let mut sorted = samples.to_vec();
        sorted.sort();
        sorted[sorted.len() / 2].as_secs_f64()
    };
    median(one) / median(other)
}

fn resident_mib(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.process_id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) / 1024
}
