use std::time::Duration;

use cardea_domain::Room;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::{sync::mpsc::Receiver, time::timeout};

use super::*;
use crate::{Heard, Installation, News, url};

fn claim(node: &str, until: i64) -> Claim {
    Claim { node: node.to_owned(), until: at(until) }
}

async fn installed(t: &Fixture) {
    let made = Installation { id: "one".to_owned(), created_at: at(1) };
    writes!(t, tx => tx.insert_installation(&made).await).expect("the first");
}

on_both! {
    async fn a_node_that_is_silent_is_given_up_once(t: &Fixture) {
        assert!(!writes!(t, tx => tx.beat("a", at(1)).await).expect("an answer"), "it has not come yet");
        writes!(t, tx => tx.insert_node("a", at(1)).await).expect("it comes");
        writes!(t, tx => tx.insert_node("b", at(2)).await).expect("it comes");
        assert!(writes!(t, tx => tx.beat("a", at(3)).await).expect("an answer"));
        let nodes = reads!(t, tx => tx.nodes().await);
        let seen: Vec<_> = nodes.iter().map(|node| (node.name.as_str(), node.seen_at, node.beats)).collect();
        assert_eq!(seen, [("a", at(3), 2), ("b", at(2), 1)]);
        assert!(!writes!(t, tx => tx.delete_node("a", 1).await).expect("an answer"), "it gave a sign since");
        assert!(writes!(t, tx => tx.delete_node("a", 2).await).expect("an answer"));
        assert!(!writes!(t, tx => tx.delete_node("a", 2).await).expect("an answer"), "somebody else was first");
        assert!(!writes!(t, tx => tx.beat("a", at(9)).await).expect("an answer"), "and it learns of it");
        writes!(t, tx => tx.leave("b").await).expect("it goes");
        assert_eq!(reads!(t, tx => tx.nodes().await), []);
    }

    /// Of two nodes that change the configuration of the same moment, one hears that the other was first.
    async fn changes_of_the_configuration_come_one_after_the_other(t: &Fixture) {
        installed(t).await;
        let known = reads!(t, tx => tx.revision().await);
        let changing: Vec<_> = (0..4).map(|_| {
            let store = t.store.clone();
            tokio::spawn(async move {
                store.write(move |tx| Box::pin(async move { tx.raise_revision(Some(known)).await })).await
            })
        }).collect();
        let mut won = 0;
        for change in changing {
            match change.await.expect("no panic") {
                Ok(revision) => {
                    assert_eq!(revision, known + 1);
                    won += 1;
                }
                Err(error) => assert!(matches!(error, StoreError::Conflict), "{error:?}"),
            }
        }
        assert_eq!(won, 1);
        assert_eq!(writes!(t, tx => tx.raise_revision(None).await).expect("whoever was first"), known + 2);
    }

    async fn the_first_host_key_stays(t: &Fixture) {
        installed(t).await;
        assert_eq!(reads!(t, tx => tx.gateway_host_key().await), None);
        writes!(t, tx => tx.keep_gateway_host_key("one", b"1").await).expect("an answer");
        writes!(t, tx => tx.keep_gateway_host_key("two", b"2").await).expect("an answer");
        assert_eq!(reads!(t, tx => tx.gateway_host_key().await), Some(("one".to_owned(), b"1".to_vec())));
    }

    async fn keys_are_known_by_their_node(t: &Fixture) {
        let (one, two) = (t.session(|_| ()).await.id, t.session(|_| ()).await.id);
        let keys: Vec<_> = (0..3).map(|_| GrantId::mint(at(1), &*t.random)).collect();
        let (first, written) = (keys[0], keys.clone());
        writes!(t, tx => {
            tx.insert_gateway_key(written[0], one, "a").await?;
            tx.insert_gateway_key(written[1], one, "b").await?;
            tx.insert_gateway_key(written[2], two, "a").await
        }).expect("keys");
        let mut both = vec![one, two];
        both.sort();
        assert_eq!(reads!(t, tx => tx.sessions_with_keys_of("a", 9).await), both);
        assert_eq!(reads!(t, tx => tx.sessions_with_keys_of("a", 1).await), both[..1]);
        assert_eq!(reads!(t, tx => tx.gateway_keys_of(one).await).get(&first).map(String::as_str), Some("a"));
        writes!(t, tx => tx.forget_gateway_keys(one, Some("a")).await).expect("an answer");
        assert_eq!(reads!(t, tx => tx.gateway_keys_of(one).await).into_values().collect::<Vec<_>>(), ["b"]);
        writes!(t, tx => tx.forget_gateway_keys(one, None).await).expect("an answer");
        assert!(reads!(t, tx => tx.gateway_keys_of(one).await).is_empty());
        assert_eq!(reads!(t, tx => tx.sessions_with_keys_of("a", 9).await), [two]);
    }

    /// A node wakes up at the moment at which it may take up what another one holds.
    async fn the_end_of_a_lease_is_known(t: &Fixture) {
        let held = t.session(|session| (session.wake_at, session.claim) = (Some(at(1)), Some(claim("a", 20)))).await.id;
        let later = t.session(|session| (session.wake_at, session.claim) = (Some(at(90)), Some(claim("a", 30)))).await.id;
        t.session(|session| (session.wake_at, session.claim) = (None, Some(claim("a", 10)))).await;
        t.session(|session| (session.wake_at, session.claim) = (Some(at(50)), None)).await;
        assert_eq!(reads!(t, tx => tx.next_wake(at(5), "b", &[], &Room::default()).await), Some(at(50)));
        assert_eq!(reads!(t, tx => tx.next_lease_end("b", at(5), at(99)).await), Some(at(20)));
        assert_eq!(reads!(t, tx => tx.next_lease_end("a", at(5), at(99)).await), None, "its own it does not wait for");
        let taken = writes!(t, tx => tx.claim_due(at(20), &claim("b", 40), Vec::new, Room::default(), 9).await).expect("a claim");
        assert_eq!(taken.iter().map(|session| session.id).collect::<Vec<_>>(), [held]);
        assert_eq!(reads!(t, tx => tx.next_lease_end("b", at(20), at(99)).await), Some(at(90)), "not before it is due");
        assert_eq!(reads!(t, tx => tx.claimed_by_others("a", &[held, later]).await), [held]);
        let newest = writes!(t, tx => tx.hold_session(held).await).expect("an answer");
        assert_eq!(newest, Some(taken[0].fence));
    }

    /// On SQLite, and without a name, there is nobody to hear.
    async fn who_has_no_place_hears_nobody(t: &Fixture) {
        t.store.set_shared(true);
        assert!(!t.store.is_shared() && t.store.hear().is_none());
        let before = t.store.tally().statements;
        writes!(t, tx => { tx.tell(News::Beat); Ok(()) }).expect("a unit");
        assert_eq!(t.store.tally().statements, before);
    }
}

async fn next(heard: &mut Receiver<Heard>) -> Heard {
    timeout(Duration::from_secs(20), heard.recv()).await.expect("in time").expect("it goes on")
}

/// Listens, and waits until nothing more can be missed.
async fn listening(store: &Store) -> Receiver<Heard> {
    let mut heard = store.hear().expect("a node hears");
    for _ in 0..2 {
        assert_eq!(next(&mut heard).await, Heard::Lost);
    }
    heard
}

async fn tell(store: &Store, news: News, fails: bool) {
    let told = store.write(move |tx| {
        Box::pin(async move {
            tx.tell(news);
            if fails { Err(StoreError::Conflict) } else { Ok(()) }
        })
    });
    assert_eq!(told.await.is_err(), fails);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_hear_what_the_others_committed() {
    let t = Fixture::postgres().await;
    let (one, two) =
        (Store::open_as(&t.url, "one").await.expect("a node"), Store::open_as(&t.url, "two").await.expect("a node"));
    let mut heard = listening(&two).await;
    let id = t.session(|_| ()).await.id;
    // Who knows of nobody tells nothing but that it lives.
    tell(&one, News::Session(id), false).await;
    tell(&one, News::Beat, false).await;
    assert_eq!(next(&mut heard).await, Heard::News(vec![News::Beat]));
    one.set_shared(true);
    two.set_shared(true);
    tell(&one, News::Configuration, true).await;
    tell(&two, News::Configuration, false).await;
    tell(&one, News::Session(id), false).await;
    assert_eq!(next(&mut heard).await, Heard::News(vec![News::Session(id)]), "only commits, and only others'");
    // A connection that is lost may have missed something.
    let StoreUrl::Postgres(address) = &t.url else { unreachable!("the fixture is PostgreSQL's") };
    let mut outsider =
        PgConnection::connect_with(&url::options(address).expect("an address")).await.expect("the server answers");
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity where query like 'LISTEN%' and datname = current_database()";
    sqlx::query(AssertSqlSafe(cut)).execute(&mut outsider).await.expect("a superuser may");
    assert_eq!(next(&mut heard).await, Heard::Lost);
    assert_eq!(next(&mut heard).await, Heard::Lost);
    tell(&one, News::Grants(id), false).await;
    assert_eq!(next(&mut heard).await, Heard::News(vec![News::Grants(id)]));
}
