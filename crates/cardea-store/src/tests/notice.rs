//! The outbox.

use cardea_domain::{Facts, NoticeId, NoticeKind, NoticeState};

use super::*;
use crate::NoticeRow;

fn notice(t: &Fixture, wake: i64) -> NoticeRow {
    let facts = Facts::from([("user".to_owned(), t.random.text()), ("notes".to_owned(), "\0".to_owned())]);
    NoticeRow {
        id: NoticeId::mint(at(1), &*t.random),
        kind: NoticeKind::RequestWaiting,
        outlet: "mail".to_owned(),
        receiver: "alice@example.com".to_owned(),
        user: t.random.maybe(t.random.object_id(Kind::User)),
        request: Some(RequestId::mint(at(1), &*t.random)),
        sessions: vec![SessionId::mint(at(1), &*t.random)],
        invitation: None,
        facts,
        state: NoticeState::Waiting,
        created_at: at(1),
        wake_at: Some(at(wake)),
        give_up_at: at(1000),
        attempts: 0,
        last_error: None,
        done_at: None,
        claim: None,
        version: 1,
    }
}

async fn keep(t: &Fixture, notices: Vec<NoticeRow>) {
    writes!(t, tx => { tx.notices().extend(notices); Ok(()) }).expect("they are written with the unit");
}

on_both! {
    async fn a_notice_is_there_if_its_unit_is(t: &Fixture) {
        let (kept, lost) = (notice(t, 5), notice(t, 5));
        let (known, gone) = (kept.id, lost.id);
        let expected = kept.clone();
        keep(t, vec![kept]).await;
        let failed: Result<(), _> = writes!(t, tx => { tx.notices().push(lost); Err(StoreError::Conflict) });
        failed.expect_err("the unit said no");
        assert_eq!(reads!(t, tx => tx.notice(known).await), Some(expected));
        assert_eq!(reads!(t, tx => tx.notice(gone).await), None);
        assert_eq!(reads!(t, tx => tx.notice_figures().await).waiting, 1);
    }

    async fn a_notice_is_in_one_nodes_hands_until_its_lease_is_over(t: &Fixture) {
        let (one, other) = (notice(t, 5), NoticeRow { outlet: "webhook:chat".to_owned(), ..notice(t, 5) });
        keep(t, vec![one.clone(), other]).await;
        let take = |node: &'static str, now: i64| async move {
            let claim = Claim { node: node.to_owned(), until: at(now + 10) };
            writes!(t, tx => tx.claim_notices("mail", (at(now), &claim), &[], 10).await).expect("an answer")
        };
        assert_eq!(take("one", 4).await, [], "it is not due yet");
        let first = take("one", 6).await.pop().expect("it is due");
        assert_eq!(first.id, one.id);
        assert_eq!(take("two", 7).await, [], "another node has it");
        let next = |node: &'static str, now: i64| async move {
            reads!(t, tx => tx.next_notice_wake("mail", (at(now), node), &[]).await)
        };
        assert_eq!((next("two", 7).await, next("two", 17).await), (None, Some(at(5))));
        let second = take("two", 17).await.pop().expect("the lease is over");
        let stale = NoticeRow { state: NoticeState::Sent, ..first };
        writes!(t, tx => tx.settle_notice(&stale).await).expect_err("another node has it by now");
        let sent = NoticeRow { state: NoticeState::Sent, wake_at: None, attempts: 1, done_at: Some(at(18)), ..second };
        writes!(t, tx => tx.settle_notice(&sent).await).expect("it is this node's");
        assert_eq!(take("one", 100).await, [], "nothing is left to do");
    }

    async fn what_is_over_is_given_up_and_forgotten(t: &Fixture) {
        let (late, held, done) = (notice(t, 5), notice(t, 6), NoticeRow { state: NoticeState::Sent, wake_at: None, ..notice(t, 5) });
        let (late_id, done_id) = (late.id, done.id);
        keep(t, vec![late, done.clone()]).await;
        writes!(t, tx => tx.settle_notice(&NoticeRow { done_at: Some(at(10)), ..done }).await).expect("done");
        keep(t, vec![held]).await;
        let claim = Claim { node: "one".to_owned(), until: at(3000) };
        let held = writes!(t, tx => tx.claim_notices("mail", (at(6), &claim), &[late_id], 1).await).expect("one").remove(0);
        let given_up = writes!(t, tx => tx.give_up_notices(at(2000), "nobody sends it", 10).await);
        assert_eq!(given_up.expect("an answer"), 1, "the other is in somebody's hands: {held:?}");
        let failed = reads!(t, tx => tx.list_notices(Some(NoticeState::Failed), None, 10).await);
        assert_eq!(failed.iter().map(|one| (one.id, one.last_error.as_deref())).collect::<Vec<_>>(), [(late_id, Some("nobody sends it"))]);
        assert_eq!(writes!(t, tx => tx.forget_notices(at(11), at(11), 10).await).expect("an answer"), 1);
        assert_eq!(reads!(t, tx => tx.notice(done_id).await), None);
        assert_eq!(reads!(t, tx => tx.list_notices(None, None, 10).await).len(), 2);
    }
}
