//! Activities of every kind: accounts that stay, stages, scripts, shared privileges, and what root changed.

use cardea_domain::{Drift, KnownAccount, ScriptOutcome, Snapshot};

use super::*;

const UID: u32 = 1500;

impl World {
    /// An activity of this spec for alice and bob on web1 and web2.
    pub(super) async fn offers(&self, spec: serde_json::Value) {
        let document = |kind, name: &str, spec| Document { kind, name: name.to_owned(), spec };
        let accounts = json!({ "web1": "ops", "web2": "ops" });
        let documents = vec![
            document(Kind::User, "alice", json!({ "ssh_keys": [KEY], "accounts": accounts })),
            document(Kind::User, "bob", json!({ "accounts": accounts })),
            document(Kind::Activity, "special", spec),
            document(
                Kind::AccessPolicy,
                "special",
                json!({ "users": ["alice", "bob"], "activities": ["special"], "resources": ["web1", "web2"], "connection_profile": "hour" }),
            ),
        ];
        let applied = self.app.apply(&Actor::Operator { uid: 0 }, documents, crate::ApplyOptions::default()).await;
        applied.expect("a good configuration");
    }

    pub(super) fn user(&self, name: &str) -> Actor {
        let configuration = self.app.configuration();
        actor_of(&configuration, configuration.find(Kind::User, name).expect("somebody"), Via::Key).expect("a user")
    }

    pub(super) async fn special(&self, user: &str) -> SessionId {
        let request =
            NewRequest { activity: "special".to_owned(), resources: vec!["web1".to_owned()], ..NewRequest::default() };
        let created = self.app.create_sessions(&self.user(user), request).await.expect("a policy gives it");
        created[0].session.id
    }

    /// The session as the engine's operator sees it, when `is_so`.
    pub(super) async fn seen(
        &self,
        id: SessionId,
        what: &str,
        is_so: impl Fn(&SessionDetail) -> bool,
    ) -> SessionDetail {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let detail = self.app.session(&Actor::Operator { uid: 0 }, id).await.expect("it is there");
            if is_so(&detail) {
                return detail;
            }
            assert!(tokio::time::Instant::now() < deadline, "never {what}: {detail:#?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub(super) async fn is_clean(&self, id: SessionId) -> bool {
        self.app.session(&Actor::Operator { uid: 0 }, id).await.expect("it is there").session.clean
    }

    pub(super) async fn special_available(&self, user: &str) -> SessionDetail {
        let id = self.special(user).await;
        self.seen(id, "available", |detail| detail.session.status == Status::Available).await
    }

    pub(super) async fn end(&self, id: SessionId) -> SessionDetail {
        self.app.end_session(&Actor::Operator { uid: 0 }, id, None).await.expect("it can be ended");
        self.seen(id, "clean", |detail| detail.session.clean).await
    }

    async fn log_of(&self, id: SessionId) -> Vec<String> {
        let lines = self.app.session_log(&Actor::Operator { uid: 0 }, id).await.expect("a log");
        lines.into_iter().map(|line| line.message).collect()
    }

    pub(super) fn plant(&self, name: &str, uid: u32) {
        let known = KnownAccount { uid, comment: "by hand".to_owned(), locked: false, expires_day: None };
        self.target.plant_account("web1", name, known);
    }
}

pub(super) fn requester(actions: &serde_json::Value) -> serde_json::Value {
    json!({ "platform": "linux", "protocol": "ssh", "login_account": { "type": "requester" }, "pre_session": actions })
}

#[tokio::test]
async fn a_managed_account_is_had_by_one_session_at_a_time() {
    let world = World::new().await;
    let account = json!({ "type": "managed", "account": "dba" });
    world.offers(json!({ "platform": "linux", "protocol": "ssh", "login_account": account })).await;
    let first = world.special_available("alice").await;
    assert_eq!(first.session.account.name, "dba");
    let second = world.special("bob").await;
    let second = world.seen(second, "clean", |detail| detail.session.clean).await;
    assert_eq!(second.session.reason.map(|reason| reason.code).as_deref(), Some("checked_out"));
    assert!(world.target.things().keys().any(|thing| thing.contains("managed_account")), "the first still has it");
    world.end(first.session.id).await;
    let third = world.special_available("bob").await;
    assert_eq!(third.session.account, first.session.account, "the same number again");
    world.end(third.session.id).await;
    assert_eq!(world.target.things().len(), 0);
}

#[tokio::test]
async fn an_account_of_the_system_or_of_cardea_is_nobodys() {
    let world = World::new().await;
    world.offers(requester(&json!([{ "add_to_group": { "group": "adm" } }]))).await;
    for (uid, code) in [(999, "target_refused"), (0, "target_refused")] {
        world.plant("ops", uid);
        let id = world.special("alice").await;
        let detail = world.seen(id, "clean", |detail| detail.session.clean).await;
        assert_eq!(detail.session.reason.map(|reason| reason.code).as_deref(), Some(code));
    }
    assert!(world.target.things().is_empty());
}

#[tokio::test]
async fn what_two_sessions_hold_goes_with_the_last_and_what_was_there_stays() {
    let world = World::new().await;
    let groups = json!([{ "add_to_group": { "group": "adm" } }, { "add_to_group": { "group": "wheel" } }]);
    world.offers(requester(&groups)).await;
    world.plant("ops", UID);
    world.target.occupy("web1 ops group_membership wheel");
    let first = world.special_available("alice").await;
    let second = world.special_available("bob").await;
    let adm = "web1 ops group_membership adm";
    let mark = |detail: &SessionDetail| {
        detail
            .grants
            .iter()
            .find(|grant| grant.share_key.as_ref().is_some_and(|key| key.contains("adm")))
            .map(|grant| grant.mark)
    };
    assert_eq!(mark(&first), mark(&second), "one privilege, one mark");
    let of_wheel =
        |detail: &SessionDetail| detail.grants.iter().filter(|grant| grant.state == GrantState::Preexisting).count();
    assert_eq!((of_wheel(&first), of_wheel(&second)), (1, 1));
    let over = world.end(first.session.id).await;
    assert!(world.target.things().contains_key(adm), "the second still holds it");
    let log = world.log_of(over.session.id).await;
    assert!(log.iter().any(|line| line.contains("other sessions hold it")), "{log:#?}");
    world.end(second.session.id).await;
    assert_eq!(world.target.things().keys().collect::<Vec<_>>(), ["web1 ops group_membership wheel"]);
}

#[tokio::test]
async fn every_stage_runs_once_in_its_turn_with_its_values_in_the_environment() {
    let world = World::new().await;
    let script = |text: &str| json!([{ "run_script": { "script": text } }]);
    world
        .offers(json!({
            "platform": "linux", "protocol": "ssh", "login_account": { "type": "activity_token" },
            "pre_session": script("before"), "session": script("during"), "post_session": script("after"),
        }))
        .await;
    world.target.plan_script(ScriptOutcome { status: 0, timed_out: false, output: "hello\nthere".to_owned() });
    let detail = world.special_available("alice").await;
    let id = detail.session.id;
    world
        .seen(id, "done with what it does meanwhile", |detail| {
            !detail.grants.iter().any(|grant| grant.stage == Stage::Session && grant.state == GrantState::Planned)
        })
        .await;
    assert!(detail.grants.iter().filter(|grant| grant.privilege.is_unproven()).count() == 3);
    world.end(id).await;
    let ran: Vec<_> = world.target.scripts().into_iter().map(|script| (script.text, script.environment)).collect();
    assert_eq!(ran.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>(), ["before", "during", "after"]);
    assert!(ran[2].1.contains(&("CARDEA_STAGE".to_owned(), "post_session".to_owned())), "{:?}", ran[2].1);
    assert!(ran[0].1.contains(&("CARDEA_SESSION".to_owned(), id.to_string())));
    let log = world.log_of(id).await;
    assert!(log.contains(&"script: hello".to_owned()) && log.contains(&"script: there".to_owned()), "{log:#?}");
    assert_eq!(world.target.things().len(), 0);
}

#[tokio::test]
async fn an_activity_without_a_log_in_runs_and_ends() {
    let world = World::new().await;
    let scripts = json!([{ "run_script": { "script": "one" } }]);
    world
        .offers(json!({ "platform": "linux", "protocol": "none", "pre_session": scripts, "post_session": scripts }))
        .await;
    let id = world.special("alice").await;
    let detail = world.seen(id, "over", |detail| detail.session.clean).await;
    assert_eq!(
        (detail.session.status, detail.session.reason.map(|reason| reason.code).as_deref()),
        (Status::Completed, Some("done"))
    );
    assert_eq!(world.target.scripts().len(), 2);
}

#[tokio::test]
async fn a_script_whose_end_nobody_saw_fails_the_session_and_never_runs_again() {
    let mut world = World::new().await;
    let account = json!({ "type": "activity_token" });
    let scripts = json!([{ "run_script": { "script": "one" } }]);
    world
        .offers(json!({ "platform": "linux", "protocol": "ssh", "login_account": account, "pre_session": scripts }))
        .await;
    let hold = world.target.hold(Operation::RunScript);
    let id = world.special("alice").await;
    hold.reached(1).await;
    world.crash().await;
    drop(hold);
    let detail = world.seen(id, "clean", |detail| detail.session.clean).await;
    assert_eq!(detail.session.reason.map(|reason| reason.code).as_deref(), Some("no_answer"));
    assert!(world.target.scripts().len() <= 1);
    assert_eq!(world.target.things().len(), 0);
}

#[tokio::test]
async fn a_step_that_may_fail_does_not_fail_the_session_and_is_removed_all_the_same() {
    let world = World::new().await;
    let actions = json!([
        { "add_to_group": { "group": "adm" }, "continue_on_error": true },
        { "add_to_group": { "group": "staff" } },
    ]);
    let account = json!({ "type": "activity_token" });
    world
        .offers(json!({ "platform": "linux", "protocol": "ssh", "login_account": account, "pre_session": actions }))
        .await;
    // The dead man's switch and the account come first.
    world.target.pass_next(Operation::Place);
    world.target.pass_next(Operation::Place);
    world.target.fail_next(Operation::Place, ConnectorError::Refused("no such group".to_owned()));
    let detail = world.special_available("alice").await;
    let log = world.log_of(detail.session.id).await;
    assert!(log.iter().any(|line| line.contains("goes on as the activity says")), "{log:#?}");
    let over = world.end(detail.session.id).await;
    assert!(over.grants.iter().all(|grant| grant.state == GrantState::Removed && grant.evidence.is_some()));
    assert_eq!(world.target.things().len(), 0);
}

#[tokio::test]
async fn what_root_changed_on_the_host_is_told() {
    let world = World::new().await;
    let snapshot = |items: &[(&str, &str)]| {
        Snapshot(items.iter().map(|(name, print)| ((*name).to_owned(), (*print).to_owned())).collect())
    };
    world.target.plant_snapshot("web1", snapshot(&[("sudoers /etc/sudoers", "1")]));
    let id = world.available("web1").await.session.id;
    world.target.plant_snapshot("web1", snapshot(&[("sudoers /etc/sudoers", "2"), ("cron /etc/cron.d/x", "3")]));
    world.end(id).await;
    let log = world.log_of(id).await;
    for what in [Drift::Changed("sudoers /etc/sudoers".to_owned()), Drift::New("cron /etc/cron.d/x".to_owned())] {
        let (Drift::Changed(name) | Drift::New(name) | Drift::Gone(name)) = what;
        assert!(log.iter().any(|line| line.contains(&name)), "{name}: {log:#?}");
    }
}

#[tokio::test]
async fn a_file_that_is_named_like_one_of_cardeas_is_told() {
    let world = World::new().await;
    world.target.plant_snapshot("web1", Snapshot::default());
    let id = world.available("web1").await.session.id;
    let other = world.available("web1").await.session.id;
    let rule = |detail: SessionDetail| {
        detail.grants.iter().find(|grant| grant.privilege.kind() == "sudo_rule").expect("a sudo rule").id
    };
    let (own, others) = (rule(world.detail(id).await), rule(world.detail(other).await));
    let put_back = format!("sudoers /etc/sudoers.d/cardea-{own}");
    let known = format!("sudoers /etc/sudoers.d/cardea-{others}");
    let elsewhere = format!("schedule /etc/cron.d/cardea-{others}");
    let items = [&put_back, &known, &elsewhere].map(|name| (name.clone(), "1".to_owned()));
    world.target.plant_snapshot("web1", Snapshot(items.into_iter().collect()));
    world.end(id).await;
    let log = world.log_of(id).await;
    let told = |name: &str| log.iter().any(|line| line.contains(name));
    assert_eq!((told(&put_back), told(&known), told(&elsewhere)), (true, false, true), "{log:#?}");
}

#[tokio::test]
async fn what_is_there_again_after_its_removal_is_removed_again() {
    let world = World::new().await;
    let id = world.available("web1").await.session.id;
    let things = world.target.things();
    let detail = world.end(id).await;
    assert_eq!(detail.session.status, Status::Canceled);
    let (key, thing) = things.into_iter().find(|(key, _)| key.contains("sudo_rule")).expect("a sudo rule");
    world.target.put_back(&key, thing);
    world.advance(Duration::from_secs(100));
    let log_says = |log: Vec<String>| log.iter().any(|line| line.contains("there again"));
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !log_says(world.log_of(id).await) {
        assert!(tokio::time::Instant::now() < deadline, "never looked again");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let detail = world.seen(id, "clean again", |detail| detail.session.clean).await;
    assert_eq!((detail.session.status, world.target.things().len()), (Status::Canceled, 0));
}

#[tokio::test]
async fn a_log_in_keeps_no_step_of_an_open_session_from_being_done() {
    for operation in [Operation::RunScript, Operation::Observe, Operation::Place] {
        let world = World::new().await;
        world.plant("ops", UID);
        let mut spec = requester(&json!([]));
        spec["session"] = json!([{ "run_script": { "script": "true" } }, { "add_to_group": { "group": "adm" } }]);
        if operation != Operation::RunScript {
            spec["session"] = json!([{ "add_to_group": { "group": "adm" } }]);
        }
        let hold = world.target.hold(operation);
        world.offers(spec).await;
        let id = world.special("alice").await;
        hold.reached(1).await;
        // The step is on its way; whoever logs in is first at the host.
        let raised = world
            .app
            .0
            .store
            .write(move |tx| Box::pin(async move { Ok::<_, crate::AppError>(tx.raise_fence(id).await?) }));
        world.target.forge_fence(id, raised.await.expect("the store takes it").fence);
        drop(hold);
        let is_done = |detail: &SessionDetail| {
            detail.grants.iter().any(|grant| grant.stage == Stage::Session && grant.state == GrantState::Placed)
        };
        world.seen(id, "in the group", is_done).await;
        assert_eq!(world.target.scripts().len(), usize::from(operation == Operation::RunScript), "{operation:?}");
        world.end(id).await;
        assert!(world.target.things().is_empty(), "{:?}", world.target.things());
    }
}
