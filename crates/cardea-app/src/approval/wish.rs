//! Extensions that have to be approved: asked for, decided about like a request, and carried out by the engine. The session's end
//! does not move before, and it ends as planned if nobody answers.

use std::time::Duration;

use cardea_domain::{
    Actor, Approval, Asked, Configuration, Decision, FieldError, Period, Permit, Question, Refusal, Session, SessionId,
    Stage, Verb, Wish,
};
use cardea_store::Tx;
use serde_json::json;

use super::{
    Approve,
    round::{must_be_asked, next_tier, tier_of_no},
};
use crate::{
    App, AppError, SessionDetail,
    change::Note,
    engine::drive,
    plan::must_be_askable,
    session::{detail, permit},
};

/// When what a host did not do is tried again.
const AGAIN: Duration = Duration::from_secs(30);

impl App {
    /// Asks for an extension, where the session's rules have it approved; else `None`.
    pub(crate) async fn wish_to_extend(
        &self,
        actor: &Actor,
        id: SessionId,
        by: Option<Duration>,
    ) -> Result<Option<SessionDetail>, AppError> {
        let (app, actor, configuration) = (self.clone(), actor.clone(), self.configuration());
        let asked = self.0.store.write(move |tx| {
            Box::pin(async move {
                let mut session = app.visible(tx, &actor, id).await?;
                let permit = permit(&actor, Verb::ExtendSession, &session)?;
                let Some(rule) = session.rules.extension.filter(|rule| rule.approval) else { return Ok(None) };
                app.later_end(&session, by)?;
                let now = app.0.clock.now();
                let profile = configuration.get(session.profile).and_then(cardea_domain::Object::as_profile);
                let Some(approval) = profile.and_then(|profile| profile.approval.as_ref()) else {
                    let sentence = "the profile names nobody any more who could approve it: request a new session";
                    return Err(AppError::refused("extension-not-allowed", sentence));
                };
                let asked = configuration.ask(approval, session.user, now);
                must_be_askable(&asked, (&session.profile_name, &session.user_name), "/minutes")?;
                let number = tx.approvals_of(&[id]).await?.iter().map(|vote| vote.extension).max().unwrap_or(0) + 1;
                let window = now.plus(approval.window.get());
                let by =
                    by.map_or(Ok(rule.by), |by| Period::from_micros(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)));
                let wish = Wish {
                    number,
                    by: by.map_err(|error| AppError::field("/minutes", error.to_string()))?,
                    user: actor.user_id(),
                    who: actor.to_string(),
                    at: now,
                    until: session.end_at.map_or(window, |end| end.min(window)),
                    asked,
                    try_at: None,
                };
                let sentence = format!("{actor} asks for {} more, which has to be approved", wish.by);
                let note =
                    Note::info(Stage::Session, sentence.clone()).with(json!({ "by": wish.by, "until": wish.until }));
                session.wish_longer(wish)?;
                app.save_session(tx, &permit, &mut session, note).await?;
                app.announce_approval(tx, &session, None);
                app.say_on_terminals(tx, id, sentence);
                detail(tx, session).await.map(Some)
            })
        });
        asked.await
    }

    /// One yes to an extension. The last that it needs has the engine carry it out.
    pub(super) async fn approve_wish(
        &self,
        tx: &mut Tx,
        permit: &Permit,
        mut session: Session,
        approve: &Approve,
    ) -> Result<SessionDetail, AppError> {
        let (now, configuration) = (self.0.clock.now(), self.configuration());
        let conditions = [("/duration", approve.duration.is_some()), ("/start_at", approve.start_at.is_some())];
        let given = conditions.into_iter().filter(|(_, is_given)| *is_given);
        let errors: Vec<_> = given
            .map(|(key, _)| FieldError::new(key, "an extension is approved as it was asked for: leave this out"))
            .collect();
        if !errors.is_empty() {
            return Err(AppError::Invalid(errors));
        }
        let mut wish = waiting_wish(&session, now)?;
        let before = tx.approvals_of(&[session.id]).await?;
        let counting = configuration.counting_for(&session, question(&wish), &before, now);
        let has_approved = |user| Configuration::has_approved(&session, question(&wish), &before, user);
        if permit.user_id().is_some_and(has_approved) {
            let sentence = "you approved this extension already: the others that it needs must be somebody else's";
            return Err(AppError::refused("approved-already", sentence));
        }
        let tier = wish.asked.open_tier(&counting).min(wish.asked.tier);
        wish.asked.turn_to(tier, now);
        must_be_asked(&wish.asked, &session, (&configuration, now), permit)?;
        let (have, needed) = (Asked::have(&counting, tier) + 1, wish.asked.tiers[tier].quorum);
        if have >= needed {
            let next = next_tier(&wish.asked, &counting, tier);
            wish.asked.turn_to(next, now);
        }
        let approval = Approval {
            extension: wish.number,
            ..self.decision(permit, &session, Decision::Approved, tier, &approve.reason)?
        };
        tx.insert_approval(permit, &approval).await?;
        let sentence =
            format!("{} approved the extension: {} ({have} of {needed})", approval.approver_name, approval.reason);
        session.wish = Some(wish);
        session.wish_moved();
        self.wrote_about_wish(tx, permit, session, (&approval, sentence)).await
    }

    /// A no to an extension: the session ends as planned.
    pub(super) async fn deny_wish(
        &self,
        tx: &mut Tx,
        permit: &Permit,
        mut session: Session,
        reason: &str,
    ) -> Result<SessionDetail, AppError> {
        let wish = waiting_wish(&session, self.0.clock.now())?;
        let tier = tier_of_no(&wish.asked, permit)?;
        let denied = self.decision(permit, &session, Decision::Denied, tier, reason)?;
        let denied = Approval { extension: wish.number, ..denied };
        tx.insert_approval(permit, &denied).await?;
        let sentence = format!("{} denied the extension: {}", denied.approver_name, denied.reason);
        session.wish = None;
        self.say_on_terminals(tx, session.id, sentence.clone());
        self.wrote_about_wish(tx, permit, session, (&denied, sentence)).await
    }

    async fn wrote_about_wish(
        &self,
        tx: &mut Tx,
        permit: &Permit,
        mut session: Session,
        (approval, sentence): (&Approval, String),
    ) -> Result<SessionDetail, AppError> {
        let note = Note::info(Stage::Session, sentence)
            .with(json!({ "reason": approval.reason, "pins": approval.pins, "extension": approval.extension }));
        self.save_session(tx, permit, &mut session, note).await?;
        self.announce_approval(tx, &session, Some(approval));
        detail(tx, session).await
    }

    /// What is due for an extension: more people are asked, its window is over, or the host is told. Whether anything was.
    pub(crate) async fn settle_wish(&self, session: &Session) -> Result<bool, AppError> {
        let now = self.0.clock.now();
        let Some(wish) = session.wish.as_ref().filter(|wish| wish.wake_at().is_some_and(|at| at <= now)) else {
            return Ok(false);
        };
        if !wish.asked.is_complete() || !self.wish_holds(session.id).await? {
            self.retried(|| self.move_wish(session.id)).await?;
            return Ok(true);
        }
        if !session.status.is_open() {
            return Ok(false);
        }
        let by = wish.by.get();
        match self.retried(|| self.extend_now(&Actor::Engine, session.id, Some(by))).await {
            Ok(_) => {}
            Err(AppError::Refused { sentence, .. }) => {
                let sentence = format!("It was not extended: {sentence}");
                self.retried(|| self.drop_wish(session.id, sentence.clone())).await?;
            }
            Err(error) => {
                tracing::warn!(session.id = %session.id, %error, "The host could not be told of an extension; trying again");
                self.retried(|| self.put_wish_off(session.id)).await?;
            }
        }
        Ok(true)
    }

    /// Whether those who approved it may still do so.
    async fn wish_holds(&self, id: SessionId) -> Result<bool, AppError> {
        let (configuration, now) = (self.configuration(), self.0.clock.now());
        let read = self.0.store.read(move |tx| {
            Box::pin(async move {
                let session = tx.session(id).await?.ok_or(AppError::NotFound)?;
                let approvals = tx.approvals_of(&[id]).await?;
                let Some(wish) = &session.wish else { return Ok(false) };
                let counting = configuration.counting_for(&session, question(wish), &approvals, now);
                Ok::<_, AppError>(wish.asked.open_tier(&counting) >= wish.asked.tiers.len())
            })
        });
        read.await
    }

    async fn move_wish(&self, id: SessionId) -> Result<(), AppError> {
        let (app, configuration) = (self.clone(), self.configuration());
        let moved = self.0.store.write(move |tx| {
            Box::pin(async move {
                let now = app.0.clock.now();
                let mut session = tx.session(id).await?.ok_or(AppError::NotFound)?;
                let approvals = tx.approvals_of(&[id]).await?;
                let Some(mut wish) = session.wish.clone() else { return Ok(()) };
                let counting = configuration.counting_for(&session, question(&wish), &approvals, now);
                let tier = wish.asked.open_tier(&counting);
                let is_back = wish.asked.turn_to(tier.min(wish.asked.tier), now);
                let sentence = if wish.until <= now && !wish.asked.is_complete() {
                    session.wish = None;
                    "Nobody approved the extension in time: it ends as planned".to_owned()
                } else {
                    let is_escalated = wish.asked.escalate(now);
                    session.wish = Some(wish);
                    match (is_back, is_escalated) {
                        (true, _) => format!("The extension lacks approval: it waits for tier {} again", tier + 1),
                        (_, true) => "Nobody decided about the extension in time: more people are asked".to_owned(),
                        (false, false) => return Ok(()),
                    }
                };
                app.save_session(tx, &drive()?, &mut session, Note::warn(Stage::Session, sentence)).await?;
                app.announce_approval(tx, &session, None);
                Ok::<_, AppError>(())
            })
        });
        moved.await
    }

    async fn drop_wish(&self, id: SessionId, sentence: String) -> Result<(), AppError> {
        let app = self.clone();
        let dropped = self.0.store.write(move |tx| {
            Box::pin(async move {
                let mut session = tx.session(id).await?.ok_or(AppError::NotFound)?;
                session.wish = None;
                app.say_on_terminals(tx, id, sentence.clone());
                app.save_session(tx, &drive()?, &mut session, Note::warn(Stage::Session, sentence)).await?;
                Ok::<_, AppError>(())
            })
        });
        dropped.await
    }

    async fn put_wish_off(&self, id: SessionId) -> Result<(), AppError> {
        let app = self.clone();
        let put_off = self.0.store.write(move |tx| {
            Box::pin(async move {
                let mut session = tx.session(id).await?.ok_or(AppError::NotFound)?;
                if let Some(wish) = &mut session.wish {
                    wish.try_at = Some(app.0.clock.now().plus(AGAIN));
                }
                Ok::<_, AppError>(tx.save_session(&drive()?, &mut session).await?)
            })
        });
        put_off.await
    }
}

fn question(wish: &Wish) -> Question<'_> {
    Question { asked: &wish.asked, extension: wish.number }
}

/// The wish that its approvers may still decide about.
fn waiting_wish(session: &Session, now: cardea_domain::Timestamp) -> Result<Wish, Refusal> {
    let wish = session.wish.clone().filter(|wish| session.question().is_some() && wish.until > now);
    wish.ok_or(Refusal::NotWaiting(session.status))
}
