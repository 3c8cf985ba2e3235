//! Hosts as the clock asks them: log-ins past the gateway, and marks that the ledger does not know.

use cardea_domain::LogIn;
use futures_util::StreamExt as _;

use super::*;
use crate::{Alert, Event, Subscription};

const OPERATOR: Actor = Actor::Operator { uid: 0 };
const INTERVAL: Duration = Duration::from_secs(31);

impl World {
    async fn with_profile(more: serde_json::Value) -> Self {
        let world = Self::new().await;
        let mut spec = json!({ "max_duration": "10h" });
        spec.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
        let profile = vec![Document { kind: Kind::ConnectionProfile, name: "hour".to_owned(), spec }];
        world.app.apply(&OPERATOR, profile, crate::ApplyOptions::default()).await.expect("a good profile");
        world
    }

    fn asked(&self, operation: Operation) -> usize {
        self.target.calls().iter().filter(|call| call.operation == operation).count()
    }

    /// Waits until the hosts were asked so often.
    async fn until_asked(&self, operation: Operation, times: usize) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while self.asked(operation) < times {
            assert!(tokio::time::Instant::now() < deadline, "{operation:?} {} of {times}", self.asked(operation));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Has the host asked who is logged in, and waits until what it said is written down.
    async fn ask(&self) {
        let before = self.asked(Operation::LogIns);
        self.advance(INTERVAL);
        self.until_asked(Operation::LogIns, before + 1).await;
        self.until_idle().await;
    }

    async fn sweep(&self) {
        self.sweep_and(false).await;
    }

    async fn sweep_and(&self, remove: bool) {
        let before = self.asked(Operation::Marks);
        self.app.sweep_resource(&OPERATOR, "web1", remove).await.expect("it is a host");
        self.until_asked(Operation::Marks, before + 1).await;
        self.until_idle().await;
    }

    /// Waits until nobody works on a host.
    async fn until_idle(&self) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let read = self.app.0.store.read(|tx| Box::pin(async move { tx.host(FakeConnector::HOST_KEY).await }));
            let host = read.await.expect("the store answers").expect("it is known");
            let now = self.clock.now();
            let is_due = [host.poll_at, host.sweep_at].into_iter().flatten().any(|at| at <= now);
            if host.claim.is_none() && !is_due {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "{host:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// The process is stopped, its files are changed, and it starts again.
    async fn stopped(&mut self, change: impl FnOnce(&std::path::Path)) {
        if let Some((stop, engine)) = self.engine.take() {
            stop.cancel();
            engine.await.expect("it stops");
        }
        self.app.0.store.close().await;
        change(self.dir.path());
        self.app = open(&self.dir, &self.clock, &self.target, &self.entropy).await;
    }

    async fn until_empty(&self, what: &str, is_so: impl Fn(usize) -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !is_so(self.target.things().len()) {
            assert!(tokio::time::Instant::now() < deadline, "{what}: {:#?}", self.target.things());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

fn log_in(detail: &SessionDetail, port: u16) -> LogIn {
    LogIn {
        uid: detail.session.account.uid,
        pid: u32::from(port),
        source: Some(([192, 0, 2, 77], port).into()),
        terminal: None,
        age: Duration::from_secs(5),
        what: "sshd: somebody@notty".to_owned(),
    }
}

fn copy(dir: &std::path::Path, from: &str, to: &str) {
    let copied = std::fs::copy(dir.join(from), dir.join(to)).expect("a copy");
    assert!(copied > 0, "the store is in that file");
}

pub(super) async fn alert(events: &mut Subscription) -> Alert {
    let next = async {
        loop {
            if let Some((_, Event::Alert(alert))) = events.next().await {
                return (*alert).clone();
            }
        }
    };
    tokio::time::timeout(PATIENCE, next).await.expect("an alert")
}

#[tokio::test]
async fn one_poll_answers_for_every_session_and_an_empty_host_is_left_alone() {
    let world = World::with_profile(json!({})).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(world.available("web1").await.session.id);
    }
    world.ask().await;
    let before = world.asked(Operation::LogIns);
    for _ in 0..4 {
        world.ask().await;
    }
    assert_eq!(world.asked(Operation::LogIns), before + 4, "five sessions, one question each time");
    for id in ids {
        world.app.end_session(&world.alice(), id, None).await.expect("it is open");
        world.ended(id).await;
    }
    let before = world.asked(Operation::LogIns);
    for _ in 0..5 {
        world.advance(INTERVAL);
        world.until_idle().await;
    }
    assert_eq!(world.asked(Operation::LogIns), before, "nobody is there");
}

#[tokio::test]
async fn a_log_in_past_the_gateway_counts_and_is_told() {
    let world = World::with_profile(json!({ "idle_limit": "2m" })).await;
    let mut events = world.app.subscribe(&OPERATOR, None);
    let detail = world.available("web1").await;
    let id = detail.session.id;
    world.target.plant_log_ins("web1", vec![log_in(&detail, 4001)]);
    world.ask().await;
    assert_eq!(world.detail(id).await.session.status, Status::LoggedIn);
    let told = alert(&mut events).await;
    assert_eq!((&*told.code, told.session), ("direct_login", Some(id)));
    assert!(told.text.contains("192.0.2.77:4001"), "{}", told.text);
    for _ in 0..6 {
        world.ask().await;
    }
    let open = world.app.connections(&world.alice(), id).await.expect("hers");
    assert_eq!(open.iter().map(|it| (it.direct, it.closed_at.is_some())).collect::<Vec<_>>(), [(true, false)], "once");
    let detail = world.detail(id).await;
    assert_eq!(detail.session.status, Status::LoggedIn, "nobody is idle who is logged in");
    world.target.plant_log_ins("web1", vec![]);
    world.ask().await;
    assert_eq!(world.detail(id).await.session.status, Status::Available);
    let closed = world.app.connections(&world.alice(), id).await.expect("hers");
    assert_eq!(closed[0].close_reason.as_deref(), Some("logged_out"));
    world.advance(Duration::from_secs(121));
    assert_eq!(world.ended(id).await.session.reason.map(|reason| reason.code).as_deref(), Some("idle"));
}

#[tokio::test]
async fn who_may_not_go_past_the_gateway_loses_the_session() {
    let world = World::with_profile(json!({ "direct_login": "deny" })).await;
    let mut events = world.app.subscribe(&OPERATOR, None);
    let detail = world.available("web1").await;
    world.target.plant_log_ins("web1", vec![log_in(&detail, 4001)]);
    world.advance(INTERVAL);
    let ended = world.ended(detail.session.id).await;
    assert_eq!(ended.session.status, Status::Canceled);
    assert_eq!(ended.session.reason.map(|reason| reason.code).as_deref(), Some("direct_login"));
    assert_eq!(alert(&mut events).await.code, "direct_login");
    assert_eq!(world.target.things().len(), 0);
}

#[tokio::test]
async fn nothing_that_gives_a_password_goes_with_a_profile_that_denies() {
    let world = World::with_profile(json!({ "direct_login": "deny" })).await;
    let with_password = json!({ "platform": "linux", "protocol": "ssh", "login_account": { "type": "activity_token" },
        "pre_session": [{ "set_password": {} }] });
    let activity = vec![Document { kind: Kind::Activity, name: "admin".to_owned(), spec: with_password }];
    world.app.apply(&OPERATOR, activity, crate::ApplyOptions::default()).await.expect("a good activity");
    let request =
        NewRequest { activity: "admin".to_owned(), resources: vec!["web1".to_owned()], ..NewRequest::default() };
    let refused = world.app.create_sessions(&world.alice(), request).await.expect_err("it gives a password");
    assert!(refused.to_string().contains("set_password"), "{refused}");
}

#[tokio::test]
async fn an_allowed_log_in_counts_and_nobody_is_alarmed() {
    let world = World::with_profile(json!({ "direct_login": "allow" })).await;
    let mut events = world.app.subscribe(&OPERATOR, None);
    let detail = world.available("web1").await;
    let id = detail.session.id;
    world.target.plant_log_ins("web1", vec![log_in(&detail, 4001)]);
    world.ask().await;
    assert_eq!(world.detail(id).await.session.status, Status::LoggedIn);
    world.app.end_session(&world.alice(), id, None).await.expect("it is open");
    world.ended(id).await;
    let connections = world.app.connections(&world.alice(), id).await.expect("hers");
    assert_eq!(connections[0].close_reason.as_deref(), Some("session_ended"));
    let next = tokio::time::timeout(Duration::from_millis(1), alert(&mut events)).await;
    assert!(next.is_err(), "{next:?}");
}

#[tokio::test]
async fn the_gateways_own_connections_end_no_honest_session() {
    let world = World::with_profile(json!({ "direct_login": "deny" })).await;
    let detail = world.available("web1").await;
    let id = detail.session.id;
    let lease = world.app.join(&world.admission(id), KEY).await.expect("it is open");
    // The gateway tells before it logs in; whoever looks at the host in this very moment knows.
    let own = log_in(&detail, 5001);
    world.app.reached(lease.connection, own.source.expect("it has one")).await.expect("it is written down");
    world.target.plant_log_ins("web1", vec![own.clone()]);
    world.ask().await;
    assert_eq!(world.detail(id).await.session.status, Status::LoggedIn);
    // Somebody in between translates addresses: the host sees another one.
    let translated = LogIn { source: Some(([198, 51, 100, 1], 9).into()), age: INTERVAL * 2, ..own.clone() };
    world.target.plant_log_ins("web1", vec![translated]);
    world.ask().await;
    assert_eq!(world.detail(id).await.session.status, Status::LoggedIn);
    // It is over for the gateway, and the host is about to see it.
    world.app.closed(ClosedConnection { connection: lease.connection, reason: "client" }).await;
    world.target.plant_log_ins("web1", vec![LogIn { age: INTERVAL * 3, ..own.clone() }]);
    world.ask().await;
    assert_eq!(world.detail(id).await.session.status, Status::Available);
    // The same port, long after: somebody else's.
    world.advance(Duration::from_secs(60));
    world.target.plant_log_ins("web1", vec![own]);
    world.advance(INTERVAL);
    assert_eq!(world.ended(id).await.session.reason.map(|reason| reason.code).as_deref(), Some("direct_login"));
}

#[tokio::test]
async fn a_host_that_does_not_answer_holds_up_nobody() {
    let world = World::with_profile(json!({ "monitor_interval": "5s" })).await;
    world.available("web1").await;
    let hold = world.target.hold(Operation::LogIns);
    world.advance(Duration::from_secs(6));
    hold.reached(1).await;
    let other = world.available("web2").await.session.id;
    world.app.end_session(&world.alice(), other, None).await.expect("it is open");
    world.ended(other).await;
    drop(hold);
    world.target.fail_always(Operation::LogIns, ConnectorError::Unreachable("gone".to_owned()));
    world.until_idle().await;
    let mut events = world.app.subscribe(&OPERATOR, None);
    for _ in 0..4 {
        world.advance(Duration::from_secs(301));
        world.until_idle().await;
    }
    assert_eq!(alert(&mut events).await.code, "monitor_blind");
    world.target.heal();
}

#[tokio::test]
async fn what_lives_is_left_and_what_comes_back_goes_again() {
    let world = World::with_profile(json!({})).await;
    let detail = world.available("web1").await;
    let things = world.target.things();
    world.sweep().await;
    assert_eq!(world.target.things(), things, "a live session keeps what it has");
    let id = detail.session.id;
    world.app.end_session(&world.alice(), id, None).await.expect("it is open");
    world.ended(id).await;
    // Long after the second look.
    world.advance(Duration::from_secs(200));
    world.until(id, "scanned", |detail| detail.session.wake_at.is_none()).await;
    let mut events = world.app.subscribe(&OPERATOR, None);
    let (key, thing) = things.iter().find(|(key, _)| key.ends_with("sudo_rule")).expect("it was there");
    world.target.put_back(key, thing.clone());
    world.advance(Duration::from_secs(1));
    world.sweep().await;
    world.until_empty("it is removed again", |left| left == 0).await;
    let told = alert(&mut events).await;
    assert_eq!((&*told.code, told.session), ("orphan_removed", Some(id)));
    world.ended(id).await;
    let lines = world.app.session_log(&world.alice(), id).await.expect("hers");
    assert!(lines.iter().any(|line| line.message.contains("where it should be no more")), "{lines:#?}");
}

#[tokio::test]
async fn tampering_and_a_stalled_clean_up_are_told_once() {
    let world = World::with_profile(json!({})).await;
    let mut events = world.app.subscribe(&OPERATOR, None);
    let id = world.available("web1").await.session.id;
    world.target.fail_always(Operation::Remove, ConnectorError::Tampered("it lost its mark".to_owned()));
    world.app.end_session(&world.alice(), id, None).await.expect("it is open");
    for _ in 0..3 {
        let attempts = world.detail(id).await.session.cleanup_attempts;
        world.advance(Duration::from_secs(301));
        world.until(id, "tried again", |detail| detail.session.cleanup_attempts > attempts).await;
    }
    let things = world.target.things().len();
    let mut codes = Vec::new();
    // The dead man's switch was not touched, so nobody tampered with it.
    for _ in 0..things {
        codes.push(alert(&mut events).await.code);
    }
    codes.sort_unstable();
    assert_eq!(codes, ["cleanup_stalled", "tampered", "tampered", "tampered"]);
    let next = tokio::time::timeout(Duration::from_millis(1), alert(&mut events)).await;
    assert!(next.is_err(), "each once: {next:?}");
    world.target.heal();
    world.advance(Duration::from_secs(301));
    world.ended(id).await;
}

#[tokio::test]
async fn what_carries_another_token_is_told_once_and_left() {
    let world = World::with_profile(json!({})).await;
    let detail = world.available("web1").await;
    let things = world.target.things();
    world.app.end_session(&world.alice(), detail.session.id, None).await.expect("it is open");
    world.ended(detail.session.id).await;
    let mut events = world.app.subscribe(&OPERATOR, None);
    let (key, thing) = things.iter().find(|(key, _)| key.ends_with("sudo_rule")).expect("it was there");
    let mut forged = thing.clone();
    "00".clone_into(&mut forged.token);
    world.target.put_back(key, forged.clone());
    world.sweep().await;
    assert_eq!(alert(&mut events).await.code, "foreign_mark");
    world.sweep().await;
    let again = tokio::time::timeout(Duration::from_millis(1), alert(&mut events)).await;
    assert!(again.is_err(), "told once: {again:?}");
    assert_eq!(world.target.things().get(key), Some(&forged));
}

#[tokio::test]
async fn a_ledger_that_is_older_than_the_host_takes_away_only_when_told_to_and_keeps_its_numbers_right() {
    let mut world = World::with_profile(json!({})).await;
    let kept = world.available("web1").await;
    world.stopped(|dir| copy(dir, "cardea.db", "backup")).await;
    world.start();
    let mut lost = Vec::new();
    for _ in 0..20 {
        lost.push(world.available("web1").await);
    }
    world.stopped(|dir| copy(dir, "backup", "cardea.db")).await;
    let mut events = world.app.subscribe(&OPERATOR, None);
    let things = world.target.things();
    world.start();
    let told = alert(&mut events).await;
    assert_eq!(told.code, "orphan_found");
    assert!(told.text.contains("cardea grants sweep web1 --remove"), "{}", told.text);
    world.sweep().await;
    // For all that it knows, another Cardea of the same master key has placed it.
    assert_eq!(world.target.things(), things, "nothing is taken away unasked");
    let again = tokio::time::timeout(Duration::from_millis(1), alert(&mut events)).await;
    assert!(again.is_err(), "told once: {again:?}");
    assert_eq!(world.detail(kept.session.id).await.session.status, Status::Available);
    let highest = lost.iter().map(|detail| detail.session.account.uid).max();
    let next = world.available("web1").await;
    assert!(Some(next.session.account.uid) > highest, "{} {highest:?}", next.session.account.uid);

    world.sweep_and(true).await;
    let known = kept.grants.len() + next.grants.len();
    world.until_empty("only what the ledger knows is left", |left| left == known).await;
    world.until_idle().await;
    assert_eq!(alert(&mut events).await.code, "orphan_removed");
    assert_eq!(world.detail(kept.session.id).await.session.status, Status::Available);
    // That was said of what was there then.
    let read = world.app.0.store.read(|tx| Box::pin(async move { tx.host(FakeConnector::HOST_KEY).await }));
    assert!(!read.await.expect("the store answers").expect("it is known").may_remove);
}

#[tokio::test]
async fn a_lost_database_with_the_same_key_gets_the_hosts_clean() {
    let mut world = World::with_profile(json!({})).await;
    let lost = world.available("web1").await;
    let remove_all = |dir: &std::path::Path| {
        for name in ["cardea.db", "cardea.db-wal", "cardea.db-shm"] {
            drop(std::fs::remove_file(dir.join(name)));
        }
    };
    world.stopped(remove_all).await;
    world.start();
    // Nothing is known of any host before it is configured again.
    world.furnish().await;
    world.sweep_and(true).await;
    world.until_empty("nobody knows them, and their tokens tell", |left| left == 0).await;
    world.until_idle().await;
    let next = world.available("web1").await;
    assert!(next.session.account.uid > lost.session.account.uid);
}
