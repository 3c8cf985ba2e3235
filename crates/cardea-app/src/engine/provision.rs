//! From request to Available: every privilege is written down, placed and read back, one after the other.

use std::time::Duration;

use cardea_domain::{
    ConnectorError, Frame, Grant, GrantState, Observation, Order, Presence, Privilege, Progress, Reason, Session,
    Stage, Timestamp,
};
use serde_json::json;

use super::{Stop, drive};
use crate::{App, AppError, change::Note, gate::order};

/// How long one command on the host may take.
const STEP_LIMIT: Duration = Duration::from_secs(30);
/// A request that waited longer than this for the engine (it was down) is not begun or gone on with: nobody waits for it
/// any more. Shorter than the margin of the targets' own expiry, which runs from when a privilege was first placed.
const BEGIN_WITHIN: Duration = Duration::from_secs(240);
/// A step whose outcome is unknown is looked at and done again this often before the session fails.
const TRIES: u32 = 3;

impl App {
    pub(super) async fn provision(&self, mut session: Session) -> Result<(), Stop> {
        let id = session.id;
        let mut grants = self.store().read(move |tx| Box::pin(async move { tx.grants_of(id).await })).await?;
        if self.0.clock.now().since(session.requested_at) > BEGIN_WITHIN {
            let reason = Reason::new("too_late", "Cardea was not running when this was requested: request it again");
            return self.give_up(session, reason).await;
        }
        let before = match self.observe(&session, &grants).await {
            Ok(before) => before,
            Err(error) => return self.give_up(session, reason_of("looking at the host", &error)).await,
        };
        let mut done = None;
        for index in 0..grants.len() {
            if matches!(grants[index].state, GrantState::Placed | GrantState::Preexisting) {
                continue;
            }
            let what = grants[index].privilege.describe();
            match foreign(&grants[index], &before[index]) {
                Foreign::No => {}
                Foreign::Member => {
                    self.settle(&mut session, &mut grants[index], &before[index], &mut done).await?;
                    continue;
                }
                Foreign::InTheWay(error) => return self.give_up(session, reason_of(&what, &error)).await,
            }
            if !self.begin(&mut session, &mut grants, index, &before[index], done.take()).await? {
                let reason = Reason::new(
                    "changed_meanwhile",
                    "The policy, activity, profile or resource was changed after the request: request it again",
                );
                return self.give_up(session, reason).await;
            }
            let frame = Frame { session: id, fence: session.fence, limit: STEP_LIMIT };
            match self.place(&grants[index], frame).await {
                Ok(read_back) => done = Some(placed(&mut grants[index], read_back, self.0.clock.now())),
                Err(error @ ConnectorError::Collision(_)) => {
                    // The host refused before it touched anything: what is there is not ours to remove.
                    self.forget(&session, grants[index].clone(), &error).await?;
                    return self.give_up(session, reason_of(&what, &error)).await;
                }
                Err(error) => return self.give_up(session, reason_of(&what, &error)).await,
            }
        }
        self.finish(session, done).await
    }

    /// Looks at the target for every grant that is not placed yet; one question, one answer.
    async fn observe(&self, session: &Session, grants: &[Grant]) -> Result<Vec<Observation>, ConnectorError> {
        let Some(first) = grants.first() else { return Ok(Vec::new()) };
        let orders: Vec<Order> = grants.iter().map(order).collect();
        let frame = Frame { session: session.id, fence: session.fence, limit: STEP_LIMIT };
        let mut seen = self.0.linux.observe(&first.target, frame, &orders).await;
        for _ in 1..TRIES {
            if !matches!(seen, Err(ConnectorError::Unknown(_))) {
                break;
            }
            seen = self.0.linux.observe(&first.target, frame, &orders).await;
        }
        seen
    }

    /// Writes down that this grant is about to be placed; with the one before it, if that was just placed. False, and
    /// nothing written, if what the request was judged by has changed before anything was touched.
    async fn begin(
        &self,
        session: &mut Session,
        grants: &mut [Grant],
        index: usize,
        before: &Observation,
        done: Option<Done>,
    ) -> Result<bool, Stop> {
        let now = self.0.clock.now();
        let of = u32::try_from(grants.len()).unwrap_or(u32::MAX);
        let is_first = grants.iter().all(|grant| grant.state == GrantState::Planned);
        let grant = &mut grants[index];
        if grant.state == GrantState::Planned {
            grant.before = Some(before.clone());
            grant.state = GrantState::Placing;
        }
        grant.expires_at = Some(now.plus(session.pins.max_duration.get()).plus(Session::EXPIRY_MARGIN));
        let step = u32::try_from(index + 1).unwrap_or(u32::MAX);
        session.progress = Some(Progress { step, of, text: format!("adding {}", grant.privilege.describe()) });
        let (app, grant, copy) = (self.clone(), grant.clone(), session.clone());
        let begun = self
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    let mut session = copy;
                    let pins =
                        [session.pins.policy, session.pins.activity, session.pins.profile, session.pins.resource];
                    if is_first && !tx.revisions_hold(&pins).await? {
                        return Ok(None);
                    }
                    let mut changed = Vec::new();
                    if let Some(done) = done {
                        app.write_done(tx, &session, &done).await?;
                        changed.push(done.grant);
                    }
                    tx.save_grant(&grant).await?;
                    changed.push(grant);
                    tx.save_session(&drive()?, &mut session).await?;
                    app.announce_session(tx, &session);
                    app.announce_grants(tx, &session, &changed);
                    Ok::<_, AppError>(Some(session))
                })
            })
            .await?;
        let is_begun = begun.is_some();
        *session = begun.unwrap_or_else(|| session.clone());
        Ok(is_begun)
    }

    async fn write_done(&self, tx: &mut cardea_store::Tx, session: &Session, done: &Done) -> Result<(), AppError> {
        tx.save_grant(&done.grant).await?;
        let note = Note::info(Stage::PreSession, done.message.clone())
            .with(json!({ "grant": done.grant.id, "read_back": done.read_back }));
        self.write_note(tx, &drive()?, session, note, self.0.clock.now()).await?;
        Ok(())
    }

    /// The account was a member before Cardea came: never ours to remove.
    async fn settle(
        &self,
        session: &mut Session,
        grant: &mut Grant,
        before: &Observation,
        done: &mut Option<Done>,
    ) -> Result<(), Stop> {
        grant.state = GrantState::Preexisting;
        grant.before = Some(before.clone());
        let earlier = done.replace(Done {
            message: format!("Found {} there already; it stays when the session ends", grant.privilege.describe()),
            read_back: before.detail.clone(),
            grant: grant.clone(),
        });
        let Some(earlier) = earlier else { return Ok(()) };
        let (app, copy) = (self.clone(), session.clone());
        *session = self
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    let mut session = copy;
                    app.write_done(tx, &session, &earlier).await?;
                    tx.save_session(&drive()?, &mut session).await?;
                    Ok::<_, AppError>(session)
                })
            })
            .await?;
        Ok(())
    }

    async fn place(&self, grant: &Grant, frame: Frame) -> Result<String, ConnectorError> {
        let order = order(grant);
        let mut answer = self.0.linux.place(&grant.target, frame, &order).await;
        for _ in 1..TRIES {
            if !matches!(answer, Err(ConnectorError::Unknown(_))) {
                break;
            }
            answer = self.0.linux.place(&grant.target, frame, &order).await;
        }
        answer.map(|placed| placed.read_back)
    }

    /// Everything is in place: the session starts.
    async fn finish(&self, mut session: Session, done: Option<Done>) -> Result<(), Stop> {
        let app = self.clone();
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    if let Some(done) = &done {
                        app.write_done(tx, &session, done).await?;
                        app.announce_grants(tx, &session, std::slice::from_ref(&done.grant));
                    }
                    session.provisioned(app.0.clock.now())?;
                    let took = app.0.clock.now().since(session.requested_at);
                    let message = format!("Available as {} after {} ms", session.account.name, took.as_millis());
                    app.save_session(tx, &drive()?, &mut session, Note::info(Stage::PreSession, message)).await?;
                    Ok::<_, AppError>(())
                })
            })
            .await?;
        Ok(())
    }

    /// The grant was never placed and never will be.
    async fn forget(&self, session: &Session, mut grant: Grant, error: &ConnectorError) -> Result<(), Stop> {
        let now = self.0.clock.now();
        grant.state = GrantState::Removed;
        grant.removed_at = Some(now);
        grant.scanned_at = Some(now);
        grant.last_error = Some(error.to_string());
        let (app, session) = (self.clone(), session.clone());
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    tx.save_grant(&grant).await?;
                    app.announce_grants(tx, &session, std::slice::from_ref(&grant));
                    Ok::<_, AppError>(())
                })
            })
            .await?;
        Ok(())
    }

    /// A step failed: the session says why, and what was placed is taken away at once.
    async fn give_up(&self, mut session: Session, reason: Reason) -> Result<(), Stop> {
        let app = self.clone();
        let id = session.id;
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    let message = reason.detail.clone();
                    session.failed(reason, app.0.clock.now())?;
                    app.remove_all(tx, &session).await?;
                    app.save_session(tx, &drive()?, &mut session, Note::error(Stage::PreSession, message)).await?;
                    Ok::<_, AppError>(())
                })
            })
            .await?;
        self.clean_up(id).await
    }
}

/// A grant that was just placed, and what the log says about it; written with the next step.
pub(super) struct Done {
    grant: Grant,
    message: String,
    read_back: String,
}

fn placed(grant: &mut Grant, read_back: String, now: Timestamp) -> Done {
    grant.state = GrantState::Placed;
    grant.placed_at = Some(now);
    Done { message: format!("Added {}", grant.privilege.describe()), read_back, grant: grant.clone() }
}

/// What somebody else's thing under the same name means.
enum Foreign {
    No,
    /// Nothing to place and nothing to remove.
    Member,
    InTheWay(ConnectorError),
}

fn foreign(grant: &Grant, before: &Observation) -> Foreign {
    // An unresolved `placing` means ours, whoever wrote it.
    if before.presence != Presence::Foreign || grant.state == GrantState::Placing {
        return Foreign::No;
    }
    match grant.privilege {
        Privilege::GroupMembership { .. } => Foreign::Member,
        _ => Foreign::InTheWay(ConnectorError::Collision(before.detail.clone())),
    }
}

fn reason_of(what: &str, error: &ConnectorError) -> Reason {
    Reason::new(error.code(), format!("Failed at {what}: {error}"))
}
