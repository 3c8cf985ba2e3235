//! What approvers said.

use cardea_domain::{Approval, ApprovalId, Decision, Permit, SessionId, Timestamp, Verb};

use crate::{
    StoreError, Tx,
    row::{corrupt, count, from_json, id_list, must_cover, one_of, parse, time, to_json},
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
    tier: i64,
    extension: i64,
    fell_at: Option<i64>,
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
            tier: usize::try_from(row.tier).map_err(|error| corrupt("approval.tier", error))?,
            extension: count("approval.extension", row.extension)?,
            fell_at: time(row.fell_at),
        })
    }
}

impl Tx {
    /// Writes a decision down.
    pub async fn insert_approval(&mut self, permit: &Permit, approval: &Approval) -> Result<(), StoreError> {
        const SQL: &str = "insert into approval (id, session_id, approver_id, approver_name, decision, reason, pins, at, tier, extension) \
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
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
            approval.at.as_micros(),
            i64::try_from(approval.tier).unwrap_or(i64::MAX),
            i64::from(approval.extension)
        )?;
        Ok(())
    }

    /// These votes count no more, for good.
    pub async fn let_votes_fall(
        &mut self,
        permit: &Permit,
        votes: &[ApprovalId],
        at: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str = "update approval set fell_at = $2 where id in (select value from json_each($1))";
        must_cover(permit, &[Verb::DriveSession], "approval")?;
        execute!(self, SQL, id_list(votes), at.as_micros())?;
        Ok(())
    }

    /// Every decision about these sessions, oldest first.
    pub async fn approvals_of(&mut self, sessions: &[SessionId]) -> Result<Vec<Approval>, StoreError> {
        const SQL: &str = "select * from approval where session_id in (select value from json_each($1)) order by id";
        fetch_all!(Row, self, SQL, id_list(sessions))?.into_iter().map(Approval::try_from).collect()
    }
}
