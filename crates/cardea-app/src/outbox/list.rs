//! The outbox as administrators see it.

use cardea_domain::{Actor, NoticeId, NoticeState, Permit, Verb};
use cardea_store::{AuditEntry, NoticeRow, Outcome};
use serde_json::json;

use super::GIVE_UP_AFTER;
use crate::{App, AppError};

/// The longest page.
const PAGE_MAX: u32 = 1000;

/// A part of the outbox, newest first, and where it goes on.
pub struct NoticePage {
    pub items: Vec<NoticeRow>,
    pub next: Option<NoticeId>,
}

impl App {
    /// Notices, newest first, from behind `before`; only those in this state, if one is given.
    pub async fn notices(
        &self,
        actor: &Actor,
        state: Option<NoticeState>,
        (before, limit): (Option<NoticeId>, u32),
    ) -> Result<NoticePage, AppError> {
        Permit::ask(actor, Verb::ManageNotices)?;
        let limit = limit.clamp(1, PAGE_MAX);
        let read = self.0.store.read(move |tx| {
            Box::pin(async move { tx.list_notices(state, before, limit + 1).await.map_err(AppError::from) })
        });
        let mut items = read.await?;
        let is_more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next = items.last().filter(|_| is_more).map(|last| last.id);
        Ok(NoticePage { items, next })
    }

    /// Has a notice sent now that waits or was given up.
    pub async fn send_notice_now(&self, actor: &Actor, id: NoticeId) -> Result<NoticeRow, AppError> {
        let sent = self.retried(|| self.send_now_once(actor, id)).await;
        if let Err(error @ (AppError::Denied(_) | AppError::Refused { .. })) = &sent {
            self.refused(actor, Verb::ManageNotices, id.to_string(), error).await;
        }
        sent
    }

    async fn send_now_once(&self, actor: &Actor, id: NoticeId) -> Result<NoticeRow, AppError> {
        let permit = Permit::ask(actor, Verb::ManageNotices)?;
        let app = self.clone();
        let woken = self.0.store.write(move |tx| {
            Box::pin(async move {
                let mut notice = tx.notice(id).await?.ok_or(AppError::NotFound)?;
                if matches!(notice.state, NoticeState::Sent | NoticeState::Dropped) {
                    let sentence = format!("this notice was {} already: nothing is left to do", notice.state.as_str());
                    return Err(AppError::refused("notice-done", sentence));
                }
                let now = app.0.clock.now();
                if notice.claim.as_ref().is_some_and(|claim| claim.until > now) {
                    // It is being sent at this moment.
                    return Ok(notice);
                }
                if notice.state == NoticeState::Failed {
                    (notice.attempts, notice.give_up_at) = (0, now.plus(GIVE_UP_AFTER));
                }
                (notice.state, notice.wake_at, notice.done_at) = (NoticeState::Waiting, Some(now), None);
                tx.settle_notice(&notice).await?;
                let detail = json!({ "kind": notice.kind, "outlet": notice.outlet });
                let entry =
                    AuditEntry { id: app.mint_audit(), at: now, subject: id.to_string(), outcome: Outcome::Ok, detail };
                tx.record(&permit, &entry).await?;
                let waker = app.clone();
                tx.after_commit(Box::new(move || waker.0.outbox.nudge()));
                Ok(tx.notice(id).await?.unwrap_or(notice))
            })
        });
        woken.await
    }
}
