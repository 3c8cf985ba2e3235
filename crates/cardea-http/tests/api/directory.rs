//! People who sign in with what they have in a directory, against a real Active Directory.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use cardea_domain::{
    Directories, Directory, DirectoryFault, DirectoryPerson, DirectoryVerdict, GateRefusal, Secret, Sought,
};
use cardea_identity::Ldap;
use cardea_testkit::Samba;
use serde_json::{Value, json};

use crate::{
    connect::by_password,
    factor::enrol,
    world::{Answer, As, PASSWORD, PUBLIC_URL, World},
};

const SECRET: &str = "Right-Passw0rd";
const SYNC: &str = "/api/v1/identity-providers/corp/sync";

/// An application beside a directory with `dana`, who is in `staff` by way of `team`. `staff` may run `Linux admin` on `web1`.
struct Corp {
    world: World,
    samba: Samba,
}

impl Corp {
    async fn start() -> Self {
        let samba = Samba::start();
        samba.add_user("dana", SECRET);
        samba.add_group("staff");
        samba.add_group("team");
        samba.add_member("staff", "team");
        samba.add_member("team", "dana");
        let world = World::start().await;
        world.app.ask_directories_by(Arc::new(Ldap::default()));
        world
            .apply(json!([
                { "kind": "Group", "name": "helpers", "spec": { "roles": ["auditor"] } },
                { "kind": "IdentityProvider", "name": "corp", "spec": {
                    "protocol": "ldap", "url": samba.url(), "ca": samba.ca(), "base_dn": Samba::BASE,
                    "bind_dn": Samba::SEARCHER, "bind_password": Samba::SEARCHER_PASSWORD, "create_users": true,
                    // Names of entries are the same in any case.
                    "groups": { Samba::dn("staff").to_lowercase(): "helpers" },
                } },
                { "kind": "ConnectionProfile", "name": "help", "spec": { "max_duration": "1h" } },
                { "kind": "AccessPolicy", "name": "help", "spec": { "groups": ["helpers"], "activities": ["Linux admin"],
                    "resources": ["web1"], "connection_profile": "help" } },
            ]))
            .await;
        Self { world, samba }
    }

    async fn try_as(&self, user: &str, password: &str) -> Answer {
        self.world.post(&As::Nobody, "/api/v1/sign-in", json!({ "user": user, "password": password })).await
    }

    async fn sign_in(&self, user: &str) -> As {
        let answer = self.try_as(user, SECRET).await;
        answer.ok(200);
        let cookie = answer.header("set-cookie").split(';').next().expect("a cookie").to_owned();
        As::Cookie(cookie, Some(PUBLIC_URL))
    }

    async fn sync(&self) -> Value {
        self.world.post(&As::Operator, SYNC, json!({})).await.ok(200)
    }

    async fn roles(&self, who: &As) -> Value {
        self.world.get(who, "/api/v1/me").await.ok(200)["roles"].take()
    }
}

#[tokio::test]
async fn people_sign_in_with_what_they_have_and_groups_follow() {
    let corp = Corp::start().await;
    let dana = corp.sign_in("Dana").await;
    let me = corp.world.get(&dana, "/api/v1/me").await.ok(200);
    assert_eq!((&me["user"], &me["full_name"]), (&json!("dana"), &json!("dana of Cardea")));
    assert_eq!(me["roles"], json!(["auditor", "user"]), "by a group in a group");
    let shown = corp.world.get(&As::Operator, "/api/v1/users/dana").await;
    assert_eq!(shown.ok(200)["spec"]["identity"]["provider"], "corp");
    assert!(!shown.text.contains(SECRET));

    corp.world.post(&dana, "/api/v1/me/proof", json!({ "password": SECRET })).await.ok(200);
    corp.world
        .post(&dana, "/api/v1/me/proof", json!({ "password": "Wr0ng-Password" }))
        .await
        .problem(403, "wrong-factor");
    let change = json!({ "old": SECRET, "new": "a long new sentence" });
    corp.world.send(&dana, "PUT", "/api/v1/me/password", Some(change)).await.problem(409, "directory-password");

    corp.samba.remove_member("staff", "team");
    assert_eq!(corp.sync().await["regrouped"], json!(["dana"]));
    assert_eq!(corp.roles(&dana).await, json!(["user"]));
    corp.samba.add_member("staff", "dana");
    let again = corp.sign_in("dana").await;
    assert_eq!(corp.roles(&again).await, json!(["auditor", "user"]), "at each sign-in");

    // Whoever is renamed is the same person, and goes by the new name there.
    corp.samba.rename("dana", "danielle");
    let renamed = corp.sign_in("danielle").await;
    assert_eq!(corp.world.get(&renamed, "/api/v1/me").await.ok(200)["user"], "dana");
    corp.try_as("dana", SECRET).await.problem(401, "wrong-credentials");
    assert_eq!(corp.sync().await["gone"], json!([]));
}

#[tokio::test]
async fn nothing_but_the_password_lets_in() {
    let corp = Corp::start().await;
    corp.sign_in("dana").await;
    let unknown = corp.try_as("nobody", SECRET).await.problem(401, "wrong-credentials");
    for (user, password) in [
        ("dana", "Wr0ng-Password"),
        ("dana", ""),
        ("*", SECRET),
        ("d*", SECRET),
        (")(uid=*", SECRET),
        ("*)(objectClass=*", SECRET),
        ("dana)(cn=dana", SECRET),
    ] {
        // From elsewhere each time: it is not to be told that it is too often.
        let body = json!({ "user": user, "password": password });
        let peer = format!("192.0.2.{}:1000", user.len() + password.len());
        let wrong = corp.world.post_from(&peer, "", "/api/v1/sign-in", body).await.problem(401, "wrong-credentials");
        assert_eq!(wrong["detail"], unknown["detail"], "{user:?} {password:?}");
    }
    // Whoever is kept here alone is not asked about there, whatever their name.
    corp.samba.add_user("alice", SECRET);
    corp.try_as("alice", SECRET).await.problem(401, "wrong-credentials");
    // When it is said tells nothing of who was looked for where.
    for user in ["alice", "dana", "somebody"] {
        let asked_at = Instant::now();
        corp.try_as(user, "Wr0ng-Password").await.problem(401, "wrong-credentials");
        assert!(asked_at.elapsed() >= Duration::from_millis(500), "{user}");
    }
}

#[tokio::test]
async fn the_gateway_asks_the_directory_too() {
    let corp = Corp::start().await;
    let world = &corp.world;
    let dana = corp.sign_in("dana").await;
    enrol(world, &dana).await;
    let session = world.request(&dana, &["web1"]).await.remove(0);
    world.until_status(&session, "available").await;
    // A password of here that was left over opens nothing.
    let mut spec = world.get(&As::Operator, "/api/v1/users/dana").await.ok(200)["spec"].take();
    spec["password"] = json!(PASSWORD);
    world.apply(json!([{ "kind": "User", "name": "dana", "spec": spec }])).await;
    for wrong in [PASSWORD, "Wr0ng-Password"] {
        assert_eq!(by_password(world, &session, wrong).await.map(drop), Err(GateRefusal::WRONG_TOKEN), "{wrong}");
    }
    let half = by_password(world, &session, SECRET).await.expect("it is right");
    assert!(half.is_some(), "a factor is asked for");
    corp.samba.set_disabled("dana", true);
    assert_eq!(by_password(world, &session, SECRET).await.map(drop), Err(GateRefusal::WRONG_TOKEN));
}

#[tokio::test]
async fn who_leaves_the_directory_loses_everything_at_the_next_look() {
    let corp = Corp::start().await;
    let world = &corp.world;
    let (dana, token) = (corp.sign_in("dana").await, world.token("dana").await);
    let session = world.request(&dana, &["web1"]).await.remove(0);
    world.until_status(&session, "available").await;

    corp.samba.set_disabled("dana", true);
    world.get(&dana, "/api/v1/me").await.ok(200);
    assert_eq!(corp.sync().await, json!({ "checked": 1, "gone": ["dana"], "back": [], "regrouped": ["dana"] }));
    world.get(&dana, "/api/v1/me").await.problem(401, "not-signed-in");
    world.get(&token, "/api/v1/me").await.problem(401, "not-signed-in");
    corp.try_as("dana", SECRET).await.problem(401, "wrong-credentials");
    let ended = world.until_status(&session, "canceled").await;
    assert!(ended.to_string().contains("disabled in the directory"), "{ended:#}");
    let told = world.get(&As::Operator, "/api/v1/directories").await.ok(200)["items"][0].take();
    assert_eq!((&told["name"], &told["users"], &told["linked"]), (&json!("corp"), &json!(1), &json!(1)));
    assert_eq!((&told["away"][0]["name"], &told["away"][0]["reason"]), (&json!("dana"), &json!("disabled")));
    assert_eq!((&told["error"], &told["succeeded_at"]), (&Value::Null, &told["ended_at"]));
    let nothing = json!({ "checked": 1, "gone": [], "back": [], "regrouped": [] });
    assert_eq!(corp.sync().await, nothing, "once is enough");

    corp.samba.set_disabled("dana", false);
    assert_eq!(corp.sync().await["back"], json!(["dana"]));
    world.get(&dana, "/api/v1/me").await.problem(401, "not-signed-in");
    world.get(&token, "/api/v1/me").await.problem(401, "not-signed-in");
    let dana = corp.sign_in("dana").await;

    corp.samba.delete("dana");
    assert_eq!(corp.sync().await["gone"], json!(["dana"]));
    world.get(&dana, "/api/v1/me").await.problem(401, "not-signed-in");
    // Another person of the same name is another person.
    corp.samba.add_user("dana", SECRET);
    corp.try_as("dana", SECRET).await.problem(401, "wrong-credentials");
    assert_eq!(corp.sync().await, nothing);
}

#[tokio::test]
async fn a_directory_that_lost_its_mind_takes_nobody_away() {
    let mut corp = Corp::start().await;
    let dana = corp.sign_in("dana").await;
    for n in 1..=6 {
        let name = format!("person{n}");
        corp.samba.add_user(&name, SECRET);
        corp.sign_in(&name).await;
    }
    corp.samba.stop();
    let fault = corp.world.post(&As::Operator, SYNC, json!({})).await.problem(409, "directory-fault");
    assert!(fault["detail"].as_str().is_some_and(|text| text.contains("cannot be reached")), "{fault}");
    let told = corp.world.get(&As::Operator, "/api/v1/directories").await.ok(200)["items"][0].take();
    assert!(told["error"].as_str().is_some_and(|text| text.contains("cannot be reached")), "{told}");
    assert_eq!((&told["succeeded_at"], &told["away"]), (&Value::Null, &json!([])));
    // It is said that nobody can know, to whoever may be somebody; who is kept here is let in.
    let answer = corp.try_as("dana", SECRET).await.problem(503, "directory-away");
    assert!(answer["detail"].as_str().is_some_and(|text| text.contains("cannot be checked now")), "{answer}");
    corp.world.cookie().await;
    corp.world.get(&dana, "/api/v1/me").await.ok(200);
    corp.samba.resume();

    for n in 1..=5 {
        corp.samba.delete(&format!("person{n}"));
    }
    let held = corp.world.post(&As::Operator, SYNC, json!({})).await.problem(409, "sync-held");
    assert!(held["detail"].as_str().is_some_and(|text| text.contains("5 of its 7")), "{held}");
    let figures = corp.world.get(&As::Operator, "/metrics").await;
    assert!(figures.text.contains("cardea_directory_failing{directory=\"corp\"} 1"), "{}", figures.text);
    corp.world.get(&dana, "/api/v1/me").await.ok(200);

    let confirmed = corp.world.post(&As::Operator, SYNC, json!({ "confirm": true })).await.ok(200);
    assert_eq!(confirmed["gone"].as_array().map(Vec::len), Some(5));
    corp.world.get(&dana, "/api/v1/me").await.ok(200);
    let good = async {
        // Figures are read once a second.
        while !corp
            .world
            .get(&As::Operator, "/metrics")
            .await
            .text
            .contains("cardea_directory_failing{directory=\"corp\"} 0")
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::world::PATIENCE, good).await.expect("it is told that the last look was good");
    // Nobody at all is found by a filter that somebody got wrong: what is left is kept as well.
    let spec = json!({ "protocol": "ldap", "url": corp.samba.url(), "ca": corp.samba.ca(), "base_dn": Samba::BASE,
        "bind_dn": Samba::SEARCHER, "create_users": true, "user_filter": "(&(uid={user})(description=nobody))" });
    corp.world.apply(json!([{ "kind": "IdentityProvider", "name": "corp", "spec": spec }])).await;
    corp.world.post(&As::Operator, SYNC, json!({})).await.problem(409, "sync-held");
}

#[tokio::test]
async fn directories_are_looked_at_by_themselves() {
    let corp = Corp::start().await;
    let dana = corp.sign_in("dana").await;
    corp.samba.delete("dana");
    let (app, stop) = (corp.world.app.clone(), corp.world.stop.clone());
    let looks = tokio::spawn(async move { app.run_directories(stop).await });
    let mut changes = corp.world.app.subscribe(&cardea_domain::Actor::Engine, None);
    let ended = async {
        while corp.world.get(&dana, "/api/v1/me").await.status.is_success() {
            futures_util::StreamExt::next(&mut changes).await;
        }
    };
    tokio::time::timeout(crate::world::PATIENCE, ended).await.expect("the first look is at the start");
    corp.world.stop.cancel();
    looks.await.expect("it stops when it is told to");
}

/// A directory where one person is, and nobody any more when it is looked who is there. What is called broken does not answer.
struct Forgetful;

#[async_trait]
impl Directories for Forgetful {
    async fn sign_in(
        &self,
        directory: &Arc<Directory>,
        _: Sought<'_>,
        _: &Secret,
    ) -> Result<DirectoryVerdict, DirectoryFault> {
        answers(directory)?;
        Ok(DirectoryVerdict::Right(DirectoryPerson {
            subject: "one".to_owned(),
            user: "dana".to_owned(),
            name: None,
            email: None,
            is_disabled: false,
            expires_at: None,
            groups: Vec::new(),
        }))
    }

    async fn look_up(&self, directory: &Arc<Directory>, _: &[String]) -> Result<Vec<DirectoryPerson>, DirectoryFault> {
        answers(directory).map(|()| Vec::new())
    }
}

fn answers(directory: &Directory) -> Result<(), DirectoryFault> {
    if directory.base_dn.contains("broken") { Err(DirectoryFault("it is broken".to_owned())) } else { Ok(()) }
}

/// Makes the server answer with one of the problems of directories.
pub(crate) async fn produce(world: &World, slug: &str) -> Answer {
    world.app.ask_directories_by(Arc::new(Forgetful));
    let base = if matches!(slug, "directory-away" | "directory-fault") { "dc=broken" } else { "dc=example" };
    let linked = |subject: &str| json!({ "identity": { "provider": "forgetful", "subject": subject } });
    world
        .apply(json!([
            { "kind": "IdentityProvider", "name": "forgetful", "spec": {
                "protocol": "ldap", "url": "ldap://127.0.0.1", "base_dn": base } },
            { "kind": "User", "name": "dana", "spec": linked("one") },
            { "kind": "User", "name": "dora", "spec": linked("two") },
        ]))
        .await;
    if !matches!(slug, "directory-away" | "directory-password") {
        return world.post(&As::Operator, "/api/v1/identity-providers/forgetful/sync", json!({})).await;
    }
    let signed_in =
        world.post(&As::Nobody, "/api/v1/sign-in", json!({ "user": "dana", "password": "anything at all" })).await;
    if slug == "directory-away" {
        return signed_in;
    }
    let cookie = signed_in.header("set-cookie").split(';').next().expect("a cookie").to_owned();
    let change = json!({ "old": "anything at all", "new": "a long new sentence" });
    world.send(&As::Cookie(cookie, Some(PUBLIC_URL)), "PUT", "/api/v1/me/password", Some(change)).await
}
