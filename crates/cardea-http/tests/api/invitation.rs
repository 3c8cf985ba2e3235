//! Invitations: from the administrator's wish to the first sign-in.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    notice::Telling,
    world::{As, PASSWORD, PUBLIC_URL, World},
};

const CHOSEN: &str = "another long sentence";

/// Invites a user and reads the token from their mail.
async fn invite(t: &Telling, user: &str, nth: usize) -> String {
    t.world.post(&As::Operator, &format!("/api/v1/users/{user}/invite"), json!({})).await.ok(202);
    let is_invitation = |mail: &&cardea_domain::Mail| mail.subject.contains("invited");
    let mut mail = t.mail_to(user, "invited").await;
    while t.courier.mails().iter().filter(is_invitation).count() <= nth {
        tokio::task::yield_now().await;
    }
    if let Some(newest) = t.courier.mails().into_iter().rfind(|mail| mail.subject.contains("invited")) {
        mail = newest;
    }
    let link = mail.text.split_whitespace().find(|word| word.starts_with(PUBLIC_URL)).expect("a link");
    link.strip_prefix(&format!("{PUBLIC_URL}/invitation#")).expect("behind the #").to_owned()
}

async fn accept(world: &World, token: &str) -> crate::world::Answer {
    let body = json!({ "token": token, "password": CHOSEN });
    world.post(&As::Nobody, "/api/v1/accept-invitation", body).await
}

async fn sign_in(world: &World, user: &str) -> crate::world::Answer {
    world.post(&As::Nobody, "/api/v1/sign-in", json!({ "user": user, "password": CHOSEN })).await
}

#[tokio::test]
async fn an_invited_user_chooses_a_password_once() {
    let t = Telling::start().await;
    let spec = json!({ "full_name": "Frank", "email": "frank@example.com" });
    t.world.apply(json!([{ "kind": "User", "name": "frank", "spec": spec }])).await;
    let token = invite(&t, "frank", 0).await;
    let short = json!({ "token": token, "password": "short" });
    let answer = t.world.post(&As::Nobody, "/api/v1/accept-invitation", short).await;
    assert_eq!(answer.wrong_fields(), ["/password"]);
    accept(&t.world, &token).await.ok(204);
    sign_in(&t.world, "frank").await.ok(200);
    accept(&t.world, &token).await.problem(401, "wrong-credentials");
    // Webhooks hear that it happened, and nothing that opens anything.
    let posts = t.courier.until_posts("chat", 1).await;
    let body: Value = serde_json::from_str(&posts[0].body).expect("JSON");
    assert_eq!(
        (body["type"].as_str(), body["data"]["facts"]["link"].as_str()),
        (Some("invited"), Some("https://cardea.example.com/"))
    );
    assert!(!posts[0].body.contains("cardea-invitation"), "{}", posts[0].body);
}

#[tokio::test]
async fn an_invitation_ends_with_time_and_with_the_next_one() {
    let t = Telling::start().await;
    let (first, second) = (invite(&t, "erin", 0).await, invite(&t, "erin", 1).await);
    assert_ne!(first, second);
    accept(&t.world, &first).await.problem(401, "wrong-credentials");
    t.world.clock.advance(Duration::from_secs(73 * 3600));
    accept(&t.world, &second).await.problem(401, "wrong-credentials");
    accept(&t.world, "cardea-invitation-guessed").await.problem(401, "wrong-credentials");
}

#[tokio::test]
async fn who_changes_some_users_invites_those_and_nobody_who_may_do_more() {
    let t = Telling::start().await;
    let role =
        json!({ "permissions": ["configuration.see", "configuration.change.user"], "scope": { "groups": ["team"] } });
    t.world
        .apply(json!([
            { "kind": "User", "name": "frank", "spec": { "email": "frank@example.com" } },
            { "kind": "Group", "name": "team", "spec": { "members": ["erin", "frank", "root"] } },
            { "kind": "Role", "name": "keepers", "spec": role },
            { "kind": "User", "name": "rita", "spec": { "password": PASSWORD, "roles": ["user", "keepers"] } },
        ]))
        .await;
    let rita = t.world.signed_in("rita").await;
    let invite = async |user: &str| t.world.post(&rita, &format!("/api/v1/users/{user}/invite"), json!({})).await;
    invite("frank").await.ok(202);
    // Whoever can have others' mail sent elsewhere must not become them.
    let answer = invite("erin").await;
    assert!(answer.problem(409, "refused")["detail"].as_str().is_some_and(|detail| detail.contains("a password")));
    invite("root").await.problem(403, "not-allowed");
    invite("dave").await.problem(404, "not-found");
}

#[tokio::test]
async fn an_invitation_is_for_its_user_as_they_were_and_ends_their_sign_ins() {
    let t = Telling::start().await;
    let erin = t.world.signed_in("erin").await;
    let token = invite(&t, "erin", 0).await;
    accept(&t.world, &token).await.ok(204);
    t.world.get(&erin, "/api/v1/me").await.problem(401, "not-signed-in");
    let token = invite(&t, "erin", 1).await;
    t.world.clock.advance(Duration::from_secs(1));
    let spec = json!({ "email": "erin@elsewhere.example.com", "roles": ["user"] });
    t.world.apply(json!([{ "kind": "User", "name": "erin", "spec": spec }])).await;
    accept(&t.world, &token).await.problem(401, "wrong-credentials");
    // A token that was found gives nobody a password.
    let admin = t.world.signed_in("root").await;
    let made = t.world.post(&admin, "/api/v1/tokens", json!({ "name": "found" })).await.ok(201);
    let found = As::Token(made["token"].as_str().expect("a token").to_owned());
    t.world.post(&found, "/api/v1/users/root/invite", json!({})).await.problem(409, "no-sign-in");
}

#[tokio::test]
async fn who_chooses_a_password_otherwise_leaves_no_open_invitation() {
    let t = Telling::start().await;
    let dave = t.world.signed_in("dave").await;
    let token = invite(&t, "dave", 0).await;
    let change = json!({ "old": PASSWORD, "new": "one that dave thought of" });
    t.world.send(&dave, "PUT", "/api/v1/me/password", Some(change)).await.ok(204);
    accept(&t.world, &token).await.problem(401, "wrong-credentials");
}

#[tokio::test]
async fn who_has_no_address_or_may_not_act_is_not_invited() {
    let t = Telling::start().await;
    let invite =
        async |user: &str| t.world.post(&As::Operator, &format!("/api/v1/users/{user}/invite"), json!({})).await;
    invite("bob").await.problem(409, "refused");
    invite("nobody").await.problem(404, "not-found");
    let spec = json!({ "email": "gone@example.com", "disabled": true });
    t.world.apply(json!([{ "kind": "User", "name": "gone", "spec": spec }])).await;
    invite("gone").await.problem(409, "refused");
    let silent = World::start().await;
    let answer = silent.post(&As::Operator, "/api/v1/users/alice/invite", json!({})).await;
    assert!(answer.problem(409, "refused")["detail"].as_str().is_some_and(|detail| detail.contains("[mail]")));
    // An address that would mean something else to a mail server is refused where it is written.
    let spec = json!({ "email": "eve@example.com\r\nBcc: all@example.com" });
    let answer = t.world.post(&As::Operator, "/api/v1/users", json!({ "name": "eve", "spec": spec })).await;
    assert_eq!(answer.wrong_fields(), ["/spec/email"]);
}
