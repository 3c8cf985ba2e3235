//! Which node's gateway made which key: another node's is not this one's to take away while that lives.

use std::collections::HashMap;

use cardea_domain::{GrantId, SessionId};

use crate::{
    StoreError, Tx,
    row::parse,
    tx::{execute, fetch_all},
};

impl Tx {
    /// Writes down whose key a grant is.
    pub async fn insert_gateway_key(
        &mut self,
        grant: GrantId,
        session: SessionId,
        node: &str,
    ) -> Result<(), StoreError> {
        const SQL: &str = "insert into gateway_key (grant_id, session_id, node) values ($1, $2, $3)";
        execute!(self, SQL, grant.to_string(), session.to_string(), node)?;
        Ok(())
    }

    /// The nodes that a session's gateway keys are of, by grant.
    pub async fn gateway_keys_of(&mut self, session: SessionId) -> Result<HashMap<GrantId, String>, StoreError> {
        const SQL: &str = "select grant_id, node from gateway_key where session_id = $1";
        let rows = fetch_all!((String, String), self, SQL, session.to_string())?;
        rows.into_iter().map(|(grant, node)| Ok((parse("gateway_key.grant_id", &grant)?, node))).collect()
    }

    /// At most `limit` sessions that a node's gateway has keys on, each once.
    pub async fn sessions_with_keys_of(&mut self, node: &str, limit: u32) -> Result<Vec<SessionId>, StoreError> {
        const SQL: &str = "select distinct session_id from gateway_key where node = $1 order by session_id limit $2";
        let rows = fetch_all!((String,), self, SQL, node, i64::from(limit))?;
        rows.iter().map(|(session,)| parse("gateway_key.session_id", session)).collect()
    }

    /// Forgets whose keys a session had, or which of them a node had: they go.
    pub async fn forget_gateway_keys(&mut self, session: SessionId, node: Option<&str>) -> Result<(), StoreError> {
        const SQL: &str = "delete from gateway_key where session_id = $1 and node = coalesce($2, node)";
        execute!(self, SQL, session.to_string(), node)?;
        Ok(())
    }
}
