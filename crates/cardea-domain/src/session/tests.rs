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
        account: LoginAccount { name: "alice-aaaaaa".to_owned(), uid: 70_000 },
        notes: String::new(),
        ticket: String::new(),
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

fn user(id: ObjectId, name: &str) -> EndCause {
    EndCause::By {
        actor: Actor::User { id, name: name.to_owned(), roles: vec![Role::User], via: Via::Key },
        reason: None,
    }
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
        assert_eq!(after(status, |s| s.provisioned(at(1))), provisioning.then_some(Status::Available), "{status}");
        assert_eq!(
            after(status, |s| s.failed(Reason::new("x", "y"), at(1))),
            provisioning.then_some(Status::Failed),
            "{status}"
        );
        assert_eq!(after(status, Session::logged_in), open.then_some(Status::LoggedIn), "{status}");
        let ended = after(status, |s| s.end(&EndCause::ReachedEnd, at(1)));
        assert_eq!(ended, (open || provisioning).then_some(Status::Canceling), "{status}");
    }
}

#[test]
fn time_is_counted_from_when_the_session_is_ready() {
    let mut session = session();
    session.provisioned(at(100)).expect("it is provisioning");
    assert_eq!((session.start_at, session.end_at, session.wake_at), (Some(at(100)), Some(at(3700)), Some(at(3700))));
}

#[test]
fn who_ends_it_decides_what_it_is_called() {
    let own = session().user;
    let other = session().resource;
    let closes = |started: bool, cause: EndCause| {
        let mut session = session();
        if started {
            session.provisioned(at(1)).expect("it is provisioning");
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
