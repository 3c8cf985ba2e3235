//! Managed accounts: kept, locked at rest, clean and with a fresh password for one session at a time.

use cardea_domain::{ConnectorError, Leftovers, Order, Presence, Privilege};

use crate::bench::{Bench, PASSWORD, said};

fn check_out(t: &Bench, (name, uid): (&str, u32), adopt: bool, clean_home: bool) -> Order {
    let (password, leftovers) = (Some(t.password), Leftovers::Chown);
    t.order(name, uid, Privilege::ManagedAccount { adopt, clean_home, password, leftovers })
}

#[tokio::test(flavor = "multi_thread")]
async fn where_only_the_gateway_is_to_come_in_it_has_no_password() {
    let t = Bench::start("bare");
    let (name, uid) = ("ops", 70_205);
    let bare =
        Privilege::ManagedAccount { adopt: false, clean_home: false, password: None, leftovers: Leftovers::Chown };
    let order = t.order(name, uid, bare);
    t.place(&order).await;
    assert_eq!(shadow(&t, name).0, "*");
    t.place(&t.login_key(name, uid)).await;
    assert_eq!(
        said(&t.as_account(name, "id -un; echo x 2>/dev/null >>.ssh/authorized_keys || echo shut")),
        "ops\nshut\n"
    );
    t.remove(&order).await;
    assert!(shadow(&t, name).0.starts_with('!'), "locked at rest");
}

/// The account's password entry and the day on which it expires.
fn shadow(t: &Bench, name: &str) -> (String, String) {
    let entry = t.host.root(&format!("getent shadow {name}"));
    let fields: Vec<_> = entry.trim_end().split(':').collect();
    (fields[1].to_owned(), fields[7].to_owned())
}

fn comment(t: &Bench, name: &str) -> String {
    t.host.root(&format!("getent passwd {name} | cut -d: -f5")).trim_end().to_owned()
}

fn is_at_rest(t: &Bench, name: &str) -> bool {
    let (hash, day) = shadow(t, name);
    hash.starts_with("!$") && day == "1" && comment(t, name).starts_with("cardea managed ")
}

#[tokio::test(flavor = "multi_thread")]
async fn one_is_made_once_and_rests_clean_between_sessions() {
    let t = Bench::start("managed");
    let (name, uid) = ("ops", 70_200);
    let first = check_out(&t, (name, uid), false, false);
    assert_eq!(t.observe(&first).await.presence, Presence::Absent);
    t.place(&first).await;
    t.place(&first).await;
    assert_eq!(t.observe(&first).await.presence, Presence::Ours);
    let (hash, day) = shadow(&t, name);
    assert!(hash.starts_with('$') && day.parse::<i64>().expect("a day") > 1, "{hash} {day}");
    let key = t.login_key(name, uid);
    t.place(&key).await;
    let left = t.as_account(
        name,
        "setsid sleep 900 >/dev/null 2>&1 </dev/null & echo '* * * * * id' | crontab -; echo mine >work; \
         echo '+ +' >.rhosts; mkdir -p .config/systemd/user; touch .config/systemd/user/x.service; touch /tmp/left; \
         until pgrep -x sleep >/dev/null; do :; done; echo ready",
    );
    assert_eq!(said(&left), "ready\n");
    t.host.root("d=/var/spool/cron/atjobs; mkdir -p $d; touch $d/a0000101; chown 70200 $d/a0000101; mkdir -p /var/lib/systemd/linger; touch /var/lib/systemd/linger/ops");

    t.remove(&key).await;
    let evidence = t.remove(&first).await;
    t.remove(&first).await;

    assert!(
        evidence.read_back.contains("rests") && evidence.findings.join(" ").contains("(sleep) was ended"),
        "{evidence:?}"
    );
    assert!(is_at_rest(&t, name), "{:?} {}", shadow(&t, name), comment(&t, name));
    assert_ne!(shadow(&t, name).0, format!("!{hash}"), "nobody knows the password any more");
    assert_eq!(t.observe(&first).await.presence, Presence::Absent);
    assert_eq!(t.host.processes_of(uid), Vec::<String>::new());
    assert_eq!(t.host.uid_of(name), Some(uid));
    assert_eq!(t.host.root("cat /home/ops/work; ls -A /home/ops | grep -e ssh -e rhosts || true"), "mine\n");
    assert_eq!(
        t.host.root("ls /var/spool/cron/crontabs /var/spool/cron/atjobs /var/lib/systemd/linger | grep -e ops -e a0000101 || true; ls -A /home/ops/.config"),
        ""
    );
    assert_eq!(t.host.root("stat -c %U /tmp/left"), "root\n");

    let second = check_out(&t, (name, uid), false, true);
    t.place(&second).await;
    assert_ne!(shadow(&t, name).0, hash);
    assert_eq!(t.host.root("ls -A /home/ops | sort"), t.host.root("ls -A /etc/skel | sort"), "a clean home");
    assert_eq!(t.host.root("stat -c '%U %G %a' /home/ops /home/ops/.bashrc | sort -u"), "ops ops 644\nops ops 700\n");
    // The first session's late clean-up, or a third session, does nothing to the second.
    assert_eq!(t.observe(&first).await.presence, Presence::Foreign);
    t.remove(&first).await;
    let third = check_out(&t, (name, uid), true, false);
    assert!(matches!(t.try_place(&third).await, Err(ConnectorError::Collision(_))));
    assert_eq!(t.observe(&second).await.presence, Presence::Ours);
    assert!(!shadow(&t, name).0.starts_with('!'));
    t.remove(&second).await;
    assert!(is_at_rest(&t, name));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fresh_password_is_the_one_that_was_given() {
    let t = Bench::start("fresh");
    let (name, uid) = ("ops", 70_201);
    let account = check_out(&t, (name, uid), false, false);
    let mut rule = t.sudo(name, uid, &["/usr/bin/id"]);
    let Privilege::SudoRule(parameters) = &mut rule.privilege else { panic!("a sudo rule") };
    parameters.password = true;
    for order in [&account, &rule, &t.login_key(name, uid)] {
        t.place(order).await;
    }

    let sudo =
        |password: &str| said(&t.as_account(name, &format!("sudo -k -S -p '' id -u 2>&1 <<'END'\n{password}\nEND")));
    assert_eq!(sudo(PASSWORD), "0\n");
    assert!(sudo("Correct horse").contains("incorrect password"));
    assert!(!t.as_account(name, "sudo -n id").status.success());
    t.remove(&rule).await;
    t.remove(&account).await;
    assert!(is_at_rest(&t, name));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_cardeas_is_taken_over_only_when_asked_to() {
    let t = Bench::start("adopt");
    t.host.root("useradd -m -u 5005 -s /bin/bash -c 'Ops Team,Room 5' legacy; printf 'legacy:old-pass' | chpasswd; \
                 mkdir -m 700 /home/legacy/.ssh; echo 'ssh-ed25519 AAAA x' >/home/legacy/.ssh/authorized_keys; \
                 chown -R legacy /home/legacy/.ssh; echo '* * * * * id' | crontab -u legacy -; useradd -r -u 700 -m daemonic");
    let before = t.host.accounts_digest();
    let own = check_out(&t, ("legacy", 5005), false, false);
    assert_eq!(t.observe(&own).await.presence, Presence::Foreign);
    assert!(matches!(t.try_place(&own).await, Err(ConnectorError::Collision(_))));
    for (name, uid) in [("daemonic", 700), ("root", 0), ("svc", t.host.uid_of("svc").expect("there"))] {
        let error = t.try_place(&check_out(&t, (name, uid), true, false)).await.expect_err(name);
        assert!(matches!(error, ConnectorError::Refused(_)), "{name}: {error}");
    }
    let wrong = t.try_place(&check_out(&t, ("legacy", 5006), true, false)).await.expect_err("another number");
    assert!(matches!(wrong, ConnectorError::Collision(_)), "{wrong}");
    assert_eq!(t.host.accounts_digest(), before);

    let adopt = check_out(&t, ("legacy", 5005), true, false);
    t.place(&adopt).await;
    assert!(t.host.try_root("test -e /home/legacy/.ssh || test -e /var/spool/cron/crontabs/legacy").is_err());
    assert!(comment(&t, "legacy").ends_with(",Ops Team,Room 5"), "{}", comment(&t, "legacy"));
    t.remove(&adopt).await;

    assert!(
        is_at_rest(&t, "legacy") && comment(&t, "legacy").ends_with(",Ops Team,Room 5"),
        "{}",
        comment(&t, "legacy")
    );
    // From now on it is known, without being adopted again.
    t.place(&own).await;
    t.remove(&own).await;
    assert!(is_at_rest(&t, "legacy"));
}

#[tokio::test(flavor = "multi_thread")]
async fn half_done_work_is_found_by_the_mark_and_put_to_rest() {
    let t = Bench::start("halfway");
    let (name, uid) = ("ops", 70_202);
    t.host.root("mv /usr/sbin/chpasswd /usr/sbin/chpasswd.real; printf '#!/bin/sh\\nexit 1\\n' >/usr/sbin/chpasswd; chmod 755 /usr/sbin/chpasswd");
    let order = check_out(&t, (name, uid), false, false);

    t.try_place(&order).await.expect_err("chpasswd fails");

    assert_eq!(t.observe(&order).await.presence, Presence::Ours);
    assert_eq!(shadow(&t, name).1, "1", "nobody could log in yet");
    t.try_remove(&order).await.expect_err("the password cannot be rotated");
    assert_eq!(t.observe(&order).await.presence, Presence::Ours);
    t.host.root("mv /usr/sbin/chpasswd.real /usr/sbin/chpasswd");
    t.place(&order).await;
    t.remove(&order).await;
    assert!(is_at_rest(&t, name));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_does_to_the_account_does_not_keep_it_open() {
    let t = Bench::start("twisted");
    let (name, uid) = ("ops", 70_203);
    let order = check_out(&t, (name, uid), false, false);
    t.place(&order).await;
    t.host.root("usermod -l innocent ops");
    assert_eq!(t.observe(&order).await.presence, Presence::Ours);
    let error = t.try_remove(&order).await.expect_err("it is not as it was made");
    assert!(matches!(&error, ConnectorError::Tampered(why) if why.contains("innocent")), "{error}");
    assert_eq!(shadow(&t, "innocent").1, "1");
    t.host.root("usermod -l ops innocent");
    t.remove(&order).await;
    assert!(is_at_rest(&t, name));

    t.place(&order).await;
    t.host.root("usermod -c harmless ops");
    let error = t.try_remove(&order).await.expect_err("it lost its mark");
    assert!(matches!(&error, ConnectorError::Tampered(why) if why.contains("usermod -c 'cardea managed")), "{error}");
    assert_eq!(shadow(&t, name).1, "1");

    // Deleted by hand, and made anew by somebody: not ours any more.
    t.host.root("userdel -r ops 2>/dev/null; useradd -m -u 5007 -c mine ops; printf 'ops:theirs' | chpasswd");
    let theirs = shadow(&t, name);
    assert!(t.remove(&order).await.read_back.contains("left as it is"));
    assert_eq!(shadow(&t, name), theirs);
    t.host.root("userdel -r ops 2>/dev/null; true");
    t.remove(&order).await;

    // Whatever carries its mark, an account that is to be deleted is never this one.
    t.place(&order).await;
    let mut deletion = order.clone();
    deletion.privilege = Privilege::Account { leftovers: Leftovers::Chown };
    t.try_remove(&deletion).await.expect_err("it is a managed one");
    assert_eq!(t.host.uid_of(name), Some(uid));
}
