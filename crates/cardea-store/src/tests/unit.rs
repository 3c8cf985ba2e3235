use std::{
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use cardea_domain::Kind;
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};

use super::*;
use crate::{Tx, tx::execute};

async fn names(t: &Fixture) -> Vec<String> {
    let objects = reads!(t, tx => tx.objects().await);
    objects.into_iter().map(|object| object.name.as_str().to_owned()).collect()
}

async fn insert(tx: &mut Tx, object: &Object) -> Result<(), StoreError> {
    tx.insert_object(&permit(Verb::ChangeConfiguration(object.id.kind())), object).await
}

/// Keeps SQLite's writer busy until the returned end is dropped, so that units behind it share a commit.
async fn hold_writer(t: &Fixture) -> (oneshot::Sender<()>, JoinHandle<Result<(), StoreError>>) {
    let (release, released) = oneshot::channel::<()>();
    let (started, running) = oneshot::channel();
    let store = t.store.clone();
    let held = tokio::spawn(async move {
        store
            .write(|_| {
                Box::pin(async move {
                    started.send(()).expect("the test listens");
                    drop(released.await);
                    Ok(())
                })
            })
            .await
    });
    running.await.expect("the holding unit starts");
    (release, held)
}

/// What becomes of one unit among others.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Fails,
    Panics,
    Succeeds,
    Swallows,
}

on_both! {
    /// What benchmarks measure by: a unit that fails costs its statements, and nothing of it is committed.
    async fn units_statements_and_commits_are_counted(t: &Fixture) {
        let before = t.store.tally();
        let (object, again) = (t.random.object(Kind::Group, "one"), t.random.object(Kind::Group, "one"));
        writes!(t, tx => insert(tx, &object).await).expect("the name is free");
        writes!(t, tx => insert(tx, &again).await).expect_err("the name is taken");
        assert_eq!(names(t).await, ["one"]);
        let after = t.store.tally();
        assert_eq!((after.reads - before.reads, after.writes - before.writes), (1, 2));
        assert_eq!((after.statements - before.statements, after.commits - before.commits), (3, 1));
    }

    async fn a_unit_that_fails_takes_nothing_else_down(t: &Fixture) {
        let (release, held) = hold_writer(t).await;
        let heard = Arc::new(Mutex::new(Vec::new()));
        let fates = [Fate::Succeeds, Fate::Fails, Fate::Succeeds, Fate::Panics, Fate::Swallows, Fate::Succeeds];
        let mut waiting = Vec::new();
        for (index, fate) in fates.into_iter().enumerate() {
            let object = t.random.object(Kind::Group, &format!("{index}"));
            let (store, heard) = (t.store.clone(), heard.clone());
            let unit = async move {
                store.write(move |tx| Box::pin(async move {
                    insert(tx, &object).await?;
                    tx.after_commit(Box::new(move || heard.lock().expect("not poisoned").push(index)));
                    match fate {
                        Fate::Fails => return Err(StoreError::Conflict),
                        Fate::Panics => panic!("as this test wants"),
                        Fate::Succeeds => {}
                        Fate::Swallows => drop(insert(tx, &object).await),
                    }
                    Ok(())
                })).await
            };
            let mut unit = Box::pin(unit);
            // The first poll puts it in the queue: the order is the test's.
            assert!(futures_util::poll!(&mut unit).is_pending());
            waiting.push((fate, tokio::spawn(unit)));
        }
        drop(release);
        held.await.expect("no panic").expect("the holding unit succeeds");
        for (fate, unit) in waiting {
            let result = unit.await.expect("a unit's panic stays in the store");
            let expected = match fate {
                Fate::Fails => matches!(result, Err(StoreError::Conflict)),
                Fate::Panics => matches!(result, Err(StoreError::Panicked)),
                Fate::Succeeds => result.is_ok(),
                Fate::Swallows => matches!(result, Err(StoreError::Swallowed)),
            };
            assert!(expected, "{fate:?}: {result:?}");
        }
        let mut written = names(t).await;
        written.sort();
        assert_eq!(written, ["0", "2", "5"]);
        let mut effects = heard.lock().expect("not poisoned").clone();
        effects.sort_unstable();
        assert_eq!(effects, [0, 2, 5], "effects follow commits, and only those");
    }

    async fn a_unit_alone_that_fails_leaves_nothing_and_the_store_goes_on(t: &Fixture) {
        let (one, two) = (t.random.object(Kind::Group, "one"), t.random.object(Kind::Group, "two"));
        let failed = writes!(t, tx => {
            insert(tx, &one).await?;
            Err::<(), _>(StoreError::Conflict)
        });
        assert!(matches!(failed, Err(StoreError::Conflict)));
        writes!(t, tx => insert(tx, &two).await).expect("the store goes on");
        assert_eq!(names(t).await, ["two"]);
    }

    /// Effects stand in the order of commits even where units wait for each other's rows.
    async fn effects_run_in_the_order_of_commits(t: &Fixture) {
        const ROUNDS: i64 = 40;
        let session = t.session(|session| session.version = 1).await;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let units: Vec<_> = (0..ROUNDS).map(|_| {
            let (store, seen, id) = (t.store.clone(), seen.clone(), session.id);
            tokio::spawn(async move {
                store.write(move |tx| Box::pin(async move {
                    let fence = tx.raise_fence(id).await?.fence;
                    tx.after_commit(Box::new(move || seen.lock().expect("not poisoned").push(fence)));
                    Ok::<_, StoreError>(())
                })).await
            })
        }).collect();
        for unit in units {
            unit.await.expect("no panic").expect("claims wait for each other");
        }
        let seen = seen.lock().expect("not poisoned").clone();
        assert_eq!(seen, (1..=ROUNDS).map(|n| session.fence + n).collect::<Vec<_>>());
    }

    async fn an_effect_that_panics_stops_nothing(t: &Fixture) {
        let (sender, receiver) = mpsc::channel();
        writes!(t, tx => {
            tx.after_commit(Box::new(|| panic!("as this test wants")));
            tx.after_commit(Box::new(move || sender.send(()).expect("the test listens")));
            Ok(())
        }).expect("the commit holds");
        receiver.try_recv().expect("the second effect ran, before the caller heard");
        writes!(t, tx => tx.installation().await).expect("the store goes on");
    }

    async fn a_unit_whose_caller_went_away_is_whole(t: &Fixture) {
        let (one, two) = (t.random.object(Kind::Group, "one"), t.random.object(Kind::Group, "two"));
        let (started, running) = oneshot::channel();
        let (go_on, gone) = oneshot::channel::<()>();
        let (done, finished) = oneshot::channel();
        let store = t.store.clone();
        let caller = tokio::spawn(async move {
            store.write(move |tx| Box::pin(async move {
                insert(tx, &one).await?;
                started.send(()).expect("the test listens");
                drop(gone.await);
                insert(tx, &two).await?;
                tx.after_commit(Box::new(move || done.send(()).expect("the test listens")));
                Ok::<_, StoreError>(())
            })).await
        });
        running.await.expect("the unit starts");
        caller.abort();
        assert!(caller.await.expect_err("the caller was aborted").is_cancelled());
        drop(go_on);
        timeout(Duration::from_secs(20), finished).await.expect("the unit ends").expect("and commits");
        let mut written = names(t).await;
        written.sort();
        assert_eq!(written, ["one", "two"]);
    }

    async fn a_read_sees_one_moment_and_writes_nothing(t: &Fixture) {
        let object = t.random.object(Kind::Group, "one");
        let store = t.store.clone();
        let written = object.clone();
        let (before, after) = reads!(t, tx => {
            let before = tx.objects().await?.len();
            store.write(move |tx| Box::pin(async move { insert(tx, &written).await })).await?;
            Ok((before, tx.objects().await?.len()))
        });
        assert_eq!((before, after), (0, 0));
        assert_eq!(names(t).await, ["one"]);
        let id = object.id;
        let refused = t.store.read(move |tx| Box::pin(async move {
            tx.delete_object(&permit(Verb::ChangeConfiguration(Kind::Group)), id, 1).await
        })).await;
        assert!(refused.is_err(), "a reader cannot write");
        assert_eq!(names(t).await, ["one"]);
    }

    async fn closing_finishes_what_waits_and_keeps_it(t: &Fixture) {
        let (release, held) = hold_writer(t).await;
        let object = t.random.object(Kind::Group, "one");
        let store = t.store.clone();
        let mut unit = Box::pin(async move { store.write(move |tx| Box::pin(async move { insert(tx, &object).await })).await });
        assert!(futures_util::poll!(&mut unit).is_pending());
        let unit = tokio::spawn(unit);
        let mut closing = Box::pin(t.store.close());
        assert!(futures_util::poll!(&mut closing).is_pending(), "closing waits");
        drop(release);
        closing.await;
        held.await.expect("no panic").expect("the holding unit succeeds");
        let result = unit.await.expect("no panic");
        let late = writes!(t, tx => tx.installation().await);
        assert!(matches!(late, Err(StoreError::Closed)), "{late:?}");
        let again = Store::open(&t.url).await.expect("the store opens again");
        let there = again.read(|tx| Box::pin(async move { tx.objects().await })).await.expect("a read").len();
        assert_eq!(there == 1, result.is_ok(), "what was said to be written is there, and nothing else");
    }
}

/// A page limit stands in for a full disk: SQLite reports both alike.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_reported_and_survived() {
    let t = Fixture::sqlite().await;
    let limit = |pages: &'static str| t.store.write(move |tx| Box::pin(async move { execute!(tx, pages).map(drop) }));
    limit("pragma max_page_count = 90").await.expect("the limit is set");
    let big = t.session(|_| ()).await;
    let (release, held) = hold_writer(&t).await;
    let mut waiting = Vec::new();
    for index in 0..3 {
        let (store, id) = (t.store.clone(), big.id);
        let mut unit = Box::pin(async move {
            store
                .write(move |tx| {
                    Box::pin(async move {
                        let lines = if index == 1 { 400 } else { 1 };
                        for _ in 0..lines {
                            let text = "x".repeat(4000);
                            tx.append_log(id, at(1), cardea_domain::LogLevel::Info, Stage::Session, &text).await?;
                        }
                        Ok::<_, StoreError>(())
                    })
                })
                .await
        });
        assert!(futures_util::poll!(&mut unit).is_pending());
        waiting.push(tokio::spawn(unit));
    }
    drop(release);
    held.await.expect("no panic").expect("the holding unit succeeds");
    let mut results = Vec::new();
    for unit in waiting {
        results.push(unit.await.expect("no panic"));
    }
    assert!(matches!(results[1], Err(StoreError::Full)), "{:?}", results[1]);
    let said = results.iter().filter(|result| result.is_ok()).count();
    let lines = reads!(t, tx => tx.log(big.id, 0, 1000).await).len();
    assert_eq!(lines, said, "what was said to be written is there, and nothing else");
    limit("pragma max_page_count = 100000").await.expect("the store goes on");
    writes!(t, tx => tx.raise_fence(big.id).await).expect("and writes");
}
