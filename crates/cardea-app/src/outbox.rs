//! What is told outside, by mail and webhook. A notice is a row that is written with what it tells of, so it is there if
//! and only if that happened; lanes send it afterwards, each outlet by itself.

mod lane;
mod list;
mod template;
mod webhook;

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
    time::Duration,
};

use cardea_domain::{
    Approval, Configuration, Courier, Decision, Facts, InvitationId, NoticeId, NoticeKind, NoticeState, ObjectId,
    Permission, RequestId, Role, Session, SessionId, Status, Timestamp, is_mail_address, is_unprintable,
};
use cardea_store::{InvitationRow, NoticeRow, Tx};
use tokio::sync::watch;

use crate::App;

pub use list::NoticePage;
pub use template::{TemplateFault, Templates};
pub use webhook::WebhookKey;

/// The outlet of mail; webhooks are [`WEBHOOK`] and their name.
const MAIL: &str = "mail";
/// Mail that does not wait behind what people ask each other: of sign-ins, and of privileges that do not go away.
const URGENT_MAIL: &str = "mail:urgent";
const WEBHOOK: &str = "webhook:";
/// What nobody takes for so long is given up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3600);
/// How long before a start that was asked for it is told.
const STARTING_BEFORE: Duration = Duration::from_secs(600);
/// Nobody gets more mails by one event.
const RECEIVERS_MAX: usize = 200;
/// A longer fact is cut: a mail is no place for what a person can read in Cardea.
const FACT_CHARS_MAX: usize = 500;

/// What notices go out by.
pub struct Outlets {
    /// Where people find Cardea, `https://cardea.example.com`.
    pub public_url: String,
    pub courier: Arc<dyn Courier>,
    /// What mails say. No mail is sent without.
    pub mail: Option<Templates>,
    pub webhooks: Vec<Webhook>,
}

/// A program outside that wants to know.
pub struct Webhook {
    pub name: String,
    /// Of what.
    pub kinds: BTreeSet<NoticeKind>,
    pub key: WebhookKey,
}

/// The outlets of this process, and what wakes their lanes.
pub(crate) struct Outbox {
    outlets: OnceLock<Outlets>,
    due: watch::Sender<u64>,
}

impl Default for Outbox {
    fn default() -> Self {
        Self { outlets: OnceLock::new(), due: watch::Sender::new(0) }
    }
}

impl Outbox {
    /// Has every lane look for what is due.
    pub(crate) fn nudge(&self) {
        self.due.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// Something to be told, before it is known to whom by what.
pub(crate) struct Telling {
    pub(crate) kind: NoticeKind,
    pub(crate) facts: Facts,
    /// Who gets a mail.
    pub(crate) users: Vec<ObjectId>,
    pub(crate) session: Option<SessionId>,
    pub(crate) request: Option<RequestId>,
    pub(crate) invitation: Option<InvitationId>,
    pub(crate) due_at: Timestamp,
    /// From when on it would be of no use.
    pub(crate) useless_at: Option<Timestamp>,
}

impl Telling {
    pub(crate) fn new(kind: NoticeKind, users: Vec<ObjectId>, now: Timestamp) -> Self {
        let (session, request, invitation, facts) = (None, None, None, Facts::new());
        Self { kind, facts, users, session, request, invitation, due_at: now, useless_at: None }
    }

    /// A fact; control characters are none, and it is cut.
    pub(crate) fn fact(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        let said = value.as_ref().chars().take(FACT_CHARS_MAX).map(|c| if is_unprintable(c) { ' ' } else { c });
        self.facts.insert(name.to_owned(), said.collect());
        self
    }

    fn of_session(kind: NoticeKind, users: Vec<ObjectId>, session: &Session, known: &Known) -> Self {
        let Known { configuration, now } = known;
        let telling = Self::new(kind, users, *now)
            .fact("user", person(configuration, session.user, &session.user_name))
            .fact("activity", &session.activity_name)
            .fact("resources", &session.resource_name);
        Self { session: Some(session.id), request: Some(session.request), ..telling }
    }
}

fn mail_for(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::CleanupStalled | NoticeKind::Invited | NoticeKind::NewDevice | NoticeKind::NewKey => URGENT_MAIL,
        NoticeKind::RequestWaiting
        | NoticeKind::RequestDecided
        | NoticeKind::SessionStarting
        | NoticeKind::SessionEnding => MAIL,
    }
}

/// What facts are read from.
struct Known {
    configuration: Arc<Configuration>,
    now: Timestamp,
}

impl App {
    /// Says once, before anything runs, what notices go out by. Nothing is told without; a second time changes nothing.
    pub fn tell_by(&self, outlets: Outlets) {
        drop(self.0.outbox.outlets.set(outlets));
    }

    /// Writes a notice for each receiver, to be kept with the unit and sent once it is committed.
    pub(crate) fn tell(&self, tx: &mut Tx, telling: &Telling) {
        let Some(outlets) = self.0.outbox.outlets.get() else { return };
        let configuration = self.configuration();
        let mut written = false;
        if outlets.mail.is_some() {
            let users: BTreeSet<_> = telling.users.iter().copied().collect();
            if users.len() > RECEIVERS_MAX {
                tracing::warn!(kind = %telling.kind, "More than {RECEIVERS_MAX} people would get a mail: the others get none");
            }
            for user in users.into_iter().take(RECEIVERS_MAX) {
                let Some(spec) = configuration.get(user).and_then(|object| object.as_user()) else { continue };
                if is_mail_address(&spec.email) {
                    self.put(tx, telling, (mail_for(telling.kind).to_owned(), &spec.email), Some(user));
                    written = true;
                }
            }
        }
        for webhook in outlets.webhooks.iter().filter(|webhook| webhook.kinds.contains(&telling.kind)) {
            self.put(tx, telling, (format!("{WEBHOOK}{}", webhook.name), &webhook.name), None);
            written = true;
        }
        if written {
            let app = self.clone();
            tx.after_commit(Box::new(move || app.0.outbox.nudge()));
        }
    }

    fn put(&self, tx: &mut Tx, telling: &Telling, (outlet, receiver): (String, &str), user: Option<ObjectId>) {
        let is_same = |known: &&mut NoticeRow| {
            known.kind == NoticeKind::RequestWaiting
                && known.kind == telling.kind
                && known.request == telling.request
                && known.outlet == outlet
                && known.receiver == receiver
        };
        // A request for several resources is one mail, not one for each.
        if let Some(known) = tx.notices().iter_mut().find(is_same) {
            known.sessions.extend(telling.session);
            let (more, name) = (telling.facts.get("resources").cloned().unwrap_or_default(), "resources");
            let all = known.facts.entry(name.to_owned()).or_default();
            if all.chars().count() + more.chars().count() < FACT_CHARS_MAX {
                *all = format!("{all}, {more}");
            }
            return;
        }
        let now = self.0.clock.now();
        let give_up_at = telling.due_at.plus(GIVE_UP_AFTER);
        tx.notices().push(NoticeRow {
            id: NoticeId::mint(now, &*self.0.entropy),
            kind: telling.kind,
            outlet,
            receiver: receiver.to_owned(),
            user,
            request: telling.request,
            sessions: telling.session.into_iter().collect(),
            invitation: telling.invitation,
            facts: telling.facts.clone(),
            state: NoticeState::Waiting,
            created_at: now,
            wake_at: Some(telling.due_at),
            give_up_at: telling.useless_at.map_or(give_up_at, |at| at.min(give_up_at)),
            attempts: 0,
            last_error: None,
            done_at: None,
            claim: None,
            version: 1,
        });
    }

    /// What facts are read from; `None` where nothing is told outside.
    fn known(&self) -> Option<Known> {
        let outlets = self.0.outbox.outlets.get()?;
        let tells = outlets.mail.is_some() || !outlets.webhooks.is_empty();
        tells.then(|| Known { configuration: self.configuration(), now: self.0.clock.now() })
    }

    /// Tells whom it concerns that a session waits for approval, was decided about, or was not in time. `approval` is what was
    /// just decided.
    pub(crate) fn tell_of_approval(&self, tx: &mut Tx, session: &Session, approval: Option<&Approval>) {
        match (session.status, approval) {
            (Status::WaitingForApproval, None) => self.tell_waiting(tx, session),
            // The turn has come to those who were not told yet.
            (Status::WaitingForApproval, Some(vote))
                if session.asked.as_ref().is_some_and(|asked| asked.tier > vote.tier) =>
            {
                self.tell_waiting(tx, session);
            }
            (Status::WaitingForApproval, Some(_)) => {}
            // An extension waits.
            (status, None) if status.is_open() && session.question().is_some() => self.tell_waiting(tx, session),
            (status, Some(vote))
                if status.is_open() && session.question().is_some_and(|question| question.asked.tier > vote.tier) =>
            {
                self.tell_waiting(tx, session);
            }
            (status, Some(_)) if status.is_open() && session.question().is_some() => {}
            (Status::Expired, _) => {
                let reason = session.reason.as_ref().map(|reason| reason.detail.clone()).unwrap_or_default();
                self.tell_decided(tx, session, ("expired", "", &reason));
            }
            (_, Some(approval)) => {
                let decision = match approval.decision {
                    Decision::Approved => "approved",
                    Decision::Denied => "denied",
                };
                self.tell_decided(tx, session, (decision, &approval.approver_name, &approval.reason));
                self.tell_starting(tx, session);
            }
            _ => {}
        }
    }

    /// Tells those who may decide now that a request waits for them. Its own requester is none of them.
    fn tell_waiting(&self, tx: &mut Tx, session: &Session) {
        let Some(known) = self.known() else { return };
        let deciders = known.configuration.deciders(session, &[], known.now);
        let users = deciders.iter().map(|user| user.id).collect();
        let names: Vec<_> = deciders.iter().map(|user| user.name.to_string()).take(RECEIVERS_MAX).collect();
        let telling = Telling::of_session(NoticeKind::RequestWaiting, users, session, &known)
            .fact("approvers", names.join(", "))
            .fact("policy", &session.policy_name)
            .fact("duration", session.duration.to_string())
            .fact("start", time(session.wanted_start_at))
            .fact("decide_by", time(session.approve_by))
            .fact("ticket", &session.ticket)
            .fact("notes", &session.notes);
        self.tell(tx, &Telling { useless_at: session.approve_by, ..telling });
    }

    fn tell_decided(&self, tx: &mut Tx, session: &Session, (decision, by, reason): (&str, &str, &str)) {
        let Some(known) = self.known() else { return };
        let start = session.wanted_start_at.filter(|_| session.status == Status::Scheduled);
        let telling = Telling::of_session(NoticeKind::RequestDecided, vec![session.user], session, &known)
            .fact("decision", decision)
            .fact("by", by)
            .fact("reason", reason)
            .fact("start", time(start));
        self.tell(tx, &telling);
    }

    /// Has its user told a while before a session begins, if it begins at a time to come.
    pub(crate) fn tell_starting(&self, tx: &mut Tx, session: &Session) {
        let Some(start) = session.wanted_start_at.filter(|_| session.status == Status::Scheduled) else { return };
        let Some(known) = self.known().filter(|known| known.now < start) else { return };
        let telling = Telling::of_session(NoticeKind::SessionStarting, vec![session.user], session, &known)
            .fact("start", start.to_string());
        let due_at = start.minus(STARTING_BEFORE).max(known.now);
        self.tell(tx, &Telling { due_at, useless_at: Some(start), ..telling });
    }

    /// Tells its user that a session is about to end.
    pub(crate) fn tell_ending(&self, tx: &mut Tx, session: &Session, left: &str) {
        let Some(known) = self.known() else { return };
        let telling = Telling::of_session(NoticeKind::SessionEnding, vec![session.user], session, &known)
            .fact("end", time(session.end_at))
            .fact("left", left);
        self.tell(tx, &Telling { useless_at: session.end_at, ..telling });
    }

    /// Tells those who may have it tried at once that something does not go away.
    pub(crate) fn tell_stalled(&self, tx: &mut Tx, session: &Session, why: &str) {
        let Some(known) = self.known() else { return };
        let holders = holders(&known, Permission::RemovalsTry, session);
        let telling = Telling::of_session(NoticeKind::CleanupStalled, holders, session, &known).fact("reason", why);
        self.tell(tx, &telling);
    }

    /// Tells a user that they are invited, by mail alone: webhooks hear of it without the link.
    pub(crate) fn tell_invited(&self, tx: &mut Tx, user: ObjectId, invitation: &InvitationRow, by: &str) {
        let Some(known) = self.known() else { return };
        let telling = Telling::new(NoticeKind::Invited, vec![user], known.now)
            .fact("user", person(&known.configuration, user, ""))
            .fact("by", by)
            .fact("expires", invitation.expires_at.to_string());
        let useless_at = Some(invitation.expires_at);
        self.tell(tx, &Telling { invitation: Some(invitation.id), useless_at, ..telling });
    }

    /// Tells a user that somebody signed in as them from where they did not before.
    pub(crate) fn tell_new_device(&self, tx: &mut Tx, user: ObjectId, (address, device): (&str, &str)) {
        let Some(known) = self.known() else { return };
        let telling = Telling::new(NoticeKind::NewDevice, vec![user], known.now)
            .fact("user", person(&known.configuration, user, ""))
            .fact("at", known.now.to_string())
            .fact("address", address)
            .fact("device", device);
        self.tell(tx, &telling);
    }

    /// Tells a user that somebody registered an SSH key as them.
    pub(crate) fn tell_new_key(&self, tx: &mut Tx, user: ObjectId, (key, fingerprint): (&str, &str)) {
        let Some(known) = self.known() else { return };
        let telling = Telling::new(NoticeKind::NewKey, vec![user], known.now)
            .fact("user", person(&known.configuration, user, ""))
            .fact("at", known.now.to_string())
            .fact("key", key)
            .fact("fingerprint", fingerprint);
        self.tell(tx, &telling);
    }

    /// Whether mail is sent at all.
    pub(crate) fn sends_mail(&self) -> bool {
        self.0.outbox.outlets.get().is_some_and(|outlets| outlets.mail.is_some())
    }
}

/// Who has a permission for this session by their roles, and may act.
fn holders(known: &Known, permission: Permission, session: &Session) -> Vec<ObjectId> {
    let has_session =
        |role: &Role| role.scope().is_none_or(|scope| scope.has(session.user, session.policy, session.resource));
    let gives = |role: &Role| role.gives(permission) && has_session(role);
    let all = known.configuration.all_roles().into_iter().filter(|(_, roles)| roles.iter().any(gives));
    all.map(|(user, _)| user).filter(|user| known.configuration.may_act(*user, known.now)).collect()
}

/// How people are called in notices.
pub(crate) fn person(configuration: &Configuration, user: ObjectId, otherwise: &str) -> String {
    let Some(object) = configuration.get(user) else { return otherwise.to_owned() };
    let full_name = object.as_user().map(|spec| spec.full_name.trim()).unwrap_or_default();
    if full_name.is_empty() { object.name.to_string() } else { format!("{full_name} ({})", object.name) }
}

fn time(at: Option<Timestamp>) -> String {
    at.map(|at| at.to_string()).unwrap_or_default()
}
