//! Sessions as people use them: request, look, end, dismiss.

use std::collections::HashMap;

use cardea_domain::{
    Action, Actor, Configuration, EndCause, FieldError, Grant, GrantId, GrantState, Kind, LogLine, LoginAccount,
    Object, ObjectId, Offer, Permit, Pins, Privilege, Progress, RequestId, Session, SessionId, Stage, Status, Target,
    Verb, fold,
};
use cardea_store::{Connection, Cursor, SessionFilter, SortKey, Tx, View};
use serde_json::json;

use crate::{App, AppError, change::Note};

/// What a user submits.
#[derive(Clone, Debug, Default)]
pub struct NewRequest {
    pub activity: String,
    pub resources: Vec<String>,
    /// Needed only where several policies fit.
    pub policy: Option<String>,
    pub notes: String,
    pub ticket: String,
}

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
    pub sort: SortKey,
    pub descending: bool,
    /// 1 to [`SessionQuery::LIMIT_MAX`].
    pub limit: u32,
    pub cursor: Option<String>,
}

impl SessionQuery {
    /// The longest page.
    pub const LIMIT_MAX: u32 = 1000;
}

/// A session with its part of the ledger.
#[derive(Clone, Debug)]
pub struct SessionDetail {
    pub session: Session,
    pub grants: Vec<Grant>,
}

/// A part of a list, and what to ask for to get the next.
#[derive(Clone, Debug)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

/// A privilege that is out there.
#[derive(Clone, Debug)]
pub struct OutGrant {
    pub grant: Grant,
    pub session_status: Status,
}

const RESOURCES_MAX: usize = 50;
const NOTES_MAX: usize = 4000;
const TICKET_MAX: usize = 200;
const REASON_MAX: usize = 1000;
const LOG_LINES_MAX: u32 = 10_000;

/// A session that is about to be requested, without what only the store can give: the account's number.
struct Draft {
    session: Session,
    target: Target,
    privileges: Vec<Privilege>,
    first_uid: u32,
    last_uid: u32,
}

impl App {
    /// Requests an activity on one or more resources: one session each, all or none.
    pub async fn create_sessions(&self, actor: &Actor, request: NewRequest) -> Result<Vec<SessionDetail>, AppError> {
        let subject = format!("{} on {}", short(&request.activity), short(&request.resources.join(", ")));
        let created = self.create_guarded(actor, request).await;
        if let Err(error @ (AppError::Denied(_) | AppError::Refused { .. } | AppError::Invalid(_))) = &created {
            self.refused(actor, Verb::CreateSession, subject, error).await;
        }
        created
    }

    async fn create_guarded(&self, actor: &Actor, request: NewRequest) -> Result<Vec<SessionDetail>, AppError> {
        let permit = Permit::ask(actor, Verb::CreateSession)?;
        let drafts = self.drafts(actor, &request).await?;
        let app = self.clone();
        let created = self
            .0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let mut created = Vec::with_capacity(drafts.len());
                    for draft in drafts {
                        created.push(app.insert_session(tx, &permit, draft).await?);
                    }
                    Ok::<_, AppError>(created)
                })
            })
            .await?;
        self.nudge();
        Ok(created)
    }

    /// Judges the request against the configuration of this moment.
    async fn drafts(&self, actor: &Actor, request: &NewRequest) -> Result<Vec<Draft>, AppError> {
        let configuration = self.configuration();
        let mut errors = request.faults();
        let user = actor.user_id().and_then(|id| configuration.get(id)).ok_or(AppError::NotFound)?;
        let activity = configuration.find(Kind::Activity, &request.activity);
        let offered = configuration.offers(user.id);
        let activity = activity.filter(|activity| offered.iter().any(|offer| offer.activity.id == activity.id));
        if activity.is_none() {
            let message = format!(
                "no policy gives you the activity `{}`: see your activities, or ask an administrator",
                short(&request.activity)
            );
            errors.push(FieldError::new("/activity", message));
        }
        let mut offers = Vec::new();
        for (index, name) in request.resources.iter().enumerate().take(RESOURCES_MAX) {
            let fitting: Vec<_> =
                offered.iter().filter(|offer| fits(&configuration, offer, activity, name)).copied().collect();
            match choose(&fitting, request.policy.as_deref(), name) {
                Ok(offer) => offers.push(offer),
                Err((pointer, message)) => {
                    errors.push(FieldError::new(pointer.unwrap_or_else(|| format!("/resources/{index}")), message));
                }
            }
        }
        for offer in &offers {
            let profile = offer.profile_spec();
            if profile.require_notes && request.notes.trim().is_empty() {
                errors.push(FieldError::new(
                    "/notes",
                    format!("the profile `{}` requires notes: say what the session is for", offer.profile.name),
                ));
            }
            if profile.require_ticket && request.ticket.trim().is_empty() {
                errors.push(FieldError::new(
                    "/ticket",
                    format!("the profile `{}` requires a ticket number", offer.profile.name),
                ));
            }
        }
        errors.dedup();
        if !errors.is_empty() {
            return Err(AppError::Invalid(errors));
        }
        let now = self.0.clock.now();
        let request_id = RequestId::mint(now, &*self.0.entropy);
        let mut drafts = Vec::with_capacity(offers.len());
        for offer in &offers {
            drafts.push(self.draft(&configuration, request_id, user, offer, request).await?);
        }
        Ok(drafts)
    }

    async fn draft(
        &self,
        configuration: &Configuration,
        request_id: RequestId,
        user: &Object,
        offer: &Offer<'_>,
        request: &NewRequest,
    ) -> Result<Draft, AppError> {
        let now = self.0.clock.now();
        let (activity, resource) = (offer.activity_spec(), offer.resource_spec());
        let mut privileges = vec![Privilege::Account];
        privileges.extend(activity.pre_session.iter().map(Action::privilege));
        let session = Session {
            id: SessionId::mint(now, &*self.0.entropy),
            request: request_id,
            user: user.id,
            user_name: user.name.to_string(),
            activity: offer.activity.id,
            activity_name: offer.activity.name.to_string(),
            resource: offer.resource.id,
            resource_name: offer.resource.name.to_string(),
            policy: offer.policy.id,
            policy_name: offer.policy.name.to_string(),
            profile: offer.profile.id,
            profile_name: offer.profile.name.to_string(),
            pins: Pins {
                policy: offer.policy.revision(),
                activity: offer.activity.revision(),
                profile: offer.profile.revision(),
                resource: offer.resource.revision(),
                max_duration: offer.profile_spec().max_duration,
            },
            account: LoginAccount {
                name: activity.login_account.template.name(user.name.as_str(), &*self.0.entropy),
                uid: 0,
            },
            notes: request.notes.trim().to_owned(),
            ticket: request.ticket.trim().to_owned(),
            requested_at: now,
            start_at: None,
            end_at: None,
            status: Status::Provisioning,
            reason: None,
            progress: Some(Progress {
                step: 1,
                of: u32::try_from(privileges.len()).unwrap_or(u32::MAX),
                text: "connecting to the host".to_owned(),
            }),
            listed: true,
            clean: false,
            closes_as: None,
            cleanup_since: None,
            cleanup_attempts: 0,
            cleanup_stalled: false,
            wake_at: Some(now),
            fence: 0,
            version: 1,
        };
        let target = self.target(configuration, offer).await?;
        Ok(Draft {
            session,
            target,
            privileges,
            first_uid: resource.uid_range.first,
            last_uid: resource.uid_range.last,
        })
    }

    /// The resource and the way to work on it, as they are now: what the session's grants pin.
    async fn target(&self, configuration: &Configuration, offer: &Offer<'_>) -> Result<Target, AppError> {
        let resource = offer.resource_spec();
        let account = configuration.find(Kind::ServiceAccount, &resource.service_account).ok_or(AppError::NotFound)?;
        let spec = account.as_service_account().ok_or(AppError::NotFound)?;
        let id = account.id;
        let secrets = self.0.store.read(move |tx| Box::pin(async move { tx.secrets_of(id).await })).await?;
        let secret = |field| secrets.iter().find(|row| row.field == field).map(|row| row.id);
        Ok(Target {
            resource: offer.resource.id,
            name: offer.resource.name.to_string(),
            address: resource.address.clone(),
            port: resource.port,
            host_key: resource.host_key.clone(),
            user: spec.user.clone(),
            elevation: spec.elevation,
            private_key: secret(cardea_domain::SecretField::PrivateKey),
            password: secret(cardea_domain::SecretField::Password),
            sudo_password: secret(cardea_domain::SecretField::SudoPassword),
        })
    }

    async fn insert_session(&self, tx: &mut Tx, permit: &Permit, draft: Draft) -> Result<SessionDetail, AppError> {
        let Draft { mut session, target, privileges, first_uid, last_uid } = draft;
        let uid = tx.take_uid(&host_of(&target), first_uid, last_uid).await?.ok_or_else(|| {
            let sentence = format!(
                "all user ids of {} ({first_uid} to {last_uid}) were used: give the resource a new `uid_range`",
                session.resource_name
            );
            AppError::refused("uid-range-used-up", sentence)
        })?;
        session.account.uid = uid;
        tx.insert_session(permit, &session).await?;
        let grants: Vec<_> = (0..)
            .zip(privileges)
            .map(|(ordinal, privilege)| self.planned(&session, ordinal, target.clone(), privilege))
            .collect();
        tx.insert_grants(&grants).await?;
        let message = format!(
            "{} requested {} on {}; the policy {} allows it for {}",
            session.user_name,
            session.activity_name,
            session.resource_name,
            session.policy_name,
            session.pins.max_duration
        );
        let detail = json!({ "request": session.request, "pins": session.pins, "account": session.account, "notes": session.notes, "ticket": session.ticket });
        self.write_note(tx, permit, &session, Note::info(Stage::Request, message).with(detail), session.requested_at)
            .await?;
        self.announce_session(tx, &session);
        self.announce_grants(tx, &session, &grants);
        Ok(SessionDetail { session, grants })
    }

    /// A grant that is written down and not yet begun.
    pub(crate) fn planned(&self, session: &Session, ordinal: i64, target: Target, privilege: Privilege) -> Grant {
        let id = GrantId::mint(self.0.clock.now(), &*self.0.entropy);
        Grant {
            id,
            session: session.id,
            ordinal,
            target,
            account: session.account.clone(),
            privilege,
            token: self.ownership_token(id),
            state: GrantState::Planned,
            expires_at: None,
            before: None,
            placed_at: None,
            removed_at: None,
            attempts: 0,
            last_error: None,
            evidence: None,
            scanned_at: None,
        }
    }

    /// Sessions that the actor may see.
    pub async fn sessions(&self, actor: &Actor, query: SessionQuery) -> Result<Page<SessionDetail>, AppError> {
        let user =
            if actor.sees_all() && !query.mine { None } else { Some(actor.user_id().ok_or(AppError::NotFound)?) };
        let limit = query.limit.clamp(1, SessionQuery::LIMIT_MAX);
        let filter = SessionFilter {
            view: query.view,
            user,
            q: query.q,
            resource: query.resource,
            statuses: query.statuses,
            sort: query.sort,
            descending: query.descending,
            limit: limit + 1,
            cursor: query.cursor.as_deref().map(Cursor::decode).transpose()?,
        };
        let (mut sessions, grants) = self
            .0
            .store
            .read(move |tx| {
                Box::pin(async move {
                    let sessions = tx.sessions(&filter).await?;
                    let ids: Vec<_> = sessions.iter().map(|session| session.id).collect();
                    let grants = tx.grants_of_many(&ids).await?;
                    Ok::<_, AppError>((sessions, grants))
                })
            })
            .await?;
        let more = sessions.len() > limit as usize;
        sessions.truncate(limit as usize);
        let next =
            sessions.last().filter(|_| more).map(|last| Cursor::after(last, query.sort, query.descending).encode());
        let mut by_session: HashMap<SessionId, Vec<Grant>> = HashMap::new();
        for grant in grants {
            by_session.entry(grant.session).or_default().push(grant);
        }
        let items = sessions
            .into_iter()
            .map(|session| SessionDetail { grants: by_session.remove(&session.id).unwrap_or_default(), session });
        Ok(Page { items: items.collect(), next })
    }

    /// One session that the actor may see.
    pub async fn session(&self, actor: &Actor, id: SessionId) -> Result<SessionDetail, AppError> {
        let actor = actor.clone();
        self.0
            .store
            .read(move |tx| {
                Box::pin(async move {
                    let session = visible(tx, &actor, id).await?;
                    let grants = tx.grants_of(id).await?;
                    Ok(SessionDetail { session, grants })
                })
            })
            .await
    }

    /// Ends a session: connections are cut and everything that it placed is taken away.
    pub async fn end_session(
        &self,
        actor: &Actor,
        id: SessionId,
        reason: Option<String>,
    ) -> Result<SessionDetail, AppError> {
        if reason
            .as_deref()
            .is_some_and(|reason| reason.chars().count() > REASON_MAX || reason.contains(is_unprintable))
        {
            return Err(AppError::field("/reason", format!("a reason has at most {REASON_MAX} printable characters")));
        }
        let ended = self.retried(|| self.end_once(actor, id, reason.clone())).await;
        if let Err(error @ (AppError::Denied(_) | AppError::Refused { .. })) = &ended {
            self.refused(actor, Verb::EndSession, id.to_string(), error).await;
        }
        ended
    }

    async fn end_once(&self, actor: &Actor, id: SessionId, reason: Option<String>) -> Result<SessionDetail, AppError> {
        let (app, actor) = (self.clone(), actor.clone());
        let detail = self
            .0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let mut session = visible(tx, &actor, id).await?;
                    let permit = Permit::for_session(&actor, Verb::EndSession, &session)?;
                    let grants = app.end(tx, &permit, &mut session, &EndCause::By { actor, reason }).await?;
                    Ok::<_, AppError>(SessionDetail { session, grants })
                })
            })
            .await?;
        self.nudge();
        Ok(detail)
    }

    /// The one way that an open session ends, whoever ends it: state, ledger, log, connections.
    pub(crate) async fn end(
        &self,
        tx: &mut Tx,
        permit: &Permit,
        session: &mut Session,
        cause: &EndCause,
    ) -> Result<Vec<Grant>, AppError> {
        session.end(cause, self.0.clock.now())?;
        let grants = self.remove_all(tx, session).await?;
        let sentence = session.reason.as_ref().map(|reason| reason.detail.clone()).unwrap_or_default();
        self.save_session(tx, permit, session, Note::info(Stage::Session, sentence.clone())).await?;
        let (app, id) = (self.clone(), session.id);
        tx.after_commit(Box::new(move || app.0.doors.close(id, &sentence)));
        Ok(grants)
    }

    /// Turns every grant of the session towards removal. What was never begun is done with.
    pub(crate) async fn remove_all(&self, tx: &mut Tx, session: &Session) -> Result<Vec<Grant>, AppError> {
        let now = self.0.clock.now();
        let mut grants = tx.grants_of(session.id).await?;
        let mut changed = Vec::new();
        for grant in &mut grants {
            match grant.state {
                GrantState::Placing | GrantState::Placed => grant.state = GrantState::Removing,
                GrantState::Planned => {
                    grant.state = GrantState::Removed;
                    grant.removed_at = Some(now);
                    grant.scanned_at = Some(now);
                }
                GrantState::Removing | GrantState::Removed | GrantState::Preexisting => continue,
            }
            tx.save_grant(grant).await?;
            changed.push(grant.clone());
        }
        self.announce_grants(tx, session, &changed);
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
                    let mut session = visible(tx, &actor, id).await?;
                    let permit = Permit::for_session(&actor, Verb::DismissSession, &session)?;
                    session.dismiss()?;
                    let note = Note::info(Stage::PostSession, format!("Dismissed by {actor}"));
                    app.save_session(tx, &permit, &mut session, note).await?;
                    let grants = tx.grants_of(id).await?;
                    Ok(SessionDetail { session, grants })
                })
            })
            .await
    }

    /// The session's action log, oldest line first.
    pub async fn session_log(&self, actor: &Actor, id: SessionId) -> Result<Vec<LogLine>, AppError> {
        let actor = actor.clone();
        self.0
            .store
            .read(move |tx| {
                Box::pin(async move {
                    visible(tx, &actor, id).await?;
                    Ok(tx.log(id, 0, LOG_LINES_MAX).await?)
                })
            })
            .await
    }

    /// The session's connections through the gateway, oldest first.
    pub async fn connections(&self, actor: &Actor, id: SessionId) -> Result<Vec<Connection>, AppError> {
        let actor = actor.clone();
        self.0
            .store
            .read(move |tx| {
                Box::pin(async move {
                    visible(tx, &actor, id).await?;
                    Ok(tx.connections_of(id).await?)
                })
            })
            .await
    }

    /// The ledger of what is out there now, as far as the actor may see it.
    pub async fn grants_out(
        &self,
        actor: &Actor,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<Page<OutGrant>, AppError> {
        let only = if actor.sees_all() { None } else { Some(actor.user_id().ok_or(AppError::NotFound)?) };
        let after = cursor.map(|text| text.parse::<GrantId>()).transpose();
        let after = after
            .map_err(|_| AppError::field("/cursor", "this is not a cursor that a list gave out: start without one"))?;
        let limit = limit.clamp(1, SessionQuery::LIMIT_MAX);
        let found =
            self.0.store.read(move |tx| Box::pin(async move { tx.grants_out(after, limit + 1, only).await })).await?;
        let mut items: Vec<_> =
            found.into_iter().map(|(grant, session_status)| OutGrant { grant, session_status }).collect();
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next = items.last().filter(|_| more).map(|last| last.grant.id.to_string());
        Ok(Page { items, next })
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

impl NewRequest {
    fn faults(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if self.resources.is_empty() || self.resources.len() > RESOURCES_MAX {
            errors.push(FieldError::new("/resources", format!("name 1 to {RESOURCES_MAX} resources")));
        }
        let folded: Vec<_> = self.resources.iter().map(|name| fold(name)).collect();
        if let Some(index) = (1..folded.len()).find(|index| folded[..*index].contains(&folded[*index])) {
            errors.push(FieldError::new(format!("/resources/{index}"), "this resource stands in the request twice"));
        }
        if self.notes.chars().count() > NOTES_MAX
            || self.notes.contains(|c: char| is_unprintable(c) && c != '\n' && c != '\t')
        {
            errors.push(FieldError::new("/notes", format!("at most {NOTES_MAX} printable characters")));
        }
        if self.ticket.chars().count() > TICKET_MAX || self.ticket.contains(is_unprintable) {
            errors.push(FieldError::new("/ticket", format!("at most {TICKET_MAX} printable characters")));
        }
        errors
    }
}

/// What tells one host from another: its key, or its address while it has none.
fn host_of(target: &Target) -> String {
    target.host_key.clone().unwrap_or_else(|| format!("{}:{}", target.address, target.port))
}

fn is_unprintable(c: char) -> bool {
    c.is_control()
}

fn fits(configuration: &Configuration, offer: &Offer<'_>, activity: Option<&Object>, resource: &str) -> bool {
    let named = configuration.find(Kind::Resource, resource).map(|resource| resource.id);
    activity.is_some_and(|activity| activity.id == offer.activity.id) && named == Some(offer.resource.id)
}

/// The one policy to judge by, or where the fault is (if not at the resource) and what it is.
fn choose<'a>(
    fitting: &[Offer<'a>],
    policy: Option<&str>,
    resource: &str,
) -> Result<Offer<'a>, (Option<String>, String)> {
    let named: Vec<_> = match policy {
        Some(policy) => fitting.iter().filter(|offer| is_called(offer.policy, policy)).copied().collect(),
        None => fitting.to_vec(),
    };
    match (named.as_slice(), fitting) {
        ([one], _) => Ok(*one),
        ([], []) => Err((
            None,
            format!(
                "no policy gives you this activity on `{}`: see your activities, or ask an administrator",
                short(resource)
            ),
        )),
        (_, several) => {
            let names: Vec<_> = several.iter().map(|offer| format!("`{}`", offer.policy.name)).collect();
            Err((Some("/policy".to_owned()), format!("name one of the policies that fit: {}", names.join(", "))))
        }
    }
}

fn is_called(object: &Object, name_or_id: &str) -> bool {
    name_or_id.parse::<ObjectId>().map_or_else(|_| object.name.folded() == fold(name_or_id), |id| object.id == id)
}

/// A caller's text in a message, at a length that a message can bear.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// The session, if the actor may see it.
async fn visible(tx: &mut Tx, actor: &Actor, id: SessionId) -> Result<Session, AppError> {
    let session = tx.session(id).await?.ok_or(AppError::NotFound)?;
    Permit::for_session(actor, Verb::SeeSession, &session)?;
    Ok(session)
}
