//! After clean-up: one look through the whole target for files that the account left, as evidence of its own.

use std::time::Duration;

use cardea_domain::{
    ConnectorError, Grant, GrantState, Lane, LogLevel, Observation, Presence, Privilege, Session, SessionId, Stage,
    Status, Timestamp, UidRange,
};
use cardea_store::Tx;
use serde_json::json;

use super::{Stop, clean_up::is_unmarked_again, drive, provision::is_script};
use crate::{App, AppError, change::Note, cluster::overtaken, gate::order};

/// After a scan that failed (the host is away) the next one comes this much later.
const AGAIN: Duration = Duration::from_secs(300);
/// How long after the end a host that does not answer is asked for its second look.
const LOOK_WITHIN: Duration = Duration::from_secs(24 * 3600);
/// How many files of one account the log names.
const NAMED_MAX: usize = 20;

impl App {
    /// Runs the scan that a clean session still owes. One scan serves every account of the resource that was removed
    /// before it began.
    pub(super) async fn scan(&self, session: Session) -> Result<(), Stop> {
        let Some(turn) = self.0.turns.take(Lane::Scanning, session.resource) else { return Ok(()) };
        let began = self.0.clock.now();
        match self.is_back(&session).await? {
            Some(false) => {}
            Some(true) => {
                drop(turn);
                return self.clean_up(&session).await;
            }
            None if session.end_at.is_some_and(|end| began.since(end) < LOOK_WITHIN) => {
                return self.set_wake(session.id, Some(began.plus(AGAIN))).await;
            }
            None => self.say_unseen(session.id).await?,
        }
        let resource = session.resource;
        let waiting =
            self.store().read(move |tx| Box::pin(async move { tx.unscanned_accounts(resource, began).await })).await?;
        let Some(first) = waiting.iter().find(|grant| grant.session == session.id) else {
            if self.owes_scan(session.id).await? {
                // So many wait on this host that its turn comes with a later scan.
                return self.set_wake(session.id, Some(began.plus(AGAIN))).await;
            }
            return self.rest(session.id, began).await;
        };
        let range =
            waiting.iter().fold(UidRange { first: first.account.uid, last: first.account.uid }, |range, grant| {
                UidRange { first: range.first.min(grant.account.uid), last: range.last.max(grant.account.uid) }
            });
        let target = first.target.clone();
        // The second look of others does not wait for it.
        drop(turn);
        let Some(_search) = self.0.turns.take(Lane::Searching, resource) else {
            // It is served by the one that is under way, or by the next.
            return self.set_wake(session.id, Some(began.plus(AGAIN))).await;
        };
        match self.0.linux.scan(&target, range).await {
            Ok(findings) => {
                let same_host = waiting
                    .into_iter()
                    .filter(|grant| grant.target.address == target.address && grant.target.port == target.port);
                let reports: Vec<_> = same_host.map(|grant| report(grant, &findings)).collect();
                self.write_scan(reports).await?;
                self.rest(session.id, began).await
            }
            Err(error) => {
                tracing::warn!(session.id = %session.id, %error, "Could not scan {} for left files; trying again later", self.name_of(resource));
                self.set_wake(session.id, Some(self.0.clock.now().plus(AGAIN))).await
            }
        }
    }

    /// Whether the files of its account were not searched for yet.
    async fn owes_scan(&self, id: SessionId) -> Result<bool, Stop> {
        let grants = self.store().read(move |tx| Box::pin(async move { tx.grants_of(id).await })).await?;
        Ok(grants.iter().any(|grant| {
            grant.privilege.kind() == "account"
                && grant.state == GrantState::Removed
                && grant.scanned_at.is_none()
                && grant.expires_at.is_some()
        }))
    }

    /// Looks once more, now that no command of before can still be under way, whether anything of the session is there again. Then
    /// the session is being cleaned up again, whatever it was called. `None` if the host does not answer.
    async fn is_back(&self, session: &Session) -> Result<Option<bool>, Stop> {
        let id = session.id;
        let grants = self.store().read(move |tx| Box::pin(async move { nobodys(tx, id).await })).await?;
        let Some(target) = grants.first().map(|grant| grant.target.clone()) else { return Ok(Some(false)) };
        if grants.iter().all(|grant| grant.scanned_at.is_some()) {
            return Ok(Some(false));
        }
        let orders: Vec<_> = grants.iter().map(order).collect();
        let seen = match self.0.linux.observe(&target, self.frame(session), &orders).await {
            Ok(seen) => seen,
            Err(error) => {
                tracing::warn!(session.id = %id, %error, "A second look at {} failed", target.name);
                if let ConnectorError::Superseded { seen } = error {
                    self.catch_up(id, seen).await?;
                }
                return Ok(None);
            }
        };
        let (back, others): (Vec<_>, Vec<_>) =
            grants.into_iter().zip(seen).partition(|(_, seen)| seen.presence == Presence::Ours);
        self.tell_unmarked(id, others).await?;
        if back.is_empty() {
            return Ok(Some(false));
        }
        let app = self.clone();
        let reopened = self.retried(|| {
            let (app, back) = (app.clone(), back.clone());
            self.store().write(move |tx| {
                Box::pin(async move {
                    let mut session = tx.session(id).await?.ok_or(AppError::NotFound)?;
                    if !session.clean {
                        // It is cleaned up already, or was tried again: whoever has it now looks for itself.
                        return Err(overtaken());
                    }
                    session.reopen(app.0.clock.now());
                    for (mut grant, seen) in back {
                        grant.state = GrantState::Removing;
                        grant.last_error =
                            Some(format!("it was there again after it had been removed: {}", seen.detail));
                        tx.save_grant(&grant).await?;
                        app.announce_grants(tx, &session, std::slice::from_ref(&grant));
                    }
                    let note = Note::error(
                        Stage::PostSession,
                        "Something of it was there again on the host: cleaning up once more",
                    );
                    app.save_session(tx, &drive()?, &mut session, note).await.map_err(AppError::from)
                })
            })
        });
        reopened.await?;
        Ok(Some(true))
    }

    /// Who is in a group again some time after they were taken out may have been put there by somebody who may do that. It is left as
    /// it is, and told.
    async fn tell_unmarked(&self, id: SessionId, mut seen: Vec<(Grant, Observation)>) -> Result<(), Stop> {
        seen.retain(|(grant, seen)| is_unmarked_again(grant, seen));
        if seen.is_empty() {
            return Ok(());
        }
        let app = self.clone();
        let told = self.retried(|| {
            let (app, seen) = (app.clone(), seen.clone());
            self.store().write(move |tx| {
                Box::pin(async move {
                    let mut session = tx.session(id).await?.ok_or(AppError::NotFound)?;
                    let still = nobodys(tx, id).await?;
                    for (mut grant, seen) in seen {
                        let Some(evidence) = grant.evidence.as_mut() else { continue };
                        let finding = format!("after the session, {}: see who put it there", seen.detail);
                        // Held by a session that began meanwhile, or told before.
                        if evidence.findings.contains(&finding) || !still.iter().any(|still| still.id == grant.id) {
                            continue;
                        }
                        evidence.findings.push(finding.clone());
                        tx.save_grant(&grant).await?;
                        app.announce_grants(tx, &session, std::slice::from_ref(&grant));
                        let name = session.resource_name.clone();
                        let alert = app.alert("tampered", format!("On {name}, {finding}"), Some(id), Some(&name));
                        app.announce_alert(tx, alert);
                        let note = Note::error(Stage::PostSession, finding).with(json!({ "grant": grant.id }));
                        app.save_session(tx, &drive()?, &mut session, note).await?;
                    }
                    Ok::<_, AppError>(())
                })
            })
        });
        Ok(told.await?)
    }

    async fn write_scan(&self, reports: Vec<Report>) -> Result<(), Stop> {
        let now = self.0.clock.now();
        let written = self.store().write(move |tx| {
            Box::pin(async move {
                let ids: Vec<_> = reports.iter().map(|report| report.grant.id).collect();
                tx.mark_scanned(&ids, now).await?;
                for report in reports {
                    tx.append_log(report.grant.session, now, report.level, Stage::PostSession, &report.message).await?;
                }
                Ok::<_, AppError>(())
            })
        });
        Ok(written.await?)
    }

    /// Nothing is owed any more: a failed session waits to leave the list, every other one rests for good.
    async fn rest(&self, id: SessionId, now: Timestamp) -> Result<(), Stop> {
        let app = self.clone();
        let rested = self.retried(|| {
            let app = app.clone();
            self.store().write(move |tx| {
                Box::pin(async move {
                    let mut session = tx.session(id).await?.ok_or(AppError::NotFound)?;
                    if !session.clean {
                        // It was tried again meanwhile: its time is its new life's.
                        return Ok(());
                    }
                    session.scanned();
                    if session.status == Status::Failed && session.wake_at.is_some_and(|at| at <= now) {
                        session.dismiss()?;
                        session.wake_at = None;
                        app.announce_session(tx, &session);
                    }
                    tx.save_session(&drive()?, &mut session).await.map_err(AppError::from)
                })
            })
        });
        Ok(rested.await?)
    }

    /// The log says what nobody has seen.
    async fn say_unseen(&self, id: SessionId) -> Result<(), Stop> {
        let now = self.0.clock.now();
        let message = "The host gave no second look within a day of the end: what was read back then stands for itself";
        let said = self.store().write(move |tx| {
            Box::pin(async move { tx.append_log(id, now, LogLevel::Warn, Stage::PostSession, message).await })
        });
        Ok(said.await?)
    }

    /// It is looked at again later. A failed one leaves the list in its time all the same.
    async fn set_wake(&self, id: SessionId, at: Option<Timestamp>) -> Result<(), Stop> {
        let now = self.0.clock.now();
        let set = self.retried(|| {
            let app = self.clone();
            self.store().write(move |tx| {
                Box::pin(async move {
                    let mut session = tx.session(id).await?.ok_or(AppError::NotFound)?;
                    if !session.clean {
                        return Ok(());
                    }
                    if session.is_listed_long_enough(now) {
                        session.dismiss()?;
                        app.announce_session(tx, &session);
                    }
                    session.wake_at = at;
                    session.claim = None;
                    tx.save_session(&drive()?, &mut session).await.map_err(AppError::from)
                })
            })
        });
        Ok(set.await?)
    }
}

/// What the session had, and nobody has now: what it shares with others that hold it is theirs to look after. Of that, only what
/// carries no mark: under the mark of the first of them, what is there may be another's.
async fn nobodys(tx: &mut Tx, id: SessionId) -> Result<Vec<Grant>, AppError> {
    let mut nobodys = Vec::new();
    for grant in tx.grants_of(id).await? {
        let is_free = match &grant.share_key {
            Some(key) => matches!(grant.privilege, Privilege::GroupMembership(_)) && tx.holders(key).await?.is_empty(),
            None => true,
        };
        if is_free && grant.evidence.is_some() && !is_script(&grant) {
            nobodys.push(grant);
        }
    }
    Ok(nobodys)
}

/// What a scan says about one account.
struct Report {
    grant: Grant,
    level: LogLevel,
    message: String,
}

fn report(grant: Grant, findings: &[cardea_domain::ScanFinding]) -> Report {
    let left: Vec<_> = findings
        .iter()
        .filter(|finding| finding.uid == grant.account.uid)
        .map(|finding| finding.path.as_str())
        .collect();
    let account = &grant.account;
    let (level, message) = if left.is_empty() {
        (
            LogLevel::Info,
            format!("Looked through the whole host: no file of {} (uid {}) is left", account.name, account.uid),
        )
    } else {
        let named = left.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
        let more = left.len().saturating_sub(NAMED_MAX);
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        (
            LogLevel::Warn,
            format!(
                "Looked through the whole host: files of {} (uid {}) are left: {named}{rest}",
                account.name, account.uid
            ),
        )
    };
    Report { grant, level, message }
}
