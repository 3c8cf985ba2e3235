//! What hosts looked like before a session gave root there.

use cardea_domain::{SessionId, Snapshot};

use crate::{
    StoreError, Tx,
    row::{from_json_optional, to_json},
    tx::{execute, fetch_optional},
};

impl Tx {
    /// Keeps what a host looked like before a session, unless it was kept before, or the session waits again meanwhile.
    pub async fn insert_snapshot(&mut self, session: SessionId, snapshot: &Snapshot) -> Result<(), StoreError> {
        const SQL: &str = "insert into snapshot (session_id, content) select $1, $2 where exists \
            (select 1 from session where id = $1 and status = 'provisioning') on conflict (session_id) do nothing";
        execute!(self, SQL, session.to_string(), to_json(snapshot))?;
        Ok(())
    }

    /// What the host looked like before a session, if that was kept.
    pub async fn snapshot(&mut self, session: SessionId) -> Result<Option<Snapshot>, StoreError> {
        const SQL: &str = "select content from snapshot where session_id = $1";
        let row = fetch_optional!((String,), self, SQL, session.to_string())?;
        from_json_optional("snapshot.content", row.as_ref().map(|(content,)| content.as_str()))
    }

    /// Forgets it: it was compared.
    pub async fn delete_snapshot(&mut self, session: SessionId) -> Result<(), StoreError> {
        execute!(self, "delete from snapshot where session_id = $1", session.to_string())?;
        Ok(())
    }
}
