use cardea_domain::{Kind, OwnKeyId};

use super::*;
use crate::OwnKey;

/// Two people.
async fn people(t: &Fixture) -> [ObjectId; 2] {
    let person = async |name: &str| {
        let spec = Spec::parse(Kind::User, serde_json::json!({})).expect("a user").0;
        let (id, name) = (ObjectId::mint(Kind::User, t.random.time(), &*t.random), Name::new(name).expect("a name"));
        let object = Object { id, name, spec, version: 1, created_at: at(1), updated_at: at(1) };
        let change = permit(Verb::ChangeConfiguration(Kind::User));
        writes!(t, tx => tx.insert_object(&change, &object).await).expect("a user");
        id
    };
    [person("alice").await, person("bob").await]
}

fn key_of(t: &Fixture, user: ObjectId) -> OwnKey {
    let id = OwnKeyId::mint(t.random.time(), &*t.random);
    OwnKey {
        id,
        user,
        name: "laptop".to_owned(),
        body: "ssh-ed25519 AAAA".to_owned(),
        created_at: at(1),
        proven_at: None,
    }
}

on_both! {
    async fn a_key_is_everybodys_who_says_so_until_one_has_shown_it(t: &Fixture) {
        let [alice, bob] = people(t).await;
        let (hers, his) = (key_of(t, alice), key_of(t, bob));
        let kept = [hers.clone(), his.clone()];
        writes!(t, tx => {
            tx.insert_own_key(&kept[0]).await?;
            tx.insert_own_key(&kept[1]).await
        }).expect("both say so");
        let again = key_of(t, bob);
        let twice = writes!(t, tx => tx.insert_own_key(&again).await);
        assert!(matches!(twice, Err(StoreError::Duplicate { table: "own_key", column: "claim" })), "{twice:?}");

        let prove = async |user, now| writes!(t, tx => tx.prove_own_key(user, "ssh-ed25519 AAAA", at(now)).await);
        let proven = OwnKey { proven_at: Some(at(5)), ..hers };
        assert_eq!(prove(alice, 5).await.expect("an answer"), Some((proven.clone(), vec![his])));
        assert_eq!(prove(alice, 6).await.expect("an answer"), Some((proven.clone(), Vec::new())), "once and for all");
        assert_eq!(prove(bob, 6).await.expect("an answer"), None);
        let late = key_of(t, bob);
        writes!(t, tx => tx.insert_own_key(&late).await).expect("he may say so, and it does him no good");
        let refused = prove(bob, 7).await;
        assert!(matches!(refused, Err(StoreError::Duplicate { table: "own_key", column: "body" })), "{refused:?}");
        assert_eq!(reads!(t, tx => tx.own_keys_of(alice).await), [proven]);
    }
}
