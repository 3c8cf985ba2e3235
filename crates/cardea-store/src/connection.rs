//! Connections of people: through the gateway, and past it.

use std::net::SocketAddr;

use cardea_domain::{ConnectionId, ObjectId, SessionId, Timestamp};

use crate::{
    StoreError, Tx,
    batch::{Write, values},
    row::{id_list, micros, parse, parse_optional, time},
    tx::{execute, fetch_all, fetch_one, fetch_optional},
};

/// One connection of a person to a session's resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    pub id: ConnectionId,
    pub session: SessionId,
    pub user: ObjectId,
    /// Where the person's client came from; of a log-in past the gateway, what the host says of it.
    pub peer: String,
    /// The node whose gateway holds it.
    pub node: Option<String>,
    /// Whether it went past the gateway.
    pub direct: bool,
    /// The gateway's end of its connection to the host, once it has one.
    pub source: Option<SocketAddr>,
    pub opened_at: Timestamp,
    pub closed_at: Option<Timestamp>,
    /// `client`, `target`, `session_ended`, `gateway_stopping`, `gateway_gone`, `logged_out` or `error`.
    pub close_reason: Option<String>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    session_id: String,
    user_id: String,
    peer: String,
    node: Option<String>,
    direct: bool,
    source: Option<String>,
    opened_at: i64,
    closed_at: Option<i64>,
    close_reason: Option<String>,
}

impl TryFrom<Row> for Connection {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: parse("connection.id", &row.id)?,
            session: parse("connection.session_id", &row.session_id)?,
            user: parse("connection.user_id", &row.user_id)?,
            peer: row.peer,
            node: row.node,
            direct: row.direct,
            source: parse_optional("connection.source", row.source.as_deref())?,
            opened_at: Timestamp::from_micros(row.opened_at),
            closed_at: time(row.closed_at),
            close_reason: row.close_reason,
        })
    }
}

impl Tx {
    /// Writes a new connection.
    pub async fn insert_connection(&mut self, connection: &Connection) -> Result<(), StoreError> {
        const SQL: &str = "insert into connection \
            (id, session_id, user_id, peer, opened_at, closed_at, close_reason, direct, source, node) \
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        let values = values![
            connection.id.to_string(),
            connection.session.to_string(),
            connection.user.to_string(),
            connection.peer.as_str(),
            connection.opened_at.as_micros(),
            micros(connection.closed_at),
            connection.close_reason.as_deref(),
            connection.direct,
            connection.source.map(|source| source.to_string()),
            connection.node.as_deref(),
        ];
        self.keep(Write { sql: SQL.to_owned(), values, rows: 1, ids: vec![connection.id.to_string()] }).await
    }

    /// Writes down the gateway's end of a connection to the host.
    pub async fn set_connection_source(&mut self, id: ConnectionId, source: SocketAddr) -> Result<(), StoreError> {
        const SQL: &str = "update connection set source = $2 where id = $1";
        execute!(self, SQL, id.to_string(), source.to_string())?;
        Ok(())
    }

    /// Closes a connection. Its session, or `None` if it was closed already.
    pub async fn close_connection(
        &mut self,
        id: ConnectionId,
        at: Timestamp,
        reason: &str,
    ) -> Result<Option<SessionId>, StoreError> {
        const SQL: &str = "update connection set closed_at = $2, close_reason = $3 \
            where id = $1 and closed_at is null returning session_id";
        let row = fetch_optional!((String,), self, SQL, id.to_string(), at.as_micros(), reason)?;
        row.map(|(session,)| parse("connection.session_id", &session)).transpose()
    }

    /// How many connections of a session are open.
    pub async fn open_connections(&mut self, session: SessionId) -> Result<i64, StoreError> {
        const SQL: &str = "select count(*) from connection where session_id = $1 and closed_at is null";
        Ok(fetch_one!((i64,), self, SQL, session.to_string())?.0)
    }

    /// The log-ins past the gateway that were seen on a session and not seen to end.
    pub async fn direct_log_ins(&mut self, session: SessionId) -> Result<Vec<Connection>, StoreError> {
        const SQL: &str = "select * from connection where session_id = $1 and closed_at is null and direct order by id";
        fetch_all!(Row, self, SQL, session.to_string())?.into_iter().map(Connection::try_from).collect()
    }

    /// The same of several sessions.
    pub async fn direct_log_ins_on(&mut self, sessions: &[SessionId]) -> Result<Vec<Connection>, StoreError> {
        const SQL: &str = "select * from connection where session_id in (select value from json_each($1)) \
            and closed_at is null and direct order by id";
        fetch_all!(Row, self, SQL, id_list(sessions))?.into_iter().map(Connection::try_from).collect()
    }

    /// The newest 10,000 connections of these sessions through the gateway.
    pub async fn gateway_connections(&mut self, sessions: &[SessionId]) -> Result<Vec<Connection>, StoreError> {
        const SQL: &str = "select * from connection where session_id in (select value from json_each($1)) and not direct \
            order by id desc limit 10000";
        fetch_all!(Row, self, SQL, id_list(sessions))?.into_iter().map(Connection::try_from).collect()
    }

    /// Closes the log-ins past the gateway that are open on a session.
    pub async fn close_direct_log_ins(
        &mut self,
        session: SessionId,
        at: Timestamp,
        reason: &str,
    ) -> Result<(), StoreError> {
        const SQL: &str = "update connection set closed_at = $2, close_reason = $3 \
            where session_id = $1 and closed_at is null and direct";
        execute!(self, SQL, session.to_string(), at.as_micros(), reason)?;
        Ok(())
    }

    /// The newest 1,000 connections of a session, oldest first.
    pub async fn connections_of(&mut self, session: SessionId) -> Result<Vec<Connection>, StoreError> {
        const SQL: &str = "select * from (select * from connection where session_id = $1 order by id desc limit 1000) c \
            order by id";
        fetch_all!(Row, self, SQL, session.to_string())?.into_iter().map(Connection::try_from).collect()
    }

    /// Closes every open connection through a node's gateway, and those of before there were nodes: it has none any more. Their
    /// sessions, each once.
    pub async fn close_connections_of(
        &mut self,
        node: &str,
        at: Timestamp,
        reason: &str,
    ) -> Result<Vec<SessionId>, StoreError> {
        const SQL: &str = "update connection set closed_at = $1, close_reason = $2 \
            where closed_at is null and not direct and coalesce(node, $3) = $3 returning session_id";
        let rows = fetch_all!((String,), self, SQL, at.as_micros(), reason, node)?;
        let sessions: Result<Vec<SessionId>, _> =
            rows.iter().map(|(session,)| parse("connection.session_id", session)).collect();
        let mut sessions = sessions?;
        sessions.sort_unstable();
        sessions.dedup();
        Ok(sessions)
    }
}
