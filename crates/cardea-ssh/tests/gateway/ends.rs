//! However a connection ends, it ends on both sides and is reported.

use std::{
    process::Child,
    time::{Duration, Instant},
};

use cardea_testkit::wait;

use crate::world::{SOON, World, stderr};

/// What a client hears and exits with.
fn ending(client: Child) -> (Option<i32>, String) {
    let output = client.wait_with_output().expect("it ends");
    (output.status.code(), stderr(&output))
}

fn is_running(world: &World, command: &str) -> bool {
    world.host.try_root(&format!("pgrep -f '^{command}$'")).is_ok()
}

#[test]
fn open_connections_are_cut_within_a_second_of_the_end() {
    let world = World::new();
    let clients = [world.start(&[], "exec sleep 6001"), world.start(&[], "exec sleep 6001")];
    let since = Instant::now();
    world.gate.end(world.session, "alice ended this session");
    for client in clients {
        let (code, told) = ending(client);
        assert!(since.elapsed() < Duration::from_secs(1), "cut after {:?}", since.elapsed());
        assert_eq!(code, Some(255));
        assert!(told.contains("Cardea: alice ended this session"), "{told}");
    }
    wait(SOON, "both are reported", || world.gate.closed().len() == 2);
    assert!(world.gate.closed().iter().all(|closed| closed.reason == "session_ended"));
}

#[test]
fn a_client_that_does_not_read_is_cut_as_fast() {
    let world = World::new();
    let mut client = world.start(&[], "exec cat /dev/zero");
    stop(client.id());
    let since = Instant::now();
    world.gate.end(world.session, "over");
    wait(SOON, "it is reported", || !world.gate.closed().is_empty());
    assert!(since.elapsed() < Duration::from_millis(1500), "cut after {:?}", since.elapsed());
    wait(SOON, "the command is gone", || !is_running(&world, "cat /dev/zero"));
    client.kill().expect("it is stopped, not gone");
    client.wait().expect("it ends");
}

/// Stops the client below `timeout`, and `timeout`, as a suspended laptop would.
fn stop(pid: u32) {
    let children = format!("kill -STOP {pid} $(cat /proc/{pid}/task/{pid}/children)");
    assert!(std::process::Command::new("sh").args(["-c", &children]).status().expect("sh runs").success());
}

#[test]
fn a_client_that_vanishes_takes_its_command_along() {
    let world = World::new();
    let mut client = world.start(&["-t", "-t"], "exec sleep 6002");
    assert!(is_running(&world, "sleep 6002"));
    // Both `timeout` and the client below it.
    let kill = format!("kill -KILL $(cat /proc/{0}/task/{0}/children) {0}", client.id());
    assert!(std::process::Command::new("sh").args(["-c", &kill]).status().expect("sh runs").success());
    client.wait().expect("it ends");
    assert_eq!(world.closed(), "client");
    wait(SOON, "the command is gone", || !is_running(&world, "sleep 6002"));
}

#[test]
fn a_target_that_vanishes_is_told_to_the_person() {
    let world = World::new();
    let client = world.start(&[], "exec sleep 6003");
    world.host.root("pkill -KILL -u worker sshd");
    let (code, told) = ending(client);
    assert_eq!(code, Some(255));
    assert!(told.contains("Cardea: the connection to the target was lost"), "{told}");
    assert_eq!(world.closed(), "target");
}

#[test]
fn a_gateway_that_stops_tells_everybody_and_reports_them() {
    let mut world = World::new();
    let client = world.start(&[], "exec sleep 6004");
    let since = Instant::now();
    world.stop();
    assert!(since.elapsed() < Duration::from_secs(5), "stopped after {:?}", since.elapsed());
    let (code, told) = ending(client);
    assert_eq!(code, Some(255));
    assert!(told.contains("Cardea: the gateway is stopping"), "{told}");
    assert_eq!(world.gate.closed()[0].reason, "gateway_stopping");
}

#[test]
fn the_next_connection_after_an_end_is_refused() {
    let world = World::new();
    assert_eq!(world.run("true").status.code(), Some(0));
    world.gate.end(world.session, "it is over");
    let refused = world.run("true");
    assert_eq!(refused.status.code(), Some(255));
    assert!(stderr(&refused).contains("Cardea: it is over"), "{}", stderr(&refused));
}
