//! The grant ledger: what Cardea put on hosts, and the proof that it is gone.

use axum::{Json, extract::State};
use cardea_app::OutGrant;
use cardea_domain::{Grant, GrantId, GrantState, SessionId, Status, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Api, actor::Caller, input::Query, problem::Problem};

/// One privilege in the ledger.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct GrantView {
    id: GrantId,
    session: SessionId,
    /// The resource's name.
    resource: String,
    /// The account's name on the resource.
    login_account: String,
    /// `account`, `managed_account`, `authorized_key`, `dead_man`, or the effect of an action: `sudo_rule`, `group_membership`, …
    kind: &'static str,
    /// What it is, for people.
    description: String,
    state: GrantState,
    placed_at: Option<Timestamp>,
    removed_at: Option<Timestamp>,
    /// When the resource ends it by itself, should Cardea not come back.
    expires_at: Option<Timestamp>,
    /// Failed attempts at removal.
    attempts: i64,
    last_error: Option<String>,
    /// What was read back after removal.
    evidence: Option<EvidenceView>,
}

/// Proof that a privilege is gone.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct EvidenceView {
    read_at: Timestamp,
    /// What the resource said.
    read_back: String,
    /// Whether the person had root there, so that its word could be forged.
    self_reported: bool,
    /// What else was found and dealt with.
    findings: Vec<String>,
}

/// One privilege that is out there.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct OutGrantView {
    #[serde(flatten)]
    grant: GrantView,
    session_status: Status,
}

/// A page of privileges that are out there.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct GrantPage {
    items: Vec<OutGrantView>,
    /// The `cursor` of the next page.
    next: Option<String>,
}

/// Which part of the ledger.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct GrantQuery {
    /// `out`: placing, placed or removing. The only list there is.
    state: Option<String>,
    /// 1 to 1000; 100 if left out.
    limit: Option<u32>,
    /// Where the page before ended.
    cursor: Option<String>,
}

impl GrantView {
    pub(crate) fn of(grant: &Grant) -> Self {
        Self {
            id: grant.id,
            session: grant.session,
            resource: grant.target.name.clone(),
            login_account: grant.account.name.clone(),
            kind: grant.privilege.kind(),
            description: grant.privilege.describe(),
            state: grant.state,
            placed_at: grant.placed_at,
            removed_at: grant.removed_at,
            expires_at: grant.expires_at,
            attempts: grant.attempts,
            last_error: grant.last_error.clone(),
            evidence: grant.evidence.as_ref().map(|evidence| EvidenceView {
                read_at: evidence.read_at,
                read_back: evidence.read_back.clone(),
                self_reported: evidence.self_reported,
                findings: evidence.findings.clone(),
            }),
        }
    }
}

impl OutGrantView {
    pub(crate) fn of(out: &OutGrant) -> Self {
        Self { grant: GrantView::of(&out.grant), session_status: out.session_status }
    }
}

/// The longest page of any list.
const LIMIT_MAX: u32 = 1000;
const LIMIT: u32 = 100;

/// The `limit` of a list.
pub(crate) fn limit(given: Option<u32>) -> Result<u32, Problem> {
    match given.unwrap_or(LIMIT) {
        limit @ 1..=LIMIT_MAX => Ok(limit),
        _ => Err(Problem::field("/limit", "write a number from 1 to 1000")),
    }
}

/// List what is out there.
///
/// Every privilege that is, or could be, on a resource now. Oldest first.
///
/// **Who:** everybody, their own; administrators and auditors, all. **Audit:** none.
#[utoipa::path(get, path = "/api/v1/grants", tag = "grants",
    extensions(("x-permission" = json!("signed_in"))), params(GrantQuery),
    responses((status = 200, body = GrantPage, description = "A page of the ledger.")))]
pub(crate) async fn list_grants(
    State(api): State<Api>,
    caller: Caller,
    Query(query): Query<GrantQuery>,
) -> Result<Json<GrantPage>, Problem> {
    if query.state.is_some_and(|state| state != "out") {
        return Err(Problem::field("/state", "write `out`: placing, placed or removing"));
    }
    let page = api.app.grants_out(&caller.actor, query.cursor, limit(query.limit)?).await?;
    Ok(Json(GrantPage { items: page.items.iter().map(OutGrantView::of).collect(), next: page.next }))
}
