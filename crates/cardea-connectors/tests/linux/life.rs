//! The life of each privilege: absent, placed, used, removed, and the host as before.

use std::time::Instant;

use cardea_domain::Presence;

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
    for order in &orders {
        let start = Instant::now();
        let seen = t.observe(order).await;
        eprintln!("observe {} {:?} {seen:?}", order.privilege.kind(), start.elapsed());
        assert_eq!(seen.presence, Presence::Absent);
    }
    for order in &orders {
        let start = Instant::now();
        let read_back = t.place(order).await;
        eprintln!("place {} {:?} {read_back}", order.privilege.kind(), start.elapsed());
        t.place(order).await;
    }

    let used = said(&t.as_account("alice-x1", "sudo -n id -u; id -nG; stat -c %a ~; cat ~/.ssh/authorized_keys"));
    eprintln!("{used} {}", t.host.root("cat /etc/sudoers.d/cardea*; sudo -l -U alice-x1; getent shadow alice-x1"));
    assert!(used.starts_with("0\nalice-x1 adm\n700\n"), "{used}");

    for order in orders.iter().rev() {
        let start = Instant::now();
        let evidence = t.remove(order).await;
        eprintln!("remove {} {:?} {evidence:?}", order.privilege.kind(), start.elapsed());
        t.remove(order).await;
        assert_eq!(t.observe(order).await.presence, Presence::Absent);
    }
    assert_eq!(t.host.accounts_digest(), before);
}
