//! Locks on the host: asked for until the host confirms, however long that takes.

use std::time::Duration;

use cardea_domain::{
    ConnectorError, Frame, Grant, GrantState, LockStage, Locked, Order, Session, SessionId, Stage, Status,
};
use cardea_store::Tx;
use serde_json::json;

use super::{FENCE_MAX, Stop, drive, stand::Then};
use crate::{
    App, AppError,
    change::Note,
    extension::latest,
    gate::{Ruling, order},
};

/// How long locking or unlocking may take on the host.
const LOCK_LIMIT: Duration = Duration::from_secs(60);

impl App {
    /// Brings the host to where the session's lock is wanted, and says what it read back.
    pub(super) async fn settle_lock(&self, session: Session, then: Then) -> Result<(), Stop> {
        let Some(lock) = session.lock.clone() else { return Ok(()) };
        let wanted = lock.stage;
        let id = session.id;
        let grants = self.store().read(move |tx| Box::pin(async move { concerned(tx, id, wanted).await })).await?;
        let (grants, orders): (Vec<Grant>, Vec<Order>) = grants.into_iter().unzip();
        let frame = Frame { session: id, fence: session.fence, limit: LOCK_LIMIT };
        let answer = match grants.first() {
            None => Ok(Locked { read_back: "nothing of it is on the host".to_owned() }),
            Some(first) if wanted == LockStage::Unlocking => self.0.linux.unlock(&first.target, frame, &orders).await,
            Some(first) => self.0.linux.lock(&first.target, frame, &orders).await,
        };
        let answer = match answer {
            Ok(locked) if wanted == LockStage::Locking => self.spare_others(frame, id).await?.map(|()| locked),
            answer => answer,
        };
        self.retried(|| self.write_down_lock((&session, then), wanted, &grants, answer.clone())).await?;
        // At once, if there is more to do: a stage that waited for the unlocking, or the opposite wish.
        self.nudge();
        Ok(())
    }

    /// What sessions that are not locked share with this one was perhaps theirs only after it had been decided what to suspend:
    /// whoever comes later than this look places it anew.
    async fn spare_others(&self, frame: Frame, id: SessionId) -> Result<Result<(), ConnectorError>, AppError> {
        let read = self.store().read(move |tx| {
            Box::pin(async move {
                let mut spared = Vec::new();
                for grant in tx.grants_of(id).await?.into_iter().filter(|grant| is_concerned(grant, LockStage::Locking))
                {
                    if is_open_elsewhere(tx, &grant).await? {
                        spared.push((grant.target.clone(), lasting(tx, &grant).await?));
                    }
                }
                Ok::<_, AppError>(spared)
            })
        });
        let (targets, orders): (Vec<_>, Vec<_>) = read.await?.into_iter().unzip();
        let Some(target) = targets.first() else { return Ok(Ok(())) };
        Ok(self.0.linux.unlock(target, frame, &orders).await.map(drop))
    }

    async fn write_down_lock(
        &self,
        (asked, then): (&Session, Then),
        wanted: LockStage,
        grants: &[Grant],
        answer: Result<Locked, ConnectorError>,
    ) -> Result<(), AppError> {
        let (app, id, claimed) = (self.clone(), asked.id, asked.clone());
        // Who goes on with it keeps it.
        let kept = asked.claim.clone().filter(|_| then == Then::Stay);
        let settled: Vec<_> = grants.iter().map(|grant| grant.id).collect();
        let written = self.store().write(move |tx| {
            Box::pin(async move {
                let now = app.0.clock.now();
                // Asked first: others hold a shared privilege before they hold a session.
                let is_more = wanted == LockStage::Locking
                    && answer.is_ok()
                    && concerned(tx, id, wanted).await?.iter().any(|(grant, _)| !settled.contains(&grant.id));
                Self::still_claimed(tx, &claimed).await?;
                let mut session = tx.session(id).await?.ok_or(AppError::NotFound)?;
                if !session.lock.as_ref().is_some_and(|lock| lock.stage == wanted) || !session.status.is_standing() {
                    // Ended, or wanted otherwise meanwhile: the next look does what is wanted now.
                    if session.status.is_standing() {
                        session.rest(now);
                        session.claim = kept;
                        tx.save_session(&drive()?, &mut session).await?;
                    }
                    return Ok(());
                }
                if is_more {
                    // Whoever it was spared for has left it meanwhile: it is locked again, with that.
                    session.rest(now);
                    session.claim = kept;
                    tx.save_session(&drive()?, &mut session).await?;
                    return Ok(());
                }
                let note = match answer {
                    Ok(Locked { read_back }) => {
                        let connections = tx.open_connections(id).await?;
                        session.lock_settled(connections, now);
                        if session.lock.is_none() || then == Then::Stay {
                            // Whatever else is due was not done while it was locked; or its worker is at something, and
                            // whoever comes after a crash goes on from there.
                            session.wake_at = Some(now);
                        }
                        let done = if wanted == LockStage::Unlocking { "unlocked" } else { "locked" };
                        Note::info(Stage::Session, format!("The host confirms that it is {done}: {read_back}"))
                            .with(json!({ "read_back": read_back }))
                    }
                    Err(error) => app.lock_put_off(&mut session, wanted, &error),
                };
                session.claim = kept;
                app.save_session(tx, &drive()?, &mut session, note).await?;
                if session.lock.is_none() {
                    let version = session.version;
                    tx.after_commit(Box::new(move || app.0.doors.rule(id, version, Ruling::Thaw)));
                }
                Ok(())
            })
        });
        written.await
    }

    fn lock_put_off(&self, session: &mut Session, wanted: LockStage, error: &ConnectorError) -> Note {
        if let ConnectorError::Superseded { seen } = error {
            // No claim ever had that number: somebody on the host wrote it. Ours goes above it.
            session.fence = session.fence.max((*seen).min(FENCE_MAX));
        }
        let what = if wanted == LockStage::Unlocking { "unlock" } else { "lock" };
        let message = format!("The host could not {what} it (attempt {}): {error}", session.cleanup_attempts + 1);
        let mut jitter = [0];
        self.0.entropy.fill(&mut jitter);
        session.lock_failed(error.to_string(), self.0.clock.now(), jitter[0]);
        Note::warn(Stage::Session, message)
    }
}

/// What of a session is suspended or given again. What others share who are not locked is suspended for nobody.
/// The host's own end is that of the last session that shares it.
async fn concerned(tx: &mut Tx, id: SessionId, wanted: LockStage) -> Result<Vec<(Grant, Order)>, AppError> {
    let mut concerned = Vec::new();
    for grant in tx.grants_of(id).await?.into_iter().filter(|grant| is_concerned(grant, wanted)) {
        if wanted == LockStage::Unlocking || !is_open_elsewhere(tx, &grant).await? {
            let order = lasting(tx, &grant).await?;
            concerned.push((grant, order));
        }
    }
    Ok(concerned)
}

/// What is suspended: also what may be there. What is given again: only what was there for certain.
fn is_concerned(grant: &Grant, wanted: LockStage) -> bool {
    let is_there = match grant.state {
        GrantState::Placed => true,
        GrantState::Placing => wanted != LockStage::Unlocking,
        _ => false,
    };
    is_there && !grant.privilege.is_unproven()
}

/// What is asked for of a grant, until the last session that shares it ends.
async fn lasting(tx: &mut Tx, grant: &Grant) -> Result<Order, AppError> {
    let order = order(grant);
    Ok(Order { expires_at: latest(tx, grant, order.expires_at).await?, ..order })
}

/// Whether a session holds the same that is not locked, or to which it is just given again: what is suspended would be missing
/// there.
pub(super) async fn is_open_elsewhere(tx: &mut Tx, grant: &Grant) -> Result<bool, AppError> {
    let Some(key) = &grant.share_key else { return Ok(false) };
    for other in tx.holders(key).await?.into_iter().filter(|other| other.session != grant.session) {
        let holder = tx.session(other.session).await?;
        if holder.is_some_and(|holder| is_open(&holder)) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_open(session: &Session) -> bool {
    let is_given_back = session.lock.as_ref().is_some_and(|lock| lock.stage == LockStage::Unlocking);
    session.status.can_end() && (session.status != Status::Locked || is_given_back)
}
