//! Lock, unlock and extension: what a session has is suspended, given back as it was, and moved on.

use std::time::Duration;

use cardea_domain::{Connector, Order, Presence};

use crate::bench::{Bench, said};

fn states(t: &Bench, uid: u32) -> Vec<String> {
    let all =
        t.host.root(&format!("ps -eo uid=,stat=,args= | grep ' sleep 90' | grep -v grep | grep '^ *{uid} ' || true"));
    let mut all: Vec<_> =
        all.lines().filter_map(|line| line.split_whitespace().nth(1)).map(|it| it[..1].to_owned()).collect();
    all.sort();
    all
}

async fn session(t: &Bench, name: &str, uid: u32) -> Vec<Order> {
    let orders =
        vec![t.account(name, uid), t.sudo(name, uid, &["ALL"]), t.group(name, uid, "adm"), t.login_key(name, uid)];
    for order in &orders {
        t.place(order).await;
    }
    orders
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_session_stands_still_and_goes_on_as_it_was() {
    let t = Bench::start("lock");
    let (name, uid) = ("tina-x1", 70_080);
    let orders = session(&t, name, uid).await;
    t.as_account(
        name,
        "(setsid sleep 900 & sudo -n setsid sleep 901 & setsid sleep 902 &) >/dev/null 2>&1 </dev/null; \
         until pgrep -x sleep | wc -l | grep -qx 3; do :; done; pkill -STOP -f '^sleep 902'",
    );
    assert_eq!(states(&t, uid), ["S", "T"]);
    let before = t.host.accounts_digest();

    for _ in 0..2 {
        let locked = t.linux.lock(&t.target, t.frame(), &orders).await.expect("locked");
        assert!(locked.read_back.contains("processes are stopped"), "{locked:?}");
    }

    assert_eq!(states(&t, uid), ["T", "T"]);
    assert!(!t.as_account(name, "true").status.success(), "nobody logs in");
    assert!(t.host.root("getent shadow tina-x1").trim_end().ends_with(":1:"));
    assert_eq!(t.host.root("ls /etc/sudoers.d | grep -c cardea || true"), "0\n");
    assert!(!t.host.root("getent group adm").contains(name));
    // An extension moves nothing that is locked.
    t.linux.extend(&t.target, t.frame(), &orders).await.expect("extended");
    assert!(t.host.root("getent shadow tina-x1").trim_end().ends_with(":1:"));
    assert_eq!(t.observe(&orders[1]).await.presence, Presence::Absent);

    for _ in 0..2 {
        t.linux.unlock(&t.target, t.frame(), &orders).await.expect("unlocked");
    }

    assert_eq!(states(&t, uid), ["S", "T"], "what had stopped by itself stays so");
    assert_eq!(t.host.accounts_digest(), before);
    assert_eq!(said(&t.as_account(name, "sudo -n id -u; id -nG")), "0\ntina-x1 adm\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_locked_can_be_removed_and_nobody_forks_away_from_a_lock() {
    let t = Bench::start("lock-end");
    let before = t.host.accounts_digest();
    let (name, uid) = ("timo-x1", 70_081);
    let orders = session(&t, name, uid).await;
    t.as_account(
        name,
        "ulimit -u 60; (setsid sh -c 'while :; do (while :; do (sleep 1) & done) & done') >/dev/null 2>&1 </dev/null & exit 0",
    );

    t.linux.lock(&t.target, t.frame(), &orders).await.expect("locked");
    let running = t.host.root(&format!("ps -eo uid=,stat= | grep '^ *{uid} [^TZ]' || true"));
    assert_eq!(running, "");
    // The connection was lost and another node goes on.
    for order in orders.iter().rev() {
        t.restarted().remove(&t.target, t.frame(), order).await.unwrap_or_else(|error| panic!("{error}"));
    }

    assert_eq!(t.host.processes_of(uid), Vec::<String>::new());
    assert_eq!(t.host.accounts_digest(), before);
    assert_eq!(t.host.root("ls /run/cardea/*/frozen"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_moves_every_end_and_makes_nothing() {
    let t = Bench::start("extend");
    let (name, uid) = ("tora-x1", 70_082);
    let mut orders = session(&t, name, uid).await;
    orders.push(t.dead_man(vec![&orders[0]]));
    t.place(&orders[4]).await;
    let later = t.clock_now().plus(Duration::from_secs(3 * 86_400));
    for order in &mut orders {
        order.expires_at = later;
    }

    let moved = t.linux.extend(&t.target, t.frame(), &orders).await.expect("extended");

    assert_eq!(moved.iter().filter(|one| one.warning.is_some()).count(), 0, "{moved:?}");
    let day = later.as_seconds() / 86_400 + 1;
    assert!(t.host.root("getent shadow tora-x1").trim_end().ends_with(&format!("::{day}:")));
    assert!(t.host.root("sudo -l -U tora-x1").contains(&format!("NOTAFTER={}", later.compact())));
    assert!(t.host.root("cat /home/tora-x1/.ssh/authorized_keys").contains(&format!("\"{}\"", later.compact())));
    let jobs =
        t.host.root("for job in $(atq | cut -f1); do at -c $job | grep -c '^exec sh /var/lib/cardea-host/grt_'; done");
    assert_eq!(jobs, "1\n", "one job, and not the old one beside");
    assert!(
        t.host
            .root("TZ=UTC atq")
            .contains(&t.host.root(&format!("TZ=UTC date -d @{} '+%b %e'", later.as_seconds())).trim().to_owned())
    );

    t.remove(&orders[3]).await;
    t.remove(&orders[1]).await;
    let moved = t.linux.extend(&t.target, t.frame(), &orders).await.expect("extended");
    assert!(moved[1].warning.is_some() && moved[3].warning.is_some(), "{moved:?}");
    assert_eq!(t.observe(&orders[1]).await.presence, Presence::Absent);
    assert_eq!(t.observe(&orders[3]).await.presence, Presence::Absent);
}
