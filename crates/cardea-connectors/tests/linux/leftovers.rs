//! What people leave behind: processes that hide, files, schedules.

use std::time::Duration;

use cardea_domain::{Connector, ConnectorError, Leftovers, Privilege, ScanFinding, UidRange};
use cardea_testkit::wait;

use crate::bench::{Bench, said};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_person_outlives_their_account() {
    let t = Bench::start("strays");
    t.host.root("mkdir -p /var/lib/systemd/linger");
    let before = t.host.accounts_digest();
    let (name, uid) = ("erin-x1", 70_010);
    let orders = [t.account(name, uid), t.sudo(name, uid, &["ALL"]), t.login_key(name, uid)];
    for order in &orders {
        t.place(order).await;
    }
    let left = t.as_account(
        name,
        "setsid sh -c 'sleep 900 & sleep 900' >/dev/null 2>&1 </dev/null & \
         (sh -c 'sleep 901 & exec true' &) >/dev/null 2>&1 </dev/null; \
         sudo -n setsid sleep 902 >/dev/null 2>&1 </dev/null & \
         echo '* * * * * touch /tmp/again' | crontab -; echo 'touch /tmp/again' | at now + 1 hour 2>/dev/null; \
         sudo -n sh -c 'mkdir -p /var/lib/systemd/linger /var/mail; touch /var/lib/systemd/linger/erin-x1 /var/mail/erin-x1'; \
         mkdir -p .config/systemd/user; echo '[Service]' >.config/systemd/user/again.service; \
         cp /bin/true /tmp/tool; chmod 6755 /tmp/tool; \
         mkdir -p /var/tmp/deep/er /dev/shm/mem; touch \"/var/tmp/deep/er/$(printf 'two\\nlines')\"; ln -s /etc/shadow /tmp/link; \
         until pgrep -x sleep | wc -l | grep -qx 4; do :; done; echo ready",
    );
    assert_eq!(said(&left), "ready\n");
    let shadow = t.host.root("stat -c '%U %a' /etc/shadow");

    t.remove(&orders[2]).await;
    t.remove(&orders[1]).await;
    let evidence = t.remove(&orders[0]).await;

    assert_eq!(t.host.processes_of(uid), Vec::<String>::new());
    assert_eq!(t.host.root("pgrep -x sleep || true"), "", "also what ran as root for them");
    assert_eq!(t.host.files_of(uid), Vec::<String>::new());
    assert_eq!(t.host.accounts_digest(), before);
    let kept = "ls /var/lib/systemd/linger /var/mail /home /var/spool/cron/crontabs; ls /var/spool/cron/atjobs | grep ^a || true";
    let kept = t.host.root(kept);
    assert!(!kept.contains("erin") && !kept.contains("\na0"), "no unit, no mail, no home, no job: {kept}");
    assert_eq!(t.host.root("stat -c '%U %G %a' /tmp/tool"), "root root 755\n", "nobody gets a setuid file of root's");
    assert_eq!(t.host.root("stat -c '%U %a' /etc/shadow"), shadow, "links are not followed");
    let findings = evidence.findings.join("\n");
    for expected in [
        "(sleep) was ended",
        "/crontabs/erin-x1 was removed",
        "/tmp/tool was given to root",
        "/var/tmp/deep/er/two lines",
    ] {
        assert!(findings.contains(expected), "{expected} in {findings}");
    }
}

/// What two accounts leave where anybody may write: a tree with somebody else's file in it, a file with two names, a link, a pipe.
const LITTER: &str = "mkdir -p /tmp/$N/a\\ b/c; echo gold >/tmp/$N/a\\ b/c/f; chmod 4755 /tmp/$N/a\\ b/c/f; \
    echo x >/var/tmp/$N; ln /var/tmp/$N /var/tmp/$N.two; ln -s /etc/shadow /tmp/$N.link; mkfifo /tmp/$N.pipe; \
    mkdir /dev/shm/$N; touch \"/dev/shm/$N/$(printf 'two\\nlines')\"";

#[tokio::test(flavor = "multi_thread")]
async fn files_outside_of_a_home_are_archived_or_removed_as_the_profile_says() {
    let t = Bench::start("litter");
    let shadow = t.host.root("stat -c '%U %a %h' /etc/shadow");
    for (name, uid, leftovers) in [("alma-x1", 70_080, Leftovers::Archive), ("dora-x1", 70_081, Leftovers::Delete)] {
        let order = t.order(name, uid, Privilege::Account { leftovers });
        t.place(&order).await;
        t.host.root(&format!("setpriv --reuid {uid} --clear-groups sh -c 'N={name}; {LITTER}'; touch '/tmp/{name}/a b/theirs'; chown svc '/tmp/{name}/a b/theirs'"));

        let findings = t.remove(&order).await.findings.join("\n");

        let left = t.host.root(&format!("find /tmp /var/tmp /dev/shm -name '*{name}*' -printf '%p %u\\n' | sort"));
        assert_eq!(left, format!("/tmp/{name} root\n"), "a folder with somebody else's file stays, and is root's");
        assert_eq!(t.host.root(&format!("stat -c %U '/tmp/{name}/a b/theirs'")), "svc\n");
        assert_eq!(t.host.files_of(uid), Vec::<String>::new());
        assert!(findings.contains("has 2 names"), "{findings}");
        let archive = format!("/var/lib/cardea-leftovers/{}", order.grant);
        let kept = t.host.try_root(&format!("cd {archive} && stat -c '%U %a' . && find . -type f -printf '%U %m %P\\n' -o -type l -printf '%l\\n' | sort"));
        if leftovers == Leftovers::Delete {
            assert!(kept.is_err(), "{kept:?}");
            assert!(findings.contains("/c/f was removed"), "{findings}");
            continue;
        }
        let kept = kept.expect("an archive");
        for expected in ["root 700\n", "/etc/shadow\n", "0 755 tmp/alma-x1/a b/c/f\n", "var/tmp/alma-x1.two\n"] {
            assert!(kept.contains(expected), "{expected} in {kept}");
        }
        assert_eq!(t.host.root(&format!("cat '{archive}/tmp/{name}/a b/c/f'")), "gold\n");
        assert!(findings.contains("/c/f was archived in /var/lib/cardea-leftovers/grt_"), "{findings}");
    }
    assert_eq!(t.host.root("stat -c '%U %a %h' /etc/shadow"), shadow, "links are not followed");
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_are_found_when_the_account_was_deleted_by_hand() {
    let t = Bench::start("nameless");
    let (name, uid) = ("fred-x1", 70_011);
    let orders = [t.account(name, uid), t.login_key(name, uid)];
    for order in &orders {
        t.place(order).await;
    }
    t.as_account(name, "setsid sleep 900 >/dev/null 2>&1 </dev/null & exit 0");
    t.host.root(&format!("userdel -f {name} 2>/dev/null"));
    assert_eq!(t.host.processes_of(uid).len(), 1);

    t.remove(&orders[1]).await;
    let evidence = t.remove(&orders[0]).await;

    assert_eq!(t.host.processes_of(uid), Vec::<String>::new());
    assert!(evidence.findings.iter().any(|finding| finding.contains("sleep")), "{evidence:?}");
    assert_eq!(t.host.root("ls /home"), "svc\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_mounted_in_a_home_is_taken_off_and_not_emptied() {
    let t = Bench::start("mounts");
    let (name, uid) = ("hans-x1", 70_013);
    let order = t.account(name, uid);
    t.place(&order).await;
    t.host.root(
        "mkdir -p /home/precious/in /run/user/70013; echo gold >/home/precious/f; cd /home/hans-x1; mkdir data 'a b'; \
         mount --bind /home/precious data; mount --bind /home/precious 'a b'; mount -t tmpfs none 'a b/in'; \
         mount --bind /home/precious data; mount --bind /home/precious /run/user/70013; \
         touch fixed; chattr +i fixed",
    );

    let evidence = t.remove(&order).await;

    assert_eq!(t.host.root("cat /home/precious/f; ls /home"), "gold\nprecious\nsvc\n");
    assert!(t.host.try_root("test -e /run/user/70013").is_err());
    assert_eq!(t.host.root("grep -c -e hans-x1 -e user/70013 /proc/self/mountinfo || true"), "0\n");
    let findings = evidence.findings.join("\n");
    assert!(findings.contains("mount /home/hans-x1/a b was taken off"), "{findings}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_forks_away_from_the_end() {
    let t = Bench::start("forks");
    let (name, uid) = ("gabi-x1", 70_012);
    let orders = [t.account(name, uid), t.login_key(name, uid)];
    for order in &orders {
        t.place(order).await;
    }
    t.host.root("d=/var/spool/cron/atjobs; mkdir -p $d; touch $d/a0000101; chown 70012 $d/a0000101");
    t.as_account(name, "ulimit -u 120; (setsid sh -c 'while :; do (while :; do (sleep 1) & done) & done') >/dev/null 2>&1 </dev/null & exit 0");
    wait(Duration::from_secs(20), "they fork", || t.host.processes_of(uid).len() > 30);

    t.remove(&orders[1]).await;
    let evidence = t.remove(&orders[0]).await;

    assert_eq!(t.host.processes_of(uid), Vec::<String>::new());
    assert!(evidence.findings.iter().any(|finding| finding.ends_with("atjobs/a0000101 was removed")), "{evidence:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_finds_files_wherever_they_are() {
    let t = Bench::start("scan");
    t.host.root(
        "install -d -o 70020 /opt/deep; touch /opt/deep/f \"$(printf '/srv/a\\n70021 b')\"; chown 70020 /opt/deep/f; \
         chown 70021 /srv/a*; touch /srv/outside; chown 80000 /srv/outside; touch /dev/shm/m; chown 79999 /dev/shm/m",
    );
    let ranges = [(70_000, 79_999), (70_020, 70_020), (70_021, 70_021)].map(|(first, last)| UidRange { first, last });

    let (first, second, third) = tokio::join!(
        t.linux.scan(&t.target, ranges[0]),
        t.linux.scan(&t.target, ranges[1]),
        t.linux.scan(&t.target, ranges[2]),
    );

    assert_eq!(listed(first), ["70020 /opt/deep", "70020 /opt/deep/f", "70021 /srv/a 70021 b", "79999 /dev/shm/m"]);
    assert_eq!(listed(second), ["70020 /opt/deep", "70020 /opt/deep/f"]);
    assert_eq!(listed(third), ["70021 /srv/a 70021 b"]);
}

fn listed(found: Result<Vec<ScanFinding>, ConnectorError>) -> Vec<String> {
    let found = found.expect("a scan").into_iter();
    let mut lines: Vec<_> = found.map(|file| format!("{} {}", file.uid, file.path)).collect();
    lines.sort();
    lines.dedup();
    lines
}
