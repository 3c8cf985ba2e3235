//! What the signed-in user may request.

use cardea_domain::{Actor, Object, Offer, Period};

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
}

impl App {
    /// Every activity that policies give the actor, by name. Empty for the operator, who is no user.
    pub fn my_activities(&self, actor: &Actor) -> Result<Vec<MyActivity>, AppError> {
        let Some(user) = actor.user_id() else { return Ok(Vec::new()) };
        let configuration = self.configuration();
        let mut activities: Vec<MyActivity> = Vec::new();
        for offer in configuration.offers(user) {
            match activities.last_mut().filter(|last| last.activity.id == offer.activity.id) {
                Some(last) => last.ways.push(Way::of(&offer)),
                None => activities.push(MyActivity { activity: offer.activity.clone(), ways: vec![Way::of(&offer)] }),
            }
        }
        Ok(activities)
    }
}

impl Way {
    fn of(offer: &Offer<'_>) -> Self {
        let profile = offer.profile_spec();
        Self {
            resource: offer.resource.name.to_string(),
            policy: offer.policy.name.to_string(),
            profile: offer.profile.name.to_string(),
            max_duration: profile.max_duration,
            require_notes: profile.require_notes,
            require_ticket: profile.require_ticket,
        }
    }
}
