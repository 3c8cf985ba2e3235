use std::time::Duration;

use cardea_domain::{Kind, PasskeyId};
use tokio::{sync::oneshot, time::timeout};

use super::*;
use crate::{HeldFactors, PasskeyRow, SignInTicket, TotpRow, tx::fetch_one};

fn permit(verb: Verb) -> Permit {
    Permit::ask(&user(), verb).expect("an administrator may")
}

/// A user that factors can belong to.
async fn person(t: &Fixture) -> ObjectId {
    let Actor::User { id, .. } = user() else { unreachable!("it is a user") };
    let spec = Spec::parse(Kind::User, serde_json::json!({})).expect("a user").0;
    let object = Object {
        id,
        name: Name::new("alice").expect("a name"),
        spec,
        version: 1,
        created_at: at(1),
        updated_at: at(1),
    };
    writes!(t, tx => tx.insert_object(&permit(Verb::ChangeConfiguration(Kind::User)), &object).await).expect("a user");
    id
}

fn app_of(t: &Fixture, user: ObjectId) -> TotpRow {
    let secret = SecretId::mint(t.random.time(), &*t.random);
    TotpRow { user, secret, sealed: vec![7; 60], at: at(10), last_step: 0 }
}

on_both! {
    async fn an_app_is_there_when_it_is_proven_and_a_step_is_taken_once(t: &Fixture) {
        let user = person(t).await;
        let (old, new) = (app_of(t, user), app_of(t, user));
        let rows = [old.clone(), new.clone()];
        writes!(t, tx => {
            tx.put_totp_enrolment(&permit(Verb::ChangeFactors), &rows[0]).await?;
            tx.put_totp_enrolment(&permit(Verb::ChangeFactors), &rows[1]).await
        }).expect("the newer takes its place");
        assert_eq!(reads!(t, tx => tx.totp_enrolment(user).await), Some(new.clone()));
        assert_eq!(reads!(t, tx => tx.totp(user).await), None);
        let proven = [TotpRow { at: at(5), last_step: 3, ..old }, TotpRow { at: at(5), last_step: 3, ..new }];
        let secret = proven[1].secret;
        let taken = writes!(t, tx => {
            let first = tx.put_totp(&permit(Verb::ChangeFactors), &proven[0]).await?;
            let second = tx.put_totp(&permit(Verb::ChangeFactors), &proven[1]).await?;
            Ok((first, second, tx.put_totp(&permit(Verb::ChangeFactors), &proven[1]).await?))
        });
        assert_eq!(taken.expect("answers"), (false, true, false));
        let mut answers = Vec::new();
        for step in [3, 4, 4, 2, 6, 5] {
            answers.push(writes!(t, tx => tx.use_totp_step(user, secret, step).await).expect("an answer"));
        }
        assert_eq!(answers, [false, true, false, false, true, false]);
        let other = SecretId::mint(at(1), &*t.random);
        assert!(!writes!(t, tx => tx.use_totp_step(user, other, 9).await).expect("an answer"), "of an app that is gone");
        let gone = writes!(t, tx => {
            Ok((tx.delete_factors(&permit(Verb::ResetFactors), user).await?, tx.delete_factors(&permit(Verb::ResetFactors), user).await?))
        });
        assert_eq!(gone.expect("answers"), (true, false));
        assert_eq!(reads!(t, tx => tx.totp(user).await), None);
    }

    async fn a_passkey_is_found_by_credential_and_handle_and_answers_once(t: &Fixture) {
        let user = person(t).await;
        let change = permit(Verb::ChangeFactors);
        let id = PasskeyId::mint(t.random.time(), &*t.random);
        let row = PasskeyRow {
            id, user, name: "Laptop".to_owned(), credential: vec![1; 32], kept: "0".to_owned(), created_at: at(1), used_at: None,
        };
        let kept = row.clone();
        let handles = writes!(t, tx => {
            let first = tx.passkey_handle(&change, user, &[7; 16]).await?;
            let second = tx.passkey_handle(&change, user, &[8; 16]).await?;
            tx.insert_passkey(&change, &kept).await?;
            Ok((first, second))
        });
        assert_eq!(handles.expect("handles"), (vec![7; 16], vec![7; 16]));
        assert_eq!(reads!(t, tx => tx.held_factors(user).await), HeldFactors { totp: false, passkey: true });
        assert_eq!(reads!(t, tx => tx.passkey_of(&[1; 32], &[7; 16]).await), Some(row.clone()));
        assert_eq!(reads!(t, tx => tx.passkey_of(&[1; 32], &[8; 16]).await), None);
        let (same, twin) = (row.clone(), PasskeyRow { id: PasskeyId::mint(t.random.time(), &*t.random), ..row.clone() });
        let change = permit(Verb::ChangeFactors);
        let refused = writes!(t, tx => tx.insert_passkey(&change, &twin).await);
        assert!(matches!(refused, Err(StoreError::Duplicate { table: "passkey", .. })), "{refused:?}");
        let shown = writes!(t, tx => {
            Ok((tx.passkey_shown(&same, "1", at(2)).await?, tx.passkey_shown(&same, "1", at(2)).await?))
        });
        assert_eq!(shown.expect("answers"), (true, false), "an answer that was judged by what is no more");
        let change = permit(Verb::ChangeFactors);
        let gone = writes!(t, tx => {
            Ok((tx.delete_passkey(&change, user, id).await?, tx.delete_passkey(&change, user, id).await?))
        });
        assert_eq!(gone.expect("answers"), (Some("Laptop".to_owned()), None));
    }

    async fn a_challenge_is_answered_once(t: &Fixture) {
        let (one, other) = (SecretId::mint(at(1), &*t.random), SecretId::mint(at(1), &*t.random));
        let answer = async |id, now| {
            writes!(t, tx => tx.answer_passkey_challenge(id, at(10), at(now)).await).expect("an answer")
        };
        assert!(answer(one, 2).await && !answer(one, 9).await && answer(other, 9).await);
        assert!(answer(one, 10).await, "what is over is forgotten; who asks looks at the time first");
    }

    async fn factors_are_not_written_by_just_any_permit(t: &Fixture) {
        let user = person(t).await;
        let row = app_of(t, user);
        let refused = writes!(t, tx => tx.put_totp_enrolment(&permit(Verb::SeeAudit), &row).await);
        assert!(matches!(refused, Err(StoreError::NotCovered { .. })), "{refused:?}");
        let refused = writes!(t, tx => tx.replace_recovery_codes(&permit(Verb::ResetFactors), user, &[], at(1)).await);
        assert!(matches!(refused, Err(StoreError::NotCovered { .. })), "{refused:?}");
    }

    async fn recovery_codes_are_used_up_one_by_one(t: &Fixture) {
        let user = person(t).await;
        let codes = vec![vec![1; 32], vec![2; 32]];
        writes!(t, tx => tx.replace_recovery_codes(&permit(Verb::ChangeFactors), user, &codes, at(1)).await).expect("codes");
        let mut answers = Vec::new();
        for code in [1, 1, 3, 2] {
            answers.push(writes!(t, tx => tx.use_recovery_code(user, &[code; 32], at(2)).await).expect("an answer"));
        }
        assert_eq!(answers, [true, false, false, true]);
        assert_eq!(reads!(t, tx => tx.recovery_codes_left(user).await), 0);
        let codes = vec![vec![1; 32]];
        writes!(t, tx => tx.replace_recovery_codes(&permit(Verb::ChangeFactors), user, &codes, at(3)).await).expect("codes");
        assert_eq!(reads!(t, tx => tx.recovery_codes_left(user).await), 1);
    }

    async fn a_ticket_is_good_where_it_was_made_in_time_and_a_few_times(t: &Fixture) {
        let user = person(t).await;
        let ticket = |digest: u8| SignInTicket { digest: vec![digest; 32], user, peer: "192.0.2.1".to_owned(), expires_at: at(10) };
        let tickets = [ticket(1), ticket(2)];
        writes!(t, tx => { tx.insert_ticket(&tickets[0]).await?; tx.insert_ticket(&tickets[1]).await }).expect("tickets");
        let attempt = async |digest: u8, peer: &'static str, now| {
            writes!(t, tx => tx.try_ticket(&[digest; 32], peer, at(now), 2).await).expect("an answer").is_some()
        };
        let here = "192.0.2.1";
        assert!(!attempt(1, "192.0.2.2", 9).await && !attempt(1, here, 10).await && !attempt(3, here, 9).await);
        assert!(attempt(1, here, 9).await && attempt(1, here, 9).await && !attempt(1, here, 9).await);
        assert_eq!(reads!(t, tx => tx.ticket_user(&[2; 32]).await), Some(user));
        writes!(t, tx => tx.delete_ticket(&[2; 32]).await).expect("it is used");
        assert!(!attempt(2, here, 9).await);
        writes!(t, tx => tx.forget_sign_ins(user, at(0), at(10)).await).expect("old ones are forgotten");
        assert_eq!(reads!(t, tx => tx.ticket_user(&[1; 32]).await), None);
    }
}

/// Two units that both count and then write: the second counts what the first has left.
#[tokio::test(flavor = "multi_thread")]
async fn who_holds_a_user_counts_what_nobody_else_changes_meanwhile() {
    const WAITING: &str = "select count(*) from pg_locks l join pg_database d on d.oid = l.database \
        join pg_stat_activity a on a.pid = l.pid where d.datname = current_database() \
        and a.wait_event_type = 'Lock' and a.query like '%for no key update%'";
    let t = Fixture::postgres().await;
    let user = person(&t).await;
    let row = |number: u8| PasskeyRow {
        id: PasskeyId::mint(t.random.time(), &*t.random),
        user,
        name: format!("key {number}"),
        credential: vec![number; 32],
        kept: "0".to_owned(),
        created_at: at(1),
        used_at: None,
    };
    let rows = [row(1), row(2)];
    let ids = [rows[0].id, rows[1].id];
    let change = permit(Verb::ChangeFactors);
    writes!(t, tx => {
        tx.insert_passkey(&change, &rows[0]).await?;
        tx.insert_passkey(&change, &rows[1]).await
    })
    .expect("two passkeys");
    let take_off = |id: PasskeyId, holding: Option<oneshot::Sender<()>>, go_on: oneshot::Receiver<()>| {
        let (store, change) = (t.store.clone(), permit(Verb::ChangeFactors));
        tokio::spawn(async move {
            let done = store.write(move |tx| {
                Box::pin(async move {
                    tx.hold_user(user).await?;
                    if let Some(holding) = holding {
                        holding.send(()).expect("the test listens");
                    }
                    go_on.await.expect("the test says so");
                    let left = tx.passkeys(user).await?.len();
                    if left > 1 {
                        tx.delete_passkey(&change, user, id).await?;
                    }
                    Ok::<_, StoreError>(left)
                })
            });
            done.await.expect("it is written")
        })
    };
    let (holding, held) = oneshot::channel();
    let (let_first, first_goes) = oneshot::channel();
    let (let_second, second_goes) = oneshot::channel();
    let first = take_off(ids[0], Some(holding), first_goes);
    held.await.expect("the first holds the user");
    let_second.send(()).expect("it listens");
    let second = take_off(ids[1], None, second_goes);
    let waits = async {
        while reads!(t, tx => fetch_one!((i64,), tx, WAITING)).0 == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(60), waits).await.expect("the second waits for the first");
    let_first.send(()).expect("it listens");
    assert_eq!((first.await.expect("no panic"), second.await.expect("no panic")), (2, 1));
    assert_eq!(reads!(t, tx => tx.passkeys(user).await).len(), 1);
}
