//! Reviews of sessions for which somebody broke the glass.

use axum::{Json, extract::State};
use cardea_app::{ReviewRow, ReviewState};
use cardea_domain::{Actor, Configuration, SessionId, Timestamp, Verdict};
use serde::{Deserialize, Serialize};

use crate::{
    Api,
    actor::Caller,
    grant::limit,
    input::{Id, Input, Query},
    problem::Problem,
};

/// A session that began without approval, and what somebody said of it afterwards.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct ReviewView {
    session: SessionId,
    /// Names.
    user: String,
    activity: String,
    resource: String,
    connection_profile: String,
    notes: String,
    requested_at: Timestamp,
    due_at: Timestamp,
    /// Whether somebody should have reviewed it by now.
    is_overdue: bool,
    /// Null until it is reviewed, like the four below.
    verdict: Option<Verdict>,
    reason: Option<String>,
    /// The reviewer's name.
    reviewer: Option<String>,
    reviewed_at: Option<Timestamp>,
    /// Whether the session is over. Before, nobody can say that it was justified.
    is_over: bool,
    /// Whether the caller may review it now.
    may_review: bool,
}

/// A page of reviews, of the oldest session first.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct ReviewPage {
    items: Vec<ReviewView>,
    /// The `cursor` of the next page.
    next: Option<String>,
}

/// Which reviews.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReviewQuery {
    /// `open` (all that are still to be made), `overdue` or `done`; `open` if left out.
    state: Option<String>,
    /// 1 to 1000; 100 if left out.
    limit: Option<u32>,
    /// Where the page before ended.
    cursor: Option<String>,
}

/// What a reviewer found.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reviewing {
    verdict: Verdict,
    /// Why. 1 to 1,000 characters.
    reason: String,
}

impl ReviewView {
    fn of(row: &ReviewRow, actor: &Actor, configuration: &Configuration, now: Timestamp) -> Self {
        let (review, finding) = (&row.review, row.review.finding.as_ref());
        let may = |user| user != review.user && configuration.names_approver(user, review.profile, review.user);
        Self {
            session: review.session,
            user: row.user_name.clone(),
            activity: row.activity_name.clone(),
            resource: row.resource_name.clone(),
            connection_profile: row.profile_name.clone(),
            notes: row.notes.clone(),
            requested_at: row.requested_at,
            due_at: review.due_at,
            is_overdue: review.is_overdue(now),
            verdict: finding.map(|finding| finding.verdict),
            reason: finding.map(|finding| finding.reason.clone()),
            reviewer: finding.map(|finding| finding.reviewer_name.clone()),
            reviewed_at: finding.map(|finding| finding.at),
            is_over: !row.status.can_end(),
            may_review: finding.is_none() && !actor.is_operator_issued() && actor.user_id().is_some_and(may),
        }
    }
}

/// List reviews of sessions that began without approval.
///
/// **Who:** everybody, of their own sessions and of those that they may review; administrators and auditors, all. **Audit:** none.
#[utoipa::path(get, path = "/api/v1/reviews", tag = "approvals",
    extensions(("x-permission" = json!("signed_in"))), params(ReviewQuery),
    responses((status = 200, body = ReviewPage, description = "A page of reviews.")))]
pub(crate) async fn list_reviews(
    State(api): State<Api>,
    caller: Caller,
    Query(query): Query<ReviewQuery>,
) -> Result<Json<ReviewPage>, Problem> {
    let state = match query.state.as_deref() {
        None | Some("open") => ReviewState::Open,
        Some("overdue") => ReviewState::Overdue,
        Some("done") => ReviewState::Done,
        Some(_) => return Err(Problem::field("/state", "write `open`, `overdue` or `done`")),
    };
    let page = api.app.reviews(&caller.actor, state, (limit(query.limit)?, query.cursor)).await?;
    let (configuration, now) = (api.app.configuration(), api.app.now());
    let items = page.items.iter().map(|row| ReviewView::of(row, &caller.actor, &configuration, now)).collect();
    Ok(Json(ReviewPage { items, next: page.next }))
}

/// Say whether it was right to begin a session without approval.
///
/// Once, by one reviewer.
///
/// **Who:** the reviewers of its connection profile, but never its own user, and nobody by a token that the operator issued.
/// **Audit:** `session.review`.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/review", tag = "approvals",
    extensions(("x-permission" = json!("sessions.decide"))), params(("id" = String, Path)), request_body = Reviewing,
    responses((status = 200, body = ReviewView, description = "The review as it is now.")))]
pub(crate) async fn review_session(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<SessionId>,
    Input(Reviewing { verdict, reason }): Input<Reviewing>,
) -> Result<Json<ReviewView>, Problem> {
    let row = api.app.review_session(&caller.actor, id, (verdict, &reason)).await?;
    Ok(Json(ReviewView::of(&row, &caller.actor, &api.app.configuration(), api.app.now())))
}
