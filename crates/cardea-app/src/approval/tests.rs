//! Races about one request, and about what is counted before it is written, on both databases, and on PostgreSQL between two nodes: each has one clear winner.

use std::{sync::Arc, time::Duration};

use cardea_domain::{Actor, Clock as _, Decision, Kind, PasskeyId, Permit, SessionId, Status, Verb, Via};
use cardea_store::{PasskeyRow, Store, StoreUrl};
use cardea_testkit::{FakeConnector, ManualClock, Postgres, SeededEntropy};
use cardea_vault::Vault;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    App, AppError, ApplyOptions, Approve, Device, Document, NewRequest, Parts, SessionDetail, request::WAITING_MAX,
    second_step::Proof, sign_in::actor_of,
};

const OPERATOR: Actor = Actor::Operator { uid: 0 };
/// Races of a kind: enough that each side wins some.
const RACES: usize = 12;
const PATIENCE: Duration = Duration::from_secs(30);

struct World {
    app: App,
    /// Another node on the same database; the same one where there can be no other.
    other: App,
    clock: Arc<ManualClock>,
    engine: JoinHandle<()>,
    _dir: TempDir,
}

impl World {
    async fn on(url: impl FnOnce(&TempDir) -> StoreUrl, is_shared: bool) -> Self {
        let dir = TempDir::new().expect("a folder");
        Vault::create_key_file(&dir.path().join("key")).expect("a key file");
        let (url, clock, target, entropy) =
            (url(&dir), ManualClock::new(), FakeConnector::new(), SeededEntropy::new(11));
        let open = async |node: &str| {
            App::open(Parts {
                store: Store::open(&url).await.expect("a store"),
                vault: Arc::new(Vault::open(&dir.path().join("key")).expect("a vault")),
                clock: clock.clone(),
                entropy: entropy.clone(),
                linux: target.clone(),
                node: node.to_owned(),
                sign_in: crate::SignInSettings::default(),
            })
            .await
            .expect("an application")
        };
        let app = open("one").await;
        app.apply(&OPERATOR, documents(), ApplyOptions::default()).await.expect("a good configuration");
        let other = if is_shared { open("two").await } else { app.clone() };
        let engine = tokio::spawn({
            let app = app.clone();
            async move { app.run_engine(CancellationToken::new()).await }
        });
        Self { app, other, clock, engine, _dir: dir }
    }

    async fn sqlite() -> Self {
        Self::on(|dir| StoreUrl::Sqlite(dir.path().join("cardea.db")), false).await
    }

    async fn postgres() -> Self {
        let address = Postgres::shared().fresh_database();
        Self::on(|dir| StoreUrl::parse(&address, dir.path()).expect("a good address"), true).await
    }

    fn actor(&self, name: &str) -> Actor {
        let configuration = self.app.configuration();
        actor_of(&configuration, configuration.find(Kind::User, name).expect("they are there"), Via::Key)
            .expect("a user")
    }

    async fn request(&self) -> SessionId {
        let request =
            NewRequest { activity: "job".to_owned(), resources: vec!["web1".to_owned()], ..NewRequest::default() };
        let created = self.app.create_sessions(&self.actor("alice"), request).await.expect("a policy gives it");
        created[0].session.id
    }

    /// The session once nobody is about to move it.
    async fn settled(&self, id: SessionId) -> SessionDetail {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let detail = self.app.session(&OPERATOR, id).await.expect("it is there");
            if detail.session.status == Status::WaitingForApproval || detail.session.clean {
                return detail;
            }
            assert!(Instant::now() < deadline, "it never came to rest: {detail:#?}");
            // The other node tells its own engine only, and runs none.
            self.app.nudge();
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.engine.abort();
    }
}

fn profile(quorum: u32, hours: u32) -> Document {
    let approval = json!({ "tiers": [{ "approvers": ["dave", "erin"], "quorum": quorum }], "window": "1h" });
    let spec = json!({ "max_duration": format!("{hours}h"), "approval": approval });
    Document { kind: Kind::ConnectionProfile, name: "asked".to_owned(), spec }
}

fn documents() -> Vec<Document> {
    let document = |kind, name: &str, spec: Value| Document { kind, name: name.to_owned(), spec };
    let host = json!({ "platform": "linux", "address": "192.0.2.1", "service_account": "svc", "host_key": FakeConnector::HOST_KEY });
    let job =
        json!({ "platform": "linux", "protocol": "none", "pre_session": [{ "run_script": { "script": "true" } }] });
    let account = json!({ "platform": "linux", "user": "svc", "elevation": "sudo", "password": "not a real one" });
    vec![
        document(Kind::User, "alice", json!({})),
        document(Kind::User, "dave", json!({})),
        document(Kind::User, "erin", json!({})),
        document(Kind::ServiceAccount, "svc", account),
        document(Kind::Resource, "web1", host),
        document(Kind::Activity, "job", job),
        profile(1, 1),
        document(
            Kind::AccessPolicy,
            "p",
            json!({ "users": ["alice"], "activities": ["job"], "resources": ["web1"], "connection_profile": "asked" }),
        ),
    ]
}

fn yes() -> Approve {
    Approve { reason: "known work".to_owned(), ..Approve::default() }
}

fn code(answer: &Result<SessionDetail, AppError>) -> &str {
    answer.as_ref().map_or_else(AppError::code, |_| "ok")
}

fn votes(detail: &SessionDetail, decision: Decision) -> usize {
    detail.approvals.iter().filter(|approval| approval.decision == decision).count()
}

async fn two_approvers_at_once(world: &World) {
    let (dave, erin) = (world.actor("dave"), world.actor("erin"));
    for _ in 0..RACES {
        let id = world.request().await;
        let (one, two) =
            tokio::join!(world.app.approve_session(&dave, id, yes()), world.other.approve_session(&erin, id, yes()));
        let mut codes = [code(&one), code(&two)];
        codes.sort_unstable();
        assert_eq!(codes, ["not-waiting", "ok"]);
        let detail = world.settled(id).await;
        assert_eq!((detail.session.status, votes(&detail, Decision::Approved)), (Status::Completed, 1));
        // One person at two places counts once.
        let id = world.request().await;
        let (one, two) =
            tokio::join!(world.app.approve_session(&dave, id, yes()), world.other.approve_session(&dave, id, yes()));
        assert!(one.is_ok() != two.is_ok(), "{} and {}", code(&one), code(&two));
        assert_eq!(votes(&world.settled(id).await, Decision::Approved), 1);
    }
}

async fn both_of_a_quorum_at_once(world: &World) {
    world.app.apply(&OPERATOR, vec![profile(2, 1)], ApplyOptions::default()).await.expect("a good profile");
    world.other.reload().await.expect("it can be read");
    let (dave, erin) = (world.actor("dave"), world.actor("erin"));
    for _ in 0..RACES {
        let id = world.request().await;
        let (one, two) =
            tokio::join!(world.app.approve_session(&dave, id, yes()), world.other.approve_session(&erin, id, yes()));
        assert_eq!([code(&one), code(&two)], ["ok", "ok"]);
        let detail = world.settled(id).await;
        assert_eq!((detail.session.status, votes(&detail, Decision::Approved)), (Status::Completed, 2));
    }
}

async fn a_no_against_a_yes(world: &World) {
    let (dave, erin) = (world.actor("dave"), world.actor("erin"));
    for race in 0..RACES {
        let id = world.request().await;
        let approve = world.app.approve_session(&dave, id, yes());
        let deny = world.other.deny_session(&erin, id, "not today");
        let (approved, denied) = if race % 2 == 0 {
            tokio::join!(approve, deny)
        } else {
            let (denied, approved) = tokio::join!(deny, approve);
            (approved, denied)
        };
        let detail = world.settled(id).await;
        let (yes, no) = (votes(&detail, Decision::Approved), votes(&detail, Decision::Denied));
        match detail.session.status {
            Status::Denied => assert_eq!((code(&approved), code(&denied), yes, no), ("not-waiting", "ok", 0, 1)),
            Status::Completed => assert_eq!((code(&approved), code(&denied), yes, no), ("ok", "not-waiting", 1, 0)),
            status => panic!("{status}: {} and {}", code(&approved), code(&denied)),
        }
    }
}

async fn a_yes_while_the_window_ends(world: &World) {
    let dave = world.actor("dave");
    for _ in 0..RACES {
        let id = world.request().await;
        let ends = async {
            tokio::task::yield_now().await;
            world.clock.advance(Duration::from_secs(3600));
            world.app.nudge();
        };
        let (approved, ()) = tokio::join!(world.other.approve_session(&dave, id, yes()), ends);
        let deadline = Instant::now() + PATIENCE;
        let detail = loop {
            let detail = world.settled(id).await;
            if detail.session.status != Status::WaitingForApproval {
                break detail;
            }
            assert!(Instant::now() < deadline, "its window never ended");
            tokio::task::yield_now().await;
        };
        match detail.session.status {
            Status::Expired => assert_eq!((code(&approved), votes(&detail, Decision::Approved)), ("not-waiting", 0)),
            // Approved in time, then too late to be begun, or begun.
            _ => assert_eq!((code(&approved), votes(&detail, Decision::Approved)), ("ok", 1)),
        }
        // Nobody approves after it, even if the engine has not looked yet.
        assert!(world.app.approve_session(&dave, id, yes()).await.is_err());
    }
}

async fn a_yes_while_the_rules_change(world: &World) {
    let dave = world.actor("dave");
    for race in 0..RACES {
        let id = world.request().await;
        let hours = 2 + u32::try_from(race % 2).expect("small");
        let change = world.app.apply(&OPERATOR, vec![profile(1, hours)], ApplyOptions::default());
        let (approved, changed) = tokio::join!(world.other.approve_session(&dave, id, yes()), change);
        changed.expect("a good profile");
        world.other.reload().await.expect("it can be read");
        let detail = world.settled(id).await;
        let configuration = world.app.configuration();
        let now = configuration.get(detail.session.profile).expect("it is there").revision();
        let counting = configuration.counting(&detail.session, &detail.approvals, world.clock.now()).len();
        match detail.session.status {
            // What was said counts for the rules of before only.
            Status::WaitingForApproval => {
                assert_eq!(counting, 0, "{detail:#?}");
                let again = world.app.approve_session(&dave, id, yes()).await;
                assert!(matches!(code(&again), "ok" | "changed-since-request"), "{}", code(&again));
            }
            Status::Completed => {
                assert_eq!(code(&approved), "ok");
                let pinned = &detail.session.pins;
                let is_approved = detail.approvals.iter().any(|approval| approval.counts_for(pinned));
                assert!(is_approved, "it ran by rules that nobody approved: {now:?} {detail:#?}");
            }
            status => panic!("{status}: {} {detail:#?}", code(&approved)),
        }
        world.app.end_session(&OPERATOR, id, None).await.ok();
    }
}

async fn two_requests_for_the_last_place(world: &World) {
    for _ in 1..WAITING_MAX {
        world.request().await;
    }
    let alice = world.actor("alice");
    let request =
        || NewRequest { activity: "job".to_owned(), resources: vec!["web1".to_owned()], ..NewRequest::default() };
    for _ in 0..RACES {
        let one = world.app.create_sessions(&alice, request());
        let (one, two) = tokio::join!(one, world.other.create_sessions(&alice, request()));
        let (made, refused) = if one.is_ok() { (one, two) } else { (two, one) };
        assert_eq!(refused.as_ref().map_err(AppError::code).map(Vec::len), Err("too-many-waiting"));
        let id = made.expect("one of them is the last").remove(0).session.id;
        world.app.end_session(&OPERATOR, id, None).await.expect("it is withdrawn");
    }
}

/// Whoever must have a second factor keeps one, also if both are taken off at once.
async fn the_last_two_passkeys_taken_off_at_once(world: &World) {
    let group = json!({ "members": ["alice"], "require_second_factor": true });
    let group = Document { kind: Kind::Group, name: "careful".to_owned(), spec: group };
    world.app.apply(&OPERATOR, vec![group], ApplyOptions::default()).await.expect("a good group");
    world.other.reload().await.expect("it can be read");
    let user = world.actor("alice").user_id().expect("a user");
    for _ in 0..RACES {
        let now = world.clock.now();
        let row = |name: &str| PasskeyRow {
            id: PasskeyId::mint(now, &*world.app.0.entropy),
            user,
            name: name.to_owned(),
            credential: PasskeyId::mint(now, &*world.app.0.entropy).to_string().into_bytes(),
            kept: "{}".to_owned(),
            created_at: now,
            used_at: None,
        };
        let rows = [row("one"), row("two")];
        let ids = [rows[0].id, rows[1].id];
        let permit = Permit::ask(&world.actor("alice"), Verb::ChangeFactors).expect("everybody may");
        let kept = world.app.0.store.write(move |tx| {
            Box::pin(async move {
                tx.delete_factors(&permit, user).await?;
                tx.insert_passkey(&permit, &rows[0]).await?;
                tx.insert_passkey(&permit, &rows[1]).await
            })
        });
        kept.await.expect("two passkeys");
        let device = Device::new([192, 0, 2, 1].into(), "");
        let alice = world.app.signed_in(user, &device, Proof::PasskeyAlone).await.expect("she is signed in").actor;
        let one = world.app.remove_passkey(&alice, ids[0]);
        let (one, two) = tokio::join!(one, world.other.remove_passkey(&alice, ids[1]));
        let codes = [&one, &two].map(|answer| answer.as_ref().map_or_else(AppError::code, |()| "ok"));
        assert!(matches!(codes, ["ok", "factor-required"] | ["factor-required", "ok"]), "{codes:?}");
        assert_eq!(world.app.factors(&alice, None).await.expect("her own").passkeys.len(), 1);
    }
}

/// Runs each race on both databases.
macro_rules! on_both {
    ($($race:ident)*) => { $( mod $race {
        #[tokio::test(flavor = "multi_thread")]
        async fn sqlite() {
            super::$race(&super::World::sqlite().await).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn postgres() {
            super::$race(&super::World::postgres().await).await;
        }
    } )* };
}

on_both! {
    two_approvers_at_once
    both_of_a_quorum_at_once
    a_no_against_a_yes
    a_yes_while_the_window_ends
    a_yes_while_the_rules_change
    two_requests_for_the_last_place
    the_last_two_passkeys_taken_off_at_once
}
