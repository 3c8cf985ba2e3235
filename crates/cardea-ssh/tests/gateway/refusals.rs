//! Who is not let in, what is not offered, and what people are told.

use std::{process::Command, sync::Arc};

use cardea_testkit::wait;

use crate::world::{SOON, World, output, stderr, stdout};

#[test]
fn a_strangers_key_is_refused_without_a_word_about_the_session() {
    let world = World::new();
    world.make_key("strange");
    let refused = output(&mut world.ssh_as("strange", &world.session.to_string(), &[], "true"));
    assert_eq!(refused.status.code(), Some(255));
    assert!(!stderr(&refused).contains("Cardea"), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("Permission denied"), "{}", stderr(&refused));

    // A person at the keyboard is told what to do, and still nothing about the session.
    let mut curious = world.ssh_as("strange", &world.session.to_string(), &["-o", "BatchMode=no"], "true");
    let told = stderr(&output(&mut curious));
    assert!(told.contains("Cardea: none of your keys opens a session here."), "{told}");
    assert!(world.gate.joins().is_empty());
}

#[test]
fn an_ended_session_is_refused_with_a_banner_that_says_so() {
    let world = World::new();
    world.gate.end(world.session, "this session is over: request a new one");
    let refused = world.run("true");
    assert_eq!(refused.status.code(), Some(255));
    assert!(stderr(&refused).contains("Cardea: this session is over: request a new one"), "{}", stderr(&refused));
    assert!(world.gate.joins().is_empty(), "no channel opened");
}

#[test]
fn somebody_elses_session_and_nonsense_are_refused_with_a_banner() {
    let world = World::new();
    world.make_key("other");
    let theirs = world.public_key("other");
    world.open(|session| session.user_key = theirs);
    let elsewhere = ["other".to_owned(), world.session.to_string(), "root".to_owned(), "ses_nonsense".to_owned()];
    for user in &elsewhere[1..] {
        let refused = output(&mut world.ssh_as(&elsewhere[0], user, &[], "true"));
        assert_eq!(refused.status.code(), Some(255), "{user}");
        assert!(stderr(&refused).contains("Cardea: you have no such session"), "{user}: {}", stderr(&refused));
    }
}

#[test]
fn nobody_is_logged_in_to_a_target_before_the_product_knows_where_from() {
    let world = World::new();
    world.gate.turn_deaf();
    let refused = world.run("echo in");
    assert_eq!((refused.status.code(), stdout(&refused)), (Some(255), String::new()));
    assert!(stderr(&refused).contains("nobody could write it down"), "{}", stderr(&refused));
    assert_eq!(world.gate.reached().len(), 1);
    assert_eq!(world.closed(), "error");
}

#[test]
fn the_right_key_is_found_among_several() {
    let world = World::new();
    let others: Vec<_> = (0..4).map(|n| world.make_key(&format!("other{n}")).display().to_string()).collect();
    let options: Vec<_> = others.iter().flat_map(|key| ["-i", key]).collect();
    let mut ssh = world.ssh_as("other0", &world.session.to_string(), &options, "true");
    assert_eq!(output(&mut ssh).status.code(), Some(255), "none of these");

    let mine = world.folder.path().join("mine").display().to_string();
    let options = [options, vec!["-i", &mine]].concat();
    let found = output(&mut world.ssh_as("other0", &world.session.to_string(), &options, "echo in"));
    assert_eq!(stdout(&found), "in\n", "{}", stderr(&found));
}

#[test]
fn the_number_of_tries_is_limited() {
    let world = World::new();
    let keys: Vec<_> = (0..12).map(|n| world.make_key(&format!("other{n}")).display().to_string()).collect();
    let options: Vec<_> = keys.iter().flat_map(|key| ["-i", key]).collect();
    let refused = output(&mut world.ssh(&options, "true"));
    assert_eq!(refused.status.code(), Some(255), "the right key comes too late");
    assert!(stderr(&refused).contains("Too many authentication"), "{}", stderr(&refused));
}

#[test]
fn a_target_with_another_host_key_gets_nothing() {
    let world = World::new();
    world.make_key("impostor");
    let pinned = world.public_key("impostor");
    let session = world.open(|session| session.host_key = pinned);
    let refused = output(&mut world.ssh_as("mine", &session.to_string(), &[], "true"));
    assert_eq!(refused.status.code(), Some(255));
    assert!(stderr(&refused).contains("showed another host key than the pinned one"), "{}", stderr(&refused));
    assert_eq!(world.closed(), "error");
}

#[test]
fn an_unreachable_target_is_named_and_the_person_told_what_to_do() {
    let world = World::new();
    let session = world.open(|session| session.port = 1);
    let refused = output(&mut world.ssh_as("mine", &session.to_string(), &[], "true"));
    assert_eq!(refused.status.code(), Some(255));
    let told = stderr(&refused);
    assert!(told.contains("cannot be reached") && told.contains("tell an administrator"), "{told}");
    assert_eq!(world.closed(), "error");
}

#[test]
fn a_target_that_refuses_the_gateways_key_is_named() {
    let world = World::new();
    let session = world.open(|session| session.authorize = Arc::new(|_| {}));
    let refused = output(&mut world.ssh_as("mine", &session.to_string(), &[], "true"));
    assert_eq!(refused.status.code(), Some(255));
    assert!(stderr(&refused).contains("refused Cardea's key for the account `worker`"), "{}", stderr(&refused));
    assert_eq!(world.closed(), "error");
}

#[test]
fn file_transfer_is_refused_with_the_way_round() {
    let world = World::new();
    let mut sftp = Command::new("timeout");
    sftp.args(["60", "sftp"]).args(world.options("mine")).arg(format!("{}@127.0.0.1", world.session));
    let refused = output(&mut sftp);
    assert!(!refused.status.success());
    assert!(
        stderr(&refused).contains("Cardea: this gateway offers shells and commands, not `sftp`"),
        "{}",
        stderr(&refused)
    );

    // The old protocol of scp is a command like any other.
    let file = world.file("sent", b"what was sent").display().to_string();
    let mut scp = Command::new("timeout");
    scp.args(["60", "scp", "-O"])
        .args(world.options("mine"))
        .args([&file, &format!("{}@127.0.0.1:got", world.session)]);
    assert!(output(&mut scp).status.success());
    assert_eq!(stdout(&world.run("cat got")), "what was sent");
}

#[test]
fn forwarding_is_refused_in_every_form() {
    let world = World::new();
    let target = format!("{}:{}", world.host.address(), world.host.port());
    let through = output(&mut world.ssh(&["-W", &target], ""));
    assert!(stderr(&through).contains("administratively prohibited"), "{}", stderr(&through));
    assert!(!stdout(&through).starts_with("SSH-2.0"));

    let back = output(&mut world.ssh(&["-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1"], "true"));
    assert_eq!(back.status.code(), Some(255));
    assert!(stderr(&back).contains("remote port forwarding failed"), "{}", stderr(&back));

    let socket = format!("/tmp/cardea-socket:{target}");
    let back = output(&mut world.ssh(&["-o", "ExitOnForwardFailure=yes", "-R", &socket], "true"));
    assert_eq!(back.status.code(), Some(255), "{}", stderr(&back));

    let agent = world.folder.path().join("agent").display().to_string();
    let shown = format!("ssh-agent -a {agent} true");
    assert!(output(Command::new("sh").args(["-c", &shown])).status.success());
    let mut with_agent = world.ssh(&["-A", "-X"], "echo \"${SSH_AUTH_SOCK:-no agent}, ${DISPLAY:-no display}\"");
    let output = output(with_agent.env("SSH_AUTH_SOCK", &agent).env("DISPLAY", ":77"));
    assert_eq!(stdout(&output), "no agent, no display\n");
    wait(SOON, "all are closed", || world.gate.closed().len() == world.gate.joins().len());
}
