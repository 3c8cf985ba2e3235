//! What a host ends by itself must outlast the session: when provisioning took long, the host is told later ends before the
//! session begins.

use std::time::Duration;

use cardea_domain::{ConnectorError, Grant, Session, Timestamp};

use super::{
    Stop, drive,
    provision::{Done, Halt, give_up, reason_of},
};
use crate::{
    App, AppError,
    extension::{ends_by_itself, latest},
    gate::order,
};

/// What clean-up keeps of the margin at least.
const LEFT_MIN: Duration = Duration::from_secs(240);
/// How often the ends are moved before one session.
const MOVES_MAX: usize = 3;

impl App {
    /// Moves the host's ends if the session would reach into the margin behind them; again, if that took long itself. `done` is
    /// what is not written down yet.
    pub(super) async fn outlast(
        &self,
        session: &mut Session,
        grants: &mut [Grant],
        done: &mut [Done],
    ) -> Result<(), Halt> {
        for _ in 0..MOVES_MAX {
            let (now, lasts) = (self.0.clock.now(), session.duration.get());
            let soonest =
                grants.iter().filter(|grant| ends_by_itself(grant)).filter_map(|grant| grant.expires_at).min();
            if soonest.is_none_or(|at| at >= now.plus(lasts).plus(LEFT_MIN)) {
                return Ok(());
            }
            self.move_ends(session, grants, done, now.plus(lasts).plus(Session::EXPIRY_MARGIN)).await?;
        }
        Err(give_up("no_answer", "The host takes too long to move the ends that it keeps itself: request it again"))
    }

    async fn move_ends(
        &self,
        session: &mut Session,
        grants: &mut [Grant],
        done: &mut [Done],
        expires_at: Timestamp,
    ) -> Result<(), Halt> {
        let mut moved: Vec<_> = grants.iter_mut().filter(|grant| ends_by_itself(grant)).collect();
        for grant in &mut moved {
            grant.expires_at = Some(expires_at);
        }
        let moved: Vec<Grant> = moved.into_iter().map(|grant| grant.clone()).collect();
        let asked = moved.clone();
        let orders = self.store().read(move |tx| {
            Box::pin(async move {
                let mut orders = Vec::with_capacity(asked.len());
                for grant in &asked {
                    orders.push(cardea_domain::Order {
                        expires_at: latest(tx, grant, expires_at).await?,
                        ..order(grant)
                    });
                }
                Ok::<_, AppError>(orders)
            })
        });
        let orders = orders.await?;
        // What is under way from before would set the old ends again.
        let id = session.id;
        let raised =
            self.store().write(move |tx| Box::pin(async move { tx.raise_fence(id).await.map_err(AppError::from) }));
        let raised = raised.await?;
        if raised.version != session.version + 1 {
            return Err(Halt::Stop(Stop::Overtaken));
        }
        (session.fence, session.version) = (raised.fence, raised.version);
        let frame = self.frame(session);
        let mut answer = self.0.linux.extend(&moved[0].target, frame, &orders).await;
        if matches!(answer, Err(ConnectorError::Unknown(_))) {
            answer = self.0.linux.extend(&moved[0].target, frame, &orders).await;
        }
        answer.map_err(|error| Halt::GiveUp(reason_of("moving the ends that the host keeps", &error)))?;
        for done in done {
            done.grant.expires_at = moved
                .iter()
                .find(|grant| grant.id == done.grant.id)
                .and_then(|grant| grant.expires_at)
                .or(done.grant.expires_at);
        }
        let mut copy = session.clone();
        let written = self.store().write(move |tx| {
            Box::pin(async move {
                tx.save_grants(&moved).await?;
                tx.save_session(&drive()?, &mut copy).await?;
                Ok::<_, AppError>(copy)
            })
        });
        *session = written.await?;
        Ok(())
    }
}
