use std::collections::BTreeSet;

use cardea_domain::{Kind, SignInId};

use super::*;
use crate::{ExternalSignIn, SignInRow, Trip};

/// A provider and a user.
async fn sso(t: &Fixture) -> (ObjectId, ObjectId) {
    let object = |kind, name: &str, spec| Object {
        id: ObjectId::mint(kind, t.random.time(), &*t.random),
        name: Name::new(name).expect("a name"),
        spec: Spec::parse(kind, spec).expect("a spec").0,
        version: 1,
        created_at: at(1),
        updated_at: at(1),
    };
    let spec = serde_json::json!({ "protocol": "oidc", "issuer": "https://sso.example", "client_id": "cardea" });
    let (provider, user) =
        (object(Kind::IdentityProvider, "sso", spec), object(Kind::User, "dana", serde_json::json!({})));
    let (ids, permit) = ((provider.id, user.id), |kind| Permit::ask(&super::user(), Verb::ChangeConfiguration(kind)));
    let permits = [Kind::IdentityProvider, Kind::User].map(|kind| permit(kind).expect("an administrator may"));
    writes!(t, tx => {
        tx.insert_object(&permits[0], &provider).await?;
        tx.insert_object(&permits[1], &user).await
    })
    .expect("objects");
    ids
}

on_both! {
    async fn a_trip_ends_once_and_in_time(t: &Fixture) {
        let (provider, _) = sso(t).await;
        let trip = |digest: u8, peer: &str, expires: i64| Trip {
            digest: vec![digest; 32],
            provider,
            sign_in: None,
            return_to: "/sessions".to_owned(),
            peer: peer.to_owned(),
            expires_at: at(expires),
        };
        let begins = async |trip: Trip, now: i64| writes!(t, tx => tx.insert_trip(&trip, at(now)).await).expect("a trip");
        let ends = async |digest: u8, now: i64| writes!(t, tx => tx.end_trip(&[digest; 32], at(now)).await).expect("an answer");
        assert_eq!(begins(trip(1, "here", 100), 10).await, (1, 1));
        assert_eq!(begins(trip(2, "there", 200), 10).await, (2, 1));
        assert_eq!(ends(3, 20).await, None);
        assert_eq!(ends(1, 20).await, Some(trip(1, "here", 100)));
        assert_eq!(ends(1, 20).await, None, "once");
        assert_eq!(ends(2, 200).await, None, "too late");
        assert_eq!(begins(trip(4, "there", 900), 300).await, (1, 1), "what took too long is forgotten");
    }

    async fn sign_ins_end_by_the_providers_name_for_one_or_by_the_person(t: &Fixture) {
        let (provider, user) = sso(t).await;
        let row = |digest: u8| SignInRow {
            id: SignInId::mint(t.random.time(), &*t.random),
            user,
            digest: vec![digest; 32],
            created_at: at(1),
            expires_at: at(900),
            last_seen_at: at(1),
            ended_at: None,
            peer: None,
            agent: None,
            password_at: Some(at(1)),
            factor_at: None,
        };
        let made = |row: &SignInRow, sid: Option<&str>| ExternalSignIn {
            sign_in: row.id,
            provider,
            subject: "d1".to_owned(),
            sid: sid.map(ToOwned::to_owned),
        };
        let rows = [row(1), row(2), row(3), row(4)];
        let external = [made(&rows[0], Some("a")), made(&rows[1], Some("b")), made(&rows[2], None)];
        let ids = rows.clone().map(|row| row.id);
        let kept = external.clone();
        writes!(t, tx => {
            for row in &rows {
                tx.insert_sign_in(row).await?;
            }
            for made in &kept {
                tx.insert_external_sign_in(made).await?;
            }
            Ok(())
        })
        .expect("sign-ins");
        let [first, _, _, own] = ids;
        assert_eq!(reads!(t, tx => tx.external_sign_in(first).await), Some(external[0].clone()));
        assert_eq!(reads!(t, tx => tx.external_sign_in(own).await), None);
        let ends = async |sid: Option<&'static str>, subject: Option<&'static str>| {
            writes!(t, tx => tx.end_external_sign_ins(provider, (sid, subject), at(5)).await).expect("an answer")
        };
        assert!(ends(Some("a"), Some("somebody else")).await.is_empty());
        assert_eq!(ends(Some("a"), Some("d1")).await, [(ids[0], user)]);
        assert!(ends(Some("a"), None).await.is_empty(), "once");
        let rest: BTreeSet<_> = ends(None, Some("d1")).await.into_iter().collect();
        assert_eq!(rest, BTreeSet::from([(ids[1], user), (ids[2], user)]));
        let own = reads!(t, tx => tx.sign_in(own).await).expect("it is there");
        assert_eq!(own.ended_at, None, "what was made without the provider is its own");
    }

    async fn a_word_that_somebody_has_left_counts_once(t: &Fixture) {
        let (provider, _) = sso(t).await;
        let notes = async |now: i64, until: i64| {
            writes!(t, tx => tx.note_logout(provider, &[7; 32], (at(now), at(until))).await).expect("an answer")
        };
        assert!(notes(10, 100).await);
        assert!(!notes(99, 200).await);
        assert!(notes(100, 200).await, "it was forgotten, as nobody takes it any more");
    }
}
