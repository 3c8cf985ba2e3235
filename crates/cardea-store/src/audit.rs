//! The audit trail. An entry is a sequence of bytes, fixed when it is written.
//!
//! The canonical form of an entry is JSON in UTF-8 without blanks, the keys of every map in the order of their bytes,
//! texts and numbers as serde_json writes them:
//!
//! ```text
//! {"actor":{"kind":"user","id":"usr_…","name":"alice","roles":["user"],"via":{"token":"tok_…"}},"at":1767225599000000,
//!  "detail":…,"format":1,"id":"aud_…","outcome":"ok","subject":"ses_…","verb":"session.end"}
//! ```
//!
//! (The actor's keys are sorted too: `id`, `kind`, `name`, `roles`, `via`.) `at` is microseconds since 1970, UTC.
//! `actor.kind` is `engine`, `gateway`, `operator` (with `uid`) or `user`; `via` is `"key"`, `{"sign_in":ID}` or
//! `{"token":ID,"operator_issued":BOOL}`. A change of this form raises `format`.

use std::collections::BTreeMap;

use cardea_domain::{Actor, Permit, Role, Timestamp, Verb, Via};
use serde_json::{Value, json};

use crate::{
    StoreError, Tx,
    batch::{Write, places, values},
    row::{to_json, without_nul},
};

/// How something that was asked for ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Ok,
    Refused,
}

impl Outcome {
    /// The outcome in the trail.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
        }
    }
}

/// Something that happened, or was refused. Holds no secret.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    /// Sorts by time.
    pub id: String,
    pub at: Timestamp,
    /// What it was done to: an id, or what was named.
    pub subject: String,
    pub outcome: Outcome,
    /// What else a reader needs to understand it.
    pub detail: Value,
}

/// An entry that is written at the end of its unit.
pub(crate) struct PendingEntry {
    id: String,
    at: i64,
    actor: String,
    verb: &'static str,
    subject: String,
    outcome: &'static str,
    canonical: Vec<u8>,
}

/// Entries of one insert.
const INSERT_MAX: usize = 1000;

impl Tx {
    /// Records what a permit was used for, at the end of the unit.
    pub async fn record(&mut self, permit: &Permit, entry: &AuditEntry) -> Result<(), StoreError> {
        self.entries.push(PendingEntry::of(permit.actor(), permit.verb(), entry));
        Ok(())
    }

    /// Records that somebody asked for something and got no permit.
    pub async fn record_refusal(&mut self, actor: &Actor, verb: Verb, entry: &AuditEntry) -> Result<(), StoreError> {
        self.entries.push(PendingEntry::of(actor, verb, entry));
        Ok(())
    }

    pub(crate) async fn keep_entries(&mut self) -> Result<(), StoreError> {
        const SQL: &str = "insert into audit (id, at, actor, verb, subject, outcome, canonical) values ";
        let entries = std::mem::take(&mut self.entries);
        let mut entries = entries.into_iter().peekable();
        while entries.peek().is_some() {
            let some: Vec<_> = entries.by_ref().take(INSERT_MAX).collect();
            let rows = some.len();
            let row = |entry: PendingEntry| {
                let PendingEntry { id, at, actor, verb, subject, outcome, canonical } = entry;
                values![id, at, actor, verb, subject, outcome, canonical]
            };
            let values = some.into_iter().flat_map(row).collect();
            self.keep(Write { sql: format!("{SQL}{}", places(rows, 7)), values, rows, ids: Vec::new() }).await?;
        }
        Ok(())
    }
}

impl PendingEntry {
    fn of(actor: &Actor, verb: Verb, entry: &AuditEntry) -> Self {
        Self {
            id: entry.id.clone(),
            at: entry.at.as_micros(),
            actor: actor_id(actor),
            verb: verb.as_str(),
            subject: without_nul(&entry.subject),
            outcome: entry.outcome.as_str(),
            canonical: canonical(actor, verb, entry),
        }
    }
}

/// What an actor can be found by, whatever they are called at the time.
fn actor_id(actor: &Actor) -> String {
    match actor {
        Actor::Engine | Actor::Gateway => actor.to_string(),
        Actor::Operator { uid } => format!("operator:{uid}"),
        Actor::User { id, .. } => id.to_string(),
    }
}

fn canonical(actor: &Actor, verb: Verb, entry: &AuditEntry) -> Vec<u8> {
    let actor = match actor {
        Actor::Engine => json!({ "kind": "engine" }),
        Actor::Gateway => json!({ "kind": "gateway" }),
        Actor::Operator { uid } => json!({ "kind": "operator", "uid": uid }),
        Actor::User { id, name, roles, via } => {
            let via = match via {
                Via::Certificate => json!("certificate"),
                Via::Key => json!("key"),
                Via::Launch => json!("launch_token"),
                Via::Password => json!("password"),
                Via::SignIn(id) => json!({ "sign_in": id }),
                Via::Token { id, operator_issued, .. } => json!({ "token": id, "operator_issued": operator_issued }),
            };
            let roles: Vec<_> = roles.iter().map(Role::name).collect();
            json!({ "kind": "user", "id": id, "name": name, "roles": roles, "via": via })
        }
    };
    let whole = json!({
        "actor": actor,
        "at": entry.at.as_micros(),
        "detail": entry.detail,
        "format": 1,
        "id": entry.id,
        "outcome": entry.outcome.as_str(),
        "subject": entry.subject,
        "verb": verb.as_str(),
    });
    let mut text = String::new();
    write_sorted(&whole, &mut text);
    text.into_bytes()
}

/// Maps of serde_json keep their keys sorted or not, as features of other crates will have it: so they are sorted here.
fn write_sorted(value: &Value, out: &mut String) {
    let mut separator = "";
    match value {
        Value::Array(items) => {
            out.push('[');
            for item in items {
                out.push_str(std::mem::replace(&mut separator, ","));
                write_sorted(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (key, item) in map.iter().collect::<BTreeMap<_, _>>() {
                out.push_str(std::mem::replace(&mut separator, ","));
                out.push_str(&to_json(key));
                out.push(':');
                write_sorted(item, out);
            }
            out.push('}');
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => out.push_str(&to_json(value)),
    }
}
