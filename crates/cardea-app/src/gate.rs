//! What the gateway may ask: who may join which session, and a way in.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use cardea_domain::{
    Actor, Admission, ClosedConnection, ConnectionId, Credential, EndNotice, Entry, Frame, Gate, GateRefusal, Grant,
    GrantState, Lease, Login, ObjectId, Observation, Order, Permit, Presence, Privilege, Secret, Session, SessionId,
    Stage, Status, Target, Verb, Word,
};
use cardea_store::Connection;
use futures_util::{StreamExt as _, stream, stream::BoxStream};
use serde_json::json;
use tokio::sync::watch;
use tracing::Instrument as _;

use crate::{
    App, AppError, SessionLocks,
    apply::key_body,
    certificate::signed_out,
    change::Note,
    cluster::is_placed_key,
    connect::{StillAsked, entry},
    own_key::{fingerprint_of, not_yours},
    sign_in::actor_of,
};

/// How long placing the gateway's key may take.
const KEY_LIMIT: Duration = Duration::from_secs(20);
/// The code of a refusal that may pass.
const LOCKED: &str = "locked";

/// Tells open connections what becomes of their session.
#[derive(Default)]
pub(crate) struct Doors {
    open: Mutex<HashMap<SessionId, Door>>,
    /// Why nothing passes on any of them, whatever their sessions say.
    shut: Mutex<Option<&'static str>>,
    /// Held by whoever places the gateway's key, or moves the expiries of what is placed.
    pub(crate) joining: SessionLocks,
}

/// A session's open connections: how to tell them, whose they are and what they were let in with.
struct Door {
    sender: watch::Sender<News>,
    user: ObjectId,
    credentials: Vec<Credential>,
    /// The newest version of the session that it was ruled by: what was read before says nothing any more.
    version: i64,
}

/// What a version of a session means for its open connections.
pub(crate) enum Ruling {
    /// Nothing passes, and why.
    Freeze(String),
    /// Everything passes.
    Thaw,
    /// They are cut, and why.
    Close(String),
}

/// What the connections of a session know. Whoever looks late sees the newest of each.
#[derive(Clone, Default)]
struct News {
    ended: Option<EndNotice>,
    /// Nothing passes, and why.
    frozen: Option<String>,
    /// The same for all connections of this node.
    shut: Option<&'static str>,
    /// The newest sentence that changes nothing else, and how many there were.
    said: Option<String>,
    count: u64,
}

impl Doors {
    /// A receiver that hears what becomes of the session.
    fn watch(&self, admission: &Admission) -> watch::Receiver<News> {
        let shut = self.shut.lock().unwrap_or_else(PoisonError::into_inner);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, door| door.sender.receiver_count() > 0);
        let door = open.entry(admission.session).or_insert_with(|| Door {
            sender: watch::Sender::new(News { shut: *shut, ..News::default() }),
            user: admission.user,
            credentials: Vec::new(),
            version: 0,
        });
        if !door.credentials.contains(&admission.credential) {
            door.credentials.push(admission.credential.clone());
        }
        door.sender.subscribe()
    }

    /// Cuts the connections of every session that was entered with something that is good no more.
    fn recheck(&self, holds: impl Fn(&Credential, ObjectId) -> bool) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let revoked = |door: &Door| !door.credentials.iter().all(|shown| holds(shown, door.user));
        for (_, door) in open.extract_if(|_, door| revoked(door)) {
            let sentence = "The key that this session was entered with is not registered any more.".to_owned();
            door.sender.send_modify(|news| news.ended = Some(EndNotice { sentence }));
        }
    }

    /// Cuts every connection of the session.
    pub(crate) fn close(&self, session: SessionId, sentence: &str) {
        let door = self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&session);
        if let Some(door) = door {
            let notice = EndNotice { sentence: sentence.to_owned() };
            door.sender.send_modify(|news| news.ended = Some(notice));
        }
    }

    /// The sessions that have open connections here.
    pub(crate) fn held(&self) -> Vec<SessionId> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, door| door.sender.receiver_count() > 0);
        open.keys().copied().collect()
    }

    /// Cuts every connection.
    pub(crate) fn close_all(&self, sentence: &str) {
        for session in self.held() {
            self.close(session, sentence);
        }
    }

    /// Lets nothing pass on any connection, also on those that are opened now, and says why; or, with `None`, what their sessions
    /// allow.
    pub(crate) fn shut(&self, sentence: Option<&'static str>) {
        let mut shut = self.shut.lock().unwrap_or_else(PoisonError::into_inner);
        *shut = sentence;
        for door in self.open.lock().unwrap_or_else(PoisonError::into_inner).values() {
            door.sender.send_modify(|news| news.shut = sentence);
        }
    }

    /// Whether nothing passes on any connection.
    pub(crate) fn are_shut(&self) -> bool {
        self.shut.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Does with the session's connections what its `version` means for them, unless a newer one was there before.
    pub(crate) fn rule(&self, session: SessionId, version: i64, ruling: Ruling) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(door) = open.get_mut(&session).filter(|door| version >= door.version) else { return };
        door.version = version;
        match ruling {
            Ruling::Freeze(sentence) => door.sender.send_modify(|news| news.frozen = Some(sentence)),
            Ruling::Thaw => door.sender.send_modify(|news| news.frozen = None),
            Ruling::Close(sentence) => {
                door.sender.send_modify(|news| news.ended = Some(EndNotice { sentence }));
                open.remove(&session);
            }
        }
    }

    /// Says something on the session's terminals.
    pub(crate) fn say(&self, session: SessionId, sentence: &str) {
        self.tell(session, |news| {
            news.said = Some(sentence.to_owned());
            news.count += 1;
        });
    }

    fn tell(&self, session: SessionId, change: impl FnOnce(&mut News)) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(door) = open.get(&session) {
            door.sender.send_modify(change);
        }
    }
}

#[async_trait]
impl Gate for App {
    async fn admit(&self, login: &Login) -> Result<Entry, GateRefusal> {
        let holders = self.holders(&login.credential)?;
        let first = *holders.first().ok_or_else(not_yours)?;
        let Ok(id) = login.user_name.parse::<SessionId>() else {
            self.must_be_let_in(first)?;
            let sentence = "log in with the id of an available session as user name: `ssh ses_…@gateway`, as the dashboard shows it";
            return Err(refusal("no-session", sentence));
        };
        let standing = self.session_and_standing(id, holders, login).await;
        let (session, stands, asked) = standing.map_err(|error| self.gate_failure(&error))?;
        // Of several who say that a key is theirs it is whose session is named.
        let user = session.as_ref().map_or(first, |session| session.user);
        self.must_be_let_in(user)?;
        if !stands {
            return Err(signed_out());
        }
        let session = session
            .ok_or_else(|| refusal("no-session", "you have no such session: copy the command from the dashboard"))?;
        self.check_open(&session)?;
        let admission = Admission {
            session: id,
            user,
            user_name: self.name_of(user),
            credential: login.credential.clone(),
            peer: login.peer,
        };
        entry(admission, asked)
    }

    async fn authority(&self) -> Option<String> {
        let key = self.authority_key().await;
        key.inspect_err(|error| tracing::error!(%error, "The authority's key cannot be had: no certificate is good"))
            .ok()
    }

    async fn redeem(&self, user_name: &str, typed: Secret, peer: SocketAddr) -> Result<Entry, GateRefusal> {
        if Self::is_launch_token(&typed) {
            return self.redeem_launch(user_name, typed, peer).await.map(Entry::Open);
        }
        self.enter_by_password(user_name, typed, peer).await
    }

    async fn show_factor(&self, half: &Admission, typed: Secret) -> Result<Admission, GateRefusal> {
        self.show_factor_to_connect(half, typed).await
    }

    async fn join(&self, admission: &Admission, public_key: &str) -> Result<Lease, GateRefusal> {
        // Joins of one session go one by one: the first places the key, the others find it.
        let _turn = self.0.doors.joining.lock(admission.session).await;
        // Before the session is read, so that an end in between is heard.
        let news = self.0.doors.watch(admission);
        self.prove_key(admission).await.map_err(|error| self.gate_failure(&error))?;
        let placed = self.ensure_key(admission, key_body(public_key)).await;
        let grant = placed.map_err(|error| self.gate_failure(&error))?;
        let (connection, session) =
            self.retried(|| self.connect(admission)).await.map_err(|error| self.gate_failure(&error))?;
        // What was read of it before it was open says nothing of this connection.
        self.0.doors.rule(session.id, session.version, Ruling::Thaw);
        Ok(Lease {
            connection,
            address: grant.target.address.clone(),
            port: grant.target.port,
            host_key: grant.target.host_key.clone().unwrap_or_default(),
            account: grant.account.name.clone(),
            end_at: session.end_at.unwrap_or_else(|| self.0.clock.now()),
            ended: Box::pin(heard(news.clone())),
            words: words(news),
        })
    }

    async fn over(&self, admission: &Admission) -> EndNotice {
        // Before the session is read, so that an end in between is heard.
        let news = self.0.doors.watch(admission);
        match self.session_for_join(admission).await {
            // One that is only locked may be joined later, and refuses until then.
            Ok(_) | Err(AppError::Unavailable(_) | AppError::Internal(_)) => heard(news).await,
            Err(AppError::Refused { code, .. }) if code == LOCKED => heard(news).await,
            Err(error) => EndNotice { sentence: self.gate_failure(&error).sentence },
        }
    }

    async fn reached(&self, connection: ConnectionId, source: SocketAddr) -> Result<(), GateRefusal> {
        let written = self.0.store.write(move |tx| {
            Box::pin(async move { tx.set_connection_source(connection, source).await.map_err(AppError::from) })
        });
        written.await.map_err(|error| self.gate_failure(&error))
    }

    async fn closed(&self, closed: ClosedConnection) {
        if let Err(error) = self.retried(|| self.disconnect(closed.clone())).await {
            tracing::error!(connection.id = %closed.connection, %error, "A closed connection could not be written down; it will be at the next start");
        }
    }
}

async fn heard(mut news: watch::Receiver<News>) -> EndNotice {
    match news.wait_for(|news| news.ended.is_some()).await {
        Ok(news) => news.ended.clone().unwrap_or_else(gone),
        Err(_) => gone(),
    }
}

/// What is new, as words. Begins with a freeze, if there is one already.
fn words(news: watch::Receiver<News>) -> BoxStream<'static, Word> {
    let known = News { count: news.borrow().count, ..News::default() };
    let next = |(mut news, mut known): (watch::Receiver<News>, News)| async move {
        loop {
            let newest = news.borrow_and_update().clone();
            if let Some(word) = newest.word_after(&mut known) {
                return Some((word, (news, known)));
            }
            news.changed().await.ok()?;
        }
    };
    stream::unfold((news, known), next).boxed()
}

impl News {
    fn why_frozen(&self) -> Option<&str> {
        self.frozen.as_deref().or(self.shut)
    }

    /// The first thing that is new since `known`, which learns it.
    fn word_after(&self, known: &mut Self) -> Option<Word> {
        if self.why_frozen() != known.why_frozen() {
            (known.frozen, known.shut) = (self.frozen.clone(), self.shut);
            let thawed = || Word::Thawed("the session is unlocked.".to_owned());
            return Some(self.why_frozen().map_or_else(thawed, |sentence| Word::Frozen(sentence.to_owned())));
        }
        if self.count > known.count {
            known.count = self.count;
            return self.said.clone().map(Word::Notice);
        }
        None
    }
}

fn gone() -> EndNotice {
    EndNotice { sentence: "The session is over.".to_owned() }
}

pub(crate) fn refusal(code: &'static str, sentence: impl Into<String>) -> GateRefusal {
    GateRefusal { code, sentence: sentence.into() }
}

impl App {
    /// Whose a credential is that can be shown again and again: of a key that nobody has shown yet, all who say that it is theirs.
    fn holders(&self, credential: &Credential) -> Result<Vec<ObjectId>, GateRefusal> {
        match credential {
            Credential::Certificate(certificate) => Ok(vec![self.certified(certificate)?]),
            Credential::Key(line) => {
                let holders = self.holders_of(key_body(line));
                if holders.is_empty() { Err(not_yours()) } else { Ok(holders) }
            }
            Credential::Password | Credential::Token => {
                Err(refusal(GateRefusal::WRONG_TOKEN, "what was typed is good for one connection"))
            }
        }
    }

    /// The session if it is of one of these, whether what its user shows for it still stands as far as only the store can tell, and what is asked for beside.
    async fn session_and_standing(
        &self,
        id: SessionId,
        holders: Vec<ObjectId>,
        login: &Login,
    ) -> Result<(Option<Session>, bool, StillAsked), AppError> {
        let (app, credential, peer) = (self.clone(), login.credential.clone(), login.peer.ip());
        let read = self.0.store.read(move |tx| {
            Box::pin(async move {
                let stands = match &credential {
                    Credential::Certificate(certificate) => app.certificate_stands(tx, certificate).await?,
                    Credential::Key(_) | Credential::Password | Credential::Token => true,
                };
                let session = tx.session(id).await?.filter(|session| holders.contains(&session.user));
                let asked = match &session {
                    Some(session) => app.still_asked(tx, session, &credential, peer).await?,
                    None => StillAsked::Nothing,
                };
                Ok((session, stands, asked))
            })
        });
        read.await
    }

    /// Whether the user may come in at all, whatever they show.
    pub(crate) fn must_be_let_in(&self, user: ObjectId) -> Result<(), GateRefusal> {
        self.keeps_out(user).map_or(Ok(()), |why| Err(refusal("kept-out", why)))
    }

    /// After a change of the configuration: who lost a key loses the connections that it opened.
    pub(crate) fn recheck_keys(&self) {
        // What was typed was good once: what becomes of its user afterwards ends their sessions.
        let holds = |credential: &Credential, user: ObjectId| match credential {
            Credential::Password | Credential::Token => true,
            Credential::Certificate(certificate) => self.bearer_of(certificate) == Some(user),
            Credential::Key(line) => self.holders_of(key_body(line)).contains(&user),
        };
        self.0.doors.recheck(holds);
    }

    /// Brings the session's open connections here to what the store says of it.
    pub(crate) fn judge_door(&self, session: &Session) {
        let ruling = match session.status {
            Status::Locked => {
                let (title, text) = session.lock.as_ref().map_or(("", ""), |lock| (&lock.title, &lock.text));
                Ruling::Freeze(locked_sentence(title, text))
            }
            Status::Available | Status::LoggedIn if session.end_at.is_some_and(|end| self.0.clock.now() < end) => {
                Ruling::Thaw
            }
            Status::Available | Status::LoggedIn => Ruling::Close("The session reached its end.".to_owned()),
            _ => {
                let reason = session.reason.as_ref().map_or("The session is over.", |reason| &reason.detail);
                Ruling::Close(reason.to_owned())
            }
        };
        self.0.doors.rule(session.id, session.version, ruling);
    }

    pub(crate) fn check_open(&self, session: &Session) -> Result<(), GateRefusal> {
        let why = |detail: &str| refusal("not-open", detail);
        let reason = session.reason.as_ref().map(|reason| reason.detail.as_str()).unwrap_or_default();
        match session.status {
            Status::Available | Status::LoggedIn if session.end_at.is_some_and(|end| self.0.clock.now() < end) => {
                Ok(())
            }
            Status::Available | Status::LoggedIn => Err(why("this session has reached its end: request a new one")),
            Status::Locked => {
                let (title, text) = session.lock.as_ref().map_or(("", ""), |lock| (&lock.title, &lock.text));
                Err(refusal(LOCKED, locked_sentence(title, text)))
            }
            Status::WaitingForApproval => Err(why("this session waits for approval: try again when it is available")),
            Status::Scheduled => Err(why("this session has not begun yet: try again at its start")),
            Status::Provisioning => Err(why("this session is still being provisioned: try again in a moment")),
            Status::Failed => Err(why(&format!("this session failed ({reason}): request a new one"))),
            Status::Canceling | Status::Completed | Status::Canceled | Status::Denied | Status::Expired => {
                Err(why(&format!("this session is over ({reason}): request a new one")))
            }
        }
    }

    pub(crate) fn gate_failure(&self, error: &AppError) -> GateRefusal {
        match error {
            AppError::Refused { sentence, .. } => refusal("refused", sentence.clone()),
            AppError::Throttled { retry_after } => {
                let seconds = retry_after.as_secs().max(1);
                refusal("throttled", format!("too many attempts were wrong: try again in {seconds} seconds"))
            }
            AppError::Conflict | AppError::NotFound | AppError::Denied(_) => {
                refusal("not-open", "this session is over: request a new one")
            }
            other => {
                tracing::error!(error = %other, "The gateway could not open a session");
                refusal(
                    "failed",
                    "Cardea could not open this session just now: try again, and tell your administrator if it stays so",
                )
            }
        }
    }

    /// Makes sure that the gateway's key opens the login account. Each gateway process has its own key per session; keys
    /// of this node's former processes are taken away.
    async fn ensure_key(&self, admission: &Admission, public_key: &str) -> Result<Grant, AppError> {
        let (mut session, grants) = self.session_for_join(admission).await?;
        // One whose session was extended at another node meanwhile may end too early on the host.
        let key_is = |grant: &&Grant| {
            grant.expires_at >= session.end_at
                && matches!(&grant.privilege, Privilege::AuthorizedKey { public_key: known } if known == public_key)
        };
        if let Some(grant) = grants.iter().find(|grant| key_is(grant) && grant.state == GrantState::Placed) {
            return Ok(grant.clone());
        }
        let target = self.way_in(&session, &grants).await?;
        let ordinal = grants.iter().map(|grant| grant.ordinal + 1).max().unwrap_or(0);
        let id = session.id;
        let mut grant =
            self.planned(&session, ordinal, target, Privilege::AuthorizedKey { public_key: public_key.to_owned() });
        grant.state = GrantState::Placing;
        grant.before =
            Some(Observation { presence: Presence::Absent, detail: "a key that was made just now".to_owned() });
        (session, grant) = self.write_down_key(id, grant).await?;
        let frame = Frame { session: session.id, fence: session.fence, limit: KEY_LIMIT };
        let span = self.step_span(&session).await;
        let placed = self.0.linux.place(&grant.target, frame, &order(&grant)).instrument(span).await;
        match placed {
            Ok(_) => self.retried(|| self.key_placed(admission, grant.clone(), grants.clone())).await,
            Err(error) => {
                if let cardea_domain::ConnectorError::Superseded { seen } = error {
                    // For whoever comes next.
                    self.catch_up(id, seen).await?;
                }
                let what = "place the gateway's key";
                let failed = self.retried(|| self.not_placed(session.id, grant.clone(), what, error.to_string())).await;
                failed.and(Err(AppError::from(error)))
            }
        }
    }

    /// Where the person's account is, if the session has one and it is there.
    async fn way_in(&self, session: &Session, grants: &[Grant]) -> Result<Target, AppError> {
        if !session.rules.has_login || session.account.uid == 0 || !has_account(grants) {
            return Err(AppError::NotFound);
        }
        self.target_of_session(session, grants).await
    }

    async fn session_for_join(&self, admission: &Admission) -> Result<(Session, Vec<Grant>), AppError> {
        // What the client showed may have been taken from the user since.
        let still_good = match &admission.credential {
            Credential::Password | Credential::Token => Ok(()),
            shown @ (Credential::Certificate(_) | Credential::Key(_)) => self
                .holders(shown)
                .and_then(|holders| if holders.contains(&admission.user) { Ok(()) } else { Err(not_yours()) }),
        };
        still_good
            .and_then(|()| self.must_be_let_in(admission.user))
            .map_err(|no| AppError::refused(no.code, no.sentence))?;
        let (app, id, user) = (self.clone(), admission.session, admission.user);
        let credential = admission.credential.clone();
        let (session, grants) = self
            .0
            .store
            .read(move |tx| {
                Box::pin(async move {
                    if let Credential::Certificate(certificate) = &credential
                        && !app.certificate_stands(tx, certificate).await?
                    {
                        let no = signed_out();
                        return Err(AppError::refused(no.code, no.sentence));
                    }
                    let session =
                        tx.session(id).await?.filter(|session| session.user == user).ok_or(AppError::NotFound)?;
                    Ok::<_, AppError>((session, tx.grants_of(id).await?))
                })
            })
            .await?;
        self.check_open(&session).map_err(|no| AppError::refused(no.code, no.sentence))?;
        Ok((session, grants))
    }

    /// The ledger knows of the key, under a new fence, before the host does.
    async fn write_down_key(&self, id: SessionId, mut grant: Grant) -> Result<(Session, Grant), AppError> {
        let app = self.clone();
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let session = tx.raise_fence(id).await?;
                    app.check_open(&session).map_err(|no| AppError::refused(no.code, no.sentence))?;
                    let end = session.end_at.unwrap_or_else(|| app.0.clock.now());
                    grant.expires_at = Some(end.plus(Session::EXPIRY_MARGIN));
                    tx.insert_grants(std::slice::from_ref(&grant)).await?;
                    tx.insert_gateway_key(grant.id, id, &app.0.node).await?;
                    app.announce_grants(tx, &session, std::slice::from_ref(&grant));
                    Ok::<_, AppError>((session, grant))
                })
            })
            .await
    }

    async fn key_placed(&self, admission: &Admission, mut grant: Grant, known: Vec<Grant>) -> Result<Grant, AppError> {
        let (app, id) = (self.clone(), admission.session);
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let mut session = tx.session(id).await?.ok_or(AppError::NotFound)?;
                    if !session.status.is_open() {
                        // The end came first and has turned this grant towards removal.
                        return Err(AppError::NotFound);
                    }
                    let now = app.0.clock.now();
                    grant.state = GrantState::Placed;
                    grant.placed_at = Some(now);
                    let mut changed = vec![grant.clone()];
                    let owners = tx.gateway_keys_of(id).await?;
                    for mut old in known {
                        // Another node's stays: its people come in with it.
                        let is_ours = owners.get(&old.id).is_none_or(|node| *node == app.0.node);
                        if is_ours && is_placed_key(&old) {
                            old.state = GrantState::Removing;
                            session.wake_at = Some(now);
                            changed.push(old);
                        }
                    }
                    for grant in &changed {
                        tx.save_grant(grant).await?;
                    }
                    app.announce_grants(tx, &session, &changed);
                    let permit = Permit::ask(&Actor::Gateway, Verb::DriveSession)?;
                    let note = Note::info(Stage::Session, "Placed the gateway's key on the login account")
                        .with(json!({ "grant": grant.id }));
                    app.save_session(tx, &permit, &mut session, note).await?;
                    let waker = app.clone();
                    tx.after_commit(Box::new(move || waker.nudge()));
                    Ok(grant)
                })
            })
            .await
    }

    /// What could not be placed beside the engine may or may not be on the host: the engine takes it away.
    pub(crate) async fn not_placed(
        &self,
        id: SessionId,
        mut grant: Grant,
        what: &'static str,
        error: String,
    ) -> Result<(), AppError> {
        let app = self.clone();
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let mut session = tx.session(id).await?.ok_or(AppError::NotFound)?;
                    if !session.status.is_open() {
                        return Ok(());
                    }
                    grant.state = GrantState::Removing;
                    grant.last_error = Some(error.clone());
                    tx.save_grant(&grant).await?;
                    app.announce_grants(tx, &session, std::slice::from_ref(&grant));
                    session.wake_at = Some(app.0.clock.now());
                    let permit = Permit::ask(&Actor::Gateway, Verb::DriveSession)?;
                    let note = Note::error(Stage::Session, format!("Could not {what}: {error}"));
                    app.save_session(tx, &permit, &mut session, note).await?;
                    let waker = app.clone();
                    tx.after_commit(Box::new(move || waker.nudge()));
                    Ok(())
                })
            })
            .await
    }

    /// Counts the person as logged in.
    async fn connect(&self, admission: &Admission) -> Result<(ConnectionId, Session), AppError> {
        let (app, admission) = (self.clone(), admission.clone());
        let now = self.0.clock.now();
        let id = ConnectionId::mint(now, &*self.0.entropy);
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let mut session = tx.session(admission.session).await?.ok_or(AppError::NotFound)?;
                    session.logged_in()?;
                    let row = Connection {
                        id,
                        session: session.id,
                        user: admission.user,
                        peer: admission.peer.to_string(),
                        node: Some(app.0.node.clone()),
                        direct: false,
                        source: None,
                        opened_at: now,
                        closed_at: None,
                        close_reason: None,
                    };
                    tx.insert_connection(&row).await?;
                    if let Credential::Key(line) = &admission.credential {
                        tx.touch_key(&fingerprint_of(line), now).await?;
                    }
                    let user = app.configuration().get(admission.user).cloned().ok_or(AppError::NotFound)?;
                    let permit = Permit::for_session(
                        &actor_of(&app.configuration(), &user, admission.via())?,
                        Verb::Connect,
                        &session,
                    )?;
                    let note = Note::info(
                        Stage::Session,
                        format!("{} connected from {}", admission.user_name, admission.peer),
                    )
                    .with(json!({ "connection": id }));
                    app.save_session(tx, &permit, &mut session, note).await?;
                    Ok((id, session))
                })
            })
            .await
    }

    async fn disconnect(&self, closed: ClosedConnection) -> Result<(), AppError> {
        let app = self.clone();
        let now = self.0.clock.now();
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let Some(id) = tx.close_connection(closed.connection, now, closed.reason).await? else {
                        return Ok(());
                    };
                    let mut session = tx.session(id).await?.ok_or(AppError::NotFound)?;
                    if tx.open_connections(id).await? == 0 {
                        session.logged_out(now);
                    }
                    let permit = Permit::ask(&Actor::Gateway, Verb::DriveSession)?;
                    let note = Note::info(Stage::Session, format!("A connection was closed ({})", closed.reason))
                        .with(json!({ "connection": closed.connection }));
                    app.save_session(tx, &permit, &mut session, note).await.map_err(AppError::from)
                })
            })
            .await
    }

    /// Connections of a node that is gone, or of this one's former process, are over, and so are the log-ins that they stood
    /// for. With `beats` the node is given up, unless it gave a sign of life since: whether it was.
    pub(crate) async fn close_connections_of(&self, node: String, beats: Option<i64>) -> Result<bool, AppError> {
        let app = self.clone();
        let now = self.0.clock.now();
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    if let Some(beats) = beats
                        && !tx.delete_node(&node, beats).await?
                    {
                        return Ok(false);
                    }
                    let permit = Permit::ask(&Actor::Gateway, Verb::DriveSession)?;
                    for id in tx.close_connections_of(&node, now, "gateway_gone").await? {
                        let mut session = tx.session(id).await?.ok_or(AppError::NotFound)?;
                        if tx.open_connections(id).await? == 0 {
                            session.logged_out(now);
                        }
                        let sentence = format!("The gateway of {node} was stopped: connections through it were cut");
                        app.save_session(tx, &permit, &mut session, Note::warn(Stage::Session, sentence)).await?;
                    }
                    Ok(true)
                })
            })
            .await
    }
}

/// Whether the account is there that the session works with. The user's own has no grant.
fn has_account(grants: &[Grant]) -> bool {
    let mut made = grants.iter().filter(|grant| grant.privilege.is_account()).peekable();
    made.peek().is_none() || made.any(|grant| grant.state == GrantState::Placed)
}

/// What somebody reads who meets the lock of a session.
pub(crate) fn locked_sentence(title: &str, text: &str) -> String {
    let said: Vec<_> = [title, text].into_iter().filter(|part| !part.is_empty()).collect();
    if said.is_empty() {
        return "this session is locked by an administrator".to_owned();
    }
    format!("this session is locked by an administrator ({})", said.join(": "))
}

/// What a connector is told about a grant.
pub(crate) fn order(grant: &Grant) -> Order {
    Order {
        // What the host carries: another session's mark where both hold the same.
        grant: grant.mark,
        token: grant.token.clone(),
        account: grant.account.clone(),
        privilege: grant.privilege.clone(),
        // Placing sets it; a grant that never began has nothing on the target that could expire.
        expires_at: grant.expires_at.unwrap_or(cardea_domain::Timestamp::from_micros(0)),
    }
}
