//! Commands run through the gateway as they run without it.

use std::{io::Write as _, process::Stdio};

use cardea_testkit::wait;

use crate::world::{SOON, World, expect, output, stderr, stdout};

#[test]
fn a_command_runs_as_the_login_account_and_gives_its_exit_status() {
    let world = World::new();
    let output = world.run("id -un; echo to stderr >&2; exit 7");
    assert_eq!(stdout(&output), "worker\n");
    assert!(stderr(&output).ends_with("to stderr\n"), "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(world.closed(), "client");
}

#[test]
fn the_product_learns_where_the_target_sees_a_connection_come_from() {
    let world = World::new();
    let output = world.run("echo $SSH_CONNECTION");
    let told = stdout(&output);
    let (mut words, reached) = (told.split(' '), world.gate.reached());
    let seen = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    assert_eq!(reached.len(), 1, "{reached:?}");
    assert_eq!((reached[0].1.ip().to_string().as_str(), reached[0].1.port().to_string().as_str()), seen);
    assert_eq!(reached[0].0, world.gate.joins()[0].connection);
}

#[test]
fn standard_error_stays_apart() {
    let world = World::new();
    let output = world.run("for i in 1 2 3; do echo out $i; echo err $i >&2; done");
    assert_eq!(stdout(&output), "out 1\nout 2\nout 3\n");
    assert!(stderr(&output).ends_with("err 1\nerr 2\nerr 3\n"), "{}", stderr(&output));
}

#[test]
fn the_end_of_input_reaches_the_command_and_its_answer_comes_back() {
    let world = World::new();
    let mut client = world.ssh(&[], "cat; echo the end").stdin(Stdio::piped()).spawn().expect("ssh runs");
    client.stdin.take().expect("its input is ours").write_all(b"first\nsecond").expect("it reads");
    let output = client.wait_with_output().expect("it ends");
    assert_eq!(stdout(&output), "first\nsecondthe end\n");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn the_environment_is_passed_on_as_far_as_the_target_takes_it() {
    let world = World::new();
    let mut ssh = world.ssh(&["-o", "SendEnv=LC_CARDEA CARDEA_TEST"], "echo $LC_CARDEA.$CARDEA_TEST.");
    let output = output(ssh.env("LC_CARDEA", "ünïcode and spaces").env("CARDEA_TEST", "not in AcceptEnv"));
    assert_eq!(stdout(&output), "ünïcode and spaces..\n");
}

#[test]
fn a_command_that_dies_of_a_signal_is_told_apart_from_one_that_exits() {
    let world = World::new();
    let told = world.block_on(async {
        let channel = library_client(&world).await.channel_open_session().await.expect("a channel");
        channel.exec(true, "kill -KILL $$").await.expect("it is asked");
        ending(channel).await
    });
    assert_eq!(told, "signal KILL");
}

#[test]
fn a_signal_reaches_the_command() {
    let world = World::new();
    let told = world.block_on(async {
        let mut channel = library_client(&world).await.channel_open_session().await.expect("a channel");
        channel
            .exec(true, "trap 'exit 42' USR1; echo ready; while :; do read -t 0.05 <> <(:); done")
            .await
            .expect("it is asked");
        loop {
            match channel.wait().await.expect("it lives") {
                russh::ChannelMsg::Data { data } if data.starts_with(b"ready") => break,
                _ => {}
            }
        }
        channel.signal(russh::Sig::USR1).await.expect("it is sent");
        ending(channel).await
    });
    assert_eq!(told, "status 42");
}

#[test]
fn several_channels_share_one_connection() {
    let world = World::new();
    let socket = world.folder.path().join("control").display().to_string();
    let path = format!("ControlPath={socket}");
    let mut master = world.ssh(&["-N", "-o", "ControlMaster=yes", "-o", &path], "");
    let mut master = master.spawn().expect("ssh runs");
    wait(SOON, "the master listens", || std::path::Path::new(&socket).exists());

    // All five are open at once before any of them goes on.
    let mut clients: Vec<_> =
        (0..5).map(|n| world.start(&["-o", &path], &format!("read word; echo {n} $word; exit {n}"))).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        client.stdin.take().expect("ours").write_all(format!("word{n}\n").as_bytes()).expect("it reads");
    }
    for (n, mut client) in clients.into_iter().enumerate() {
        expect(&mut client, &format!("{n} word{n}\n"));
        assert_eq!(client.wait().expect("it ends").code(), Some(i32::try_from(n).expect("small")));
    }
    assert_eq!(world.gate.joins().len(), 1, "one log-in for all of them");
    // More than may be open at once: closed ones do not count.
    for n in 0..20 {
        assert_eq!(stdout(&output(&mut world.ssh(&["-o", &path], &format!("echo {n}")))), format!("{n}\n"));
    }
    master.kill().expect("it runs");
    master.wait().expect("it ends");
}

/// A client that shares a connection closes its channel when the output ends, before it knows the status.
#[test]
fn the_status_of_a_command_that_ends_its_output_first_is_not_lost() {
    let world = World::new();
    let socket = world.folder.path().join("control").display().to_string();
    let path = format!("ControlPath={socket}");
    let mut master = world.ssh(&["-N", "-o", "ControlMaster=yes", "-o", &path], "").spawn().expect("ssh runs");
    wait(SOON, "the master listens", || std::path::Path::new(&socket).exists());
    let mut ssh = world.ssh(&["-o", &path], "exec >&- 2>&-; sleep 0.3; exit 7");
    assert_eq!(output(ssh.stdin(Stdio::null())).status.code(), Some(7));
    master.kill().expect("it runs");
    master.wait().expect("it ends");
}

#[test]
fn connections_of_one_session_share_a_key_and_sessions_do_not() {
    let world = World::new();
    let other = world.open(|_| {}).to_string();
    for user in [world.session.to_string(), world.session.to_string(), other] {
        assert_eq!(output(&mut world.ssh_as("mine", &user, &[], "true")).status.code(), Some(0));
    }
    wait(SOON, "all are closed", || world.gate.closed().len() == 3);
    let keys: Vec<_> = world.gate.joins().into_iter().map(|join| join.public_key).collect();
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[0], keys[2]);
}

struct Trusting;

impl russh::client::Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &russh::keys::PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(true)
    }
}

#[test]
fn the_number_of_channels_is_limited_and_places_come_back() {
    let world = World::new();
    world.block_on(async {
        let client = library_client(&world).await;
        let mut open = Vec::new();
        for _ in 0..16 {
            open.push(client.channel_open_session().await.expect("one of sixteen"));
        }
        let refused = client.channel_open_session().await;
        assert!(matches!(refused, Err(russh::Error::ChannelOpenFailure(russh::ChannelOpenFailure::ResourceShortage))));
        open.pop().expect("they are open").close().await.expect("it closes");
        while client.channel_open_session().await.is_err() {
            tokio::task::yield_now().await;
        }
    });
}

/// A client that can do what `ssh` has no option for.
async fn library_client(world: &World) -> russh::client::Handle<Trusting> {
    let key = russh::keys::load_secret_key(world.folder.path().join("mine"), None).expect("the key was made");
    let key = russh::keys::PrivateKeyWithHashAlg::new(key.into(), None);
    let mut client = russh::client::connect(Default::default(), world.address, Trusting).await.expect("it connects");
    let answer = client.authenticate_publickey(world.session.to_string(), key).await.expect("it answers");
    assert!(answer.success());
    client
}

/// How a channel's command ended.
async fn ending(mut channel: russh::Channel<russh::client::Msg>) -> String {
    let mut told = String::new();
    while let Some(message) = channel.wait().await {
        match message {
            russh::ChannelMsg::ExitSignal { signal_name, .. } => told = format!("signal {signal_name:?}"),
            russh::ChannelMsg::ExitStatus { exit_status } => told = format!("status {exit_status}"),
            _ => {}
        }
    }
    told
}
