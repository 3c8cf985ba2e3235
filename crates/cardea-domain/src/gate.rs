//! The port between a gateway and the product: all that a gateway may ask.

use std::net::SocketAddr;

use async_trait::async_trait;
use futures_core::{future::BoxFuture, stream::BoxStream};

use crate::{ConnectionId, ObjectId, Secret, SessionId, Timestamp, Via};

/// What a client shows before it is let in.
#[derive(Clone, Debug)]
pub struct Login {
    /// The user name of the SSH client: a session's id.
    pub user_name: String,
    /// What it offers to prove.
    pub credential: Credential,
    pub peer: SocketAddr,
}

/// By what a client is known to be somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A certificate that Cardea's own authority signed, as the gateway has found out. Good while the product says so.
    Certificate(Certificate),
    /// The password of the session's user. It was right; it never opens anything without a second factor.
    Password,
    /// A public key that a user registered, as one OpenSSH line. Good for as long as it is registered.
    Key(String),
    /// A one-time token. It was good once.
    Token,
}

/// What a certificate says that Cardea's own authority signed for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    pub key_id: String,
    /// The key that it is for, as one OpenSSH line.
    pub public_key: String,
    pub principals: Vec<String>,
    pub valid_after: Timestamp,
    /// From then on it is good no more.
    pub valid_before: Timestamp,
}

/// A yes to a [`Login`]. Holds until the session ends; the way in is asked for with [`Gate::join`].
#[derive(Clone, Debug)]
pub struct Admission {
    pub session: SessionId,
    pub user: ObjectId,
    pub user_name: String,
    /// What it was given for: it holds only while that is good.
    pub credential: Credential,
    pub peer: SocketAddr,
}

impl Admission {
    /// What the user is known by.
    pub fn via(&self) -> Via {
        match self.credential {
            Credential::Certificate(_) => Via::Certificate,
            Credential::Key(_) => Via::Key,
            Credential::Password => Via::Password,
            Credential::Token => Via::Launch,
        }
    }
}

/// How far somebody is who has shown something right.
#[derive(Clone, Debug)]
pub enum Entry {
    /// They may come in.
    Open(Admission),
    /// They have to show a second factor first: until then the admission is good for [`Gate::show_factor`] and nothing else.
    Factor(Admission),
}

/// A no, with a sentence for the person that says why and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct GateRefusal {
    /// Stable code, for logs.
    pub code: &'static str,
    pub sentence: String,
}

impl GateRefusal {
    /// The code of a refusal because nobody has registered the key. The gateway then says nothing of the sentence, so
    /// that a stranger learns nothing; every other sentence it tells to whoever has proven the key.
    pub const UNKNOWN_KEY: &str = "unknown-key";
    /// The code of a refusal because of a wrong token or password. The sentence is the same whatever is wrong with it.
    pub const WRONG_TOKEN: &str = "wrong-token";
    /// The code of a refusal because of a wrong second factor: another may be right.
    pub const WRONG_FACTOR: &str = "wrong-factor";
}

/// A way in to the target, for one connection.
pub struct Lease {
    pub connection: ConnectionId,
    pub address: String,
    pub port: u16,
    /// One OpenSSH public-key line: the only key the target may show.
    pub host_key: String,
    /// The login account's name.
    pub account: String,
    pub end_at: Timestamp,
    /// Resolves when the connection must be cut, with what to tell the person.
    pub ended: BoxFuture<'static, EndNotice>,
    /// What else the connection must hear while it lasts. Begins with [`Word::Frozen`] if it is so already.
    pub words: BoxStream<'static, Word>,
}

/// Something that an open connection hears, with a sentence for the person. Sentences are shown on terminals only: in
/// the stream of a command they would be read as its output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// From now on nothing passes in either direction.
    Frozen(String),
    /// Something that the person should know.
    Notice(String),
    /// Everything passes again.
    Thawed(String),
}

/// Why a lease ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndNotice {
    /// A sentence for the person.
    pub sentence: String,
}

/// What the gateway reports when a connection is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedConnection {
    pub connection: ConnectionId,
    /// `client`, `target`, `session_ended`, `gateway_stopping` or `error`.
    pub reason: &'static str,
}

/// The product, as a gateway sees it. Implemented by cardea-app, and by a fake in cardea-testkit.
#[async_trait]
pub trait Gate: Send + Sync {
    /// Whether this login may join the session that it names. Asked before the client proved that it holds the key,
    /// and again after: the answer must not change anything.
    async fn admit(&self, login: &Login) -> Result<Entry, GateRefusal>;

    /// The key of the authority whose certificates are good, as one OpenSSH line. None if there is none at the moment.
    async fn authority(&self) -> Option<String>;

    /// Whether what somebody typed opens the session that the user name names: a one-time token, which is used up, or the password
    /// of the session's user. Asked once for each time that somebody types something.
    async fn redeem(&self, user_name: &str, typed: Secret, peer: SocketAddr) -> Result<Entry, GateRefusal>;

    /// Whether this is a second factor of the user, who has shown the first. Uses it up: asked once for each time that somebody
    /// types one.
    async fn show_factor(&self, half: &Admission, typed: Secret) -> Result<Admission, GateRefusal>;

    /// Opens a connection: places `public_key` (the gateway's own, its private half only in its memory) on the login
    /// account and counts the person as logged in until [`Gate::closed`].
    async fn join(&self, admission: &Admission, public_key: &str) -> Result<Lease, GateRefusal>;

    /// Waits until the session of an admission that did not join is over.
    async fn over(&self, admission: &Admission) -> EndNotice;

    /// Reports the gateway's own end of its connection to the target: how the target sees where it comes from, unless
    /// somebody in between translates addresses. It is asked for before the gateway logs in there, and waited for: whoever looks
    /// at the target then takes no connection of the gateway's for somebody else's. After a no the gateway does not log in.
    async fn reached(&self, connection: ConnectionId, source: SocketAddr) -> Result<(), GateRefusal>;

    /// Reports that a connection opened by [`Gate::join`] is over.
    async fn closed(&self, connection: ClosedConnection);
}
