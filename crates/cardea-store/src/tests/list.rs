use super::*;
use crate::{Cursor, SessionFilter, SortKey, View, Whose};

const KEYS: [SortKey; 8] = [
    SortKey::Activity,
    SortKey::EndAt,
    SortKey::LoginAccount,
    SortKey::RequestedAt,
    SortKey::Resource,
    SortKey::StartAt,
    SortKey::Status,
    SortKey::User,
];

fn everything() -> SessionFilter {
    SessionFilter {
        view: View::Active,
        whose: Whose::Everybody,
        approves: None,
        q: String::new(),
        resource: String::new(),
        statuses: Vec::new(),
        requested_from: None,
        requested_before: None,
        sort: SortKey::RequestedAt,
        descending: false,
        limit: 1000,
        cursor: None,
    }
}

async fn listed(t: &Fixture, filter: SessionFilter) -> Vec<Session> {
    reads!(t, tx => tx.sessions(&filter).await)
}

/// What the sessions of a list are sorted by, as one text that sorts alike.
fn sorted_by(key: SortKey, session: &Session) -> String {
    let time = |at: Option<Timestamp>| at.map_or("none".to_owned(), |at| format!("{:020}", at.as_micros()));
    match key {
        SortKey::Activity => session.activity_name.to_lowercase(),
        SortKey::EndAt => time(session.end_at),
        SortKey::LoginAccount => session.account.name.clone(),
        SortKey::RequestedAt => time(Some(session.requested_at)),
        SortKey::Resource => session.resource_name.to_lowercase(),
        SortKey::StartAt => time(session.start_at),
        SortKey::Status => session.status.as_str().to_owned(),
        SortKey::User => session.user_name.to_lowercase(),
    }
}

fn ids(sessions: Vec<Session>) -> Vec<SessionId> {
    let mut ids: Vec<_> = sessions.into_iter().map(|session| session.id).collect();
    ids.sort_unstable();
    ids
}

on_both! {
    async fn each_view_shows_its_own_and_an_approver_none_of_their_own(t: &Fixture) {
        let waiting = t.session(|s| (s.listed, s.status) = (true, Status::WaitingForApproval)).await;
        let scheduled = t.session(|s| (s.listed, s.status) = (true, Status::Scheduled)).await;
        let over = t.session(|s| (s.listed, s.status) = (false, Status::Denied)).await;
        for (view, expected) in [
            (View::Active, waiting.id),
            (View::Approvals, waiting.id),
            (View::Scheduled, scheduled.id),
            (View::History, over.id),
        ] {
            assert_eq!(ids(listed(t, SessionFilter { view, ..everything() }).await), [expected], "{view:?}");
        }
        let of = |whose, profile| SessionFilter { view: View::Approvals, whose, approves: Some(Approves { profiles: vec![profile], ..Approves::default() }), ..everything() };
        let (own, other) = (Whose::Others(waiting.user), Whose::Others(over.user));
        assert_eq!(ids(listed(t, of(own, waiting.profile)).await), []);
        assert_eq!(ids(listed(t, of(other.clone(), scheduled.profile)).await), []);
        assert_eq!(ids(listed(t, of(other, waiting.profile)).await), [waiting.id]);
    }

    async fn pages_hold_every_session_once_in_every_order(t: &Fixture) {
        const NAMES: [&str; 4] = ["zeta", "Alpha", "älpha", "alpha"];
        for _ in 0..37 {
            let random = t.random.clone();
            t.session(|session| {
                session.listed = true;
                session.status = random.one(&[Status::Available, Status::Failed, Status::WaitingForApproval]);
                session.user_name = random.one(&NAMES).to_owned();
                session.activity_name = random.one(&NAMES).to_owned();
                session.resource_name = random.one(&NAMES).to_owned();
                session.account.name = random.one(&["a", "b"]).to_owned();
                session.requested_at = at(random.one(&[1, 2, 3]));
                session.start_at = random.maybe(at(random.one(&[1, 2])));
                session.end_at = random.maybe(at(random.one(&[1, 2])));
            }).await;
        }
        for (sort, descending) in KEYS.into_iter().flat_map(|key| [(key, false), (key, true)]) {
            let whole = listed(t, SessionFilter { sort, descending, ..everything() }).await;
            let mut expected: Vec<_> = whole.iter().map(|session| (sorted_by(sort, session), session.id)).collect();
            let found = expected.clone();
            expected.sort();
            if descending {
                expected.reverse();
            }
            assert_eq!(found, expected, "{sort:?} {descending}");
            assert_eq!(found.len(), 37);

            let mut paged = Vec::new();
            let mut cursor = None;
            loop {
                let page = listed(t, SessionFilter { sort, descending, limit: 5, cursor, ..everything() }).await;
                let Some(last) = page.last() else { break };
                let text = Cursor::after(last, sort, descending).encode();
                cursor = Some(Cursor::decode(&text).expect("a cursor that was given out"));
                paged.extend(page);
            }
            assert_eq!(paged, whole, "{sort:?} {descending}");
        }
    }

    async fn searching_finds_any_visible_text(t: &Fixture) {
        let wanted = t.session(|session| {
            session.listed = true;
            session.user_name = "Älice O'Neil".to_owned();
            session.activity_name = "Linux Admin".to_owned();
            session.resource_name = "WEB_1".to_owned();
            session.account.name = "alice-abc".to_owned();
            session.notes = "Kernel 100% überprüfen \\ now".to_owned();
            session.ticket = "CHG-77".to_owned();
            session.status = Status::LoggedIn;
            session.reason = Some(Reason::new("unreachable", "No route to host"));
        }).await;
        t.session(|session| { session.listed = true; session.resource_name = "webx1".to_owned(); session.status = Status::Failed; }).await;
        for q in ["älice", "ÄLICE O'NEIL", "linux admin", "web_1", "ALICE-", "100% ÜBER", "\\ now", "chg-77", "Logged In", "logged_in", "no route", "  kernel "] {
            let found = listed(t, SessionFilter { q: q.to_owned(), ..everything() }).await;
            assert_eq!(found.iter().collect::<Vec<_>>(), [&wanted], "{q}");
        }
        for q in ["100_", "web%1", "nothing like it", "\0\0x\0y"] {
            assert_eq!(listed(t, SessionFilter { q: q.to_owned(), ..everything() }).await, [], "{q}");
        }
        let found = listed(t, SessionFilter { resource: "web_".to_owned(), ..everything() }).await;
        assert_eq!(found, [wanted]);
        assert_eq!(listed(t, SessionFilter { q: " \0".to_owned(), ..everything() }).await.len(), 2);
        assert_eq!(listed(t, SessionFilter { q: "x".repeat(100_000), ..everything() }).await, []);
    }

    /// What a session says changes, and what finds it changes with it.
    async fn searching_sees_the_newest_state(t: &Fixture) {
        let mut session = t.session(|session| { session.listed = true; session.status = Status::Available; session.reason = None; }).await;
        session.status = Status::Failed;
        session.reason = Some(Reason::new("collision", "Somebody else holds that name"));
        writes!(t, tx => tx.save_session(&driver(), &mut session).await).expect("a save");
        assert_eq!(listed(t, SessionFilter { q: "HOLDS THAT".to_owned(), ..everything() }).await.len(), 1);
        assert_eq!(listed(t, SessionFilter { q: "available".to_owned(), ..everything() }).await.len(), 0);
    }

    async fn filters_leave_out_the_rest(t: &Fixture) {
        let one = t.session(|session| { session.listed = true; session.status = Status::Available; }).await;
        let two = t.session(|session| { session.listed = true; session.status = Status::Failed; }).await;
        let old = t.session(|session| { session.listed = false; session.status = Status::Completed; }).await;
        let mut both = [one.id, two.id];
        both.sort();
        assert_eq!(ids(listed(t, everything()).await), both);
        assert_eq!(ids(listed(t, SessionFilter { view: View::History, ..everything() }).await), [old.id]);
        assert_eq!(ids(listed(t, SessionFilter { whose: Whose::User(two.user), ..everything() }).await), [two.id]);
        let statuses = vec![Status::Available, Status::Completed];
        assert_eq!(ids(listed(t, SessionFilter { statuses, ..everything() }).await), [one.id]);
        assert_eq!(listed(t, SessionFilter { limit: 1, ..everything() }).await.len(), 1);
        let (from, after) = (one.requested_at, one.requested_at.plus(std::time::Duration::from_micros(1)));
        let earlier = SessionFilter { requested_before: Some(from), ..everything() };
        assert!(!ids(listed(t, earlier).await).contains(&one.id));
        let later = SessionFilter { requested_from: Some(after), ..everything() };
        assert!(!ids(listed(t, later).await).contains(&one.id));
        let day = SessionFilter { requested_from: Some(from), requested_before: Some(after), ..everything() };
        assert!(ids(listed(t, day.clone()).await).contains(&one.id));
        let cursor = Some(Cursor::after(&one, day.sort, day.descending));
        assert!(!ids(listed(t, SessionFilter { cursor, ..day }).await).contains(&one.id));
    }

    async fn a_cursor_of_another_order_is_refused(t: &Fixture) {
        let session = t.session(|session| session.listed = true).await;
        for cursor in [Cursor::after(&session, SortKey::User, false), Cursor::after(&session, SortKey::RequestedAt, true)] {
            let filter = SessionFilter { cursor: Some(cursor), ..everything() };
            let result = t.store.read(move |tx| Box::pin(async move { tx.sessions(&filter).await })).await;
            assert!(matches!(result, Err(StoreError::BadCursor)), "{result:?}");
        }
    }
}

#[test]
fn nonsense_is_no_cursor() {
    let session = Random::default().session();
    let good = Cursor::after(&session, SortKey::User, true);
    assert_eq!(Cursor::decode(&good.encode()).expect("it was given out"), good);
    let with =
        |json: &str| data_encoding::BASE64URL_NOPAD.encode(json.replace("ID", &session.id.to_string()).as_bytes());
    for bad in [
        String::new(),
        "x".to_owned(),
        "%%%".to_owned(),
        with("{}"),
        with(r#"{"sort":"user","descending":true,"value":7,"id":"ID"}"#),
        with(r#"{"sort":"start_at","descending":true,"value":"7","id":"ID"}"#),
        with(r#"{"sort":"user","descending":true,"value":"x","id":"grt_1"}"#),
        with("{\"sort\":\"user\",\"descending\":true,\"value\":\"\\u0000\",\"id\":\"ID\"}"),
    ] {
        assert!(matches!(Cursor::decode(&bad), Err(StoreError::BadCursor)), "{bad}");
    }
}
