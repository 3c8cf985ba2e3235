//! A gate that tests open and shut by hand, and that remembers who came through.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use cardea_domain::{
    Admission, ClosedConnection, ConnectionId, Credential, EndNotice, Entry, Gate, GateRefusal, Kind, Lease, Login,
    ObjectId, Secret, SessionId, Timestamp, Word,
};
use futures_util::{StreamExt as _, stream};
use tokio::sync::{broadcast, watch};

use crate::SeededEntropy;

/// A [`Gate`] without a product behind it.
pub struct FakeGate {
    sessions: Mutex<HashMap<SessionId, Open>>,
    /// Whose certificates are good.
    authority: Mutex<Option<String>>,
    /// One-time tokens, and what each opens.
    tokens: Mutex<HashMap<String, SessionId>>,
    /// Second factors, and the sessions that ask for one.
    factors: Mutex<HashMap<SessionId, String>>,
    factors_shown: AtomicUsize,
    joins: Mutex<Vec<Join>>,
    closed: Mutex<Vec<ClosedConnection>>,
    reached: Mutex<Vec<(ConnectionId, SocketAddr)>>,
    is_deaf: AtomicBool,
    ids: Arc<SeededEntropy>,
}

/// A session that somebody may join.
#[derive(Clone)]
pub struct FakeSession {
    /// The key that opens it, as one OpenSSH line without comment.
    pub user_key: String,
    pub address: String,
    pub port: u16,
    /// What the target must show.
    pub host_key: String,
    pub account: String,
    /// Lets the gateway's public key in to the account on the target. May block.
    pub authorize: Arc<dyn Fn(&str) + Send + Sync>,
}

/// One yes of [`Gate::join`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    pub session: SessionId,
    pub connection: ConnectionId,
    pub public_key: String,
}

struct Open {
    session: FakeSession,
    user: ObjectId,
    ended: watch::Sender<Option<EndNotice>>,
    words: broadcast::Sender<Word>,
}

/// The password of everybody whose session a [`FakeGate`] has. A second factor is asked for after it.
pub const EVERYBODYS_PASSWORD: &str = "the password of everybody";
/// More than a test says before a connection hears it.
const WORDS_MAX: usize = 16;

impl FakeGate {
    /// A gate without sessions.
    pub fn new() -> Arc<Self> {
        let ids = SeededEntropy::new(1);
        Arc::new(Self {
            sessions: Mutex::default(),
            authority: Mutex::default(),
            tokens: Mutex::default(),
            factors: Mutex::default(),
            factors_shown: AtomicUsize::new(0),
            joins: Mutex::default(),
            closed: Mutex::default(),
            reached: Mutex::default(),
            is_deaf: AtomicBool::new(false),
            ids,
        })
    }

    /// Opens a session.
    pub fn open(&self, session: FakeSession) -> SessionId {
        let id = SessionId::mint(NOW, &*self.ids);
        let user = ObjectId::mint(Kind::User, NOW, &*self.ids);
        lock(&self.sessions).insert(
            id,
            Open { session, user, ended: watch::Sender::new(None), words: broadcast::Sender::new(WORDS_MAX) },
        );
        id
    }

    /// Ends a session: open connections are cut with the sentence, and new ones are refused with it.
    pub fn end(&self, id: SessionId, sentence: &str) {
        let notice = EndNotice { sentence: sentence.to_owned() };
        lock(&self.sessions).get(&id).expect("the session was opened").ended.send_replace(Some(notice));
    }

    /// From now on certificates of this authority open the sessions of the account that is among their principals.
    pub fn trust(&self, authority: &str) {
        *lock(&self.authority) = Some(authority.to_owned());
    }

    /// From now on this token opens the session, once.
    pub fn give_token(&self, id: SessionId, token: &str) {
        lock(&self.tokens).insert(token.to_owned(), id);
    }

    /// From now on the session takes this second factor as well, for everybody but one-time tokens; any other is wrong.
    pub fn ask_for_factor(&self, id: SessionId, code: &str) {
        lock(&self.factors).insert(id, code.to_owned());
    }

    /// How many second factors were shown, right or wrong: a real one is used up by it.
    pub fn factors_shown(&self) -> usize {
        self.factors_shown.load(Ordering::Relaxed)
    }

    /// Says something to the open connections of a session.
    pub fn tell(&self, id: SessionId, word: Word) {
        lock(&self.sessions).get(&id).expect("the session was opened").words.send(word).expect("somebody is there");
    }

    /// From now on nobody can write down where connections come from.
    pub fn turn_deaf(&self) {
        self.is_deaf.store(true, Ordering::Relaxed);
    }

    /// Everybody that was let through, in order.
    pub fn joins(&self) -> Vec<Join> {
        lock(&self.joins).clone()
    }

    /// Where every connection that reached its target comes from, in order.
    pub fn reached(&self) -> Vec<(ConnectionId, SocketAddr)> {
        lock(&self.reached).clone()
    }

    /// Every connection that was reported as closed, in order.
    pub fn closed(&self) -> Vec<ClosedConnection> {
        lock(&self.closed).clone()
    }

    fn admission(&self, id: SessionId, session: &FakeSession, credential: Credential, peer: SocketAddr) -> Admission {
        let user = lock(&self.sessions).get(&id).expect("it was there").user;
        Admission { session: id, user, user_name: session.account.clone(), credential, peer }
    }

    fn ended(&self, id: SessionId) -> watch::Receiver<Option<EndNotice>> {
        lock(&self.sessions).get(&id).expect("it was there").ended.subscribe()
    }

    fn session(&self, id: SessionId) -> Result<FakeSession, GateRefusal> {
        let sessions = lock(&self.sessions);
        let open = sessions.get(&id).ok_or_else(no_session)?;
        let ended = open.ended.borrow();
        match &*ended {
            None => Ok(open.session.clone()),
            Some(notice) => Err(GateRefusal { code: "not-open", sentence: notice.sentence.clone() }),
        }
    }
}

#[async_trait]
impl Gate for FakeGate {
    async fn admit(&self, login: &Login) -> Result<Entry, GateRefusal> {
        let shown = |open: &FakeSession| match &login.credential {
            Credential::Certificate(certificate) => certificate.principals.contains(&open.account),
            shown => *shown == Credential::Key(open.user_key.clone()),
        };
        if !lock(&self.sessions).values().any(|open| shown(&open.session)) {
            let sentence = "this sentence is not for strangers".to_owned();
            return Err(GateRefusal { code: GateRefusal::UNKNOWN_KEY, sentence });
        }
        let id = login.user_name.parse().map_err(|_| no_session())?;
        let session = self.session(id)?;
        if !shown(&session) {
            return Err(no_session());
        }
        let admission = self.admission(id, &session, login.credential.clone(), login.peer);
        let asks = lock(&self.factors).contains_key(&id);
        Ok(if asks { Entry::Factor(admission) } else { Entry::Open(admission) })
    }

    async fn authority(&self) -> Option<String> {
        lock(&self.authority).clone()
    }

    async fn redeem(&self, user_name: &str, token: Secret, peer: SocketAddr) -> Result<Entry, GateRefusal> {
        let wrong = || GateRefusal { code: GateRefusal::WRONG_TOKEN, sentence: "this token opens nothing".to_owned() };
        let id: SessionId = user_name.parse().map_err(|_| wrong())?;
        if token.expose(|typed| typed == EVERYBODYS_PASSWORD) {
            return Ok(Entry::Factor(self.admission(id, &self.session(id)?, Credential::Password, peer)));
        }
        let opens = token.expose(|token| lock(&self.tokens).remove(token));
        if opens != Some(id) {
            return Err(wrong());
        }
        Ok(Entry::Open(self.admission(id, &self.session(id)?, Credential::Token, peer)))
    }

    async fn show_factor(&self, half: &Admission, typed: Secret) -> Result<Admission, GateRefusal> {
        self.factors_shown.fetch_add(1, Ordering::Relaxed);
        let right = typed.expose(|typed| lock(&self.factors).get(&half.session) == Some(typed));
        let wrong = || GateRefusal { code: GateRefusal::WRONG_FACTOR, sentence: "this code is wrong".to_owned() };
        if right { Ok(half.clone()) } else { Err(wrong()) }
    }

    async fn join(&self, admission: &Admission, public_key: &str) -> Result<Lease, GateRefusal> {
        let session = self.session(admission.session)?;
        let (authorize, key) = (Arc::clone(&session.authorize), public_key.to_owned());
        tokio::task::spawn_blocking(move || authorize(&key)).await.expect("the key can be placed");
        let connection = ConnectionId::mint(NOW, &*self.ids);
        let ended = self.ended(admission.session);
        let words = lock(&self.sessions).get(&admission.session).expect("it was there").words.subscribe();
        lock(&self.joins).push(Join { session: admission.session, connection, public_key: public_key.to_owned() });
        Ok(Lease {
            connection,
            address: session.address,
            port: session.port,
            host_key: session.host_key,
            account: session.account,
            end_at: NOW,
            ended: Box::pin(heard(ended)),
            words: stream::unfold(words, |mut words| async { Some((words.recv().await.ok()?, words)) }).boxed(),
        })
    }

    async fn over(&self, admission: &Admission) -> EndNotice {
        heard(self.ended(admission.session)).await
    }

    async fn reached(&self, connection: ConnectionId, source: SocketAddr) -> Result<(), GateRefusal> {
        lock(&self.reached).push((connection, source));
        if self.is_deaf.load(Ordering::Relaxed) {
            return Err(GateRefusal { code: "failed", sentence: "nobody could write it down".to_owned() });
        }
        Ok(())
    }

    async fn closed(&self, connection: ClosedConnection) {
        lock(&self.closed).push(connection);
    }
}

async fn heard(mut ended: watch::Receiver<Option<EndNotice>>) -> EndNotice {
    let notice = ended.wait_for(Option::is_some).await.expect("the gate outlives its connections");
    notice.clone().expect("it was waited for")
}

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

fn no_session() -> GateRefusal {
    GateRefusal { code: "no-session", sentence: "you have no such session: copy the command again".to_owned() }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
