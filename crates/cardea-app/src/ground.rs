//! What sessions stand on: when the configuration takes it away they end, within a moment of the change.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use cardea_domain::{
    Approval, Configuration, EndCause, Kind, ObjectId, OnChange, Session, SessionId, Stage, Timestamp,
};
use futures_util::{StreamExt as _, stream};

use crate::{App, AppError, change::Note, engine::drive};

/// So many sessions are judged and written together; the store groups them into few commits.
const TOGETHER: usize = 64;

/// What changed since sessions were last judged, and up to when users were looked at who expire.
pub(crate) struct Ground {
    changed: Mutex<Changed>,
    expiry: Mutex<Expiry>,
}

/// Users who expire.
struct Expiry {
    /// Who expired up to here was looked at.
    until: Timestamp,
    /// When the next one does, as this configuration has it.
    next: Option<Timestamp>,
    of: Option<Arc<Configuration>>,
}

/// Which sessions are to be judged.
#[derive(Debug)]
enum Changed {
    /// Every one: the process has just started, and may have missed changes.
    All,
    /// Those that hang on these objects.
    Objects(Vec<ObjectId>),
}

impl Default for Ground {
    fn default() -> Self {
        Self {
            changed: Mutex::new(Changed::All),
            expiry: Mutex::new(Expiry { until: Timestamp::from_micros(0), next: None, of: None }),
        }
    }
}

impl Ground {
    /// These objects changed.
    pub(crate) fn changed(&self, objects: impl IntoIterator<Item = ObjectId>) {
        if let Changed::Objects(known) = &mut *self.changed.lock().unwrap_or_else(PoisonError::into_inner) {
            known.extend(objects);
        }
    }

    /// Time goes on: who expired since the last look counts as changed. When the next one does.
    fn tick(&self, configuration: &Arc<Configuration>, now: Timestamp) -> Option<Timestamp> {
        let mut expiry = self.expiry.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = expiry.of.as_ref().is_some_and(|known| Arc::ptr_eq(known, configuration));
        // Users are many, and this is asked at each turn of the engine.
        if !is_same || expiry.next.is_some_and(|at| at <= now) {
            self.changed(configuration.expired_between(expiry.until, now));
            expiry.next = configuration.next_expiry(now);
            expiry.of = Some(Arc::clone(configuration));
        }
        expiry.until = now.max(expiry.until);
        expiry.next
    }

    fn take(&self) -> Option<Changed> {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        match &*changed {
            Changed::Objects(known) if known.is_empty() => None,
            _ => Some(std::mem::replace(&mut *changed, Changed::Objects(Vec::new()))),
        }
    }

    /// It could not be judged: everything is, the next time.
    fn put_back(&self) {
        *self.changed.lock().unwrap_or_else(PoisonError::into_inner) = Changed::All;
    }
}

/// What becomes of a session whose ground moved.
enum Verdict {
    Stands,
    Ends(String),
    /// Its policy's hours end at another time now.
    Hours(Option<Timestamp>),
}

impl App {
    /// Judges the sessions that a change of the configuration concerns, and those of users who expired. When the next user does.
    pub(crate) async fn check_ground(&self) -> Result<Option<Timestamp>, AppError> {
        let next = self.0.ground.tick(&self.configuration(), self.0.clock.now());
        self.check_changed().await.map(|()| next)
    }

    async fn check_changed(&self) -> Result<(), AppError> {
        let Some(changed) = self.0.ground.take() else { return Ok(()) };
        let checked = self.check_all(changed).await;
        if checked.is_err() {
            self.0.ground.put_back();
        }
        checked
    }

    async fn check_all(&self, changed: Changed) -> Result<(), AppError> {
        let configuration = self.configuration();
        let read = self.0.store.read(move |tx| {
            Box::pin(async move {
                let mut sessions = match changed {
                    Changed::All => tx.live_sessions().await?,
                    Changed::Objects(objects) => {
                        let users: Vec<_> = objects.iter().filter(|id| id.kind() == Kind::User).copied().collect();
                        let mut sessions = tx.sessions_on(&touched(&configuration, objects)).await?;
                        let decided =
                            if users.is_empty() { Vec::new() } else { tx.sessions_decided_by(&users).await? };
                        sessions.extend(decided);
                        sessions.sort_by_key(|session| session.id);
                        sessions.dedup_by_key(|session| session.id);
                        sessions
                    }
                };
                sessions.retain(|session| session.status.can_end());
                let asked: Vec<_> =
                    sessions.iter().filter(|session| session.asked.is_some()).map(|session| session.id).collect();
                let approvals = if asked.is_empty() { Vec::new() } else { tx.approvals_of(&asked).await? };
                Ok::<_, AppError>((sessions, approvals))
            })
        });
        let (sessions, approvals) = read.await?;
        let mut said: HashMap<SessionId, Vec<Approval>> = HashMap::new();
        for approval in approvals {
            said.entry(approval.session).or_default().push(approval);
        }
        let judged = sessions.into_iter().map(|session| {
            let said = said.remove(&session.id).unwrap_or_default();
            self.carry_out(session, said)
        });
        let judged: Vec<_> = judged.collect();
        let mut judged = stream::iter(judged).buffer_unordered(TOGETHER);
        let mut first_error = Ok(());
        while let Some(done) = judged.next().await {
            first_error = first_error.and(done);
        }
        self.nudge();
        first_error
    }

    async fn carry_out(&self, session: Session, approvals: Vec<Approval>) -> Result<(), AppError> {
        let verdict = self.judge_ground(&session);
        let is_losing = !self.configuration().falling(&session, &approvals, self.0.clock.now()).is_empty();
        if is_losing && !matches!(verdict, Verdict::Ends(_)) {
            self.votes_fall(session.id).await?;
        }
        match verdict {
            Verdict::Stands => Ok(()),
            Verdict::Ends(why) => self.end_because(session.id, &EndCause::GroundLost(why)).await,
            // Most hours did not change: nothing is written for them.
            Verdict::Hours(closes_at) if !session.clone().hours_changed(closes_at, self.0.clock.now()) => Ok(()),
            Verdict::Hours(closes_at) => self.retried(|| self.move_hours(session.id, closes_at)).await,
        }
    }

    fn judge_ground(&self, session: &Session) -> Verdict {
        let (configuration, now) = (self.configuration(), self.0.clock.now());
        let closes_at = self.hours_close(session, now);
        let Some(why) = configuration.ground_lost(session, now) else { return Verdict::Hours(closes_at) };
        let is_shut = closes_at.is_some_and(|at| at <= now) && session.rules.on_hours_close == OnChange::End;
        // What has not begun has nothing that could be kept.
        let ends = !configuration.may_act(session.user, now)
            || session.rules.on_policy_change == OnChange::End
            || session.status.is_ahead()
            || (is_shut && session.status.is_standing());
        if ends { Verdict::Ends(why) } else { Verdict::Stands }
    }

    async fn move_hours(&self, id: SessionId, closes_at: Option<Timestamp>) -> Result<(), AppError> {
        let app = self.clone();
        let moved = self.0.store.write(move |tx| {
            Box::pin(async move {
                let mut session = tx.session(id).await?.ok_or(AppError::NotFound)?;
                if !session.hours_changed(closes_at, app.0.clock.now()) {
                    return Ok(());
                }
                let end = session.end_at.map(|end| end.to_string()).unwrap_or_default();
                let note = Note::warn(Stage::Session, format!("The hours of its policy changed: it ends at {end}"));
                app.save_session(tx, &drive()?, &mut session, note).await.map_err(AppError::from)
            })
        });
        moved.await
    }
}

/// The objects, and the policies and profiles that say whom or what they give, or who approves, by groups among them.
pub(crate) fn touched(configuration: &Configuration, mut objects: Vec<ObjectId>) -> Vec<ObjectId> {
    let of_kind = |wanted| objects.iter().copied().filter(move |id| id.kind() == wanted);
    let around = configuration.groups_around(of_kind(Kind::Group));
    let groups: Vec<_> = around.into_iter().chain(of_kind(Kind::ResourceGroup)).map(|id| (id.kind(), id)).collect();
    let names_one = |policy: &&cardea_domain::Object| {
        policy.spec.references().iter().any(|reference| {
            groups.iter().any(|(kind, id)| {
                reference.kinds.contains(kind)
                    && configuration.find(*kind, &reference.name).is_some_and(|found| found.id == *id)
            })
        })
    };
    let policies = configuration.of(Kind::AccessPolicy).filter(names_one).map(|policy| policy.id);
    let profiles = configuration.of(Kind::ConnectionProfile).filter(names_one).map(|profile| profile.id);
    objects.extend(policies.chain(profiles).collect::<Vec<_>>());
    objects
}
