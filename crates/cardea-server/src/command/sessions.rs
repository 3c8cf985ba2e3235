//! `cardea sessions`: what users do on the dashboard, for scripts.

use std::{collections::BTreeMap, process::ExitCode};

use clap::Subcommand;
use serde_json::{Value, json};

use crate::{
    client::{Client, target},
    failure::Failure,
    output::{self, printable},
};

/// What can be done with sessions.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// List active sessions, newest first
    List {
        /// Others instead: those that wait for one's approval, those that are over, those that begin later
        #[arg(long, value_enum, default_value_t = View::Active)]
        view: View,
        /// Only one's own, where one sees others' too
        #[arg(long)]
        mine: bool,
        /// Only those with this text in user, activity, resource, account, notes, ticket, status or reason
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        /// The most to list, up to 1000
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Request an activity on resources: one session each
    Create {
        /// The activity's name
        activity: String,
        /// The resources' names
        #[arg(required = true)]
        resources: Vec<String>,
        /// The access policy, where several fit
        #[arg(long, value_name = "NAME")]
        policy: Option<String>,
        /// What it is for
        #[arg(long, value_name = "TEXT", default_value = "")]
        notes: String,
        /// The ticket that it belongs to
        #[arg(long, value_name = "TEXT", default_value = "")]
        ticket: String,
        /// When it is to begin, like 2026-12-31T22:00:00Z; at once if left out
        #[arg(long, value_name = "TIME")]
        start_at: Option<String>,
        /// A field that the connection profile adds; may be given several times
        #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
        custom: Vec<(String, String)>,
    },
    /// Make a session longer, by as much as its profile allows
    Extend {
        /// The session's id
        id: String,
        /// By so many minutes
        #[arg(long, value_name = "N")]
        minutes: Option<u32>,
    },
    /// Freeze a session; or everything of its user, or on its resource
    Lock {
        /// The session's id
        id: String,
        /// What people read
        #[arg(long, value_name = "TEXT")]
        title: String,
        /// What they read below it
        #[arg(long, value_name = "TEXT", default_value = "")]
        text: String,
        /// How far it reaches
        #[arg(long, value_enum, default_value_t = Scope::Session)]
        scope: Scope,
    },
    /// Let a frozen session go on
    Unlock {
        /// The session's id
        id: String,
        /// Why, for the log
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Begin a failed session again
    Retry {
        /// The session's id
        id: String,
    },
    /// End sessions: connections are cut, everything is taken away
    End {
        /// The sessions' ids
        #[arg(required = true)]
        ids: Vec<String>,
        /// Why, for the log
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Show what was done for a session, step by step
    Log {
        /// The session's id
        id: String,
    },
}

/// Which sessions are listed.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum View {
    Active,
    Approvals,
    History,
    Scheduled,
}

/// How far a lock reaches.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Scope {
    Session,
    User,
    Resource,
}

impl View {
    fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Approvals => "approvals",
            Self::History => "history",
            Self::Scheduled => "scheduled",
        }
    }
}

impl Scope {
    fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::User => "user",
            Self::Resource => "resource",
        }
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Command {
    /// Does it.
    pub(crate) async fn run(self, client: &Client, json: bool) -> Result<ExitCode, Failure> {
        match self {
            Self::List { view, mine, search, limit } => {
                let limit = limit.to_string();
                let mut query =
                    vec![("view", view.as_str()), ("scope", if mine { "mine" } else { "all" }), ("limit", &limit)];
                query.extend(search.as_deref().map(|text| ("q", text)));
                if let View::Approvals = view {
                    return approvals(&client.get(&target(&["sessions"], &query)).await?, json);
                }
                list(&client.get(&target(&["sessions"], &query)).await?, json)
            }
            Self::Create { activity, resources, policy, notes, ticket, start_at, custom } => {
                let mut request =
                    json!({ "activity": activity, "resources": resources, "notes": notes, "ticket": ticket });
                if let Some(policy) = policy {
                    request["policy"] = json!(policy);
                }
                if let Some(start_at) = start_at {
                    request["start_at"] = json!(start_at);
                }
                if !custom.is_empty() {
                    request["custom"] = json!(custom.into_iter().collect::<BTreeMap<_, _>>());
                }
                let answer = client.post("/sessions", &request).await?;
                remark_if_alone(client);
                list(&answer, json)
            }
            Self::Extend { id, minutes } => {
                let request = minutes.map_or_else(|| json!({}), |minutes| json!({ "minutes": minutes }));
                act(client, &id, "extend", &request, json).await
            }
            Self::Lock { id, title, text, scope } => {
                let request = json!({ "title": title, "text": text, "scope": scope.as_str() });
                act(client, &id, "lock", &request, json).await
            }
            Self::Unlock { id, reason } => {
                let request = reason.map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
                act(client, &id, "unlock", &request, json).await
            }
            Self::Retry { id } => act(client, &id, "retry", &json!({}), json).await,
            Self::End { ids, reason } => end(client, &ids, reason.as_deref(), json).await,
            Self::Log { id } => log(&client.get(&target(&["sessions", &id, "log"], &[])).await?, json),
        }
    }
}

/// Does something with one session, and shows it as it is then.
pub(crate) async fn act(
    client: &Client,
    id: &str,
    what: &str,
    request: &Value,
    json: bool,
) -> Result<ExitCode, Failure> {
    let answer = client.post(&target(&["sessions", id, what], &[]), request).await?;
    remark_if_alone(client);
    if json {
        output::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    list(&json!({ "items": [answer] }), json)
}

/// Decides about one request, with what was wished for it, or about several for one reason.
pub(crate) async fn decide(
    client: &Client,
    ids: &[String],
    (what, mut verdict): (&str, Value),
    json: bool,
) -> Result<ExitCode, Failure> {
    if let [id] = ids {
        return act(client, id, what, &verdict, json).await;
    }
    if verdict.as_object().is_some_and(|verdict| verdict.len() > 1) {
        return Err(Failure::Usage("--duration and --start-at are for one session: name one id".to_owned()));
    }
    verdict["ids"] = json!(ids);
    let answer = client.post(&target(&["sessions", what], &[]), &verdict).await?;
    outcomes(client, &answer, json)
}

async fn end(client: &Client, ids: &[String], reason: Option<&str>, json: bool) -> Result<ExitCode, Failure> {
    let mut request = json!({ "ids": ids });
    if let Some(reason) = reason {
        request["reason"] = json!(reason);
    }
    let answer = client.post("/sessions/end", &request).await?;
    outcomes(client, &answer, json)
}

/// Says of each session what became of it. No, if one of them was refused.
fn outcomes(client: &Client, answer: &Value, json: bool) -> Result<ExitCode, Failure> {
    remark_if_alone(client);
    let refused = items(answer).iter().any(|item| item.get("problem").is_some_and(|problem| !problem.is_null()));
    if json {
        output::json(answer)?;
    } else {
        for item in items(answer) {
            let told = item.pointer("/problem/detail").or_else(|| item.pointer("/session/status"));
            output::line(&format!("{}  {}", text(item, "/id"), shown(told)))?;
        }
    }
    Ok(if refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn list(answer: &Value, json: bool) -> Result<ExitCode, Failure> {
    if json {
        output::json(answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let row = |session: &Value| {
        ["/id", "/status", "/user", "/activity", "/resource", "/login_account", "/end_at"]
            .map(|pointer| text(session, pointer))
    };
    let rows: Vec<_> = items(answer).iter().map(row).collect();
    output::table(["ID", "STATUS", "USER", "ACTIVITY", "RESOURCE", "ACCOUNT", "END"], &rows)?;
    if answer.get("next").is_some_and(Value::is_string) {
        output::remark("There are more: raise --limit or narrow with --search.");
    }
    Ok(ExitCode::SUCCESS)
}

/// What waits for approval: whose turn it is, and who may decide.
fn approvals(answer: &Value, json: bool) -> Result<ExitCode, Failure> {
    if json {
        output::json(answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let row = |session: &Value| {
        let [id, user, activity, resource, by] =
            ["/id", "/user", "/activity", "/resource", "/approve_by"].map(|pointer| text(session, pointer));
        let of = session.get("tiers").and_then(Value::as_array).map_or(0, Vec::len);
        let tier = format!("{} of {of}", text(session, "/tier"));
        let deciders = session.get("deciders").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let deciders: Vec<_> = deciders.iter().map(|name| shown(Some(name))).collect();
        [id, user, activity, resource, tier, deciders.join(", "), by]
    };
    let rows: Vec<_> = items(answer).iter().map(row).collect();
    output::table(["ID", "USER", "ACTIVITY", "RESOURCE", "TIER", "MAY DECIDE", "UNTIL"], &rows)?;
    for session in items(answer) {
        let changes = session.get("own_changes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for change in changes {
            let [kind, name, at] = ["/kind", "/name", "/at"].map(|pointer| text(change, pointer));
            let [id, user] = ["/id", "/user"].map(|pointer| text(session, pointer));
            output::remark(&format!("{id}: {user} changed {kind} `{name}` at {at}, by which this is asked"));
        }
    }
    if answer.get("next").is_some_and(Value::is_string) {
        output::remark("There are more: raise --limit or narrow with --search.");
    }
    Ok(ExitCode::SUCCESS)
}

fn log(answer: &Value, json: bool) -> Result<ExitCode, Failure> {
    if json {
        output::json(answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    for item in items(answer) {
        let [at, level, stage, message] = ["/at", "/level", "/stage", "/message"].map(|pointer| text(item, pointer));
        output::line(&format!("{at}  {level:<5}  {stage:<12}  {message}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Without a server nothing is placed or taken away yet.
fn remark_if_alone(client: &Client) {
    if client.is_alone() {
        output::remark("No server is running: it is written down, and done when `cardea serve` starts.");
    }
}

pub(crate) fn items(answer: &Value) -> &[Value] {
    answer.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

pub(crate) fn text(value: &Value, pointer: &str) -> String {
    shown(value.pointer(pointer))
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => printable(text),
        Some(other) => printable(&other.to_string()),
    }
}
