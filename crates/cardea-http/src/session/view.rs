//! Sessions as they are shown.

use std::collections::BTreeMap;

use cardea_app::{Connection, Page, SessionDetail};
use cardea_domain::{
    Actor, ApprovalSpec, Asked, Configuration, ConnectionId, Kind, Lock, LockScope, LockStage, Object, OwnChange,
    PasswordAccess, Period, Permit, Progress, Reason, RequestId, Session, SessionId, Status, Tier, Timestamp, Verb,
};
use serde::Serialize;

use crate::{Api, approval::ApprovalView, grant::GrantView, problem::Problem};

/// A session without its part of the ledger: what `session` events carry.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct SessionSummary {
    id: SessionId,
    request_id: RequestId,
    status: Status,
    /// Why it is where it is, where there is something to say.
    reason: Option<Reason>,
    /// The user's name.
    user: String,
    activity: String,
    resource: String,
    policy: String,
    connection_profile: String,
    /// The account's name on the resource.
    login_account: String,
    requested_at: Timestamp,
    /// When its user wants it to begin, or an approver put it off to; at once if there is none.
    wanted_start_at: Option<Timestamp>,
    /// Until when somebody must have approved it, while it waits.
    approve_by: Option<Timestamp>,
    /// How many have to approve it, while it waits.
    approvals_needed: Option<u32>,
    /// The users and groups who may approve it, while it waits.
    approvers: Vec<String>,
    /// The tiers that have to approve it one after the other, while it waits.
    tiers: Vec<TierView>,
    /// Whose turn it is, while it waits; the first tier is 1.
    tier: Option<usize>,
    /// Rules of it that its requester changed lately; while it is asked about.
    own_changes: Vec<OwnChangeView>,
    /// The users who may decide now: at most 50 of them. In `session` events, also those whose vote is in.
    deciders: Vec<String>,
    /// When it became available.
    start_at: Option<Timestamp>,
    /// When it will end, or ended.
    end_at: Option<Timestamp>,
    /// When the hours of its policy end, if that ends it.
    closes_at: Option<Timestamp>,
    max_duration: Period,
    /// How long it lasts from its start: the maximum, or less if an approver said so.
    duration: Period,
    /// Whether and how far it can be made longer.
    extension: Option<ExtensionView>,
    /// An extension that waits for approval, or for the host after it. Tiers, turn and deciders are about it then.
    wish: Option<WishView>,
    /// How long before the end its user is warned.
    end_warnings: Vec<Period>,
    /// When it ends because nobody is on it, while nobody is.
    idle_until: Option<Timestamp>,
    /// Who froze it, and what its user reads.
    lock: Option<Lock>,
    notes: String,
    ticket: String,
    /// Whether it began without approval; somebody has to review it.
    break_glass: bool,
    /// Values of the fields that its connection profile adds.
    custom: BTreeMap<String, String>,
    /// How far the running stage is, while one runs.
    progress: Option<Progress>,
    /// Clean-up has been failing for more than a minute. It goes on.
    cleanup_stalled: bool,
    /// Whether it is on the active list.
    listed: bool,
    /// Whether nothing of it is out there any more, proven.
    clean: bool,
    /// What it will be when clean-up is done.
    closes_as: Option<Status>,
    actions: SessionActions,
}

/// An extension that has to be approved.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct WishView {
    /// Which of the session's: what was said about it has the same.
    number: u32,
    /// By how much.
    by: Period,
    /// Who asked for it.
    requested_by: String,
    requested_at: Timestamp,
    /// Until when it has to be approved.
    approve_by: Timestamp,
    /// Whether it is approved; the host is being told.
    is_approved: bool,
}

/// A rule of the request that its own requester changed within the last seven days before it.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct OwnChangeView {
    kind: Kind,
    name: String,
    at: Timestamp,
}

/// One tier of approval.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct TierView {
    /// Users and groups; `+manager` is the manager of its user.
    approvers: Vec<String>,
    /// How many of them must say yes.
    quorum: u32,
    /// When others may decide as well, if it is this tier's turn and they may not yet.
    escalates_at: Option<Timestamp>,
    /// Those others.
    escalates_to: Vec<String>,
    /// Whether they may decide by now.
    is_escalated: bool,
}

/// What the caller may do with a session as it is now.
#[derive(Clone, Copy, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct SessionActions {
    /// Approve or deny it.
    decide: bool,
    dismiss: bool,
    end: bool,
    extend: bool,
    /// Make a one-time token to connect with.
    launch: bool,
    lock: bool,
    retry: bool,
    /// Be shown the password of the login account.
    reveal_password: bool,
    unlock: bool,
}

/// How a session can be made longer.
#[derive(Clone, Copy, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct ExtensionView {
    /// By how much at most, each time.
    by: Period,
    /// How many more times.
    left: u32,
}

/// A session.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct SessionView {
    #[serde(flatten)]
    summary: SessionSummary,
    /// Its part of the ledger, in the order of placing.
    grants: Vec<GrantView>,
    /// What its approvers said, oldest first.
    approvals: Vec<ApprovalView>,
}

/// A page of sessions.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct SessionPage {
    items: Vec<SessionView>,
    /// The `cursor` of the next page.
    next: Option<String>,
}

/// What became of a request.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct CreatedSessions {
    request_id: Option<RequestId>,
    items: Vec<SessionView>,
}

/// What became of each session that was to end.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct EndedSessions {
    items: Vec<EndedSession>,
}

/// What became of one: the session as it is now, or the problem.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct EndedSession {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<SessionView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

/// One connection of the person to the resource.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct ConnectionView {
    id: ConnectionId,
    session: SessionId,
    /// Where the person connected from; of a log-in past the gateway, what the host says of it.
    peer: String,
    /// Whether it went past the gateway, as the host was seen to have it.
    direct: bool,
    opened_at: Timestamp,
    closed_at: Option<Timestamp>,
    /// `client`, `target`, `session_ended`, `gateway_stopping`, `gateway_gone`, `logged_out` or `error`.
    close_reason: Option<String>,
}

/// The connections of a session.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct ConnectionList {
    items: Vec<ConnectionView>,
    next: Option<String>,
}

impl SessionSummary {
    pub(crate) fn of(session: &Session, actor: &Actor, configuration: &Configuration, now: Timestamp) -> Self {
        Self {
            id: session.id,
            request_id: session.request,
            status: session.status,
            reason: session.reason.clone(),
            user: session.user_name.clone(),
            activity: session.activity_name.clone(),
            resource: session.resource_name.clone(),
            policy: session.policy_name.clone(),
            connection_profile: session.profile_name.clone(),
            login_account: session.account.name.clone(),
            requested_at: session.requested_at,
            wanted_start_at: session.wanted_start_at,
            approve_by: session.approve_by,
            approvals_needed: approval_of(session, configuration).map(ApprovalSpec::quorum),
            approvers: approval_of(session, configuration).map(approvers).unwrap_or_default(),
            tiers: approval_of(session, configuration).map(|approval| tiers(approval, session)).unwrap_or_default(),
            tier: session.question().map(|question| question.asked.tier + 1),
            own_changes: session.question().map(|question| own_changes(question.asked)).unwrap_or_default(),
            deciders: names_of(&configuration.deciders(session, &[], now)),
            start_at: session.start_at,
            end_at: session.end_at,
            closes_at: session.closes_at,
            max_duration: session.pins.max_duration,
            duration: session.duration,
            extension: session
                .rules
                .extension
                .map(|rule| ExtensionView { by: rule.by, left: rule.limit.saturating_sub(session.extensions) }),
            wish: session.wish.as_ref().map(|wish| WishView {
                number: wish.number,
                by: wish.by,
                requested_by: wish.who.clone(),
                requested_at: wish.at,
                approve_by: wish.until,
                is_approved: wish.asked.is_complete(),
            }),
            end_warnings: session.rules.end_warnings.clone(),
            idle_until: session.idle_until(),
            lock: session.lock.clone(),
            notes: session.notes.clone(),
            ticket: session.ticket.clone(),
            break_glass: session.rules.break_glass,
            custom: session.custom.clone(),
            progress: session.progress.clone(),
            cleanup_stalled: session.cleanup_stalled,
            listed: session.listed,
            clean: session.clean,
            closes_as: session.closes_as,
            actions: SessionActions::of(session, actor, configuration, now),
        }
    }
}

fn own_changes(asked: &Asked) -> Vec<OwnChangeView> {
    let view =
        |change: &OwnChange| OwnChangeView { kind: change.object.kind(), name: change.name.clone(), at: change.at };
    asked.own_changes.iter().map(view).collect()
}

/// What has to be approved, while it waits.
fn approval_of<'a>(session: &Session, configuration: &'a Configuration) -> Option<&'a ApprovalSpec> {
    if session.is_waiting().is_err() {
        session.question()?;
    }
    configuration.get(session.profile).and_then(Object::as_profile)?.approval.as_ref()
}

fn approvers(approval: &ApprovalSpec) -> Vec<String> {
    approval.tiers.iter().flat_map(|tier| tier.approvers.iter().cloned()).collect()
}

fn tiers(approval: &ApprovalSpec, session: &Session) -> Vec<TierView> {
    let asked = session.question().map(|question| question.asked);
    let view = |(index, tier): (usize, &Tier)| {
        let now = asked.filter(|asked| asked.tier == index);
        TierView {
            approvers: tier.approvers.clone(),
            quorum: tier.quorum,
            escalates_at: now.and_then(Asked::escalates_at),
            escalates_to: tier.escalation.iter().flat_map(|escalation| escalation.to.clone()).collect(),
            is_escalated: now.is_some_and(|asked| asked.is_escalated),
        }
    };
    approval.tiers.iter().enumerate().map(view).collect()
}

/// A page of a thousand sessions names no thousands of people each.
const DECIDERS_MAX: usize = 50;

fn names_of(people: &[&Object]) -> Vec<String> {
    people.iter().take(DECIDERS_MAX).map(|user| user.name.to_string()).collect()
}

impl SessionActions {
    /// Whether the state allows it is the session's to say; asked of a copy, it changes nothing.
    fn of(session: &Session, actor: &Actor, configuration: &Configuration, now: Timestamp) -> Self {
        let may = |verb| Permit::for_session(actor, verb, session).is_ok();
        let may_lock = may(Verb::Lock);
        let lock = session.lock.as_ref().filter(|lock| lock.stage != LockStage::Unlocking);
        let failed = session.status == Status::Failed;
        Self {
            decide: is_asked_now(session, actor, configuration, now)
                && Permit::to_decide(actor, session, configuration).is_ok(),
            dismiss: failed && session.clone().dismiss().is_ok() && may(Verb::DismissSession),
            end: session.status.can_end() && may(Verb::EndSession),
            extend: session.extended_end(None).is_ok() && may(Verb::ExtendSession),
            launch: session.status.is_open() && session.rules.has_login && may(Verb::Launch),
            lock: lock.is_none() && session.status.can_end() && may_lock,
            retry: failed && session.clone().retry(session.requested_at).is_ok() && may(Verb::RetrySession),
            reveal_password: session.status.is_open()
                && session.rules.password_access == PasswordAccess::Reveal
                && may(Verb::RevealPassword),
            unlock: lock.is_some_and(|lock| lock.scope == LockScope::Session) && may_lock,
        }
    }
}

/// Whether it is the turn of this actor's tier. Of a session from before there were tiers, everybody's.
fn is_asked_now(session: &Session, actor: &Actor, configuration: &Configuration, now: Timestamp) -> bool {
    let is_asked = |asked: &Asked| {
        let is = |user| asked.asks_now(user) && configuration.still_approves(user, session, asked.tier, now);
        actor.user_id().is_some_and(is)
    };
    match session.question() {
        Some(question) => is_asked(question.asked),
        None => session.is_waiting().is_ok() && session.asked.is_none(),
    }
}

impl SessionView {
    pub(crate) fn of(detail: &SessionDetail, actor: &Actor, configuration: &Configuration, now: Timestamp) -> Self {
        let session = &detail.session;
        let mut summary = SessionSummary::of(session, actor, configuration, now);
        let counting = match session.question() {
            Some(question) => configuration.counting_for(session, question, &detail.approvals, now),
            None => Vec::new(),
        };
        let has_approved = |user| {
            let is_in = |question| Configuration::has_approved(session, question, &detail.approvals, user);
            session.question().is_some_and(is_in)
        };
        summary.actions.decide &= !actor.user_id().is_some_and(has_approved);
        summary.deciders = names_of(&configuration.deciders(session, &counting, now));
        Self {
            summary,
            grants: detail.grants.iter().map(GrantView::of).collect(),
            approvals: detail
                .approvals
                .iter()
                .map(|approval| ApprovalView::of(approval, session, configuration, now))
                .collect(),
        }
    }
}

impl SessionPage {
    pub(crate) fn of(page: &Page<SessionDetail>, api: &Api, actor: &Actor) -> Self {
        Self { items: views(&page.items, api, actor), next: page.next.clone() }
    }
}

impl CreatedSessions {
    pub(crate) fn of(created: &[SessionDetail], api: &Api, actor: &Actor) -> Self {
        Self { request_id: created.first().map(|detail| detail.session.request), items: views(created, api, actor) }
    }
}

fn views(details: &[SessionDetail], api: &Api, actor: &Actor) -> Vec<SessionView> {
    let (configuration, now) = (api.app.configuration(), api.app.now());
    details.iter().map(|detail| SessionView::of(detail, actor, &configuration, now)).collect()
}

impl EndedSession {
    pub(crate) fn of(id: String, ended: Result<SessionView, Problem>) -> Self {
        let (session, problem) = match ended {
            Ok(session) => (Some(session), None),
            Err(problem) => (None, Some(problem)),
        };
        Self { id, session, problem }
    }
}

impl EndedSessions {
    pub(crate) fn new(items: Vec<EndedSession>) -> Self {
        Self { items }
    }
}

impl ConnectionList {
    pub(crate) fn of(connections: Vec<Connection>) -> Self {
        Self { items: connections.into_iter().map(ConnectionView::from).collect(), next: None }
    }
}

impl From<Connection> for ConnectionView {
    fn from(connection: Connection) -> Self {
        Self {
            id: connection.id,
            session: connection.session,
            peer: connection.peer.to_string(),
            direct: connection.direct,
            opened_at: connection.opened_at,
            closed_at: connection.closed_at,
            close_reason: connection.close_reason,
        }
    }
}
