//! Administrators' scripts: run at most once, their output in the session's log, and never counted as proven.

use std::time::Duration;

use cardea_domain::{
    ConnectorError, Evidence, Grant, GrantState, Lane, LogLevel, Privilege, Reason, Script, ScriptOutcome, Session,
    Stage, Timestamp,
};
use cardea_store::Tx;
use serde_json::json;

use super::{
    Stop, drive,
    provision::{Done, Halt, is_refused_as_old, pinned},
};
use crate::{App, AppError, change::Note, plan::environment};

/// When to ask again for a turn on a host where enough scripts run.
const SCRIPT_PAUSE: Duration = Duration::from_secs(5);
/// Lines of a script's output that the session's log keeps, and characters of each.
const LINES_MAX: usize = 200;
const LINE_CHARS_MAX: usize = 1000;

impl App {
    /// Runs a script if it was not begun before. `done` is what was placed before it; if it `is_first`, nothing was, and what the
    /// session was judged by must be as it was.
    pub(super) async fn run_script(
        &self,
        session: &mut Session,
        grant: &mut Grant,
        done: Vec<Done>,
        is_first: bool,
    ) -> Result<(), Halt> {
        let ran = match grant.state {
            GrantState::Planned => {
                let Some(_turn) = self.0.turns.take(Lane::Scripting, session.resource) else {
                    self.write_all_done(session, done).await?;
                    return Err(Halt::Wait(SCRIPT_PAUSE));
                };
                self.begin_script(session, grant, done, is_first).await?;
                let ran = self.run(session, grant).await;
                if ran.as_ref().is_some_and(|outcome| is_refused_as_old(grant.stage, outcome)) {
                    self.put_off(session, grant).await?;
                }
                ran
            }
            // Begun before a crash: it ran, in part or whole, or it did not.
            _ => Some(Err(ConnectorError::Unknown("Cardea was stopped while the script ran".to_owned()))),
        };
        let is_left = ran.is_none();
        let left = || Err(ConnectorError::Unknown("the session was over before the script was".to_owned()));
        let outcome = ran.unwrap_or_else(left);
        self.write_outcome(session, grant, &outcome).await?;
        if is_left {
            // The next look does what the session needs now; its first command ends the script on the host.
            return Err(Halt::Stop(Stop::Overtaken));
        }
        let failure = match outcome {
            Ok(outcome) if outcome.timed_out => {
                Some(("script_failed", "the script took too long and was ended".to_owned()))
            }
            Ok(outcome) if outcome.status != 0 => {
                Some(("script_failed", format!("the script ended with status {}", outcome.status)))
            }
            Ok(_) => None,
            Err(error) => Some((error.code(), error.to_string())),
        };
        match failure.filter(|_| !grant.continue_on_error) {
            Some((code, what)) => Err(Halt::GiveUp(Reason::new(code, format!("Failed at a script: {what}")))),
            None => Ok(()),
        }
    }

    /// `None` if the session is over or has to end before the script does: nobody waits for it any more.
    async fn run(&self, session: &Session, grant: &Grant) -> Option<Result<ScriptOutcome, ConnectorError>> {
        let Privilege::Script(script) = &grant.privilege else {
            return Some(Err(ConnectorError::Refused("it is not a script".to_owned())));
        };
        let limit = script.limit.get();
        let order = Script {
            grant: grant.id,
            text: script.script.clone(),
            environment: environment(session, grant.stage),
            limit,
        };
        let run = self.0.linux.run_script(&grant.target, self.frame(session), &order);
        match grant.stage {
            Stage::PostSession => Some(run.await),
            _ => self.attended(session.id, run).await,
        }
    }

    /// Written down before the first byte goes to the host, so that it never runs twice.
    async fn begin_script(
        &self,
        session: &mut Session,
        grant: &mut Grant,
        done: Vec<Done>,
        is_first: bool,
    ) -> Result<(), Halt> {
        let planned = grant.clone();
        grant.state = GrantState::Placing;
        grant.expires_at = Some(self.0.clock.now());
        let (app, mut copy, row) = (self.clone(), session.clone(), grant.clone());
        let begun = self.store().write(move |tx| {
            Box::pin(async move {
                app.write_done(tx, &copy, &done).await?;
                tx.save_grant(&row).await?;
                let pins = if is_first { pinned(&copy).to_vec() } else { Vec::new() };
                tx.save_session_while(&drive()?, &mut copy, &pins).await?;
                app.announce_grants(tx, &copy, std::slice::from_ref(&row));
                Ok::<_, AppError>(copy)
            })
        });
        *session = match begun.await {
            Err(AppError::Conflict) if is_first && !self.still_holds(session).await? => {
                *grant = planned;
                return Err(self.changed_meanwhile(session).await?);
            }
            begun => begun?,
        };
        Ok(())
    }

    /// What a script left cannot be read back: its row is done with, and says so.
    async fn write_outcome(
        &self,
        session: &Session,
        grant: &mut Grant,
        outcome: &Result<ScriptOutcome, ConnectorError>,
    ) -> Result<(), Halt> {
        let now = self.0.clock.now();
        settle_script(grant, outcome, now);
        let (app, session, grant, outcome) = (self.clone(), session.clone(), grant.clone(), outcome.clone());
        let written = self.store().write(move |tx| {
            Box::pin(async move {
                Self::still(tx, session.id, &[grant.id], &[GrantState::Placing, GrantState::Removing]).await?;
                tx.save_grant(&grant).await?;
                app.announce_grants(tx, &session, std::slice::from_ref(&grant));
                let note = note_of(&grant, &outcome);
                app.write_note(tx, &drive()?, &session, note, now).await?;
                if let Ok(outcome) = &outcome {
                    write_output(tx, &session, &grant, &outcome.output, now).await?;
                }
                Ok::<_, AppError>(())
            })
        });
        Ok(written.await?)
    }
}

fn settle_script(grant: &mut Grant, outcome: &Result<ScriptOutcome, ConnectorError>, now: Timestamp) {
    let said = match outcome {
        Ok(outcome) if outcome.timed_out => "it was ended because its time was over".to_owned(),
        Ok(outcome) => format!("it ended with status {}", outcome.status),
        Err(error) => error.to_string(),
    };
    grant.state = GrantState::Removed;
    grant.removed_at = Some(now);
    grant.scanned_at = Some(now);
    grant.last_error = outcome.as_ref().err().map(ToString::to_string);
    grant.evidence = Some(Evidence {
        read_at: now,
        read_back: format!("unproven: what a script does cannot be read back; {said}"),
        self_reported: true,
        findings: Vec::new(),
    });
}

fn note_of(grant: &Grant, outcome: &Result<ScriptOutcome, ConnectorError>) -> Note {
    let (level, message) = match outcome {
        Ok(outcome) if outcome.timed_out => (LogLevel::Error, "A script took too long and was ended".to_owned()),
        Ok(outcome) if outcome.status == 0 => (LogLevel::Info, "Ran a script (unproven)".to_owned()),
        Ok(outcome) => (LogLevel::Error, format!("A script ended with status {}", outcome.status)),
        Err(error @ ConnectorError::Unknown(_)) => {
            (LogLevel::Error, format!("Whether a script ran is not known, and it is not run again: {error}"))
        }
        Err(error) => (LogLevel::Error, format!("A script could not be run: {error}")),
    };
    Note { level, stage: grant.stage, message, detail: json!({ "grant": grant.id, "evidence": grant.evidence }) }
}

async fn write_output(
    tx: &mut Tx,
    session: &Session,
    grant: &Grant,
    output: &str,
    now: Timestamp,
) -> Result<(), AppError> {
    let mut lines = output.lines().filter(|line| !line.trim().is_empty());
    for line in lines.by_ref().take(LINES_MAX) {
        let line: String = line.chars().take(LINE_CHARS_MAX).collect();
        tx.append_log(session.id, now, LogLevel::Info, grant.stage, &format!("script: {line}")).await?;
    }
    let more = lines.count();
    if more > 0 {
        let message = format!("script: {more} more lines were not kept");
        tx.append_log(session.id, now, LogLevel::Warn, grant.stage, &message).await?;
    }
    Ok(())
}
