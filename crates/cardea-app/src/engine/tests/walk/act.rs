//! What each action does. What nobody may do is tried as well, and must be refused.

use cardea_domain::{Credential, LockScope};

use super::{action::LATEST, world::*, *};
use crate::{Approve, LockMessage};

impl Walk {
    pub(super) async fn act(&mut self, action: Action) -> Result<(), Fault> {
        if self.app.is_none() {
            self.start().await?;
        }
        match action {
            Action::Request { .. } => self.request(action).await?,
            Action::Join { session } => self.join(session),
            Action::Extend { by, session, minutes } => self.extend(by, session, minutes),
            Action::Leave { connection } => {
                if !self.held.is_empty() {
                    let held = self.held.swap_remove(usize::from(connection) % self.held.len());
                    let closed = ClosedConnection { connection: held.lease.connection, reason: "client" };
                    self.app().closed(closed).await;
                }
            }
            Action::Change { what } => self.change(what % CHANGES).await?,
            Action::Wait { seconds } => self.wait(Duration::from_secs(u64::from(seconds))).await?,
            Action::Flow { calls } => self.flow(usize::from(calls)).await?,
            Action::Step { call, fate } => {
                let calls = self.calls();
                if !calls.is_empty() {
                    let waiting = &calls[usize::from(call) % calls.len()];
                    self.step(waiting, fate_of(fate)).await?;
                }
            }
            Action::Away { host } => {
                let away = &mut self.away[usize::from(host) % 2];
                *away = !*away;
            }
            Action::Crash { seconds } => {
                self.crash().await?;
                self.clock.advance(Duration::from_secs(u64::from(seconds)));
                self.target_time();
                self.start().await?;
            }
            _ => {
                if let Some(index) = self.index(session_of(action)) {
                    self.decide(action, index).await?;
                }
            }
        }
        self.settle().await
    }

    fn index(&self, session: u8) -> Option<usize> {
        let last = self.sessions.len().checked_sub(1)?;
        Some(if session >= LATEST { last } else { usize::from(session) % (last + 1) })
    }

    /// One of the people, or the operator.
    fn actor(&self, by: u8) -> Actor {
        let by = usize::from(by) % (PEOPLE.len() + 1);
        let Some(name) = PEOPLE.get(by) else { return OPERATOR };
        let app = self.app();
        let configuration = app.configuration();
        let user = configuration.find(Kind::User, name).expect("they are there");
        actor_of(&configuration, user, Via::Key).expect("a user")
    }

    async fn request(&mut self, action: Action) -> Result<(), Fault> {
        let Action::Request { user, activity, resources, policy, start, key } = action else { return Ok(()) };
        if self.sessions.len() >= SESSIONS_MAX {
            return Ok(());
        }
        let pick = |of: &[&str], which: u8| of[usize::from(which) % of.len()].to_owned();
        let resources: &[&str] = [&HOSTS[..1], &HOSTS[1..], &HOSTS[..1], &HOSTS[..]][usize::from(resources) % 4];
        let ahead = [0, 0, 0, 0, 40, 1800, 7200][usize::from(start) % 7];
        let user = user % 3;
        let request = NewRequest {
            activity: pick(&ACTIVITIES, activity),
            resources: resources.iter().map(|name| (*name).to_owned()).collect(),
            policy: Some(pick(&POLICIES, policy)),
            start_at: (ahead > 0).then(|| self.clock.now().plus(Duration::from_secs(ahead))),
            idempotency_key: key.is_multiple_of(4).then(|| format!("key {}", key % 8)),
            ..NewRequest::default()
        };
        let created = self.app().create_sessions(&self.actor(user), request.clone()).await;
        let known = request.idempotency_key.as_ref().and_then(|_| self.keys.get(&(user, key % 8))).cloned();
        match (created, known) {
            (Ok(created), Some((before, id))) if created.iter().any(|one| one.session.request != id) => {
                Err(format!("a second request came of one key: {before:?} and {request:?}"))
            }
            (Ok(created), Some((before, _))) if said(&before) != said(&request) => {
                Err(format!("another request was answered by {}: {before:?}", created[0].session.request))
            }
            (Ok(_), Some(_)) => Ok(()),
            (Ok(created), None) => {
                if request.idempotency_key.is_some() {
                    self.keys.insert((user, key % 8), (request, created[0].session.request));
                }
                let known = |detail: &SessionDetail| Known {
                    id: detail.session.id,
                    user,
                    fence: 0,
                    ended: None,
                    has_touched: false,
                    end_max: None,
                };
                self.sessions.extend(created.iter().map(known));
                Ok(())
            }
            (Err(AppError::Invalid(_) | AppError::Refused { .. } | AppError::Denied(_)), _) => Ok(()),
            (Err(error), _) => Err(format!("a request failed: {error}")),
        }
    }

    /// The gateway lets somebody in. It may have to place its key first.
    fn join(&mut self, session: u8) {
        let Some(index) = self.index(session).filter(|index| !self.is_acting(*index)) else { return };
        let known = &self.sessions[index];
        let name = PEOPLE[usize::from(known.user)];
        let app = self.app();
        let user = app.configuration().find(Kind::User, name).expect("they are there").id;
        let admission = Admission {
            session: known.id,
            user,
            user_name: name.to_owned(),
            credential: Credential::Key(key_of(known.user).to_owned()),
            peer: ([192, 0, 2, 9], 4000).into(),
        };
        // Each gateway process has a key of its own.
        let key = KEY.replace("Xg9z", &format!("Xg{}z", char::from(b'A' + self.starts % 26)));
        let task = self.actors.spawn(async move {
            match app.join(&admission, &key).await {
                Ok(lease) => Outcome::Joined(index, lease),
                Err(_) => Outcome::Refused,
            }
        });
        self.acting.insert(task.id(), index);
    }

    fn extend(&mut self, by: u8, session: u8, minutes: u8) {
        let Some(index) = self.index(session).filter(|index| !self.is_acting(*index)) else { return };
        let (app, actor, id) =
            (self.app(), self.actor(if by & 1 == 0 { self.sessions[index].user } else { by }), self.sessions[index].id);
        let by = (!minutes.is_multiple_of(3)).then(|| Duration::from_secs(60 * u64::from(minutes % 30)));
        let task = self.actors.spawn(async move {
            app.extend_session(&actor, id, by).await.map_or(Outcome::Refused, |_| Outcome::Extended)
        });
        self.acting.insert(task.id(), index);
    }

    /// Whether somebody is about this session already: they would wait for each other, which looks like a standstill.
    fn is_acting(&self, index: usize) -> bool {
        self.acting.values().any(|other| *other == index)
    }

    async fn change(&mut self, what: u8) -> Result<(), Fault> {
        let is_changed = &mut self.changed[usize::from(what)];
        *is_changed = !*is_changed;
        let document = change(what, *is_changed);
        let applied = self.app().apply(&OPERATOR, vec![document], crate::ApplyOptions::default()).await;
        applied.map(drop).map_err(|error| format!("a change was refused: {error}"))
    }

    /// What somebody decides about one session.
    async fn decide(&mut self, action: Action, index: usize) -> Result<(), Fault> {
        let (app, id, user) = (self.app(), self.sessions[index].id, self.sessions[index].user);
        let decided = match action {
            Action::End { by, .. } => {
                let actor = self.actor(by);
                let ended = app.end_session(&actor, id, None).await;
                if let Ok(detail) = &ended {
                    self.may_end(&actor, &detail.session)?;
                    self.sessions[index].ended = Some(match by % 5 {
                        by if by == user => "ended_by_user",
                        4 => "ended_by_operator",
                        _ => "ended_by_administrator",
                    });
                }
                ended.map(drop)
            }
            Action::Retry { by, .. } => {
                let retried = app.retry_session(&self.actor(by), id).await;
                if let Ok(detail) = &retried {
                    let known = &mut self.sessions[index];
                    (known.ended, known.has_touched, known.end_max) = (None, false, None);
                    if detail.grants.iter().any(|grant| grant.state.is_out()) {
                        return Err(format!("it was begun again while something is out: {detail:#?}"));
                    }
                }
                retried.map(drop)
            }
            Action::Dismiss { by, .. } => app.dismiss_session(&self.actor(by), id).await.map(drop),
            Action::Approve { by, condition, .. } => self.approve(by, index, condition).await?,
            Action::Deny { by, .. } => {
                let (id, user) = self.waiting().await?.unwrap_or((id, user));
                let denied = app.deny_session(&self.actor(by), id, "not today").await;
                if denied.is_ok() && by % 5 == user {
                    return Err("somebody denied their own request".to_owned());
                }
                denied.map(drop)
            }
            Action::Lock { scope, by, .. } => {
                let message = LockMessage { title: "Incident".to_owned(), text: String::new() };
                let scope = [LockScope::Session, LockScope::Session, LockScope::User, LockScope::Resource]
                    [usize::from(scope) % 4];
                let actor = if by & 3 == 0 { self.actor(2) } else { OPERATOR };
                app.lock_session(&actor, id, scope, message).await.map(drop)
            }
            Action::Unlock { scope, .. } => match scope % 3 {
                0 => app.unlock_session(&OPERATOR, id, None).await.map(drop),
                scope => {
                    let session = self.read_session(id).await?;
                    app.unlock_object(&OPERATOR, if scope == 1 { session.user } else { session.resource }).await
                }
            },
            Action::TryNow { .. } => {
                let grants = self.read_grants(id).await?;
                match grants.iter().find(|grant| grant.state == GrantState::Removing) {
                    Some(grant) => app.try_removal(&OPERATOR, grant.id).await.map(drop),
                    None => Ok(()),
                }
            }
            Action::ForgeFence { .. } => {
                let seen = self.read_session(id).await?.fence + 1000;
                self.target.forge_fence(id, seen);
                Ok(())
            }
            other => Err(AppError::Internal(format!("{other:?} is about no session"))),
        };
        match decided {
            Ok(())
            | Err(AppError::Refused { .. } | AppError::Denied(_) | AppError::NotFound | AppError::Invalid(_)) => Ok(()),
            Err(error) => Err(format!("it failed: {error}")),
        }
    }

    /// The first session that waits for approval, and whose it is: few do, and a no to any other changes nothing.
    async fn waiting(&self) -> Result<Option<(SessionId, u8)>, Fault> {
        for known in &self.sessions {
            if self.read_session(known.id).await?.is_waiting().is_ok() {
                return Ok(Some((known.id, known.user)));
            }
        }
        Ok(None)
    }

    async fn approve(&self, by: u8, index: usize, condition: u8) -> Result<Result<(), AppError>, Fault> {
        let known = &self.sessions[index];
        let approve = Approve {
            reason: "why not".to_owned(),
            duration: (condition % 4 == 1).then(|| "20m".parse().expect("a period")),
            start_at: (condition % 4 == 2).then(|| self.clock.now().plus(Duration::from_secs(900))),
        };
        let approved = self.app().approve_session(&self.actor(by), known.id, approve).await;
        if approved.is_ok() && (by % 5 == known.user || by % 5 == 4) {
            return Err("somebody approved who may not".to_owned());
        }
        Ok(approved.map(drop))
    }

    fn may_end(&self, actor: &Actor, session: &cardea_domain::Session) -> Result<(), Fault> {
        let may = actor.user_id() == Some(session.user)
            || matches!(actor, Actor::Operator { .. })
            || actor.has(&cardea_domain::Role::Administrator);
        if may { Ok(()) } else { Err(format!("{actor} ended a session of {}", session.user_name)) }
    }
}

fn said(request: &NewRequest) -> (&String, &Vec<String>, &Option<String>, Option<Timestamp>) {
    (&request.activity, &request.resources, &request.policy, request.start_at)
}

fn session_of(action: Action) -> u8 {
    match action {
        Action::End { session, .. }
        | Action::Extend { session, .. }
        | Action::Retry { session, .. }
        | Action::Dismiss { session, .. }
        | Action::Approve { session, .. }
        | Action::Deny { session, .. }
        | Action::Lock { session, .. }
        | Action::Unlock { session, .. }
        | Action::Join { session }
        | Action::TryNow { session }
        | Action::ForgeFence { session } => session,
        _ => 0,
    }
}

fn fate_of(fate: Fated) -> Fate {
    match fate {
        Fated::Well => Fate::Well,
        Fated::Done => Fate::Done,
        Fated::Cut => Fate::Cut,
        Fated::Late => Fate::Late,
        Fated::Lost => Fate::Fails(ConnectorError::Unknown("cut".to_owned())),
        Fated::Unreachable => Fate::Fails(ConnectorError::Unreachable("no route to host".to_owned())),
        Fated::Refused => Fate::Fails(ConnectorError::Refused("disk full".to_owned())),
        Fated::Tampered => Fate::Fails(ConnectorError::Tampered("the mark is gone".to_owned())),
        Fated::LoginRefused => Fate::Fails(ConnectorError::LoginRefused("password".to_owned())),
    }
}
