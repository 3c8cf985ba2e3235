//! `cardea explain`: why somebody may, or may not, and what would change it.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::sessions::text;
use crate::{
    client::{Client, target},
    failure::Failure,
    output,
};

/// Whose access, to what.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The user's name
    user: String,
    /// The resource's name
    resource: String,
    /// The activity's name; all of them if left out
    activity: Option<String>,
}

/// Asks and prints. Exit code 1 means no: to the activity that was asked for, or to all of them.
pub(crate) async fn run(client: &Client, arguments: &Arguments, json: bool) -> Result<ExitCode, Failure> {
    let Arguments { user, resource, activity } = arguments;
    let mut query = vec![("user", user.as_str()), ("resource", resource.as_str())];
    query.extend(activity.as_deref().map(|activity| ("activity", activity)));
    let answer = client.get(&target(&["explain"], &query)).await?;
    if json {
        output::json(&answer)?;
    } else {
        show(&answer)?;
    }
    let may_any = list(&answer, "activities").iter().any(|activity| activity["allowed"] == true);
    Ok(if may_any { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn show(answer: &Value) -> Result<(), Failure> {
    let (user, resource) = (text(answer, "/user"), text(answer, "/resource"));
    show_findings(answer, "")?;
    for activity in list(answer, "activities") {
        let verdict = if activity["allowed"] == true { "yes: {} may" } else { "no: {} may not" }.replace("{}", &user);
        output::line(&format!("{verdict} run {} on {resource}", text(activity, "/activity")))?;
        show_findings(activity, "  ")?;
        for policy in list(activity, "policies") {
            let verdict = if policy["gives"] == true { "gives it" } else { "does not give it" };
            output::line(&format!("  the policy {} {verdict}", text(policy, "/policy")))?;
            show_findings(policy, "    ")?;
        }
    }
    Ok(())
}

fn show_findings(of: &Value, indent: &str) -> Result<(), Failure> {
    for finding in list(of, "findings") {
        let mark = if finding["holds"] == true { '+' } else { '-' };
        output::line(&format!("{indent}{mark} {}", text(finding, "/text")))?;
        if finding["remedy"].is_string() {
            output::line(&format!("{indent}  {}", text(finding, "/remedy")))?;
        }
    }
    Ok(())
}

fn list<'a>(of: &'a Value, key: &str) -> &'a [Value] {
    of[key].as_array().map_or(&[], Vec::as_slice)
}
