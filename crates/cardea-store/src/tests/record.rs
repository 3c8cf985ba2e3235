use std::collections::BTreeSet;

use cardea_domain::{ConnectionId, Kind, TokenId, TokenScope, TokenScopes, UidRange};
use serde_json::json;

use super::*;
use crate::{AuditEntry, Connection, Installation, Outcome, SignInRow, TokenRow, Tx, tx::fetch_all};

fn changer(kind: Kind) -> Permit {
    permit(Verb::ChangeConfiguration(kind))
}

async fn entries(tx: &mut Tx) -> Result<Vec<(String, String, String, String, Vec<u8>)>, StoreError> {
    let sql = "select actor, verb, subject, outcome, canonical from audit order by id";
    fetch_all!((String, String, String, String, Vec<u8>), tx, sql)
}

fn range(first: u32, last: u32) -> UidRange {
    UidRange { first, last }
}

on_both! {
    async fn a_store_belongs_to_one_installation(t: &Fixture) {
        assert_eq!(reads!(t, tx => tx.installation().await), None);
        let one = Installation { id: "c0ffee".to_owned(), created_at: at(3) };
        let written = one.clone();
        writes!(t, tx => tx.insert_installation(&written).await).expect("the first");
        let two = Installation { id: "beef".to_owned(), created_at: at(4) };
        let second = writes!(t, tx => tx.insert_installation(&two).await);
        assert!(matches!(second, Err(StoreError::Duplicate { table: "installation", .. })), "{second:?}");
        assert_eq!(reads!(t, tx => tx.installation().await), Some(one));
    }

    async fn objects_change_under_their_version(t: &Fixture) {
        let mut user = t.random.object(Kind::User, "Älice Smith");
        let written = user.clone();
        writes!(t, tx => tx.insert_object(&changer(Kind::User), &written).await).expect("an object");
        assert_eq!(reads!(t, tx => tx.objects().await), [user.clone()]);

        let same_name = t.random.object(Kind::User, "älice_SMITH");
        let refused = writes!(t, tx => tx.insert_object(&changer(Kind::User), &same_name).await);
        assert!(matches!(refused, Err(StoreError::Duplicate { table: "object", column: "name" })), "{refused:?}");
        let other_kind = t.random.object(Kind::Group, "älice_SMITH");
        writes!(t, tx => tx.insert_object(&changer(Kind::Group), &other_kind).await).expect("names are per kind");

        user.name = Name::new("bob").expect("a name");
        user.version = 2;
        user.updated_at = at(9);
        let (first, late) = (user.clone(), user.clone());
        writes!(t, tx => tx.update_object(&changer(Kind::User), &first, 1).await).expect("the version is right");
        let conflict = writes!(t, tx => tx.update_object(&changer(Kind::User), &late, 1).await);
        assert!(matches!(conflict, Err(StoreError::Conflict)), "{conflict:?}");
        assert!(reads!(t, tx => tx.objects().await).contains(&user));

        let id = user.id;
        let wrong = writes!(t, tx => tx.delete_object(&changer(Kind::Group), id, 2).await);
        assert!(matches!(wrong, Err(StoreError::NotCovered { .. })), "{wrong:?}");
        let late = writes!(t, tx => tx.delete_object(&changer(Kind::User), id, 1).await);
        assert!(matches!(late, Err(StoreError::Conflict)), "{late:?}");
        writes!(t, tx => tx.set_password(id, "$argon2id$…", at(1)).await).expect("a password");
        writes!(t, tx => tx.set_password(id, "$argon2id$2", at(2)).await).expect("another password");
        assert_eq!(reads!(t, tx => tx.password(id).await).as_deref(), Some("$argon2id$2"));
        writes!(t, tx => tx.delete_object(&changer(Kind::User), id, 2).await).expect("the version is right");
        assert_eq!(reads!(t, tx => tx.password(id).await), None);
        let nobody = writes!(t, tx => tx.set_password(id, "$argon2id$…", at(1)).await);
        assert!(matches!(nobody, Err(StoreError::Rule(_))), "{nobody:?}");
    }

    async fn revisions_hold_until_one_of_them_changes(t: &Fixture) {
        let (one, mut two) = (t.random.object(Kind::Group, "one"), t.random.object(Kind::Group, "two"));
        let pinned = [one.revision(), two.revision(), one.revision()];
        let written = [one.clone(), two.clone()];
        writes!(t, tx => {
            tx.insert_object(&changer(Kind::Group), &written[0]).await?;
            tx.insert_object(&changer(Kind::Group), &written[1]).await
        }).expect("objects");
        assert!(reads!(t, tx => tx.revisions_hold(&pinned).await));
        two.version = 2;
        writes!(t, tx => tx.update_object(&changer(Kind::Group), &two, 1).await).expect("a change");
        assert!(!reads!(t, tx => tx.revisions_hold(&pinned).await));
        let mixed_up = [Revision { object: one.id, version: 2 }];
        assert!(!reads!(t, tx => tx.revisions_hold(&mixed_up).await));
    }

    async fn a_set_up_token_is_good_once_and_in_time(t: &Fixture) {
        writes!(t, tx => {
            tx.insert_set_up(b"one", at(10)).await?;
            tx.insert_set_up(b"two", at(10)).await
        }).expect("tokens");
        let mut answers = Vec::new();
        for (digest, now) in [(b"one", 9), (b"one", 9), (b"two", 10), (b"six", 1)] {
            answers.push(writes!(t, tx => tx.use_set_up(digest, at(now)).await).expect("an answer"));
        }
        assert_eq!(answers, [true, false, false, false]);
    }

    async fn sign_ins_are_found_touched_and_ended(t: &Fixture) {
        let user = t.random.object_id(Kind::User);
        let row = |digest: u8| SignInRow {
            id: SignInId::mint(t.random.time(), &*t.random),
            user,
            digest: vec![digest; 32],
            created_at: at(1),
            expires_at: at(100),
            last_seen_at: at(1),
            ended_at: None,
            peer: Some("192.0.2.1".to_owned()),
            agent: None,
            password_at: Some(at(1)),
            factor_at: None,
        };
        let (one, two) = (row(1), row(2));
        let written = [one.clone(), two.clone()];
        writes!(t, tx => { tx.insert_sign_in(&written[0]).await?; tx.insert_sign_in(&written[1]).await }).expect("sign-ins");
        let mut same = row(1);
        same.user = t.random.object_id(Kind::User);
        let refused = writes!(t, tx => tx.insert_sign_in(&same).await);
        assert!(matches!(refused, Err(StoreError::Duplicate { table: "sign_in", column: "digest" })), "{refused:?}");

        let id = one.id;
        writes!(t, tx => tx.touch_sign_in(id, at(5)).await).expect("a touch");
        let found = reads!(t, tx => tx.sign_in_by_digest(&[1; 32]).await);
        assert_eq!(found, Some(SignInRow { last_seen_at: at(5), ..one }));
        writes!(t, tx => { tx.end_sign_in(id, at(6)).await?; tx.end_sign_in(id, at(7)).await }).expect("an end");
        let ended = reads!(t, tx => tx.sign_in_by_digest(&[1; 32]).await).expect("it is still known");
        assert_eq!(ended.ended_at, Some(at(6)));
        assert_eq!(reads!(t, tx => tx.sign_in_by_digest(&[2; 32]).await).and_then(|row| row.ended_at), None);
        assert_eq!(reads!(t, tx => tx.sign_in_by_digest(&[3; 32]).await), None);
    }

    async fn tokens_are_found_and_touched(t: &Fixture) {
        let token = TokenRow {
            id: TokenId::mint(at(1), &*t.random),
            user: t.random.object_id(Kind::User),
            name: "ci".to_owned(),
            digest: vec![9; 32],
            created_at: at(1),
            expires_at: at(100),
            operator_issued: true,
            last_used_at: None,
            scopes: TokenScopes::new([TokenScope::Decide]),
            revoked_at: None,
        };
        let written = token.clone();
        writes!(t, tx => tx.insert_token(&written).await).expect("a token");
        assert_eq!(reads!(t, tx => tx.token_by_digest(&[9; 32]).await), Some(token.clone()));
        let id = token.id;
        writes!(t, tx => tx.touch_token(id, at(4)).await).expect("a touch");
        assert_eq!(reads!(t, tx => tx.token_by_digest(&[9; 32]).await), Some(TokenRow { last_used_at: Some(at(4)), ..token }));
        assert_eq!(reads!(t, tx => tx.token_by_digest(&[8; 32]).await), None);
        let user = token.user;
        assert_eq!(reads!(t, tx => tx.open_tokens(user, at(99)).await).len(), 1);
        assert_eq!(reads!(t, tx => tx.open_tokens(user, at(100)).await), []);
        writes!(t, tx => { tx.revoke_token(id, at(5)).await?; tx.revoke_token(id, at(6)).await }).expect("an end");
        assert_eq!(reads!(t, tx => tx.open_tokens(user, at(99)).await), []);
        assert_eq!(reads!(t, tx => tx.token(id).await).and_then(|row| row.revoked_at), Some(at(5)));
    }

    async fn account_numbers_are_never_given_twice(t: &Fixture) {
        let takers: Vec<_> = (0..4).map(|_| {
            let store = t.store.clone();
            tokio::spawn(async move {
                let mut taken = Vec::new();
                for _ in 0..10 {
                    taken.push(store.write(move |tx| Box::pin(async move { tx.take_uids("one", range(70_000, 70_034), 1).await })).await.expect("an answer"));
                }
                taken
            })
        }).collect();
        let mut taken = Vec::new();
        for taker in takers {
            taken.extend(taker.await.expect("no panic"));
        }
        let numbers: BTreeSet<_> = taken.iter().flatten().copied().collect();
        assert_eq!(numbers, (70_000..=70_034).collect());
        assert_eq!(taken.iter().filter(|taken| taken.is_none()).count(), 5, "then the range is used up");
        let mut next = Vec::new();
        for (host, first, last) in [("two", 70_000, 70_034), ("one", 80_000, 80_001), ("one", 70_000, 90_000), ("two", 70_000, 70_001)] {
            next.push(writes!(t, tx => tx.take_uids(host, range(first, last), 1).await).expect("an answer"));
        }
        assert_eq!(next, [Some(70_000), Some(80_000), Some(80_001), Some(70_001)]);
        let mut blocks = Vec::new();
        for (last, count) in [(70_020, 8), (70_020, 8), (70_020, 8), (70_020, 4), (70_020, 1)] {
            blocks.push(writes!(t, tx => tx.take_uids("three", range(70_000, last), count).await).expect("an answer"));
        }
        assert_eq!(blocks, [Some(70_000), Some(70_008), None, Some(70_016), Some(70_020)]);
    }

    async fn connections_open_and_close_once(t: &Fixture) {
        let (one, two) = (t.session(|_| ()).await, t.session(|_| ()).await);
        let open = |session: &Session, peer: &str| Connection {
            id: ConnectionId::mint(t.random.time(), &*t.random),
            session: session.id,
            user: session.user,
            peer: peer.to_owned(),
            node: Some("a".to_owned()),
            direct: false,
            source: None,
            opened_at: at(1),
            closed_at: None,
            close_reason: None,
        };
        let rows = vec![open(&one, "192.0.2.1:40000"), open(&one, "[2001:db8::1]:40001"), open(&two, "192.0.2.2:1")];
        let (first, written, session, other) = (rows[0].clone(), rows.clone(), one.id, two.id);
        writes!(t, tx => {
            for row in &written {
                tx.insert_connection(row).await?;
            }
            Ok(())
        }).expect("connections");
        assert_eq!(reads!(t, tx => tx.open_connections(session).await), 2);
        let id = first.id;
        let source = "[2001:db8::2]:50000".parse().expect("an address");
        writes!(t, tx => tx.set_connection_source(id, source).await).expect("an answer");
        assert_eq!(writes!(t, tx => tx.close_connection(id, at(5), "client").await).expect("an answer"), Some(session));
        assert_eq!(writes!(t, tx => tx.close_connection(id, at(6), "error").await).expect("an answer"), None);
        let all = reads!(t, tx => tx.connections_of(session).await);
        let closed = Connection {
            source: Some(source),
            closed_at: Some(at(5)),
            close_reason: Some("client".to_owned()),
            ..first
        };
        let mut through = reads!(t, tx => tx.gateway_connections(&[session]).await);
        through.sort_by_key(|connection| all.iter().position(|known| known.id == connection.id));
        assert_eq!(through, all);
        assert_eq!(all.len(), 2);
        assert!(all.contains(&closed) && all.contains(&rows[1]));
        let mut sessions = vec![session, other];
        sessions.sort();
        assert_eq!(writes!(t, tx => tx.close_connections_of("b", at(7), "x").await).expect("an answer"), []);
        let stale = writes!(t, tx => tx.close_connections_of("a", at(7), "gateway_gone").await).expect("an answer");
        assert_eq!(stale, sessions);
        assert_eq!(reads!(t, tx => tx.open_connections(session).await), 0);
        assert_eq!(writes!(t, tx => tx.close_connections_of("a", at(8), "x").await).expect("an answer"), []);
        let past = Connection { direct: true, ..open(&one, "192.0.2.3:7") };
        let (kept, gone) = (past.clone(), past.id);
        writes!(t, tx => tx.insert_connection(&past).await).expect("a connection");
        assert_eq!(writes!(t, tx => tx.close_connections_of("a", at(9), "x").await).expect("an answer"), []);
        assert_eq!(reads!(t, tx => tx.direct_log_ins(session).await), [kept]);
        assert!(!reads!(t, tx => tx.gateway_connections(&[session]).await).iter().any(|one| one.id == gone));
        writes!(t, tx => tx.close_direct_log_ins(session, at(10), "session_ended").await).expect("an answer");
        assert_eq!(reads!(t, tx => tx.direct_log_ins(session).await), []);
    }

    async fn audit_entries_are_fixed_bytes(t: &Fixture) {
        let entry = |id: &str, outcome| AuditEntry {
            id: id.to_owned(),
            at: at(7),
            subject: "x\0y".to_owned(),
            outcome,
            detail: json!({ "b": [1, null, { "z": "\u{1f511}\"", "a": true }], "a": "ß\0" }),
        };
        let (done, no) = (entry("aud_1", Outcome::Ok), entry("aud_2", Outcome::Refused));
        writes!(t, tx => {
            tx.record(&permit(Verb::CreateSession), &done).await?;
            tx.record_refusal(&Actor::Operator { uid: 1000 }, Verb::SeeAudit, &no).await
        }).expect("entries");
        let Actor::User { id, via: Via::SignIn(sign_in), .. } = user() else { unreachable!("it is a user") };
        let expected = format!(
            "{{\"actor\":{{\"id\":\"{id}\",\"kind\":\"user\",\"name\":\"alice\",\"roles\":[\"administrator\",\"user\"],\
             \"via\":{{\"sign_in\":\"{sign_in}\"}}}},\"at\":7000000,\"detail\":{{\"a\":\"ß\\u0000\",\"b\":[1,null,\
             {{\"a\":true,\"z\":\"\u{1f511}\\\"\"}}]}},\"format\":1,\"id\":\"aud_1\",\"outcome\":\"ok\",\
             \"subject\":\"x\\u0000y\",\"verb\":\"session.create\"}}"
        );
        let found = reads!(t, tx => entries(tx).await);
        let (actor, verb, subject, outcome, canonical) = &found[0];
        assert_eq!((actor, verb.as_str(), subject.as_str(), outcome.as_str()), (&id.to_string(), "session.create", "x\u{fffd}y", "ok"));
        assert_eq!(String::from_utf8_lossy(canonical), expected);
        let (actor, verb, _, outcome, canonical) = &found[1];
        assert_eq!((actor.as_str(), verb.as_str(), outcome.as_str()), ("operator:1000", "audit.see", "refused"));
        assert!(String::from_utf8_lossy(canonical).starts_with("{\"actor\":{\"kind\":\"operator\",\"uid\":1000},"));
    }
}
