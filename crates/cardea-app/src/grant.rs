//! The ledger as people see it: what is out there, and another try at what does not go away.

use cardea_domain::{Actor, Grant, GrantId, GrantState, Permit, Session, Stage, Status, Verb};
use cardea_store::Tx;

use crate::{App, AppError, Page, SessionQuery, change::Note};

/// A privilege that is out there.
#[derive(Clone, Debug)]
pub struct OutGrant {
    pub grant: Grant,
    pub session_status: Status,
}

impl App {
    /// The ledger of what is out there now, as far as the actor may see it.
    pub async fn grants_out(
        &self,
        actor: &Actor,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<Page<OutGrant>, AppError> {
        let only = if actor.sees_all() { None } else { Some(actor.user_id().ok_or(AppError::NotFound)?) };
        let after = cursor.map(|text| text.parse::<GrantId>()).transpose();
        let after = after
            .map_err(|_| AppError::field("/cursor", "this is not a cursor that a list gave out: start without one"))?;
        let limit = limit.clamp(1, SessionQuery::LIMIT_MAX);
        let found =
            self.0.store.read(move |tx| Box::pin(async move { tx.grants_out(after, limit + 1, only).await })).await?;
        let mut items: Vec<_> =
            found.into_iter().map(|(grant, session_status)| OutGrant { grant, session_status }).collect();
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next = items.last().filter(|_| more).map(|last| last.grant.id.to_string());
        Ok(Page { items, next })
    }

    /// Has a removal that keeps failing tried at once, without waiting for its pause to be over.
    pub async fn try_removal(&self, actor: &Actor, id: GrantId) -> Result<OutGrant, AppError> {
        let tried = self.retried(|| self.try_once(actor, id)).await;
        if let Err(error @ (AppError::Denied(_) | AppError::Refused { .. })) = &tried {
            self.refused(actor, Verb::TryRemoval, id.to_string(), error).await;
        }
        tried
    }

    async fn try_once(&self, actor: &Actor, id: GrantId) -> Result<OutGrant, AppError> {
        let (app, actor) = (self.clone(), actor.clone());
        let found = self.0.store.write(move |tx| {
            Box::pin(async move {
                let (grant, mut session) = app.visible_grant(tx, &actor, id).await?;
                let permit = Permit::ask(&actor, Verb::TryRemoval)?;
                if grant.state != GrantState::Removing {
                    let sentence = format!("it is {}: only what is being removed can be tried", grant.state.as_str());
                    return Err(AppError::refused("not-removing", sentence));
                }
                session.try_now(app.0.clock.now());
                let message = format!("{actor} has the removal of {} tried now", grant.privilege.describe());
                app.save_session(tx, &permit, &mut session, Note::info(Stage::PostSession, message)).await?;
                Ok(OutGrant { grant, session_status: session.status })
            })
        });
        let found = found.await?;
        self.nudge();
        Ok(found)
    }

    async fn visible_grant(&self, tx: &mut Tx, actor: &Actor, id: GrantId) -> Result<(Grant, Session), AppError> {
        let grant = tx.grant(id).await?.ok_or(AppError::NotFound)?;
        let session = self.visible(tx, actor, grant.session).await?;
        Ok((grant, session))
    }
}
