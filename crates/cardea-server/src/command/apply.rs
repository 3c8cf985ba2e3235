//! `cardea plan` and `cardea apply`: the configuration as files.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    client::{Client, Problem},
    documents::{Documents, Places},
    failure::Failure,
    output::{self, printable},
};

/// What `plan` and `apply` take.
#[derive(Args)]
pub(crate) struct Arguments {
    /// YAML files with the objects
    #[arg(short, long = "file", value_name = "FILE", required = true, num_args = 1..)]
    files: Vec<PathBuf>,
    /// Delete the objects that the files do not name
    #[arg(long)]
    prune: bool,
}

/// One object's difference, as the API tells it.
#[derive(Debug, Deserialize)]
struct Change {
    kind: String,
    name: String,
    what: What,
    #[serde(default)]
    fields: Vec<FieldChange>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    Create,
    Delete,
    Update,
}

/// One field's difference. A secret's has no values.
#[derive(Debug, Deserialize)]
struct FieldChange {
    pointer: String,
    #[serde(default)]
    before: Option<Value>,
    #[serde(default)]
    after: Option<Value>,
}

/// Shows what would change. Exits 1 if anything would.
pub(crate) async fn plan(client: &Client, arguments: &Arguments, json: bool) -> Result<ExitCode, Failure> {
    let (answer, changes) = send(client, arguments, true).await?;
    if json {
        output::json(&answer)?;
    } else {
        show(&answer, &changes)?;
        output::line(&summary("Plan", "to create", "to update", "to delete", &changes))?;
    }
    Ok(if changes.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Makes it so, all or nothing.
pub(crate) async fn apply(client: &Client, arguments: &Arguments, json: bool) -> Result<ExitCode, Failure> {
    let (answer, changes) = send(client, arguments, false).await?;
    if json {
        output::json(&answer)?;
    } else {
        show(&answer, &changes)?;
        output::line(&summary("Applied", "created", "updated", "deleted", &changes))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn send(client: &Client, arguments: &Arguments, dry_run: bool) -> Result<(Value, Vec<Change>), Failure> {
    let (documents, places) = Documents::read(&arguments.files)?.into_bodies();
    let request = json!({ "documents": documents, "dry_run": dry_run, "prune": arguments.prune });
    let answer = client.try_post("/apply", &request).await?.map_err(|problem| refused(problem, &places))?;
    let changes = answer.get("changes").cloned().unwrap_or_default();
    let changes = serde_json::from_value(changes).map_err(|error| {
        Failure::No(format!(
            "the server's answer is not understood ({error}): is it of the same version as this command?"
        ))
    })?;
    Ok((answer, changes))
}

/// The server found something wrong in the files: says where, in their own terms.
fn refused(problem: Problem, places: &Places) -> Failure {
    if problem.fields.is_empty() {
        return problem.into();
    }
    let lines = problem.fields.iter().map(|field| {
        let place = places.locate(&field.pointer);
        let place = if place.is_empty() && !field.pointer.is_empty() { format!("{}: ", field.pointer) } else { place };
        printable(&format!("{place}{}", field.message))
    });
    Failure::Configuration(lines.collect::<Vec<_>>().join("\n"))
}

fn show(answer: &Value, changes: &[Change]) -> Result<(), Failure> {
    changes.iter().flat_map(lines).chain(warnings(answer)).try_for_each(|text| output::line(&text))
}

/// What is allowed and yet hardly meant.
fn warnings(answer: &Value) -> Vec<String> {
    let sentences = answer["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str);
    sentences.map(|sentence| printable(&format!("Warning: {sentence}"))).collect()
}

fn lines(change: &Change) -> Vec<String> {
    let sign = match change.what {
        What::Create => '+',
        What::Delete => '-',
        What::Update => '~',
    };
    let mut lines = vec![printable(&format!("{sign} {} {}", change.kind, change.name))];
    for field in &change.fields {
        let key = field.pointer.trim_start_matches("/spec/").replace('/', ".").replace("~1", "/").replace("~0", "~");
        let text = match (&field.before, &field.after) {
            (None, None) => format!("{key}: (secret)"),
            (None, Some(after)) => format!("{key}: {after}"),
            (Some(before), None) => format!("{key}: {before} -> (default)"),
            (Some(before), Some(after)) => format!("{key}: {before} -> {after}"),
        };
        lines.push(format!("    {}", printable(&text)));
    }
    lines
}

fn summary(verb: &str, created: &str, updated: &str, deleted: &str, changes: &[Change]) -> String {
    let count = |what: What| changes.iter().filter(|change| change.what == what).count();
    if changes.is_empty() {
        return "No difference: everything is as the files say.".to_owned();
    }
    format!(
        "{verb}: {} {created}, {} {updated}, {} {deleted}.",
        count(What::Create),
        count(What::Update),
        count(What::Delete)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes() -> Vec<Change> {
        serde_json::from_value(json!([
            {"kind": "User", "name": "bob\u{1b}", "what": "create", "fields": [{"pointer": "/spec/password", "before": null, "after": null}]},
            {"kind": "Resource", "name": "web1", "what": "update", "fields": [
                {"pointer": "/spec/port", "before": 22, "after": 2222},
                {"pointer": "/spec/labels/a~1b", "before": null, "after": "x"},
                {"pointer": "/spec/host_key", "before": "k", "after": null},
            ]},
            {"kind": "Group", "name": "old", "what": "delete"},
        ]))
        .unwrap()
    }

    #[test]
    fn warnings_are_shown_and_touch_no_terminal() {
        assert_eq!(warnings(&json!({ "changes": [], "warnings": ["a\u{1b}b"] })), ["Warning: a\\u{1b}b"]);
        assert!(warnings(&json!({ "changes": [] })).is_empty());
    }

    #[test]
    fn differences_read_well_and_touch_no_terminal() {
        let shown: Vec<_> = changes().iter().flat_map(lines).collect();
        assert_eq!(
            shown,
            [
                "+ User bob\\u{1b}",
                "    password: (secret)",
                "~ Resource web1",
                "    port: 22 -> 2222",
                "    labels.a/b: \"x\"",
                "    host_key: \"k\" -> (default)",
                "- Group old",
            ]
        );
        let text = summary("Plan", "to create", "to update", "to delete", &changes());
        assert_eq!(text, "Plan: 1 to create, 1 to update, 1 to delete.");
    }
}
