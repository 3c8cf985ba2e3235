//! What the gateway may ask: who may join which session, and a way in.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use cardea_domain::{
    Actor, Admission, ClosedConnection, ConnectionId, EndNotice, Frame, Gate, GateRefusal, Grant, GrantState, Kind,
    Lease, Login, Object, Observation, Order, Permit, Presence, Privilege, Session, SessionId, Stage, Status, Verb,
    Via,
};
use cardea_store::Connection;
use serde_json::json;
use tokio::sync::watch;

use crate::{App, AppError, SessionLocks, apply::key_body, change::Note, sign_in::actor_of};

/// How long placing the gateway's key may take.
const KEY_LIMIT: Duration = Duration::from_secs(20);

/// Tells open connections that their session is over.
#[derive(Default)]
pub(crate) struct Doors {
    open: Mutex<HashMap<SessionId, Door>>,
    joining: SessionLocks,
}

/// A session's open connections: how to tell them, and the keys that they were let in with.
struct Door {
    sender: watch::Sender<Option<EndNotice>>,
    keys: Vec<String>,
}

impl Doors {
    /// A receiver that hears when the session's connections must be cut.
    fn watch(&self, admission: &Admission) -> watch::Receiver<Option<EndNotice>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, door| door.sender.receiver_count() > 0);
        let door =
            open.entry(admission.session).or_insert_with(|| Door { sender: watch::channel(None).0, keys: Vec::new() });
        if !door.keys.contains(&admission.public_key) {
            door.keys.push(admission.public_key.clone());
        }
        door.sender.subscribe()
    }

    /// Cuts the connections of every session that was entered with a key that holds no more.
    fn recheck(&self, holds: impl Fn(&str) -> bool) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let revoked = |door: &Door| !door.keys.iter().all(|key| holds(key));
        for (_, door) in open.extract_if(|_, door| revoked(door)) {
            let sentence = "The key that this session was entered with is not registered any more.".to_owned();
            door.sender.send_replace(Some(EndNotice { sentence }));
        }
    }

    /// Cuts every connection of the session.
    pub(crate) fn close(&self, session: SessionId, sentence: &str) {
        let door = self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&session);
        if let Some(door) = door {
            door.sender.send_replace(Some(EndNotice { sentence: sentence.to_owned() }));
        }
    }
}

#[async_trait]
impl Gate for App {
    async fn admit(&self, login: &Login) -> Result<Admission, GateRefusal> {
        let user = self.user_by_key(&login.public_key)?;
        let id: SessionId = login.user_name.parse().map_err(|_| {
            refusal("no-session", "log in with the id of an available session as user name: `ssh ses_…@gateway`, as the dashboard shows it")
        })?;
        let session = self.0.store.read(move |tx| Box::pin(async move { tx.session(id).await })).await;
        let session = session.map_err(|error| self.gate_failure(&AppError::from(error)))?;
        let session = session
            .filter(|session| session.user == user.id)
            .ok_or_else(|| refusal("no-session", "you have no such session: copy the command from the dashboard"))?;
        self.check_open(&session)?;
        Ok(Admission {
            session: id,
            user: user.id,
            user_name: user.name.to_string(),
            public_key: login.public_key.clone(),
            peer: login.peer,
        })
    }

    async fn join(&self, admission: &Admission, public_key: &str) -> Result<Lease, GateRefusal> {
        // Joins of one session go one by one: the first places the key, the others find it.
        let _turn = self.0.doors.joining.lock(admission.session).await;
        // Before the session is read, so that an end in between is heard.
        let ended = self.0.doors.watch(admission);
        let placed = self.ensure_key(admission, key_body(public_key)).await;
        let grant = placed.map_err(|error| self.gate_failure(&error))?;
        let (connection, session) =
            self.retried(|| self.connect(admission)).await.map_err(|error| self.gate_failure(&error))?;
        Ok(Lease {
            connection,
            address: grant.target.address.clone(),
            port: grant.target.port,
            host_key: grant.target.host_key.clone().unwrap_or_default(),
            account: grant.account.name.clone(),
            end_at: session.end_at.unwrap_or_else(|| self.0.clock.now()),
            ended: Box::pin(heard(ended)),
        })
    }

    async fn closed(&self, closed: ClosedConnection) {
        if let Err(error) = self.retried(|| self.disconnect(closed.clone())).await {
            tracing::error!(connection.id = %closed.connection, %error, "A closed connection could not be written down; it will be at the next start");
        }
    }
}

async fn heard(mut ended: watch::Receiver<Option<EndNotice>>) -> EndNotice {
    match ended.wait_for(Option::is_some).await {
        Ok(notice) => notice.clone().unwrap_or_else(gone),
        Err(_) => gone(),
    }
}

fn gone() -> EndNotice {
    EndNotice { sentence: "The session is over.".to_owned() }
}

fn refusal(code: &'static str, sentence: impl Into<String>) -> GateRefusal {
    GateRefusal { code, sentence: sentence.into() }
}

impl App {
    fn user_by_key(&self, line: &str) -> Result<Object, GateRefusal> {
        let configuration = self.configuration();
        let holds = |user: &&Object| {
            user.as_user().is_some_and(|spec| spec.ssh_keys.iter().any(|key| key_body(key) == key_body(line)))
        };
        configuration.of(Kind::User).find(holds).cloned().ok_or_else(|| {
            refusal("unknown-key", "no user has registered this key: register it with your administrator, or log in with the one that you registered (`ssh -i FILE`)")
        })
    }

    /// After a change of the configuration: who lost a key loses the connections that it opened.
    pub(crate) fn recheck_keys(&self) {
        self.0.doors.recheck(|key| self.user_by_key(key).is_ok());
    }

    fn check_open(&self, session: &Session) -> Result<(), GateRefusal> {
        let why = |detail: &str| refusal("not-open", detail);
        let reason = session.reason.as_ref().map(|reason| reason.detail.as_str()).unwrap_or_default();
        match session.status {
            Status::Available | Status::LoggedIn if session.end_at.is_some_and(|end| self.0.clock.now() < end) => {
                Ok(())
            }
            Status::Available | Status::LoggedIn => Err(why("this session has reached its end: request a new one")),
            Status::Provisioning => Err(why("this session is still being provisioned: try again in a moment")),
            Status::Failed => Err(why(&format!("this session failed ({reason}): request a new one"))),
            Status::Canceling | Status::Completed | Status::Canceled => {
                Err(why(&format!("this session is over ({reason}): request a new one")))
            }
        }
    }

    fn gate_failure(&self, error: &AppError) -> GateRefusal {
        match error {
            AppError::Refused { sentence, .. } => refusal("refused", sentence.clone()),
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
    /// of former processes are taken away.
    async fn ensure_key(&self, admission: &Admission, public_key: &str) -> Result<Grant, AppError> {
        let (mut session, grants) = self.session_for_join(admission).await?;
        let key_is = |grant: &&Grant| matches!(&grant.privilege, Privilege::AuthorizedKey { public_key: known } if known == public_key);
        if let Some(grant) = grants.iter().find(|grant| key_is(grant) && grant.state == GrantState::Placed) {
            return Ok(grant.clone());
        }
        let account =
            grants.iter().find(|grant| grant.privilege == Privilege::Account && grant.state == GrantState::Placed);
        let target = account.map(|grant| grant.target.clone()).ok_or(AppError::NotFound)?;
        let ordinal = grants.iter().map(|grant| grant.ordinal + 1).max().unwrap_or(0);
        let now = self.0.clock.now();
        let mut grant =
            self.planned(&session, ordinal, target, Privilege::AuthorizedKey { public_key: public_key.to_owned() });
        grant.state = GrantState::Placing;
        grant.expires_at = Some(session.end_at.unwrap_or(now).plus(Session::EXPIRY_MARGIN));
        grant.before =
            Some(Observation { presence: Presence::Absent, detail: "a key that was made just now".to_owned() });
        self.write_down_key(&mut session, &grant).await?;
        let frame = Frame { session: session.id, fence: session.fence, limit: KEY_LIMIT };
        let placed = self.0.linux.place(&grant.target, frame, &order(&grant)).await;
        match placed {
            Ok(_) => self.retried(|| self.key_placed(admission, grant.clone(), grants.clone())).await,
            Err(error) => {
                let failed = self.retried(|| self.key_failed(session.id, grant.clone(), error.to_string())).await;
                failed.and(Err(AppError::from(error)))
            }
        }
    }

    async fn session_for_join(&self, admission: &Admission) -> Result<(Session, Vec<Grant>), AppError> {
        // The key may have been taken from the user since the client showed it.
        self.user_by_key(&admission.public_key).map_err(|no| AppError::refused(no.code, no.sentence))?;
        let (id, user) = (admission.session, admission.user);
        let (session, grants) = self
            .0
            .store
            .read(move |tx| {
                Box::pin(async move {
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
    async fn write_down_key(&self, session: &mut Session, grant: &Grant) -> Result<(), AppError> {
        let (app, grant, id) = (self.clone(), grant.clone(), session.id);
        let claimed = self
            .0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let session = tx.claim(id).await?;
                    app.check_open(&session).map_err(|no| AppError::refused(no.code, no.sentence))?;
                    tx.insert_grants(std::slice::from_ref(&grant)).await?;
                    app.announce_grants(tx, &session, std::slice::from_ref(&grant));
                    Ok::<_, AppError>(session)
                })
            })
            .await?;
        *session = claimed;
        Ok(())
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
                    for mut old in known {
                        if matches!(old.privilege, Privilege::AuthorizedKey { .. })
                            && matches!(old.state, GrantState::Placed | GrantState::Placing)
                        {
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

    /// The key may or may not be on the host: the engine takes it away.
    async fn key_failed(&self, id: SessionId, mut grant: Grant, error: String) -> Result<(), AppError> {
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
                    let note = Note::error(Stage::Session, format!("Could not place the gateway's key: {error}"));
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
                        peer: admission.peer,
                        opened_at: now,
                        closed_at: None,
                        close_reason: None,
                    };
                    tx.insert_connection(&row).await?;
                    let user = app.configuration().get(admission.user).cloned().ok_or(AppError::NotFound)?;
                    let permit = Permit::for_session(&actor_of(&user, Via::Key)?, Verb::Connect, &session)?;
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
                        session.logged_out();
                    }
                    let permit = Permit::ask(&Actor::Gateway, Verb::DriveSession)?;
                    let note = Note::info(Stage::Session, format!("A connection was closed ({})", closed.reason))
                        .with(json!({ "connection": closed.connection }));
                    app.save_session(tx, &permit, &mut session, note).await.map_err(AppError::from)
                })
            })
            .await
    }

    /// Connections of a process that is gone are over, and so are the log-ins that they stood for.
    pub(crate) async fn close_stale_connections(&self) -> Result<(), AppError> {
        let app = self.clone();
        let now = self.0.clock.now();
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let permit = Permit::ask(&Actor::Gateway, Verb::DriveSession)?;
                    for id in tx.close_stale_connections(now, "gateway_gone").await? {
                        let mut session = tx.session(id).await?.ok_or(AppError::NotFound)?;
                        session.logged_out();
                        let note = Note::warn(Stage::Session, "The gateway was restarted: open connections were cut");
                        app.save_session(tx, &permit, &mut session, note).await?;
                    }
                    Ok(())
                })
            })
            .await
    }
}

/// What a connector is told about a grant.
pub(crate) fn order(grant: &Grant) -> Order {
    Order {
        grant: grant.id,
        token: grant.token.clone(),
        account: grant.account.clone(),
        privilege: grant.privilege.clone(),
        // Placing sets it; a grant that never began has nothing on the target that could expire.
        expires_at: grant.expires_at.unwrap_or(cardea_domain::Timestamp::from_micros(0)),
    }
}
