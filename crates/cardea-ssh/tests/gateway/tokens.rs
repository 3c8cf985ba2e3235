//! One-time tokens, typed where a client asks for a password.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Output};

use crate::world::{World, output, stderr, stdout};

/// A client without a key that is known here, which is asked for a password by this method and gives this.
fn type_in(world: &World, method: &str, token: &str) -> Output {
    world.make_key_once("strange");
    let answer = world.file("answer", format!("#!/bin/sh\necho '{token}'\n").as_bytes());
    fs::set_permissions(&answer, fs::Permissions::from_mode(0o700)).expect("it is ours");
    let preferred = format!("PreferredAuthentications=publickey,{method}");
    let extra = ["-o", "BatchMode=no", "-o", "NumberOfPasswordPrompts=1", "-o", &preferred];
    let mut ssh = world.ssh_as("strange", &world.session.to_string(), &extra, "echo in");
    output(ssh.env("SSH_ASKPASS", answer).env("SSH_ASKPASS_REQUIRE", "force"))
}

#[test]
fn a_token_opens_the_session_once_by_either_method() {
    let world = World::new();
    for method in ["password", "keyboard-interactive"] {
        world.gate.give_token(world.session, "a-token");
        let first = type_in(&world, method, "a-token");
        assert_eq!(stdout(&first), "in\n", "{method}: {}", stderr(&first));
        let again = type_in(&world, method, "a-token");
        assert_eq!((again.status.code(), stdout(&again)), (Some(255), String::new()), "{method}: it was used");
        assert!(stderr(&again).contains("Cardea: this token opens nothing"), "{method}: {}", stderr(&again));
    }
    assert_eq!(world.gate.joins().len(), 2);
}

#[test]
fn a_token_of_a_session_that_is_over_is_answered_with_the_reason() {
    let world = World::new();
    world.gate.give_token(world.session, "a-token");
    world.gate.end(world.session, "this session is over: request a new one");
    let refused = type_in(&world, "keyboard-interactive", "a-token");
    assert_eq!(refused.status.code(), Some(255));
    assert!(stderr(&refused).contains("Cardea: this session is over"), "{}", stderr(&refused));
}
