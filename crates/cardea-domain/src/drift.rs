//! Drift: what somebody with root changed on a target so as to keep it. Two snapshots and their difference; no input.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::GrantId;

/// How far a snapshot looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Accounts with number 0, sudoers, members of groups, root's keys, schedules, units, the dead man's switch, the preloader, PAM, sshd's settings. Quick.
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

impl Drift {
    /// By what and where.
    pub fn name(&self) -> &str {
        match self {
            Self::Changed(name) | Self::Gone(name) | Self::New(name) => name,
        }
    }
}

/// What differs, by name. What `is_ours` knows is left out, which is asked about whatever is named after a grant and is of the
/// kind that it has there: it comes and goes with its session. A full snapshot is compared with a full one: what only one of them looked for would be taken for new or gone.
pub fn drift(before: &Snapshot, after: &Snapshot, is_ours: impl Fn(&Drift, DriftMark) -> bool) -> Vec<Drift> {
    let names: BTreeSet<_> = before.0.keys().chain(after.0.keys()).collect();
    names
        .into_iter()
        .filter_map(|name| match (before.0.get(name), after.0.get(name)) {
            (Some(old), Some(new)) if old != new => Some(Drift::Changed(name.clone())),
            (Some(_), None) => Some(Drift::Gone(name.clone())),
            (None, Some(_)) => Some(Drift::New(name.clone())),
            _ => None,
        })
        .filter(|drift| !mark_in(drift.name()).is_some_and(|mark| is_ours(drift, mark)))
        .collect()
}

/// What a file of Cardea's is named after: a grant, and of which kind that is. Exactly as Cardea names them: anybody with root
/// may name a file nearly so.
pub type DriftMark = (GrantId, &'static str);

fn mark_in(name: &str) -> Option<DriftMark> {
    let grant = grant_in(name)?;
    let unit = format!("/etc/systemd/system/cardea-{grant}");
    let of_switch = [
        format!("unit {unit}.timer"),
        format!("unit {unit}.service"),
        format!("unit /etc/systemd/system/timers.target.wants/cardea-{grant}.timer -> {unit}.timer"),
        format!("schedule /etc/cron.d/cardea-{grant}"),
        format!("schedule /var/spool/at/cardea-{grant}"),
        format!("dead_man /var/lib/cardea-host/cardea-{grant}"),
    ];
    if name == format!("sudoers /etc/sudoers.d/cardea-{grant}") {
        Some((grant, "sudo_rule"))
    } else {
        of_switch.iter().any(|known| known == name).then_some((grant, "dead_man"))
    }
}

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
        let elsewhere = format!("schedule /etc/cron.daily/cardea-{ours}");
        let before = snapshot(&[("account root", "1"), ("pam /etc/pam.d/su", "1"), ("cron /etc/crontab", "1")]);
        let after = snapshot(&[
            ("account root", "1"),
            ("account toor", "1"),
            ("pam /etc/pam.d/su", "2"),
            (&known, "1"),
            (&forged, "1"),
            (&elsewhere, "1"),
        ]);

        let found = drift(&before, &after, |_, mark| mark == (ours, "sudo_rule"));

        assert_eq!(
            found,
            [
                Drift::New("account toor".to_owned()),
                Drift::Gone("cron /etc/crontab".to_owned()),
                Drift::Changed("pam /etc/pam.d/su".to_owned()),
                Drift::New(elsewhere),
                Drift::New(forged),
            ]
        );
        assert_eq!(drift(&after, &after, |_, _| false), []);
    }
}
