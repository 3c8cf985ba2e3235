//! Much data, fast and slow readers, bounded memory.

use std::{
    fs::{self, File},
    io::Read as _,
    process::{Command, Stdio},
};

use cardea_testkit::wait;

use crate::world::{SOON, World, output, stdout};

const MIB: u64 = 1024 * 1024;

/// Bytes without a pattern, the same each time.
fn noise(length: u64) -> Vec<u8> {
    let mut state = 1u64;
    let words = std::iter::from_fn(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some(state.to_be_bytes())
    });
    words.take(usize::try_from(length / 8).expect("small")).flatten().collect()
}

fn sha256(file: &std::path::Path) -> String {
    stdout(&output(Command::new("sha256sum").arg(file)))[..64].to_owned()
}

/// Memory of this process, which the gateway runs in, in bytes.
fn memory(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with(field)).expect("the field exists");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number") * 1024
}

#[test]
fn fifty_megabytes_go_up_and_come_down_unchanged() {
    let world = World::new();
    let path = world.file("noise", &noise(50 * MIB));
    let input = File::open(&path).expect("it was made");
    // New keys every few megabytes, in the middle of it.
    let up = output(world.ssh(&["-o", "RekeyLimit=4M"], "tee copy | sha256sum").stdin(input));
    assert_eq!(&stdout(&up)[..64], sha256(&path));

    let back = world.folder.path().join("back");
    let down = world.ssh(&["-o", "RekeyLimit=4M"], "cat copy").stdout(File::create(&back).expect("writable")).status();
    assert!(down.expect("ssh runs").success());
    assert_eq!(sha256(&back), sha256(&path));
}

#[test]
fn a_command_that_writes_more_than_it_reads_does_not_stand_still() {
    let world = World::new();
    let path = world.file("noise", &noise(6 * MIB));
    let answer = world.folder.path().join("answer");
    let mut ssh = world.ssh(&[], "od -An -v -tx1 -w16");
    ssh.stdin(File::open(&path).expect("it was made")).stdout(File::create(&answer).expect("writable"));
    assert!(ssh.status().expect("ssh runs").success());
    let expected = world.folder.path().join("expected");
    let mut od = Command::new("od");
    od.args(["-An", "-v", "-tx1", "-w16"]).arg(&path).stdout(File::create(&expected).expect("writable"));
    assert!(od.status().expect("od runs").success());
    assert_eq!(sha256(&answer), sha256(&expected));
}

#[test]
fn a_reader_that_pauses_stops_the_command_and_not_its_input() {
    let world = World::new();
    // Its output waits for a reader while all of the input goes up: the case in which both directions fill up.
    let path = world.file("noise", &noise(4 * MIB));
    let mut ssh = world.ssh(&[], "od -An -v -tx1 -w1 /dev/stdin; echo done >/tmp/od-is-done");
    let mut client = ssh.stdin(File::open(&path).expect("it was made")).spawn().expect("ssh runs");
    let mut before = None;
    wait(SOON, "the command stands still", || {
        let now = world.host.try_root("cat /proc/$(pgrep -x od)/io").ok();
        let settled = now.is_some() && now == before;
        before = now;
        settled
    });
    assert!(world.host.try_root("test -e /tmp/od-is-done").is_err(), "it waits for its reader");
    let mut read = Vec::new();
    client.stdout.take().expect("ours").read_to_end(&mut read).expect("readable");
    assert!(client.wait().expect("it ends").success());
    assert_eq!(read.len() as u64, 4 * MIB * 4);
}

#[test]
fn two_hundred_megabytes_pass_without_being_kept() {
    let world = World::new();
    assert!(world.run("true").status.success());
    let before = memory("VmRSS");
    let mut client = world.ssh(&[], "head -c 200M /dev/zero").stdout(Stdio::piped()).spawn().expect("ssh runs");
    let mut from = client.stdout.take().expect("ours");
    let (mut chunk, mut total) = (vec![0; 65_536], 0);
    loop {
        match from.read(&mut chunk).expect("readable") {
            0 => break,
            length => total += length as u64,
        }
    }
    assert!(client.wait().expect("it ends").success());
    assert_eq!(total, 200 * MIB);
    let grown = memory("VmHWM").saturating_sub(before);
    assert!(grown < 48 * MIB, "memory grew by {grown} bytes");
}

#[test]
fn a_command_waits_for_a_reader_that_pauses() {
    let world = World::new();
    let mut client = world.ssh(&[], "exec head -c 100M /dev/zero").stdout(Stdio::piped()).spawn().expect("ssh runs");
    let mut before = None;
    wait(SOON, "the command stands still", || {
        let now = world.host.try_root("cat /proc/$(pgrep -x head)/io").ok();
        let settled = now.is_some() && now == before;
        before = now;
        settled
    });
    let io = before.expect("it was read");
    let written: u64 = io.lines().find_map(|line| line.strip_prefix("wchar: ")?.parse().ok()).expect("a number");
    assert!(written < 20 * MIB, "{written} bytes are on their way to nobody");
    let mut read = Vec::new();
    client.stdout.take().expect("ours").read_to_end(&mut read).expect("readable");
    assert_eq!(read.len() as u64, 100 * MIB);
    assert!(client.wait().expect("it ends").success());
}
