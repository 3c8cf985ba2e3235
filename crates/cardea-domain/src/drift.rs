//! Drift: what somebody with root changed on a target so as to keep it. Two snapshots and their difference; no input.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::GrantId;

/// How far a snapshot looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Accounts with number 0, sudoers, root's keys, schedules, units, the dead man's switch, the preloader, PAM, sshd's settings. Quick.
    Quick,
    /// Also every setuid and setgid file on local file systems. Slow, and gentle to the target.
    Full,
}

/// What a target held: by what and where (`sudoers /etc/sudoers.d/x`), a fingerprint of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Snapshot(pub BTreeMap<String, String>);

/// One difference between two snapshots.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "change", content = "what", rename_all = "snake_case")]
pub enum Drift {
    Changed(String),
    Gone(String),
    New(String),
}

/// What differs, by name. Things of grants that `is_ours` knows are left out: they come and go with their sessions. A full
/// snapshot is compared with a full one: what only one of them looked for would be taken for new or gone.
pub fn drift(before: &Snapshot, after: &Snapshot, is_ours: impl Fn(GrantId) -> bool) -> Vec<Drift> {
    let names: BTreeSet<_> = before.0.keys().chain(after.0.keys()).collect();
    let names = names.into_iter().filter(|name| !grant_in(name).is_some_and(&is_ours));
    names
        .filter_map(|name| match (before.0.get(name), after.0.get(name)) {
            (Some(old), Some(new)) if old != new => Some(Drift::Changed(name.clone())),
            (Some(_), None) => Some(Drift::Gone(name.clone())),
            (None, Some(_)) => Some(Drift::New(name.clone())),
            _ => None,
        })
        .collect()
}

/// The grant that a file of Cardea's is named after: `/etc/sudoers.d/cardea-GRANT`.
fn grant_in(name: &str) -> Option<GrantId> {
    let (_, rest) = name.rsplit_once("/cardea-")?;
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(items: &[(&str, &str)]) -> Snapshot {
        Snapshot(items.iter().map(|(name, print)| ((*name).to_owned(), (*print).to_owned())).collect())
    }

    #[test]
    fn what_is_new_changed_or_gone_is_named_and_what_is_ours_is_not() {
        let ours: GrantId = "grt_00000000000000000000000001".parse().expect("an id");
        let rule = |id: &str| format!("sudoers /etc/sudoers.d/cardea-{id}");
        let (known, forged) = (rule(&ours.to_string()), rule("grt_00000000000000000000000002"));
        let before = snapshot(&[("account root", "1"), ("pam /etc/pam.d/su", "1"), ("cron /etc/crontab", "1")]);
        let after = snapshot(&[
            ("account root", "1"),
            ("account toor", "1"),
            ("pam /etc/pam.d/su", "2"),
            (&known, "1"),
            (&forged, "1"),
        ]);

        let found = drift(&before, &after, |grant| grant == ours);

        assert_eq!(
            found,
            [
                Drift::New("account toor".to_owned()),
                Drift::Gone("cron /etc/crontab".to_owned()),
                Drift::Changed("pam /etc/pam.d/su".to_owned()),
                Drift::New(forged),
            ]
        );
        assert_eq!(drift(&after, &after, |_| false), []);
    }
}
