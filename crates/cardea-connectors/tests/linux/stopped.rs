//! What somebody with root does to Cardea's own processes and locks keeps nothing.

use std::time::{Duration, Instant};

use cardea_domain::Connector;
use cardea_testkit::wait;

use crate::bench::Bench;

/// Far below what a frame may take: what stands still is noticed, not waited for.
const QUICKLY: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_connection_does_not_delay_the_end() {
    let t = Bench::start("stopped");
    let (name, uid) = ("wim-x1", 70_095);
    let orders = [t.account(name, uid), t.sudo(name, uid, &["ALL"]), t.login_key(name, uid)];
    for order in &orders {
        t.place(order).await;
    }
    for victims in ["pgrep -u svc sshd", "pgrep -f 'sshd: sv[c]'", "pgrep -x sh"] {
        // Only what has been silent for a while is asked.
        let silent = Instant::now();
        wait(QUICKLY, "the connection is silent", || silent.elapsed() > Duration::from_millis(1100));
        t.as_account(name, &format!("sudo -n kill -STOP $({victims})"));
        let began = Instant::now();

        t.observe(&orders[0]).await;

        assert!(began.elapsed() < QUICKLY, "{victims}: {:?}", began.elapsed());
    }
    for order in orders.iter().rev() {
        t.remove(order).await;
    }
    assert_eq!(t.host.uid_of(name), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_to_the_list_of_shells_stops_no_connection() {
    let t = Bench::start("squat");
    let order = t.account("wanda-x1", 70_096);
    t.place(&order).await;
    t.host.root(
        "for slot in /run/cardea/*/shells/*; do \
         mkdir \"$slot/5000\" \"$slot/x y\" \"$slot/99999999999999999999\"; touch \"$slot/generation\" \"$slot/5000/1.1\"; \
         setsid flock \"$slot/5000\" sleep 900 >/dev/null 2>&1 </dev/null & setsid flock \"$slot\" sleep 900 >/dev/null 2>&1 </dev/null & done; \
         until pgrep -x sleep | wc -l | grep -qx 2; do :; done",
    );

    let restarted = t.restarted();
    restarted.remove(&t.target, t.frame(), &order).await.expect("removed");

    assert_eq!(t.host.uid_of("wanda-x1"), None);
    assert!(t.try_place(&order).await.is_err(), "the older connection is out");
}
