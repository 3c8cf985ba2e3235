//! One connection from the first byte to the last: who waits for whom, and who ends it.
//!
//! Nobody counts as logged in before [`Gate::join`] said so, and each yes of it is followed by exactly one
//! [`Gate::closed`], whatever happens in between.
//!
//! [`Gate::join`]: cardea_domain::Gate::join
//! [`Gate::closed`]: cardea_domain::Gate::closed

use std::{
    convert::Infallible,
    future::pending,
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use cardea_domain::{Admission, ClosedConnection, ConnectionId, EndNotice, Lease, Word};
use futures_util::{
    FutureExt, StreamExt as _,
    future::{Fuse, FusedFuture},
    stream::BoxStream,
};
use russh::{
    Disconnect,
    keys::PrivateKey,
    server::{self, RunningSession},
};
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, error, info};

use crate::{
    Limits,
    crowd::{Place, Seat},
    door::Door,
    gateway::Shared,
    hold::{Hold, Holder},
    key::public_line,
    line::Line,
    target::{Host, Target},
    words::plain,
};

/// When the session ends, the last words take at most this long: everything is cut within a second.
const CUT_MAX: Duration = Duration::from_millis(300);
/// When there is no way to the target, a slow client gets this long to hear why.
const EXPLAIN_MAX: Duration = Duration::from_secs(10);
/// For a client to leave by itself, and again after it was told to.
const LEAVE_MAX: Duration = Duration::from_millis(150);

/// A connection that was just accepted.
pub(crate) struct Arrival {
    pub(crate) socket: TcpStream,
    pub(crate) peer: SocketAddr,
    pub(crate) place: Place,
    pub(crate) stop: CancellationToken,
}

/// What the door, the channels and the connection itself share.
pub(crate) struct Visit {
    pub(crate) peer: SocketAddr,
    /// The tasks of the open channels.
    pub(crate) channels: TaskTracker,
    admission: OnceLock<(Admission, Seat)>,
    is_half_known: CancellationToken,
    is_admitted: CancellationToken,
    is_target_wanted: CancellationToken,
    way: watch::Sender<Way>,
    holder: Holder,
}

/// The way to the target.
#[derive(Clone)]
pub(crate) enum Way {
    Opening,
    Open(Arc<Target>),
    /// For good, and why.
    Shut(Arc<str>),
}

impl Visit {
    fn new(peer: SocketAddr) -> Self {
        Self {
            peer,
            channels: TaskTracker::new(),
            admission: OnceLock::new(),
            is_half_known: CancellationToken::new(),
            is_admitted: CancellationToken::new(),
            is_target_wanted: CancellationToken::new(),
            way: watch::Sender::new(Way::Opening),
            holder: Holder::new(),
        }
    }

    /// The person has proven who they are.
    pub(crate) fn admit(&self, admission: Admission, seat: Seat) {
        self.admission.get_or_init(|| (admission, seat));
        self.is_admitted.cancel();
    }

    /// The person has shown one thing and is to show another.
    pub(crate) fn wait_for_factor(&self) {
        self.is_half_known.cancel();
    }

    /// A channel was opened.
    pub(crate) fn want_target(&self) {
        self.is_target_wanted.cancel();
    }

    pub(crate) fn way(&self) -> watch::Receiver<Way> {
        self.way.subscribe()
    }

    pub(crate) fn hold(&self) -> Hold {
        self.holder.hold()
    }

    /// Waits until the session is over to which somebody was admitted who has not joined it.
    async fn over(&self, shared: &Shared) -> EndNotice {
        match self.admission.get() {
            Some((admission, _)) => shared.gate.over(admission).await,
            None => pending().await,
        }
    }
}

/// Why a connection is over.
struct Parting {
    reason: &'static str,
    sentence: String,
    /// How long its channels may take to say so.
    limit: Duration,
}

impl Parting {
    fn stopping() -> Self {
        let sentence = "the gateway is stopping. Log in again in a minute.".to_owned();
        Self { reason: "gateway_stopping", sentence, limit: CUT_MAX }
    }

    fn ended(notice: EndNotice) -> Self {
        Self { reason: ENDED, sentence: notice.sentence, limit: CUT_MAX }
    }

    fn client_left() -> Self {
        Self { reason: "client", sentence: String::new(), limit: CUT_MAX }
    }

    fn explained(reason: &'static str, sentence: String) -> Self {
        Self { reason, sentence, limit: EXPLAIN_MAX }
    }
}

/// The client's side of a connection whose handshake is done.
struct Person {
    handle: server::Handle,
    over: Fuse<RunningSession<Door>>,
}

impl Person {
    /// Waits until the client is gone. Never comes back a second time.
    async fn left(&mut self) {
        let _how = (&mut self.over).await;
    }

    /// Sees the client off. One whose channels are closed leaves by itself; told to at once, `ssh` would drop the last
    /// words that it has not shown yet.
    async fn send_off(&mut self, sentence: &str) {
        if self.over.is_terminated() || timeout(LEAVE_MAX, self.left()).await.is_ok() {
            return;
        }
        let told = self.handle.disconnect(Disconnect::ByApplication, format!("Cardea: {sentence}"), String::new());
        let _stuck = timeout(LEAVE_MAX, told).await;
        let _stays = timeout(LEAVE_MAX, self.left()).await;
    }
}

/// Takes a connection through its life.
pub(crate) async fn receive(shared: Arc<Shared>, arrival: Arrival) {
    let Arrival { socket, peer, mut place, stop } = arrival;
    // Small writes are keystrokes; if the option cannot be set they are merely late.
    let _late = socket.set_nodelay(true);
    let cut = CancellationToken::new();
    let line = Line::new(socket, cut.clone());
    let _cut_at_the_end = cut.drop_guard();
    let visit = Arc::new(Visit::new(peer));

    let log_in = log_in(&shared, &visit, line);
    let person = tokio::select! {
        () = stop.cancelled() => return,
        () = patience(&shared.limits, &visit) => None,
        person = log_in => person,
    };
    let Some(mut person) = person else {
        debug!(%peer, "A connection ended before anybody logged in");
        return;
    };
    place.logged_in();
    tokio::select! {
        () = person.left() => {}
        () = stop.cancelled() => part(&visit, &mut person, &Parting::stopping()).await,
        () = visit.is_target_wanted.cancelled() => enter(&shared, visit, person, stop).await,
        notice = visit.over(&shared) => part(&visit, &mut person, &Parting::ended(notice)).await,
    }
}

/// Until a client should have logged in. Somebody who looks for their phone gets longer, once.
async fn patience(limits: &Limits, visit: &Visit) {
    if timeout(limits.login_time_max, visit.is_half_known.cancelled()).await.is_ok() {
        sleep(limits.factor_time_max).await;
    }
}

/// The handshake and the proof of who it is. None when the client went away.
async fn log_in(shared: &Arc<Shared>, visit: &Arc<Visit>, line: Line) -> Option<Person> {
    let door = Door::new(Arc::clone(shared), Arc::clone(visit));
    let running = server::run_stream(Arc::clone(&shared.ssh), line, door).await.ok()?;
    let mut person = Person { handle: running.handle(), over: running.fuse() };
    tokio::select! {
        () = person.left() => None,
        () = visit.is_admitted.cancelled() => Some(person),
    }
}

/// Joins the session and stays until somebody ends it.
async fn enter(shared: &Arc<Shared>, visit: Arc<Visit>, mut person: Person, stop: CancellationToken) {
    let Some((admission, _)) = visit.admission.get() else { return };
    let session = admission.session;
    let key = shared.keys.key(session);
    // Never dropped half-way, whoever leaves meanwhile: what the product has counted must be reported as closed.
    let lease = match shared.gate.join(admission, &public_line(key.public_key())).await {
        Ok(lease) => lease,
        Err(refusal) => {
            info!(session.id = %session, code = refusal.code, "Cannot join `{session}`: {}", refusal.code);
            return part(&visit, &mut person, &Parting::explained("refused", refusal.sentence)).await;
        }
    };
    let connection = lease.connection;
    let stay = stay(visit, person, (lease, key, Arc::clone(shared)), stop);
    // A task of its own, so that even a defect in it is followed by the report.
    let reason = tokio::spawn(stay).await.unwrap_or_else(|defect| {
        error!(connection.id = %connection, "The connection `{connection}` broke down: {defect}");
        "error"
    });
    if reason == ENDED {
        shared.keys.forget(session);
    } else {
        shared.keys.rest(session);
    }
    info!(connection.id = %connection, session.id = %session, reason, "The connection `{connection}` is over: {reason}");
    shared.gate.closed(ClosedConnection { connection, reason }).await;
}

const ENDED: &str = "session_ended";

/// From the lease to the end of it.
async fn stay(
    visit: Arc<Visit>,
    mut person: Person,
    (lease, key, shared): (Lease, Arc<PrivateKey>, Arc<Shared>),
    stop: CancellationToken,
) -> &'static str {
    let Lease { connection, address, port, host_key, account, mut ended, words, .. } = lease;
    let host = Host { address, port, host_key, account };
    let parting = tokio::select! {
        biased;
        notice = &mut ended => Parting::ended(notice),
        () = person.left() => Parting::client_left(),
        () = stop.cancelled() => Parting::stopping(),
        never = listen(&visit, words) => match never {},
        parting = attend(&visit, &shared, (connection, &host), key) => parting,
    };
    let reason = parting.reason;
    part(&visit, &mut person, &parting).await;
    reason
}

/// Hands on what the connection hears. Never ends: silence for good is no news.
async fn listen(visit: &Visit, mut words: BoxStream<'static, Word>) -> Infallible {
    while let Some(word) = words.next().await {
        visit.holder.hear(&word);
    }
    pending().await
}

/// Opens the way to the target and waits for the target to end it.
async fn attend(
    visit: &Visit,
    shared: &Shared,
    (connection, host): (ConnectionId, &Host),
    key: Arc<PrivateKey>,
) -> Parting {
    let reached = |source| shared.gate.reached(connection, source);
    match Target::dial(host, key, shared.limits.dial_time_max, reached).await {
        Err(sentence) => Parting::explained("error", sentence),
        Ok(target) => {
            let target = Arc::new(target);
            visit.way.send_replace(Way::Open(Arc::clone(&target)));
            let hold = visit.hold();
            tokio::select! {
                () = target.gone() => {}
                () = target.faded(&hold) => {}
            }
            Parting::explained("target", "the connection to the target was lost. Log in again.".to_owned())
        }
    }
}

/// Tells every channel, then ends both connections.
async fn part(visit: &Visit, person: &mut Person, parting: &Parting) {
    let (sentence, limit) = (plain(&parting.sentence), parting.limit);
    let way = visit.way.send_replace(Way::Shut(sentence.as_str().into()));
    visit.channels.close();
    let goodbye = async {
        let _unread = timeout(limit, visit.channels.wait()).await;
        person.send_off(&sentence).await;
    };
    let leave = async {
        if let Way::Open(target) = way {
            let _unread = timeout(limit, visit.channels.wait()).await;
            target.leave().await;
        }
    };
    tokio::join!(goodbye, leave);
}
