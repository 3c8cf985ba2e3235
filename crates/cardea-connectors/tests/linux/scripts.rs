//! Scripts of administrators: once, bounded, and over when something newer comes.

use std::time::Duration;

use cardea_domain::{Connector, ConnectorError, Frame, FreshPassword, GrantId, Privilege, Script, ScriptOutcome};
use cardea_testkit::wait;

use crate::bench::Bench;

const SOON: Duration = Duration::from_secs(20);

fn script(t: &Bench, text: &str) -> Script {
    let grant = GrantId::mint(t.clock_now(), &*t.entropy);
    Script { grant, text: text.to_owned(), environment: vec![], limit: Duration::from_secs(30) }
}

async fn run(t: &Bench, script: &Script) -> Result<ScriptOutcome, ConnectorError> {
    t.linux.run_script(&t.target, t.frame(), script).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_runs_once_and_says_what_it_said() {
    let t = Bench::start("script");
    let odd = "it's \"$(touch /tmp/pwned)\" `touch /tmp/pwned`\n; touch /tmp/pwned \\n é\n";
    let mut told =
        script(&t, "printf %s \"$CARDEA_USER\" | sha256sum; id -u; echo out; echo err >&2; echo x >>/tmp/ran; exit 3");
    told.environment = vec![("CARDEA_USER".to_owned(), odd.to_owned()), ("CARDEA_EMPTY".to_owned(), String::new())];
    t.host.root(&format!("cat >/tmp/odd <<'END'\n{odd}END"));
    let sum = t.host.root("sha256sum </tmp/odd");

    let outcome = run(&t, &told).await.expect("it ran");

    assert_eq!(outcome, ScriptOutcome { status: 3, timed_out: false, output: format!("{}\n0\nout\nerr", sum.trim()) });
    let again = run(&t, &told).await.expect_err("it ran before");
    assert!(matches!(&again, ConnectorError::Refused(why) if why.contains("not run twice")), "{again}");
    assert_eq!(t.host.root("cat /tmp/ran; ls /tmp"), "x\nodd\nran\n");
    let mut bad = script(&t, "true");
    bad.environment = vec![("PATH".to_owned(), "/tmp".to_owned())];
    assert!(run(&t, &bad).await.is_err());

    let other = run(&t, &script(&t, "#!/usr/bin/env perl\nprint 6 * 7;")).await.expect("it ran");
    assert_eq!((other.status, other.output.as_str()), (0, "42"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scripts_output_and_time_are_bounded() {
    let t = Bench::start("bounds");
    let loud = run(&t, &script(&t, "yes 0123456789 | head -n 100000; setsid sleep 900 & echo done >/tmp/done")).await;
    let loud = loud.expect("it ran, and does not wait for what holds its output");
    assert_eq!((loud.status, loud.output.len()), (0, Script::OUTPUT_BYTES_MAX));
    assert_eq!(t.host.root("cat /tmp/done"), "done\n", "it was not cut off with its output");
    t.host.root("pkill -x sleep");

    let mut slow = script(&t, "trap '' TERM; sleep 900 & sleep 900; sleep 900");
    slow.limit = Duration::from_secs(1);
    let outcome = run(&t, &slow).await.expect("it was ended");
    assert!(outcome.timed_out && outcome.status != 0, "{outcome:?}");
    assert_eq!(t.host.root("pgrep -x sleep || true"), "");
    assert_eq!(t.host.root("find /run/cardea/*/scripts -type f -o -type p"), "", "nothing of the scripts' texts stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_script_stops_no_session_and_ends_when_something_newer_comes() {
    let t = std::sync::Arc::new(Bench::start("script-end"));
    let order = t.account("uwe-x1", 70_085);
    let long = script(&t, "touch /tmp/began; sleep 900");
    let running = tokio::spawn({
        let (t, long) = (t.clone(), long.clone());
        async move { run(&t, &long).await }
    });
    wait(SOON, "it began", || t.host.try_root("test -e /tmp/began").is_ok());

    // Another session, and the same claim of this one.
    t.linux
        .observe(&t.target, Frame { session: t.new_session(), ..t.frame() }, std::slice::from_ref(&order))
        .await
        .expect("seen");
    t.observe(&order).await;
    assert_ne!(t.host.root("pgrep -x sleep || true"), "");
    // Somebody logs in and makes the session longer, each under a fence of its own: that takes over none of its steps.
    t.place(&order).await;
    let key = t.login_key("uwe-x1", 70_085);
    t.linux.place(&t.target, Frame { fence: 2, ..t.frame() }, &key).await.expect("placed");
    let all = [key, order.clone()];
    t.linux.extend(&t.target, Frame { fence: 3, ..t.frame() }, &all).await.expect("extended");
    // And is shown the account's password, which is made for that.
    let password = t.order("uwe-x1", 70_085, Privilege::Password(FreshPassword { password: t.password }));
    t.observe_at(4, &password).await;
    t.linux.place(&t.target, Frame { fence: 4, ..t.frame() }, &password).await.expect("placed");
    assert_ne!(t.host.root("pgrep -x sleep || true"), "", "it goes on");
    let late = t.linux.run_script(&t.target, t.frame(), &script(&t, "touch /tmp/late")).await;
    assert_eq!(late, Err(ConnectorError::Superseded { seen: 4 }), "what comes late is refused all the same");
    // Another node has taken over, and looks for the password among others.
    let both = [password, order];
    t.linux.observe(&t.target, Frame { fence: 5, ..t.frame() }, &both).await.expect("seen");

    assert_eq!(t.host.root("pgrep -x sleep || true"), "");
    let outcome = running.await.expect("no panic");
    assert!(matches!(outcome, Err(ConnectorError::Unknown(_))), "{outcome:?}");
    let again = t.linux.run_script(&t.target, Frame { fence: 5, ..t.frame() }, &long).await;
    assert!(matches!(again, Err(ConnectorError::Refused(_))), "{again:?}");
}
