//! The action log of a session.

use cardea_domain::{LogLevel, LogLine, SessionId, Stage, Timestamp};

use crate::{
    StoreError, Tx,
    row::{one_of, without_nul},
    tx::{execute, fetch_all, fetch_one},
};

/// A longer message is cut: a target's answer must not fill the disk.
const MESSAGE_BYTES_MAX: usize = 8 * 1024;

#[derive(sqlx::FromRow)]
struct Row {
    line: i64,
    at: i64,
    level: String,
    stage: String,
    message: String,
}

impl TryFrom<Row> for LogLine {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            line: row.line,
            at: Timestamp::from_micros(row.at),
            level: one_of("session_log.level", LogLevel::ALL, LogLevel::as_str, &row.level)?,
            stage: one_of("session_log.stage", Stage::ALL, Stage::as_str, &row.stage)?,
            message: row.message,
        })
    }
}

impl Tx {
    /// Adds a line to a session's log; a message of more than 8 KiB is cut. Returns the line's number: one more than
    /// the last, whoever writes at the same time.
    pub async fn append_log(
        &mut self,
        session: SessionId,
        at: Timestamp,
        level: LogLevel,
        stage: Stage,
        message: &str,
    ) -> Result<i64, StoreError> {
        const SQL: &str = "insert into session_log (session_id, line, at, level, stage, message) \
            values ($1, (select coalesce(max(line), 0) + 1 from session_log where session_id = $1), $2, $3, $4, $5) \
            returning line";
        let id = session.to_string();
        if let Some(hold) = self.hold_session_sql() {
            execute!(self, hold, &id)?;
        }
        let message = without_nul(&cut(message));
        let (line,) = fetch_one!((i64,), self, SQL, &id, at.as_micros(), level.as_str(), stage.as_str(), message)?;
        Ok(line)
    }

    /// At most `limit` lines of a session's log behind the line `after`, in order.
    pub async fn log(&mut self, session: SessionId, after: i64, limit: u32) -> Result<Vec<LogLine>, StoreError> {
        const SQL: &str = "select line, at, level, stage, message from session_log \
            where session_id = $1 and line > $2 order by line limit $3";
        let rows = fetch_all!(Row, self, SQL, session.to_string(), after, i64::from(limit))?;
        rows.into_iter().map(LogLine::try_from).collect()
    }
}

fn cut(message: &str) -> String {
    if message.len() <= MESSAGE_BYTES_MAX {
        return message.to_owned();
    }
    let end = message.floor_char_boundary(MESSAGE_BYTES_MAX - '…'.len_utf8());
    format!("{}…", &message[..end])
}
