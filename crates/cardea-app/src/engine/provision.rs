//! From request to Available: every privilege is written down, placed and read back, one after the other.

use std::time::Duration;

use cardea_domain::{
    ConnectorError, Depth, Frame, Grant, GrantState, Lane, LogLevel, Observation, Order, Placed, Progress, Reason,
    Revision, Session, SessionId, Stage, Timestamp,
};
use cardea_store::Tx;
use serde_json::json;

use super::{
    Stop, drive,
    open::is_open_step,
    share::{Shared, is_undone_otherwise, restate_dead_man, restate_placed_switch, share},
    turn::Turn,
};
use crate::{App, AppError, change::Note, gate::order, plan::host_of};

/// How long one command on the host may take.
pub(super) const STEP_LIMIT: Duration = Duration::from_secs(30);
/// How long before the host's own end something is still placed: twice what the command may take.
const PLACE_BEFORE: Duration = Duration::from_secs(60);
/// A session that waited longer than this for the engine (it was down) or for its host's turn is not begun or gone on with: nobody
/// waits for it any more. Shorter than the margin of the targets' own expiry, which runs from when a privilege was first placed.
const BEGIN_WITHIN: Duration = Duration::from_secs(240);
const TOO_LATE: &str =
    "Cardea was not running when this was to begin, or its host had too much to do: request it again";
/// A step whose outcome is unknown is looked at and done again this often before the session fails.
const TRIES: u32 = 3;
/// When to look again at a privilege that another session is just giving back.
pub(super) const SHARED_PAUSE: Duration = Duration::from_millis(300);

/// Why provisioning stops here.
pub(super) enum Halt {
    /// The session fails, and what was placed is taken away.
    GiveUp(Reason),
    /// The session waits for approval again.
    Moved,
    /// Not now, but so much later: another session is giving back what this one wants to share, or enough scripts run there.
    Wait(Duration),
    Stop(Stop),
}

impl<E: Into<Stop>> From<E> for Halt {
    fn from(error: E) -> Self {
        Self::Stop(error.into())
    }
}

impl App {
    pub(super) async fn provision(&self, mut session: Session, mut grants: Vec<Grant>) -> Result<(), Stop> {
        let Some(turn) = self.0.turns.take(Lane::Placing, session.resource) else {
            // It stays due, and is taken up when somebody before it is done.
            return Ok(());
        };
        let begun = match self.provision_steps(&mut session, &mut grants, turn).await {
            Ok(done) => self.finish(&session, &grants, done).await,
            Err(halt) => Err(halt),
        };
        match begun {
            Ok(()) => Ok(()),
            Err(Halt::GiveUp(reason)) => self.give_up(session, reason, Vec::new()).await,
            Err(Halt::Moved) => Ok(()),
            Err(Halt::Wait(pause)) => self.put_off_for(session.id, pause).await,
            Err(Halt::Stop(stop)) => Err(stop),
        }
    }

    async fn provision_steps(
        &self,
        session: &mut Session,
        grants: &mut Vec<Grant>,
        turn: Turn,
    ) -> Result<Vec<Done>, Halt> {
        let mut turn = Some(turn);
        // Since it could begin, which approval and schedule may have put off.
        if session.wake_at.is_some_and(|due| self.0.clock.now().since(due) > BEGIN_WITHIN) {
            return Err(give_up("too_late", TOO_LATE));
        }
        // Of an earlier try, some of which may be on its way out once more.
        grants.retain(|grant| !matches!(grant.state, GrantState::Removed | GrantState::Removing));
        self.settle_account(session, grants).await?;
        self.keep_snapshot(session, grants).await?;
        let all: Vec<_> = (0..grants.len()).filter(|at| is_due(&grants[*at])).collect();
        let mut done = Vec::new();
        let mut from = 0;
        while from < grants.len() {
            let to = (from..grants.len()).find(|index| is_script(&grants[*index])).unwrap_or(grants.len());
            let due: Vec<_> = all.iter().copied().filter(|at| (from..to).contains(at)).collect();
            // Each time anew: behind a script an hour may have passed.
            let before = self.observe(session, grants, &due).await?;
            self.place_all(session, grants, due, &before, &mut done).await?;
            let is_first = grants.iter().all(is_untouched);
            if let Some(script) = grants.get_mut(to).filter(|grant| is_due(grant)) {
                // It may take an hour, and waits for others of its kind: nobody else waits for it.
                drop(turn.take());
                self.run_script(session, script, std::mem::take(&mut done), is_first).await?;
            }
            from = to + 1;
        }
        self.outlast(session, grants, &mut done).await?;
        Ok(done)
    }

    /// Looks at the target for every grant that is to be placed; one question, one answer.
    pub(super) async fn observe(
        &self,
        session: &Session,
        grants: &[Grant],
        due: &[usize],
    ) -> Result<Vec<Option<Observation>>, Halt> {
        let due: Vec<_> = due.iter().copied().filter(|at| !is_script(&grants[*at])).collect();
        let mut found = vec![None; grants.len()];
        let Some(first) = due.first() else { return Ok(found) };
        let orders: Vec<Order> = due.iter().map(|at| order(&grants[*at])).collect();
        let (frame, target) = (self.frame(session), &grants[*first].target);
        let mut seen = self.0.linux.observe(target, frame, &orders).await;
        for _ in 1..TRIES {
            if !matches!(seen, Err(ConnectorError::Unknown(_))) {
                break;
            }
            seen = self.0.linux.observe(target, frame, &orders).await;
        }
        if is_refused_as_old(grants[*first].stage, &seen) && self.is_outrun(session).await? {
            return Err(Halt::Stop(Stop::Overtaken));
        }
        let seen = seen.map_err(|error| Halt::GiveUp(reason_of("looking at the host", &error)))?;
        for (at, observation) in due.into_iter().zip(seen) {
            found[at] = Some(observation);
        }
        Ok(found)
    }

    /// Places grants in order. All are written down as being placed before the first of them touches the host.
    pub(super) async fn place_all(
        &self,
        session: &mut Session,
        grants: &mut [Grant],
        due: Vec<usize>,
        before: &[Option<Observation>],
        done: &mut Vec<Done>,
    ) -> Result<(), Halt> {
        if due.is_empty() {
            return Ok(());
        }
        let fresh: Vec<_> = due.iter().copied().filter(|at| grants[*at].state == GrantState::Planned).collect();
        let switch = self.begin(session, grants, &due, before, std::mem::take(done)).await?;
        if let Some(stated) = &switch
            && let Some(known) = grants.iter_mut().find(|grant| grant.id == stated.id)
        {
            // Whoever moves its end writes all of it.
            known.privilege = stated.privilege.clone();
        }
        self.check_found(session, grants, &due).await?;
        if let Some(switch) = switch {
            let restated = self.place(&switch, self.frame(session)).await;
            if is_refused_as_old(grants[due[0]].stage, &restated) {
                self.put_off(session, &grants[due[0]]).await?;
            }
            if let Err(error) = restated {
                return self.could_not_place(session, &mut grants[due[0]], &error, done).await;
            }
        }
        for at in due {
            if grants[at].state == GrantState::Preexisting {
                continue;
            }
            self.announce_step(session, grants, at);
            let mut is_refused = false;
            let answer = self.place(&grants[at], self.frame(session)).await;
            if is_refused_as_old(grants[at].stage, &answer) {
                self.put_off(session, &grants[at]).await?;
            }
            let stopped = match answer {
                Ok(read_back) => {
                    done.push(placed(&mut grants[at], read_back, self.0.clock.now()));
                    self.bounded_by_host(session, done)
                }
                Err(error) => {
                    // The host refused before it touched anything: what is there is not ours to remove.
                    is_refused = matches!(error, ConnectorError::Collision(_));
                    self.could_not_place(session, &mut grants[at], &error, done).await
                }
            };
            let Err(Halt::GiveUp(reason)) = stopped else {
                stopped?;
                continue;
            };
            // Those behind it were not touched by anybody. In the unit in which the session fails: until then they are still due.
            let behind = fresh.into_iter().filter(|other| *other > at);
            let untouched = is_refused.then_some(at).into_iter().chain(behind).map(|other| grants[other].clone());
            self.give_up(session.clone(), reason, untouched.collect()).await?;
            return Err(Halt::Moved);
        }
        Ok(())
    }

    /// A profile may refuse a host that cannot end a privilege by itself.
    fn bounded_by_host(&self, session: &Session, done: &[Done]) -> Result<(), Halt> {
        let unbounded =
            done.iter().rev().find(|done| done.grant.privilege.kind() == "dead_man" && done.warning.is_some());
        match unbounded.and_then(|done| done.warning.clone()) {
            Some(warning) if session.rules.require_host_expiry => Err(give_up("no_host_expiry", &warning)),
            _ => Ok(()),
        }
    }

    /// The activity says whether that fails the session.
    async fn could_not_place(
        &self,
        session: &Session,
        grant: &mut Grant,
        error: &ConnectorError,
        done: &mut Vec<Done>,
    ) -> Result<(), Halt> {
        let what = grant.privilege.describe();
        if let ConnectorError::Collision(_) = error {
            grant.last_error = Some(error.to_string());
        }
        if !grant.continue_on_error {
            return Err(Halt::GiveUp(reason_of(&what, error)));
        }
        if let ConnectorError::Collision(_) = error {
            self.forget(session, vec![grant.clone()]).await?;
            never_placed(grant, self.0.clock.now());
        }
        grant.last_error = Some(error.to_string());
        let message = format!("Failed at {what}, and goes on as the activity says: {error}");
        done.push(Done {
            grant: grant.clone(),
            level: LogLevel::Warn,
            message,
            read_back: String::new(),
            warning: None,
        });
        Ok(())
    }

    /// Writes down that these grants are about to be placed, with what was placed before them. What others hold already is
    /// shared with them; what was there before Cardea is left alone. The dead man's switch, if it is there already and has to
    /// be written anew first.
    async fn begin(
        &self,
        session: &mut Session,
        grants: &mut [Grant],
        due: &[usize],
        before: &[Option<Observation>],
        done: Vec<Done>,
    ) -> Result<Option<Grant>, Halt> {
        let now = self.0.clock.now();
        let is_first = grants.iter().all(|grant| matches!(grant.state, GrantState::Planned | GrantState::Preexisting));
        bound(session, grants, due, before, now);
        session.progress = Some(progress(grants, due[0]));
        let (app, copy, all, due) = (self.clone(), session.clone(), grants.to_vec(), due.to_vec());
        let begun = self.store().write(move |tx| {
            Box::pin(async move {
                let (mut session, mut all) = (copy, all);
                app.tell_done(tx, &session, &done).await?;
                for at in &due {
                    match share(tx, &mut all[*at]).await? {
                        Shared::No => {}
                        Shared::Leaving => return Ok(Begun::Later),
                        Shared::Stuck => return Ok(Begun::Never(*at)),
                        Shared::InTheWay(what) => return Ok(Begun::Collision(*at, what)),
                    }
                }
                restate_dead_man(tx, &mut all).await?;
                let unknown = due.iter().map(|at| &all[*at]).filter(|grant| is_undone_otherwise(grant));
                let switch = restate_placed_switch(tx, &session, unknown.collect()).await?;
                let changed: Vec<_> = due.iter().map(|at| all[*at].clone()).collect();
                let placed = done.iter().map(|done| done.grant.clone());
                tx.save_grants(&placed.chain(changed.iter().cloned()).collect::<Vec<_>>()).await?;
                for grant in &changed {
                    if grant.state == GrantState::Preexisting {
                        let what = grant.privilege.describe();
                        let note = format!("Found {what} there already; it stays when the session ends");
                        tx.append_log(session.id, now, LogLevel::Info, grant.stage, &note).await?;
                    }
                }
                let pins = if is_first { pinned(&session).to_vec() } else { Vec::new() };
                tx.save_session_while(&drive()?, &mut session, &pins).await?;
                app.announce_session(tx, &session);
                app.announce_grants(tx, &session, &done.iter().map(|done| done.grant.clone()).collect::<Vec<_>>());
                app.announce_grants(tx, &session, &changed);
                Ok::<_, AppError>(Begun::Yes(Box::new(session), all, switch.map(Box::new)))
            })
        });
        let begun = match begun.await {
            // Which of the two has changed: the session, or what it was judged by?
            Err(AppError::Conflict) if is_first && !self.still_holds(session).await? => {
                return Err(self.changed_meanwhile(session).await?);
            }
            begun => begun?,
        };
        match begun {
            Begun::Yes(saved, all, switch) => {
                *session = *saved;
                grants.clone_from_slice(&all);
                Ok(switch.map(|switch| *switch))
            }
            Begun::Later => Err(Halt::Wait(SHARED_PAUSE)),
            Begun::Never(at) => {
                let what = grants[at].privilege.describe();
                let sentence = format!(
                    "Failed at {what}: it is being taken away from another session, and the host does not let it go: request it \
                     again when that is done"
                );
                Err(give_up("collision", &sentence))
            }
            Begun::Collision(at, what) => {
                Err(Halt::GiveUp(reason_of(&grants[at].privilege.describe(), &ConnectorError::Collision(what))))
            }
        }
    }

    /// Whether everything that the request was judged by is still as it was.
    pub(super) async fn still_holds(&self, session: &Session) -> Result<bool, AppError> {
        let pins = pinned(session);
        self.store()
            .read(move |tx| Box::pin(async move { tx.revisions_hold(&pins).await.map_err(AppError::from) }))
            .await
    }

    /// What somebody approved has to be approved again as it is now; what needed nobody's approval fails.
    pub(super) async fn changed_meanwhile(&self, session: &Session) -> Result<Halt, AppError> {
        if self.ask_again(session.id).await? {
            return Ok(Halt::Moved);
        }
        let sentence = "The policy, activity, profile or resource was changed after the request: request it again";
        Ok(give_up("changed_meanwhile", sentence))
    }

    /// Saves grants that were placed, and tells of them.
    pub(super) async fn write_done(&self, tx: &mut Tx, session: &Session, done: &[Done]) -> Result<(), AppError> {
        let grants: Vec<_> = done.iter().map(|done| done.grant.clone()).collect();
        tx.save_grants(&grants).await?;
        self.announce_grants(tx, session, &grants);
        self.tell_done(tx, session, done).await
    }

    async fn tell_done(&self, tx: &mut Tx, session: &Session, done: &[Done]) -> Result<(), AppError> {
        let now = self.0.clock.now();
        for done in done {
            let note = Note {
                level: done.level,
                stage: done.grant.stage,
                message: done.message.clone(),
                detail: json!({ "grant": done.grant.id, "read_back": done.read_back }),
            };
            self.write_note(tx, &drive()?, session, note, now).await?;
            if let Some(warning) = &done.warning {
                tx.append_log(session.id, now, LogLevel::Warn, done.grant.stage, warning).await?;
            }
        }
        Ok(())
    }

    /// Tells browsers which step it is at; the store hears of it with the next unit.
    fn announce_step(&self, session: &mut Session, grants: &[Grant], at: usize) {
        session.progress = Some(progress(grants, at));
        self.publish_session(session);
    }

    pub(super) async fn place(&self, grant: &Grant, frame: Frame) -> Result<Placed, ConnectorError> {
        let mut answer = self.place_once(grant, frame).await;
        for _ in 1..TRIES {
            if !matches!(answer, Err(ConnectorError::Unknown(_))) {
                break;
            }
            let again = self.place_once(grant, frame).await;
            if matches!(again, Err(ConnectorError::Superseded { .. })) {
                // That says nothing of the try before.
                break;
            }
            answer = again;
        }
        answer
    }

    /// Nothing is placed that the host may end in the same moment: what came behind the dead man's switch would stay for ever if
    /// Cardea did not come back. A process that was stopped for long finds itself here.
    async fn place_once(&self, grant: &Grant, frame: Frame) -> Result<Placed, ConnectorError> {
        if grant.expires_at.is_some_and(|end| end.since(self.0.clock.now()) < PLACE_BEFORE) {
            return Err(ConnectorError::Refused("it took so long that the host will end it by itself".to_owned()));
        }
        self.0.linux.place(&grant.target, frame, &order(grant)).await
    }

    /// A step of an open session that the host refused untouched, because somebody logged in or made the session longer meanwhile: it
    /// is begun anew under the session's next claim. Nothing is put off for a fence that somebody wrote on the host.
    pub(super) async fn put_off(&self, session: &Session, grant: &Grant) -> Result<(), Halt> {
        if !self.is_outrun(session).await? {
            return Ok(());
        }
        let planned = Grant {
            state: GrantState::Planned,
            mark: grant.id,
            token: self.ownership_token(grant.id),
            expires_at: None,
            ..grant.clone()
        };
        let (app, session) = (self.clone(), session.clone());
        let put_off = self.store().write(move |tx| {
            Box::pin(async move {
                Self::still(tx, session.id, &[planned.id], &[GrantState::Placing]).await?;
                tx.save_grant(&planned).await?;
                app.announce_grants(tx, &session, std::slice::from_ref(&planned));
                Ok::<_, AppError>(())
            })
        });
        put_off.await?;
        Err(Halt::Stop(Stop::Overtaken))
    }

    /// Whether the session has a newer fence than the one that is worked under.
    async fn is_outrun(&self, session: &Session) -> Result<bool, AppError> {
        let id = session.id;
        let read = self.store().read(move |tx| Box::pin(async move { tx.session(id).await.map_err(AppError::from) }));
        Ok(read.await?.is_some_and(|now| now.fence > session.fence))
    }

    /// Before a session gives root: what the host looks like, to be compared when it is over.
    async fn keep_snapshot(&self, session: &Session, grants: &[Grant]) -> Result<(), Halt> {
        let Some(first) = grants.iter().find(|grant| grant.privilege.gives_root()) else { return Ok(()) };
        if !grants.iter().all(is_untouched) {
            return Ok(());
        }
        let (app, session) = (self.clone(), session.clone());
        match self.0.linux.snapshot(&first.target, Depth::Quick).await {
            Ok(snapshot) => {
                let kept = self.store().write(move |tx| {
                    Box::pin(async move { tx.insert_snapshot(session.id, &snapshot).await.map_err(AppError::from) })
                });
                kept.await?;
            }
            Err(error) => {
                let now = app.0.clock.now();
                let message = format!("Could not look at what the person could change as root: {error}");
                let logged = self.store().write(move |tx| {
                    Box::pin(async move {
                        let logged = tx.append_log(session.id, now, LogLevel::Warn, Stage::PreSession, &message).await;
                        logged.map_err(AppError::from)
                    })
                });
                logged.await?;
            }
        }
        Ok(())
    }

    /// Everything is in place: the session starts. One without a log-in ends when what it still has to do is done.
    /// Who logs in to it is asked of its host from now on. Where nothing was placed, what it was judged by must be as it was.
    async fn finish(&self, session: &Session, grants: &[Grant], done: Vec<Done>) -> Result<(), Halt> {
        let is_more = !session.rules.has_login || grants.iter().any(is_open_step);
        let is_first = grants.iter().all(is_untouched);
        // An account of the user's own is there without any grant.
        let watched = if session.rules.has_login { Some(self.target_of_session(session, grants).await?) } else { None };
        let (host, interval) = (watched.clone(), session.rules.monitor_interval.get());
        let (app, asked, mut session) = (self.clone(), session, session.clone());
        let finished = self.store().write(move |tx| {
            Box::pin(async move {
                let now = app.0.clock.now();
                let poll_at = now.plus(interval);
                // Sessions of one host would wait for each other's commits: its row is written only if it has to be.
                let unpolled = match host {
                    Some(target) if !tx.is_polled(&host_of(&target), poll_at).await? => Some(target),
                    _ => None,
                };
                app.write_done(tx, &session, &done).await?;
                if is_first {
                    let pins = pinned(&session);
                    tx.save_session_while(&drive()?, &mut session, &pins).await?;
                }
                let took = session.wake_at.map_or(Duration::ZERO, |due| now.since(due)).as_millis();
                if let Some(lock) = app.lock_of_whole(&session).filter(|_| session.lock.is_none()) {
                    session.lock(lock, now)?;
                }
                session.provisioned(now, app.hours_close(&session, now))?;
                if is_more {
                    session.wake_at = Some(now);
                }
                let message = match session.account.name.as_str() {
                    "" => format!("Ready after {took} ms"),
                    name => format!("Available as {name} after {took} ms"),
                };
                app.save_session(tx, &drive()?, &mut session, Note::info(Stage::PreSession, message)).await?;
                if is_more {
                    let waker = app.clone();
                    tx.after_commit(Box::new(move || waker.nudge()));
                }
                if let Some(target) = unpolled {
                    app.poll_by(tx, &target, poll_at).await?;
                }
                Ok::<_, AppError>(())
            })
        });
        match finished.await {
            Err(AppError::Conflict) if is_first && !self.still_holds(asked).await? => {
                return Err(self.changed_meanwhile(asked).await?);
            }
            finished => finished?,
        }
        // What said meanwhile that nobody stands there could not know of this session.
        if let Some(target) = watched.filter(|_| self.store().is_shared()) {
            self.keep_polled(&target, interval).await?;
        }
        Ok(())
    }

    /// These grants were never placed and never will be.
    pub(super) async fn forget(&self, session: &Session, grants: Vec<Grant>) -> Result<(), Stop> {
        let (app, session) = (self.clone(), session.clone());
        let forgotten =
            self.store().write(move |tx| Box::pin(async move { app.forget_in(tx, &session, grants).await }));
        Ok(forgotten.await?)
    }

    async fn forget_in(&self, tx: &mut Tx, session: &Session, mut grants: Vec<Grant>) -> Result<(), AppError> {
        if grants.is_empty() {
            return Ok(());
        }
        let now = self.0.clock.now();
        for grant in grants.iter_mut().filter(|grant| grant.state == GrantState::Placing) {
            never_placed(grant, now);
        }
        let ids: Vec<_> = grants.iter().map(|grant| grant.id).collect();
        Self::still(tx, session.id, &ids, &[GrantState::Planned, GrantState::Placing]).await?;
        tx.save_grants(&grants).await?;
        self.announce_grants(tx, session, &grants);
        Ok(())
    }

    /// A step failed: the session says why, and what was placed is taken away at once. `untouched` never was.
    async fn give_up(&self, mut session: Session, reason: Reason, untouched: Vec<Grant>) -> Result<(), Stop> {
        let app = self.clone();
        let given_up = self.store().write(move |tx| {
            Box::pin(async move {
                app.forget_in(tx, &session, untouched).await?;
                let message = reason.detail.clone();
                session.failed(reason, app.0.clock.now())?;
                app.remove_all(tx, &session).await?;
                app.save_session(tx, &drive()?, &mut session, Note::error(Stage::PreSession, message)).await?;
                Ok::<_, AppError>(session)
            })
        });
        self.clean_up(&given_up.await?).await
    }

    /// Lets a session go for a while; one that stands on its resource not for longer than until something is due for it.
    pub(super) async fn put_off_for(&self, id: SessionId, pause: Duration) -> Result<(), Stop> {
        let at = self.0.clock.now().plus(pause);
        let put_off = self.retried(|| {
            let node = self.0.node.clone();
            self.store().write(move |tx| {
                Box::pin(async move {
                    let mut session = tx.session(id).await?.ok_or(AppError::NotFound)?;
                    if session.claim.as_ref().is_none_or(|claim| claim.node != node) {
                        // It was ended, or another node took it up meanwhile.
                        return Ok(());
                    }
                    session.put_off(at);
                    tx.save_session(&drive()?, &mut session).await.map_err(AppError::from)
                })
            })
        });
        Ok(put_off.await?)
    }

    pub(super) fn frame(&self, session: &Session) -> Frame {
        Frame { session: session.id, fence: session.fence, limit: STEP_LIMIT }
    }
}

/// What the request was judged by.
pub(super) fn pinned(session: &Session) -> [Revision; 4] {
    [session.pins.policy, session.pins.activity, session.pins.profile, session.pins.resource]
}

fn never_placed(grant: &mut Grant, now: Timestamp) {
    grant.state = GrantState::Removed;
    grant.removed_at = Some(now);
    grant.scanned_at = Some(now);
}

/// Whether nothing was done for it yet. One that was found there in an earlier try says nothing about this one.
pub(super) fn is_untouched(grant: &Grant) -> bool {
    matches!(grant.state, GrantState::Planned | GrantState::Preexisting)
}

/// Notes what was there before these grants, and when the host ends them by itself.
fn bound(session: &Session, grants: &mut [Grant], due: &[usize], before: &[Option<Observation>], now: Timestamp) {
    // What the switch does not outlast it cannot end.
    let switch = grants.iter().find(|grant| grant.privilege.kind() == "dead_man" && grant.state == GrantState::Placed);
    let bound = switch.and_then(|switch| switch.expires_at);
    // What is placed in an open session lasts as long as that, also where it was extended meanwhile.
    let whole = session.start_at.unwrap_or(now).plus(session.duration.get());
    // Also where the policy's hours end it sooner: they may be changed.
    let end = session.end_at.map_or(whole, |end| end.max(whole));
    let expires_at = end.plus(Session::EXPIRY_MARGIN);
    for at in due {
        let grant = &mut grants[*at];
        grant.before = grant.before.take().or_else(|| before[*at].clone());
        grant.expires_at = Some(bound.map_or(expires_at, |bound| bound.min(expires_at)));
    }
}

/// What came of writing down that grants are about to be placed.
enum Begun {
    Yes(Box<Session>, Vec<Grant>, Option<Box<Grant>>),
    /// Another session is giving back what this one wants.
    Later,
    /// Another session is giving it back, and cannot.
    Never(usize),
    /// Somebody's own thing of the same name is there.
    Collision(usize, String),
}

/// A grant that was just placed, and what the log says about it; written with the next step.
#[derive(Clone)]
pub(super) struct Done {
    pub(super) grant: Grant,
    pub(super) level: LogLevel,
    pub(super) message: String,
    pub(super) read_back: String,
    pub(super) warning: Option<String>,
}

fn placed(grant: &mut Grant, placed: Placed, now: Timestamp) -> Done {
    grant.state = GrantState::Placed;
    grant.placed_at = Some(now);
    Done {
        message: format!("Added {}", grant.privilege.describe()),
        level: LogLevel::Info,
        read_back: placed.read_back,
        warning: placed.warning,
        grant: grant.clone(),
    }
}

/// Whether it is to be placed before the session is available, and is not yet.
fn is_due(grant: &Grant) -> bool {
    // One that failed and was gone on without is not tried again.
    let is_left = grant.continue_on_error && grant.last_error.is_some();
    let is_open = grant.state == GrantState::Planned || grant.state == GrantState::Placing && !is_left;
    grant.stage == Stage::PreSession && is_open
}

/// Whether a step of an open session came too late for its host. Before that nobody else has fences of it.
pub(super) fn is_refused_as_old<T>(stage: Stage, answer: &Result<T, ConnectorError>) -> bool {
    stage == Stage::Session && matches!(answer, Err(ConnectorError::Superseded { .. }))
}

pub(super) fn is_script(grant: &Grant) -> bool {
    grant.privilege.is_unproven()
}

fn progress(grants: &[Grant], at: usize) -> Progress {
    let ahead = grants.iter().filter(|grant| grant.stage == Stage::PreSession);
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let (step, of) = (number(at + 1), number(ahead.count().max(at + 1)));
    Progress { step, of, text: format!("adding {}", grants[at].privilege.describe()) }
}

pub(super) fn give_up(code: &str, detail: &str) -> Halt {
    Halt::GiveUp(Reason::new(code, detail))
}

pub(super) fn reason_of(what: &str, error: &ConnectorError) -> Reason {
    Reason::new(error.code(), format!("Failed at {what}: {error}"))
}
