//! Second factors, asked for after a key or a password.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Output};

use cardea_testkit::EVERYBODYS_PASSWORD;

use crate::world::{World, output, stderr, stdout};

const CODE: &str = "246810";

/// A client that offers this key, does only these methods, and answers what it is asked.
fn come_in(world: &World, key: &str, methods: &str, code: &str) -> Output {
    world.make_key_once("strange");
    let script =
        format!("#!/bin/sh\ncase \"$1\" in *Code*) echo '{code}' ;; *) echo '{EVERYBODYS_PASSWORD}' ;; esac\n");
    let answer = world.file("answer", script.as_bytes());
    fs::set_permissions(&answer, fs::Permissions::from_mode(0o700)).expect("it is ours");
    let preferred = format!("PreferredAuthentications={methods}");
    let extra = ["-o", "BatchMode=no", "-o", "NumberOfPasswordPrompts=1", "-o", &preferred];
    let mut ssh = world.ssh_as(key, &world.session.to_string(), &extra, "echo in");
    output(ssh.env("SSH_ASKPASS", answer).env("SSH_ASKPASS_REQUIRE", "force"))
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
