//! Requests: what a user asks for, judged against the configuration of the moment, becomes one session per resource.

use std::{collections::BTreeSet, time::Duration};

use cardea_domain::{
    Actor, Configuration, CustomField, CustomValues, FieldError, Kind, Object, Offer, Permit, RequestId, Session,
    SessionId, Stage, Status, Timestamp, Verb, fold, is_unprintable,
};
use cardea_store::Tx;
use serde_json::json;

use crate::{
    App, AppError, SessionDetail,
    change::Note,
    plan::{Plan, closed_at},
};

/// What a user submits.
#[derive(Clone, Debug, Default)]
pub struct NewRequest {
    pub activity: String,
    pub resources: Vec<String>,
    /// Needed only where several policies fit.
    pub policy: Option<String>,
    pub notes: String,
    pub ticket: String,
    /// Values of the fields that the connection profile adds, by their names.
    pub custom: CustomValues,
    /// When to begin; at once if `None`.
    pub start_at: Option<Timestamp>,
    /// The caller's own name for this request: the same again makes no second one.
    pub idempotency_key: Option<String>,
}

/// How far ahead a session may be scheduled.
pub(crate) const AHEAD_MAX: Duration = Duration::from_secs(366 * 86_400);
const RESOURCES_MAX: usize = 50;
/// Sessions of one user that may wait for approval: each asks people, by mail too.
pub(crate) const WAITING_MAX: i64 = 100;
const NOTES_MAX: usize = 4000;
const TICKET_MAX: usize = 200;

/// A session that is about to be requested, without what only the store can give: the account's number.
struct Draft {
    session: Session,
    plan: Plan,
}

impl App {
    /// Requests an activity on one or more resources: one session each, all or none.
    pub async fn create_sessions(&self, actor: &Actor, request: NewRequest) -> Result<Vec<SessionDetail>, AppError> {
        let subject = format!("{} on {}", short(&request.activity), short(&request.resources.join(", ")));
        let created = self.retried(|| self.create_once(actor, &request)).await;
        if let Err(error @ (AppError::Denied(_) | AppError::Refused { .. } | AppError::Invalid(_))) = &created {
            self.refused(actor, Verb::CreateSession, subject, error).await;
        }
        created
    }

    async fn create_once(&self, actor: &Actor, request: &NewRequest) -> Result<Vec<SessionDetail>, AppError> {
        let permit = Permit::ask(actor, Verb::CreateSession)?;
        let asked = self.asked(actor, request)?;
        if let Some(asked) = &asked
            && let Some(known) = self.answered(asked).await?
        {
            return Ok(known);
        }
        let id = RequestId::mint(self.0.clock.now(), &*self.0.entropy);
        let drafts = self.drafts(actor, id, request).await?;
        let app = self.clone();
        let wanted: Vec<_> = drafts.iter().map(|draft| draft.session.clone()).collect();
        let traceparent = crate::trace::traceparent();
        let created = self.0.store.write(move |tx| {
            Box::pin(async move {
                if let Some(asked) = asked {
                    app.remember(tx, asked, id).await?;
                }
                let mut created = Vec::with_capacity(drafts.len());
                must_ask_no_more(tx, drafts.iter().map(|draft| &draft.session)).await?;
                for draft in drafts {
                    created.push(app.insert_session(tx, &permit, draft).await?);
                }
                if let Some(traceparent) = traceparent {
                    let ids: Vec<_> = created.iter().map(|detail| detail.session.id).collect();
                    tx.set_trace(&ids, &traceparent).await?;
                }
                Ok::<_, AppError>(created)
            })
        });
        let created = match created.await {
            // What the store keeps out is locked, or was a moment ago.
            Err(AppError::Conflict) => {
                let app = self.clone();
                let read =
                    self.0.store.read(move |tx| Box::pin(async move { app.must_be_unlocked(tx, wanted.iter()).await }));
                read.await?;
                return Err(AppError::Conflict);
            }
            created => created?,
        };
        Ok(created)
    }

    /// Nothing begins for a user or on a resource that is locked as a whole.
    pub(crate) async fn must_be_unlocked<'a>(
        &self,
        tx: &mut Tx,
        sessions: impl Iterator<Item = &'a Session>,
    ) -> Result<(), AppError> {
        let locks = tx.standing_locks().await?;
        for session in sessions {
            let names = [(session.user, &session.user_name), (session.resource, &session.resource_name)];
            for (object, name) in names {
                if let Some(lock) = locks.iter().find(|lock| lock.object == object) {
                    let sentence = format!("{name} is locked: {}: {}", lock.title, lock.text);
                    return Err(AppError::refused("locked", sentence));
                }
            }
        }
        Ok(())
    }

    /// Judges the request against the configuration of this moment.
    async fn drafts(&self, actor: &Actor, request_id: RequestId, request: &NewRequest) -> Result<Vec<Draft>, AppError> {
        let configuration = self.configuration();
        let now = self.0.clock.now();
        let mut errors = request.faults(now);
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
        errors.extend(offers.iter().flat_map(|offer| request.faults_under(offer, now)));
        // A field that nobody asks for; of a request that names nothing, nobody can tell.
        if !offers.is_empty() {
            errors.extend(request.unknown_fields(&offers));
        }
        let mut seen = BTreeSet::new();
        errors.retain(|error| seen.insert((error.pointer.clone(), error.message.clone())));
        if !errors.is_empty() {
            return Err(AppError::Invalid(errors));
        }
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
        let plan = self.plan(configuration, user, offer).await?;
        let mut session = Session {
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
            pins: plan.pins.clone(),
            account: plan.account.clone(),
            rules: plan.rules.clone(),
            notes: request.notes.trim().to_owned(),
            ticket: request.ticket.trim().to_owned(),
            custom: request.custom_of(offer),
            wanted_start_at: request.start_at,
            approve_by: None,
            asked: None,
            duration: plan.pins.max_duration,
            closes_at: None,
            extensions: 0,
            wish: None,
            warned: 0,
            idle_since: None,
            lock: None,
            claim: None,
            requested_at: now,
            start_at: None,
            end_at: None,
            status: Status::Provisioning,
            reason: None,
            progress: None,
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
        match &plan.asks {
            Some((asked, window)) => session.wait_for_approval(asked.clone(), now.plus(window.get())),
            None => session.ready(now),
        }
        if session.status == Status::Provisioning {
            session.progress = Some(plan.first_step());
        }
        Ok(Draft { session, plan })
    }

    async fn insert_session(&self, tx: &mut Tx, permit: &Permit, draft: Draft) -> Result<SessionDetail, AppError> {
        let Draft { mut session, plan } = draft;
        self.insert_plan(tx, &mut session, &plan).await?;
        let hand = self.take_in_hand(&mut session);
        tx.insert_session(permit, &session).await?;
        let grants = self.planned_grants(&session, &plan, 0);
        tx.insert_grants(&grants).await?;
        let detail = json!({
            "request": session.request, "pins": session.pins, "account": session.account, "notes": session.notes,
            "ticket": session.ticket, "custom": session.custom, "wanted_start_at": session.wanted_start_at,
        });
        let note = Note::info(Stage::Request, requested(&session)).with(detail);
        self.write_note(tx, permit, &session, note, session.requested_at).await?;
        self.announce_session(tx, &session);
        self.announce_grants(tx, &session, &grants);
        if session.is_waiting().is_ok() {
            self.announce_approval(tx, &session, None);
        }
        if let Some(within) = plan.review_within {
            self.owe_review(tx, permit, &session, within).await?;
        }
        self.tell_starting(tx, &session);
        self.hand_over(tx, hand, &session, &grants);
        Ok(SessionDetail { session, grants, approvals: Vec::new() })
    }
}

/// Approvers are asked by one user for so much at a time.
pub(crate) async fn must_ask_no_more(tx: &mut Tx, asking: impl Iterator<Item = &Session>) -> Result<(), AppError> {
    let mut asking = asking.filter(|session| session.is_waiting().is_ok());
    let Some(first) = asking.next() else { return Ok(()) };
    let more = i64::try_from(asking.count() + 1).unwrap_or(WAITING_MAX);
    tx.hold_user(first.user).await?;
    if tx.waiting_of(first.user).await? + more > WAITING_MAX {
        let sentence = format!("{WAITING_MAX} of your sessions wait for approval: wait, or withdraw some");
        return Err(AppError::refused("too-many-waiting", sentence));
    }
    Ok(())
}

/// What the log says of a new session.
fn requested(session: &Session) -> String {
    let Session { user_name, activity_name, resource_name, policy_name, profile_name, .. } = session;
    let wait = match session.approve_by {
        Some(_) => format!("; the profile {profile_name} asks for approval"),
        None => String::new(),
    };
    let start = match session.wanted_start_at {
        Some(at) => format!(", to begin at {at}"),
        None => String::new(),
    };
    let duration = session.pins.max_duration;
    format!(
        "{user_name} requested {activity_name} on {resource_name}{start}; the policy {policy_name} allows it for {duration}{wait}"
    )
}

impl NewRequest {
    /// What is wrong whatever the policies say.
    fn faults(&self, now: Timestamp) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if self.start_at.is_some_and(|at| at <= now || at > now.plus(AHEAD_MAX)) {
            let message = "write a time to come, at most 366 days ahead; leave it out to begin at once";
            errors.push(FieldError::new("/start_at", message));
        }
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

    /// What is wrong for one offer: what its profile asks for, and its policy's hours.
    fn faults_under(&self, offer: &Offer<'_>, now: Timestamp) -> Vec<FieldError> {
        let (profile, name) = (offer.profile_spec(), &offer.profile.name);
        let mut errors = Vec::new();
        if profile.require_notes && self.notes.trim().is_empty() {
            let message = format!("the profile `{name}` requires notes: say what the session is for");
            errors.push(FieldError::new("/notes", message));
        }
        if profile.break_glass.is_some() && self.notes.trim().is_empty() && !profile.require_notes {
            let message = format!("the profile `{name}` begins without approval: say why it cannot wait");
            errors.push(FieldError::new("/notes", message));
        }
        if profile.break_glass.is_some() && self.start_at.is_some() {
            let message = format!("the profile `{name}` is for what cannot wait, and begins at once: leave this out");
            errors.push(FieldError::new("/start_at", message));
        }
        if profile.require_ticket && self.ticket.trim().is_empty() {
            errors.push(FieldError::new("/ticket", format!("the profile `{name}` requires a ticket number")));
        }
        for field in &profile.custom_fields {
            let value = self.custom.get(&field.name).map(String::as_str);
            let fault = field.refuses(value);
            errors.extend(fault.map(|message| FieldError::new(format!("/custom/{}", field.name), message)));
        }
        if let Some(message) = closed_at(offer, self.start_at.unwrap_or(now)) {
            let advice = if self.start_at.is_none() { "; ask for a start within its hours" } else { "" };
            errors.push(FieldError::new("/start_at", format!("{message}{advice}")));
        }
        errors
    }

    /// Values for fields that no profile of the request has.
    fn unknown_fields(&self, offers: &[Offer<'_>]) -> Vec<FieldError> {
        let is_known = |name: &String| {
            offers.iter().any(|offer| offer.profile_spec().custom_fields.iter().any(|field| field.name == *name))
        };
        let unknown = self.custom.keys().filter(|name| !is_known(name)).take(CustomField::COUNT_MAX);
        let wrong = |name: &String| {
            let name = short(name);
            let pointer = format!("/custom/{}", name.replace('~', "~0").replace('/', "~1"));
            FieldError::new(pointer, format!("the connection profile has no field `{name}`: take it out"))
        };
        unknown.map(wrong).collect()
    }

    /// The values that this offer's profile asks for.
    fn custom_of(&self, offer: &Offer<'_>) -> CustomValues {
        let fields = offer.profile_spec().custom_fields.iter();
        let given = fields.filter_map(|field| {
            let value = self.custom.get(&field.name)?.trim();
            (!value.is_empty()).then(|| (field.name.clone(), value.to_owned()))
        });
        given.collect()
    }
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
        Some(policy) => fitting.iter().filter(|offer| offer.policy.is_called(policy)).copied().collect(),
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

/// A caller's text in a message, at a length that a message can bear.
fn short(text: &str) -> String {
    text.chars().filter(|c| !is_unprintable(*c)).take(64).collect()
}
