use super::*;
use crate::StoreFigures;

on_both! {
    async fn figures_count_what_is_listed_out_stalled_and_due(t: &Fixture) {
        assert_eq!(reads!(t, tx => tx.figures(at(100)).await), StoreFigures::default());
        // Out of every count until something is said of it.
        let quiet = |session: &mut Session| {
            (session.listed, session.clean, session.cleanup_stalled) = (true, true, false);
            (session.status, session.wake_at) = (Status::Available, None);
        };
        t.session(quiet).await;
        let open = t.session(quiet).await;
        t.session(|session| { quiet(session); (session.listed, session.status) = (false, Status::Completed); }).await;
        for (since, wake) in [(30, 90), (20, 101)] {
            t.session(|session| {
                quiet(session);
                (session.status, session.clean, session.cleanup_stalled) = (Status::Canceling, false, true);
                (session.cleanup_since, session.wake_at) = (Some(at(since)), Some(at(wake)));
            }).await;
        }
        t.session(|session| { quiet(session); session.wake_at = Some(at(80)); }).await;
        for state in GrantState::ALL {
            t.grant(&open, |grant| (grant.ordinal, grant.state) = (state as i64, state)).await;
        }

        let mut figures = reads!(t, tx => tx.figures(at(100)).await);
        figures.sessions.sort_by_key(|(status, _)| status.as_str());
        assert_eq!(figures, StoreFigures {
            sessions: vec![(Status::Available, 3), (Status::Canceling, 2)],
            grants_out: 3,
            stalled: 2,
            stalled_since: Some(at(20)),
            due: 2,
            due_since: Some(at(80)),
            reviews_overdue: 0,
        });
    }

    async fn a_session_keeps_the_trace_of_its_request(t: &Fixture) {
        let (one, two, other) = (t.session(|_| ()).await, t.session(|_| ()).await, t.session(|_| ()).await);
        let ids = [one.id, two.id];
        writes!(t, tx => tx.set_trace(&ids, "00-aa-bb-01").await).expect("it is noted");
        for (session, trace) in [(&one, Some("00-aa-bb-01")), (&two, Some("00-aa-bb-01")), (&other, None)] {
            let id = session.id;
            assert_eq!(reads!(t, tx => tx.trace_of(id).await).as_deref(), trace);
            assert_eq!(reads!(t, tx => tx.session(id).await), Some(session.clone()), "and is as it was");
        }
    }
}
