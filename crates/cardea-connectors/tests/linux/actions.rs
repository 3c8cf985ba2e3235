//! The effects of actions that have no file of their own here: passwords, personal keys, log-off.

use cardea_domain::{
    Connector, ConnectorError, FreshPassword, LogOffUser, Period, PersonalKey, Presence, Privilege, RunScript,
};

use crate::bench::{Bench, PASSWORD, said};

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_set_and_taken_away_again() {
    let t = Bench::start("password");
    let (name, uid) = ("pia-x1", 70_300);
    let mut rule = t.sudo(name, uid, &["/usr/bin/id"]);
    let Privilege::SudoRule(parameters) = &mut rule.privilege else { panic!("a sudo rule") };
    parameters.password = true;
    let password = t.order(name, uid, Privilege::Password(FreshPassword { password: t.password }));
    let account = t.account(name, uid);
    assert!(matches!(t.try_place(&password).await, Err(ConnectorError::Refused(_))), "there is no account");
    for order in [&account, &t.login_key(name, uid), &rule] {
        t.place(order).await;
    }
    let sudo = || said(&t.as_account(name, &format!("sudo -k -S -p '' id -u 2>&1 <<'END'\n{PASSWORD}\nEND")));
    assert_ne!(sudo(), "0\n");
    assert_eq!(t.observe(&password).await.presence, Presence::Absent);

    t.place(&password).await;
    t.place(&password).await;
    assert_eq!(sudo(), "0\n");
    assert_eq!(t.observe(&password).await.presence, Presence::Ours);
    t.place(&account).await;

    t.remove(&password).await;
    t.remove(&password).await;
    assert_ne!(sudo(), "0\n");
    assert_eq!(t.observe(&password).await.presence, Presence::Absent);
    assert!(t.as_account(name, "true").status.success(), "the key opens it all the same");
    t.place(&password).await;
    t.remove(&account).await;
    t.remove(&password).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_personal_key_stands_beside_the_gateways() {
    let t = Bench::start("personal");
    let (name, uid) = ("paul-x1", 70_301);
    let public = std::fs::read_to_string(t.host.service_key_file().with_extension("pub")).expect("a key");
    let key = Privilege::PersonalKey(PersonalKey { public_key: public.trim().to_owned() });
    let (account, personal) = (t.account(name, uid), t.order(name, uid, key));
    t.place(&account).await;
    assert_eq!(t.observe(&personal).await.presence, Presence::Absent);
    t.place(&personal).await;
    t.place(&personal).await;
    assert_eq!(t.observe(&personal).await.presence, Presence::Ours);
    assert!(t.as_account(name, "true").status.success());

    let mut later = personal.clone();
    later.expires_at = personal.expires_at.plus(std::time::Duration::from_secs(600));
    t.linux.extend(&t.target, t.frame(), std::slice::from_ref(&later)).await.expect("extended");
    assert!(t.host.root("cat /home/paul-x1/.ssh/authorized_keys").contains(&later.expires_at.compact()));
    t.linux.lock(&t.target, t.frame(), std::slice::from_ref(&later)).await.expect("locked");
    assert!(!t.as_account(name, "true").status.success());
    t.linux.unlock(&t.target, t.frame(), std::slice::from_ref(&later)).await.expect("unlocked");
    assert!(t.as_account(name, "true").status.success());

    // Half-written by a shell that was killed.
    t.host.root("cd /home/paul-x1/.ssh; chattr -i . || true; cp authorized_keys authorized_keys.new");
    t.remove(&personal).await;
    assert!(!t.as_account(name, "true").status.success());
    assert_eq!(t.host.root("ls -A /home/paul-x1/.ssh"), "");
    t.remove(&account).await;

    let smuggled = PersonalKey { public_key: "ssh-ed25519 AAAA\nssh-ed25519 BBBB".to_owned() };
    t.place(&account).await;
    let error = t.try_place(&t.order(name, uid, Privilege::PersonalKey(smuggled))).await.expect_err("two lines");
    assert!(matches!(error, ConnectorError::Refused(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_off_ends_what_runs_now_and_nothing_else() {
    let t = Bench::start("logoff");
    let (name, uid) = ("pete-x1", 70_302);
    let log_off = t.order(name, uid, Privilege::LogOff(LogOffUser {}));
    t.place(&t.account(name, uid)).await;
    t.place(&t.login_key(name, uid)).await;
    t.as_account(name, "setsid sleep 900 >/dev/null 2>&1 </dev/null & exit 0");
    assert_eq!(t.host.processes_of(uid).len(), 1);

    t.place(&log_off).await;
    t.place(&log_off).await;

    assert_eq!(t.host.processes_of(uid), Vec::<String>::new());
    assert_eq!(t.observe(&log_off).await.presence, Presence::Absent);
    t.remove(&log_off).await;
    assert!(t.as_account(name, "true").status.success(), "the account is open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_is_never_placed_or_proven_gone() {
    let t = Bench::start("unproven");
    let script = RunScript { script: "touch /tmp/ran".to_owned(), limit: Period::from_seconds(5) };
    let order = t.order("pete-x1", 70_303, Privilege::Script(script));
    assert!(matches!(t.try_place(&order).await, Err(ConnectorError::Refused(_))));
    assert_eq!(t.observe(&order).await.presence, Presence::Absent);
    assert!(t.remove(&order).await.read_back.starts_with("unproven"));
    assert!(t.host.try_root("test -e /tmp/ran").is_err());
}
