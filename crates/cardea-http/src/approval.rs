//! What approvers decide about requests.

use axum::{Json, extract::State};
use cardea_app::Approve;
use cardea_domain::{Actor, Approval, ApprovalId, Configuration, Decision, Period, Session, SessionId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Api,
    actor::Caller,
    input::{Id, Input},
    problem::Problem,
    session::{SessionSummary, SessionView},
};

/// One approver's decision.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct ApprovalView {
    id: ApprovalId,
    /// The approver's name.
    approver: String,
    decision: Decision,
    reason: String,
    at: Timestamp,
    /// Whether it is about the session as it is now: what is changed after an approval has to be approved again.
    is_current: bool,
}

/// What `approval` events carry.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct ApprovalChange {
    /// A session that waits for approval, or waits no more.
    session: SessionSummary,
    /// What was just decided, if that is what happened.
    approval: Option<ApprovalView>,
}

/// A yes.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Approving {
    /// Why. 1 to 1,000 characters.
    reason: String,
    /// Makes the session shorter than requested.
    duration: Option<Period>,
    /// Makes it begin later than requested.
    start_at: Option<Timestamp>,
}

/// A no.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Denying {
    /// Why. 1 to 1,000 characters.
    reason: String,
}

impl ApprovalView {
    pub(crate) fn of(approval: &Approval, session: &Session) -> Self {
        Self {
            id: approval.id,
            approver: approval.approver_name.clone(),
            decision: approval.decision,
            reason: approval.reason.clone(),
            at: approval.at,
            is_current: approval.pins == session.pins,
        }
    }
}

impl ApprovalChange {
    pub(crate) fn of(
        session: &Session,
        approval: Option<&Approval>,
        actor: &Actor,
        configuration: &Configuration,
    ) -> Self {
        Self {
            session: SessionSummary::of(session, actor, configuration),
            approval: approval.map(|approval| ApprovalView::of(approval, session)),
        }
    }
}

/// Approve a request.
///
/// It begins when as many approvers as its profile asks for have approved it. If what was requested has changed since,
/// it is brought up to date and the answer is 409: read it again, then decide.
///
/// **Who:** the approvers of its connection profile, but never its own user, and nobody by a token that the operator issued.
/// **Audit:** `session.decide`.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/approve", tag = "approvals",
    extensions(("x-permission" = json!("sessions.decide"))), params(("id" = String, Path)),
    request_body = Approving,
    responses((status = 200, body = SessionView, description = "The session as it is now.")))]
pub(crate) async fn approve_session(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<SessionId>,
    Input(Approving { reason, duration, start_at }): Input<Approving>,
) -> Result<Json<SessionView>, Problem> {
    let approved = api.app.approve_session(&caller.actor, id, Approve { reason, duration, start_at }).await?;
    Ok(Json(api.view(&approved, &caller.actor)))
}

/// Deny a request.
///
/// One denial ends it.
///
/// **Who:** the approvers of its connection profile, but never its own user, and nobody by a token that the operator issued.
/// **Audit:** `session.decide`.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/deny", tag = "approvals",
    extensions(("x-permission" = json!("sessions.decide"))), params(("id" = String, Path)),
    request_body = Denying,
    responses((status = 200, body = SessionView, description = "The session as it is now.")))]
pub(crate) async fn deny_session(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<SessionId>,
    Input(Denying { reason }): Input<Denying>,
) -> Result<Json<SessionView>, Problem> {
    let denied = api.app.deny_session(&caller.actor, id, &reason).await?;
    Ok(Json(api.view(&denied, &caller.actor)))
}
