//! Taking everything away, reading back that it is gone, and never giving up.

use std::time::Duration;

use cardea_domain::{
    ConnectorError, Evidence, Frame, Grant, GrantState, Lane, LogLevel, Observation, Order, Presence, Privilege,
    Session, SessionId, Stage, Target,
};
use cardea_store::Tx;
use futures_util::future::join_all;
use serde_json::json;

use super::{
    FENCE_MAX, Stop, drive,
    lock::is_open_elsewhere,
    provision::{Halt, is_script, reason_of},
    turn::Turn,
};
use crate::{App, AppError, change::Note, cluster::overtaken, gate::order};

/// How long one removal may take: ending processes and handing files to root comes first.
const REMOVE_LIMIT: Duration = Duration::from_secs(60);
const LOOK_LIMIT: Duration = Duration::from_secs(20);

/// How many of the host's answers an alert repeats.
const ERRORS_MAX: usize = 3;

/// Why a dead man's switch stays for now.
const KEPT: &str = "it stays until all that it would undo is gone";

/// What a removal came to.
#[derive(Clone)]
struct Removal {
    grant: Grant,
    outcome: Result<Evidence, ConnectorError>,
    /// The way to the host is another one than the ledger says.
    is_retargeted: bool,
}

impl Removal {
    fn of(grant: Grant, outcome: Result<Evidence, ConnectorError>) -> Self {
        Self { grant, outcome, is_retargeted: false }
    }
}

impl App {
    /// One round of clean-up: removes all that is still out, then looks again at all of it.
    pub(super) async fn clean_up(&self, session: &Session) -> Result<(), Stop> {
        let Some(turn) = self.0.turns.take(Lane::Removing, session.resource) else {
            // It stays due, and is taken up when somebody before it is done.
            return Ok(());
        };
        self.clean_up_now(session.id, turn).await
    }

    async fn clean_up_now(&self, id: SessionId, turn: Turn) -> Result<(), Stop> {
        let (session, all) = self.claimed(id).await?;
        self.clean_up_all(session, all, turn).await
    }

    /// The same of a session that was claimed just now, under whose fence nothing was sent yet. `all` are its grants.
    pub(super) async fn clean_up_claimed(&self, session: Session, all: Vec<Grant>) -> Result<(), Stop> {
        let Some(turn) = self.0.turns.take(Lane::Removing, session.resource) else { return Ok(()) };
        if all.iter().any(|grant| grant.state == GrantState::Removing && grant.share_key.is_some()) {
            // Who holds the same is counted in the unit that decides about it.
            return self.clean_up_now(session.id, turn).await;
        }
        self.clean_up_all(session, all, turn).await
    }

    async fn clean_up_all(&self, mut session: Session, mut all: Vec<Grant>, turn: Turn) -> Result<(), Stop> {
        let mut turn = Some(turn);
        let out: Vec<_> = all.iter().filter(|grant| grant.state.is_out()).cloned().collect();
        if out.is_empty() && all.iter().any(is_afterwards) {
            // What a script does may take an hour: nobody's privileges wait for it.
            drop(turn.take());
            if let Some(pause) = self.afterwards(&mut session, &all).await? {
                return self.put_off_for(session.id, pause).await;
            }
            let id = session.id;
            all = self.store().read(move |tx| Box::pin(async move { tx.grants_of(id).await })).await?;
        }
        // Also one that was removed in an earlier round.
        let gave_root = all.iter().any(|grant| grant.privilege.gives_root());
        let mut removals = self.remove(&session, out, gave_root).await;
        if gave_root && removals.iter().all(|removal| removal.outcome.is_ok()) {
            let target = removals.first().map(|removal| removal.grant.target.clone());
            let drifted = self.drifted(&session, target).await?;
            if let Some(evidence) = removals.iter_mut().find_map(|removal| removal.outcome.as_mut().ok()) {
                evidence.findings.extend(drifted);
            }
        }
        self.write_down(session, all, removals).await?;
        Ok(())
    }

    /// Runs what comes when everything was taken away. Each once; a failure is told, and nothing waits for it. When to go on, if
    /// there is no turn for it now.
    async fn afterwards(&self, session: &mut Session, all: &[Grant]) -> Result<Option<Duration>, Stop> {
        for mut grant in all.iter().filter(|grant| is_afterwards(grant)).cloned() {
            let ran = if is_script(&grant) {
                self.run_script(session, &mut grant, Vec::new(), false).await
            } else {
                self.do_once(session, &mut grant).await
            };
            match ran {
                Ok(()) => {}
                Err(Halt::Stop(stop)) => return Err(stop),
                Err(Halt::Wait(pause)) => return Ok(Some(pause)),
                Err(Halt::GiveUp(_) | Halt::Moved) => break,
            }
        }
        self.skip_the_rest(session).await?;
        Ok(None)
    }

    /// One that leaves nothing: done, or told that it could not be.
    async fn do_once(&self, session: &mut Session, grant: &mut Grant) -> Result<(), Halt> {
        let done = self.place(grant, self.frame(session)).await;
        let now = self.0.clock.now();
        grant.state = GrantState::Removed;
        grant.removed_at = Some(now);
        grant.last_error = done.as_ref().err().map(ToString::to_string);
        let what = grant.privilege.describe();
        let (level, message) = match &done {
            Ok(placed) => (LogLevel::Info, format!("Did {what}: {}", placed.read_back)),
            Err(error) => (LogLevel::Error, format!("Failed at {what}: {error}")),
        };
        let (app, copy, saved) = (self.clone(), session.clone(), grant.clone());
        let written = self.store().write(move |tx| {
            Box::pin(async move {
                Self::still(tx, copy.id, &[saved.id], &[GrantState::Planned]).await?;
                tx.save_grant(&saved).await?;
                app.announce_grants(tx, &copy, std::slice::from_ref(&saved));
                let note = Note { level, stage: Stage::PostSession, message, detail: json!({ "grant": saved.id }) };
                app.write_note(tx, &drive()?, &copy, note, now).await.map_err(AppError::from)
            })
        });
        written.await?;
        match done {
            Err(error) if !grant.continue_on_error => Err(Halt::GiveUp(reason_of(&what, &error))),
            _ => Ok(()),
        }
    }

    /// What comes behind one that failed is not run.
    async fn skip_the_rest(&self, session: &Session) -> Result<(), Stop> {
        let (app, session) = (self.clone(), session.clone());
        let skipped = self.store().write(move |tx| {
            Box::pin(async move {
                Self::still_claimed(tx, &session).await?;
                let mut grants = tx.grants_of(session.id).await?;
                grants.retain(is_afterwards);
                let now = app.0.clock.now();
                for grant in &mut grants {
                    grant.state = GrantState::Removed;
                    grant.removed_at = Some(now);
                    tx.save_grant(grant).await?;
                    let message = format!("Skipped {}", grant.privilege.describe());
                    tx.append_log(session.id, now, LogLevel::Warn, Stage::PostSession, &message).await?;
                }
                app.announce_grants(tx, &session, &grants);
                Ok::<_, AppError>(())
            })
        });
        Ok(skipped.await?)
    }

    /// Whether there are keys of former gateway processes on an open session.
    pub(super) async fn has_strays(&self, id: SessionId) -> Result<bool, Stop> {
        let grants = self.store().read(move |tx| Box::pin(async move { tx.grants_of(id).await })).await?;
        Ok(grants.iter().any(is_stray))
    }

    /// Takes them away.
    pub(super) async fn remove_strays(&self, id: SessionId) -> Result<(), Stop> {
        let (session, all) = self.claimed(id).await?;
        let strays: Vec<_> = all.iter().filter(|grant| is_stray(grant)).cloned().collect();
        let gave_root = all.iter().any(|grant| grant.privilege.gives_root());
        let removals = self.remove(&session, strays, gave_root).await;
        self.write_down(session, all, removals).await?;
        Ok(())
    }

    /// A fresh fence, so that nothing that was sent before can still be obeyed; and all grants. What other sessions
    /// hold as well stays, and is taken away with the last of them.
    async fn claimed(&self, id: SessionId) -> Result<(Session, Vec<Grant>), Stop> {
        let now = self.0.clock.now();
        let (app, claim) = (self.clone(), self.claim(now));
        let claimed = self.store().write(move |tx| {
            Box::pin(async move {
                let session = tx.claim(id, &claim, now).await?;
                let mut all = tx.grants_of(id).await?;
                let mut left = Vec::new();
                for grant in &mut all {
                    if app.stays_with_others(tx, grant).await? {
                        left.push(grant.clone());
                    }
                }
                app.announce_grants(tx, &session, &left);
                Ok::<_, AppError>((session, all))
            })
        });
        Ok(claimed.await?)
    }

    /// Whether other sessions hold the same privilege; then it is theirs from now on.
    async fn stays_with_others(&self, tx: &mut Tx, grant: &mut Grant) -> Result<bool, AppError> {
        let Some(key) = grant.share_key.as_ref().filter(|_| grant.state == GrantState::Removing) else {
            return Ok(false);
        };
        let mut others = tx.holders(key).await?;
        others.retain(|other| other.id != grant.id && other.state != GrantState::Removing);
        if others.is_empty() {
            return Ok(false);
        }
        let now = self.0.clock.now();
        grant.state = GrantState::Removed;
        grant.removed_at = Some(now);
        grant.evidence = Some(Evidence {
            read_at: now,
            read_back: format!("{} other sessions hold it: it is taken away with the last of them", others.len()),
            self_reported: false,
            findings: Vec::new(),
        });
        tx.save_grant(grant).await?;
        if !is_open_elsewhere(tx, grant).await? {
            // Those who are left are locked, and it was not suspended for the sake of this one.
            for other in others {
                let Some(mut session) = tx.session(other.session).await? else { continue };
                session.lock_again(now);
                tx.save_session(&drive()?, &mut session).await?;
                // Its worker may wait for a script.
                self.announce_session(tx, &session);
            }
            // This worker may be busy for long: they are locked again beside it.
            let waker = self.clone();
            tx.after_commit(Box::new(move || waker.nudge()));
        }
        let message = format!("{} stays, because other sessions hold it", capitalised(&grant.privilege.describe()));
        tx.append_log(grant.session, now, LogLevel::Info, Stage::PostSession, &message).await?;
        Ok(true)
    }

    /// Removes the grants, dependent ones first, and keeps as evidence what was read after the last of them: until the
    /// account's processes are gone, one of them could have put something back. The dead man's switch goes last.
    async fn remove(&self, session: &Session, grants: Vec<Grant>, gave_root: bool) -> Vec<Removal> {
        let frame = Frame { session: session.id, fence: session.fence, limit: REMOVE_LIMIT };
        let rank = |grant: &Grant| match grant.privilege {
            Privilege::DeadMan { .. } => 2,
            _ if grant.privilege.is_account() => 1,
            _ => 0,
        };
        let mut removals = Vec::with_capacity(grants.len());
        for turn in 0..=2 {
            let now = grants.iter().rev().filter(|grant| rank(grant) == turn).cloned();
            let is_held_up = turn == 2 && removals.iter().any(|removal: &Removal| removal.outcome.is_err());
            if is_held_up {
                // It ends by itself what could not be removed.
                removals.extend(now.map(|grant| Removal::of(grant, Err(ConnectorError::Refused(KEPT.to_owned())))));
                continue;
            }
            // A host that is away is not waited for again with each turn.
            let away = removals.iter().find_map(|removal| match &removal.outcome {
                Err(away @ ConnectorError::Unreachable(_)) => Some(away.clone()),
                _ => None,
            });
            if let Some(away) = away {
                removals.extend(now.map(|grant| Removal::of(grant, Err(away.clone()))));
                continue;
            }
            removals.extend(join_all(now.map(|grant| self.remove_one(grant, frame))).await);
        }
        self.look_once_more(frame, &mut removals).await;
        let now = self.0.clock.now();
        for evidence in removals.iter_mut().filter_map(|removal| removal.outcome.as_mut().ok()) {
            evidence.self_reported |= gave_root;
            evidence.read_at = now;
        }
        removals
    }

    async fn remove_one(&self, mut grant: Grant, frame: Frame) -> Removal {
        if is_script(&grant) {
            let outcome = Ok(Evidence {
                read_at: self.0.clock.now(),
                read_back: "unproven: whether the script ran, and what it did, is not known".to_owned(),
                self_reported: true,
                findings: Vec::new(),
            });
            return Removal::of(grant, outcome);
        }
        let mut is_retargeted = false;
        let mut outcome = self.0.linux.remove(&grant.target, frame, &order(&grant)).await;
        if let Some(target) = outcome.as_ref().err().and_then(|error| self.vouched(&grant.target, error)) {
            (grant.target, is_retargeted) = (target, true);
            outcome = self.0.linux.remove(&grant.target, frame, &order(&grant)).await;
        }
        Removal { grant, outcome, is_retargeted }
    }

    /// The way to a host that has another key than the pinned one: there is one if somebody has set the resource to that key since.
    /// Its grants pinned the old one, and would stay for ever.
    fn vouched(&self, pinned: &Target, error: &ConnectorError) -> Option<Target> {
        let ConnectorError::HostKeyChanged { shown, .. } = error else { return None };
        let configuration = self.configuration();
        let resource = configuration.get(pinned.resource)?.as_resource()?;
        let is_same = resource.address == pinned.address && resource.port == pinned.port;
        (is_same && resource.host_key.as_ref() == Some(shown))
            .then(|| Target { host_key: Some(shown.clone()), ..pinned.clone() })
    }

    async fn look_once_more(&self, frame: Frame, removals: &mut [Removal]) {
        let is_gone = |index: &usize| removals[*index].outcome.is_ok() && !is_script(&removals[*index].grant);
        let gone: Vec<usize> = (0..removals.len()).filter(is_gone).collect();
        let Some(first) = gone.first() else { return };
        let target = removals[*first].grant.target.clone();
        let orders: Vec<Order> = gone.iter().map(|index| order(&removals[*index].grant)).collect();
        let seen = self.0.linux.observe(&target, Frame { limit: LOOK_LIMIT, ..frame }, &orders).await;
        for (position, index) in gone.into_iter().enumerate() {
            let removal = &mut removals[index];
            match &seen {
                Ok(seen) => {
                    if let Some(back) = there_again(&removal.grant, &seen[position]) {
                        removal.outcome = Err(back);
                    }
                }
                Err(error) => removal.outcome = Err(error.clone()),
            }
        }
    }

    /// Stores each removal's evidence or error; the session is over when nothing is left. `session` and `all` are as this worker
    /// knows them; if somebody changed them meanwhile, they are read again.
    async fn write_down(&self, session: Session, all: Vec<Grant>, removals: Vec<Removal>) -> Result<(), AppError> {
        let id = session.id;
        let fence = session.fence;
        let ours = removals.clone();
        let first = self.store().write({
            let app = self.clone();
            move |tx| Box::pin(async move { app.write_removals(tx, session, all, ours).await })
        });
        match first.await {
            Err(AppError::Conflict) => {}
            other => return other,
        }
        self.retried(|| {
            let (app, removals) = (self.clone(), removals.clone());
            self.store().write(move |tx| {
                Box::pin(async move {
                    let session = tx.session(id).await?.ok_or(AppError::NotFound)?;
                    if session.fence != fence {
                        // Whoever took it up looks for itself.
                        return Err(overtaken());
                    }
                    let all = tx.grants_of(id).await?;
                    app.write_removals(tx, session, all, removals).await
                })
            })
        })
        .await
    }

    async fn write_removals(
        &self,
        tx: &mut Tx,
        mut session: Session,
        mut all: Vec<Grant>,
        removals: Vec<Removal>,
    ) -> Result<(), AppError> {
        let (fence, was_stalled) = (session.fence, session.cleanup_stalled);
        let seen = removals.iter().filter_map(|removal| match removal.outcome {
            Err(ConnectorError::Superseded { seen }) if seen > fence => Some(seen),
            _ => None,
        });
        // No claim ever had that number: somebody on the host wrote it. Ours goes above it.
        session.fence = seen.max().map_or(fence, |seen| seen.min(FENCE_MAX));
        for removal in &removals {
            self.tell_tampering(tx, &session, removal);
        }
        let retargeted = removals.iter().filter(|removal| removal.is_retargeted);
        tx.retarget_grants(&retargeted.map(|removal| removal.grant.clone()).collect::<Vec<_>>()).await?;
        let settled = removals.into_iter().map(|Removal { grant, outcome, .. }| self.removed(grant, outcome));
        let grants: Vec<_> = settled.collect();
        tx.save_grants(&grants).await?;
        // Not only this round's: an end meanwhile may have turned more of them towards removal.
        for grant in &mut all {
            if let Some(settled) = grants.iter().find(|settled| settled.id == grant.id) {
                grant.clone_from(settled);
            }
        }
        let notes = self.judge(&mut session, &grants, &all);
        self.announce_grants(tx, &session, &grants);
        if session.cleanup_stalled && !was_stalled {
            self.tell_stalling(tx, &session, &grants);
        }
        let permit = drive()?;
        let last = notes.len().saturating_sub(1);
        tx.save_session(&permit, &mut session).await?;
        for (index, note) in notes.into_iter().enumerate() {
            // Every line goes to the session's log; the audit entry is the last one's.
            if index == last {
                self.write_note(tx, &permit, &session, note, self.0.clock.now()).await?;
            } else {
                tx.append_log(session.id, self.0.clock.now(), note.level, note.stage, &note.message).await?;
            }
        }
        if session.clean {
            self.let_go(tx, &session, &all).await?;
        }
        self.announce_session(tx, &session);
        Ok(())
    }

    /// Somebody changed what Cardea placed: told once, not with every try. The session's log and the audit log have the words.
    fn tell_tampering(&self, tx: &mut Tx, session: &Session, removal: &Removal) {
        let Err(error @ ConnectorError::Tampered(_)) = &removal.outcome else { return };
        if removal.grant.last_error.as_deref() != Some(error.to_string().as_str()) {
            let name = &session.resource_name;
            let text = format!("{} on {name}: {error}", capitalised(&removal.grant.privilege.describe()));
            let alert = self.alert("tampered", text, Some(session.id), Some(name));
            self.announce_alert(tx, alert);
        }
    }

    /// Said once, when it begins, with what the host says to it.
    fn tell_stalling(&self, tx: &mut Tx, session: &Session, grants: &[Grant]) {
        let mut errors: Vec<_> = grants.iter().filter_map(|grant| grant.last_error.as_deref()).collect();
        errors.dedup();
        errors.truncate(ERRORS_MAX);
        let (name, why) = (&session.resource_name, errors.join("; "));
        self.tell_stalled(tx, session, &why);
        let text = format!("The clean-up of {} on {name} has been failing for a minute: {why}", session.id);
        let alert = self.alert("cleanup_stalled", text, Some(session.id), Some(name));
        self.announce_alert(tx, alert);
    }

    /// Nothing of the session is out there any more: what only it needed goes.
    async fn let_go(&self, tx: &mut Tx, session: &Session, grants: &[Grant]) -> Result<(), AppError> {
        for secret in grants.iter().filter_map(|grant| grant.privilege.secret()) {
            tx.delete_secret(secret).await?;
        }
        if grants.iter().any(|grant| matches!(grant.privilege, Privilege::ManagedAccount { .. })) {
            tx.check_in(session.id).await?;
        }
        if grants.iter().any(|grant| matches!(grant.privilege, Privilege::AuthorizedKey { .. })) {
            tx.forget_gateway_keys(session.id, None).await?;
        }
        if grants.iter().any(|grant| grant.privilege.gives_root()) {
            tx.delete_snapshot(session.id).await?;
        }
        Ok(())
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
        let stage = if session.status.is_standing() { Stage::Session } else { Stage::PostSession };
        let mut notes: Vec<_> = grants
            .iter()
            .filter(|grant| grant.state == GrantState::Removed)
            .flat_map(|grant| removal_notes(grant, stage))
            .collect();
        let failed: Vec<_> = grants.iter().filter(|grant| grant.state == GrantState::Removing).collect();
        let is_owed = |grant: &Grant| match session.status.is_standing() {
            true => grant.state == GrantState::Removing,
            false => grant.state.is_out(),
        };
        let is_done = !all.iter().any(is_owed);
        let evidence: Vec<_> = grants.iter().map(|grant| json!({ "grant": grant.id, "state": grant.state, "evidence": grant.evidence, "error": grant.last_error })).collect();
        let is_more = all.iter().any(is_afterwards);
        if is_done {
            if session.status.is_standing() {
                session.rest(now);
            } else if is_more {
                session.wake_at = Some(now);
                session.claim = None;
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
            if session.status.is_standing() {
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

/// What is on its way back although its session is open.
fn is_stray(grant: &Grant) -> bool {
    grant.state == GrantState::Removing
}

/// What was just removed and is there again is removed again, until it stays away.
fn there_again(grant: &Grant, seen: &Observation) -> Option<ConnectorError> {
    let sentence = format!("it was there again after it had been removed: {}", seen.detail);
    if seen.presence == Presence::Ours {
        return Some(ConnectorError::Refused(sentence));
    }
    // Two looks apart by seconds: nobody's own business, but something that keeps what it was given.
    is_unmarked_again(grant, seen).then(|| {
        ConnectorError::Tampered(format!("{sentence}. Something on the host puts it back: find it and stop it"))
    })
}

/// Whether it is there although it was removed, and was not there before Cardea placed it. Memberships carry no mark: there is
/// nothing else to tell it by.
pub(super) fn is_unmarked_again(grant: &Grant, seen: &Observation) -> bool {
    matches!(grant.privilege, Privilege::GroupMembership(_))
        && seen.presence == Presence::Foreign
        && grant.before.as_ref().is_some_and(|before| before.presence == Presence::Absent)
}

/// Whether it comes when everything was taken away, and did not yet.
fn is_afterwards(grant: &Grant) -> bool {
    grant.stage == Stage::PostSession && grant.state == GrantState::Planned
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

fn gone_message(grants: &[Grant]) -> &'static str {
    if grants.iter().any(|grant| grant.privilege.gives_root()) {
        "Everything that this session placed is gone, read back on the host. The person was root there, so what the host says \
         of itself could be forged; what they could have changed beside was compared with what it was before"
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
