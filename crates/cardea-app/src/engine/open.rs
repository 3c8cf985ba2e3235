//! What an available session does by itself: its steps of the session stage, one after the other.

use cardea_domain::{EndCause, Grant, GrantState, LogLevel, Session, Stage};

use super::{
    Stop, drive,
    provision::{Done, Halt, SHARED_PAUSE, is_script},
};
use crate::{App, AppError};

impl App {
    /// Runs what the session does while it is available, then ends it if nobody logs in to it.
    pub(super) async fn during(&self, session: &mut Session) -> Result<bool, Stop> {
        let id = session.id;
        let mut grants = self.store().read(move |tx| Box::pin(async move { tx.grants_of(id).await })).await?;
        for grant in grants.iter_mut().filter(|grant| is_open_step(grant)) {
            grant.continue_on_error = true;
            let mut done = Vec::new();
            let ran = if is_script(grant) {
                self.run_script(session, grant, Vec::new(), false).await
            } else {
                self.place_meanwhile(session, grant, &mut done).await
            };
            match ran {
                Ok(()) => self.write_all_done(session, done).await?,
                Err(Halt::GiveUp(reason)) => self.cannot_begin(session, grant, &reason.detail).await?,
                Err(Halt::Moved) => return self.put_off_for(id, SHARED_PAUSE).await.map(|()| true),
                Err(Halt::Wait(pause)) => return self.put_off_for(id, pause).await.map(|()| true),
                Err(Halt::Stop(stop)) => return Err(stop),
            }
        }
        if !session.rules.has_login {
            self.end_because(id, &EndCause::Done).await?;
            self.clean_up(session).await?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Looks at the target for one step of an available session, then places it.
    async fn place_meanwhile(
        &self,
        session: &mut Session,
        grant: &mut Grant,
        done: &mut Vec<Done>,
    ) -> Result<(), Halt> {
        let grants = std::slice::from_mut(grant);
        let before = self.observe(session, grants, &[0]).await?;
        self.place_all(session, grants, vec![0], &before, done).await
    }

    /// Somebody's own thing is in the way of a step of an available session: told, and not tried again.
    async fn cannot_begin(&self, session: &Session, grant: &Grant, why: &str) -> Result<(), Stop> {
        let skipped = Grant { state: GrantState::Placing, last_error: Some(why.to_owned()), ..grant.clone() };
        self.forget(session, vec![skipped]).await?;
        let (now, id, message) = (self.0.clock.now(), session.id, why.to_owned());
        let told = self.store().write(move |tx| {
            Box::pin(async move {
                tx.append_log(id, now, LogLevel::Error, Stage::Session, &message).await.map_err(AppError::from)
            })
        });
        told.await?;
        Ok(())
    }

    /// An end in between has turned these grants towards removal, and that must stand. Whatever else happened to the session
    /// meanwhile, they were placed; but then this worker knows it no longer.
    pub(super) async fn write_all_done(&self, session: &mut Session, done: Vec<Done>) -> Result<(), Stop> {
        if done.is_empty() {
            return Ok(());
        }
        let (id, version) = (session.id, session.version);
        let written = self.retried(|| {
            let (app, mut done) = (self.clone(), done.clone());
            self.store().write(move |tx| {
                Box::pin(async move {
                    let mut session = tx.session(id).await?.ok_or(AppError::NotFound)?;
                    let is_known = session.version == version;
                    // What was gone on without may be written down as never placed.
                    let placed = done.iter().filter(|done| done.grant.state != GrantState::Removed);
                    let ids: Vec<_> = placed.map(|done| done.grant.id).collect();
                    Self::still(tx, id, &ids, &[GrantState::Placing]).await?;
                    let rows = tx.grants_of(id).await?;
                    for Done { grant, .. } in &mut done {
                        // An extension may have moved its end while it was on its way.
                        let row = rows.iter().find(|row| row.id == grant.id);
                        grant.expires_at = grant.expires_at.max(row.and_then(|row| row.expires_at));
                    }
                    app.write_done(tx, &session, &done).await?;
                    tx.save_session(&drive()?, &mut session).await?;
                    Ok::<_, AppError>((is_known, session))
                })
            })
        });
        let (is_known, saved) = written.await?;
        *session = saved;
        if is_known { Ok(()) } else { Err(Stop::Overtaken) }
    }
}

/// Whether it is to be placed while the session is available. One whose outcome is unknown is not tried again.
pub(super) fn is_open_step(grant: &Grant) -> bool {
    grant.stage == Stage::Session && grant.state == GrantState::Planned
}
