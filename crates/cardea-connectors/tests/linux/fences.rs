//! Late and lost commands: a command that was given up never brings a privilege back.

use std::time::Duration;

use cardea_domain::{Connector, ConnectorError, Frame, Presence, UidRange};
use cardea_testkit::wait;

use crate::bench::Bench;

const SOON: Duration = Duration::from_secs(20);

/// From here on useradd says that it began and waits until it may go on.
fn slow_down(t: &Bench) {
    t.host.root(
        "mv /usr/sbin/useradd /usr/sbin/useradd.real; touch /run/slow; \
         printf '#!/bin/sh\\ntouch /run/began; while [ -e /run/slow ]; do sleep 0.05; done; exec useradd.real \"$@\"\\n' \
         >/usr/sbin/useradd; chmod 755 /usr/sbin/useradd",
    );
}

fn useradds(t: &Bench) -> String {
    t.host.root("pgrep -fa 'sbin/useradd|useradd.real' | grep -v pgrep || true")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_fence_is_refused() {
    let t = Bench::start("fence");
    let order = t.account("pia-x1", 70_050);
    let newer = Frame { fence: 7, ..t.frame() };
    t.linux.remove(&t.target, newer, &order).await.expect("the newest fence");

    let late = t.linux.place(&t.target, Frame { fence: 6, ..newer }, &order).await;

    assert_eq!(late, Err(ConnectorError::Superseded { seen: 7 }));
    assert_eq!(t.host.uid_of("pia-x1"), None);
    // Another session's fences are its own.
    let other = Frame { session: t.new_session(), ..t.frame() };
    t.linux.place(&t.target, other, &order).await.expect("another session");
    t.linux.place(&t.target, newer, &order).await.expect("the same fence again");

    // What no fence looks like is none; what looks like one is told, so that the next claim can be above it.
    let fences = format!("/run/cardea/*/sessions/{}", t.session);
    t.host
        .root(&format!("for f in {fences}; do printf 'x\\n-1\\n\\n100000000000000\\n9999999999999999\\n' >>$f; done"));
    t.linux.place(&t.target, newer, &order).await.expect("the same fence again");
    t.host.root(&format!("for f in {fences}; do echo 99999999 >>$f; done"));
    let poisoned = t.linux.remove(&t.target, newer, &order).await;
    assert_eq!(poisoned, Err(ConnectorError::Superseded { seen: 99_999_999 }));
    t.linux.remove(&t.target, Frame { fence: 100_000_000, ..newer }, &order).await.expect("above it");
    t.host.root(&format!("for f in {fences}; do echo 99999999999999 >>$f; done"));
    let poisoned = t.linux.remove(&t.target, Frame { fence: 100_000_001, ..newer }, &order).await;
    assert_eq!(poisoned, Err(ConnectorError::Superseded { seen: 99_999_999_999_999 }));
    let highest = Frame { fence: 100_000_000_000_000, ..newer };
    t.linux.remove(&t.target, highest, &order).await.expect("nothing is above what the engine goes to");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_holds_our_locks_is_ended_and_keeps_nothing() {
    let t = Bench::start("locks");
    let (name, uid) = ("theo-x1", 70_055);
    let orders = [t.account(name, uid), t.sudo(name, uid, &["ALL"]), t.login_key(name, uid)];
    for order in &orders {
        t.place(order).await;
    }
    t.as_account(
        name,
        "for lock in $(sudo -n sh -c 'echo /run/cardea/accounts.lock /run/cardea/*/sessions/*'); do \
         sudo -n setsid flock $lock sleep 900 >/dev/null 2>&1 </dev/null & done; \
         until pgrep -x sleep | wc -l | grep -qx 3; do :; done",
    );

    for order in orders.iter().rev() {
        t.remove(order).await;
    }

    assert_eq!(t.host.root("pgrep -x sleep || true"), "");
    assert_eq!(t.host.uid_of(name), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_holds_our_locks_as_somebody_else_is_ended_too() {
    let t = Bench::start("strangers");
    let (name, uid) = ("thea-x1", 70_057);
    let orders = [t.account(name, uid), t.sudo(name, uid, &["ALL"])];
    for order in &orders {
        t.place(order).await;
    }
    // As root and not of their log-in; who took the lock is gone, and who keeps it says to be a shell of a newer claim.
    t.host.root(&format!(
        "cd /run/cardea/*/sessions; setsid flock {0} sh -c 'sleep 900 & echo $! >/run/held' >/dev/null 2>&1 </dev/null; \
         p=$(cat /run/held); s=$(cut -d' ' -f22 /proc/$p/stat); echo \"5 $p.$s\" >{0}.holder; \
         setsid sh -c 'exec 9<{0}.holder; flock 9; exec sleep 901' >/dev/null 2>&1 </dev/null &",
        t.session
    ));

    let error = t.try_remove(&orders[1]).await.expect_err("somebody says to be newer");
    assert_eq!(error, ConnectorError::Superseded { seen: 5 });
    let newer = Frame { fence: 6, ..t.frame() };
    t.host.root(&format!("echo '1 1.0' >$(echo /run/cardea/*/sessions/{}).holder", t.session));
    let evidence = t.linux.remove(&t.target, newer, &orders[1]).await.expect("removed");

    assert!(evidence.findings.iter().any(|finding| finding.contains("(sleep) held a lock")), "{evidence:?}");
    assert_eq!(
        t.host.root("pgrep -fa 'sleep 90[0-9]' | grep -v pgrep || true").lines().count(),
        1,
        "not who holds another file"
    );
    t.linux.remove(&t.target, newer, &orders[0]).await.expect("removed");
    assert_eq!(t.host.uid_of(name), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_did_not_answer_is_ended_before_anything_else() {
    let t = Bench::start("unanswered");
    let order = t.account("quin-x1", 70_051);
    t.observe(&order).await;
    slow_down(&t);

    let short = Frame { limit: Duration::from_secs(1), ..t.frame() };
    let answer = t.linux.place(&t.target, short, &order).await;
    assert!(matches!(answer, Err(ConnectorError::Unknown(_))), "{answer:?}");
    assert_ne!(useradds(&t), "", "it still runs on the host");

    let evidence = t.linux.remove(&t.target, Frame { fence: 2, ..t.frame() }, &order).await;

    evidence.expect("removed");
    assert_eq!(useradds(&t), "");
    t.host.root("rm /run/slow");
    assert_eq!(t.observe_at(2, &order).await.presence, Presence::Absent);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_overtaken_node_left_running_is_ended_by_another() {
    let t = std::sync::Arc::new(Bench::start("overtaken"));
    let order = t.account("nora-x1", 70_056);
    // A warm shell of that node that runs nothing any more is left alone.
    t.observe(&order).await;
    slow_down(&t);
    let placing = tokio::spawn({
        let (t, order) = (t.clone(), order.clone());
        async move { t.try_place(&order).await }
    });
    wait(SOON, "useradd began", || t.host.try_root("test -e /run/began").is_ok());

    let other = t.other_node();
    other.remove(&t.target, Frame { fence: 2, ..t.frame() }, &order).await.expect("removed");

    assert_eq!(useradds(&t), "");
    t.host.root("rm /run/slow");
    let answer = placing.await.expect("no panic");
    assert!(matches!(answer, Err(ConnectorError::Unknown(_))), "{answer:?}");
    let late = t.try_place(&order).await;
    assert_eq!(late, Err(ConnectorError::Superseded { seen: 2 }), "its claim is over, its connection goes on");
    assert_eq!(t.host.uid_of("nora-x1"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_ends_what_the_lost_connection_left_running() {
    let t = std::sync::Arc::new(Bench::start("restart"));
    let order = t.account("rosa-x1", 70_052);
    slow_down(&t);
    let placing = tokio::spawn({
        let (t, order) = (t.clone(), order.clone());
        async move { t.try_place(&order).await }
    });
    wait(SOON, "useradd began", || t.host.try_root("test -e /run/began").is_ok());

    let restarted = t.restarted();
    restarted.remove(&t.target, Frame { fence: 2, ..t.frame() }, &order).await.expect("removed");

    assert_eq!(useradds(&t), "");
    let answer = placing.await.expect("no panic");
    assert!(matches!(answer, Err(ConnectorError::Unknown(_))), "{answer:?}");
    t.host.root("rm /run/slow");
    let seen = restarted.observe(&t.target, Frame { fence: 2, ..t.frame() }, std::slice::from_ref(&order)).await;
    assert_eq!(seen.expect("seen")[0].presence, Presence::Absent);
    // The older connection notices that it is out, and the next frame finds a way.
    let late = t.try_place(&order).await;
    assert!(late.is_err(), "{late:?}");
    assert_eq!(t.host.uid_of("rosa-x1"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_time_is_over_is_not_begun() {
    let t = Bench::start("late");
    let order = t.account("sven-x1", 70_053);
    t.observe(&order).await;
    // Somebody holds the session's lock on the host for longer than the frame may take.
    let lock = format!("/run/cardea/*/sessions/{}", t.session);
    t.host.root(&format!("setsid flock {lock} sh -c 'touch /run/held; while [ -e /run/held ]; do sleep 0.05; done' >/dev/null 2>&1 </dev/null &"));
    wait(SOON, "the lock is held", || t.host.try_root("test -e /run/held").is_ok());

    let short = Frame { limit: Duration::from_secs(1), ..t.frame() };
    let answer = t.linux.place(&t.target, short, &order).await;
    assert!(matches!(answer, Err(ConnectorError::Unknown(_))), "{answer:?}");
    t.host.root("rm /run/held");

    wait(SOON, "the frame ended", || t.host.root("pgrep -fa 'flock -w' | grep -v pgrep || true").is_empty());
    assert_eq!(t.host.uid_of("sven-x1"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_went_away_is_found_again() {
    let mut t = Bench::start("reboot");
    let orders = [t.account("tess-x1", 70_054), t.sudo("tess-x1", 70_054, &["ALL"])];
    for order in &orders {
        t.place(order).await;
    }
    t.host.stop();
    let answer = t.try_remove(&orders[1]).await;
    assert!(matches!(answer, Err(ConnectorError::Unknown(_) | ConnectorError::Unreachable(_))), "{answer:?}");
    t.host.resume();

    for order in orders.iter().rev() {
        let mut answer = t.try_remove(order).await;
        // The first try may still meet the dead connection.
        if matches!(answer, Err(ConnectorError::Unknown(_))) {
            answer = t.try_remove(order).await;
        }
        answer.expect("removed");
    }
    assert_eq!(t.host.uid_of("tess-x1"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn fences_are_kept_while_anything_of_the_session_is_there() {
    let t = Bench::start("kept");
    let rule = || t.sudo("ugo-x1", 70_058, &["ALL"]);
    let frame = |fence| Frame { session: t.new_session(), fence, limit: SOON };
    // Open, with nobody doing anything for a month; over since yesterday; over for three days.
    let [open, late, over] = [(frame(7), rule()), (frame(7), rule()), (frame(7), rule())];
    for ((session, rule), age) in [(&open, "30 days"), (&late, "1 day"), (&over, "3 days")] {
        t.linux.place(&t.target, *session, rule).await.expect("placed");
        if age != "30 days" {
            t.linux.remove(&t.target, *session, rule).await.expect("removed");
        }
        t.host.root(&format!("touch -d '-{age}' /run/cardea/*/sessions/{}*", session.session));
    }

    t.linux.scan(&t.target, UidRange { first: 70_058, last: 70_058 }).await.expect("scanned");

    for (session, rule) in [&open, &late] {
        let older = t.linux.place(&t.target, Frame { fence: 6, ..*session }, rule).await;
        assert_eq!(older, Err(ConnectorError::Superseded { seen: 7 }), "a node may have stood still for a while");
    }
    let left = t.host.root("ls /run/cardea/*/sessions");
    assert!(!left.contains(&over.0.session.to_string()), "{left}");
}
