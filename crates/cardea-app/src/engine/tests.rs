//! The engine against an in-memory target, with a hand-set clock: what is on the target always agrees with the ledger.

mod again;
mod control;
mod crowd;
mod found;
mod handover;
mod hashing;
mod hosts;
mod meanwhile;
mod nodes;
mod people;
mod shared;
mod sign_in;
mod stages;
mod walk;

use std::{sync::Arc, time::Duration};

use cardea_domain::{
    Actor, Admission, Clock as _, ClosedConnection, ConnectorError, Credential, Gate as _, GrantState, Kind, Secret,
    SessionId, Stage, Status, Via,
};
use cardea_store::{Store, StoreUrl};
use cardea_testkit::{FakeConnector, ManualClock, Operation, SeededEntropy};
use cardea_vault::Vault;
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{App, Document, NewRequest, Parts, SessionDetail, SignInSettings, sign_in::actor_of};

struct World {
    app: App,
    clock: Arc<ManualClock>,
    target: Arc<FakeConnector>,
    engine: Option<(CancellationToken, JoinHandle<()>)>,
    dir: TempDir,
    entropy: Arc<SeededEntropy>,
}

const PATIENCE: Duration = Duration::from_secs(20);
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFIR5p2lv7i3pG1yPQ7L2hXg9zq1m3h1yW8QvJ6T2k4d";

impl World {
    async fn new() -> Self {
        let dir = TempDir::new().expect("a folder");
        Vault::create_key_file(&dir.path().join("key")).expect("a key file");
        let (clock, target, entropy) = (ManualClock::new(), FakeConnector::new(), SeededEntropy::new(7));
        let app = open(&dir, &clock, &target, &entropy).await;
        let mut world = Self { app, clock, target, engine: None, dir, entropy };
        world.furnish().await;
        world.start();
        world
    }

    async fn furnish(&self) {
        let document = |kind, name: &str, spec| Document { kind, name: name.to_owned(), spec };
        let host = |address: &str| json!({ "platform": "linux", "address": address, "service_account": "svc", "host_key": FakeConnector::HOST_KEY });
        let actions = json!([{ "add_sudo_rule": { "commands": ["ALL"] } }, { "add_to_group": { "group": "adm" } }]);
        let activity = json!({ "platform": "linux", "protocol": "ssh", "login_account": { "type": "activity_token" }, "pre_session": actions });
        let policy = json!({ "users": ["alice"], "activities": ["admin"], "resources": ["web1", "web2"], "connection_profile": "hour" });
        let documents = vec![
            document(Kind::User, "alice", json!({ "ssh_keys": [KEY] })),
            document(
                Kind::ServiceAccount,
                "svc",
                json!({ "platform": "linux", "user": "svc", "elevation": "sudo", "password": "not a real one" }),
            ),
            document(Kind::Resource, "web1", host("192.0.2.1")),
            document(Kind::Resource, "web2", host("192.0.2.2")),
            document(Kind::Activity, "admin", activity),
            document(Kind::ConnectionProfile, "hour", json!({ "max_duration": "1h" })),
            document(Kind::AccessPolicy, "p", policy),
        ];
        self.app
            .apply(&Actor::Operator { uid: 0 }, documents, crate::ApplyOptions::default())
            .await
            .expect("a good configuration");
    }

    fn start(&mut self) {
        let stop = CancellationToken::new();
        let (app, stopped) = (self.app.clone(), stop.clone());
        self.engine = Some((stop, tokio::spawn(async move { app.run_engine(stopped).await })));
    }

    /// The process is gone in the middle of whatever it did, and another one opens the same store.
    async fn crash(&mut self) {
        self.stop().await;
        self.app.0.store.close().await;
        self.app = open(&self.dir, &self.clock, &self.target, &self.entropy).await;
        self.start();
    }

    /// The engine is gone, whatever it was at.
    async fn stop(&mut self) {
        if let Some((_, engine)) = self.engine.take() {
            engine.abort();
            drop(engine.await);
        }
    }

    fn alice(&self) -> Actor {
        let configuration = self.app.configuration();
        let alice = configuration.find(Kind::User, "alice").expect("she is there");
        actor_of(&configuration, alice, Via::Key).expect("she is a user")
    }

    async fn request(&self, resource: &str) -> SessionId {
        let request =
            NewRequest { activity: "admin".to_owned(), resources: vec![resource.to_owned()], ..NewRequest::default() };
        let created = self.app.create_sessions(&self.alice(), request).await.expect("a policy gives it");
        created[0].session.id
    }

    async fn detail(&self, id: SessionId) -> SessionDetail {
        self.app.session(&self.alice(), id).await.expect("it is hers")
    }

    async fn until(&self, id: SessionId, what: &str, is_so: impl Fn(&SessionDetail) -> bool) -> SessionDetail {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let detail = self.detail(id).await;
            if is_so(&detail) {
                return detail;
            }
            assert!(tokio::time::Instant::now() < deadline, "never {what}: {detail:#?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn available(&self, resource: &str) -> SessionDetail {
        let id = self.request(resource).await;
        self.until(id, "available", |detail| detail.session.status == Status::Available).await
    }

    async fn ended(&self, id: SessionId) -> SessionDetail {
        self.until(id, "over and clean", |detail| detail.session.clean).await
    }

    fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.app.nudge();
    }

    async fn out(&self) -> usize {
        self.app.grants_out(&self.alice(), None, 1000).await.expect("a list").items.len()
    }

    fn admission(&self, id: SessionId) -> Admission {
        let user = self.alice().user_id().expect("she is a user");
        Admission {
            session: id,
            user,
            user_name: "alice".to_owned(),
            credential: Credential::Key(KEY.to_owned()),
            peer: ([192, 0, 2, 9], 4000).into(),
        }
    }
}

async fn open(
    dir: &TempDir,
    clock: &Arc<ManualClock>,
    target: &Arc<FakeConnector>,
    entropy: &Arc<SeededEntropy>,
) -> App {
    open_as("main", dir, (clock, target, entropy)).await
}

async fn open_as(
    node: &str,
    dir: &TempDir,
    (clock, target, entropy): (&Arc<ManualClock>, &Arc<FakeConnector>, &Arc<SeededEntropy>),
) -> App {
    let store = Store::open(&StoreUrl::Sqlite(dir.path().join("cardea.db"))).await.expect("a store");
    let vault = Arc::new(Vault::open(&dir.path().join("key")).expect("a vault"));
    let (clock, entropy, linux) = (clock.clone(), entropy.clone(), target.clone());
    App::open(Parts { store, vault, clock, entropy, linux, node: node.to_owned(), sign_in: SignInSettings::default() })
        .await
        .expect("an app")
}

#[tokio::test]
async fn a_session_lives_and_leaves_nothing() {
    let world = World::new().await;
    let detail = world.available("web1").await;
    assert!(detail.grants.iter().all(|grant| grant.state == GrantState::Placed && grant.before.is_some()));
    assert_eq!((world.target.things().len(), world.out().await), (4, 4));
    assert_eq!(detail.session.end_at, detail.session.start_at.map(|start| start.plus(Duration::from_secs(3600))));
    let margin = detail.grants.iter().map(|grant| grant.expires_at).min().flatten();
    assert!(margin > detail.session.end_at, "the target's own expiry comes after ours");

    world.advance(Duration::from_secs(3601));
    let detail = world.ended(detail.session.id).await;
    assert_eq!(
        (detail.session.status, detail.session.reason.map(|reason| reason.code)),
        (Status::Completed, Some("reached_end".to_owned()))
    );
    assert!(detail.grants.iter().all(|grant| grant.evidence.is_some()));
    assert_eq!((world.target.things().len(), world.out().await), (0, 0));
}

#[tokio::test]
async fn a_failing_step_undoes_those_before_it_and_a_taken_name_is_left_alone() {
    let world = World::new().await;
    world.target.fail_next(Operation::Place, ConnectorError::Unreachable("gone".to_owned()));
    let id = world.request("web1").await;
    let detail = world.ended(id).await;
    assert_eq!((detail.session.status, world.target.things().len()), (Status::Failed, 0));
    assert_eq!(detail.session.reason.map(|reason| reason.code), Some("unreachable".to_owned()));
    assert!(detail.session.listed, "it stays to be read");
    world.advance(Duration::from_secs(4000));
    world.until(id, "off the list", |detail| !detail.session.listed).await;
}

#[tokio::test]
async fn what_is_not_ours_is_not_removed_when_placing_meets_it() {
    let world = World::new().await;
    // The dead man's switch is placed; the account is in somebody's way.
    world.target.pass_next(Operation::Place);
    world.target.fail_next(Operation::Place, ConnectorError::Collision("somebody has this number".to_owned()));
    let id = world.request("web1").await;
    let detail = world.ended(id).await;
    assert_eq!(detail.session.reason.map(|reason| reason.code), Some("collision".to_owned()));
    let removed: Vec<_> = world.target.calls().into_iter().filter(|call| call.operation == Operation::Remove).collect();
    assert!(removed.len() == 1 && removed[0].about[0].contains("dead_man"), "nothing else was there: {removed:?}");
}

#[tokio::test]
async fn an_unanswered_step_is_done_again_not_assumed() {
    let world = World::new().await;
    world.target.fail_next(Operation::Place, ConnectorError::Unknown("the connection died".to_owned()));
    let detail = world.available("web1").await;
    assert_eq!((detail.grants.len(), world.target.things().len()), (4, 4));
}

#[tokio::test]
async fn clean_up_never_gives_up_and_says_when_it_stalls() {
    let world = World::new().await;
    let id = world.available("web1").await.session.id;
    world.target.fail_always(Operation::Remove, ConnectorError::Unreachable("gone".to_owned()));
    world.app.end_session(&world.alice(), id, None).await.expect("it is open");
    for _ in 0..30 {
        let attempts = world.detail(id).await.session.cleanup_attempts;
        world.advance(Duration::from_secs(301));
        world.until(id, "tried again", |detail| detail.session.cleanup_attempts > attempts).await;
    }
    let detail = world.detail(id).await;
    assert_eq!(
        (detail.session.status, detail.session.cleanup_stalled, world.out().await),
        (Status::Canceling, true, 4)
    );
    world.target.heal();
    world.advance(Duration::from_secs(301));
    let detail = world.ended(id).await;
    assert_eq!(
        (detail.session.status, detail.session.cleanup_stalled, world.target.things().len()),
        (Status::Completed, false, 0)
    );
}

#[tokio::test]
async fn ended_while_it_is_being_provisioned() {
    let world = World::new().await;
    let hold = world.target.hold(Operation::Place);
    let id = world.request("web1").await;
    hold.reached(1).await;
    world.app.end_session(&world.alice(), id, None).await.expect("it can be ended");
    drop(hold);
    let detail = world.ended(id).await;
    assert_eq!((detail.session.status, world.target.things().len(), world.out().await), (Status::Canceled, 0, 0));
}

#[tokio::test]
async fn a_change_of_what_was_requested_stops_it_before_anything_is_touched() {
    let world = World::new().await;
    let hold = world.target.hold(Operation::Observe);
    let id = world.request("web1").await;
    hold.reached(1).await;
    let stricter = vec![Document {
        kind: Kind::ConnectionProfile,
        name: "hour".to_owned(),
        spec: json!({ "max_duration": "1m" }),
    }];
    world
        .app
        .apply(&Actor::Operator { uid: 0 }, stricter, crate::ApplyOptions::default())
        .await
        .expect("a good configuration");
    drop(hold);
    let detail = world.ended(id).await;
    assert_eq!(detail.session.reason.map(|reason| reason.code), Some("changed_meanwhile".to_owned()));
    assert!(world.target.calls().iter().all(|call| call.operation != Operation::Place), "nothing was touched");
}

#[tokio::test]
async fn the_gateway_joins_counts_and_hears_the_end() {
    let world = World::new().await;
    let id = world.available("web1").await.session.id;
    let admission = world.admission(id);
    let first = world.app.join(&admission, KEY).await.expect("it is open");
    let second = world.app.join(&admission, KEY).await.expect("it is open");
    let detail = world.detail(id).await;
    assert_eq!((detail.session.status, detail.grants.len()), (Status::LoggedIn, 5), "one key for both");
    world.app.closed(ClosedConnection { connection: first.connection, reason: "client" }).await;
    assert_eq!(world.detail(id).await.session.status, Status::LoggedIn, "one is still there");
    world.app.closed(ClosedConnection { connection: first.connection, reason: "client" }).await;
    assert_eq!(world.detail(id).await.session.status, Status::LoggedIn, "a second report changes nothing");
    world.app.end_session(&world.alice(), id, Some("enough".to_owned())).await.expect("it is open");
    let notice = tokio::time::timeout(PATIENCE, second.ended).await.expect("it is told");
    assert!(notice.sentence.contains("enough"), "{notice:?}");
    assert!(world.app.join(&admission, KEY).await.is_err(), "nobody gets in any more");
    world.ended(id).await;
    assert_eq!(world.target.things().len(), 0);
}

#[tokio::test]
async fn a_restart_ends_log_ins_and_changes_the_gateways_key() {
    let mut world = World::new().await;
    let id = world.available("web1").await.session.id;
    world.app.join(&world.admission(id), KEY).await.expect("it is open");
    world.crash().await;
    assert_eq!(world.detail(id).await.session.status, Status::Available);
    let other = KEY.replace("Xg9z", "Yg9z");
    world.app.join(&world.admission(id), &other).await.expect("it is open");
    let detail = world
        .until(id, "rid of the old key", |detail| {
            detail.grants.iter().any(|grant| grant.ordinal == 4 && grant.state == GrantState::Removed)
        })
        .await;
    assert_eq!((detail.session.status, world.target.things().len()), (Status::LoggedIn, 5));
}

#[tokio::test]
async fn a_key_that_is_taken_away_takes_its_connections_with_it() {
    let world = World::new().await;
    let id = world.available("web1").await.session.id;
    let admission = world.admission(id);
    let lease = world.app.join(&admission, KEY).await.expect("it is open");
    let without = vec![Document { kind: Kind::User, name: "alice".to_owned(), spec: json!({}) }];
    world.app.apply(&Actor::Operator { uid: 0 }, without, crate::ApplyOptions::default()).await.expect("a good user");
    let notice = tokio::time::timeout(PATIENCE, lease.ended).await.expect("it is told");
    assert!(notice.sentence.contains("not registered"), "{notice:?}");
    assert!(world.app.join(&admission, KEY).await.is_err(), "an admission from before does not help");
}

#[tokio::test]
async fn a_fence_that_somebody_wrote_on_the_host_is_climbed_over() {
    let world = World::new().await;
    let id = world.available("web1").await.session.id;
    world.target.fail_next(Operation::Remove, ConnectorError::Superseded { seen: 99_999_999 });
    world.app.end_session(&world.alice(), id, None).await.expect("it is open");
    world.until(id, "tried", |detail| detail.session.cleanup_attempts > 0).await;
    world.advance(Duration::from_secs(301));
    let detail = world.ended(id).await;
    assert!(detail.session.fence > 99_999_999, "{}", detail.session.fence);
}

#[tokio::test]
async fn a_service_accounts_secret_is_replaced_and_the_old_one_kept_while_something_is_out() {
    let world = World::new().await;
    let detail = world.available("web1").await;
    let pinned = detail.grants[0].target.password.expect("it logs in with a password");
    let changed = json!({ "platform": "linux", "user": "svc", "elevation": "sudo", "password": "another" });
    let document = vec![Document { kind: Kind::ServiceAccount, name: "svc".to_owned(), spec: changed }];
    let operator = Actor::Operator { uid: 0 };
    let applied = world.app.apply(&operator, document, crate::ApplyOptions::default()).await;
    let changes = applied.expect("a good configuration").changes;
    assert_eq!(changes[0].fields[0].pointer, "/spec/password");
    assert!(changes[0].fields[0].before.is_none() && changes[0].fields[0].after.is_none(), "a secret is never shown");
    let kept = cardea_domain::Credentials::open(&world.app.0.keyring, pinned)
        .await
        .map(|secret: Secret| secret.expose(|text| text.clone()));
    assert_eq!(kept, Ok("not a real one".to_owned()), "what is out pins its way home");
    let refused = world.app.delete_object(&operator, Kind::Resource, "web1", None).await;
    assert!(refused.is_err(), "a resource with something on it stays");
}
