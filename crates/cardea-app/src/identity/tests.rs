//! Who somebody from outside is here, on both databases.

use std::sync::Arc;

use cardea_domain::{Actor, Kind, ObjectId, Role};
use cardea_store::{Store, StoreUrl};
use cardea_testkit::{FakeConnector, ManualClock, Postgres, SeededEntropy};
use cardea_vault::Vault;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Person;
use crate::{App, AppError, ApplyOptions, Document, Parts};

const OPERATOR: Actor = Actor::Operator { uid: 0 };

struct World {
    app: App,
    /// Another node on the same database; the same one where there can be no other.
    other: App,
    _dir: TempDir,
}

impl World {
    async fn each() -> [Self; 2] {
        let address = Postgres::shared().fresh_database();
        [
            Self::on(|dir| StoreUrl::Sqlite(dir.path().join("cardea.db")), false).await,
            Self::on(|dir| StoreUrl::parse(&address, dir.path()).expect("a good address"), true).await,
        ]
    }

    async fn on(url: impl FnOnce(&TempDir) -> StoreUrl, is_shared: bool) -> Self {
        let dir = TempDir::new().expect("a folder");
        Vault::create_key_file(&dir.path().join("key")).expect("a key file");
        let (url, clock, linux, entropy) =
            (url(&dir), ManualClock::new(), FakeConnector::new(), SeededEntropy::new(11));
        let open = async |node: &str| {
            App::open(Parts {
                store: Store::open(&url).await.expect("a store"),
                vault: Arc::new(Vault::open(&dir.path().join("key")).expect("a vault")),
                clock: clock.clone(),
                entropy: entropy.clone(),
                linux: linux.clone(),
                node: node.to_owned(),
                sign_in: crate::SignInSettings::default(),
            })
            .await
            .expect("an application")
        };
        let app = open("one").await;
        let documents = vec![
            document(Kind::User, "root", json!({ "roles": ["administrator"] })),
            document(Kind::User, "alice", json!({ "identity": { "provider": "corp", "name": "Alice" } })),
            document(Kind::User, "bob", json!({ "identity": { "provider": "corp", "subject": "b-1" } })),
            document(Kind::User, "carol", json!({ "email": "carol@example.com" })),
            document(Kind::Group, "operators", json!({ "members": ["carol"], "roles": ["auditor"] })),
            document(Kind::Group, "staff", json!({})),
            provider(false, &json!({ "ops": "operators", "all": "staff" })),
        ];
        app.apply(&OPERATOR, documents, ApplyOptions::default()).await.expect("a good configuration");
        let other = if is_shared { open("two").await } else { app.clone() };
        Self { app, other, _dir: dir }
    }

    fn provider(&self) -> ObjectId {
        self.app.configuration().find(Kind::IdentityProvider, "corp").expect("the provider").id
    }

    fn user(&self, name: &str) -> ObjectId {
        self.app.configuration().find(Kind::User, name).expect("the user").id
    }

    async fn arrives(&self, subject: &str, name: &str, groups: &[&str]) -> Result<ObjectId, AppError> {
        self.app.recognise(self.provider(), &person(subject, name, groups)).await
    }

    fn groups(&self, user: ObjectId) -> Vec<String> {
        let configuration = self.app.configuration();
        let is_in = |group: &&cardea_domain::Object| configuration.membership(group, user).is_some();
        configuration.of(Kind::Group).filter(is_in).map(|group| group.name.to_string()).collect()
    }

    async fn apply(&self, document: Document) -> Result<(), AppError> {
        self.app.apply(&OPERATOR, vec![document], ApplyOptions::default()).await.map(drop)
    }
}

fn document(kind: Kind, name: &str, spec: Value) -> Document {
    Document { kind, name: name.to_owned(), spec }
}

fn provider(create_users: bool, groups: &Value) -> Document {
    let spec = json!({ "protocol": "ldap", "url": "ldaps://dc1.example.com", "base_dn": "dc=example,dc=com",
        "bind_dn": "cn=cardea,dc=example,dc=com", "bind_password": "hush", "create_users": create_users, "groups": groups });
    document(Kind::IdentityProvider, "corp", spec)
}

fn person(subject: &str, name: &str, groups: &[&str]) -> Person {
    Person {
        subject: subject.to_owned(),
        name: name.to_owned(),
        full_name: "A Person".to_owned(),
        email: "carol@example.com".to_owned(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
    }
}

fn is_stranger(result: &Result<ObjectId, AppError>) -> bool {
    matches!(result, Err(AppError::Unauthenticated(_)))
}

#[tokio::test(flavor = "multi_thread")]
async fn only_whom_an_administrator_meant_is_a_user() {
    for world in World::each().await {
        assert_eq!(world.arrives("a-1", "alice", &[]).await.expect("by name"), world.user("alice"));
        assert_eq!(world.arrives("a-1", "alice-renamed", &[]).await.expect("by subject now"), world.user("alice"));
        assert!(is_stranger(&world.arrives("a-2", "alice", &[]).await), "a second subject by the same name");
        assert_eq!(world.arrives("b-1", "whoever", &[]).await.expect("by subject"), world.user("bob"));
        assert!(is_stranger(&world.arrives("b-2", "bob", &[]).await), "a name that is only the same");
        assert!(is_stranger(&world.arrives("c-1", "carol", &[]).await), "a mail address is nobody");
        assert!(is_stranger(&world.arrives("", "alice", &[]).await), "no subject");
        // What is written at the user counts, not what was linked once.
        world.apply(document(Kind::User, "alice", json!({}))).await.expect("unlinked");
        assert!(is_stranger(&world.arrives("a-1", "alice", &[]).await));
        let anew = json!({ "identity": { "provider": "corp", "name": "alice" } });
        world.apply(document(Kind::User, "alice", anew)).await.expect("linked anew");
        assert_eq!(world.arrives("a-2", "alice", &[]).await.expect("the other one"), world.user("alice"));
        assert!(is_stranger(&world.arrives("a-1", "alice", &[]).await));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_people_become_users_where_the_provider_may_make_them() {
    for world in World::each().await {
        let strangers = [("d-1", "dora"), ("d-1", "d\u{43e}ra"), ("d-1", "carol"), ("d-1", "a+b"), ("d-1", "usr_x")];
        for (subject, name) in strangers {
            assert!(is_stranger(&world.arrives(subject, name, &[]).await), "{name}");
        }
        world.apply(provider(true, &json!({}))).await.expect("a change");
        for (subject, name) in &strangers[1..] {
            assert!(is_stranger(&world.arrives(subject, name, &[]).await), "{name}");
        }
        let (one, two) = (world.arrives("d-1", "dora", &[]), world.arrives("d-1", "dora", &[]));
        let (one, two) = tokio::join!(one, two);
        let dora = world.user("dora");
        assert_eq!((one.expect("made"), two.expect("found")), (dora, dora), "twice at once is one user");
        assert!(is_stranger(&world.arrives("d-2", "Dora", &[]).await), "somebody else by that name");
        let (hash, _) = world.app.known_of(dora).await.expect("a store");
        assert_eq!(hash, None, "without a password");
        assert_eq!(world.app.configuration().roles_of(dora), [Role::User]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_follow_the_provider_and_what_is_written_by_hand_stays() {
    for world in World::each().await {
        let alice = world.arrives("a-1", "alice", &["ops", "all", "unheard-of"]).await.expect("she is known");
        assert_eq!(world.groups(alice), ["operators", "staff"]);
        assert!(world.app.configuration().roles_of(alice).contains(&Role::Auditor), "with their roles");
        world.arrives("a-1", "alice", &["all"]).await.expect("she is known");
        assert_eq!(world.groups(alice), ["staff"]);
        let carol = world.user("carol");
        assert_eq!(world.groups(carol), ["operators"], "by hand");
        let by_hand = json!({ "members": ["alice"] });
        world.apply(document(Kind::Group, "staff", by_hand)).await.expect("a change");
        world.arrives("a-1", "alice", &[]).await.expect("she is known");
        assert_eq!(world.groups(alice), ["staff"], "by hand as well");
        world.arrives("a-1", "alice", &["ops"]).await.expect("she is known");
        world.other.reload().await.expect("what another node reads");
        assert!(world.other.configuration().roles_of(alice).contains(&Role::Auditor));
        world.app.disown(alice).await.expect("written");
        assert_eq!(world.groups(alice), ["staff"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_judged_with_the_whole() {
    let [world, _] = World::each().await;
    let pointers = |result: Result<(), AppError>| match result {
        Err(AppError::Invalid(errors)) => errors.into_iter().map(|error| error.pointer).collect::<Vec<_>>(),
        other => panic!("refused for its fields: {other:?}"),
    };
    assert_eq!(pointers(world.apply(provider(false, &json!({ "x": "nobody" }))).await), ["/0/spec/groups/x"]);
    let twice = json!({ "identity": { "provider": "corp", "subject": "b-1" } });
    assert_eq!(pointers(world.apply(document(Kind::User, "carol", twice)).await), ["/0/spec/identity"]);
    let nowhere = json!({ "identity": { "provider": "other", "subject": "b-1" } });
    assert_eq!(pointers(world.apply(document(Kind::User, "carol", nowhere)).await), ["/0/spec/identity/provider"]);
    let slash = json!({ "protocol": "ldap", "url": "ldaps://a.example", "base_dn": "dc=a" });
    assert_eq!(pointers(world.apply(document(Kind::IdentityProvider, "a/b", slash)).await), ["/0/name"]);
    let elsewhere = json!({ "protocol": "ldap", "url": "ldaps://dc2.example.com", "base_dn": "dc=example,dc=com",
        "bind_dn": "cn=cardea,dc=example,dc=com" });
    let moved = world.apply(document(Kind::IdentityProvider, "corp", elsewhere)).await;
    assert_eq!(pointers(moved), ["/0/spec/bind_password"], "a password goes nowhere without who knows it");
    let sso = json!({ "protocol": "oidc", "issuer": "https://a.example", "client_id": "c", "default": true });
    world.apply(document(Kind::IdentityProvider, "second", sso.clone())).await.expect("the first default");
    assert_eq!(pointers(world.apply(document(Kind::IdentityProvider, "third", sso)).await), ["/0/spec/default"]);
    // Others are known there by the same words.
    let other = json!({ "protocol": "oidc", "issuer": "https://b.example", "client_id": "c", "client_secret": "s" });
    let moved = world.apply(document(Kind::IdentityProvider, "second", other.clone())).await;
    assert_eq!(pointers(moved), ["/0/spec/issuer"]);
    assert_eq!(pointers(world.apply(document(Kind::IdentityProvider, "corp", other)).await), ["/0/spec/protocol"]);
    // The account's password is kept, and shown to nobody.
    let id = world.provider();
    let kept = world.app.0.store.read(move |tx| Box::pin(async move { tx.secrets_of(id).await })).await;
    assert_eq!(kept.expect("a store").len(), 1);
    let shown = world.app.object(&OPERATOR, Kind::IdentityProvider, "corp").expect("the provider").spec.to_json();
    assert!(!shown.to_string().contains("hush"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_administrator_says_who_somebody_is() {
    let [world, _] = World::each().await;
    let helper = json!({ "members": ["helper"], "roles": ["people"] });
    let role = json!({ "permissions": ["configuration.see", "configuration.change.user"] });
    for document in [
        document(Kind::Role, "people", role),
        document(Kind::User, "helper", json!({})),
        document(Kind::Group, "helpers", helper),
        document(Kind::User, "approver", json!({})),
    ] {
        world.apply(document).await.expect("a good configuration");
    }
    let configuration = world.app.configuration();
    let helper = configuration.find(Kind::User, "helper").expect("the user");
    let helper = crate::sign_in::actor_of(&configuration, helper, cardea_domain::Via::Key).expect("a user");
    let by_helper = |name: &str, spec: Value| {
        let (app, helper, document) = (world.app.clone(), helper.clone(), document(Kind::User, name, spec));
        async move { app.apply(&helper, vec![document], ApplyOptions::default()).await }
    };
    by_helper("approver", json!({ "full_name": "An Approver" })).await.expect("that is theirs to change");
    let them = json!({ "identity": { "provider": "corp", "subject": "h-1" } });
    for name in ["approver", "helper"] {
        let linked = by_helper(name, them.clone()).await;
        assert!(matches!(linked, Err(AppError::Denied(_))), "{name}: {linked:?}");
    }
    by_helper("new", them).await.expect("a new one may say yes to nothing yet");
}
