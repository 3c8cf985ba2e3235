//! What can go wrong on the way in, each with its own error that says what to do.

use cardea_domain::{Connector, ConnectorError, Elevation, Target};

use cardea_testkit::LinuxHost;

use crate::bench::{Bench, PASSWORD};

async fn refusal(t: &Bench, target: &Target) -> ConnectorError {
    let order = t.account("nina-x1", 70_040);
    t.linux.observe(target, t.frame(), &[order]).await.expect_err("it must not work")
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_pinned_host_is_spoken_to() {
    let t = Bench::start("pinned");
    let learned = t.linux.host_key(&t.target.address, t.target.port).await.expect("a key");
    assert_eq!(learned, t.host.host_key());

    let other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
    let error = refusal(&t, &Target { host_key: Some(other.to_owned()), ..t.target.clone() }).await;
    assert_eq!(error, ConnectorError::HostKeyChanged { pinned: other.to_owned(), shown: learned });
    let error = refusal(&t, &Target { host_key: None, ..t.target.clone() }).await;
    assert_eq!(error, ConnectorError::HostKeyMissing);
    let error = refusal(&t, &Target { port: 1, ..t.target.clone() }).await;
    assert!(
        matches!(&error, ConnectorError::Unreachable(why) if why.contains("check the resource's address")),
        "{error}"
    );
    assert!(matches!(t.linux.host_key(&t.target.address, 1).await, Err(ConnectorError::Unreachable(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn log_ins_are_by_key_or_password() {
    let t = Bench::start("log-in");
    let by_password = Target { private_key: None, password: Some(t.password), ..t.target.clone() };
    let error = refusal(&t, &by_password).await;
    assert!(matches!(&error, ConnectorError::LoginRefused(why) if why.contains("password of svc")), "{error}");
    t.host.root(&format!("cat >/tmp/p <<'END'\nsvc:{PASSWORD}\nEND\nchpasswd </tmp/p; rm /tmp/p"));
    let order = t.account("nina-x1", 70_040);
    t.linux.observe(&by_password, t.frame(), &[order]).await.expect("the password is taken");

    let nobody = Target { user: "nobody-here".to_owned(), ..t.target.clone() };
    let error = refusal(&t, &nobody).await;
    assert!(matches!(&error, ConnectorError::LoginRefused(why) if why.contains("nobody-here")), "{error}");
    // A sealed password in place of a key is no key, and is not shown.
    let error = refusal(&t, &Target { private_key: Some(t.password), ..t.target.clone() }).await;
    assert!(!error.to_string().contains("battery"), "{error}");
    let error = refusal(&t, &Target { private_key: None, password: None, ..t.target.clone() }).await;
    assert!(matches!(error, ConnectorError::LoginRefused(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn root_is_reached_by_each_elevation_or_refused_with_advice() {
    let t = Bench::start("elevation");
    let order = [t.account("nina-x1", 70_040)];
    let with_password = Target { sudo_password: Some(t.password), ..t.target.clone() };
    // The smallest rule, as docs/operating.md publishes it.
    t.host.root("echo 'svc ALL=(root) NOPASSWD: /usr/bin/setsid -w sh -c *' >/etc/sudoers.d/svc");
    t.linux.observe(&t.target, t.frame(), &order).await.expect("sudo of what Cardea runs");
    // Where sudo does not ask, the password goes nowhere.
    t.linux.observe(&with_password, t.frame(), &order).await.expect("sudo without asking");

    t.host.root("echo 'svc ALL=(ALL) ALL' >/etc/sudoers.d/svc");
    // Connections of before are warm; these are others.
    let t2 = t.restarted();
    let error = t2.observe(&t.target, t.frame(), &order).await.expect_err("sudo asks");
    assert!(
        matches!(&error, ConnectorError::ElevationRefused(_, why) if why.contains("password is required") && why.contains("To do")),
        "{error}"
    );
    let error = t2.observe(&with_password, t.frame(), &order).await.expect_err("a wrong password");
    assert!(matches!(&error, ConnectorError::ElevationRefused(_, why) if why.contains("sudo_password")), "{error}");
    assert!(!error.to_string().contains("battery"), "{error}");
    t.host.root(&format!("cat >/tmp/p <<'END'\nsvc:{PASSWORD}\nEND\nchpasswd </tmp/p; rm /tmp/p"));
    t2.observe(&with_password, t.frame(), &order).await.expect("sudo with its password");
    assert_eq!(t.host.root("grep -rsF 'battery' /var/log || true"), "", "the password is in no log of the host");

    let plain = Target { elevation: Elevation::None, ..t.target.clone() };
    let error = t2.observe(&plain, t.frame(), &order).await.expect_err("svc is not root");
    assert!(matches!(&error, ConnectorError::ElevationRefused(_, why) if why.contains("svc is not root")), "{error}");
    t.host.root("cat /home/svc/.ssh/authorized_keys >>/root/.ssh/authorized_keys");
    let root = Target { user: "root".to_owned(), ..plain };
    t2.observe(&root, t.frame(), &order).await.expect("root needs no elevation");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_refuses_a_command_says_why() {
    let t = Bench::start("refuses");
    t.place(&t.account("oleg-x1", 70_041)).await;
    let rule = t.sudo("oleg-x1", 70_041, &["ALL"]);
    t.host.root("cp /etc/sudoers /root/kept; grep -v includedir /root/kept >/etc/sudoers; echo 'svc ALL=(ALL) NOPASSWD: ALL' >>/etc/sudoers");
    let error = t.try_place(&rule).await.expect_err("the file would never be read");
    assert!(matches!(&error, ConnectorError::Refused(why) if why.contains("@includedir")), "{error}");
    t.host.root("cat /root/kept >/etc/sudoers");
    t.place(&rule).await;

    t.host.root("mv /usr/sbin/useradd /usr/sbin/useradd.kept; printf '#!/bin/sh\\necho no space left >&2; exit 1\\n' >/usr/sbin/useradd; chmod 755 /usr/sbin/useradd");
    let error = t.try_place(&t.account("oleg-x2", 70_042)).await.expect_err("useradd fails");
    assert!(matches!(&error, ConnectorError::Refused(why) if why.contains("no space left")), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn doas_elevates_where_there_is_no_sudo() {
    let t = Bench::start("doas");
    let doas = Target { elevation: Elevation::Doas, ..t.target.clone() };
    t.host.root(
        "command -v doas >/dev/null || { export DEBIAN_FRONTEND=noninteractive; install='apt-get install -qq opendoas'; \
         $install || { apt-get update -qq && $install; }; } >/dev/null 2>&1",
    );
    t.host.root("rm -f /etc/doas.conf; mv /usr/bin/sudo /usr/bin/sudo.away");
    let error = refusal(&t, &doas).await;
    assert!(
        matches!(&error, ConnectorError::ElevationRefused(_, why) if why.contains("permit nopass svc as root")),
        "{error}"
    );
    t.host.root("echo 'permit nopass svc as root' >/etc/doas.conf");
    let order = t.account("nina-x1", 70_040);
    t.linux.place(&doas, t.frame(), &order).await.expect("placed");
    t.linux.remove(&doas, t.frame(), &order).await.expect("removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_the_person_filled_does_not_keep_their_account() {
    let t = Bench::on(LinuxHost::start_small("full", "96m"));
    let before = t.host.accounts_digest();
    let (name, uid) = ("olga-x1", 70_043);
    let orders = [t.account(name, uid), t.sudo(name, uid, &["ALL"]), t.group(name, uid, "adm"), t.login_key(name, uid)];
    for order in &orders {
        t.place(order).await;
    }
    t.as_account(name, "cat /dev/zero >~/fill");
    assert!(t.host.try_root("head -c 8192 /dev/zero >/etc/probe").is_err(), "the disk is full");
    t.host.root("rm -f /etc/probe");

    // The engine removes what depends on the account first, and tries again what failed.
    for order in [&orders[3], &orders[1], &orders[0], &orders[2]] {
        t.remove(order).await;
    }

    assert_eq!(t.host.accounts_digest(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_other_sessions_keys_are_not_lost() {
    let t = Bench::on(LinuxHost::start_small("keys", "96m"));
    let (name, uid) = ("otto-x1", 70_044);
    let account = t.account(name, uid);
    let (first, second) = (t.login_key(name, uid), t.login_key(name, uid));
    for order in [&account, &first, &second] {
        t.place(order).await;
    }
    let keys = "cat /home/otto-x1/.ssh/authorized_keys";
    let before = t.host.root(keys);
    t.as_account(name, "cat /dev/zero >~/fill");

    let error = t.try_remove(&first).await.expect_err("the others cannot be written");
    assert!(matches!(&error, ConnectorError::Refused(why) if why.contains("left as it is")), "{error}");
    let error = t.try_place(&t.login_key(name, uid)).await.expect_err("nor can a third");
    assert!(matches!(&error, ConnectorError::Refused(_)), "{error}");
    assert_eq!((t.host.root(keys), t.host.root("ls -A /home/otto-x1/.ssh")), (before, "authorized_keys\n".to_owned()));
    assert!(t.as_account(name, "true").status.success(), "the second key still opens the account");

    t.as_account(name, "rm ~/fill");
    t.remove(&first).await;
    assert!(t.as_account(name, "true").status.success());
    assert_eq!(t.host.root(keys).lines().count(), 1);
    t.remove(&account).await;
}
