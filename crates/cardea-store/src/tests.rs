//! Every test of the store runs on both databases, on data of its own.

mod batch;
mod directory;
mod factor;
mod figures;
mod grant;
mod host;
mod list;
mod node;
mod notice;
mod openid;
mod own_key;
mod record;
mod review;
mod rule_change;
mod schema;
mod session;
mod unit;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use cardea_domain::{
    Actor, AddSudoRule, Approves, Asked, AskedEscalation, AskedTier, Claim, DirectLogin, Elevation, Entropy, Evidence,
    Extension, Grant, GrantId, GrantState, GroupProcesses, Kind, Leftovers, Lock, LockScope, LockStage, LoginAccount,
    Membership, Name, Object, ObjectId, Observation, Period, Permit, Pins, Presence, Privilege, Progress, Reason,
    RequestId, Revision, Role, Rules, SecretId, Session, SessionId, SignInId, Spec, Stage, Status, Target, Timestamp,
    Verb, Via, Wish,
};
use cardea_testkit::Postgres;

use crate::{Store, StoreError, StoreUrl};

/// An empty store, and a source of values to fill it with: the same on every run.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) url: StoreUrl,
    pub(crate) random: Arc<Random>,
    _folder: tempfile::TempDir,
}

impl Fixture {
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = StoreUrl::Sqlite(folder.path().join("cardea.db"));
        Self::open(url, folder).await
    }

    pub(crate) async fn postgres() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address = Postgres::shared().fresh_database();
        let url = StoreUrl::parse(&address, folder.path()).expect("the server's address is well formed");
        Self::open(url, folder).await
    }

    async fn open(url: StoreUrl, folder: tempfile::TempDir) -> Self {
        let store = Store::open(&url).await.expect("an empty database opens");
        Self { store, url, random: Arc::default(), _folder: folder }
    }

    /// Writes a session with these changes, and what the store has of it then.
    pub(crate) async fn session(&self, change: impl FnOnce(&mut Session)) -> Session {
        let mut session = self.random.session();
        change(&mut session);
        let written = session.clone();
        writes!(self, tx => tx.insert_session(&creator(), &written).await).expect("a session is written");
        session
    }

    /// Writes a grant of a session with these changes.
    pub(crate) async fn grant(&self, session: &Session, change: impl FnOnce(&mut Grant)) -> Grant {
        let mut grant = self.random.grant(session);
        change(&mut grant);
        let written = grant.clone();
        writes!(self, tx => tx.insert_grants(&[written]).await).expect("a grant is written");
        grant
    }
}

/// Runs a check on both databases.
macro_rules! on_both {
    ($($(#[$doc:meta])* async fn $name:ident($t:ident: &Fixture) $body:block)*) => { $(
        mod $name {
            use super::*;

            $(#[$doc])*
            async fn check($t: &Fixture) $body

            #[tokio::test(flavor = "multi_thread")]
            async fn sqlite() {
                check(&Fixture::sqlite().await).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn postgres() {
                check(&Fixture::postgres().await).await;
            }
        }
    )* };
}

/// Runs a unit that may write; its body gives a `Result<_, StoreError>`.
macro_rules! writes {
    ($t:expr, $tx:ident => $body:expr) => {
        $t.store.write(move |$tx| Box::pin(async move { $crate::tests::fails_as_store($body) })).await
    };
}

/// Runs a unit that only reads.
macro_rules! reads {
    ($t:expr, $tx:ident => $body:expr) => {
        $t.store
            .read(move |$tx| Box::pin(async move { $crate::tests::fails_as_store($body) }))
            .await
            .expect("what was written can be read")
    };
}

pub(crate) use {on_both, reads, writes};

/// Says of which type a unit's error is.
pub(crate) fn fails_as_store<T>(result: Result<T, StoreError>) -> Result<T, StoreError> {
    result
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

pub(crate) fn user() -> Actor {
    let random = Random::default();
    let id = ObjectId::mint(Kind::User, at(1), &random);
    let via = Via::SignIn(SignInId::mint(at(1), &random));
    Actor::User { id, name: "alice".to_owned(), roles: vec![Role::Administrator, Role::User], via }
}

pub(crate) fn permit(verb: Verb) -> Permit {
    let actor = if verb == Verb::DriveSession { Actor::Engine } else { user() };
    Permit::ask(&actor, verb).expect("these actors may do this")
}

pub(crate) fn creator() -> Permit {
    permit(Verb::CreateSession)
}

pub(crate) fn driver() -> Permit {
    permit(Verb::DriveSession)
}

/// Numbers that look random and are the same on every run (splitmix64).
#[derive(Default)]
pub(crate) struct Random(AtomicU64);

impl Entropy for Random {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.next().to_le_bytes()[0]);
    }
}

impl Random {
    pub(crate) fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub(crate) fn bool(&self) -> bool {
        self.below(2) == 1
    }

    pub(crate) fn maybe<T>(&self, value: T) -> Option<T> {
        self.bool().then_some(value)
    }

    pub(crate) fn one<T: Copy>(&self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).expect("an index")]
    }

    pub(crate) fn time(&self) -> Timestamp {
        Timestamp::from_micros(i64::try_from(self.below(4_000_000_000_000_000)).expect("until 2096"))
    }

    /// Texts that trip a careless layer.
    pub(crate) fn text(&self) -> String {
        const PARTS: [&str; 10] = ["", "web", "Ärger", "100%", "a_b", "'; drop", "\\", "日本", "\n\t", "\u{1f511}"];
        format!("{}{}{}", self.one(&PARTS), self.one(&PARTS), self.below(100))
    }

    pub(crate) fn object_id(&self, kind: Kind) -> ObjectId {
        ObjectId::mint(kind, self.time(), self)
    }

    pub(crate) fn account(&self) -> LoginAccount {
        LoginAccount { name: format!("u{:x}", self.next()), uid: u32::try_from(self.below(1 << 32)).expect("32 bits") }
    }

    pub(crate) fn session(&self) -> Session {
        let revision = |kind| Revision { object: self.object_id(kind), version: 1 };
        let pins = Pins {
            policy: revision(Kind::AccessPolicy),
            activity: revision(Kind::Activity),
            profile: revision(Kind::ConnectionProfile),
            resource: revision(Kind::Resource),
            max_duration: Period::from_seconds(1 + self.below(86_400)),
        };
        Session {
            id: SessionId::mint(self.time(), self),
            request: RequestId::mint(self.time(), self),
            user: self.object_id(Kind::User),
            user_name: self.text(),
            activity: pins.activity.object,
            activity_name: self.text(),
            resource: pins.resource.object,
            resource_name: self.text(),
            policy: pins.policy.object,
            policy_name: self.text(),
            profile: pins.profile.object,
            profile_name: self.text(),
            pins,
            rules: self.rules(),
            account: self.account(),
            notes: self.text(),
            ticket: self.text(),
            custom: [(self.text(), self.text())].into(),
            wanted_start_at: self.maybe(self.time()),
            approve_by: self.maybe(self.time()),
            asked: self.maybe(self.asked()),
            duration: Period::from_seconds(1 + self.below(86_400)),
            closes_at: self.maybe(self.time()),
            extensions: u32::try_from(self.below(9)).expect("small"),
            wish: self.maybe(self.wish()),
            warned: u32::try_from(self.below(9)).expect("small"),
            idle_since: self.maybe(self.time()),
            lock: self.maybe(self.lock()),
            claim: None,
            requested_at: self.time(),
            start_at: self.maybe(self.time()),
            end_at: self.maybe(self.time()),
            status: self.one(&Status::ALL),
            reason: self.maybe(Reason::new(self.text(), self.text())),
            progress: self.maybe(Progress { step: 1, of: 4, text: self.text() }),
            listed: self.bool(),
            clean: self.bool(),
            closes_as: self.maybe(Status::Completed),
            cleanup_since: self.maybe(self.time()),
            cleanup_attempts: i64::try_from(self.below(1000)).expect("small"),
            cleanup_stalled: self.bool(),
            wake_at: self.maybe(self.time()),
            fence: i64::try_from(self.below(1000)).expect("small"),
            version: 1,
        }
    }

    fn asked(&self) -> Asked {
        let people = || (0..self.below(3)).map(|_| self.object_id(Kind::User)).collect();
        let escalation = self.maybe(AskedEscalation { after: Period::from_seconds(60), to: people() });
        let mut asked = Asked::new(vec![AskedTier { quorum: 1, approvers: people(), escalation }], self.time());
        asked.is_escalated = self.bool();
        asked
    }

    fn wish(&self) -> Wish {
        Wish {
            number: 1,
            by: Period::from_seconds(60),
            user: self.maybe(self.object_id(Kind::User)),
            who: self.text(),
            at: self.time(),
            until: self.time(),
            asked: self.asked(),
            try_at: self.maybe(self.time()),
        }
    }

    fn rules(&self) -> Rules {
        Rules {
            direct_login: self.one(&[DirectLogin::Deny, DirectLogin::Alert, DirectLogin::Allow]),
            extension: self.maybe(Extension { by: Period::from_seconds(600), limit: 2, approval: self.bool() }),
            idle_limit: self.maybe(Period::from_seconds(60)),
            ..Rules::default()
        }
    }

    fn lock(&self) -> Lock {
        Lock {
            title: self.text(),
            text: self.text(),
            scope: self.one(&[LockScope::Session, LockScope::User, LockScope::Resource]),
            stage: self.one(&[LockStage::Locking, LockStage::Locked, LockStage::Unlocking]),
            by: self.text(),
            at: self.time(),
            last_error: self.maybe(self.text()),
        }
    }

    pub(crate) fn target(&self, resource: ObjectId) -> Target {
        Target {
            resource,
            name: self.text(),
            address: "192.0.2.7".to_owned(),
            port: 22,
            host_key: self.maybe("ssh-ed25519 AAAA".to_owned()),
            user: "svc".to_owned(),
            elevation: self.one(&[Elevation::Doas, Elevation::None, Elevation::Sudo]),
            private_key: self.maybe(SecretId::mint(self.time(), self)),
            password: self.maybe(SecretId::mint(self.time(), self)),
            sudo_password: self.maybe(SecretId::mint(self.time(), self)),
        }
    }

    pub(crate) fn grant(&self, session: &Session) -> Grant {
        let privileges = [
            Privilege::Account { leftovers: Leftovers::Archive },
            Privilege::AuthorizedKey { public_key: self.text() },
            Privilege::GroupMembership(Membership { group: self.text(), processes: GroupProcesses::Report }),
            Privilege::SudoRule(AddSudoRule {
                commands: vec![self.text(), self.text()],
                run_as: "root".to_owned(),
                password: false,
            }),
        ];
        let evidence = Evidence {
            read_at: self.time(),
            read_back: self.text(),
            self_reported: self.bool(),
            findings: vec![self.text()],
        };
        Grant {
            id: GrantId::mint(self.time(), self),
            session: session.id,
            ordinal: i64::try_from(self.below(1 << 40)).expect("small"),
            target: self.target(session.resource),
            account: session.account.clone(),
            privilege: privileges[usize::try_from(self.below(4)).expect("an index")].clone(),
            mark: GrantId::mint(self.time(), self),
            share_key: self.maybe(self.text()),
            stage: self.one(&Stage::ALL),
            continue_on_error: self.bool(),
            token: self.text(),
            state: self.one(&GrantState::ALL),
            expires_at: self.maybe(self.time()),
            before: self.maybe(Observation { presence: Presence::Foreign, detail: self.text() }),
            placed_at: self.maybe(self.time()),
            removed_at: self.maybe(self.time()),
            attempts: i64::try_from(self.below(1000)).expect("small"),
            last_error: self.maybe(self.text()),
            evidence: self.maybe(evidence),
            scanned_at: self.maybe(self.time()),
        }
    }

    pub(crate) fn object(&self, kind: Kind, name: &str) -> Object {
        let json = match kind {
            Kind::User => serde_json::json!({ "full_name": self.text() }),
            Kind::Group => serde_json::json!({ "members": ["alice"] }),
            _ => unreachable!("the tests need users and groups only"),
        };
        let (spec, _) = Spec::parse(kind, json).expect("a spec that is well formed");
        let now = self.time();
        let name = Name::new(name).expect("a name");
        Object { id: ObjectId::mint(kind, now, self), name, spec, version: 1, created_at: now, updated_at: now }
    }
}
