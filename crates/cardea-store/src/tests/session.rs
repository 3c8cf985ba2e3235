use std::collections::BTreeSet;

use cardea_domain::{Lane, LogLevel, Room};

use super::*;

/// Out of the way of claims.
fn asleep(session: &mut Session) {
    session.wake_at = None;
}

fn claim(node: &str, until: i64) -> Claim {
    Claim { node: node.to_owned(), until: at(until) }
}

on_both! {
    async fn what_one_node_holds_no_other_gets_before_its_lease_is_over(t: &Fixture) {
        let mut session = t.session(|session| (session.wake_at, session.claim) = (Some(at(1)), None)).await;
        let id = session.id;
        let mine = writes!(t, tx => tx.claim_due(at(5), &claim("a", 15), Vec::new, Room::default(), 9).await).expect("a claim");
        assert_eq!((mine.len(), mine[0].fence), (1, session.fence + 1));
        let theirs = writes!(t, tx => tx.claim_due(at(14), &claim("b", 24), Vec::new, Room::default(), 9).await).expect("a claim");
        assert_eq!((theirs.len(), reads!(t, tx => tx.next_wake(at(14), "b", &[], &Room::default()).await)), (0, None));
        assert!(matches!(writes!(t, tx => tx.claim(id, &claim("b", 24), at(14)).await), Err(StoreError::Conflict)));
        // Its own node may take it again, and keeps it as long as it says so.
        writes!(t, tx => tx.renew_claims(&claim("a", 30), &[id]).await).expect("a write");
        assert_eq!(writes!(t, tx => tx.claim_due(at(20), &claim("b", 40), Vec::new, Room::default(), 9).await).expect("a claim"), []);
        let over = writes!(t, tx => tx.claim_due(at(30), &claim("b", 40), Vec::new, Room::default(), 9).await).expect("a claim");
        assert_eq!((over.len(), over[0].fence), (1, session.fence + 2));
        writes!(t, tx => tx.renew_claims(&claim("a", 90), &[id]).await).expect("a write");
        session = reads!(t, tx => tx.session(id).await).expect("it is there");
        assert_eq!(session.claim, Some(claim("b", 40)));
    }

    async fn a_save_keeps_the_hold_as_long_as_it_was_renewed_for(t: &Fixture) {
        let id = t.session(|session| (session.wake_at, session.claim) = (Some(at(1)), None)).await.id;
        let mut mine = writes!(t, tx => tx.claim_due(at(5), &claim("a", 15), Vec::new, Room::default(), 9).await).expect("a claim");
        let mut session = mine.pop().expect("it is due");
        writes!(t, tx => tx.renew_claims(&claim("a", 30), &[id]).await).expect("a write");
        let mut session = writes!(t, tx => {
            tx.save_session(&driver(), &mut session).await?;
            Ok(session)
        }).expect("a session is saved");
        assert_eq!(reads!(t, tx => tx.session(id).await).and_then(|session| session.claim), Some(claim("a", 30)));
        assert_eq!(writes!(t, tx => tx.claim_due(at(20), &claim("b", 40), Vec::new, Room::default(), 9).await).expect("a claim"), []);
        session.claim = None;
        writes!(t, tx => tx.save_session(&driver(), &mut session).await).expect("a session is saved");
        assert_eq!(reads!(t, tx => tx.session(id).await).and_then(|session| session.claim), None, "let go");
    }

    async fn a_session_comes_back_as_it_was(t: &Fixture) {
        for _ in 0..60 {
            let mut session = t.session(|_| ()).await;
            let id = session.id;
            assert_eq!(reads!(t, tx => tx.session(id).await), Some(session.clone()));

            // Everything that may change, changes.
            let other = t.random.session();
            session.status = other.status;
            session.start_at = other.start_at;
            session.end_at = other.end_at;
            session.reason = other.reason;
            session.progress = other.progress;
            session.listed = other.listed;
            session.clean = other.clean;
            session.closes_as = other.closes_as;
            session.cleanup_since = other.cleanup_since;
            session.cleanup_attempts = other.cleanup_attempts;
            session.cleanup_stalled = other.cleanup_stalled;
            session.wake_at = other.wake_at;
            session.wanted_start_at = other.wanted_start_at;
            session.approve_by = other.approve_by;
            session.asked = other.asked;
            session.wish = other.wish;
            session.duration = other.duration;
            session.closes_at = other.closes_at;
            session.extensions = other.extensions;
            session.warned = other.warned;
            session.idle_since = other.idle_since;
            session.lock = other.lock;
            session.claim = t.random.maybe(claim("a", 7));
            let saved = writes!(t, tx => {
                tx.save_session(&driver(), &mut session).await?;
                Ok(session)
            }).expect("a session is saved");
            assert_eq!(saved.version, 2);
            assert_eq!(reads!(t, tx => tx.session(id).await), Some(saved));
        }
        let none = SessionId::mint(at(0), &*t.random);
        assert_eq!(reads!(t, tx => tx.session(none).await), None);
    }

    /// Of many that save the same version at once, one wins and the others hear of it.
    async fn no_save_is_lost(t: &Fixture) {
        let session = t.session(|_| ()).await;
        let savers: Vec<_> = (0..8).map(|n| {
            let (store, mut session) = (t.store.clone(), session.clone());
            tokio::spawn(async move {
                store.write(move |tx| Box::pin(async move {
                    session.cleanup_attempts = n;
                    tx.save_session(&driver(), &mut session).await?;
                    Ok::<_, StoreError>(n)
                })).await
            })
        }).collect();
        let mut won = Vec::new();
        for saver in savers {
            match saver.await.expect("no panic") {
                Ok(n) => won.push(n),
                Err(error) => assert!(matches!(error, StoreError::Conflict), "{error:?}"),
            }
        }
        assert_eq!(won.len(), 1);
        let id = session.id;
        let stored = reads!(t, tx => tx.session(id).await).expect("it is there");
        assert_eq!((stored.cleanup_attempts, stored.version), (won[0], 2));
    }

    async fn a_claim_overtakes_who_read_before(t: &Fixture) {
        let mut stale = t.session(asleep).await;
        let id = stale.id;
        let claimed = writes!(t, tx => tx.raise_fence(id).await).expect("a claim");
        assert_eq!((claimed.fence, claimed.version), (stale.fence + 1, stale.version + 1));
        let late = writes!(t, tx => tx.save_session(&driver(), &mut stale).await);
        assert!(matches!(late, Err(StoreError::Conflict)), "{late:?}");
        let none = SessionId::mint(at(0), &*t.random);
        assert!(matches!(writes!(t, tx => tx.raise_fence(none).await), Err(StoreError::Conflict)));
    }

    async fn what_is_due_is_claimed_most_overdue_first(t: &Fixture) {
        let mut ids = Vec::new();
        for wake in [Some(30), Some(10), None, Some(20), Some(99)] {
            ids.push(t.session(|session| session.wake_at = wake.map(at)).await.id);
        }
        let in_hand = vec![ids[3]];
        let (hand, again) = (in_hand.clone(), in_hand.clone());
        assert_eq!(reads!(t, tx => tx.next_wake(at(0), "a", &[], &Room::default()).await), Some(at(10)));
        let claimed = writes!(t, tx => tx.claim_due(at(50), &claim("a", 60), || hand.clone(), Room::default(), 10).await).expect("a claim");
        assert_eq!(claimed.iter().map(|session| session.id).collect::<Vec<_>>(), [ids[1], ids[0]]);
        let (first, first_id) = (claimed[0].clone(), ids[1]);
        assert_eq!(reads!(t, tx => tx.session(first_id).await), Some(first));
        let mut excluded: Vec<_> = claimed.iter().map(|session| session.id).collect();
        excluded.extend(again);
        assert_eq!(reads!(t, tx => tx.next_wake(at(50), "a", &excluded, &Room::default()).await), Some(at(99)));
        let one = writes!(t, tx => tx.claim_due(at(50), &claim("a", 60), Vec::new, Room::default(), 1).await).expect("a claim");
        assert_eq!(one.iter().map(|session| session.id).collect::<Vec<_>>(), [ids[1]]);
    }

    async fn what_finds_no_room_on_its_resource_is_left(t: &Fixture) {
        let resource = t.session(asleep).await.resource;
        let (mut crowd, mut others) = (Vec::new(), Vec::new());
        for at_second in 1..=Lane::Placing.at_once() + 2 {
            let one = |session: &mut Session| {
                (session.resource, session.status) = (resource, Status::Provisioning);
                (session.clean, session.wake_at) = (false, Some(at(i64::try_from(at_second).expect("a small number"))));
            };
            crowd.push(t.session(one).await.id);
        }
        for (second, status, clean) in
            [(20, Status::Available, false), (21, Status::Canceling, false), (22, Status::Completed, true)]
        {
            let one = |session: &mut Session| {
                (session.resource, session.status) = (resource, status);
                (session.clean, session.wake_at) = (clean, Some(at(second)));
            };
            others.push(t.session(one).await.id);
        }
        let mut room = Room::default();
        assert!(room.take(Lane::Placing, resource) && room.take(Lane::Placing, resource));
        let left = room.clone();
        let taken = writes!(t, tx => tx.claim_due(at(50), &claim("a", 60), Vec::new, left.clone(), 99).await).expect("a claim");
        let taken: Vec<_> = taken.iter().map(|session| session.id).collect();
        let first = &crowd[..Lane::Placing.at_once() - 2];
        assert_eq!(taken, [first, &others[..]].concat(), "as many as there is room for, and what is in no crowd");

        // A lane that is full is not even looked at.
        while room.take(Lane::Placing, resource) {}
        let (none, hand) = (room.clone(), taken.clone());
        assert_eq!(reads!(t, tx => tx.next_wake(at(50), "a", &hand, &none).await), None);
        let (none, hand) = (room.clone(), taken.clone());
        let more = writes!(t, tx => tx.claim_due(at(50), &claim("a", 60), || hand.clone(), none.clone(), 99).await);
        assert_eq!(more.expect("a claim"), []);
        room.give_back(Lane::Placing, resource);
        let (one, hand) = (room.clone(), taken.clone());
        let more = writes!(t, tx => tx.claim_due(at(50), &claim("a", 60), || hand.clone(), one.clone(), 99).await).expect("a claim");
        assert_eq!(more.iter().map(|session| session.id).collect::<Vec<_>>(), [crowd[first.len()]]);
    }

    /// Workers that claim at the same time, and put off what they claimed, never get the same session.
    async fn claims_at_the_same_time_never_meet(t: &Fixture) {
        const SESSIONS: usize = 60;
        for _ in 0..SESSIONS {
            t.session(|session| session.wake_at = Some(at(1))).await;
        }
        let workers: Vec<_> = (0..4).map(|_| {
            let store = t.store.clone();
            tokio::spawn(async move {
                let mut got = Vec::new();
                // Each round takes at least one until none is left, or another worker holds what is left.
                for _ in 0..SESSIONS {
                    let claimed = store.write(|tx| Box::pin(async move {
                        let mut claimed = tx.claim_due(at(5), &claim("a", 60), Vec::new, Room::default(), 3).await?;
                        for session in &mut claimed {
                            session.wake_at = None;
                            tx.save_session(&driver(), session).await?;
                        }
                        Ok::<_, StoreError>(claimed)
                    })).await.expect("claims do not fail");
                    got.extend(claimed.into_iter().map(|session| session.id));
                }
                got
            })
        }).collect();
        let mut all = Vec::new();
        for worker in workers {
            all.extend(worker.await.expect("no panic"));
        }
        assert_eq!(all.len(), SESSIONS);
        assert_eq!(all.into_iter().collect::<BTreeSet<_>>().len(), SESSIONS);
    }

    async fn objects_know_who_hangs_on_them(t: &Fixture) {
        let session = t.session(|session| session.clean = false).await;
        let (user, policy) = (session.user, session.policy);
        t.session(|session| { session.user = user; session.clean = true; }).await;
        assert_eq!(reads!(t, tx => tx.live_sessions_of(user).await), 1);
        assert_eq!(reads!(t, tx => tx.live_sessions_of(policy).await), 1);
        let nobody = t.random.object_id(Kind::User);
        assert_eq!(reads!(t, tx => tx.live_sessions_of(nobody).await), 0);
    }

    async fn a_permit_for_something_else_is_refused(t: &Fixture) {
        let mut session = t.session(|_| ()).await;
        let new = t.random.session();
        assert!(matches!(writes!(t, tx => tx.insert_session(&driver(), &new).await), Err(StoreError::NotCovered { .. })));
        assert!(matches!(writes!(t, tx => tx.save_session(&creator(), &mut session).await), Err(StoreError::NotCovered { .. })));
    }

    async fn log_lines_are_numbered_without_gaps(t: &Fixture) {
        const WRITERS: usize = 4;
        const LINES: usize = 25;
        let id = t.session(|_| ()).await.id;
        let writers: Vec<_> = (0..WRITERS).map(|_| {
            let store = t.store.clone();
            tokio::spawn(async move {
                for n in 0..LINES {
                    let fails = n % 5 == 4;
                    let result = store.write(move |tx| Box::pin(async move {
                        tx.append_log(id, at(1), LogLevel::Info, Stage::Session, "x").await?;
                        if fails { Err(StoreError::Conflict) } else { Ok(()) }
                    })).await;
                    assert_eq!(result.is_err(), fails, "{result:?}");
                }
            })
        }).collect();
        for writer in writers {
            writer.await.expect("no panic");
        }
        let lines = reads!(t, tx => tx.log(id, 0, 1000).await);
        let numbers: Vec<_> = lines.iter().map(|line| line.line).collect();
        assert_eq!(numbers, (1..=80).collect::<Vec<_>>());
        let some = reads!(t, tx => tx.log(id, 78, 1).await);
        assert_eq!(some.iter().map(|line| line.line).collect::<Vec<_>>(), [79]);
    }

    async fn a_log_line_holds_whatever_a_target_says(t: &Fixture) {
        let id = t.session(|_| ()).await.id;
        let long = "ß".repeat(10_000);
        writes!(t, tx => tx.append_log(id, at(7), LogLevel::Warn, Stage::PostSession, &long).await).expect("a line");
        writes!(t, tx => tx.append_log(id, at(8), LogLevel::Error, Stage::Request, "a\0b\u{1f511}").await).expect("a line");
        let lines = reads!(t, tx => tx.log(id, 0, 10).await);
        assert!(lines[0].message.len() <= 8192 && lines[0].message.ends_with("ß…"));
        assert_eq!((lines[0].at, lines[0].level, lines[0].stage), (at(7), LogLevel::Warn, Stage::PostSession));
        assert_eq!(lines[1].message, "a\u{fffd}b\u{1f511}");
    }
}
