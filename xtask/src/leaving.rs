//! Leaving a host of somebody's own as it was found: on Ctrl-C every session is ended, and what it placed taken back,
//! before the server stops.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};

use crate::{process, world::World};

/// How long the host may take to be clean again.
const CLEAN_MAX: Duration = Duration::from_secs(60);
/// How often the server is looked at.
const POLL: Duration = Duration::from_millis(500);
/// The most sessions that one answer lists.
const SESSIONS_MAX: &str = "1000";

/// Lets the server run until Ctrl-C or SIGTERM, and then takes back what is out. A second Ctrl-C stops the waiting.
pub(crate) fn run_until_interrupted(world: &mut World) -> Result<()> {
    // On this thread: the server is bound to the life of the one that started it.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot wait for signals")?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for Ctrl-C")?;
        let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
        loop {
            tokio::select! {
                _ = interrupt.recv() => break,
                _ = terminate.recv() => break,
                () = sleep(POLL) => world.must_live()?,
            }
        }
        let left = take_back(world, &mut interrupt).await;
        told(world, left)
    })
}

/// Ends every session and waits until nothing is out. Gives what is still out when the time is over.
async fn take_back(world: &World, interrupt: &mut Signal) -> Result<Vec<Value>> {
    let mut open = open_sessions(world)?;
    if open.is_empty() {
        return Ok(open);
    }
    println!(
        "\nEnding {} session(s) and taking back what they placed; at most {} s. Ctrl-C again stops the waiting.",
        open.len(),
        CLEAN_MAX.as_secs()
    );
    let deadline = Instant::now() + CLEAN_MAX;
    let ids = open.iter().filter_map(|session| session["id"].as_str());
    let words: Vec<&str> = ["sessions", "end", "--reason", "the demo was stopped"].into_iter().chain(ids).collect();
    // It fails as well when one of them is ending already; the list tells whether it worked.
    let ended = process::output(&mut world.operator(&words));
    while !open.is_empty() && Instant::now() < deadline {
        tokio::select! {
            _ = interrupt.recv() => break,
            () = sleep(POLL) => open = open_sessions(world)?,
        }
    }
    if let (false, Err(error)) = (open.is_empty(), ended) {
        println!("{error:#}");
    }
    Ok(open)
}

/// The sessions that run, or have something out.
fn open_sessions(world: &World) -> Result<Vec<Value>> {
    let text = process::output(&mut world.operator(&["--json", "sessions", "list", "--limit", SESSIONS_MAX]))?;
    let mut answer: Value = serde_json::from_str(&text).context("the list of sessions is not JSON")?;
    let Value::Array(sessions) = answer["items"].take() else { bail!("the list of sessions has no items") };
    Ok(sessions.into_iter().filter(is_open).collect())
}

fn is_open(session: &Value) -> bool {
    let over = matches!(session["status"].as_str(), Some("failed" | "completed" | "canceled"));
    !(over && session["clean"] == true)
}

/// Says how the host is left.
fn told(world: &World, left: Result<Vec<Value>>) -> Result<()> {
    let again = format!(
        "The next `cargo xtask demo --host` with this host goes on removing it: what is out is written down in {}. Do not \
         delete that folder before (`cargo clean` does).",
        world.folder.display()
    );
    let left = left.with_context(|| format!("it is not known whether the host is clean. {again}"))?;
    if left.is_empty() {
        println!("\nNothing is left on the host.");
        return Ok(());
    }
    let lines: Vec<String> = left.iter().flat_map(lines_of).collect();
    bail!("still on the host:\n\n{}\n\n{again}", lines.join("\n"))
}

/// What a session has out, a line each.
fn lines_of(session: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let grants = session["grants"].as_array().map(Vec::as_slice).unwrap_or_default();
    let out = grants.iter().filter(|grant| matches!(grant["state"].as_str(), Some("placing" | "placed" | "removing")));
    let mut lines = vec![format!("  session {} ({})", text(&session["id"]), text(&session["status"]))];
    lines.extend(out.map(|grant| {
        let error = grant["last_error"].as_str().map(|error| format!(": {error}")).unwrap_or_default();
        format!(
            "    {} of account {}: {}{error}",
            text(&grant["kind"]).replace('_', " "),
            text(&grant["login_account"]),
            text(&grant["description"])
        )
    }));
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_session_is_open_until_it_is_over_and_clean() {
        assert!(is_open(&json!({"status": "available", "clean": false})));
        assert!(is_open(&json!({"status": "provisioning", "clean": true})));
        assert!(is_open(&json!({"status": "failed", "clean": false})));
        assert!(!is_open(&json!({"status": "failed", "clean": true})));
    }

    #[test]
    fn only_what_is_out_is_told() {
        let grant =
            |state: &str| json!({"kind": "sudo_rule", "login_account": "a-1", "description": "d", "state": state});
        let session = json!({"id": "ses_1", "status": "canceling", "grants": [grant("removed"), grant("removing")]});
        assert_eq!(lines_of(&session), ["  session ses_1 (canceling)", "    sudo rule of account a-1: d"]);
    }
}
