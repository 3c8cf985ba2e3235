//! Reviews: made once, and shown to whom they concern.

use cardea_domain::{Review, ReviewFinding, Verdict};

use super::*;
use crate::{ReviewFilter, StoreError};

on_both! {
    async fn a_review_is_owed_once_made_once_and_shown_to_whom_it_concerns(t: &Fixture) {
        let session = t.session(|_| ()).await;
        let owed = Review {
            session: session.id,
            profile: session.profile,
            user: session.user,
            due_at: session.requested_at,
            finding: None,
        };
        for is_new in [true, false] {
            let owed = owed.clone();
            let written = writes!(t, tx => tx.insert_review(&creator(), &owed).await);
            assert_eq!(written.expect("it is written"), is_new);
        }
        let found = async |whose, is_done| {
            let filter = ReviewFilter { whose, is_done, due_by: Timestamp::from_micros(i64::MAX), after: None, limit: 9 };
            let rows = reads!(t, tx => tx.reviews(&filter).await);
            rows.into_iter().map(|row| row.review).collect::<Vec<_>>()
        };
        let stranger = t.random.object_id(Kind::User);
        let reviewer = Approves { profiles: vec![session.profile], ..Approves::default() };
        let manager =
            Approves { as_manager: vec![session.profile], reports: vec![session.user], ..Approves::default() };
        let of_others = Approves { as_manager: vec![session.profile], reports: vec![stranger], ..Approves::default() };
        for whose in [
            None,
            Some((session.user, Approves::default())),
            Some((stranger, reviewer)),
            Some((stranger, manager)),
        ] {
            assert_eq!(found(whose, false).await, std::slice::from_ref(&owed));
        }
        for whose in [(stranger, Approves::default()), (stranger, of_others)] {
            assert_eq!(found(Some(whose), false).await, []);
        }
        let finding = ReviewFinding {
            verdict: Verdict::Unjustified,
            reason: t.random.text(),
            reviewer: stranger,
            reviewer_name: t.random.text(),
            at: t.random.time(),
        };
        let id = session.id;
        let (given, uncovered) = (finding.clone(), finding.clone());
        let refused = writes!(t, tx => tx.close_review(&driver(), id, &uncovered).await);
        assert!(matches!(refused, Err(StoreError::NotCovered { table: "review", .. })), "{refused:?}");
        let permit = reviewing(&session, stranger);
        for is_first in [true, false] {
            let (given, permit) = (given.clone(), permit.clone());
            let written = writes!(t, tx => tx.close_review(&permit, id, &given).await);
            assert_eq!(written.expect("it is written"), is_first);
        }
        assert_eq!(found(None, false).await, []);
        assert_eq!(found(None, true).await, [Review { finding: Some(finding), ..owed }]);
    }
}

/// What a reviewer named by the session's profile has.
fn reviewing(session: &Session, reviewer: ObjectId) -> Permit {
    let object = |id: ObjectId, name: &str, spec: serde_json::Value| Object {
        id,
        name: Name::new(name.to_owned()).expect("a name"),
        spec: Spec::from_stored(id.kind(), spec).expect("a spec"),
        version: 1,
        created_at: session.requested_at,
        updated_at: session.requested_at,
    };
    let profile = serde_json::json!({ "max_duration": "1h", "break_glass": { "reviewers": ["rita"] } });
    let world = cardea_domain::Configuration::new([
        object(reviewer, "rita", serde_json::json!({})),
        object(session.profile, "glass", profile),
    ]);
    let rita = Actor::User { id: reviewer, name: "rita".to_owned(), roles: Vec::new(), via: Via::Key };
    Permit::to_review(&rita, session, &world).expect("the profile names her")
}
