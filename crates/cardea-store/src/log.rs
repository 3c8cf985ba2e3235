//! The action log of a session.

use std::collections::HashMap;

use cardea_domain::{LogLevel, LogLine, SessionId, Stage, Timestamp};

use crate::{
    StoreError, Tx,
    batch::{Write, places, values},
    row::{one_of, without_nul},
    tx::{execute, fetch_all},
};

/// A longer message is cut: a target's answer must not fill the disk.
const MESSAGE_BYTES_MAX: usize = 8 * 1024;

/// Lines of one insert.
const INSERT_MAX: usize = 1000;

/// A line that is written at the end of its unit.
pub(crate) struct PendingLine {
    session: SessionId,
    at: Timestamp,
    level: LogLevel,
    stage: Stage,
    message: String,
}

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
    /// Adds a line to a session's log; a message of more than 8 KiB is cut. It is numbered at the end of the unit: one more than
    /// the last, whoever writes at the same time.
    pub async fn append_log(
        &mut self,
        session: SessionId,
        at: Timestamp,
        level: LogLevel,
        stage: Stage,
        message: &str,
    ) -> Result<(), StoreError> {
        self.lines.push(PendingLine { session, at, level, stage, message: without_nul(&cut(message)) });
        Ok(())
    }

    pub(crate) async fn keep_lines(&mut self) -> Result<(), StoreError> {
        let lines = std::mem::take(&mut self.lines);
        if let Some(hold) = self.hold_session_sql() {
            let mut sessions: Vec<_> = lines.iter().map(|line| line.session).collect();
            sessions.sort_unstable();
            sessions.dedup();
            for session in sessions.into_iter().filter(|session| !self.held.contains(session)).collect::<Vec<_>>() {
                execute!(self, hold, session.to_string())?;
            }
        }
        for lines in lines.chunks(INSERT_MAX) {
            let mut last: HashMap<SessionId, i64> = HashMap::new();
            let row = |line: &PendingLine| {
                let place = last.entry(line.session).or_default();
                *place += 1;
                let (level, stage) = (line.level.as_str(), line.stage.as_str());
                values![line.session.to_string(), *place, line.at.as_micros(), level, stage, &line.message]
            };
            let values = lines.iter().flat_map(row).collect();
            let sql = format!(
                "with fresh (session_id, place, at, level, stage, message) as (values {}) \
                 insert into session_log (session_id, line, at, level, stage, message) \
                 select session_id, place + (select coalesce(max(known.line), 0) from session_log known \
                 where known.session_id = fresh.session_id), at, level, stage, message from fresh",
                places(lines.len(), 6)
            );
            self.keep(Write { sql, values, rows: lines.len(), ids: Vec::new() }).await?;
        }
        Ok(())
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
