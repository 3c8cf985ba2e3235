//! What the port hears from the rest of the world.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use cardea_ssh::Limits;
use cardea_testkit::wait;

use crate::world::{SOON, World, stdout};

fn dial(world: &World) -> TcpStream {
    let stream = TcpStream::connect(world.address).expect("the gateway listens");
    stream.set_read_timeout(Some(SOON)).expect("a timeout");
    stream
}

/// Whether the other side has closed; what it said before does not matter.
fn is_closed(stream: &mut TcpStream) -> bool {
    let mut said = Vec::new();
    match stream.read_to_end(&mut said) {
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

#[test]
fn scanners_and_garbage_do_no_harm() {
    let world = World::new();
    drop(dial(&world));
    let mut packet = b"SSH-2.0-Scanner\r\n".to_vec();
    packet.extend([0xff; 4096]);
    let mut huge = b"SSH-2.0-Scanner\r\n".to_vec();
    huge.extend([0x7f, 0xff, 0xff, 0xff, 4, 20]);
    huge.extend([0; 64 * 1024]);
    let scans: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        &[b'A'; 100_000],
        b"SSH-1.5-Old\r\n",
        &packet,
        &huge,
    ];
    for scan in scans {
        let mut stream = dial(&world);
        // The gateway may have hung up before all of it is sent.
        let _sent = stream.write_all(scan);
        let _half = stream.shutdown(std::net::Shutdown::Write);
        assert!(is_closed(&mut stream), "{:?}", &scan[..scan.len().min(16)]);
    }
    assert_eq!(stdout(&world.run("echo well")), "well\n");
}

#[test]
fn whoever_does_not_log_in_is_sent_away() {
    let world = World::with(Limits { login_time_max: Duration::from_millis(300), ..Limits::default() });
    let mut silent = dial(&world);
    assert!(is_closed(&mut silent));
    let mut half = dial(&world);
    half.write_all(b"SSH-2.0-Patient\r\n").expect("it is read");
    assert!(is_closed(&mut half));
}

#[test]
fn one_address_cannot_take_all_places() {
    let world = World::with(Limits { unauthenticated_per_peer_max: 2, ..Limits::default() });
    let mut waiting = [dial(&world), dial(&world)];
    for stream in &mut waiting {
        let mut hello = [0; 4];
        stream.read_exact(&mut hello).expect("it is served");
        assert_eq!(&hello, b"SSH-");
    }
    assert!(is_closed(&mut dial(&world)), "one too many");
    drop(waiting);
    wait(SOON, "their places are free again", || world.run("true").status.success());
}
