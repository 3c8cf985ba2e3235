//! Which trace a session belongs to, from its request to the end of its clean-up. Says nothing about rights, and is
//! neither read nor written unless somebody collects traces.

use cardea_domain::SessionId;

use crate::{
    StoreError, Tx,
    row::id_list,
    tx::{execute, fetch_optional},
};

impl Tx {
    /// Notes under which span these sessions were requested. `traceparent` is as in W3C Trace Context, section 3.2.
    pub async fn set_trace(&mut self, sessions: &[SessionId], traceparent: &str) -> Result<(), StoreError> {
        const SQL: &str = "update session set trace = $2 where id in (select value from json_each($1))";
        execute!(self, SQL, id_list(sessions), traceparent)?;
        Ok(())
    }

    /// The span under which this session was requested, if that was noted.
    pub async fn trace_of(&mut self, session: SessionId) -> Result<Option<String>, StoreError> {
        const SQL: &str = "select trace from session where id = $1";
        let row = fetch_optional!((Option<String>,), self, SQL, session.to_string())?;
        Ok(row.and_then(|(trace,)| trace))
    }
}
