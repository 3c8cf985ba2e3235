//! What approvers said.

use cardea_domain::{Approval, Decision, Permit, SessionId, Timestamp, Verb};

use crate::{
    StoreError, Tx,
    row::{from_json, id_list, must_cover, one_of, parse, to_json},
    tx::{execute, fetch_all},
};

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    session_id: String,
    approver_id: String,
    approver_name: String,
    decision: String,
    reason: String,
    pins: String,
    at: i64,
}

impl TryFrom<Row> for Approval {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: parse("approval.id", &row.id)?,
            session: parse("approval.session_id", &row.session_id)?,
            approver: parse("approval.approver_id", &row.approver_id)?,
            approver_name: row.approver_name,
            decision: one_of("approval.decision", Decision::ALL, Decision::as_str, &row.decision)?,
            reason: row.reason,
            pins: from_json("approval.pins", &row.pins)?,
            at: Timestamp::from_micros(row.at),
        })
    }
}

impl Tx {
    /// Writes a decision down.
    pub async fn insert_approval(&mut self, permit: &Permit, approval: &Approval) -> Result<(), StoreError> {
        const SQL: &str = "insert into approval (id, session_id, approver_id, approver_name, decision, reason, pins, at) \
            values ($1, $2, $3, $4, $5, $6, $7, $8)";
        must_cover(permit, &[Verb::DecideSession], "approval")?;
        execute!(
            self,
            SQL,
            approval.id.to_string(),
            approval.session.to_string(),
            approval.approver.to_string(),
            &approval.approver_name,
            approval.decision.as_str(),
            &approval.reason,
            to_json(&approval.pins),
            approval.at.as_micros()
        )?;
        Ok(())
    }

    /// Every decision about these sessions, oldest first.
    pub async fn approvals_of(&mut self, sessions: &[SessionId]) -> Result<Vec<Approval>, StoreError> {
        const SQL: &str = "select * from approval where session_id in (select value from json_each($1)) order by id";
        fetch_all!(Row, self, SQL, id_list(sessions))?.into_iter().map(Approval::try_from).collect()
    }
}
