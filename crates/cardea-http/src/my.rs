//! What the caller may request.

use axum::{Json, extract::State};
use cardea_app::{MyActivity, Way};
use cardea_domain::{CustomField, Extension, Period, Platform, Protocol, Schedule, Timestamp};
use serde::Serialize;

use crate::{Api, actor::Caller, problem::Problem};

/// Everything that the caller may request.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct MyActivities {
    items: Vec<MyActivityView>,
    next: Option<String>,
}

/// An activity and the ways to run it.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct MyActivityView {
    /// The activity's name.
    activity: String,
    platform: Platform,
    protocol: Protocol,
    /// What it gives beside the login account, for people.
    actions: Vec<String>,
    ways: Vec<WayView>,
}

/// One resource by one policy.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct WayView {
    resource: String,
    policy: String,
    connection_profile: String,
    max_duration: Period,
    require_notes: bool,
    require_ticket: bool,
    /// Whether somebody has to approve a session before it begins.
    requires_approval: bool,
    /// How many have to.
    approvals_needed: u32,
    /// By how much, and how often, a session may be made longer.
    extension: Option<Extension>,
    /// What else the request asks for.
    custom_fields: Vec<CustomField>,
    /// When the policy holds; always if there is none.
    schedule: Option<Schedule>,
    /// When it opens, if it is closed now: a start at that time or later can be requested.
    opens_at: Option<Timestamp>,
}

impl From<Way> for WayView {
    fn from(way: Way) -> Self {
        Self {
            resource: way.resource,
            policy: way.policy,
            connection_profile: way.profile,
            max_duration: way.max_duration,
            require_notes: way.require_notes,
            require_ticket: way.require_ticket,
            requires_approval: way.approvals_needed > 0,
            approvals_needed: way.approvals_needed,
            extension: way.extension,
            custom_fields: way.custom_fields,
            schedule: way.schedule,
            opens_at: way.opens_at,
        }
    }
}

impl MyActivityView {
    fn of(mine: MyActivity) -> Option<Self> {
        let spec = mine.activity.as_activity()?;
        Some(Self {
            activity: mine.activity.name.to_string(),
            platform: spec.platform,
            protocol: spec.protocol,
            actions: spec.pre_session.iter().map(|entry| entry.action.describe()).collect(),
            ways: mine.ways.into_iter().map(WayView::from).collect(),
        })
    }
}

/// List what the caller may request.
///
/// Each activity with the resources it may run on and the policies that give it.
///
/// **Who:** everybody, for themselves. **Audit:** none.
#[utoipa::path(get, path = "/api/v1/my/activities", tag = "my",
    extensions(("x-permission" = json!("signed_in"))),
    responses((status = 200, body = MyActivities, description = "The activities, by name.")))]
pub(crate) async fn list_my_activities(State(api): State<Api>, caller: Caller) -> Result<Json<MyActivities>, Problem> {
    let mine = api.app.my_activities(&caller.actor)?;
    Ok(Json(MyActivities { items: mine.into_iter().filter_map(MyActivityView::of).collect(), next: None }))
}
