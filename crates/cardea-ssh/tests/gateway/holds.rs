//! A lock freezes what is open and says so; and what has not joined yet is cut and limited all the same.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::Stdio,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use cardea_domain::Word;
use cardea_ssh::Limits;
use cardea_testkit::wait;

use crate::{
    terminal::at_a_terminal,
    world::{SOON, World, output, stderr, stdout},
};

const LOCKED: &str = "locked by an administrator: call 4242";

fn freeze(world: &World) {
    world.gate.tell(world.session, Word::Frozen(LOCKED.to_owned()));
}

fn thaw(world: &World) {
    world.gate.tell(world.session, Word::Thawed("unlocked".to_owned()));
}

#[test]
fn a_locked_terminal_says_so_and_passes_nothing_until_it_is_unlocked() {
    let world = World::new();
    let remote = "-t 'stty -echo; echo up; while read word; do echo heard-$word; echo $word >>/tmp/heard; done'";
    let mut script = at_a_terminal(&world, remote).spawn().expect("script runs");
    let mut typed = script.stdin.take().expect("ours");
    let (send, lines) = mpsc::channel();
    let output = BufReader::new(script.stdout.take().expect("ours"));
    thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
    let until = |text: &str| {
        let mut seen = Vec::new();
        loop {
            let line = lines.recv_timeout(SOON).unwrap_or_else(|_| panic!("never `{text}`: {seen:#?}"));
            seen.push(line.trim().to_owned());
            if line.trim() == text {
                return seen;
            }
        }
    };
    until("up");
    typed.write_all(b"before\n").expect("it reads");
    until("heard-before");

    freeze(&world);
    until(&format!("Cardea: {LOCKED}"));
    typed.write_all(b"typed-while-locked\n").expect("it reads");
    // Written by the host itself, so it would come through at once if anything did.
    world.host.root("echo from-the-host >$(ls -t /dev/pts/[0-9]* | head -n 1)");
    thaw(&world);
    let seen = until("from-the-host");
    assert_eq!(seen.iter().position(|line| line == "Cardea: unlocked"), Some(1), "the output waited: {seen:?}");
    typed.write_all(b"after\n").expect("it reads");
    until("heard-after");
    assert_eq!(world.host.root("cat /tmp/heard").trim(), "before\nafter", "what was typed meanwhile is dropped");
    drop(typed);
    script.kill().expect("it runs");
    script.wait().expect("it ends");
}

#[test]
fn a_locked_stream_waits_and_loses_and_gains_nothing() {
    let world = World::new();
    let mut client = world.start(&[], "cat");
    let mut input = client.stdin.take().expect("ours");
    freeze(&world);
    world.gate.tell(world.session, Word::Notice("it ends in 10 min".to_owned()));
    let content: String = (0..20_000).map(|line| format!("line {line}\n")).collect();
    let sent = content.clone();
    let writer = thread::spawn(move || input.write_all(sent.as_bytes()).expect("it reads"));
    thaw(&world);
    writer.join().expect("it was written");
    let output = client.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output) == content, "{} of {} bytes", output.stdout.len(), content.len());
    assert!(!stderr(&output).contains("Cardea"), "{}", stderr(&output));
}

#[test]
fn a_locked_connection_opens_no_channel() {
    let world = World::new();
    let socket = world.folder.path().join("master");
    let path = format!("ControlPath={}", socket.display());
    let mut master = world.start(&["-o", "ControlMaster=yes", "-o", &path], "cat");
    wait(SOON, "the master listens", || socket.exists());
    assert!(output(&mut world.ssh(&["-o", &path], "true")).status.success());
    freeze(&world);
    let refused = output(&mut world.ssh(&["-o", &path], "echo in"));
    assert_eq!((refused.status.code(), stdout(&refused).as_str()), (Some(255), ""));
    assert!(stderr(&refused).contains(&format!("Cardea: {LOCKED}")), "{}", stderr(&refused));
    thaw(&world);
    wait(SOON, "it is open again", || output(&mut world.ssh(&["-o", &path], "true")).status.success());
    drop(master.stdin.take());
    assert!(master.wait().expect("it ends").success());
}

#[test]
fn a_notice_is_shown_on_terminals() {
    let world = World::new();
    let mut script = at_a_terminal(&world, "-t 'echo up; sleep 600'").spawn().expect("script runs");
    let mut lines = BufReader::new(script.stdout.take().expect("ours")).lines().map(|line| line.expect("text"));
    assert!(lines.by_ref().any(|line| line.trim() == "up"));
    world.gate.tell(world.session, Word::Notice("it ends in 10 min".to_owned()));
    assert!(lines.any(|line| line.trim() == "Cardea: it ends in 10 min"));
    script.kill().expect("it runs");
    script.wait().expect("it ends");
}

#[test]
fn a_connection_without_a_channel_ends_with_its_session() {
    let world = World::new();
    let mut idle = world.ssh(&["-N", "-v"], "").stderr(Stdio::piped()).spawn().expect("ssh runs");
    let mut said = BufReader::new(idle.stderr.take().expect("ours")).lines().map(|line| line.expect("text"));
    assert!(said.any(|line| line.contains("Authenticated to")));
    let since = Instant::now();
    world.gate.end(world.session, "the session reached its end");
    assert_eq!(idle.wait().expect("it ends").code(), Some(255));
    assert!(since.elapsed() < Duration::from_secs(2), "cut after {:?}", since.elapsed());
    assert!(said.any(|line| line.contains("the session reached its end")), "it is told why");
    assert!(world.gate.joins().is_empty(), "nobody was logged in");
}

#[test]
fn one_user_cannot_take_all_places() {
    let world = World::with(Limits { per_user_max: 1, ..Limits::default() });
    let mut first = world.start(&[], "cat");
    let refused = world.run("true");
    assert_eq!(refused.status.code(), Some(255));
    assert!(stderr(&refused).contains("Cardea: you have 1 connections open"), "{}", stderr(&refused));
    drop(first.stdin.take());
    assert!(first.wait().expect("it ends").success());
    wait(SOON, "the place is free again", || world.run("true").status.success());
}
