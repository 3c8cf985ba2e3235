use std::time::Duration;

use super::*;
use crate::{Entropy, Kind, Role, Via};

struct Count(std::sync::atomic::AtomicU8);

impl Entropy for Count {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn session() -> Session {
    let entropy = Count(0.into());
    let object = |kind| ObjectId::mint(kind, at(0), &entropy);
    let (user, activity, resource) = (object(Kind::User), object(Kind::Activity), object(Kind::Resource));
    let (policy, profile) = (object(Kind::AccessPolicy), object(Kind::ConnectionProfile));
    let revision = |object| Revision { object, version: 1 };
    Session {
        id: SessionId::mint(at(0), &entropy),
        request: RequestId::mint(at(0), &entropy),
        user,
        user_name: "alice".to_owned(),
        activity,
        activity_name: "Linux admin".to_owned(),
        resource,
        resource_name: "web1".to_owned(),
        policy,
        policy_name: "operators".to_owned(),
        profile,
        profile_name: "one-hour".to_owned(),
        pins: Pins {
            policy: revision(policy),
            activity: revision(activity),
            profile: revision(profile),
            resource: revision(resource),
            max_duration: Period::from_seconds(3600),
        },
        rules: Rules::default(),
        account: LoginAccount { name: "alice-aaaaaa".to_owned(), uid: 70_000 },
        notes: String::new(),
        ticket: String::new(),
        custom: CustomValues::new(),
        wanted_start_at: None,
        approve_by: None,
        asked: None,
        duration: Period::from_seconds(3600),
        closes_at: None,
        extensions: 0,
        wish: None,
        warned: 0,
        idle_since: None,
        lock: None,
        claim: None,
        requested_at: at(0),
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
        wake_at: Some(at(0)),
        fence: 0,
        version: 1,
    }
}

fn nobody() -> Asked {
    Asked::new(Vec::new(), at(0))
}

fn user(id: ObjectId, name: &str) -> EndCause {
    EndCause::By {
        actor: Actor::User { id, name: name.to_owned(), roles: vec![Role::User], via: Via::Key },
        reason: None,
    }
}

fn lock(scope: LockScope) -> Lock {
    let (title, text) = ("Stop".to_owned(), "Call us".to_owned());
    Lock { title, text, scope, stage: LockStage::Locking, by: "admin".to_owned(), at: at(1), last_error: None }
}

/// A session that became available at second 0, and its rules.
fn running(rules: Rules) -> Session {
    let mut session = Session { rules, ..session() };
    session.provisioned(at(0), None).expect("it is provisioning");
    session
}

/// What a status becomes when something happens, for every status: `None` where it is refused.
fn after(status: Status, happen: impl Fn(&mut Session) -> Result<(), Refusal>) -> Option<Status> {
    let mut session = Session { status, ..session() };
    happen(&mut session).ok().map(|()| session.status)
}

#[test]
fn only_the_states_that_allow_a_transition_take_it() {
    for status in Status::ALL {
        let open = matches!(status, Status::Available | Status::LoggedIn);
        let provisioning = status == Status::Provisioning;
        assert_eq!(
            after(status, |s| s.provisioned(at(1), None)),
            provisioning.then_some(Status::Available),
            "{status}"
        );
        assert_eq!(
            after(status, |s| s.failed(Reason::new("x", "y"), at(1))),
            provisioning.then_some(Status::Failed),
            "{status}"
        );
        assert_eq!(after(status, Session::logged_in), open.then_some(Status::LoggedIn), "{status}");
        let waiting = status == Status::WaitingForApproval;
        let denied = after(status, |s| s.denied(Reason::new("x", "y"), at(1)));
        assert_eq!(denied, waiting.then_some(Status::Denied), "{status}");
        assert_eq!(after(status, |s| s.expired(at(1))), waiting.then_some(Status::Expired), "{status}");
        let ended = after(status, |s| s.end(&EndCause::ReachedEnd, at(1)));
        let becomes = match status {
            Status::WaitingForApproval | Status::Scheduled => Some(Status::Canceled),
            Status::Provisioning | Status::Available | Status::LoggedIn | Status::Locked => Some(Status::Canceling),
            _ => None,
        };
        assert_eq!(ended, becomes, "{status}");
        let locked = after(status, |s| s.lock(lock(LockScope::Session), at(1)));
        let becomes = match status {
            Status::WaitingForApproval | Status::Scheduled | Status::Provisioning => Some(status),
            Status::Available | Status::LoggedIn | Status::Locked => Some(Status::Locked),
            _ => None,
        };
        assert_eq!(locked, becomes, "{status}");
    }
}

#[test]
fn time_is_counted_from_when_the_session_is_ready() {
    let mut session = session();
    session.provisioned(at(100), None).expect("it is provisioning");
    assert_eq!((session.start_at, session.end_at), (Some(at(100)), Some(at(3700))));
    // The first warning comes ten minutes before.
    assert_eq!(session.wake_at, Some(at(3100)));
}

#[test]
fn a_session_that_waits_begins_when_it_may_and_when_it_is_wanted() {
    let mut waiting = session();
    waiting.wait_for_approval(nobody(), at(500));
    assert_eq!((waiting.status, waiting.wake_at), (Status::WaitingForApproval, Some(at(500))));
    waiting.ready(at(10));
    assert_eq!((waiting.status, waiting.wake_at), (Status::Provisioning, Some(at(10))));
    let mut later = Session { wanted_start_at: Some(at(900)), ..session() };
    later.ready(at(10));
    assert_eq!((later.status, later.wake_at), (Status::Scheduled, Some(at(900))));
    later.ready(at(900));
    assert_eq!(later.status, Status::Provisioning);
}

#[test]
fn what_never_began_is_over_and_clean_at_once() {
    let mut waiting = session();
    waiting.wait_for_approval(nobody(), at(500));
    waiting.expired(at(500)).expect("it waits");
    assert!(waiting.clean && !waiting.listed && waiting.wake_at.is_none());
    let mut scheduled = Session { wanted_start_at: Some(at(900)), ..session() };
    scheduled.ready(at(0));
    scheduled.end(&user(scheduled.user, "alice"), at(1)).expect("it can be ended");
    assert!(scheduled.clean && scheduled.status == Status::Canceled && scheduled.wake_at.is_none());
}

#[test]
fn each_warning_is_given_once_and_again_after_an_extension() {
    let extension = Some(Extension { by: Period::from_seconds(1800), limit: 1, approval: false });
    let mut session = running(Rules { extension, ..Rules::default() });
    assert_eq!(session.warn(at(2999)), None);
    assert_eq!(session.warn(at(3000)), Some(Duration::from_secs(600)));
    assert_eq!((session.warn(at(3001)), session.next_warning()), (None, Some(at(3540))));
    assert_eq!(session.extended_end(Some(Duration::from_secs(1801))).unwrap_err().code(), "extension-too-long");
    let end = session.extended_end(None).expect("the profile allows it");
    session.extend(end, at(3002));
    assert_eq!((session.end_at, session.next_warning()), (Some(at(5400)), Some(at(4800))));
    assert_eq!(session.extended_end(None), Err(Refusal::ExtensionUsedUp(1)));
    // Both at once: only the one that matters is given.
    assert_eq!(session.warn(at(5399)), Some(Duration::from_secs(1)));
    assert_eq!((session.warn(at(5399)), session.next_warning()), (None, None));
}

#[test]
fn the_hours_of_a_policy_end_a_session_and_bound_its_extensions_unless_the_profile_keeps_it() {
    let extension = Some(Extension { by: Period::from_seconds(1800), limit: 9, approval: false });
    let mut session = Session { rules: Rules { extension, ..Rules::default() }, ..session() };
    let mut kept = session.clone();
    kept.rules.on_hours_close = OnChange::Keep;
    session.provisioned(at(0), Some(at(600))).expect("it is provisioning");
    assert_eq!(session.end_at, Some(at(600)));
    assert_eq!(session.extended_end(None), Err(Refusal::BeyondHours(at(600))));
    session.end(&EndCause::ReachedEnd, at(600)).expect("it is open");
    assert_eq!(session.reason.map(|reason| reason.code).as_deref(), Some("hours_closed"));
    kept.provisioned(at(0), Some(at(600))).expect("it is provisioning");
    assert_eq!((kept.end_at, kept.closes_at), (Some(at(3600)), None));
}

#[test]
fn hours_that_change_move_the_end_but_never_one_that_was_extended_to_later() {
    let extension = Some(Extension { by: Period::from_seconds(600), limit: 9, approval: false });
    let mut session = Session { rules: Rules { extension, ..Rules::default() }, ..session() };
    assert!(!session.clone().hours_changed(Some(at(600)), at(0)), "it has not begun");
    session.provisioned(at(0), Some(at(1800))).expect("it is provisioning");
    assert!(!session.hours_changed(Some(at(1800)), at(1)), "nothing changed");
    assert!(session.hours_changed(Some(at(900)), at(1)));
    assert_eq!((session.end_at, session.closes_at, session.wake_at), (Some(at(900)), Some(at(900)), Some(at(300))));
    assert!(session.hours_changed(None, at(2)));
    assert_eq!((session.end_at, session.closes_at), (Some(at(3600)), None), "as long as its profile says");
    let end = session.extended_end(None).expect("nothing bounds it");
    session.extend(end, at(3));
    assert!(session.hours_changed(Some(at(60)), at(4)) && session.hours_changed(None, at(5)));
    assert_eq!((end, session.end_at), (at(4200), Some(at(60))));
    session.rules.on_hours_close = OnChange::Keep;
    assert!(!session.hours_changed(Some(at(30)), at(6)), "its profile lets it live on");
}

#[test]
fn what_is_approved_while_it_is_locked_begins_when_it_is_unlocked() {
    let mut session = session();
    session.wait_for_approval(nobody(), at(100));
    session.lock(lock(LockScope::User), at(1)).expect("it is ahead");
    session.ready(at(2));
    assert_eq!((session.status, session.wake_at), (Status::Scheduled, None));
    session.unlock(at(3)).expect("it is locked");
    assert_eq!((session.status, session.wake_at), (Status::Provisioning, Some(at(3))));
}

#[test]
fn idle_time_counts_only_while_nobody_is_on_it() {
    let mut session = running(Rules { idle_limit: Some(Period::from_seconds(120)), ..Rules::default() });
    assert_eq!((session.idle_until(), session.wake_at), (Some(at(120)), Some(at(120))));
    session.logged_in().expect("it is open");
    session.rest(at(50));
    assert_eq!((session.idle_until(), session.wake_at), (None, Some(at(3000))));
    session.logged_out(at(200));
    assert_eq!(session.wake_at, Some(at(320)));
    assert_eq!((session.status, session.idle_until()), (Status::Available, Some(at(320))));
}

#[test]
fn a_lock_is_applied_and_lifted_on_the_resource_before_anybody_is_let_in_again() {
    let mut session = running(Rules::default());
    session.lock(lock(LockScope::Session), at(1)).expect("it is open");
    assert_eq!((session.status, session.wake_at), (Status::Locked, Some(at(1))));
    assert_eq!(session.lock(lock(LockScope::User), at(2)), Err(Refusal::AlreadyLocked));
    session.lock_failed("no answer".to_owned(), at(2), 0);
    assert_eq!(session.wake_at, Some(at(2).plus(Duration::from_millis(500))));
    session.lock_settled(1, at(3));
    assert_eq!(
        session.lock.as_ref().map(|lock| (lock.stage, lock.last_error.clone())),
        Some((LockStage::Locked, None))
    );
    session.unlock(at(4)).expect("it is locked");
    assert_eq!((session.status, session.wake_at), (Status::Locked, Some(at(4))));
    assert_eq!(session.unlock(at(4)), Err(Refusal::NotLocked));
    session.lock_settled(1, at(5));
    assert_eq!((session.status, session.lock.is_none()), (Status::LoggedIn, true));
}

#[test]
fn what_is_locked_before_it_begins_is_locked_when_it_would_be_available() {
    let mut session = session();
    session.lock(lock(LockScope::User), at(0)).expect("it is provisioning");
    session.provisioned(at(1), None).expect("it is provisioning");
    assert_eq!((session.status, session.wake_at), (Status::Locked, Some(at(1))));
    session.end(&EndCause::ReachedEnd, at(2)).expect("a locked session ends like any other");
    assert_eq!((session.status, session.lock), (Status::Canceling, None));
}

#[test]
fn a_failed_session_begins_again_only_when_it_is_clean() {
    let mut session = session();
    session.failed(Reason::new("unreachable", "…"), at(10)).expect("it is provisioning");
    assert_eq!(session.retry(at(11)), Err(Refusal::NotClean));
    session.cleaned(at(12));
    session.retry(at(13)).expect("nothing is left");
    assert_eq!((session.status, session.clean, session.wake_at), (Status::Provisioning, false, Some(at(13))));
    assert_eq!(session.retry(at(14)), Err(Refusal::NotRetryable(Status::Provisioning)));
}

#[test]
fn who_ends_it_decides_what_it_is_called() {
    let own = session().user;
    let other = session().resource;
    let closes = |started: bool, cause: EndCause| {
        let mut session = session();
        if started {
            session.provisioned(at(1), None).expect("it is provisioning");
        }
        session.end(&cause, at(2)).expect("it is not over");
        let code = session.reason.clone().expect("an end has a reason").code;
        session.cleaned(at(3));
        assert!(!session.listed && session.clean);
        (session.status, code)
    };
    assert_eq!(closes(true, EndCause::ReachedEnd), (Status::Completed, "reached_end".to_owned()));
    assert_eq!(closes(true, user(own, "alice")), (Status::Completed, "ended_by_user".to_owned()));
    assert_eq!(closes(false, user(own, "alice")), (Status::Canceled, "ended_by_user".to_owned()));
    assert_eq!(closes(true, user(other, "admin")), (Status::Canceled, "ended_by_administrator".to_owned()));
}

#[test]
fn clean_up_is_retried_for_ever_at_most_five_minutes_apart_and_stalls_after_one() {
    let mut session = session();
    session.end(&EndCause::ReachedEnd, at(0)).expect("it is not over");
    let mut now = at(0);
    let mut pauses = Vec::new();
    for round in 0..40 {
        session.cleanup_failed(now, 255);
        let next = session.wake_at.expect("a failed round is tried again");
        pauses.push(next.since(now));
        now = next;
        assert_eq!(session.status, Status::Canceling, "round {round}");
    }
    assert!(pauses[0] >= Duration::from_millis(375) && pauses.iter().all(|pause| *pause <= Duration::from_secs(300)));
    assert!(pauses[39] >= Duration::from_secs(225), "{:?}", pauses[39]);
    assert!(session.cleanup_stalled);
    session.cleaned(now);
    assert!(!session.cleanup_stalled);
}

#[test]
fn a_failed_session_stays_until_it_is_clean_and_dismissed_or_an_hour_old() {
    let mut session = session();
    session.failed(Reason::new("unreachable", "…"), at(10)).expect("it is provisioning");
    assert_eq!(session.dismiss(), Err(Refusal::NotClean));
    session.cleaned(at(11));
    assert!(session.listed, "it stays to be read");
    session.scanned();
    assert_eq!(session.wake_at, Some(at(3610)));
    session.dismiss().expect("it is clean");
    assert_eq!(session.dismiss(), Err(Refusal::NotDismissable(Status::Failed)));
    session.scanned();
    assert_eq!(session.wake_at, None);
}

#[test]
fn what_is_cleaned_up_already_is_not_reopened_into_another_life() {
    let mut session = running(Rules::default());
    session.end(&user(session.user, "alice"), at(10)).expect("it can end");
    let status = session.status;
    session.reopen(at(11));
    assert_eq!((session.status, session.closes_as, session.clean), (status, Some(Status::Completed), false));
    session.cleaned(at(12));
    assert_eq!(session.status, Status::Completed);
}

#[test]
fn what_waits_for_a_turn_is_put_off_but_not_past_its_end() {
    let mut session = running(Rules::default());
    let end = session.end_at.expect("it has one");
    session.put_off(at(50));
    assert_eq!(session.wake_at, Some(at(50)));
    session.put_off(end.plus(Duration::from_secs(9)));
    assert!(session.wake_at.is_some_and(|due| due <= end), "{:?}", session.wake_at);
}
