//! Taking everything away, reading back that it is gone, and never giving up.

use std::time::Duration;

use cardea_domain::{
    ConnectorError, Evidence, Frame, Grant, GrantState, LogLevel, Order, Presence, Privilege, Session, SessionId, Stage,
};
use futures_util::future::join_all;
use serde_json::json;

use super::{Stop, drive};
use crate::{App, AppError, change::Note, gate::order};

/// How long one removal may take: ending processes and handing files to root comes first.
const REMOVE_LIMIT: Duration = Duration::from_secs(60);
const LOOK_LIMIT: Duration = Duration::from_secs(20);

/// The highest fence that is taken over from a host: far from where numbers end.
const FENCE_MAX: i64 = 1 << 60;

/// What a removal came to.
struct Removal {
    grant: Grant,
    outcome: Result<Evidence, ConnectorError>,
}

impl App {
    /// One round of clean-up: removes all that is still out, then looks again at all of it.
    pub(super) async fn clean_up(&self, id: SessionId) -> Result<(), Stop> {
        let (session, grants) = self.claimed(id).await?;
        let removals = self.remove(&session, grants).await;
        self.retried(|| self.write_down(id, &removals)).await?;
        Ok(())
    }

    /// Keys of former gateway processes on an open session.
    pub(super) async fn remove_strays(&self, session: Session) -> Result<(), Stop> {
        let id = session.id;
        let grants = self.store().read(move |tx| Box::pin(async move { tx.grants_of(id).await })).await?;
        let grants: Vec<_> = grants.into_iter().filter(|grant| grant.state == GrantState::Removing).collect();
        let removals = self.remove(&session, grants).await;
        self.retried(|| self.write_down(id, &removals)).await?;
        Ok(())
    }

    /// A fresh fence, so that nothing that was sent before can still be obeyed; and what is to be removed.
    async fn claimed(&self, id: SessionId) -> Result<(Session, Vec<Grant>), Stop> {
        let claimed = self.store().write(move |tx| {
            Box::pin(async move {
                let session = tx.claim(id).await?;
                let grants = tx.grants_of(id).await?.into_iter().filter(|grant| grant.state.is_out());
                Ok::<_, AppError>((session, grants.collect()))
            })
        });
        Ok(claimed.await?)
    }

    /// Removes the grants, dependent ones first, and keeps as evidence what was read after the last of them: until the
    /// account's processes are gone, one of them could have put something back.
    async fn remove(&self, session: &Session, grants: Vec<Grant>) -> Vec<Removal> {
        let frame = Frame { session: session.id, fence: session.fence, limit: REMOVE_LIMIT };
        let (accounts, others): (Vec<_>, Vec<_>) =
            grants.into_iter().rev().partition(|grant| grant.privilege == Privilege::Account);
        let mut removals = join_all(others.into_iter().map(|grant| self.remove_one(grant, frame))).await;
        for account in accounts {
            removals.push(self.remove_one(account, frame).await);
        }
        self.look_again(frame, &mut removals).await;
        let gave_root =
            removals.iter().any(|removal| removal.grant.privilege.gives_root()) || self.had_root(session).await;
        let now = self.0.clock.now();
        for evidence in removals.iter_mut().filter_map(|removal| removal.outcome.as_mut().ok()) {
            evidence.self_reported = gave_root;
            evidence.read_at = now;
        }
        removals
    }

    async fn remove_one(&self, grant: Grant, frame: Frame) -> Removal {
        let outcome = self.0.linux.remove(&grant.target, frame, &order(&grant)).await;
        Removal { grant, outcome }
    }

    async fn look_again(&self, frame: Frame, removals: &mut [Removal]) {
        let gone: Vec<usize> = (0..removals.len()).filter(|index| removals[*index].outcome.is_ok()).collect();
        let Some(first) = gone.first() else { return };
        let target = removals[*first].grant.target.clone();
        let orders: Vec<Order> = gone.iter().map(|index| order(&removals[*index].grant)).collect();
        let seen = self.0.linux.observe(&target, Frame { limit: LOOK_LIMIT, ..frame }, &orders).await;
        for (position, index) in gone.into_iter().enumerate() {
            let removal = &mut removals[index];
            match &seen {
                Ok(seen) if seen[position].presence == Presence::Ours => {
                    removal.outcome = Err(ConnectorError::Refused(format!(
                        "it was there again after it had been removed: {}",
                        seen[position].detail
                    )));
                }
                Ok(_) => {}
                Err(error) => removal.outcome = Err(error.clone()),
            }
        }
    }

    /// Whether any grant of the session let the person act as root, also one that was removed in an earlier round.
    async fn had_root(&self, session: &Session) -> bool {
        let id = session.id;
        let grants = self.store().read(move |tx| Box::pin(async move { tx.grants_of(id).await })).await;
        // In doubt the evidence is marked as forgeable.
        grants.map_or(true, |grants| grants.iter().any(|grant| grant.privilege.gives_root()))
    }

    /// Stores each removal's evidence or error; the session is over when nothing is left.
    async fn write_down(&self, id: SessionId, removals: &[Removal]) -> Result<(), AppError> {
        let app = self.clone();
        let removals: Vec<_> = removals
            .iter()
            .map(|removal| Removal { grant: removal.grant.clone(), outcome: removal.outcome.clone() })
            .collect();
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    let mut session = tx.session(id).await?.ok_or(AppError::NotFound)?;
                    let fence = session.fence;
                    let seen = removals.iter().filter_map(|removal| match removal.outcome {
                        Err(ConnectorError::Superseded { seen }) if seen > fence => Some(seen),
                        _ => None,
                    });
                    // No claim ever had that number: somebody on the host wrote it. Ours goes above it.
                    session.fence = seen.max().map_or(fence, |seen| seen.min(FENCE_MAX));
                    let mut grants = Vec::with_capacity(removals.len());
                    for Removal { grant, outcome } in removals {
                        let grant = app.removed(grant, outcome);
                        tx.save_grant(&grant).await?;
                        grants.push(grant);
                    }
                    // Not only this round's: an end meanwhile may have turned more of them towards removal.
                    let all = tx.grants_of(id).await?;
                    let notes = app.judge(&mut session, &grants, &all);
                    app.announce_grants(tx, &session, &grants);
                    let permit = drive()?;
                    let last = notes.len().saturating_sub(1);
                    tx.save_session(&permit, &mut session).await?;
                    for (index, note) in notes.into_iter().enumerate() {
                        // Every line goes to the session's log; the audit entry is the last one's.
                        if index == last {
                            app.write_note(tx, &permit, &session, note, app.0.clock.now()).await?;
                        } else {
                            tx.append_log(id, app.0.clock.now(), note.level, note.stage, &note.message).await?;
                        }
                    }
                    app.announce_session(tx, &session);
                    Ok(())
                })
            })
            .await
    }

    fn removed(&self, mut grant: Grant, outcome: Result<Evidence, ConnectorError>) -> Grant {
        match outcome {
            Ok(evidence) => {
                grant.state = GrantState::Removed;
                grant.removed_at = Some(evidence.read_at);
                grant.evidence = Some(evidence);
                grant.last_error = None;
            }
            Err(error) => {
                grant.state = GrantState::Removing;
                grant.attempts += 1;
                grant.last_error = Some(error.to_string());
            }
        }
        grant
    }

    /// What this round means for the session, all of whose grants are `all`, and what the log says.
    fn judge(&self, session: &mut Session, grants: &[Grant], all: &[Grant]) -> Vec<Note> {
        let now = self.0.clock.now();
        let stage = if session.status.is_open() { Stage::Session } else { Stage::PostSession };
        let mut notes: Vec<_> = grants
            .iter()
            .filter(|grant| grant.state == GrantState::Removed)
            .flat_map(|grant| removal_notes(grant, stage))
            .collect();
        let failed: Vec<_> = grants.iter().filter(|grant| grant.state == GrantState::Removing).collect();
        let is_owed = |grant: &Grant| match session.status.is_open() {
            true => grant.state == GrantState::Removing,
            false => grant.state.is_out(),
        };
        let is_done = !all.iter().any(is_owed);
        let evidence: Vec<_> = grants.iter().map(|grant| json!({ "grant": grant.id, "state": grant.state, "evidence": grant.evidence, "error": grant.last_error })).collect();
        if is_done {
            if session.status.is_open() {
                session.wake_at = session.end_at;
            } else {
                session.cleaned(now);
                notes.push(Note::info(stage, gone_message(all)).with(json!({ "grants": evidence })));
            }
        } else if failed.is_empty() {
            session.wake_at = Some(now);
        } else {
            let mut jitter = [0];
            self.0.entropy.fill(&mut jitter);
            session.cleanup_failed(now, jitter[0]);
            if session.status.is_open() {
                session.wake_at = session.wake_at.min(session.end_at);
            }
            for grant in &failed {
                let error = grant.last_error.as_deref().unwrap_or("not removed yet");
                let message =
                    format!("Could not remove {} (attempt {}): {error}", grant.privilege.describe(), grant.attempts);
                let level = if session.cleanup_stalled { LogLevel::Error } else { LogLevel::Warn };
                notes.push(Note { level, stage, message, detail: json!({ "grants": evidence }) });
            }
        }
        if notes.is_empty() {
            notes.push(Note::info(stage, "Nothing was left to remove"));
        }
        notes
    }
}

fn gone_message(grants: &[Grant]) -> &'static str {
    if grants.iter().any(|grant| grant.privilege.gives_root()) {
        "Everything that this session placed is gone, read back on the host. The person was root there: what the host says \
         of itself could be forged, and what they set up beside is not looked for yet"
    } else {
        "Everything that this session placed is gone, read back on the host"
    }
}

fn removal_notes(grant: &Grant, stage: Stage) -> Vec<Note> {
    let mut notes = vec![Note::info(stage, format!("Removed {}", grant.privilege.describe()))];
    for finding in grant.evidence.iter().flat_map(|evidence| &evidence.findings) {
        notes.push(Note::warn(stage, finding.clone()));
    }
    notes
}
