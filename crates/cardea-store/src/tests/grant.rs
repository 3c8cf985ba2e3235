use cardea_domain::{GroupProcesses, Kind, Leftovers, Membership, SecretField};

use super::*;
use crate::{SecretRow, Whose};

const ACCOUNT: Privilege = Privilege::Account { leftovers: Leftovers::Chown };

on_both! {
    async fn a_grant_comes_back_as_it_was(t: &Fixture) {
        let session = t.session(|_| ()).await;
        for _ in 0..60 {
            let mut grant = t.grant(&session, |_| ()).await;
            let id = grant.id;
            assert_eq!(reads!(t, tx => tx.grant(id).await), Some(grant.clone()));
            let other = t.random.grant(&session);
            grant.state = other.state;
            grant.expires_at = other.expires_at;
            grant.before = other.before;
            grant.placed_at = other.placed_at;
            grant.removed_at = other.removed_at;
            grant.attempts = other.attempts;
            grant.last_error = other.last_error;
            grant.evidence = other.evidence;
            grant.scanned_at = other.scanned_at;
            let saved = grant.clone();
            writes!(t, tx => tx.save_grant(&grant).await).expect("a grant is saved");
            assert_eq!(reads!(t, tx => tx.grant(id).await), Some(saved));
        }
    }

    async fn grants_stand_in_the_order_of_placing(t: &Fixture) {
        let (one, two) = (t.session(|_| ()).await, t.session(|_| ()).await);
        let mut grants: Vec<_> = (0..600).map(|ordinal| Grant { ordinal, ..t.random.grant(&one) }).collect();
        grants.reverse();
        let other = t.grant(&two, |_| ()).await;
        let written = grants.clone();
        writes!(t, tx => tx.insert_grants(&written).await).expect("many grants at once");
        writes!(t, tx => tx.insert_grants(&[]).await).expect("none at all");
        grants.reverse();
        let (first, second) = (one.id, two.id);
        assert_eq!(reads!(t, tx => tx.grants_of(first).await), grants);
        let both = reads!(t, tx => tx.grants_of_many(&[first, second]).await);
        assert_eq!(both.len(), 601);
        assert!(both.contains(&other));
        let same_place = Grant { ordinal: 5, ..t.random.grant(&one) };
        let refused = writes!(t, tx => tx.insert_grants(&[same_place]).await);
        assert!(matches!(refused, Err(StoreError::Duplicate { table: "grant_entry", column: "ordinal" })), "{refused:?}");
    }

    async fn what_is_out_is_listed_page_by_page(t: &Fixture) {
        let (mine, theirs) = (t.session(|_| ()).await, t.session(|_| ()).await);
        let mut out = Vec::new();
        for state in GrantState::ALL {
            let grant = t.grant(&mine, |grant| grant.state = state).await;
            let other = t.grant(&theirs, |grant| grant.state = state).await;
            if state.is_out() {
                out.extend([(grant.clone(), mine.status), (other, theirs.status)]);
            }
        }
        out.sort_by_key(|(grant, _)| grant.id);
        assert_eq!(reads!(t, tx => tx.grants_out(None, 100, &Whose::Everybody).await), out);
        let last = out[3].0.id;
        assert_eq!(reads!(t, tx => tx.grants_out(Some(last), 1, &Whose::Everybody).await), out[4..5]);
        let user = mine.user;
        let own = reads!(t, tx => tx.grants_out(None, 100, &Whose::User(user)).await);
        assert_eq!(own.len(), 3);
        assert!(own.iter().all(|(grant, status)| grant.session == mine.id && *status == mine.status));
    }

    async fn accounts_wait_for_one_scan_after_their_removal(t: &Fixture) {
        let session = t.session(|_| ()).await;
        let removed = |grant: &mut Grant, privilege, at_second| {
            grant.privilege = privilege;
            grant.state = GrantState::Removed;
            grant.expires_at = Some(at(9));
            grant.removed_at = Some(at(at_second));
            grant.scanned_at = None;
        };
        let late = t.grant(&session, |grant| removed(grant, ACCOUNT, 20)).await;
        let early = t.grant(&session, |grant| removed(grant, ACCOUNT, 10)).await;
        t.grant(&session, |grant| removed(grant, ACCOUNT, 31)).await;
        t.grant(&session, |grant| removed(grant, Privilege::GroupMembership(Membership { group: "adm".to_owned(), processes: GroupProcesses::End }), 10)).await;
        // Never on the target: there is nothing to look for.
        t.grant(&session, |grant| { removed(grant, ACCOUNT, 10); grant.expires_at = None; }).await;
        t.grant(&session, |grant| { removed(grant, ACCOUNT, 10); grant.state = GrantState::Removing; }).await;
        let resource = session.resource;
        let waiting = reads!(t, tx => tx.unscanned_accounts(resource, at(30)).await);
        assert_eq!(waiting, [early.clone(), late.clone()]);
        let id = early.id;
        writes!(t, tx => tx.mark_scanned(&[id], at(40)).await).expect("a mark");
        assert_eq!(reads!(t, tx => tx.unscanned_accounts(resource, at(30)).await), [late]);
        assert_eq!(reads!(t, tx => tx.grant(id).await).and_then(|grant| grant.scanned_at), Some(at(40)));
    }

    /// What is out pins its way home: a secret is kept until no grant needs it.
    async fn retired_secrets_stay_while_a_grant_needs_them(t: &Fixture) {
        let object = t.random.object_id(Kind::ServiceAccount);
        let secret = |field| SecretRow {
            id: SecretId::mint(t.random.time(), &*t.random),
            object,
            field,
            sealed: vec![1, 0, 255],
            digest: vec![2],
            created_at: at(1),
        };
        let rows = [secret(SecretField::Password), secret(SecretField::PrivateKey), secret(SecretField::SudoPassword)];
        let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
        writes!(t, tx => {
            for row in &rows {
                tx.insert_secret(row).await?;
            }
            Ok(())
        }).expect("secrets are kept");
        let live = reads!(t, tx => tx.secrets_of(object).await);
        assert_eq!(live.len(), 3);
        assert_eq!((live[0].sealed.as_slice(), live[0].digest.as_slice()), (&[1, 0, 255][..], &[2][..]));

        let session = t.session(|_| ()).await;
        let id = ids[0];
        let mut grant = t.grant(&session, |grant| {
            grant.target.private_key = Some(id);
            grant.privilege = ACCOUNT;
            grant.state = GrantState::Planned;
            grant.expires_at = Some(at(1));
            grant.scanned_at = None;
        }).await;
        let (first, second) = (ids[0], ids[1]);
        writes!(t, tx => {
            tx.retire_secret(first, at(5)).await?;
            tx.retire_secret(second, at(5)).await
        }).expect("secrets are retired");
        assert_eq!(reads!(t, tx => tx.secrets_of(object).await).len(), 1);
        let third = ids[2];
        for state in [GrantState::Planned, GrantState::Placing, GrantState::Placed, GrantState::Removing, GrantState::Removed] {
            grant.state = state;
            let saved = grant.clone();
            writes!(t, tx => { tx.save_grant(&saved).await?; tx.purge_retired_secrets().await }).expect("a purge");
            assert!(reads!(t, tx => tx.secret(first).await).is_some(), "{state:?}");
            assert!(reads!(t, tx => tx.secret(second).await).is_none(), "nobody needs it");
        }
        let done = grant.id;
        let purged = writes!(t, tx => { tx.mark_scanned(&[done], at(9)).await?; tx.purge_retired_secrets().await });
        assert_eq!(purged.expect("a purge"), 1);
        assert!(reads!(t, tx => tx.secret(third).await).is_some(), "it is in use");
    }
}
