//! Making a session longer: first on the host, then in the store, so that nothing ends under the person's feet.

use std::time::Duration;

use cardea_domain::{
    Actor, ConnectorError, Frame, Grant, GrantState, Order, Placed, Session, SessionId, Stage, Timestamp, Verb,
};
use cardea_store::Tx;
use serde_json::json;

use crate::{
    App, AppError, SessionDetail,
    change::Note,
    gate::order,
    session::{detail, permit},
};

/// How long moving the host's expiries may take.
const EXTEND_LIMIT: Duration = Duration::from_secs(30);

/// An extension that is allowed, under a fence of its own.
struct Wish {
    session: Session,
    end: Timestamp,
    grants: Vec<Grant>,
    orders: Vec<Order>,
}

impl App {
    /// Makes an open session longer: by what its profile allows each time, or by less.
    pub async fn extend_session(
        &self,
        actor: &Actor,
        id: SessionId,
        by: Option<Duration>,
    ) -> Result<SessionDetail, AppError> {
        // A gateway's key that is placed meanwhile would keep the old expiry.
        let _turn = self.0.doors.joining.lock(id).await;
        let extended = self.retried(|| self.extend_once(actor, id, by)).await;
        if let Err(error @ (AppError::Denied(_) | AppError::Refused { .. })) = &extended {
            self.refused(actor, Verb::ExtendSession, id.to_string(), error).await;
        }
        extended
    }

    async fn extend_once(&self, actor: &Actor, id: SessionId, by: Option<Duration>) -> Result<SessionDetail, AppError> {
        if let Some(asked) = self.wish_to_extend(actor, id, by).await? {
            self.nudge();
            return Ok(asked);
        }
        self.extend_now(actor, id, by).await
    }

    /// Extends it, whoever approved that.
    pub(crate) async fn extend_now(
        &self,
        actor: &Actor,
        id: SessionId,
        by: Option<Duration>,
    ) -> Result<SessionDetail, AppError> {
        let wish = self.ask_to_extend(actor, id, by).await?;
        let frame = Frame { session: id, fence: wish.session.fence, limit: EXTEND_LIMIT };
        let moved = match wish.grants.first() {
            Some(first) => match self.0.linux.extend(&first.target, frame, &wish.orders).await {
                // The engine spoke to the host meanwhile: once more, with a newer fence.
                Err(ConnectorError::Superseded { seen }) => {
                    self.catch_up(id, seen).await?;
                    return Err(AppError::Conflict);
                }
                answer => answer?,
            },
            None => Vec::new(),
        };
        // If nobody comes this far, the host only ends later what Cardea ends in time.
        let extended = self.write_extension(actor, wish, moved).await?;
        self.nudge();
        Ok(extended)
    }

    /// Whether it is allowed, and a fence that no other command has.
    async fn ask_to_extend(&self, actor: &Actor, id: SessionId, by: Option<Duration>) -> Result<Wish, AppError> {
        let (app, actor) = (self.clone(), actor.clone());
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let session = app.visible(tx, &actor, id).await?;
                    permit(&actor, Verb::ExtendSession, &session)?;
                    let end = app.later_end(&session, by)?;
                    let session = tx.raise_fence(id).await?;
                    let expires_at = end.plus(Session::EXPIRY_MARGIN);
                    let (mut grants, mut orders) = (Vec::new(), Vec::new());
                    for mut grant in tx.grants_of(id).await?.into_iter().filter(is_moved) {
                        grant.expires_at = Some(expires_at);
                        orders.push(Order { expires_at: latest(tx, &grant, expires_at).await?, ..order(&grant) });
                        grants.push(grant);
                    }
                    Ok(Wish { session, end, grants, orders })
                })
            })
            .await
    }

    /// The end that the session may be given now.
    pub(crate) fn later_end(&self, session: &Session, by: Option<Duration>) -> Result<Timestamp, AppError> {
        let now = self.0.clock.now();
        if session.end_at.is_some_and(|end| end <= now) {
            let sentence = "the session has reached its end: request a new one";
            return Err(AppError::refused("not-extendable", sentence));
        }
        let end = session.extended_end(by)?;
        if let Some(lost) = self.configuration().ground_lost(session, now) {
            let sentence = format!("{lost} The session lives on until its end, and not longer");
            return Err(AppError::refused("ground-lost", sentence));
        }
        Ok(end)
    }

    async fn write_extension(&self, actor: &Actor, wish: Wish, moved: Vec<Placed>) -> Result<SessionDetail, AppError> {
        let (app, actor) = (self.clone(), actor.clone());
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let Wish { session: asked, end, mut grants, .. } = wish;
                    let mut session = tx.session(asked.id).await?.ok_or(AppError::NotFound)?;
                    let permit = permit(&actor, Verb::ExtendSession, &session)?;
                    if !session.status.is_open() || session.end_at != asked.end_at || session.fence != asked.fence {
                        // Something overtook it: judged anew, on what it is now.
                        return Err(AppError::Conflict);
                    }
                    let ids: Vec<_> = grants.iter().map(|grant| grant.id).collect();
                    match Self::still(tx, session.id, &ids, &[GrantState::Placed, GrantState::Placing]).await {
                        // One of them is on its way back, and stays so.
                        Err(AppError::Refused { .. }) => return Err(AppError::Conflict),
                        still => still?,
                    }
                    let now = app.0.clock.now();
                    session.extend(end, now);
                    let now_there = tx.grants_of(session.id).await?;
                    for grant in &mut grants {
                        // One that was on its way is there by now, perhaps.
                        let newest = now_there.iter().find(|newest| newest.id == grant.id);
                        let moved = newest.map(|newest| Grant { expires_at: grant.expires_at, ..newest.clone() });
                        *grant = moved.unwrap_or_else(|| grant.clone());
                    }
                    tx.save_grants(&grants).await?;
                    app.announce_grants(tx, &session, &grants);
                    for warning in moved.iter().filter_map(|placed| placed.warning.as_ref()) {
                        let note = Note::warn(Stage::Session, format!("While it was extended: {warning}"));
                        tx.append_log(session.id, now, note.level, note.stage, &note.message).await?;
                    }
                    let read_back: Vec<_> = moved.iter().map(|placed| &placed.read_back).collect();
                    let sentence = format!("{actor} extended it: it ends at {end}");
                    let note = Note::info(Stage::Session, sentence.clone())
                        .with(json!({ "end_at": end, "read_back": read_back }));
                    app.save_session(tx, &permit, &mut session, note).await?;
                    app.say_on_terminals(tx, session.id, sentence);
                    detail(tx, session).await
                })
            })
            .await
    }
}

/// What the host was told to end by itself. What a script did it cannot end.
pub(crate) fn ends_by_itself(grant: &Grant) -> bool {
    grant.state == GrantState::Placed && !grant.privilege.is_unproven()
}

/// What an extension moves: also what is on its way there, which the host moves if it has it by then.
fn is_moved(grant: &Grant) -> bool {
    let is_coming = grant.stage == Stage::Session && grant.state == GrantState::Placing;
    ends_by_itself(grant) || is_coming && !grant.privilege.is_unproven()
}

/// When the host may end it: not before the last session that shares it.
pub(crate) async fn latest(tx: &mut Tx, grant: &Grant, expires_at: Timestamp) -> Result<Timestamp, AppError> {
    let Some(key) = &grant.share_key else { return Ok(expires_at) };
    let others = tx.holders(key).await?;
    Ok(others
        .iter()
        .filter(|other| other.id != grant.id)
        .filter_map(|other| other.expires_at)
        .fold(expires_at, Timestamp::max))
}
