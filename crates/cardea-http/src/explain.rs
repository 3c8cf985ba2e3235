//! Why somebody may, or may not.

use axum::{Json, extract::State};
use cardea_app::{Explained, ExplainedPolicy, Explanation, Question};
use cardea_domain::Finding;
use serde::{Deserialize, Serialize};

use crate::{Api, actor::Caller, input::Query, problem::Problem};

/// What is asked.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExplainQuery {
    /// Name or id of a user; the caller if left out.
    user: Option<String>,
    /// Name or id of a resource.
    resource: String,
    /// Name or id of an activity; all of them if left out.
    activity: Option<String>,
}

/// How one rule came out.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct FindingView {
    /// `user_disabled`, `user_expired`, `user_away`, `user_locked`, `may_request`, `policy`, `user_named`, `resource_named`, `hours`, `approval`,
    /// `platform`, `host_key` or `account`.
    rule: &'static str,
    holds: bool,
    text: String,
    /// What would change it, where it does not hold.
    remedy: Option<String>,
}

/// One policy that names the activity.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct ExplainedPolicyView {
    policy: String,
    connection_profile: String,
    /// Whether all its rules hold.
    gives: bool,
    findings: Vec<FindingView>,
}

/// One activity.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct ExplainedView {
    activity: String,
    /// Whether a request of this moment would be taken.
    allowed: bool,
    /// What is about the activity, the user and the resource, whatever the policy.
    findings: Vec<FindingView>,
    policies: Vec<ExplainedPolicyView>,
}

/// Why somebody may, or may not.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct ExplanationView {
    user: String,
    resource: String,
    /// What keeps the user from everything there.
    findings: Vec<FindingView>,
    /// By name.
    activities: Vec<ExplainedView>,
}

fn findings(findings: Vec<Finding>) -> Vec<FindingView> {
    let view = |Finding { rule, holds, text, remedy }| FindingView { rule, holds, text, remedy };
    findings.into_iter().map(view).collect()
}

impl From<ExplainedPolicy> for ExplainedPolicyView {
    fn from(one: ExplainedPolicy) -> Self {
        let ExplainedPolicy { policy, connection_profile, gives, findings: found } = one;
        Self { policy, connection_profile, gives, findings: findings(found) }
    }
}

impl From<Explained> for ExplainedView {
    fn from(one: Explained) -> Self {
        let Explained { activity, allowed, findings: found, policies } = one;
        let policies = policies.into_iter().map(ExplainedPolicyView::from).collect();
        Self { activity, allowed, findings: findings(found), policies }
    }
}

/// Explain what a user may do on a resource.
///
/// For each activity yes or no, with every rule of every policy that names it, how it came out, and what would change it. Who asks
/// for themselves without the permission hears only of policies that name them and the resource.
///
/// **Who:** everybody, for themselves; administrators, auditors and the operator, for anybody. **Audit:** `access.explain`, when it
/// is refused.
#[utoipa::path(get, path = "/api/v1/explain", tag = "configuration",
    extensions(("x-permission" = json!("own or access.explain"))), params(ExplainQuery),
    responses((status = 200, body = ExplanationView, description = "The answer.")))]
pub(crate) async fn explain(
    State(api): State<Api>,
    caller: Caller,
    Query(ExplainQuery { user, resource, activity }): Query<ExplainQuery>,
) -> Result<Json<ExplanationView>, Problem> {
    let answer = api.app.explain(&caller.actor, &Question { user, resource, activity }).await?;
    let Explanation { user, resource, findings: found, activities } = answer;
    let activities = activities.into_iter().map(ExplainedView::from).collect();
    Ok(Json(ExplanationView { user, resource, findings: findings(found), activities }))
}
