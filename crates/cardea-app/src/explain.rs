//! Why somebody may, or may not, do something: which policy, which rule, and what would change it.

use cardea_domain::{Actor, Configuration, Finding, Kind, Object, Permit, Verb};

use crate::{App, AppError, plan::misfit};

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// Name or id of the user; the actor themselves if `None`.
    pub user: Option<String>,
    /// Name or id of the resource.
    pub resource: String,
    /// Only this activity.
    pub activity: Option<String>,
}

/// The answer.
#[derive(Clone, Debug)]
pub struct Explanation {
    pub user: String,
    pub resource: String,
    /// What keeps the user from everything there.
    pub findings: Vec<Finding>,
    /// By name.
    pub activities: Vec<Explained>,
}

/// One activity.
#[derive(Clone, Debug)]
pub struct Explained {
    pub activity: String,
    /// Whether a request of this moment would be taken.
    pub allowed: bool,
    /// What is about the activity, the user and the resource, whatever the policy.
    pub findings: Vec<Finding>,
    pub policies: Vec<ExplainedPolicy>,
}

/// One policy that names the activity.
#[derive(Clone, Debug)]
pub struct ExplainedPolicy {
    pub policy: String,
    pub connection_profile: String,
    /// Whether all its rules hold.
    pub gives: bool,
    pub findings: Vec<Finding>,
}

impl App {
    /// Explains what a user may do on a resource. Everybody may ask for themselves, and then hears only of policies that name them.
    pub async fn explain(&self, actor: &Actor, question: &Question) -> Result<Explanation, AppError> {
        let explained = self.explain_once(actor, question);
        if let Err(error @ AppError::Denied(_)) = &explained {
            let subject = question.user.as_deref().unwrap_or_default().chars().take(64).collect();
            self.refused(actor, Verb::ExplainAccess, subject, error).await;
        }
        explained
    }

    fn explain_once(&self, actor: &Actor, question: &Question) -> Result<Explanation, AppError> {
        let configuration = self.configuration();
        let named = question.user.as_deref();
        let found = match named {
            Some(name) => configuration.find(Kind::User, name),
            None => actor.user_id().and_then(|id| configuration.get(id)),
        };
        let is_self = found.is_some_and(|user| Some(user.id) == actor.user_id());
        if !is_self {
            // Who may not ask does not learn who there is.
            Permit::somewhere(actor, Verb::ExplainAccess)?;
        }
        let user = found.ok_or_else(|| match named {
            Some(name) => AppError::field("/user", format!("there is no user `{name}`")),
            None => AppError::field("/user", "say whose access: whoever runs commands here is no user"),
        })?;
        let permit = Permit::for_object(actor, Verb::ExplainAccess, user, &configuration);
        let sees_all = permit.is_ok();
        if !is_self {
            permit?;
        }
        let mut view = Inquiry { app: self, configuration: &configuration, user, sees_all };
        view.answer(question)
    }
}

/// Who asks about whom.
struct Inquiry<'a> {
    app: &'a App,
    configuration: &'a Configuration,
    user: &'a Object,
    /// Whether policies are told of that do not name the user.
    sees_all: bool,
}

impl Inquiry<'_> {
    fn answer(&mut self, question: &Question) -> Result<Explanation, AppError> {
        let resource = self.configuration.find(Kind::Resource, &question.resource);
        let activity = question.activity.as_deref().map(|name| (name, self.configuration.find(Kind::Activity, name)));
        if self.sees_all && resource.is_none() {
            return Err(AppError::field("/resource", format!("there is no resource `{}`", question.resource)));
        }
        if let (true, Some((name, None))) = (self.sees_all, activity) {
            return Err(AppError::field("/activity", format!("there is no activity `{name}`")));
        }
        let (mut findings, mut activities) = (self.about_user(), Vec::new());
        if let Some(resource) = resource {
            let asked = self.configuration.of(Kind::Activity).filter(|one| match activity {
                Some((_, only)) => only.is_some_and(|only| only.id == one.id),
                None => true,
            });
            let keeps_out = !findings.is_empty();
            activities = asked.filter_map(|one| self.explained(one, resource, keeps_out)).collect();
            activities.sort_by(|one, other| one.activity.cmp(&other.activity));
        }
        if activities.is_empty() {
            let (user, resource) = (&self.user.name, &question.resource);
            let text = format!("No policy gives {user} what was asked for on `{resource}`.");
            findings.push(Finding::no("policy", text, "Ask an administrator for an access policy."));
        }
        let resource = resource.filter(|_| !activities.is_empty() || self.sees_all);
        Ok(Explanation {
            user: self.user.name.to_string(),
            resource: resource.map_or_else(|| question.resource.clone(), |resource| resource.name.to_string()),
            findings,
            activities,
        })
    }

    fn about_user(&self) -> Vec<Finding> {
        let now = self.app.0.clock.now();
        let mut findings = self.configuration.explain_user(self.user, now);
        if let Err(locked) = self.app.must_not_be_locked(self.user.id) {
            let text = format!("{}: {locked}", self.user.name);
            findings.push(Finding::no("user_locked", text, "Have an administrator unlock the user."));
        }
        findings
    }

    /// What becomes of one activity; `None` if it is nothing that who asks may hear of.
    fn explained(&self, activity: &Object, resource: &Object, keeps_out: bool) -> Option<Explained> {
        let policies = self.configuration.of(Kind::AccessPolicy).filter(|policy| names_activity(policy, activity));
        let mut policies: Vec<_> = policies.filter_map(|policy| self.explained_policy(policy, resource)).collect();
        policies.sort_by(|one, other| one.policy.cmp(&other.policy));
        let findings = self.about_activity(activity, resource, !policies.is_empty());
        if policies.is_empty() && !self.sees_all {
            return None;
        }
        let gives = policies.iter().any(|policy| policy.gives) && findings.iter().all(|finding| finding.holds);
        Some(Explained { activity: activity.name.to_string(), allowed: gives && !keeps_out, findings, policies })
    }

    fn explained_policy(&self, policy: &Object, resource: &Object) -> Option<ExplainedPolicy> {
        let findings = self.configuration.explain_policy(policy, self.user, resource, self.app.0.clock.now());
        let holds = |rule| findings.iter().any(|finding: &Finding| finding.rule == rule && finding.holds);
        if !(self.sees_all || holds("user_named") && holds("resource_named")) {
            return None;
        }
        Some(ExplainedPolicy {
            policy: policy.name.to_string(),
            connection_profile: policy.as_policy()?.connection_profile.clone(),
            gives: findings.iter().all(|finding| finding.holds),
            findings,
        })
    }

    fn about_activity(&self, activity: &Object, resource: &Object, has_policy: bool) -> Vec<Finding> {
        let mut findings = Vec::new();
        let (Some(what), Some(place)) = (activity.as_activity(), resource.as_resource()) else { return findings };
        let (name, host) = (&activity.name, &resource.name);
        if !has_policy {
            let text = format!("No policy gives {name} to anybody.");
            findings.push(Finding::no("policy", text, "Name the activity in an access policy."));
        }
        if what.platform != place.platform {
            let text = format!("{name} is for another platform than {host} is.");
            findings.push(Finding::no("platform", text, "Use an activity of the resource's platform."));
        }
        if place.host_key.is_none() {
            let text = format!("{host} has no host key, so nothing connects to it.");
            findings.push(Finding::no("host_key", text, format!("Run `cardea host-key learn {host}`.")));
        }
        // What a request would be refused for when it is laid out.
        let offers = self.configuration.fitting(self.user.id, activity.id, resource.id);
        let mut faults: Vec<_> = offers.iter().map(|offer| misfit(self.user, offer)).collect();
        if !faults.is_empty() && faults.iter().all(Option::is_some) {
            let text = faults.swap_remove(0).unwrap_or_default();
            findings.push(Finding::no("account", text, "See what the sentence asks for."));
        }
        findings
    }
}

fn names_activity(policy: &Object, activity: &Object) -> bool {
    policy.as_policy().is_some_and(|policy| policy.activities.iter().any(|name| activity.is_called(name)))
}
