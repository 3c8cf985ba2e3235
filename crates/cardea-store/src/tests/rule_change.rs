//! What users changed lately.

use cardea_domain::Kind;

use super::*;

async fn person(t: &Fixture, name: &str) -> ObjectId {
    let user = t.random.object(Kind::User, name);
    let id = user.id;
    let permit = Permit::ask(&super::user(), Verb::ChangeConfiguration(Kind::User)).expect("an administrator may");
    writes!(t, tx => tx.insert_object(&permit, &user).await).expect("a user");
    id
}

on_both! {
    async fn what_a_user_changed_is_known_for_a_while_and_once(t: &Fixture) {
        let (alice, bob) = (person(t, "alice").await, person(t, "bob").await);
        let [one, two] = [1, 2].map(|_| t.random.object_id(Kind::Group));
        for (user, object, second) in [(alice, one, 10), (alice, two, 20), (alice, one, 30), (bob, one, 40)] {
            writes!(t, tx => tx.note_rule_change(user, object, at(second), at(0)).await).expect("a write");
        }
        assert_eq!(reads!(t, tx => tx.rule_changes_of(alice, at(0)).await), [(two, at(20)), (one, at(30))]);
        assert_eq!(reads!(t, tx => tx.rule_changes_of(alice, at(21)).await), [(one, at(30))]);
        writes!(t, tx => tx.note_rule_change(alice, two, at(50), at(31)).await).expect("a write");
        assert_eq!(reads!(t, tx => tx.rule_changes_of(alice, at(0)).await), [(two, at(50))], "older ones are forgotten");
        assert_eq!(reads!(t, tx => tx.rule_changes_of(bob, at(0)).await), [(one, at(40))]);
    }
}
