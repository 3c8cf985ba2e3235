use std::time::Duration;

use cardea_domain::{Absence, AbsenceReason, Kind};

use super::*;
use crate::{DirectoryClaim, DirectorySyncRow};

fn engine(verb: Verb) -> Permit {
    Permit::ask(&Actor::Engine, verb).expect("the engine may")
}

/// A directory and one of its users.
async fn corp(t: &Fixture) -> (ObjectId, ObjectId) {
    let object = |kind, name: &str, spec| Object {
        id: ObjectId::mint(kind, t.random.time(), &*t.random),
        name: Name::new(name).expect("a name"),
        spec: Spec::parse(kind, spec).expect("a spec").0,
        version: 1,
        created_at: at(1),
        updated_at: at(1),
    };
    let url =
        serde_json::json!({ "protocol": "ldap", "url": "ldaps://dc1.example.com", "base_dn": "dc=example,dc=com" });
    let (provider, user) =
        (object(Kind::IdentityProvider, "corp", url), object(Kind::User, "dana", serde_json::json!({})));
    let (ids, permit) = ((provider.id, user.id), |kind| Permit::ask(&super::user(), Verb::ChangeConfiguration(kind)));
    let permits = [Kind::IdentityProvider, Kind::User].map(|kind| permit(kind).expect("an administrator may"));
    writes!(t, tx => {
        tx.insert_object(&permits[0], &provider).await?;
        tx.insert_object(&permits[1], &user).await
    })
    .expect("objects");
    ids
}

fn claim(node: &str, seconds: i64, is_due: bool) -> DirectoryClaim {
    DirectoryClaim { node: node.to_owned(), now: at(seconds), until: at(seconds).plus(Duration::from_secs(60)), is_due }
}

on_both! {
    async fn a_directory_is_in_one_nodes_hands_at_a_time(t: &Fixture) {
        let (provider, _) = corp(t).await;
        let nodes = ["one", "two"];
        writes!(t, tx => {
            for node in nodes {
                tx.insert_node(node, at(1)).await?;
            }
            Ok(())
        })
        .expect("nodes");
        let takes = async |claim: DirectoryClaim| writes!(t, tx => tx.claim_directory(provider, &claim).await).expect("an answer");
        assert!(takes(claim("one", 10, true)).await, "a new one is due");
        assert!(!takes(claim("two", 11, true)).await && !takes(claim("two", 11, false)).await);
        assert!(takes(claim("one", 12, false)).await, "by itself");
        assert!(takes(claim("two", 73, true)).await, "its time is up");
        let good = DirectorySyncRow { provider, due_at: at(500), ended_at: Some(at(80)), error: None, succeeded_at: Some(at(80)) };
        let row = good.clone();
        let overtaken = writes!(t, tx => tx.directory_looked_at(&row, "one").await);
        assert!(matches!(overtaken, Err(StoreError::Conflict)), "{overtaken:?}");
        let row = good.clone();
        writes!(t, tx => tx.directory_looked_at(&row, "two").await).expect("it is its own");
        assert!(!takes(claim("one", 90, true)).await, "not due");
        assert!(takes(claim("one", 90, false)).await, "asked for");
        let bad = DirectorySyncRow { ended_at: Some(at(91)), error: Some("down".to_owned()), succeeded_at: None, ..good.clone() };
        let row = bad.clone();
        writes!(t, tx => tx.directory_looked_at(&row, "one").await).expect("it is its own");
        assert_eq!(reads!(t, tx => tx.directory_syncs().await), [DirectorySyncRow { succeeded_at: good.succeeded_at, ..bad }]);
        assert!(takes(claim("gone", 600, true)).await && takes(claim("two", 601, true)).await, "of a node that is none");
    }

    async fn who_is_away_is_known_until_they_are_back(t: &Fixture) {
        let (provider, user) = corp(t).await;
        let away = Absence { user, provider, reason: AbsenceReason::Gone, since: at(5) };
        let disabled = Absence { reason: AbsenceReason::Disabled, since: at(6), ..away };
        for absence in [away, disabled] {
            writes!(t, tx => tx.set_absence(&engine(Verb::SyncDirectory), &absence).await).expect("written");
            assert_eq!(reads!(t, tx => tx.absences().await), [absence]);
        }
        let foreign = writes!(t, tx => tx.delete_absence(&engine(Verb::DriveSession), user).await);
        assert!(matches!(foreign, Err(StoreError::NotCovered { .. })), "{foreign:?}");
        writes!(t, tx => tx.delete_absence(&engine(Verb::SyncDirectory), user).await).expect("written");
        assert_eq!(reads!(t, tx => tx.absences().await), []);
    }
}
