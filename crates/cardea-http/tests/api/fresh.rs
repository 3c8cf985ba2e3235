//! Sensitive acts want a factor that was shown lately.

use std::time::Duration;

use cardea_app::SignInSettings;
use serde_json::json;

use crate::{
    factor::{enrol, world_with_dave},
    world::{As, PASSWORD, World},
};

const LATER: Duration = Duration::from_secs(15 * 60 + 1);

fn group(name: &str) -> serde_json::Value {
    json!({ "name": name, "spec": {} })
}

#[tokio::test]
async fn whoever_has_no_second_factor_shows_the_password_again() {
    let world = World::start().await;
    let admin = world.signed_in("admin").await;
    world.post(&admin, "/api/v1/groups", group("first")).await.ok(201);
    world.clock.advance(LATER);
    let wanted = world.post(&admin, "/api/v1/groups", group("second")).await.problem(403, "factor-needed");
    assert_eq!(wanted["methods"], json!(["password"]));
    // Looking is no sensitive act.
    world.get(&admin, "/api/v1/groups").await.ok(200);
    let dry = json!({ "dry_run": true, "documents": [] });
    world.post(&admin, "/api/v1/apply", dry).await.ok(200);

    let proof = "/api/v1/me/proof";
    world.post(&admin, proof, json!({ "password": "wrong" })).await.problem(403, "wrong-factor");
    world.post(&admin, proof, json!({ "totp": "123456" })).await.problem(403, "wrong-factor");
    world.post(&admin, "/api/v1/groups", group("second")).await.problem(403, "factor-needed");
    world.post(&admin, proof, json!({ "password": PASSWORD })).await.ok(200);
    world.post(&admin, "/api/v1/groups", group("second")).await.ok(201);
}

#[tokio::test]
async fn whoever_has_one_shows_that_and_not_the_password() {
    let world = world_with_dave(SignInSettings::default()).await;
    let admin = world.signed_in("admin").await;
    let (phone, codes) = enrol(&world, &admin).await;
    world.post(&admin, "/api/v1/groups", group("first")).await.ok(201);
    world.clock.advance(LATER);
    let wanted = world.post(&admin, "/api/v1/groups", group("second")).await.problem(403, "factor-needed");
    assert_eq!(wanted["methods"], json!(["totp", "recovery_code"]));
    let proof = "/api/v1/me/proof";
    assert_eq!(world.post(&admin, proof, json!({ "password": PASSWORD })).await.wrong_fields(), ["/password"]);
    let code = phone.code(&world);
    world.post(&admin, proof, json!({ "totp": code })).await.ok(200);
    world.post(&admin, "/api/v1/groups", group("second")).await.ok(201);
    world.post(&admin, proof, json!({ "totp": code })).await.problem(403, "wrong-factor");
    world.clock.advance(LATER);
    let me = world.post(&admin, proof, json!({ "recovery_code": codes[3] })).await.ok(200);
    assert!(me["sign_in"]["fresh_until"].as_str() > me["sign_in"]["created_at"].as_str());
    world.post(&admin, "/api/v1/groups", group("third")).await.ok(201);
}

#[tokio::test]
async fn deciding_making_tokens_and_changing_factors_are_sensitive() {
    let world = World::start().await;
    world.guard_vault(1).await;
    let erin = world.signed_in("erin").await;
    let alice = world.token("alice").await;
    let session = world.request(&alice, &["vault1"]).await.remove(0);
    world.clock.advance(LATER);
    let acts = [
        ("POST", format!("/api/v1/sessions/{session}/approve"), json!({ "reason": "fine" })),
        ("POST", format!("/api/v1/sessions/{session}/deny"), json!({ "reason": "no" })),
        ("POST", "/api/v1/tokens".to_owned(), json!({ "name": "script" })),
        ("POST", "/api/v1/me/factors/totp".to_owned(), json!({})),
        ("DELETE", "/api/v1/me/factors".to_owned(), json!({})),
    ];
    for (method, path, body) in acts {
        world.send(&erin, method, &path, Some(body)).await.problem(403, "factor-needed");
    }
    let admin = world.signed_in("admin").await;
    world.clock.advance(LATER);
    world.send(&admin, "DELETE", "/api/v1/users/erin/factors", None).await.problem(403, "factor-needed");

    world.post(&erin, "/api/v1/me/proof", json!({ "password": PASSWORD })).await.ok(200);
    let path = format!("/api/v1/sessions/{session}/approve");
    world.post(&erin, &path, json!({ "reason": "fine" })).await.ok(200);
}

#[tokio::test]
async fn a_token_made_with_a_fresh_factor_is_not_asked_later() {
    let world = World::start().await;
    let admin = world.signed_in("admin").await;
    let made = world.post(&admin, "/api/v1/tokens", json!({ "name": "script" })).await.ok(201);
    let token = As::Token(made["token"].as_str().expect("a token").to_owned());
    world.clock.advance(Duration::from_secs(86_400));
    world.post(&token, "/api/v1/groups", group("by a script")).await.ok(201);
    world.post(&token, "/api/v1/me/proof", json!({ "password": PASSWORD })).await.problem(409, "no-sign-in");
}
