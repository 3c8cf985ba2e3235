use cardea_domain::LogLevel;

use super::*;
use crate::{StandingLock, Tx};

async fn log_line(tx: &mut Tx, session: SessionId) -> Result<(), StoreError> {
    tx.append_log(session, at(1), LogLevel::Info, Stage::Session, "a line").await
}

on_both! {
    /// Also where no transaction is open around them.
    async fn what_is_kept_for_the_end_is_written_whole_or_not_at_all(t: &Fixture) {
        let session = t.session(|_| ()).await;
        let id = session.id;
        let (grant, mut stale) = (t.random.grant(&session), Session { version: 7, ..session.clone() });
        let written = writes!(t, tx => {
            log_line(tx, id).await?;
            tx.insert_grants(&[grant]).await?;
            tx.save_session(&driver(), &mut stale).await
        });
        assert!(matches!(written, Err(StoreError::Conflict)), "{written:?}");
        assert_eq!(reads!(t, tx => tx.log(id, 0, 9).await), []);
        assert_eq!(reads!(t, tx => tx.grants_of(id).await), []);
        assert_eq!(reads!(t, tx => tx.session(id).await), Some(session));
    }

    async fn a_unit_reads_what_it_wrote_and_may_write_it_again(t: &Fixture) {
        let session = t.random.session();
        let (id, mut grant) = (session.id, t.random.grant(&session));
        let mut moved = session.clone();
        let seen = writes!(t, tx => {
            tx.insert_session(&creator(), &moved).await?;
            tx.insert_grants(&[grant.clone()]).await?;
            log_line(tx, id).await?;
            (moved.cleanup_attempts, grant.attempts) = (5, 5);
            tx.save_session(&driver(), &mut moved).await?;
            tx.save_grant(&grant).await?;
            let seen = tx.session(id).await?;
            moved.cleanup_attempts = 6;
            tx.save_session(&driver(), &mut moved).await?;
            log_line(tx, id).await?;
            Ok(seen)
        }).expect("each write sees the one before").expect("it is there");
        assert_eq!((seen.cleanup_attempts, seen.version), (5, session.version + 1));
        let stored = reads!(t, tx => tx.session(id).await).expect("it is there");
        assert_eq!((stored.cleanup_attempts, stored.version), (6, session.version + 2));
        assert_eq!(reads!(t, tx => tx.grants_of(id).await)[0].attempts, 5);
        assert_eq!(reads!(t, tx => tx.log(id, 0, 9).await).len(), 2);
    }

    /// Lines that only say something, beside lines that come with a new state.
    async fn lines_of_many_units_have_numbers_without_a_gap(t: &Fixture) {
        let session = t.session(|_| ()).await;
        let id = session.id;
        let writers: Vec<_> = (0..24).map(|n| {
            let store = t.store.clone();
            tokio::spawn(async move {
                loop {
                    let written = store.write(move |tx| Box::pin(async move {
                        log_line(tx, id).await?;
                        if n % 2 == 0 {
                            let mut session = tx.session(id).await?.expect("it is there");
                            tx.save_session(&driver(), &mut session).await?;
                        }
                        Ok(())
                    })).await;
                    match written {
                        // Somebody was faster, which is to be seen as just that.
                        Err(StoreError::Conflict) => {}
                        written => return written,
                    }
                }
            })
        }).collect();
        for writer in writers {
            writer.await.expect("no panic").expect("every line is written");
        }
        let lines: Vec<_> = reads!(t, tx => tx.log(id, 0, 99).await).into_iter().map(|line| line.line).collect();
        assert_eq!(lines, (1..=24).collect::<Vec<_>>());
        let version = reads!(t, tx => tx.session(id).await).expect("it is there").version;
        assert_eq!(version, session.version + 12);
    }

    async fn nothing_is_requested_for_who_is_locked_as_a_whole(t: &Fixture) {
        let session = t.random.session();
        let lock = StandingLock {
            object: session.user, title: "no".to_owned(), text: String::new(), by: "root".to_owned(), at: at(1),
        };
        writes!(t, tx => tx.insert_standing_lock(&permit(Verb::Lock), &lock).await).expect("a lock");
        let (id, grant) = (session.id, t.random.grant(&session));
        let written = writes!(t, tx => {
            tx.insert_session(&creator(), &session).await?;
            tx.insert_grants(&[grant]).await?;
            log_line(tx, id).await
        });
        assert!(matches!(written, Err(StoreError::Conflict)), "{written:?}");
        assert_eq!(reads!(t, tx => tx.session(id).await), None);
    }

    async fn a_save_may_hang_on_what_it_was_judged_by(t: &Fixture) {
        let object = t.random.object(Kind::Group, "one");
        let change = permit(Verb::ChangeConfiguration(Kind::Group));
        let kept = object.clone();
        writes!(t, tx => tx.insert_object(&change, &kept).await).expect("an object");
        let session = t.session(|_| ()).await;
        for (version, holds) in [(object.version, true), (object.version + 1, false)] {
            let mut copy = reads!(t, tx => tx.session(session.id).await).expect("it is there");
            let pins = [Revision { object: object.id, version }];
            let saved = writes!(t, tx => tx.save_session_while(&driver(), &mut copy, &pins).await);
            assert_eq!(saved.is_ok(), holds, "{saved:?}");
        }
    }
}
