//! Hosts as the clock asks them.

use cardea_domain::Claim;

use super::*;
use crate::HostRow;

on_both! {
    async fn a_host_is_asked_as_soon_as_anybody_wants_it(t: &Fixture) {
        let session = t.session(|_| ()).await;
        let target = t.random.target(session.resource);
        let (poll, sweep, later) = (target.clone(), target.clone(), target.clone());
        writes!(t, tx => {
            tx.sweep_host("key", &sweep, at(90)).await?;
            tx.poll_host("key", &poll, at(50)).await?;
            tx.poll_host("key", &later, at(70)).await
        }).expect("a host");
        let host = reads!(t, tx => tx.host("key").await).expect("it is known");
        assert_eq!((host.target, host.poll_at, host.sweep_at), (target, Some(at(50)), Some(at(90))));
        let next = |exclude: Vec<String>| async move { reads!(t, tx => tx.next_host_wake(at(1), "one", &exclude).await) };
        assert_eq!(next(vec![]).await, Some(at(50)));
        assert_eq!(next(vec!["key".to_owned()]).await, None);
    }

    async fn a_host_is_in_one_nodes_hands_and_saved_by_it(t: &Fixture) {
        let session = t.session(|_| ()).await;
        let target = t.random.target(session.resource);
        let wanted = target.clone();
        writes!(t, tx => tx.poll_host("key", &target, at(5)).await).expect("a host");
        let take = |node: &'static str, now: i64| async move {
            let claim = Claim { node: node.to_owned(), until: at(now + 10) };
            writes!(t, tx => tx.claim_hosts(at(now), &claim, &[], 10).await).expect("an answer")
        };
        assert_eq!(take("one", 4).await, [], "it is not due yet");
        let mut held = take("one", 6).await.pop().expect("it is due");
        assert_eq!(take("two", 7).await, [], "another node has it");
        let longer = Claim { node: "one".to_owned(), until: at(30) };
        writes!(t, tx => tx.renew_host_claims(&longer, &["key".to_owned()]).await).expect("an answer");
        assert_eq!(take("two", 20).await, [], "its node said that it goes on");

        held.poll_at = Some(at(40));
        held.sweep_at = Some(at(60));
        held.failures = 2;
        held.reported = vec!["a mark of somebody's".to_owned()];
        let (saved, stale) = (held.clone(), held.clone());
        writes!(t, tx => tx.save_host(&saved).await).expect("nobody was faster");
        let known = reads!(t, tx => tx.host("key").await).expect("it is known");
        assert_eq!((known.claim.clone(), known.failures, known.reported.len()), (None, 2, 1));
        assert!(!known.may_remove);
        writes!(t, tx => tx.allow_removal("key").await).expect("it is known");
        let allowed = reads!(t, tx => tx.host("key").await).expect("it is known");
        assert_eq!((allowed.may_remove, &allowed.reported), (true, &known.reported));
        let known = HostRow { may_remove: false, ..allowed };
        let done = known.clone();
        writes!(t, tx => tx.save_host(&done).await).expect("nobody was faster");
        let known = reads!(t, tx => tx.host("key").await).expect("it is known");
        assert_eq!((known.may_remove, known.reported.len()), (false, 1));
        assert_eq!(reads!(t, tx => tx.next_host_wake(at(1), "two", &[]).await), Some(at(40)));
        writes!(t, tx => tx.save_host(&stale).await).expect_err("it was saved since");
        assert!(reads!(t, tx => tx.is_polled("key", at(40)).await), "it is asked then");
        assert!(!reads!(t, tx => tx.is_polled("key", at(35)).await), "not so soon");
        writes!(t, tx => tx.poll_host("key", &wanted, at(35)).await).expect("an answer");
        writes!(t, tx => tx.save_host(&known).await).expect_err("somebody wants it sooner");
    }

    async fn only_what_stands_on_a_resource_is_asked_about(t: &Fixture) {
        let make = |status| t.session(move |session| session.status = status);
        let (stands, over, bare) =
            (make(Status::Available).await, make(Status::Completed).await, make(Status::LoggedIn).await);
        let grant = |session: &Session| Grant { state: GrantState::Placed, ..t.random.grant(session) };
        let grants = vec![grant(&stands), grant(&over)];
        writes!(t, tx => tx.insert_grants(&grants).await).expect("grants");
        let resources = vec![stands.resource, over.resource, bare.resource];
        let found = reads!(t, tx => tx.standing_on(&resources).await);
        assert_eq!(found, [(stands.id, stands.account.uid, Status::Available)]);
    }
}
