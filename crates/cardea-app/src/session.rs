//! Sessions as people use them: look, end, dismiss.

use std::collections::{BTreeSet, HashMap};

use cardea_domain::{
    Actor, Approval, Denial, EndCause, Grant, GrantState, LogLine, ObjectId, Permission, Permit, Reach, RequestId,
    Scope, Session, SessionId, Stage, Status, Timestamp, Verb, is_unprintable,
};
use cardea_store::{Area, Connection, Cursor, SessionFilter, SortKey, Tx, View, Whose};

use crate::{App, AppError, change::Note};

/// Which sessions, in which order.
#[derive(Clone, Debug)]
pub struct SessionQuery {
    pub view: View,
    /// Only the actor's own, also for those who may see all.
    pub mine: bool,
    /// Substring of any visible text.
    pub q: String,
    /// Substring of the resource's name.
    pub resource: String,
    pub statuses: Vec<Status>,
    /// Requested then or later.
    pub requested_from: Option<Timestamp>,
    /// Requested before that.
    pub requested_before: Option<Timestamp>,
    pub sort: SortKey,
    pub descending: bool,
    /// 1 to [`SessionQuery::LIMIT_MAX`].
    pub limit: u32,
    pub cursor: Option<String>,
    /// Only those of this request, whatever their view, oldest first.
    pub request: Option<RequestId>,
}

impl SessionQuery {
    /// The longest page.
    pub const LIMIT_MAX: u32 = 1000;
}

/// A session with its part of the ledger and what its approvers said.
#[derive(Clone, Debug)]
pub struct SessionDetail {
    pub session: Session,
    pub grants: Vec<Grant>,
    pub approvals: Vec<Approval>,
}

/// A part of a list, and what to ask for to get the next.
#[derive(Clone, Debug)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

const REASON_MAX: usize = 1000;
const LOG_LINES_MAX: u32 = 10_000;

impl App {
    /// Sessions that the actor may see.
    pub async fn sessions(&self, actor: &Actor, query: SessionQuery) -> Result<Page<SessionDetail>, AppError> {
        if let Some(request) = query.request {
            return self.sessions_of(actor, request).await;
        }
        let configuration = self.configuration();
        let decides = (query.view == View::Approvals).then(|| actor.user_id()).flatten();
        let whose = match actor.user_id() {
            Some(user) if decides.is_some() => Whose::Others(user),
            _ if query.mine => Whose::User(actor.user_id().ok_or(AppError::NotFound)?),
            _ => whose(actor)?,
        };
        let is_rough = matches!(&whose, Whose::Within(..));
        let reach = actor.clone();
        let limit = query.limit.clamp(1, SessionQuery::LIMIT_MAX);
        let filter = SessionFilter {
            view: query.view,
            whose,
            approves: decides.map(|user| configuration.approves(user)),
            q: query.q,
            resource: query.resource,
            statuses: query.statuses,
            requested_from: query.requested_from,
            requested_before: query.requested_before,
            sort: query.sort,
            descending: query.descending,
            limit: limit + 1,
            cursor: query.cursor.as_deref().map(Cursor::decode).transpose()?,
        };
        let read = self.0.store.read(move |tx| {
            Box::pin(async move {
                let mut sessions = tx.sessions(&filter).await?;
                let more = sessions.len() > limit as usize;
                sessions.truncate(limit as usize);
                let last = sessions.last().filter(|_| more);
                let next = last.map(|last| Cursor::after(last, query.sort, query.descending).encode());
                if is_rough {
                    sessions.retain(|session| Permit::for_session(&reach, Verb::SeeSession, session).is_ok());
                }
                Ok::<_, AppError>(Page { items: details(tx, sessions).await?, next })
            })
        });
        read.await
    }

    /// The sessions of one request that the actor may see: what became of each.
    async fn sessions_of(&self, actor: &Actor, request: RequestId) -> Result<Page<SessionDetail>, AppError> {
        let (actor, configuration) = (actor.clone(), self.configuration());
        let read = self.0.store.read(move |tx| {
            Box::pin(async move {
                let mut sessions = tx.sessions_of_request(request).await?;
                sessions.retain(|session| Permit::to_see(&actor, session, &configuration).is_ok());
                details(tx, sessions).await
            })
        });
        Ok(Page { items: read.await?, next: None })
    }

    /// One session that the actor may see.
    pub async fn session(&self, actor: &Actor, id: SessionId) -> Result<SessionDetail, AppError> {
        let (app, actor) = (self.clone(), actor.clone());
        self.0
            .store
            .read(move |tx| {
                Box::pin(async move {
                    let session = app.visible(tx, &actor, id).await?;
                    detail(tx, session).await
                })
            })
            .await
    }

    /// The session, if the actor may see it.
    pub(crate) async fn visible(&self, tx: &mut Tx, actor: &Actor, id: SessionId) -> Result<Session, AppError> {
        let session = tx.session(id).await?.ok_or(AppError::NotFound)?;
        Permit::to_see(actor, &session, &self.configuration())?;
        Ok(session)
    }

    /// Ends a session: connections are cut and everything that it placed is taken away.
    pub async fn end_session(
        &self,
        actor: &Actor,
        id: SessionId,
        reason: Option<String>,
    ) -> Result<SessionDetail, AppError> {
        if let Some(reason) = &reason {
            check_reason(reason)?;
        }
        let ended = self.retried(|| self.end_once(actor, id, reason.clone())).await;
        if let Err(error @ (AppError::Denied(_) | AppError::Refused { .. })) = &ended {
            self.refused(actor, Verb::EndSession, id.to_string(), error).await;
        }
        ended
    }

    async fn end_once(&self, actor: &Actor, id: SessionId, reason: Option<String>) -> Result<SessionDetail, AppError> {
        let (app, actor) = (self.clone(), actor.clone());
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let found = tx.session_with_approvals(id).await?;
                    let (mut session, approvals) = found.ok_or(AppError::NotFound)?;
                    Permit::to_see(&actor, &session, &app.configuration())?;
                    let permit = permit(&actor, Verb::EndSession, &session)?;
                    let grants = app.end(tx, &permit, &mut session, &EndCause::By { actor, reason }).await?;
                    Ok::<_, AppError>(SessionDetail { session, grants, approvals })
                })
            })
            .await
    }

    /// The one way that an open session ends, whoever ends it: state, ledger, log, connections. Its grants afterwards.
    pub(crate) async fn end(
        &self,
        tx: &mut Tx,
        permit: &Permit,
        session: &mut Session,
        cause: &EndCause,
    ) -> Result<Vec<Grant>, AppError> {
        let waited = session.is_waiting().is_ok();
        let was_entered = matches!(session.status, Status::LoggedIn | Status::Locked);
        session.end(cause, self.0.clock.now())?;
        if was_entered {
            tx.close_direct_log_ins(session.id, self.0.clock.now(), "session_ended").await?;
        }
        let grants = self.never_begun(tx, session).await?;
        let hand = self.take_in_hand(session);
        let sentence = session.reason.as_ref().map(|reason| reason.detail.clone()).unwrap_or_default();
        self.save_session(tx, permit, session, Note::info(Stage::Session, sentence.clone())).await?;
        if waited {
            self.announce_approval(tx, session, None);
        }
        self.hand_over(tx, hand, session, &grants);
        let (app, id) = (self.clone(), session.id);
        tx.after_commit(Box::new(move || app.0.doors.close(id, &sentence)));
        Ok(grants)
    }

    /// Turns every grant of the session towards removal. What was never begun is done with, but for what comes after a session.
    /// All of them afterwards.
    pub(crate) async fn remove_all(&self, tx: &mut Tx, session: &Session) -> Result<Vec<Grant>, AppError> {
        let now = self.0.clock.now();
        let mut grants = tx.grants_of(session.id).await?;
        let mut changed = Vec::new();
        for grant in &mut grants {
            match grant.state {
                GrantState::Placing | GrantState::Placed => grant.state = GrantState::Removing,
                // Its turn comes when everything else is gone.
                GrantState::Planned if grant.stage == Stage::PostSession && session.start_at.is_some() => continue,
                GrantState::Planned => {
                    grant.state = GrantState::Removed;
                    grant.removed_at = Some(now);
                    grant.scanned_at = Some(now);
                    if let Some(secret) = grant.privilege.secret() {
                        tx.delete_secret(secret).await?;
                    }
                }
                GrantState::Removing | GrantState::Removed | GrantState::Preexisting => continue,
            }
            changed.push(grant.clone());
        }
        tx.save_grants(&changed).await?;
        self.announce_grants(tx, session, &changed);
        Ok(grants)
    }

    /// As [`App::remove_all`], for a session that may be called over and clean already, because it never began. Whatever it is
    /// called: while anything of it is out, it is cleaned up.
    pub(crate) async fn never_begun(&self, tx: &mut Tx, session: &mut Session) -> Result<Vec<Grant>, AppError> {
        let grants = self.remove_all(tx, session).await?;
        if session.clean && grants.iter().any(|grant| grant.state.is_out()) {
            session.reopen(self.0.clock.now());
        }
        if session.clean {
            // Of a time when it was about to begin: a look at its host may have come back after it had to wait again.
            tx.delete_snapshot(session.id).await?;
        }
        Ok(grants)
    }

    /// Takes a failed session off the list.
    pub async fn dismiss_session(&self, actor: &Actor, id: SessionId) -> Result<SessionDetail, AppError> {
        let dismissed = self.retried(|| self.dismiss_once(actor, id)).await;
        if let Err(error @ (AppError::Denied(_) | AppError::Refused { .. })) = &dismissed {
            self.refused(actor, Verb::DismissSession, id.to_string(), error).await;
        }
        dismissed
    }

    async fn dismiss_once(&self, actor: &Actor, id: SessionId) -> Result<SessionDetail, AppError> {
        let (app, actor) = (self.clone(), actor.clone());
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let mut session = app.visible(tx, &actor, id).await?;
                    let permit = permit(&actor, Verb::DismissSession, &session)?;
                    session.dismiss()?;
                    let note = Note::info(Stage::PostSession, format!("Dismissed by {actor}"));
                    app.save_session(tx, &permit, &mut session, note).await?;
                    detail(tx, session).await
                })
            })
            .await
    }

    /// The session's action log, oldest line first.
    pub async fn session_log(&self, actor: &Actor, id: SessionId) -> Result<Vec<LogLine>, AppError> {
        let (app, actor) = (self.clone(), actor.clone());
        self.0
            .store
            .read(move |tx| {
                Box::pin(async move {
                    app.visible(tx, &actor, id).await?;
                    Ok(tx.log(id, 0, LOG_LINES_MAX).await?)
                })
            })
            .await
    }

    /// The session's connections through the gateway, oldest first.
    pub async fn connections(&self, actor: &Actor, id: SessionId) -> Result<Vec<Connection>, AppError> {
        let (app, actor) = (self.clone(), actor.clone());
        self.0
            .store
            .read(move |tx| {
                Box::pin(async move {
                    app.visible(tx, &actor, id).await?;
                    Ok(tx.connections_of(id).await?)
                })
            })
            .await
    }

    /// Repeats a unit that lost a race with another writer of the same session; each time it reads anew.
    pub(crate) async fn retried<T, F>(&self, unit: impl Fn() -> F) -> Result<T, AppError>
    where
        F: Future<Output = Result<T, AppError>>,
    {
        const TRIES: usize = 8;
        for _ in 1..TRIES {
            match unit().await {
                Err(AppError::Conflict) => {}
                other => return other,
            }
        }
        unit().await
    }
}

/// Whose sessions the actor sees in lists. Of several scopes it is what any of their lists has, which may be too much together.
pub(crate) fn whose(actor: &Actor) -> Result<Whose, AppError> {
    let scopes = match (actor.reach(Permission::SessionsSeeAll), actor.user_id()) {
        (Reach::Everywhere, _) => return Ok(Whose::Everybody),
        (_, None) => return Err(AppError::NotFound),
        (Reach::Nowhere, Some(user)) => return Ok(Whose::User(user)),
        (Reach::Within(scopes), Some(_)) => scopes,
    };
    let user = actor.user_id().ok_or(AppError::NotFound)?;
    let list = |of: fn(&Scope) -> &Option<BTreeSet<ObjectId>>| {
        let lists: Option<Vec<_>> = scopes.iter().map(|scope| of(scope).as_ref()).collect();
        let all: Option<BTreeSet<_>> = lists.map(|lists| lists.into_iter().flatten().copied().collect());
        all.map(|all| all.into_iter().collect())
    };
    let area = Area { users: list(|s| &s.users), policies: list(|s| &s.policies), resources: list(|s| &s.resources) };
    Ok(Whose::Within(user, area))
}

/// Asks for something about a session that the actor was shown before: a no hides nothing.
pub(crate) fn permit(actor: &Actor, verb: Verb, session: &Session) -> Result<Permit, Denial> {
    Permit::for_session(actor, verb, session).map_err(|denial| match (denial.hidden, verb.permission()) {
        (true, Some(permission)) => {
            let sentence = format!("{actor} does not have the permission `{permission}` here: ask an administrator");
            Denial { hidden: false, sentence }
        }
        (true, None) => Denial { hidden: false, sentence: "only the session's own user may do this".to_owned() },
        (false, _) => denial,
    })
}

/// A reason that somebody gives: one line or none.
pub(crate) fn check_reason(reason: &str) -> Result<(), AppError> {
    if reason.chars().count() > REASON_MAX || reason.contains(is_unprintable) {
        return Err(AppError::field("/reason", format!("a reason has at most {REASON_MAX} printable characters")));
    }
    Ok(())
}

/// A session with everything that hangs on it.
pub(crate) async fn detail(tx: &mut Tx, session: Session) -> Result<SessionDetail, AppError> {
    let grants = tx.grants_of(session.id).await?;
    let approvals = tx.approvals_of(&[session.id]).await?;
    Ok(SessionDetail { session, grants, approvals })
}

/// Each session's part of a ledger, in the order that it has.
pub(crate) fn by_session(grants: Vec<Grant>) -> HashMap<SessionId, Vec<Grant>> {
    let mut by_session: HashMap<SessionId, Vec<Grant>> = HashMap::new();
    for grant in grants {
        by_session.entry(grant.session).or_default().push(grant);
    }
    by_session
}

/// The same for many, in few statements.
pub(crate) async fn details(tx: &mut Tx, sessions: Vec<Session>) -> Result<Vec<SessionDetail>, AppError> {
    let ids: Vec<_> = sessions.iter().map(|session| session.id).collect();
    let mut grants = by_session(tx.grants_of_many(&ids).await?);
    let mut approvals: HashMap<SessionId, Vec<Approval>> = HashMap::new();
    for approval in tx.approvals_of(&ids).await? {
        approvals.entry(approval.session).or_default().push(approval);
    }
    let whole = |session: Session| SessionDetail {
        grants: grants.remove(&session.id).unwrap_or_default(),
        approvals: approvals.remove(&session.id).unwrap_or_default(),
        session,
    };
    Ok(sessions.into_iter().map(whole).collect())
}
