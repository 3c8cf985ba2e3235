//! Who is logged in to the accounts of sessions, as their host says: log-ins past the gateway become connections of their own.

use std::{collections::HashSet, time::Duration};

use cardea_domain::{
    ConnectionId, ConnectorError, DirectLogin, EndCause, LogIn, Permit, Session, SessionId, Stage, Status, Timestamp,
    Verb,
};
use cardea_store::{Connection, Tx};
use serde_json::json;
use tracing::debug;

use super::{drive, host::Held};
use crate::{App, AppError, change::Note};

/// How long a host may take to say who is logged in, whatever the connector thinks.
const LIMIT: Duration = Duration::from_secs(45);
/// Log-ins past the gateway of one session that are written down.
const LOG_INS_MAX: usize = 100;
/// How exactly the beginning of a log-in is known: its age is told when the host is asked, which takes a moment.
const SLACK: Duration = Duration::from_secs(10);
/// From when a connection was let in until its log-in stands on the host.
const DIAL_MAX: Duration = Duration::from_secs(60);

/// Why a host was not asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unasked {
    #[error(transparent)]
    Host(#[from] ConnectorError),
    #[error(transparent)]
    Inside(#[from] AppError),
}

impl From<cardea_store::StoreError> for Unasked {
    fn from(error: cardea_store::StoreError) -> Self {
        Self::Inside(error.into())
    }
}

/// What the host said, and what is known beside it.
struct Seen {
    log_ins: Vec<LogIn>,
    /// When the host was asked.
    at: Timestamp,
    /// Through the gateway, newest first.
    gateway: Vec<Connection>,
    /// Past it, as they were seen before.
    direct: Vec<Connection>,
}

impl App {
    /// Asks once for all sessions that stand on the host.
    pub(super) async fn poll(&self, held: &Held) -> Result<(), Unasked> {
        let resources = held.resources.clone();
        let standing = self.store().read(move |tx| Box::pin(async move { tx.standing_on(&resources).await })).await?;
        let uids: HashSet<_> = standing.iter().map(|(_, uid, _)| *uid).collect();
        if uids.is_empty() {
            return Ok(());
        }
        let (uids, at) = (uids.into_iter().collect::<Vec<_>>(), self.0.clock.now());
        let asked = tokio::time::timeout(LIMIT, self.0.linux.log_ins(&held.target, &uids)).await;
        let late = || ConnectorError::Unknown("the host took too long to say who is logged in".to_owned());
        let log_ins = asked.unwrap_or_else(|_| Err(late()))?;
        debug!(host = %held.target, sessions = standing.len(), log_ins = log_ins.len(), "Asked a host who is logged in");
        // Read after the host has answered: the gateway writes down where it comes from before it logs in, so whatever the host
        // has seen of it is known by now.
        let ids: Vec<_> = standing
            .into_iter()
            .filter(|(_, uid, status)| *status != Status::Available || log_ins.iter().any(|it| it.uid == *uid))
            .map(|(id, ..)| id)
            .collect();
        if ids.is_empty() {
            return Ok(());
        }
        let known = self.store().read(move |tx| {
            Box::pin(async move {
                let mut concerned = tx.sessions_by_id(&ids).await?;
                concerned.retain(|session| session.status.is_standing() && session.rules.has_login);
                let (gateway, direct) = (tx.gateway_connections(&ids).await?, tx.direct_log_ins_on(&ids).await?);
                Ok::<_, AppError>((concerned, gateway, direct))
            })
        });
        let (concerned, gateway, direct) = known.await?;
        let seen = Seen { log_ins, at, gateway, direct };
        for session in &concerned {
            self.compare(session, &concerned, &seen).await?;
        }
        Ok(())
    }

    /// Writes down what changed for one session, if anything did.
    async fn compare(&self, session: &Session, all: &[Session], seen: &Seen) -> Result<(), AppError> {
        let past = seen.past_the_gateway(session, all);
        let now: HashSet<_> = past.iter().map(named).collect();
        let before: HashSet<_> =
            seen.direct.iter().filter(|it| it.session == session.id).map(|it| it.peer.clone()).collect();
        if now == before {
            return Ok(());
        }
        self.retried(|| self.write_log_ins(session.id, past.clone(), seen.at)).await
    }

    async fn write_log_ins(&self, id: SessionId, past: Vec<LogIn>, at: Timestamp) -> Result<(), AppError> {
        let app = self.clone();
        let written = self.store().write(move |tx| {
            Box::pin(async move {
                let mut session = tx.session(id).await?.ok_or(AppError::NotFound)?;
                if !session.status.is_standing() {
                    return Ok(false);
                }
                let known = tx.direct_log_ins(id).await?;
                let now = app.0.clock.now();
                let mut over = 0;
                for gone in known.iter().filter(|known| !past.iter().any(|it| named(it) == known.peer)) {
                    tx.close_connection(gone.id, now, "logged_out").await?;
                    over += 1;
                }
                let mut fresh = past;
                fresh.retain(|it| !known.iter().any(|known| named(it) == known.peer));
                for log_in in &fresh {
                    tx.insert_connection(&app.direct(&session, log_in, at)).await?;
                }
                if fresh.is_empty() {
                    return app.tell_log_outs(tx, &mut session, over).await.map(|()| false);
                }
                app.tell_log_ins(tx, &mut session, &fresh).await
            })
        });
        if written.await? {
            self.nudge();
        }
        Ok(())
    }

    fn direct(&self, session: &Session, log_in: &LogIn, at: Timestamp) -> Connection {
        Connection {
            id: ConnectionId::mint(self.0.clock.now(), &*self.0.entropy),
            session: session.id,
            user: session.user,
            peer: named(log_in),
            node: None,
            direct: true,
            source: log_in.source,
            opened_at: at.minus(log_in.age),
            closed_at: None,
            close_reason: None,
        }
    }

    async fn tell_log_outs(&self, tx: &mut Tx, session: &mut Session, over: usize) -> Result<(), AppError> {
        if over == 0 {
            return Ok(());
        }
        if tx.open_connections(session.id).await? == 0 {
            session.logged_out(self.0.clock.now());
        }
        let note = Note::info(Stage::Session, format!("{over} log-ins past the gateway are over"));
        self.save_session(tx, &drive()?, session, note).await.map_err(AppError::from)
    }

    /// What log-ins past the gateway mean is the profile's to say. Whether they ended the session.
    async fn tell_log_ins(&self, tx: &mut Tx, session: &mut Session, fresh: &[LogIn]) -> Result<bool, AppError> {
        let sentence = sentence(session, fresh);
        let rule = session.rules.direct_login;
        let alert = self.alert("direct_login", sentence.clone(), Some(session.id), Some(&session.resource_name));
        let detail = json!({ "log_ins": fresh.iter().map(named).collect::<Vec<_>>(), "direct_login": rule });
        if rule != DirectLogin::Allow {
            self.announce_alert(tx, alert);
        }
        if rule == DirectLogin::Deny {
            let permit = Permit::for_session(&cardea_domain::Actor::Engine, Verb::EndSession, session)?;
            self.end(tx, &permit, session, &EndCause::DirectLogin(sentence)).await?;
            return Ok(true);
        }
        match session.status {
            Status::Locked => session.idle_since = None,
            _ => session.logged_in()?,
        }
        let note = match rule {
            DirectLogin::Allow => Note::info(Stage::Session, sentence),
            DirectLogin::Alert | DirectLogin::Deny => Note::warn(Stage::Session, sentence),
        };
        self.save_session(tx, &drive()?, session, note.with(detail)).await?;
        Ok(false)
    }
}

impl Seen {
    /// The log-ins to a session's account that are none of the gateway's.
    fn past_the_gateway(&self, session: &Session, all: &[Session]) -> Vec<LogIn> {
        // People's own accounts may be those of several sessions.
        let of_account = |connection: &&Connection| {
            all.iter().any(|other| other.id == connection.session && other.account.uid == session.account.uid)
        };
        let gateway: Vec<_> = self.gateway.iter().filter(of_account).collect();
        let mut open: Vec<_> = gateway.iter().filter(|connection| connection.closed_at.is_none()).collect();
        let mut past = Vec::new();
        for log_in in self.log_ins.iter().filter(|it| is_for(it, session)) {
            let own = gateway.iter().find(|connection| is_gateways(connection, log_in, self.at));
            match own {
                Some(own) => open.retain(|connection| connection.id != own.id),
                None => past.push(log_in.clone()),
            }
        }
        // Where somebody in between translates addresses, the host sees another one: then each connection of the gateway that
        // the host does not show stands for one log-in that began with it.
        past.retain(|log_in| {
            let began = self.at.minus(log_in.age);
            let stands_for = |connection: &&&Connection| {
                let opened = connection.opened_at;
                connection.source.is_some() && opened.minus(SLACK) <= began && began <= opened.plus(DIAL_MAX)
            };
            match open.iter().position(stands_for) {
                Some(index) => {
                    open.swap_remove(index);
                    false
                }
                None => true,
            }
        });
        past.truncate(LOG_INS_MAX);
        past
    }
}

fn is_for(log_in: &LogIn, session: &Session) -> bool {
    log_in.uid == session.account.uid
}

/// Whether the log-in is the end of this connection of the gateway on the host. A port may be somebody else's when the connection
/// is over.
fn is_gateways(connection: &Connection, log_in: &LogIn, at: Timestamp) -> bool {
    connection.source.is_some()
        && connection.source == log_in.source
        && connection.closed_at.is_none_or(|closed| at.minus(log_in.age) <= closed.plus(SLACK))
}

/// What tells one log-in of a host from another, for as long as it lasts.
fn named(log_in: &LogIn) -> String {
    match log_in.source {
        Some(source) => format!("{source} (process {})", log_in.pid),
        None => format!("process {}", log_in.pid),
    }
}

fn sentence(session: &Session, fresh: &[LogIn]) -> String {
    let from: Vec<_> = fresh.iter().take(3).map(|log_in| format!("{} ({})", named(log_in), log_in.what)).collect();
    let more = fresh.len().saturating_sub(from.len());
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("Somebody logged in to {} past the gateway: from {}{rest}", session.account.name, from.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    fn log_in(port: u16, age: u64) -> LogIn {
        LogIn {
            uid: 70_000,
            pid: u32::from(port),
            source: Some(([192, 0, 2, 1], port).into()),
            terminal: None,
            age: Duration::from_secs(age),
            what: "sshd: x@notty".to_owned(),
        }
    }

    fn connection(port: u16, closed: Option<i64>) -> Connection {
        let entropy = cardea_testkit::SeededEntropy::new(u64::from(port));
        Connection {
            id: ConnectionId::mint(at(0), &*entropy),
            session: SessionId::mint(at(0), &*entropy),
            user: cardea_domain::ObjectId::mint(cardea_domain::Kind::User, at(0), &*entropy),
            peer: String::new(),
            node: None,
            direct: false,
            source: Some(([192, 0, 2, 1], port).into()),
            opened_at: at(0),
            closed_at: closed.map(at),
            close_reason: None,
        }
    }

    #[test]
    fn a_port_is_the_gateways_only_while_its_connection_lasts() {
        let own = |port, closed, age| is_gateways(&connection(7, closed), &log_in(port, age), at(100));
        assert!(own(7, None, 50));
        assert!(own(7, Some(99), 50), "it is just being closed");
        assert!(!own(8, None, 50), "another port");
        assert!(!own(7, Some(20), 50), "the port was given to somebody else since");
    }
}
