//! The ledger as people see it: what is out there, and another try at what does not go away.

use std::collections::BTreeSet;

use cardea_domain::{Actor, Grant, GrantId, GrantState, Permit, Session, Stage, Status, Verb};
use cardea_store::{Tx, Whose};

use crate::{
    App, AppError, Page, SessionQuery,
    change::Note,
    session::{permit, whose},
};

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
        let whose = whose(actor)?;
        let after = cursor.map(|text| text.parse::<GrantId>()).transpose();
        let after = after
            .map_err(|_| AppError::field("/cursor", "this is not a cursor that a list gave out: start without one"))?;
        let limit = limit.clamp(1, SessionQuery::LIMIT_MAX);
        let is_rough = matches!(&whose, Whose::Within(..));
        let read = self.0.store.read(move |tx| Box::pin(async move { tx.grants_out(after, limit + 1, &whose).await }));
        let mut items: Vec<_> =
            read.await?.into_iter().map(|(grant, session_status)| OutGrant { grant, session_status }).collect();
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next = items.last().filter(|_| more).map(|last| last.grant.id.to_string());
        if is_rough {
            items = self.visible_of(actor, items).await?;
        }
        Ok(Page { items, next })
    }

    /// Those whose sessions the actor sees.
    async fn visible_of(&self, actor: &Actor, mut items: Vec<OutGrant>) -> Result<Vec<OutGrant>, AppError> {
        let ids: BTreeSet<_> = items.iter().map(|item| item.grant.session).collect();
        let actor = actor.clone();
        let read = self.0.store.read(move |tx| {
            Box::pin(async move {
                let mut seen = BTreeSet::new();
                // At most a page of them.
                for id in ids {
                    let session = tx.session(id).await?.ok_or(AppError::NotFound)?;
                    if Permit::for_session(&actor, Verb::SeeSession, &session).is_ok() {
                        seen.insert(id);
                    }
                }
                Ok::<_, AppError>(seen)
            })
        });
        let seen = read.await?;
        items.retain(|item| seen.contains(&item.grant.session));
        Ok(items)
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
                let permit = permit(&actor, Verb::TryRemoval, &session)?;
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
