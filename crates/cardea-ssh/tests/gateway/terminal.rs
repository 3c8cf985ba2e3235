//! A person at a terminal.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
};

use crate::world::World;

/// Runs `ssh` on a terminal of its own, 100 columns and 30 rows, named in the first line of the output.
pub(crate) fn at_a_terminal(world: &World, remote: &str) -> Command {
    let options = world.options("mine").join(" ");
    let line = format!("tty; stty cols 100 rows 30; exec ssh {options} {}@127.0.0.1 {remote}", world.session);
    let mut script = Command::new("script");
    script.args(["-q", "-e", "-c", &line, "/dev/null"]).env("TERM", "xterm-256color");
    script.stdin(Stdio::piped()).stdout(Stdio::piped());
    script
}

#[test]
fn a_shell_has_the_terminal_of_the_person_and_follows_its_size() {
    let world = World::new();
    let remote =
        "-t \"echo \\$TERM; stty size; until [ '50 132' = \\\"\\$(stty size)\\\" ]; do :; done; echo resized\"";
    let mut script = at_a_terminal(&world, remote).spawn().expect("script runs");
    let mut lines = BufReader::new(script.stdout.take().expect("ours")).lines().map(|line| line.expect("text"));
    let tty = lines.next().expect("its name").trim().to_owned();
    assert!(lines.by_ref().any(|line| line.trim() == "xterm-256color"), "the terminal's type");
    assert_eq!(lines.next().as_deref().map(str::trim), Some("30 100"));

    let resized = Command::new("stty").args(["-F", &tty, "cols", "132", "rows", "50"]).status();
    assert!(resized.expect("stty runs").success());
    assert!(lines.any(|line| line.trim() == "resized"), "the new size reaches the target");
    assert_eq!(script.wait().expect("it ends").code(), Some(0));
}

#[test]
fn a_login_shell_reads_what_is_typed_and_ctrl_c_interrupts() {
    let world = World::new();
    let mut script = at_a_terminal(&world, "").spawn().expect("script runs");
    let mut typed = script.stdin.take().expect("ours");
    let mut lines = BufReader::new(script.stdout.take().expect("ours")).lines().map(|line| line.expect("text"));
    let waits = r#"sh -c 'trap "echo inter""rupted; exit" INT; echo started-$((6 * 7)); while :; do sleep 0.05; done'"#;
    typed.write_all(format!("{waits}\n").as_bytes()).expect("it reads");
    assert!(lines.by_ref().any(|line| line.trim().ends_with("started-42")), "the shell reads");
    typed.write_all(b"\x03").expect("it reads");
    assert!(lines.by_ref().any(|line| line.contains("interrupted")), "the interrupt arrives");
    typed.write_all(b"exit 3\n").expect("it reads");
    assert_eq!(script.wait().expect("it ends").code(), Some(3));
}

#[test]
fn the_end_of_a_session_is_shown_on_the_terminal() {
    let world = World::new();
    let mut script = at_a_terminal(&world, "-t 'echo up; sleep 600'").spawn().expect("script runs");
    let mut lines = BufReader::new(script.stdout.take().expect("ours")).lines().map(|line| line.expect("text"));
    assert!(lines.by_ref().any(|line| line.trim() == "up"));
    world.gate.end(world.session, "the session reached its end");
    assert!(lines.any(|line| line.trim() == "Cardea: the session reached its end"));
    assert_eq!(script.wait().expect("it ends").code(), Some(255));
}
