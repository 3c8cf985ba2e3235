//! The product without its edges: use cases, engine and a real store over a target in memory that answers at once.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use cardea_app::{App, ApplyOptions, Document, Event, NewRequest, Parts, SignInSettings};
use cardea_domain::{
    Actor, Clock, ClosedConnection, Credential, Entry, Gate as _, Kind, Login, Role, SessionId, Status, Timestamp, Via,
};
use cardea_store::{Store, StoreUrl, Tally};
use cardea_testkit::{Database, FakeConnector, Postgres, repeat_session};
use cardea_vault::{System, Vault};
use serde_json::json;
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinHandle, time::timeout};
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;

/// Hosts that requests go to in turn.
const HOSTS: usize = 16;
/// How long any session may take to get anywhere.
const PATIENCE: Duration = Duration::from_secs(120);
/// The store was left alone for so long: nothing is owed at the moment.
const QUIET: Duration = Duration::from_millis(500);
/// An activity that is nothing but a login account.
const PLAIN: &str = "shell";
/// A login account and the user's key on it.
const KEYED: &str = "keyed-shell";
const USER_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFIR5p2lv7i3pG1yPQ7L2hXg9zq1m3h1yW8QvJ6T2k4d";
const GATEWAY_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICT7+vKOO4ZN649Q6sootauRUc3xy0KZ9PlXgX9X9X3z";

/// Runs on from a fixed moment, and can be put forward.
pub(crate) struct RunningClock {
    began: Instant,
    skipped_micros: AtomicI64,
}

impl RunningClock {
    fn skip(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).expect("nobody skips ages");
        self.skipped_micros.fetch_add(micros, Ordering::Relaxed);
    }
}

impl Clock for RunningClock {
    /// From 2027-01-15T08:00:00Z.
    fn now(&self) -> Timestamp {
        let skipped = self.skipped_micros.load(Ordering::Relaxed);
        Timestamp::from_micros(1_800_000_000_000_000 + skipped).plus(self.began.elapsed())
    }
}

/// Where a world's data is. Gone when it is dropped.
pub(crate) struct Place {
    folder: TempDir,
    postgres: Option<(Arc<Postgres>, String)>,
}

impl Place {
    /// A SQLite file, or a database of this server.
    pub(crate) fn new(server: Option<&Arc<Postgres>>) -> Self {
        let folder = TempDir::new().expect("a folder");
        Vault::create_key_file(&folder.path().join("key")).expect("a key file");
        let postgres = server.map(|server| (Arc::clone(server), server.fresh_database()));
        Self { folder, postgres }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("cardea.db")
    }

    fn url(&self) -> StoreUrl {
        let Some((_, address)) = &self.postgres else { return StoreUrl::Sqlite(self.file()) };
        StoreUrl::parse(address, self.folder.path()).expect("the server's address is well formed")
    }
}

/// What a session goes through between Available and its end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// Nobody logs in.
    None,
    /// Nobody logs in; the activity places the user's key on the account.
    Key,
    /// One connection through the gateway: its key is placed, the connection opened and closed.
    Connection,
}

/// A running product with one user, `alice`.
pub(crate) struct World {
    pub(crate) app: App,
    store: Store,
    clock: Arc<RunningClock>,
    alice: Actor,
    statuses: Arc<Statuses>,
    requests: AtomicUsize,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    place: Place,
}

impl World {
    pub(crate) async fn open(place: Place) -> Self {
        let store = Store::open(&place.url()).await.expect("the store opens");
        let clock = Arc::new(RunningClock { began: Instant::now(), skipped_micros: AtomicI64::new(0) });
        let parts = Parts {
            store: store.clone(),
            vault: Arc::new(Vault::open(&place.folder.path().join("key")).expect("the key file is ours")),
            clock: clock.clone(),
            entropy: Arc::new(System),
            linux: FakeConnector::new(),
            node: "bench".to_owned(),
            sign_in: SignInSettings::default(),
        };
        let app = App::open(parts).await.expect("the product opens");
        furnish(&app).await;
        let configuration = app.configuration();
        let alice = configuration.find(Kind::User, "alice").expect("she is there");
        let alice = Actor::User { id: alice.id, name: "alice".to_owned(), roles: vec![Role::User], via: Via::Key };
        let (stop, statuses) = (CancellationToken::new(), Arc::new(Statuses::default()));
        let listener = tokio::spawn(Arc::clone(&statuses).follow(app.clone(), stop.clone()));
        let (runner, stopped) = (app.clone(), stop.clone());
        let engine = tokio::spawn(async move { runner.run_engine(stopped).await });
        let (requests, tasks) = (AtomicUsize::new(0), vec![listener, engine]);
        Self { app, store, clock, alice, statuses, requests, stop, tasks, place }
    }

    /// Stops the engine and lets go of the data.
    pub(crate) async fn close(self) -> Place {
        self.stop.cancel();
        for task in self.tasks {
            task.await.expect("it ends by itself");
        }
        self.store.close().await;
        self.place
    }

    /// Stops, writes so many copies of a session, and starts again.
    pub(crate) async fn repeat(self, session: SessionId, times: u32) -> Self {
        let place = self.close().await;
        let file = place.file();
        let database = match &place.postgres {
            Some((server, address)) => Database::Postgres(server, address),
            None => Database::Sqlite(&file),
        };
        repeat_session(database, &session.to_string(), times);
        Self::open(place).await
    }

    pub(crate) fn tally(&self) -> Tally {
        self.store.tally()
    }

    /// Alice; as an administrator if she is to see everything.
    pub(crate) fn alice(&self, sees_all: bool) -> Actor {
        let mut alice = self.alice.clone();
        if let (Actor::User { roles, .. }, true) = (&mut alice, sees_all) {
            roles.push(Role::Administrator);
        }
        alice
    }

    /// From request to proven clean-up.
    pub(crate) async fn life(&self, used: Use) -> SessionId {
        let id = self.request_activity(if used == Use::Key { KEYED } else { PLAIN }).await;
        self.until(id, Status::Available).await;
        if used == Use::Connection {
            self.connect(id).await;
        }
        self.end(id).await;
        id
    }

    pub(crate) async fn request(&self) -> SessionId {
        self.request_activity(PLAIN).await
    }

    async fn request_activity(&self, activity: &str) -> SessionId {
        let turn = self.requests.fetch_add(1, Ordering::Relaxed) % HOSTS;
        let request =
            NewRequest { activity: activity.to_owned(), resources: vec![host(turn)], ..NewRequest::default() };
        let created = self.app.create_sessions(&self.alice, request).await.expect("a policy gives it");
        created[0].session.id
    }

    async fn connect(&self, id: SessionId) {
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000));
        let login = Login { user_name: id.to_string(), credential: Credential::Key(USER_KEY.to_owned()), peer };
        let Entry::Open(admission) = self.app.admit(&login).await.expect("it is her session") else {
            panic!("she has no second factor")
        };
        let lease = self.app.join(&admission, GATEWAY_KEY).await.expect("it is available");
        self.app.closed(ClosedConnection { connection: lease.connection, reason: "client" }).await;
    }

    /// Ends a session and waits until it is clean.
    pub(crate) async fn end(&self, id: SessionId) {
        self.app.end_session(&self.alice, id, None).await.expect("it is hers");
        self.until(id, Status::Completed).await;
        self.statuses.forget(id);
    }

    pub(crate) async fn until(&self, id: SessionId, status: Status) {
        let mut seen = self.statuses.watch(id);
        let heard = timeout(PATIENCE, seen.wait_for(|seen| *seen == Some(status))).await;
        assert!(heard.is_ok(), "{id} never became {status:?}");
    }

    /// Puts the clock forward to where the scans for left files are due, and waits until none is owed.
    pub(crate) async fn scan(&self) {
        self.clock.skip(Duration::from_secs(30));
        self.app.nudge();
        self.quiet().await;
    }

    /// Waits until the store is left alone.
    pub(crate) async fn quiet(&self) {
        let mut last = self.tally();
        loop {
            tokio::time::sleep(QUIET).await;
            if self.tally() == last {
                return;
            }
            last = self.tally();
        }
    }
}

/// The last status of each session that somebody waits for, as events told it.
#[derive(Default)]
struct Statuses(Mutex<HashMap<SessionId, watch::Sender<Option<Status>>>>);

impl Statuses {
    async fn follow(self: Arc<Self>, app: App, stop: CancellationToken) {
        let mut events = app.subscribe(&Actor::Engine, None);
        while let Some(Some((_, event))) = stop.run_until_cancelled(events.next()).await {
            match event {
                Event::Session(session) => drop(self.sender(session.id).send_replace(Some(session.status))),
                Event::Alert(_) | Event::Approval { .. } | Event::Configuration | Event::Grant(_) => {}
                Event::Reset => panic!("the listener fell behind"),
            }
        }
    }

    fn sender(&self, id: SessionId) -> watch::Sender<Option<Status>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_default().clone()
    }

    fn watch(&self, id: SessionId) -> watch::Receiver<Option<Status>> {
        self.sender(id).subscribe()
    }

    fn forget(&self, id: SessionId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}

/// Each host has its own.
fn host_key(number: usize) -> String {
    let key = FakeConnector::HOST_KEY;
    format!("{}{}", &key[..key.len() - 1], char::from(b'a' + u8::try_from(number).expect("there are few hosts")))
}

fn host(number: usize) -> String {
    format!("web{number}")
}

/// One user, activities, and hosts to use them on. The second time it changes nothing.
async fn furnish(app: &App) {
    let document = |kind, name: &str, spec| Document { kind, name: name.to_owned(), spec };
    let plain = json!({ "platform": "linux", "protocol": "ssh", "login_account": { "type": "activity_token" } });
    let mut keyed = plain.clone();
    keyed["pre_session"] = json!([{ "authorize_key": {} }]);
    let hosts: Vec<_> = (0..HOSTS).map(host).collect();
    let policy = json!({
        "users": ["alice"], "activities": [PLAIN, KEYED], "resources": hosts, "connection_profile": "day"
    });
    let mut documents = vec![
        document(Kind::User, "alice", json!({ "ssh_keys": [USER_KEY] })),
        document(
            Kind::ServiceAccount,
            "svc",
            json!({ "platform": "linux", "user": "svc", "elevation": "sudo", "password": "not a real one" }),
        ),
        document(Kind::Activity, PLAIN, plain),
        document(Kind::Activity, KEYED, keyed),
        document(Kind::ConnectionProfile, "day", json!({ "max_duration": "24h" })),
    ];
    documents.extend(hosts.iter().enumerate().map(|(number, name)| {
        let address = format!("192.0.2.{}", number + 1);
        let spec = json!({ "platform": "linux", "address": address, "service_account": "svc",
            "host_key": host_key(number), "uid_range": [100_000, 9_000_000] });
        document(Kind::Resource, name, spec)
    }));
    documents.push(document(Kind::AccessPolicy, "p", policy));
    app.apply(&Actor::Operator { uid: 0 }, documents, ApplyOptions::default()).await.expect("a good configuration");
}
