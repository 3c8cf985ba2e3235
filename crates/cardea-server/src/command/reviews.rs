//! `cardea reviews` and `cardea review`: sessions that began without approval, and whether that was right.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::sessions::{items, text};
use crate::{
    client::{Client, target},
    failure::Failure,
    output,
};

/// Which reviews are listed.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum State {
    /// Still to be made
    Open,
    /// Should have been made by now
    Overdue,
    Done,
}

/// What a reviewer found.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Verdict {
    Justified,
    Unjustified,
}

/// Lists them.
pub(crate) async fn list(client: &Client, state: State, limit: u32, json: bool) -> Result<ExitCode, Failure> {
    let state = match state {
        State::Open => "open",
        State::Overdue => "overdue",
        State::Done => "done",
    };
    let limit = limit.to_string();
    let answer = client.get(&target(&["reviews"], &[("state", state), ("limit", limit.as_str())])).await?;
    if json {
        output::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    show(items(&answer))?;
    if answer.get("next").is_some_and(Value::is_string) {
        output::remark("There are more: raise --limit.");
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes one.
pub(crate) async fn review(
    client: &Client,
    id: &str,
    (verdict, reason): (Verdict, &str),
    json: bool,
) -> Result<ExitCode, Failure> {
    let verdict = match verdict {
        Verdict::Justified => "justified",
        Verdict::Unjustified => "unjustified",
    };
    let body = json!({ "verdict": verdict, "reason": reason });
    let answer = client.post(&target(&["sessions", id, "review"], &[]), &body).await?;
    if json {
        output::json(&answer)?;
    } else {
        show(std::slice::from_ref(&answer))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show(reviews: &[Value]) -> Result<(), Failure> {
    let row = |review: &Value| {
        let state = match (review["verdict"].as_str(), review["is_overdue"].as_bool()) {
            (Some(verdict), _) => verdict,
            (None, Some(true)) => "OVERDUE",
            _ => "open",
        };
        let [session, user, activity, resource, due, reviewer, notes] =
            ["/session", "/user", "/activity", "/resource", "/due_at", "/reviewer", "/notes"]
                .map(|pointer| text(review, pointer));
        [session, state.to_owned(), user, activity, resource, due, reviewer, notes]
    };
    let rows: Vec<_> = reviews.iter().map(row).collect();
    output::table(["SESSION", "STATE", "USER", "ACTIVITY", "RESOURCE", "DUE", "REVIEWER", "NOTES"], &rows)
}
