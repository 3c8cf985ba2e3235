//! Why somebody may, or may not: each rule that a policy asks, how it came out, and what would change it.

use super::{Configuration, Object};
use crate::{AccessPolicySpec, ConnectionProfileSpec, Kind, Permission, Shortage, Timestamp};

/// How one rule came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Stable: `user_named`, `hours`, …
    pub rule: &'static str,
    pub holds: bool,
    /// A sentence.
    pub text: String,
    /// What would change it; only where it does not hold.
    pub remedy: Option<String>,
}

impl Finding {
    /// A rule that holds.
    pub fn yes(rule: &'static str, text: impl Into<String>) -> Self {
        Self { rule, holds: true, text: text.into(), remedy: None }
    }

    /// A rule that does not, and what would change it.
    pub fn no(rule: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { rule, holds: false, text: text.into(), remedy: Some(remedy.into()) }
    }
}

impl Configuration {
    /// What is about the user alone, whatever policies say: only what keeps them from it.
    pub fn explain_user(&self, user: &Object, now: Timestamp) -> Vec<Finding> {
        let (name, mut findings) = (&user.name, Vec::new());
        let spec = user.as_user();
        match spec.and_then(|spec| spec.keeps_out(now)) {
            Some("disabled") => {
                findings.push(Finding::no("user_disabled", format!("{name} is disabled."), "Set `disabled: false`."));
            }
            Some(_) => {
                let at = spec.and_then(|spec| spec.expires_at).map(|at| at.to_string()).unwrap_or_default();
                let text = format!("{name} expired at {at}.");
                findings.push(Finding::no("user_expired", text, "Set a later `expires_at`, or none."));
            }
            None => {}
        }
        if let Some(absence) = self.absence_of(user.id) {
            let text = format!("{name} is {}.", absence.reason.phrase());
            findings.push(Finding::no(
                "user_away",
                text,
                "Let them in there; the next look at the directory finds it.",
            ));
        }
        let permission = Permission::SessionsRequest;
        if !self.roles_of(user.id).iter().any(|role| role.gives(permission)) {
            let text = format!("No role of {name} gives the permission `{permission}`.");
            findings.push(Finding::no("may_request", text, "Give the user, or a group of theirs, the role `user`."));
        }
        findings
    }

    /// How a policy's rules come out for this user on this resource at this moment. The activity is one that it names.
    pub fn explain_policy(&self, policy: &Object, user: &Object, resource: &Object, now: Timestamp) -> Vec<Finding> {
        let Some(spec) = policy.as_policy() else { return Vec::new() };
        let mut findings = vec![self.explain_names(spec, user), self.explain_resource(spec, resource)];
        findings.extend(explain_hours(policy, spec, now));
        let profile = self.find(Kind::ConnectionProfile, &spec.connection_profile);
        if let Some((profile, rules)) = profile.and_then(|profile| Some((profile, profile.as_profile()?))) {
            findings.extend(self.explain_approval(profile, rules, (user, now)));
        }
        findings
    }

    fn explain_names(&self, policy: &AccessPolicySpec, user: &Object) -> Finding {
        let name = &user.name;
        if policy.users.iter().any(|named| self.is_user(named, user.id)) {
            return Finding::yes("user_named", format!("It names the user {name}."));
        }
        let groups = policy.groups.iter().filter_map(|group| self.find(Kind::Group, group));
        let way = groups.into_iter().find_map(|group| self.membership(group, user.id));
        if let Some(way) = way {
            let way = way.iter().map(|group| group.name.as_str()).collect::<Vec<_>>().join(" → ");
            return Finding::yes("user_named", format!("It names a group of the user's: {way} → {name}."));
        }
        let remedy = match policy.groups.as_slice() {
            [] => "Name the user in `users` of the policy.".to_owned(),
            groups => format!("Put the user into one of its groups ({}), or name them in `users`.", groups.join(", ")),
        };
        Finding::no("user_named", format!("It names neither {name} nor a group of theirs."), remedy)
    }

    fn explain_resource(&self, policy: &AccessPolicySpec, resource: &Object) -> Finding {
        let name = &resource.name;
        let is_given = |groups: &[String]| self.lists_name_resource(&[], groups, resource);
        if self.lists_name_resource(&policy.resources, &[], resource) {
            return Finding::yes("resource_named", format!("It names the resource {name}."));
        }
        if let Some(group) = policy.resource_groups.iter().find(|group| is_given(std::slice::from_ref(group))) {
            return Finding::yes("resource_named", format!("It names the resource group {group}, which has {name}."));
        }
        let remedy = match policy.resource_groups.as_slice() {
            [] => "Name the resource in `resources` of the policy.".to_owned(),
            groups => {
                format!("Put the resource into one of its groups ({}), or name it in `resources`.", groups.join(", "))
            }
        };
        Finding::no("resource_named", format!("It names neither {name} nor a group that has it."), remedy)
    }

    fn explain_approval(
        &self,
        profile: &Object,
        rules: &ConnectionProfileSpec,
        (user, now): (&Object, Timestamp),
    ) -> Option<Finding> {
        let approval = rules.approval.as_ref()?;
        let names: Vec<_> = approval.tiers.iter().map(|tier| tier.approvers.join(", ")).collect();
        let (quorum, profile_name) = (approval.quorum(), &profile.name);
        let text = format!("Its profile {profile_name} asks for {quorum} approval(s) by {}.", names.join(", then "));
        if let Some(shortage) = self.ask(approval, user.id, now).shortage() {
            let Shortage { tiers, needed, people } = shortage;
            let text = format!(
                "{text} Beside the requester, {tiers} must have {needed} of them and there are {people}, so nobody can ever begin."
            );
            return Some(Finding::no("approval", text, "Name more approvers in the profile."));
        }
        Some(Finding::yes("approval", text))
    }
}

fn explain_hours(policy: &Object, spec: &AccessPolicySpec, now: Timestamp) -> Option<Finding> {
    let schedule = spec.schedule.as_ref()?;
    let name = &policy.name;
    if let Some(until) = schedule.open_until(now) {
        return Some(Finding::yes("hours", format!("{name} is open until {until}.")));
    }
    Some(match schedule.opens_after(now) {
        Some(opens) => {
            let text = format!("{name} is closed until {opens}.");
            Finding::no("hours", text, format!("Ask for a start at {opens} or later within its hours."))
        }
        None => Finding::no("hours", format!("{name} is closed, and stays so."), "Change its `schedule`."),
    })
}
