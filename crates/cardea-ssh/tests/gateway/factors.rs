//! Second factors, asked for after a key or a password.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Output, Stdio},
};

use cardea_ssh::Limits;
use cardea_testkit::{EVERYBODYS_PASSWORD, wait};

use crate::world::{SOON, World, expect, output, stderr, stdout};

const CODE: &str = "246810";

/// A client that offers this key, does only these methods, and answers what it is asked.
fn come_in(world: &World, key: &str, methods: &str, code: &str) -> Output {
    let script = format!("case \"$1\" in *Code*) echo '{code}' ;; *) echo '{EVERYBODYS_PASSWORD}' ;; esac");
    output(&mut client(world, key, methods, ("answer", &script), "echo in"))
}

/// A client that is asked by this script of this name.
fn client(world: &World, key: &str, methods: &str, (name, script): (&str, &str), command: &str) -> Command {
    world.make_key_once("strange");
    let answer = world.file(name, format!("#!/bin/sh\n{script}\n").as_bytes());
    fs::set_permissions(&answer, fs::Permissions::from_mode(0o700)).expect("it is ours");
    let preferred = format!("PreferredAuthentications={methods}");
    let extra = ["-o", "BatchMode=no", "-o", "NumberOfPasswordPrompts=1", "-o", &preferred];
    let mut ssh = world.ssh_as(key, &world.session.to_string(), &extra, command);
    ssh.env("SSH_ASKPASS", answer).env("SSH_ASKPASS_REQUIRE", "force");
    ssh
}

#[test]
fn a_factor_is_asked_for_after_a_key_and_after_a_password_by_either_method() {
    let world = World::new();
    world.gate.ask_for_factor(world.session, CODE);
    for (key, methods) in [
        ("mine", "publickey,keyboard-interactive"),
        ("strange", "publickey,keyboard-interactive"),
        ("strange", "publickey,password,keyboard-interactive"),
    ] {
        let inside = come_in(&world, key, methods, CODE);
        assert_eq!(stdout(&inside), "in\n", "{key} by {methods}: {}", stderr(&inside));
        let wrong = come_in(&world, key, methods, "000000");
        assert_eq!((wrong.status.code(), stdout(&wrong)), (Some(255), String::new()), "{key} by {methods}");
        assert!(stderr(&wrong).contains("Cardea: this code is wrong"), "{key} by {methods}: {}", stderr(&wrong));
    }
    assert_eq!(world.gate.joins().len(), 3);
}

#[test]
fn a_client_that_nobody_can_ask_learns_what_it_lacks() {
    let world = World::new();
    world.gate.ask_for_factor(world.session, CODE);
    let refused = world.run("echo in");
    assert_eq!((refused.status.code(), stdout(&refused)), (Some(255), String::new()));
    assert!(stderr(&refused).contains("takes your second factor as well"), "{}", stderr(&refused));
    // A right password is no way round it.
    let half = come_in(&world, "strange", "publickey,password", CODE);
    assert_eq!(half.status.code(), Some(255), "{}", stderr(&half));
    assert!(world.gate.joins().is_empty());
}

/// A code works once: whoever would be turned away with it all the same keeps it.
#[test]
fn who_has_no_seat_is_turned_away_before_their_factor_is_looked_at() {
    let world = World::with(Limits { per_user_max: 1, ..Limits::default() });
    world.gate.ask_for_factor(world.session, CODE);
    let (asked, go_on) = (world.folder.path().join("asked"), world.folder.path().join("go-on"));
    // Asked while there was a seat, and slow to answer.
    let script = format!(": >{asked:?}; while [ ! -e {go_on:?} ]; do sleep 0.1; done; echo {CODE}");
    let methods = "publickey,keyboard-interactive";
    let slow = client(&world, "mine", methods, ("slow", &script), "echo in").spawn().expect("ssh runs");
    wait(SOON, "the slow one is asked for a code", || asked.exists());
    let quick = format!("echo {CODE}");
    let mut quick = client(&world, "mine", methods, ("quick", &quick), "echo up; cat");
    let mut quick = quick.stdin(Stdio::piped()).spawn().expect("ssh runs");
    expect(&mut quick, "up\n");
    assert_eq!(world.gate.factors_shown(), 1);
    fs::write(&go_on, "").expect("the folder is writable");
    let slow = slow.wait_with_output().expect("it ends");
    assert_eq!((slow.status.code(), stdout(&slow)), (Some(255), String::new()));
    assert!(stderr(&slow).contains("Cardea: you have 1 connections open"), "{}", stderr(&slow));
    // And whoever comes now is not even asked.
    let late = come_in(&world, "mine", methods, CODE);
    assert!(stderr(&late).contains("Cardea: you have 1 connections open"), "{}", stderr(&late));
    assert_eq!(world.gate.factors_shown(), 1, "their codes are still good");
    drop(quick.stdin.take());
    assert!(quick.wait().expect("it ends").success());
}
