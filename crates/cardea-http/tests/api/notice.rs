//! What people and programs outside are told, and what administrators see of it.

use std::{sync::Arc, time::Duration};

use cardea_app::{Outlets, Templates, Webhook, WebhookKey};
use cardea_domain::{ConnectorError, Mail, NoticeKind, Secret};
use cardea_testkit::{FakeCourier, Operation, Receiver};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::world::{As, PASSWORD, PUBLIC_URL, World};

const KEY: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
/// How often the outbox is looked at, and how many times before a test gives up.
const LOOK_EVERY: Duration = Duration::from_millis(10);
const LOOKS_MAX: u32 = 1000;

/// A world that tells by mail and by the webhooks `chat` (of everything) and `pager` (of what does not go away).
pub(crate) struct Telling {
    pub(crate) world: World,
    pub(crate) courier: Arc<FakeCourier>,
    lanes: JoinHandle<()>,
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.lanes.abort();
    }
}

/// Mail, and the webhooks.
pub(crate) fn outlets(courier: Arc<FakeCourier>) -> Outlets {
    let webhook = |name: &str, kinds: &[NoticeKind]| Webhook {
        name: name.to_owned(),
        kinds: kinds.iter().copied().collect(),
        key: WebhookKey::read(&Secret::new(KEY.to_owned())).expect("a key"),
    };
    Outlets {
        public_url: PUBLIC_URL.to_owned(),
        courier,
        mail: Some(Templates::built_in()),
        webhooks: vec![webhook("chat", &NoticeKind::ALL), webhook("pager", &[NoticeKind::CleanupStalled])],
    }
}

impl Telling {
    pub(crate) async fn start() -> Self {
        let (world, courier) = (World::start().await, FakeCourier::new());
        world.app.tell_by(outlets(courier.clone()));
        let person = |name: &str, roles: &[&str]| {
            json!({ "kind": "User", "name": name, "spec": { "password": PASSWORD, "roles": roles,
                "full_name": format!("{name} <of> the house"), "email": format!("{name}@example.com") } })
        };
        world.guard_vault(1).await;
        world
            .apply(json!([
                person("alice", &["user"]),
                person("dave", &["user"]),
                person("erin", &["user"]),
                person("root", &["administrator"])
            ]))
            .await;
        let (app, stop) = (world.app.clone(), world.stop.clone());
        let lanes = tokio::spawn(async move { app.run_notices(stop).await });
        Self { world, courier, lanes }
    }

    pub(crate) async fn mail_to(&self, user: &str, about: &str) -> Mail {
        let is_it = |mail: &Mail| mail.to == format!("{user}@example.com") && mail.subject.contains(about);
        self.courier.mail(&format!("a mail to {user} about `{about}`"), is_it).await
    }

    async fn notices(&self, query: &str) -> Vec<Value> {
        let list = self.world.get(&As::Operator, &format!("/api/v1/notices{query}")).await.ok(200);
        list["items"].as_array().expect("a list").clone()
    }

    /// Waits until a notice is like this. Patience is counted in looks: the time in which this process is stopped, while its
    /// lanes do nothing, is none of it, and what the last look saw is what a failure shows.
    async fn until_notice(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let mut seen = Vec::new();
        for _ in 0..LOOKS_MAX {
            seen = self.notices("").await;
            if let Some(found) = seen.iter().find(|notice| is_it(notice)) {
                return found.clone();
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        panic!("{what} never came true: {seen:#?}");
    }

    fn pass(&self, seconds: u64) {
        self.world.clock.advance(Duration::from_secs(seconds));
        self.world.app.nudge();
    }
}

#[tokio::test]
async fn a_request_is_told_to_who_may_decide_and_the_decision_to_who_asked() {
    let t = Telling::start().await;
    let alice = t.world.token("alice").await;
    let id = t.world.request(&alice, &["vault1"]).await.remove(0);
    for approver in ["dave", "erin"] {
        let mail = t.mail_to(approver, "asks for Linux admin on vault1").await;
        assert!(mail.subject.starts_with("alice <of> the house (alice)"), "{}", mail.subject);
        assert!(mail.text.contains("Notes: for a test\n") && !mail.text.contains("Ticket"), "{}", mail.text);
        assert!(mail.text.contains(&format!("{PUBLIC_URL}/approvals?q={id}")), "{}", mail.text);
        assert!(mail.html.contains("alice &lt;of&gt; the house"), "{}", mail.html);
    }
    let dave = t.world.signed_in("dave").await;
    let yes = json!({ "reason": "go ahead" });
    t.world.post(&dave, &format!("/api/v1/sessions/{id}/approve"), yes).await.ok(200);
    let mail = t.mail_to("alice", "approved").await;
    assert!(mail.text.contains("By: dave\n") && mail.text.contains("Reason: go ahead\n"), "{}", mail.text);
    assert!(mail.text.contains(&format!("{PUBLIC_URL}/?q={id}\n")), "{}", mail.text);
    // She is in the group of the approvers, and was not asked about her own request.
    assert_eq!(t.courier.mails().iter().filter(|mail| mail.to.starts_with("alice")).count(), 1);

    let posts = t.courier.until_posts("chat", 2).await;
    let bodies: Vec<Value> = posts.iter().map(|post| serde_json::from_str(&post.body).expect("JSON")).collect();
    let waiting = bodies.iter().find(|body| body["type"] == "request_waiting").expect("told");
    assert_eq!(waiting["data"]["facts"]["approvers"], "dave, erin");
    assert_eq!(waiting["data"]["sessions"], json!([id]));
    assert_eq!(t.courier.posts("pager"), []);
}

#[tokio::test]
async fn one_request_for_many_hosts_is_one_mail() {
    let t = Telling::start().await;
    let more = json!([
        { "kind": "Resource", "name": "vault2", "spec": { "platform": "linux", "address": "vault2.example.com",
            "service_account": "svc", "host_key": cardea_testkit::FakeConnector::HOST_KEY } },
        { "kind": "AccessPolicy", "name": "vault", "spec": { "users": ["alice"], "activities": ["Linux admin"],
            "resources": ["vault1", "vault2"], "connection_profile": "guarded" } },
    ]);
    t.world.apply(more).await;
    let alice = t.world.token("alice").await;
    t.world.request(&alice, &["vault1", "vault2"]).await;
    t.mail_to("erin", "vault1, vault2").await;
    assert_eq!(t.notices("").await.len(), 3, "one for each approver and one for the webhook");
}

#[tokio::test]
async fn beginning_and_end_are_told_ahead() {
    let t = Telling::start().await;
    let alice = t.world.token("alice").await;
    let start = cardea_domain::Clock::now(&*t.world.clock).plus(Duration::from_secs(3600));
    let body = json!({ "activity": "Linux admin", "resources": ["web1"], "start_at": start });
    let created = t.world.post(&alice, "/api/v1/sessions", body).await.ok(201);
    let id = created["items"][0]["id"].as_str().expect("an id").to_owned();
    t.pass(3600 - 700);
    assert_eq!(t.courier.mails(), []);
    t.pass(200);
    let mail = t.mail_to("alice", "begins at").await;
    assert!(mail.text.contains(&format!("{PUBLIC_URL}/scheduled?q={id}")), "{}", mail.text);
    t.pass(600);
    t.world.until_status(&id, "available").await;
    t.pass(3600 - 290);
    let mail = t.mail_to("alice", "ends in").await;
    assert!(mail.text.contains(&format!("{PUBLIC_URL}/?q={id}")), "{}", mail.text);
}

#[tokio::test]
async fn what_is_not_true_any_more_is_not_sent() {
    let t = Telling::start().await;
    t.courier.set("mail", Receiver::Refuses);
    let alice = t.world.token("alice").await;
    let id = t.world.request(&alice, &["vault1"]).await.remove(0);
    let is_first = |notice: &Value| notice["receiver"] == "erin@example.com" && notice["attempts"] == 1;
    t.until_notice("a first attempt", is_first).await;
    t.world.post(&alice, &format!("/api/v1/sessions/{id}/end"), json!({})).await.ok(200);
    t.courier.set("mail", Receiver::Takes);
    t.pass(60);
    t.until_notice("the mail is dropped", |notice| {
        notice["receiver"] == "erin@example.com" && notice["state"] == "dropped"
    })
    .await;
    assert_eq!(t.courier.mails(), []);
}

#[tokio::test]
async fn who_does_not_answer_holds_up_nobody_else_and_is_tried_until_it_is_given_up() {
    let t = Telling::start().await;
    t.courier.set("chat", Receiver::Hangs);
    t.courier.set("mail", Receiver::Refuses);
    let alice = t.world.token("alice").await;
    let id = t.world.request(&alice, &["web1"]).await.remove(0);
    t.world.until_status(&id, "available").await;
    t.world.hosts.fail_always(Operation::Remove, ConnectorError::Refused("no".to_owned()));
    t.world.post(&alice, &format!("/api/v1/sessions/{id}/end"), json!({})).await.ok(200);
    t.world.until(&id, |session| session["grants"][0]["attempts"].as_i64() > Some(0)).await;
    t.pass(90);
    // The chat hangs on its first; the pager gets its own at once.
    let posts = t.courier.until_posts("pager", 1).await;
    assert!(posts[0].body.contains("cleanup_stalled"), "{}", posts[0].body);
    let is_mail = |notice: &Value| notice["receiver"] == "root@example.com" && notice["kind"] == "cleanup_stalled";
    let refused = t.until_notice("a refused mail", |notice| is_mail(notice) && notice["attempts"] == 1).await;
    assert_eq!((refused["state"].as_str(), refused["last_error"].as_str()), (Some("waiting"), Some("mail says no")));
    // Each attempt a while after the last, until a day is over.
    for _ in 0..200 {
        let now = t.until_notice("the mail's row", is_mail).await;
        if now["state"] == "failed" {
            break;
        }
        t.pass(2300);
        t.until_notice("another attempt", |notice| is_mail(notice) && notice["attempts"] != now["attempts"]).await;
    }
    let failed = t.until_notice("it is given up", |notice| is_mail(notice) && notice["state"] == "failed").await;
    assert!(failed["attempts"].as_i64() > Some(20) && failed["next_attempt_at"].is_null(), "{failed}");
    // The chat's may be given up by now as well: it hangs for no longer than an attempt may take.
    assert!(t.notices("?state=failed").await.iter().any(is_mail));

    // An administrator has it tried again.
    t.courier.set("mail", Receiver::Takes);
    let path = format!("/api/v1/notices/{}/try-now", failed["id"].as_str().expect("an id"));
    assert_eq!(t.world.post(&As::Operator, &path, json!({})).await.ok(200)["state"], "waiting");
    let mail = t.mail_to("root", "does not get on").await;
    assert!(mail.text.contains("Reason: "), "{}", mail.text);
    t.until_notice("it is sent", |notice| is_mail(notice) && notice["state"] == "sent").await;
    t.world.post(&As::Operator, &path, json!({})).await.problem(409, "refused");
}

/// Mail about what threatens people does not wait behind what they ask each other.
#[tokio::test]
async fn what_is_urgent_does_not_wait_behind_requests() {
    /// Mails of one lane that are on their way at once.
    const AT_ONCE: usize = 4;
    let t = Telling::start().await;
    for approver in ["dave@example.com", "erin@example.com"] {
        t.courier.set(approver, Receiver::Hangs);
    }
    let alice = t.world.token("alice").await;
    for _ in 0..AT_ONCE {
        t.world.request(&alice, &["vault1"]).await;
    }
    // The lane of what people ask each other is full of mails that nobody takes, and more wait behind them.
    t.courier.until_hanging(AT_ONCE).await;
    let untried = |notice: &&Value| notice["outlet"] == "mail" && notice["attempts"] == 0;
    assert!(t.notices("?state=waiting").await.iter().filter(untried).count() >= AT_ONCE);
    t.world.post(&As::Operator, "/api/v1/users/alice/invite", json!({})).await.ok(202);
    let mail = t.mail_to("alice", "").await;
    let is_invitation = |notice: &Value| notice["kind"] == "invited" && notice["receiver"] == "alice@example.com";
    let sent = t.until_notice("it is sent", |notice| is_invitation(notice) && notice["state"] == "sent").await;
    assert_eq!((&sent["outlet"], &sent["attempts"]), (&json!("mail:urgent"), &json!(1)));
    assert_eq!(t.courier.mails(), [mail], "nobody else got any");
}

/// Each tier hears when its turn comes, and not before.
#[tokio::test]
async fn the_next_tier_is_told_when_its_turn_comes() {
    let t = Telling::start().await;
    let tiers = json!([{ "approvers": ["dave"] }, { "approvers": ["erin"] }]);
    let spec = json!({ "max_duration": "1h", "approval": { "tiers": tiers, "window": "2h" } });
    t.world.apply(json!([{ "kind": "ConnectionProfile", "name": "guarded", "spec": spec }])).await;
    let alice = t.world.token("alice").await;
    let id = t.world.request(&alice, &["vault1"]).await.remove(0);
    t.mail_to("dave", "asks for Linux admin on vault1").await;
    let dave = t.world.signed_in("dave").await;
    let of_erin = |notice: &Value| notice["receiver"] == "erin@example.com";
    assert!(!t.notices("").await.iter().any(of_erin), "it is not her turn");
    t.world.post(&dave, &format!("/api/v1/sessions/{id}/approve"), json!({ "reason": "fine" })).await.ok(200);
    let mail = t.mail_to("erin", "asks for Linux admin on vault1").await;
    assert!(mail.text.contains(&format!("{PUBLIC_URL}/approvals?q={id}")), "{}", mail.text);
    assert!(!t.notices("").await.iter().any(|notice| notice["kind"] == "request_decided"), "it is not decided");
    let erin = t.world.signed_in("erin").await;
    t.world.post(&erin, &format!("/api/v1/sessions/{id}/approve"), json!({ "reason": "so be it" })).await.ok(200);
    let mail = t.mail_to("alice", "approved").await;
    assert!(mail.text.contains("By: erin\n") && mail.text.contains("Reason: so be it\n"), "{}", mail.text);
    let to = |user: &str| t.courier.mails().iter().filter(|mail| mail.to.starts_with(user)).count();
    assert_eq!((to("dave"), to("erin"), to("alice")), (1, 1, 1));
}

/// An extension that takes a yes is asked for and decided about by mail as the request was.
#[tokio::test]
async fn an_extension_is_told_to_who_may_decide_and_the_decision_to_who_asked() {
    let t = Telling::start().await;
    let approval = json!({ "tiers": [{ "approvers": ["dave"] }] });
    let extension = json!({ "by": "30m", "limit": 2, "approval": true });
    let spec = json!({ "max_duration": "1h", "approval": approval, "extension": extension });
    t.world.apply(json!([{ "kind": "ConnectionProfile", "name": "guarded", "spec": spec }])).await;
    let (alice, dave) = (t.world.token("alice").await, t.world.signed_in("dave").await);
    let id = t.world.request(&alice, &["vault1"]).await.remove(0);
    let path = |what: &str| format!("/api/v1/sessions/{id}/{what}");
    let told = async |kind: &str, count: usize| {
        let what = format!("{count} sent mails of {kind}");
        for _ in 0..LOOKS_MAX {
            let sent = t.notices("?state=sent").await;
            let of_kind = |notice: &&Value| notice["kind"] == kind && notice["outlet"] == "mail";
            if sent.iter().filter(of_kind).count() == count {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        panic!("{what} never were: {:#?}", t.notices("").await);
    };
    // What is decided before its mail is sent is not mailed.
    told("request_waiting", 1).await;
    t.world.post(&dave, &path("approve"), json!({ "reason": "the first yes" })).await.ok(200);
    told("request_decided", 1).await;
    t.world.until_status(&id, "available").await;
    t.world.post(&alice, &path("extend"), json!({ "minutes": 20 })).await.ok(200);
    told("request_waiting", 2).await;
    t.world.post(&dave, &path("deny"), json!({ "reason": "long enough" })).await.ok(200);
    let mail = t.mail_to("alice", "denied").await;
    assert!(mail.text.contains("By: dave\n") && mail.text.contains("Reason: long enough\n"), "{}", mail.text);
    t.world.post(&alice, &path("extend"), json!({ "minutes": 20 })).await.ok(200);
    told("request_waiting", 3).await;
    t.world.post(&dave, &path("approve"), json!({ "reason": "the second yes" })).await.ok(200);
    told("request_decided", 3).await;
    let mails = t.courier.mails();
    assert!(mails.iter().any(|mail| mail.to.starts_with("alice") && mail.text.contains("Reason: the second yes\n")));
    assert!(mails.iter().all(|mail| mail.to.starts_with("alice") || mail.to.starts_with("dave")), "{mails:#?}");
}

#[tokio::test]
async fn a_page_of_notices_goes_on_where_the_last_one_ended() {
    let t = Telling::start().await;
    let alice = t.world.token("alice").await;
    t.world.request(&alice, &["vault1"]).await;
    t.mail_to("erin", "asks").await;
    let mut seen = Vec::new();
    let mut path = "/api/v1/notices?limit=1".to_owned();
    loop {
        let page = t.world.get(&As::Operator, &path).await.ok(200);
        seen.push(page["items"][0]["id"].as_str().expect("an id").to_owned());
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/v1/notices?limit=1&cursor={next}");
    }
    assert!(seen.len() == 3 && seen.is_sorted_by(|newer, older| newer > older), "{seen:?}");
    for (query, pointer) in [("state=lost", "/state"), ("limit=0", "/limit"), ("cursor=x", "/cursor")] {
        assert_eq!(t.world.get(&As::Operator, &format!("/api/v1/notices?{query}")).await.wrong_fields(), [pointer]);
    }
}

#[tokio::test]
async fn a_sign_in_from_a_new_device_is_mailed_to_its_user() {
    let t = Telling::start().await;
    let sign_in = async |peer: &str, program: &str| {
        let body = json!({ "user": "dave", "password": PASSWORD });
        t.world.post_from(peer, program, "/api/v1/sign-in", body).await.ok(200);
    };
    sign_in("192.0.2.1:1", "Firefox").await;
    sign_in("192.0.2.1:2", "Firefox").await;
    sign_in("198.51.100.9:1", "curl/8").await;
    let mail = t.mail_to("dave", "A new sign-in").await;
    assert!(mail.text.contains("Address: 198.51.100.9\nProgram: curl/8\n"), "{}", mail.text);
    assert!(mail.text.contains(&format!("{PUBLIC_URL}/profile")), "{}", mail.text);
    let mails = t
        .notices("")
        .await
        .into_iter()
        .filter(|notice| notice["kind"] == "new_device" && notice["outlet"] == "mail:urgent");
    assert_eq!(mails.count(), 1, "where he was before is not new");
}
