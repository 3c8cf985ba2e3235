//! Everything is pushed: a browser that listens sees each change, and one that comes back misses none.

use cardea_testkit::LinuxHost;

use crate::harness::{Server, Stream};

#[test]
fn a_session_is_followed_live_and_resumed_without_a_gap() {
    let host = LinuxHost::start("web1");
    let server = Server::start();
    server.furnish(&[&host]);
    let (alice, mallory) = (server.api("alice"), server.api("mallory"));
    let mut live = Stream::open(&server, &alice, None);
    let mut others = Stream::open(&server, &mallory, None);
    assert_eq!((live.next().kind, others.next().kind), ("ready".to_owned(), "ready".to_owned()));

    let id = alice.request("web1");
    let available = live.until_status("available");
    assert_eq!(available.data["id"], id.as_str());
    alice.end(&id);
    live.until_status("completed");

    let mut resumed = Stream::open(&server, &alice, Some(&available.id));
    assert_eq!(resumed.until_status("completed").data["id"], id.as_str());
    let mut lost = Stream::open(&server, &alice, Some("0000000000000000-1"));
    let kinds: Vec<_> = (0..2).map(|_| lost.next().kind).collect();
    assert!(kinds.contains(&"reset".to_owned()), "{kinds:?}");

    server.apply("kind: User\nname: carol\nspec: {}\n");
    assert_eq!(others.next().kind, "configuration", "mallory heard nothing of alice's session");
}
