//! Every operation of the document, asked by every kind of person. What each must be answered follows from what the operation
//! declares in `x-permission` and from the table of permissions; there is no list of exceptions.
//!
//! A new operation needs its declaration, and only if it has parameters or a body that are not known here a line in [`target`] or
//! [`body`].

use cardea_domain::{Holder, Permission, Timestamp};
use cardea_store::{OwnKey, StoreError};
use cardea_testkit::FakeCourier;
use serde_json::{Value, json};

use crate::{
    notice::outlets,
    world::{Answer, As, PASSWORD, World},
};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFIR5p2lv7i3pG1yPQ7L2hXg9zq1m3h1yW8QvJ6T2k4d";

const ZOES_KEY: &str = "key_00000000000000000000000001";

/// An operation with its address filled in.
pub(crate) struct Asked {
    pub(crate) id: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
    /// What it declares, by word.
    pub(crate) takes: Vec<String>,
    aimed: Aimed,
}

/// What an operation is aimed at.
#[derive(Clone, Copy, PartialEq)]
enum Aimed {
    Nothing,
    /// The session of alice on vault1, which dave approves.
    Session,
    /// A resource: vault1.
    Resource,
    /// A sign-in or a token of zoe.
    SignIn,
    /// A configuration object of another kind.
    Object,
}

/// Somebody, and what the table says of people like them.
pub(crate) struct Person {
    name: &'static str,
    who: As,
    /// Another sign-in of theirs, to be ended.
    spare: As,
    holds: &'static [Holder],
    /// Permissions by a custom role, whose scope is vault1.
    custom: &'static [Permission],
    is_owner: bool,
    is_approver: bool,
    by_operators_token: bool,
}

/// How a request was answered, as far as rights go.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// Whatever was wrong with it, it was not who asked.
    Allowed,
    Forbidden,
    Hidden,
    Unknown,
}

const CUSTOM: &[Permission] = &[
    Permission::ConfigurationSee,
    Permission::ChangeResources,
    Permission::ResourcesSweep,
    Permission::SessionsSeeAll,
    Permission::SessionsEndAny,
    Permission::SessionsLock,
];

impl Person {
    fn has(&self, permission: Permission, aimed: Aimed) -> bool {
        if self.by_operators_token && !permission.is_of(Holder::OperatorsToken) {
            return false;
        }
        let in_scope = aimed != Aimed::Object;
        self.holds.iter().any(|holder| permission.is_of(*holder)) || (in_scope && self.custom.contains(&permission))
    }

    fn is_given(&self, word: &str, aimed: Aimed) -> bool {
        match word {
            "public" => true,
            "signed_in" => self.name != "nobody",
            "sign_in" => matches!(self.who, As::Cookie(..)),
            // The session is alice's; everything else here is somebody else's.
            "own" => self.is_owner && aimed == Aimed::Session,
            "approver" => self.is_approver,
            "operator" => self.name == "operator",
            "configuration.change.*" => {
                let mut changes = Permission::ALL.iter().filter(|p| p.as_str().starts_with("configuration.change."));
                changes.any(|permission| self.has(*permission, aimed))
            }
            "sessions.decide" => self.is_approver && !self.is_owner,
            name => self.has(name.parse().expect("a permission"), aimed),
        }
    }

    /// What follows from the declaration and the table.
    fn expected(&self, asked: &Asked) -> Outcome {
        let is_given = asked.takes.iter().any(|word| self.is_given(word, asked.aimed));
        if self.name == "nobody" {
            return if is_given { Outcome::Allowed } else { Outcome::Unknown };
        }
        let sees = match asked.aimed {
            Aimed::Nothing => true,
            Aimed::SignIn => self.has(Permission::SignInsSee, Aimed::Object),
            Aimed::Session => self.is_owner || self.is_approver || self.has(Permission::SessionsSeeAll, asked.aimed),
            // Who sees no configuration at all is told so; who sees a part is not told about the rest.
            Aimed::Resource | Aimed::Object => {
                !self.has(Permission::ConfigurationSee, Aimed::Nothing)
                    || self.has(Permission::ConfigurationSee, asked.aimed)
            }
        };
        match (sees, is_given) {
            (false, _) => Outcome::Hidden,
            (true, true) => Outcome::Allowed,
            (true, false) => Outcome::Forbidden,
        }
    }
}

impl Outcome {
    fn of(answer: &Answer) -> Self {
        assert!(answer.status.as_u16() != 500, "{answer:?}");
        let problem: Value = serde_json::from_str(&answer.text).unwrap_or_default();
        match problem["type"].as_str() {
            Some("/problems/not-signed-in") => Self::Unknown,
            Some("/problems/not-allowed") => Self::Forbidden,
            Some("/problems/not-found") => Self::Hidden,
            _ => Self::Allowed,
        }
    }
}

/// What is there to be aimed at.
pub(crate) struct Things {
    pub(crate) session: String,
    grant: String,
    /// That the session waits; nobody sends it.
    notice: String,
    pub(crate) zoe: String,
    zoes_sign_in: String,
    zoes_token: String,
}

/// The path with its parameters filled in, and what that is.
fn target(method: &str, path: &str, things: &Things) -> (String, Aimed) {
    let kind = path.trim_start_matches("/api/v1/").split('/').next().expect("a path");
    let (parameter, thing, aimed) = match kind {
        "access-policies" => ("{name}", "operators", Aimed::Object),
        "activities" => ("{name}", "Linux%20admin", Aimed::Object),
        "connection-profiles" => ("{name}", "guarded", Aimed::Object),
        "grants" => ("{id}", things.grant.as_str(), Aimed::Session),
        "groups" => ("{name}", "guards", Aimed::Object),
        "me" if path.contains("passkeys") => ("{id}", "psk_00000000000000000000000000", Aimed::Nothing),
        "me" => ("{id}", "key_00000000000000000000000000", Aimed::Nothing),
        "locks" => ("{id}", things.zoe.as_str(), Aimed::Nothing),
        "notices" => ("{id}", things.notice.as_str(), Aimed::Nothing),
        "sign-in" => ("{name}", "sso", Aimed::Nothing),
        "identity-providers" => ("{name}", "corp", Aimed::Object),
        "resource-groups" => ("{name}", "all", Aimed::Object),
        "resources" => ("{name}", "vault1", Aimed::Resource),
        "roles" => ("{name}", "keepers", Aimed::Object),
        "service-accounts" => ("{name}", "svc", Aimed::Object),
        "sessions" => ("{id}", things.session.as_str(), Aimed::Session),
        "users" if path.ends_with("/{id}") => {
            let path = path.replace("{name}", "zoe").replace("{id}", ZOES_KEY);
            return (path, Aimed::Object);
        }
        "users" => ("{name}", "zoe", Aimed::Object),
        "sign-ins" | "tokens" if method == "get" => return (format!("{path}?user=zoe"), Aimed::Object),
        // Its body names zoe.
        "sign-ins" if path.ends_with("/end") => return (path.to_owned(), Aimed::Object),
        "sign-ins" => ("{id}", things.zoes_sign_in.as_str(), Aimed::SignIn),
        "tokens" => ("{id}", things.zoes_token.as_str(), Aimed::SignIn),
        "explain" => return (format!("{path}?user=zoe&resource=vault1"), Aimed::Nothing),
        _ => return (path.to_owned(), Aimed::Nothing),
    };
    if path.contains(parameter) { (path.replace(parameter, thing), aimed) } else { (path.to_owned(), Aimed::Nothing) }
}

/// A body that is well formed, and changes nothing that others need.
fn body(id: &str, things: &Things) -> Value {
    match id {
        // Too short: told before anything is hashed.
        "accept_invitation" | "set_up" => json!({ "token": "guessed", "password": "short" }),
        "add_ssh_key" | "issue_certificate" => json!({ "public_key": "ssh-ed25519 AAAA" }),
        "apply_documents" => json!({ "documents": [] }),
        "approve_session" | "deny_session" => json!({ "reason": "why not" }),
        "change_password" => json!({ "old": "not theirs", "new": "a long new sentence" }),
        "begin_passkey" => json!({ "name": "of a test" }),
        "confirm_passkey" => json!({ "name": "of a test", "challenge": "guessed", "credential": {} }),
        "sign_in_with_passkey" => json!({ "challenge": "guessed", "credential": {} }),
        "confirm_totp" => json!({ "code": "123456" }),
        "approve_sessions" | "deny_sessions" => json!({ "ids": [things.zoe], "reason": "why not" }),
        "depart" | "depart_again" => json!({ "return_to": "/" }),
        "take_logout" => json!({ "logout_token": "guessed" }),
        "create_lock" => json!({ "user": "zoe", "title": "stop" }),
        "create_sessions" => json!({ "activity": "Linux admin", "resources": ["vault1"] }),
        "create_token" => json!({ "name": "mine" }),
        "end_session" | "extend_session" | "sweep_resource" | "sync_directory" | "unlock_session" => json!({}),
        "end_sessions" => json!({ "ids": [things.zoe] }),
        "end_sign_ins" => json!({ "user": "zoe" }),
        "issue_token" => json!({ "user": "zoe" }),
        "lock_session" => json!({ "title": "stop" }),
        "show_proof" => json!({ "totp": "123456" }),
        "review_session" => json!({ "verdict": "justified", "reason": "why not" }),
        "sign_in" => json!({ "user": "zoe", "password": "not hers" }),
        "sign_in_with_recovery_code" | "sign_in_with_totp" => json!({ "ticket": "guessed", "code": "123456" }),
        _ if id.starts_with("replace_") => json!({ "spec": {}, "version": 999 }),
        _ => json!({ "name": "new one", "spec": {} }),
    }
}

pub(crate) fn operations(things: &Things) -> Vec<Asked> {
    let document = cardea_http::openapi();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("a path item") {
            let id = operation["operationId"].as_str().expect("an id").to_owned();
            let takes = operation["x-permission"].as_str();
            let takes = takes.unwrap_or_else(|| panic!("`{id}` does not say in `x-permission` who may do it"));
            let (path, aimed) = target(method, path, things);
            assert!(!path.contains('{'), "{path}: say in `target` what it is aimed at");
            let body = operation["requestBody"].is_object().then(|| body(&id, things));
            let takes = takes.split(" or ").map(ToOwned::to_owned).collect();
            found.push(Asked { id, method: method.to_uppercase(), path, body, takes, aimed });
        }
    }
    assert!(found.len() > 60, "the document lost operations");
    found
}

/// The world with somebody of every kind.
async fn furnished() -> (World, Things, Vec<Person>) {
    let world = World::start().await;
    let (things, people) = furnish(&world).await;
    (world, things, people)
}

/// What every operation can be aimed at, and somebody of every kind.
pub(crate) async fn furnish(world: &World) -> (Things, Vec<Person>) {
    world.app.tell_by(outlets(FakeCourier::new()));
    world.guard_vault(1).await;
    let user = |name: &str, roles: Value| json!({ "kind": "User", "name": name, "spec": { "roles": roles, "password": PASSWORD } });
    world
        .apply(json!([
            user("alice", json!(["user"])),
            user("bob", json!(["user"])),
            user("carol", json!(["auditor"])),
            user("rita", json!(["user", "keepers"])),
            user("zoe", json!(["user"])),
            { "kind": "IdentityProvider", "name": "corp", "spec": {
                "protocol": "ldap", "url": "ldap://127.0.0.1", "base_dn": "dc=example"
            } },
            { "kind": "IdentityProvider", "name": "sso", "spec": {
                "protocol": "oidc", "issuer": "http://127.0.0.1:1", "client_id": "cardea"
            } },
            { "kind": "ResourceGroup", "name": "all", "spec": { "resources": ["vault1"] } },
            { "kind": "Role", "name": "keepers", "spec": { "permissions": CUSTOM, "scope": { "resource_groups": ["all"] } } },
        ]))
        .await;
    let alice = world.token("alice").await;
    let session = world.request(&alice, &["vault1"]).await.remove(0);
    let shown = world.get(&As::Operator, &format!("/api/v1/sessions/{session}")).await.ok(200);
    let grant = shown["grants"][0]["id"].as_str().expect("a grant").to_owned();
    let notices = world.get(&As::Operator, "/api/v1/notices").await.ok(200);
    let notice = notices["items"][0]["id"].as_str().expect("an id").to_owned();
    let zoe = world.get(&As::Operator, "/api/v1/users/zoe").await.ok(200);
    let zoe = zoe["id"].as_str().expect("an id").to_owned();
    world.signed_in("zoe").await;
    world.token("zoe").await;
    let first = async |path: &str| {
        let list = world.get(&As::Operator, path).await.ok(200);
        list["items"][0]["id"].as_str().expect("an id").to_owned()
    };
    let zoes_sign_in = first("/api/v1/sign-ins?user=zoe").await;
    let zoes_token = first("/api/v1/tokens?user=zoe").await;
    let mut people = Vec::new();
    let (user, none): (&'static [Holder], &'static [Permission]) = (&[Holder::User], &[]);
    for (name, holds, custom) in [
        ("bob", user, none),
        ("carol", &[Holder::Auditor], none),
        ("rita", user, CUSTOM),
        ("alice", user, none),
        ("dave", user, none),
        ("admin", &[Holder::Administrator], none),
    ] {
        let (who, spare) = (world.signed_in(name).await, world.signed_in(name).await);
        let (is_owner, is_approver) = (name == "alice", name == "alice" || name == "dave");
        people.push(Person { name, who, spare, holds, custom, is_owner, is_approver, by_operators_token: false });
    }
    let person = |name, who: As, holds, by_operators_token| Person {
        name,
        spare: who.clone(),
        who,
        holds,
        custom: none,
        is_owner: false,
        is_approver: false,
        by_operators_token,
    };
    let issued = world.token("admin").await;
    people.insert(0, person("nobody", As::Nobody, &[], false));
    people.push(person("operator's token", issued, &[Holder::Administrator], true));
    people.push(person("operator", As::Operator, &[Holder::Operator], false));
    (Things { session, grant, notice, zoe, zoes_sign_in, zoes_token }, people)
}

async fn answered(world: &World, person: &Person, asked: &Asked, things: &Things) -> Outcome {
    if asked.id == "delete_lock" {
        // There has to be one.
        let lock = json!({ "user": things.zoe, "title": "stop" });
        world.post(&As::Operator, "/api/v1/locks", lock).await;
    }
    if asked.id == "follow_events" {
        return match world.listen(&person.who, &asked.path, None).await {
            Ok(_) => Outcome::Allowed,
            Err(answer) => Outcome::of(&answer),
        };
    }
    let mut path = asked.path.clone();
    if asked.id == "remove_ssh_key" {
        // One of their own, if they can have any; nobody has it when they are done.
        let added = world.post(&person.who, "/api/v1/me/ssh-keys", json!({ "public_key": KEY })).await.json();
        path = added["id"].as_str().map_or(path, |id| format!("/api/v1/me/ssh-keys/{id}"));
    }
    if asked.id == "remove_ssh_key_of" {
        // She has one, whatever happened to her and to it before.
        let (user, name, body) = (things.zoe.parse().expect("an id"), String::new(), KEY.to_owned());
        let (id, created_at) = (ZOES_KEY.parse().expect("an id"), Timestamp::from_micros(0));
        let key = OwnKey { id, user, name, body, created_at, proven_at: None };
        let put = world.store.write(move |tx| Box::pin(async move { tx.insert_own_key(&key).await })).await;
        assert!(matches!(&put, Ok(()) | Err(StoreError::Duplicate { .. })), "{put:?}");
    }
    let mut request = axum::http::Request::builder().method(asked.method.as_str()).uri(path);
    if asked.method == "DELETE" && asked.aimed != Aimed::Nothing {
        // A version that is not there: whoever may delete it hears that, and it stays.
        request = request.header("if-match", "\"999\"");
    }
    let body = asked.body.as_ref().map_or_else(String::new, ToString::to_string);
    let request = request.header("content-type", "application/json").body(body.into()).expect("a request");
    let who = if asked.id == "sign_out" { &person.spare } else { &person.who };
    Outcome::of(&world.ask(who, request).await)
}

#[tokio::test]
async fn every_operation_answers_everybody_as_it_declares() {
    let (world, things, people) = furnished().await;
    let operations = operations(&things);
    let before = world.get(&As::Operator, &format!("/api/v1/sessions/{}", things.session)).await.json();
    let mut wrong = Vec::new();
    for person in &people {
        for asked in &operations {
            let (expected, outcome) = (person.expected(asked), answered(&world, person, asked, &things).await);
            if outcome != expected {
                wrong.push(format!(
                    "{} ({} {}), which takes {}: {} was {outcome:?}, not {expected:?}",
                    asked.id,
                    asked.method,
                    asked.path,
                    asked.takes.join(" or "),
                    person.name
                ));
            }
        }
        if ["nobody", "bob", "carol"].contains(&person.name) {
            let after = world.get(&As::Operator, &format!("/api/v1/sessions/{}", things.session)).await.json();
            assert_eq!(after, before, "{} changed it", person.name);
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_guessed_opens_nothing() {
    let (world, things, _) = furnished().await;
    for asked in operations(&things).iter().filter(|asked| asked.takes != ["public"]) {
        for who in [
            As::Token("cardea-token-guessed".to_owned()),
            As::Cookie("__Host-cardea=guessed".to_owned(), Some("https://127.0.0.1:8443")),
        ] {
            let answer = world.send(&who, &asked.method, &asked.path, asked.body.clone()).await;
            answer.problem(401, "not-signed-in");
        }
    }
}

#[tokio::test]
async fn the_table_is_served_with_its_words() {
    let world = World::start().await;
    let bob = world.token("bob").await;
    let answer = world.get(&bob, "/api/v1/permissions").await.ok(200);
    let items = answer["items"].as_array().expect("a list");
    assert_eq!(items.len(), Permission::ALL.len());
    for (item, permission) in items.iter().zip(Permission::ALL) {
        assert_eq!(
            (item["name"].as_str(), item["description"].as_str()),
            (Some(permission.as_str()), Some(permission.words()))
        );
    }
    let ends = items.iter().find(|item| item["name"] == "sessions.end_any").expect("it is there");
    assert_eq!(ends["holders"], json!(["administrator", "operator", "operators_token", "cardea"]));
    assert_eq!(ends["concern"], "sessions");
}
