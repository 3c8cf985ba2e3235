use cardea_domain::{Kind, PasskeyId};

use super::*;
use crate::{HeldFactors, PasskeyChallenge, PasskeyRow, SignInTicket, TotpRow};

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

    async fn a_challenge_is_taken_once_in_time_where_and_for_whom_it_was_made(t: &Fixture) {
        let user = person(t).await;
        let challenge = |digest: u8, user| PasskeyChallenge {
            digest: vec![digest; 32], user, peer: "192.0.2.1".to_owned(), state: "asked".to_owned(), expires_at: at(10),
        };
        let rows = [challenge(1, None), challenge(2, Some(user)), challenge(3, None)];
        let put = writes!(t, tx => {
            let first = tx.put_passkey_challenge(&rows[0], at(1), (2, 9)).await?;
            let second = tx.put_passkey_challenge(&rows[1], at(1), (9, 2)).await?;
            let here = tx.put_passkey_challenge(&rows[2], at(1), (2, 9)).await?;
            let in_all = tx.put_passkey_challenge(&rows[2], at(1), (9, 2)).await?;
            Ok((first, second, here, in_all))
        });
        assert_eq!(put.expect("answers"), (true, true, false, false));
        let take = async |digest: u8, user, peer: &'static str, now| {
            writes!(t, tx => tx.take_passkey_challenge(&[digest; 32], user, peer, at(now)).await).expect("an answer").is_some()
        };
        let here = "192.0.2.1";
        assert!(!take(1, Some(user), here, 2).await && !take(1, None, "192.0.2.2", 2).await && !take(1, None, here, 10).await);
        assert!(take(1, None, here, 9).await && !take(1, None, here, 9).await);
        assert!(!take(2, None, here, 2).await && take(2, Some(user), here, 2).await);
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
