//! What approvers decide about requests.

use std::collections::HashSet;

use axum::{Json, extract::State};
use cardea_app::Approve;
use cardea_domain::{Actor, Approval, ApprovalId, Configuration, Decision, Period, Session, SessionId, Timestamp};
use futures_util::{StreamExt as _, stream};
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
    /// The tier that it was given in; the first is 1.
    tier: usize,
    /// Which extension it is about; 0 if it is about the session itself.
    extension: u32,
    /// Whether it is about the session as it is now, by somebody who may still give it: what is changed after an approval has to
    /// be approved again, and votes of people who are approvers no more fall.
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

/// Requests to decide about, all for one reason.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deciding {
    /// At most 1,000.
    ids: Vec<String>,
    /// Why. 1 to 1,000 characters.
    reason: String,
}

/// What became of each request that was to be decided about.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct DecidedSessions {
    items: Vec<DecidedSession>,
}

/// What became of one: the session as it is now, or the problem.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct DecidedSession {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<SessionView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

/// The most requests of one call, and how many are decided about at the same time.
const AT_ONCE_MAX: usize = 1000;
const TOGETHER: usize = 16;

impl ApprovalView {
    pub(crate) fn of(approval: &Approval, session: &Session, configuration: &Configuration, now: Timestamp) -> Self {
        let may_still = approval.fell_at.is_none()
            && configuration.falling(session, std::slice::from_ref(approval), now).is_empty();
        Self {
            id: approval.id,
            approver: approval.approver_name.clone(),
            decision: approval.decision,
            reason: approval.reason.clone(),
            at: approval.at,
            tier: approval.tier + 1,
            extension: approval.extension,
            is_current: approval.pins == session.pins && may_still,
        }
    }
}

impl ApprovalChange {
    pub(crate) fn of(
        session: &Session,
        approval: Option<&Approval>,
        actor: &Actor,
        configuration: &Configuration,
        now: Timestamp,
    ) -> Self {
        Self {
            session: SessionSummary::of(session, actor, configuration, now),
            approval: approval.map(|approval| ApprovalView::of(approval, session, configuration, now)),
        }
    }
}

/// Approve a request.
///
/// It begins when as many approvers as its profile asks for have approved it, one tier after the other; nobody counts in two
/// of them. A vote counts while whoever gave it is an approver. If what was requested has changed since,
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
/// One denial ends it, by whoever is asked now or was asked before. Where an extension waits for approval, it is denied and the
/// session ends as planned.
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

/// Approve several requests.
///
/// Each by itself: the answer says of each what became of it.
///
/// **Who:** as for one. **Audit:** `session.decide`, for each.
#[utoipa::path(post, path = "/api/v1/sessions/approve", tag = "approvals",
    extensions(("x-permission" = json!("signed_in"))), request_body = Deciding,
    responses((status = 200, body = DecidedSessions, description = "What became of each, in the order of the ids.")))]
pub(crate) async fn approve_sessions(
    State(api): State<Api>,
    caller: Caller,
    Input(deciding): Input<Deciding>,
) -> Result<Json<DecidedSessions>, Problem> {
    decide_all(&api, &caller.actor, deciding, Decision::Approved).await
}

/// Deny several requests.
///
/// Each by itself: the answer says of each what became of it.
///
/// **Who:** as for one. **Audit:** `session.decide`, for each.
#[utoipa::path(post, path = "/api/v1/sessions/deny", tag = "approvals",
    extensions(("x-permission" = json!("signed_in"))), request_body = Deciding,
    responses((status = 200, body = DecidedSessions, description = "What became of each, in the order of the ids.")))]
pub(crate) async fn deny_sessions(
    State(api): State<Api>,
    caller: Caller,
    Input(deciding): Input<Deciding>,
) -> Result<Json<DecidedSessions>, Problem> {
    decide_all(&api, &caller.actor, deciding, Decision::Denied).await
}

async fn decide_all(
    api: &Api,
    actor: &Actor,
    Deciding { ids, reason }: Deciding,
    decision: Decision,
) -> Result<Json<DecidedSessions>, Problem> {
    if ids.is_empty() || ids.len() > AT_ONCE_MAX {
        return Err(Problem::field("/ids", "list 1 to 1000 ids of sessions"));
    }
    let mut seen = HashSet::new();
    if let Some(again) = ids.iter().position(|id| !seen.insert(id)) {
        return Err(Problem::field(format!("/ids/{again}"), "this session stands in the list twice"));
    }
    // Once for all of them: so whoever has to show a factor again does, and nothing was decided before.
    api.app.must_be_fresh_to_decide(actor).await?;
    let reason = reason.as_str();
    let decided = ids.into_iter().map(|id| async move {
        let decided = match id.parse() {
            Ok(session) => decide_one(api, actor, session, (decision, reason)).await,
            Err(_) => Err(Problem::not_found()),
        };
        let (session, problem) = match decided {
            Ok(session) => (Some(session), None),
            Err(problem) => (None, Some(problem)),
        };
        DecidedSession { id, session, problem }
    });
    let decided: Vec<_> = decided.collect();
    Ok(Json(DecidedSessions { items: stream::iter(decided).buffered(TOGETHER).collect().await }))
}

async fn decide_one(
    api: &Api,
    actor: &Actor,
    session: SessionId,
    (decision, reason): (Decision, &str),
) -> Result<SessionView, Problem> {
    let decided = match decision {
        Decision::Approved => {
            let approve = Approve { reason: reason.to_owned(), ..Approve::default() };
            api.app.approve_session(actor, session, approve).await?
        }
        Decision::Denied => api.app.deny_session(actor, session, reason).await?,
    };
    Ok(api.view(&decided, actor))
}
