//! The life of each privilege: absent, placed, used, removed, and the host as before.

use std::{sync::Arc, time::Duration};

use cardea_domain::{Connector, Frame, Presence, Timestamp};
use cardea_testkit::ManualClock;

use crate::bench::{Bench, said};

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_session_leaves_the_host_as_it_was() {
    let t = Bench::start("life");
    let before = t.host.accounts_digest();
    let orders = [
        t.account("alice-x1", 70_001),
        t.sudo("alice-x1", 70_001, &["ALL"]),
        t.group("alice-x1", 70_001, "adm"),
        t.login_key("alice-x1", 70_001),
    ];
    let seen = t.linux.observe(&t.target, t.frame(), &orders).await.expect("the host answers");
    assert!(seen.iter().all(|seen| seen.presence == Presence::Absent), "{seen:?}");
    for order in &orders {
        t.place(order).await;
        t.place(order).await;
    }
    let presence: Vec<_> = t.linux.observe(&t.target, t.frame(), &orders).await.expect("the host answers");
    let presence: Vec<_> = presence.into_iter().map(|seen| seen.presence).collect();
    // A membership carries no mark: whose it is, the ledger knows.
    assert_eq!(presence, [Presence::Ours, Presence::Ours, Presence::Foreign, Presence::Ours]);

    let used =
        said(&t.as_account("alice-x1", "sudo -n id -u; id -nG; stat -c %a ~; stat -c '%u %a' ~/.ssh/authorized_keys"));
    assert_eq!(used, "0\nalice-x1 adm\n700\n0 644\n");

    for order in orders.iter().rev() {
        let evidence = t.remove(order).await;
        assert!(evidence.read_back.contains("no ") || evidence.read_back.contains("members:"), "{evidence:?}");
        t.remove(order).await;
        assert_eq!(t.observe(order).await.presence, Presence::Absent);
    }
    assert_eq!(t.host.accounts_digest(), before);
    assert_eq!(t.host.files_of(70_001), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_ends_everything_by_itself() {
    let t = Bench::start("expiry");
    let account = t.account("bob-x1", 70_002);
    let sudo = t.sudo("bob-x1", 70_002, &["/usr/bin/id", "/usr/bin/true"]);
    let key = t.login_key("bob-x1", 70_002);
    for order in [&account, &sudo, &key] {
        t.place(order).await;
    }

    let end = sudo.expires_at.compact();
    let listed = t.host.root("sudo -l -U bob-x1");
    // Behind the second command, too: the bound holds for all of them.
    assert_eq!(listed.matches(&format!("NOTAFTER={end}")).count(), listed.matches("NOPASSWD").count(), "{listed}");
    assert!(
        t.host
            .root("cat /home/bob-x1/.ssh/authorized_keys")
            .starts_with(&format!("restrict,pty,expiry-time=\"{end}\" "))
    );
    let day = account.expires_at.as_seconds() / 86_400 + 1;
    assert!(t.host.root("getent shadow bob-x1").trim_end().ends_with(&format!("::{day}:")));

    let mut over = t.sudo("bob-x1", 70_002, &["ALL"]);
    over.expires_at = t.clock_now().minus(Duration::from_secs(60));
    t.remove(&sudo).await;
    t.place(&over).await;
    assert!(!t.as_account("bob-x1", "sudo -n id").status.success(), "sudo is over");
    let mut over = t.login_key("bob-x1", 70_002);
    over.expires_at = t.clock_now().minus(Duration::from_secs(60));
    t.remove(&key).await;
    t.place(&over).await;
    assert!(!t.as_account("bob-x1", "true").status.success(), "the key is over");
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_are_told_in_the_hosts_own_time() {
    let t = Bench::start("skew");
    // Our clock is years ahead of the host's.
    let clock = ManualClock::new();
    let linux = t.connector(clock.clone());
    let ours = cardea_domain::Clock::now(&*clock);
    let host_now: i64 = t.host.root("date +%s").trim().parse().expect("seconds");
    let mut order = t.sudo("carol-x1", 70_003, &["ALL"]);
    order.expires_at = ours.plus(Duration::from_secs(600));

    let placed = linux.place(&t.target, t.frame(), &order).await.expect("placed").read_back;

    let told = placed.split("NOTAFTER=").nth(1).and_then(|rest| rest.split(' ').next()).expect("an end").to_owned();
    let end = |seconds: i64| Timestamp::from_micros((host_now + seconds) * 1_000_000).compact();
    assert!(end(595) <= told && told <= end(660), "{told} is not ten minutes after the host's {}", end(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sessions_and_their_keys_live_side_by_side() {
    let t = Bench::start("side");
    let first = [t.account("dan-x1", 70_004), t.group("dan-x1", 70_004, "adm"), t.login_key("dan-x1", 70_004)];
    let again = t.login_key("dan-x1", 70_004);
    let second = [t.account("dan-x2", 70_005), t.group("dan-x2", 70_005, "adm"), t.login_key("dan-x2", 70_005)];
    for order in first.iter().chain(&second).chain([&again]) {
        t.place(order).await;
    }

    t.remove(&first[2]).await;
    assert!(t.as_account("dan-x1", "true").status.success(), "the second key still opens the account");
    t.remove(&again).await;
    assert!(!t.as_account("dan-x1", "true").status.success(), "no key is left");
    for order in first.iter().rev() {
        t.remove(order).await;
    }

    assert_eq!(said(&t.as_account("dan-x2", "id -nG")), "dan-x2 adm\n");
    for order in second.iter().rev() {
        t.remove(order).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_sessions_at_once_come_and_go() {
    let t = Arc::new(Bench::start("crowd"));
    let before = t.host.accounts_digest();
    let sessions: Vec<_> = (0..20)
        .map(|index| {
            let t = t.clone();
            let frame = Frame { session: t.new_session(), ..t.frame() };
            tokio::spawn(async move {
                let (name, uid) = (format!("crowd-{index}"), 71_000 + index);
                let orders = [t.account(&name, uid), t.sudo(&name, uid, &["ALL"]), t.group(&name, uid, "adm")];
                for order in &orders {
                    t.linux.place(&t.target, frame, order).await.unwrap_or_else(|error| panic!("{name}: {error}"));
                }
                for order in orders.iter().rev() {
                    t.linux.remove(&t.target, frame, order).await.unwrap_or_else(|error| panic!("{name}: {error}"));
                }
            })
        })
        .collect();
    for session in sessions {
        session.await.expect("no session fails");
    }
    assert_eq!(t.host.accounts_digest(), before);
}
