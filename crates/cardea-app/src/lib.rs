//! Use cases and the engine: what Cardea does, without HTTP, SQL text or ciphers.
//!
//! [`App`] is the one door. Each use case loads, asks for a permit, moves the domain's types and saves them in one unit
//! of work that also writes the session-log line, the audit entry and the event. No unit of work is open while the
//! network is used.

mod alert;
mod apply;
mod approval;
mod certificate;
mod change;
mod cluster;
mod connect;
mod device;
mod directory;
mod engine;
mod error;
mod escalation;
mod event;
mod explain;
mod extension;
mod factor;
mod fresh;
mod gate;
mod grant;
mod ground;
mod idempotency;
mod identity;
mod invitation;
mod keyring;
mod launch;
mod lock;
mod metrics;
mod my;
mod notice;
mod object;
mod openid;
mod outbox;
mod own_key;
mod pace;
mod passkey;
mod password;
mod plan;
mod question;
mod request;
mod retry;
mod reveal;
mod review;
mod second_step;
mod service;
mod session;
mod set_up;
mod sign_in;
mod sign_in_list;
mod throttle;
mod token;
mod trace;
mod trust;
mod uids;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use cardea_domain::{
    Actor, Clock, Configuration, Connector, Entropy, GrantId, Permission, Reach, Scope, Secret, SecretId, SessionId,
    Timestamp, Verb,
};
use cardea_store::{AuditEntry, Installation, Outcome, Store};
use cardea_vault::{Authority, Vault};
use tokio::sync::{Notify, OnceCell, Semaphore};

pub use apply::{Applied, ApplyOptions, Change, Document, FieldChange, What};
pub use approval::Approve;
pub use cardea_store::{
    Connection, NoticeFigures, NoticeRow, PasskeyRow, ReviewRow, SignInRow, SortKey, StandingLock, TokenRow, View,
};
pub use cardea_vault::RelyingParty;
pub use certificate::{CERTIFICATE_LASTS, NewCertificate};
pub use device::Device;
pub use directory::{AwayUser, DirectoryState, Synced};
pub use error::AppError;
pub use event::{Alert, Event, Subscription};
pub use explain::{Explained, ExplainedPolicy, Explanation, Question};
pub use factor::{Enrolment, Factors, RecoveryCodes};
pub use fresh::{Lack, Present, SignInState};
pub use grant::OutGrant;
pub use identity::Person;
pub use invitation::Invited;
pub use keyring::Keyring;
pub use launch::Launch;
pub use lock::Message as LockMessage;
pub use metrics::{DirectoryFigures, Figures, StepTimes};
pub use my::{MyActivity, Way};
pub use openid::{Arrival, Arrived, Departure, TRIP_LASTS, TripPlan, WayIn};
pub use outbox::{NoticePage, Outlets, TemplateFault, Templates, Webhook, WebhookKey};
pub use own_key::SshKey;
pub use passkey::PasskeyAnswer;
pub use question::AskedPasskey;
pub use request::NewRequest;
pub use reveal::Revealed;
pub use review::ReviewState;
pub use second_step::Shown;
pub use session::{Page, SessionDetail, SessionQuery};
pub use sign_in::{SignInSettings, SignInStep, SignedIn};
pub use token::{NewToken, TokenWish};

/// The product. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct App(Arc<Inner>);

/// What an [`App`] is built from.
pub struct Parts {
    pub store: Store,
    pub vault: Arc<Vault>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// Works on Linux hosts.
    pub linux: Arc<dyn Connector>,
    /// This process among those that work on the same store: the same name after a restart.
    pub node: String,
    /// How long sign-ins last, and who must show a second factor.
    pub sign_in: SignInSettings,
}

struct Inner {
    store: Store,
    node: String,
    keyring: Keyring,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    linux: Arc<dyn Connector>,
    hub: event::Hub,
    configuration: RwLock<Arc<Configuration>>,
    /// Held while the configuration is being changed: one change at a time.
    changing: tokio::sync::Mutex<()>,
    throttle: throttle::Throttle,
    /// Passwords that were shown lately.
    reveals: pace::Pace,
    sign_in: SignInSettings,
    /// Password hashes being computed; each takes 19 MiB and a core.
    hashing: Arc<Semaphore>,
    /// Those, and the passwords that wait for their turn.
    hashing_places: Arc<Semaphore>,
    hashing_lines: password::Lines,
    /// Wakes the engine.
    nudge: Arc<Notify>,
    /// Wakes workers that wait for a script: something may be due.
    stir: Notify,
    #[cfg(test)]
    attending: engine::meanwhile::Attending,
    /// What it is handed without being asked.
    handover: engine::handover::Handover,
    /// Whose turn it is on which host.
    turns: engine::turn::Turns,
    /// Wakes the part of it that asks hosts.
    host_nudge: Notify,
    metrics: metrics::Metrics,
    doors: gate::Doors,
    /// What is told outside.
    outbox: outbox::Outbox,
    /// The keys that people registered themselves.
    own_keys: own_key::OwnKeys,
    /// Certifies people's keys, once it was needed.
    authority: OnceCell<Arc<Authority>>,
    uids: uids::Uids,
    log_ins: service::LogIns,
    /// Users and resources that are locked as a whole, as the store has them.
    locks: lock::Standing,
    /// What changed since sessions were last judged.
    ground: ground::Ground,
    /// What is known of the other nodes.
    cluster: cluster::Cluster,
    trust: trust::Trust,
    /// What asks directories of people.
    directories: directory::Asked,
    /// What asks identity providers.
    openid: openid::Asked,
}

impl App {
    /// The id of this installation: made and stored when the store is new.
    pub async fn installation(store: &Store, clock: &dyn Clock, entropy: &dyn Entropy) -> Result<String, AppError> {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes);
        let fresh =
            Installation { id: bytes.iter().map(|byte| format!("{byte:02x}")).collect(), created_at: clock.now() };
        store
            .write(move |tx| {
                Box::pin(async move {
                    if let Some(known) = tx.installation().await? {
                        return Ok(known.id);
                    }
                    tx.insert_installation(&fresh).await?;
                    Ok(fresh.id)
                })
            })
            .await
    }

    /// Loads the configuration, closes the connections of this node's former process and forgets retired secrets that nothing
    /// needs any more. Spawns nothing.
    pub async fn open(parts: Parts) -> Result<Self, AppError> {
        let Parts { store, vault, clock, entropy, linux, node, sign_in } = parts;
        let installation = Self::installation(&store, &*clock, &*entropy).await?;
        let mut epoch = [0; 8];
        entropy.fill(&mut epoch);
        let nudge = Arc::new(Notify::new());
        let app = Self(Arc::new(Inner {
            keyring: Keyring::new(store.clone(), vault, installation),
            store,
            node,
            clock,
            entropy,
            linux,
            hub: event::Hub::new(epoch.iter().map(|byte| format!("{byte:02x}")).collect()),
            configuration: RwLock::default(),
            changing: tokio::sync::Mutex::new(()),
            throttle: throttle::Throttle::default(),
            reveals: pace::Pace::default(),
            hashing: Arc::new(Semaphore::new(sign_in.hashes_at_once.max(1))),
            hashing_places: Arc::new(Semaphore::new(password::WAITING_MAX)),
            hashing_lines: password::Lines::default(),
            sign_in,
            nudge: nudge.clone(),
            stir: Notify::new(),
            #[cfg(test)]
            attending: engine::meanwhile::Attending::default(),
            handover: engine::handover::Handover::default(),
            turns: engine::turn::Turns::new(nudge),
            host_nudge: Notify::new(),
            metrics: metrics::Metrics::default(),
            doors: gate::Doors::default(),
            outbox: outbox::Outbox::default(),
            own_keys: own_key::OwnKeys::default(),
            authority: OnceCell::new(),
            uids: uids::Uids::default(),
            log_ins: service::LogIns::default(),
            locks: lock::Standing::default(),
            ground: ground::Ground::default(),
            cluster: cluster::Cluster::default(),
            trust: trust::Trust::default(),
            directories: directory::Asked::default(),
            openid: openid::Asked::default(),
        }));
        app.reload().await?;
        app.look_around().await?;
        app.retried(|| app.close_connections_of(app.0.node.clone(), None)).await?;
        app.0
            .store
            .write(|tx| Box::pin(async move { tx.purge_retired_secrets().await.map_err(AppError::from) }))
            .await?;
        Ok(app)
    }

    /// Whether other nodes work on the same store: what is changed here is told to them from the start.
    async fn look_around(&self) -> Result<(), AppError> {
        let nodes = self.0.store.read(|tx| Box::pin(async move { tx.nodes().await })).await?;
        self.0.store.set_shared(nodes.iter().any(|node| node.name != self.0.node));
        Ok(())
    }

    /// The gateway's host key: at every node the same. Kept sealed in the store, and made with `make` if there is none.
    pub async fn gateway_host_key(&self, make: impl FnOnce() -> Secret) -> Result<Secret, AppError> {
        let find = || self.0.store.read(|tx| Box::pin(async move { tx.gateway_host_key().await }));
        let mut known = find().await?;
        if known.is_none() {
            let id = SecretId::mint(self.0.clock.now(), &*self.0.entropy);
            let sealed = self.0.keyring.seal_host_key(id, &make());
            let keep = self
                .0
                .store
                .write(move |tx| Box::pin(async move { tx.keep_gateway_host_key(&id.to_string(), &sealed).await }));
            keep.await?;
            // Another node may have been first.
            known = find().await?;
        }
        let (id, sealed) = known.ok_or_else(|| AppError::Internal("the gateway's host key was not kept".to_owned()))?;
        self.0.keyring.open_host_key(&id, &sealed).map_err(AppError::Internal)
    }

    /// The name of this node.
    pub fn node(&self) -> &str {
        &self.0.node
    }

    /// Whether requests can be taken: the store answers, and what is known here is what it has.
    pub async fn ready(&self) -> Result<(), AppError> {
        if !self.judge_trust() {
            return Err(AppError::Unavailable("this node does not know what its database has".to_owned()));
        }
        self.0.store.read(|tx| Box::pin(async move { tx.installation().await.map(drop).map_err(AppError::from) })).await
    }

    /// This moment, by the clock that everything here goes by.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// All configuration objects at this moment.
    pub fn configuration(&self) -> Arc<Configuration> {
        self.0.configuration.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Events from now on, or from behind the id `last`; only what the actor may see.
    pub fn subscribe(&self, actor: &Actor, last: Option<&str>) -> Subscription {
        let listener = |user| -> event::Listener {
            let (app, reach) = (self.clone(), actor.reach(Permission::SessionsSeeAll));
            let scopes: Vec<_> = match reach {
                Reach::Within(scopes) => scopes.into_iter().cloned().collect(),
                Reach::Nowhere | Reach::Everywhere => Vec::new(),
            };
            Box::new(move |audience| {
                let is_within = |scope: &Scope| {
                    audience.place.is_some_and(|(policy, resource)| scope.has(audience.owner, policy, resource))
                };
                let approves = |profile| app.configuration().names_approver(user, profile, audience.owner);
                audience.owner == user || audience.profile.is_some_and(approves) || scopes.iter().any(is_within)
            })
        };
        let only = if actor.sees_all() { None } else { actor.user_id().map(listener) };
        self.0.hub.subscribe(only, last)
    }

    /// Wakes the engine: something is due, or the clock was moved.
    pub fn nudge(&self) {
        self.0.nudge.notify_one();
        self.0.stir.notify_waiters();
        self.0.host_nudge.notify_one();
        self.0.outbox.nudge();
    }

    /// The mark that Cardea's things on targets carry for this grant: an HMAC that nobody else can make.
    fn ownership_token(&self, grant: GrantId) -> String {
        let digest = self.0.keyring.digest("grant", grant.to_string().as_bytes());
        digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Writes down that somebody was refused. The unit that refused was rolled back before; this is one of its own, so
    /// that it is kept. If even that fails it is logged: the refusal itself stands.
    async fn refused(&self, actor: &Actor, verb: Verb, subject: String, error: &AppError) {
        let entry = AuditEntry {
            id: self.mint_audit(),
            at: self.0.clock.now(),
            subject,
            outcome: Outcome::Refused,
            detail: serde_json::json!({ "code": error.code(), "detail": error.to_string() }),
        };
        let actor = actor.clone();
        let written =
            self.0.store.write(move |tx| Box::pin(async move { tx.record_refusal(&actor, verb, &entry).await }));
        if let Err(error) = written.await {
            tracing::error!(error = %error::with_causes(&error), "A refusal could not be written to the audit log");
        }
    }

    fn mint_audit(&self) -> String {
        format!(
            "aud_{}",
            cardea_domain::TokenId::mint(self.0.clock.now(), &*self.0.entropy).to_string().trim_start_matches("tok_")
        )
    }
}

/// Locks that exist only while somebody holds or waits for them, one per session.
#[derive(Default)]
pub(crate) struct SessionLocks(Mutex<HashMap<SessionId, Arc<tokio::sync::Mutex<()>>>>);

impl SessionLocks {
    pub(crate) async fn lock(&self, session: SessionId) -> tokio::sync::OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            locks.entry(session).or_default().clone()
        };
        lock.lock_owned().await
    }
}
