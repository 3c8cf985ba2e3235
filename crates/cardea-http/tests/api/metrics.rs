//! The operator's figures: who may see them, and that they say what is there.

use std::time::Duration;

use cardea_domain::ConnectorError;
use cardea_testkit::Operation;
use serde_json::json;

use crate::world::{As, PATIENCE, SCRAPER, World};

async fn scrape(world: &World, who: &As) -> String {
    let answer = world.get(who, "/metrics").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.header("content-type").starts_with("text/plain; version=0.0.4"));
    answer.text
}

/// Scrapes until this line is there: an answer may be a second old.
async fn until_line(world: &World, line: &str) -> String {
    let waiting = async {
        loop {
            let page = scrape(world, &As::Operator).await;
            if page.lines().any(|each| each == line) {
                return page;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("no line `{line}`"))
}

#[tokio::test]
async fn only_the_scraper_and_those_who_see_everything_see_figures() {
    let world = World::start().await;
    let (alice, carol) = (world.token("alice").await, world.token("carol").await);
    world.get(&As::Nobody, "/metrics").await.problem(401, "not-signed-in");
    world.get(&alice, "/metrics").await.problem(403, "not-allowed");
    let almost = As::Token(format!("{}x", &SCRAPER[..SCRAPER.len() - 1]));
    world.get(&almost, "/metrics").await.problem(401, "not-signed-in");
    let scraper = As::Token(SCRAPER.to_owned());
    for who in [&scraper, &carol, &As::Operator] {
        assert!(scrape(&world, who).await.contains("\ncardea_grants_out 0\n"));
    }
    world.get(&scraper, "/api/v1/sessions").await.problem(401, "not-signed-in");
}

#[tokio::test]
async fn figures_follow_a_session_and_name_nobody() {
    let world = World::start().await;
    let alice = world.token("alice").await;
    let id = world.request(&alice, &["web1"]).await.remove(0);
    world.until_status(&id, "available").await;
    let page = until_line(&world, "cardea_sessions{status=\"available\"} 1").await;
    assert!(page.contains("\ncardea_sessions{status=\"failed\"} 0\n"), "{page}");
    assert!(page.contains("\ncardea_step_seconds_bucket{host=\"web1\",le=\"+Inf\"} 1\n"), "{page}");
    assert!(!page.contains("alice") && !page.contains(&id), "{page}");
    assert!(figure(&page, "cardea_grants_out") >= 1.0, "{page}");

    // A host that refuses for longer than a minute: the clean-up is stalled.
    world.hosts.fail_always(Operation::Remove, ConnectorError::Refused("no".to_owned()));
    world.post(&alice, &format!("/api/v1/sessions/{id}/end"), json!({})).await.ok(200);
    world.until(&id, |session| session["grants"][0]["attempts"].as_i64() > Some(0)).await;
    world.clock.advance(Duration::from_secs(90));
    world.app.nudge();
    let page = until_line(&world, "cardea_cleanups_stalled 1").await;
    assert!(page.contains("\ncardea_sessions{status=\"canceling\"} 1\n"), "{page}");
    assert_eq!(figure(&page, "cardea_cleanup_stalled_oldest_seconds"), 90.0);
    world.hosts.heal();
    world.clock.advance(Duration::from_secs(600));
    world.app.nudge();
    world.until_status(&id, "completed").await;
    let page = until_line(&world, "cardea_grants_out 0").await;
    assert_eq!(figure(&page, "cardea_cleanups_stalled"), 0.0);
    assert!(figure(&page, "cardea_step_seconds_count{host=\"web1\"}") >= 3.0, "{page}");
}

/// The number behind a name.
fn figure(page: &str, name: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no `{name}` in {page}")).parse().expect("a number")
}
