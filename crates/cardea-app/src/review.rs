//! Break-glass: sessions that begin at once raise an alert, and others say afterwards whether it was right.

use cardea_domain::{
    Actor, Period, Permit, Review, ReviewFinding, Session, SessionId, Stage, Timestamp, Verb, Verdict,
};
use cardea_store::{ReviewFilter, ReviewRow, Tx};
use serde_json::json;

use crate::{App, AppError, Page, SessionQuery, approval::check_given, change::Note};

/// Which reviews.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReviewState {
    /// To be made, overdue ones among them.
    Open,
    /// Those that should have been made by now.
    Overdue,
    Done,
}

impl App {
    /// Writes down that a session began without anybody's yes and has to be reviewed, and alerts.
    pub(crate) async fn owe_review(
        &self,
        tx: &mut Tx,
        permit: &Permit,
        session: &Session,
        within: Period,
    ) -> Result<(), AppError> {
        let now = self.0.clock.now();
        let due_at = now.plus(within.get());
        let review =
            Review { session: session.id, profile: session.profile, user: session.user, due_at, finding: None };
        if !tx.insert_review(permit, &review).await? {
            return Ok(());
        }
        let Session { user_name, activity_name, resource_name, .. } = session;
        let sentence = format!(
            "{user_name} broke the glass: {activity_name} on {resource_name} begins without approval and has to be reviewed by {due_at}"
        );
        let alert = self.alert("break_glass", sentence.clone(), Some(session.id), Some(resource_name));
        let note = Note::warn(Stage::Request, sentence).with(json!({ "alert": alert.code, "review_by": due_at }));
        self.write_note(tx, permit, session, note, now).await?;
        self.announce_alert(tx, alert);
        self.announce_approval(tx, session, None);
        Ok(())
    }

    /// Reviews that the actor may see: their own sessions', those that they may make, and all for those who see everything.
    pub async fn reviews(
        &self,
        actor: &Actor,
        state: ReviewState,
        (limit, cursor): (u32, Option<String>),
    ) -> Result<Page<ReviewRow>, AppError> {
        let after = cursor.map(|text| text.parse::<SessionId>()).transpose();
        let after = after
            .map_err(|_| AppError::field("/cursor", "this is not a cursor that a list gave out: start without one"))?;
        let limit = limit.clamp(1, SessionQuery::LIMIT_MAX);
        let now = self.0.clock.now();
        let whose = match actor.user_id() {
            _ if actor.sees_all() => None,
            Some(user) => Some((user, self.configuration().approves(user))),
            None => return Err(AppError::NotFound),
        };
        let filter = ReviewFilter {
            whose,
            is_done: state == ReviewState::Done,
            due_by: if state == ReviewState::Overdue { now } else { Timestamp::from_micros(i64::MAX) },
            after,
            limit: limit + 1,
        };
        let read = self.0.store.read(move |tx| Box::pin(async move { tx.reviews(&filter).await }));
        let mut items = read.await?;
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next = items.last().filter(|_| more).map(|last| last.review.session.to_string());
        Ok(Page { items, next })
    }

    /// Says whether it was right to break the glass. Once, with a reason, and never by whoever did; that it was right only when
    /// the session is over.
    pub async fn review_session(
        &self,
        actor: &Actor,
        id: SessionId,
        (verdict, reason): (Verdict, &str),
    ) -> Result<ReviewRow, AppError> {
        check_given(reason)?;
        self.must_be_fresh(actor, Verb::ReviewSession, &id.to_string()).await?;
        let reviewed = self.retried(|| self.review_once(actor, id, (verdict, reason.trim()))).await;
        if let Err(error @ (AppError::Denied(_) | AppError::Refused { .. })) = &reviewed {
            self.refused(actor, Verb::ReviewSession, id.to_string(), error).await;
        }
        reviewed
    }

    async fn review_once(
        &self,
        actor: &Actor,
        id: SessionId,
        (verdict, reason): (Verdict, &str),
    ) -> Result<ReviewRow, AppError> {
        let (app, actor, reason, configuration) =
            (self.clone(), actor.clone(), reason.to_owned(), self.configuration());
        let reviewed = self.0.store.write(move |tx| {
            Box::pin(async move {
                let session = app.visible(tx, &actor, id).await?;
                let permit = Permit::to_review(&actor, &session, &configuration)?;
                if tx.review(id).await?.is_none() {
                    return Err(AppError::refused(
                        "no-review",
                        "nobody broke the glass for it: there is nothing to review",
                    ));
                }
                if verdict == Verdict::Justified && session.status.can_end() {
                    let why = "it is not over: whether it was right is said when it has ended";
                    return Err(AppError::refused("not-over", why));
                }
                let now = app.0.clock.now();
                let reviewer = permit.user_id().ok_or_else(|| AppError::Internal("a review by nobody".to_owned()))?;
                let finding = ReviewFinding { verdict, reason, reviewer, reviewer_name: actor.to_string(), at: now };
                if !tx.close_review(&permit, id, &finding).await? {
                    return Err(AppError::refused("reviewed-already", "somebody reviewed it before: read it again"));
                }
                let sentence =
                    format!("{} reviewed it: {}: {}", finding.reviewer_name, verdict.as_str(), finding.reason);
                let note = Note::info(Stage::Session, sentence.clone())
                    .with(json!({ "verdict": verdict, "reason": finding.reason }));
                app.write_note(tx, &permit, &session, note, now).await?;
                if verdict == Verdict::Unjustified {
                    let resource = Some(session.resource_name.as_str());
                    app.announce_alert(tx, app.alert("break_glass_unjustified", sentence, Some(id), resource));
                }
                app.announce_approval(tx, &session, None);
                tx.review(id).await?.ok_or(AppError::NotFound)
            })
        });
        reviewed.await
    }
}
