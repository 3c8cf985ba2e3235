//! The dead man's switch: Cardea never comes back, and the host ends everything by itself, by mark only.

use std::time::Duration;

use cardea_domain::{Connector, ConnectorError, Order, Presence, Timestamp};
use cardea_testkit::{HostPlan, LinuxHost, wait};

use crate::bench::Bench;

/// at and cron wake up once a minute.
const TWO_MINUTES: Duration = Duration::from_secs(150);

/// A session whose end is near. Its account is made anew by hand in `remade`.
async fn abandoned(t: &Bench, name: &str, uid: u32, end: Duration) -> Vec<Order> {
    let mut orders =
        vec![t.account(name, uid), t.sudo(name, uid, &["ALL"]), t.group(name, uid, "adm"), t.login_key(name, uid)];
    orders.insert(0, t.dead_man(orders.iter().rev().collect()));
    for order in &mut orders {
        order.expires_at = t.clock_now().plus(end);
        t.place(order).await;
    }
    orders
}

async fn nobody_comes_back(plan: HostPlan, means: &str) {
    let t = Bench::on(plan.start());
    let before = t.host.fingerprint();
    let end = Duration::from_secs(5);
    let orders = abandoned(&t, "vera-x1", 70_090, end).await;
    assert!(t.observe(&orders[0]).await.presence == Presence::Ours);
    t.as_account("vera-x1", "setsid sleep 900 >/dev/null 2>&1 </dev/null & exit 0");
    // Later sessions share the functions and are not due.
    let later = abandoned(&t, "vito-x1", 70_091, Duration::from_secs(3600)).await;
    // Deleted and made again by hand, with the same name: somebody else's now.
    let third = abandoned(&t, "viki-x1", 70_092, end).await;
    t.host.root("chattr -i /home/viki-x1/.ssh; userdel -r viki-x1 2>/dev/null; useradd -m -u 3092 -G adm viki-x1; echo hers >/home/viki-x1/f");
    let Bench { host, linux, .. } = &t;
    let _gone_for_ever = linux;

    wait(TWO_MINUTES, "the host ended both by itself", || {
        host.root("ls /var/lib/cardea-host").matches("grt_").count() == 1
    });

    assert_eq!(host.uid_of("vera-x1"), None, "{means}");
    assert_eq!(host.processes_of(70_090), Vec::<String>::new());
    assert_eq!(host.root("cat /home/viki-x1/f; id -u viki-x1; id -nG viki-x1"), "hers\n3092\nviki-x1 adm\n");
    assert!(!host.root("getent shadow viki-x1").trim_end().ends_with(":1:"), "it was not locked");
    assert_eq!(host.uid_of("vito-x1"), Some(70_091));
    host.root("userdel -r viki-x1 2>/dev/null");
    // Cardea is back after all: everything is found to be gone.
    let back = t.restarted();
    for order in orders.iter().chain(&third).chain(&later).rev() {
        back.remove(&t.target, t.frame(), order).await.unwrap_or_else(|error| panic!("{:?}: {error}", order.privilege));
    }
    assert_eq!(host.fingerprint(), before);
    assert!(host.try_root("test -e /var/lib/cardea-host").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn at_ends_what_cardea_does_not() {
    nobody_comes_back(LinuxHost::plan("dead-at").without_cron(), "at").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cron_ends_what_cardea_does_not() {
    nobody_comes_back(LinuxHost::plan("dead-cron").without_at(), "cron").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_means_says_so() {
    let t = Bench::on(LinuxHost::plan("dead-none").without_at().without_cron().start());
    let account = t.account("vivi-x1", 70_093);
    let switch = t.dead_man(vec![&account]);

    let placed = t.try_place(&switch).await.expect("placed");

    assert!(placed.warning.as_deref().is_some_and(|why| why.contains("no systemd, at or cron")), "{placed:?}");
    t.remove(&switch).await;
    assert_eq!(t.observe(&switch).await.presence, Presence::Absent);
}

/// The files of jobs of at.
fn jobs(t: &Bench) -> Vec<String> {
    t.host.root("find /var/spool/cron/atjobs -type f -name 'a*'").lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_that_cannot_be_set_anew_stays_as_it_was() {
    let t = Bench::on(LinuxHost::plan("dead-again").without_cron().start());
    let rule = t.sudo("vala-x1", 70_094, &["ALL"]);
    let mut switch = t.dead_man(vec![&rule]);
    t.place(&switch).await;
    let file = format!("cat /var/lib/cardea-host/{}", switch.grant);
    let (first, text) = (jobs(&t), t.host.root(&file));
    assert_eq!(first.len(), 1);

    switch.expires_at = switch.expires_at.plus(Duration::from_secs(600));
    // at refuses, or says that all is well although not all of the job was written.
    for at in ["exit 1", "echo 'half a job' | /usr/bin/at \"$@\""] {
        t.host.root(&format!(
            "printf '#!/bin/sh\\n%s\\n' '{}' >/usr/sbin/at; chmod 755 /usr/sbin/at",
            at.replace('\'', "'\\''")
        ));
        let extended = t.linux.extend(&t.target, t.frame(), std::slice::from_ref(&switch)).await;
        assert!(
            matches!(&extended, Err(ConnectorError::Refused(why)) if why.contains("at cannot be set")),
            "{extended:?}"
        );
        assert_eq!((jobs(&t), t.host.root(&file)), (first.clone(), text.clone()), "{at}");
    }
    t.host.root("rm /usr/sbin/at");
    let extended = t.linux.extend(&t.target, t.frame(), std::slice::from_ref(&switch)).await.expect("extended");
    assert_eq!(extended[0].warning, None);
    let second = jobs(&t);
    assert!(second.len() == 1 && second != first, "{second:?} after {first:?}");

    t.host.root(&format!("rm {}", second[0]));
    let seen = t.observe(&switch).await;
    assert!(seen.presence == Presence::Ours && seen.detail.ends_with("nothing that runs it"), "{seen:?}");
    let placed = t.try_place(&switch).await.expect("placed");
    assert!(placed.warning.as_deref().is_some_and(|why| why.contains("it was set again")), "{placed:?}");
    assert_eq!(jobs(&t).len(), 1);
    // What would run it is of it, too.
    t.host.root("rm /var/lib/cardea-host/grt_*");
    assert_eq!(t.observe(&switch).await.presence, Presence::Ours);
    t.remove(&switch).await;
    assert_eq!((jobs(&t).len(), t.observe(&switch).await.presence), (0, Presence::Absent));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_sessions_share_is_ended_by_the_later_switch() {
    let t = Bench::on(LinuxHost::plan("dead-shared").without_cron().start());
    t.host.root("useradd -m -u 5003 rolf");
    let shared = [t.sudo("rolf", 5003, &["ALL"]), t.group("rolf", 5003, "adm")];
    let own = t.login_key("rolf", 5003);
    let mut first = t.dead_man(vec![&shared[0], &shared[1], &own]);
    let mut second = t.dead_man(shared.iter().collect());
    for order in shared.iter().chain([&own, &second]) {
        t.place(order).await;
    }
    let past = Timestamp::from_micros((t.clock_now().as_seconds() - 60) * 1_000_000);
    first.expires_at = past;
    t.place(&first).await;
    // As at would in a minute.
    let fire = |switch: &Order| t.host.root(&format!("sh /var/lib/cardea-host/{}", switch.grant));

    fire(&first);

    assert_eq!(t.observe(&first).await.presence, Presence::Absent);
    assert_eq!(t.observe(&own).await.presence, Presence::Absent);
    assert_eq!(t.observe(&shared[0]).await.presence, Presence::Ours);
    assert_eq!(t.host.root("id -nG rolf"), "rolf adm\n");

    second.expires_at = past;
    t.place(&second).await;
    // One that says to be later and that nothing runs keeps nothing.
    t.host.root(&format!("cd /var/lib/cardea-host; sed '2s/end=[0-9]*/end=99999999999/' {} >grt_0000", second.grant));
    fire(&second);
    for order in &shared {
        assert_eq!(t.observe(order).await.presence, Presence::Absent);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_that_comes_while_the_last_one_goes_is_placed() {
    let t = Bench::on(LinuxHost::plan("dead-last").without_cron().start());
    let rule = t.sudo("vida-x1", 70_095, &["ALL"]);
    let switch = t.dead_man(vec![&rule]);
    // Somebody takes the last one away, and with it the folder, when the new one stands before their lock.
    t.host.root(
        "mkdir -p /var/lib/cardea-host; cd /var/lib/cardea-host; touch lock library-x; \
         setsid flock lock sh -c 'touch /run/held; until pgrep -fx \"flock -w 3 8\"; do :; done; rm lock library-x; \
         cd /; rmdir /var/lib/cardea-host || touch /run/was-there' >/dev/null 2>&1 </dev/null &",
    );
    wait(TWO_MINUTES, "the lock is held", || t.host.try_root("test -e /run/held").is_ok());

    t.place(&switch).await;

    assert!(t.host.try_root("test -e /run/was-there").is_err(), "the folder went");
    let seen = t.observe(&switch).await;
    assert!(seen.presence == Presence::Ours && seen.detail.ends_with(&switch.grant.to_string()), "{seen:?}");
    t.remove(&switch).await;
    assert!(t.host.try_root("test -e /var/lib/cardea-host").is_err());
}
