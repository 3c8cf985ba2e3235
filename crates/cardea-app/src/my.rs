//! What the signed-in user may request.

use cardea_domain::{Actor, ApprovalSpec, CustomField, Extension, Object, Offer, Period, Schedule, Timestamp};

use crate::{App, AppError};

/// An activity, and every way to run it.
#[derive(Clone, Debug)]
pub struct MyActivity {
    pub activity: Object,
    pub ways: Vec<Way>,
}

/// One resource by one policy.
#[derive(Clone, Debug)]
pub struct Way {
    pub resource: String,
    pub policy: String,
    pub profile: String,
    pub max_duration: Period,
    pub require_notes: bool,
    pub require_ticket: bool,
    /// How many have to approve a session before it begins; nobody if zero.
    pub approvals_needed: u32,
    pub extension: Option<Extension>,
    pub custom_fields: Vec<CustomField>,
    /// When the policy holds; always if `None`.
    pub schedule: Option<Schedule>,
    /// When it opens, if it is closed now.
    pub opens_at: Option<Timestamp>,
}

impl App {
    /// Every activity that policies give the actor, by name. Empty for the operator, who is no user.
    pub fn my_activities(&self, actor: &Actor) -> Result<Vec<MyActivity>, AppError> {
        let Some(user) = actor.user_id() else { return Ok(Vec::new()) };
        let (configuration, now) = (self.configuration(), self.0.clock.now());
        let mut activities: Vec<MyActivity> = Vec::new();
        for offer in configuration.offers(user) {
            match activities.last_mut().filter(|last| last.activity.id == offer.activity.id) {
                Some(last) => last.ways.push(Way::of(&offer, now)),
                None => {
                    activities.push(MyActivity { activity: offer.activity.clone(), ways: vec![Way::of(&offer, now)] });
                }
            }
        }
        Ok(activities)
    }
}

impl Way {
    fn of(offer: &Offer<'_>, now: Timestamp) -> Self {
        let profile = offer.profile_spec();
        let shut = offer.schedule().filter(|schedule| schedule.open_until(now).is_none());
        Self {
            resource: offer.resource.name.to_string(),
            policy: offer.policy.name.to_string(),
            profile: offer.profile.name.to_string(),
            max_duration: profile.max_duration,
            require_notes: profile.require_notes,
            require_ticket: profile.require_ticket,
            approvals_needed: profile.approval.as_ref().map_or(0, ApprovalSpec::quorum),
            extension: profile.extension,
            custom_fields: profile.custom_fields.clone(),
            schedule: offer.schedule().cloned(),
            opens_at: shut.and_then(|schedule| schedule.opens_after(now)),
        }
    }
}
