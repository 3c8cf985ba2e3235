//! What is allowed and yet hardly meant.

use std::collections::BTreeSet;

use super::{Configuration, Object, ObjectId};
use crate::{ActivitySpec, Kind, LoginAccountSpec};

impl Configuration {
    /// What whoever writes the configuration should know, a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let kept: Vec<_> =
            self.of(Kind::Activity).filter_map(|activity| Some((activity, kept_account(activity)?))).collect();
        let mut warnings = Vec::new();
        for (index, (one, account)) in kept.iter().enumerate() {
            for (other, _) in kept[index + 1..].iter().filter(|(_, theirs)| theirs == account) {
                if privileges(one) != privileges(other) && !self.hosts_of(one).is_disjoint(&self.hosts_of(other)) {
                    let (one, other) = (&one.name, &other.name);
                    warnings.push(format!(
                        "the activities `{one}` and `{other}` give different privileges to one managed account, `{account}`: what \
                         somebody leaves in its home in one of them can act in the other; give each an account of its own"
                    ));
                }
            }
        }
        warnings
    }

    /// The resources on which policies give an activity.
    fn hosts_of(&self, activity: &Object) -> BTreeSet<ObjectId> {
        let policies = self.of(Kind::AccessPolicy).filter_map(Object::as_policy);
        let naming = policies.filter(|policy| policy.activities.iter().any(|name| activity.is_called(name)));
        naming
            .flat_map(|policy| {
                let given =
                    self.of(Kind::Resource).filter(move |resource| self.policy_names_resource(policy, resource));
                given.map(|resource| resource.id)
            })
            .collect()
    }
}

fn kept_account(activity: &Object) -> Option<&str> {
    match activity.as_activity()?.login_account.as_ref()? {
        LoginAccountSpec::Managed { account, .. } => Some(account),
        LoginAccountSpec::ActivityToken { .. } | LoginAccountSpec::Requester {} => None,
    }
}

/// What its sessions place, in no order.
fn privileges(activity: &Object) -> BTreeSet<String> {
    let entries =
        activity.as_activity().into_iter().flat_map(|spec: &ActivitySpec| spec.pre_session.iter().chain(&spec.session));
    entries.map(|entry| format!("{:?}", entry.action)).collect()
}
