//! What Cardea sees of a host without changing it: accounts, log-ins, marks, drift.

use std::{
    collections::BTreeSet,
    process::{Child, Stdio},
    time::Duration,
};

use cardea_domain::{Connector, Depth, Drift, DriftMark, KnownAccount, LogIn, drift};
use cardea_testkit::wait;

use crate::bench::{Bench, TOKEN, said};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn accounts_of_any_name_are_known() {
    let t = Bench::start("known");
    t.host.root("useradd -u 3001 -c 'Owen, Room 7' owen && usermod -L -e 2030-01-02 owen");

    let look = async |name: &str| t.linux.account(&t.target, t.frame(), name).await;

    let owen = KnownAccount { uid: 3001, comment: "Owen, Room 7".to_owned(), locked: true, expires_day: Some(21_916) };
    assert_eq!(look("owen").await, Ok(Some(owen)));
    let svc = look("svc").await.expect("known").expect("there");
    assert_eq!(svc.expires_day, None);
    assert_eq!(look("nobody-here").await, Ok(None));
    assert!(look("-x; id").await.is_err());
}

/// A client that stays logged in, and where it comes from, as the host says.
struct Visit {
    client: Child,
    source: String,
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.client.kill().expect("the client is ours");
        self.client.wait().expect("the client is ours");
    }
}

fn visit(t: &Bench, name: &str, options: &[&str]) -> Visit {
    let mark = format!("/tmp/visit-{}", options.len());
    let mut ssh = t.host.ssh(name, &t.host.service_key_file());
    ssh.args(options).arg(format!("echo $SSH_CONNECTION >{mark}; sleep 900"));
    let client = ssh.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("the ssh client runs");
    wait(SOON, "it is logged in", || t.host.try_root(&format!("test -s {mark}")).is_ok());
    let connection = t.host.root(&format!("cat {mark}"));
    let mut words = connection.split(' ');
    let (address, port) = (words.next().expect("an address"), words.next().expect("a port"));
    Visit { client, source: format!("{address}:{port}") }
}

#[tokio::test(flavor = "multi_thread")]
async fn log_ins_are_found_with_and_without_a_terminal() {
    let t = Bench::start("log-ins");
    let (name, uid) = ("paul-x1", 70_070);
    for order in [t.account(name, uid), t.login_key(name, uid)] {
        t.place(&order).await;
    }
    assert_eq!(t.linux.log_ins(&t.target, &[uid]).await, Ok(vec![]));

    let plain = visit(&t, name, &[]);
    let terminal = visit(&t, name, &["-tt"]);
    // Who has nobody's sshd is not logged in.
    t.host.root(&format!("setsid setpriv --reuid {uid} --clear-groups sleep 901 >/dev/null 2>&1 </dev/null &"));
    let found = t.linux.log_ins(&t.target, &[70_071, uid]).await.expect("the host answers");

    let by = |source: &str| -> LogIn {
        let mut one = found.iter().filter(|one| one.source.is_some_and(|from| from.to_string() == source));
        let log_in = one.next().unwrap_or_else(|| panic!("{source} is not in {found:?}"));
        assert_eq!(one.next(), None);
        log_in.clone()
    };
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|one| one.age < SOON), "{found:?}");
    assert!(by(&plain.source).age >= by(&terminal.source).age, "{found:?}");
    assert_eq!((by(&plain.source).uid, by(&plain.source).terminal), (uid, None));
    assert!(by(&terminal.source).terminal.is_some_and(|name| name.starts_with("pts/")));
    assert!(by(&plain.source).what.contains("paul-x1@notty"), "{found:?}");
    assert_eq!(t.linux.log_ins(&t.target, &[70_071]).await, Ok(vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mark_is_found_from_the_hosts_side() {
    let t = Bench::start("marks");
    let (name, uid) = ("rita-x1", 70_072);
    let account = t.account(name, uid);
    let group = t.group(name, uid, "adm");
    let switch = t.dead_man(vec![&group, &account]);
    let orders = [switch, account, group, t.sudo(name, uid, &["ALL"]), t.login_key(name, uid)];
    for order in &orders {
        t.place(order).await;
    }
    // Nobody holds up the look with a file of their own.
    t.host.root("mkdir -p /home/big/.ssh /home/pipe/.ssh; truncate -s 1T /home/big/.ssh/authorized_keys; mkfifo /home/pipe/.ssh/authorized_keys");
    t.host.root("echo 'not a mark' >/etc/sudoers.d/cardea-x; useradd -c 'cardea is a flower' -u 3002 ruth");

    let found = t.linux.marks(&t.target).await.expect("the host answers");

    let kinds: BTreeSet<_> = found.iter().map(|mark| (mark.kind.as_str(), mark.grant)).collect();
    let ours = orders.iter().map(|order| (order.privilege.kind(), order.grant)).collect();
    assert_eq!(kinds, ours);
    assert!(found.iter().all(|mark| mark.token == TOKEN), "{found:?}");
    for mark in &found {
        assert_eq!(mark.uid, Some(uid), "{mark:?}");
        let subject = (mark.kind == "group_membership").then_some("adm");
        assert_eq!(mark.subject.as_deref(), subject, "{mark:?}");
    }
    t.host.root("rm /etc/sudoers.d/cardea-x");
    for order in orders.iter().rev() {
        t.remove(order).await;
    }
    assert_eq!(t.linux.marks(&t.target).await, Ok(vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_root_changed_so_as_to_stay_is_named() {
    let t = Bench::start("drift");
    t.host.root("touch /etc/pam.d/spare /etc/cron.d/spare; cp /bin/true /usr/local/bin/spare");
    let look = async |depth| t.linux.snapshot(&t.target, depth).await.expect("the host answers");
    let (quick, full) = (look(Depth::Quick).await, look(Depth::Full).await);
    assert!(quick.0.len() > 20 && full.0.keys().any(|name| name.starts_with("setuid ")), "{}", full.0.len());
    assert_eq!(drift(&quick, &look(Depth::Quick).await, |_, _| false), []);

    let ours = t.sudo("svc-x1", 70_073, &["ALL"]);
    t.place(&ours).await;
    t.host.root(
        "useradd -o -u 0 toor; echo 'toor ALL=(ALL) ALL' >/etc/sudoers.d/toor; echo 'ssh-ed25519 AAAA x' >>/root/.ssh/authorized_keys; \
         echo '* * * * * root true' >/etc/cron.d/spare; mkdir -p /etc/systemd/system; echo '[Service]' >/etc/systemd/system/toor.service; \
         ln -s /dev/null /etc/systemd/system/sshguard.service; echo /tmp/x.so >/etc/ld.so.preload.x; \
         mv /etc/ld.so.preload.x /etc/ld.so.preload; rm /etc/pam.d/spare; chmod 4755 /usr/local/bin/spare; \
         echo 'ssh-ed25519 AAAA x' | tee /root/.ssh/authorized_keys2 >/etc/ssh/keys; mkdir -p /home/toor/.ssh; \
         cp /etc/ssh/keys /home/toor/.ssh/authorized_keys2; \
         mkdir -p /var/lib/systemd/linger; touch /var/lib/systemd/linger/toor; rm /etc/ld.so.preload; touch /etc/ld.so.preload",
    );

    let found = drift(&quick, &look(Depth::Quick).await, |_, (grant, _)| grant == ours.grant);
    for (kind, what) in [
        ("new", "account toor"),
        ("new", "sudoers /etc/sudoers.d/toor"),
        ("changed", "key /root/.ssh/authorized_keys"),
        ("new", "key /root/.ssh/authorized_keys2"),
        ("new", "key /home/toor/.ssh/authorized_keys2"),
        ("new", "sshd /etc/ssh/keys"),
        ("changed", "schedule /etc/cron.d/spare"),
        ("new", "unit /etc/systemd/system/toor.service"),
        ("new", "unit /etc/systemd/system/sshguard.service -> /dev/null"),
        ("new", "unit /var/lib/systemd/linger/toor"),
        ("new", "preload /etc/ld.so.preload"),
        ("gone", "pam /etc/pam.d/spare"),
    ] {
        let what = what.to_owned();
        let expected = match kind {
            "new" => Drift::New(what),
            "gone" => Drift::Gone(what),
            _ => Drift::Changed(what),
        };
        assert!(found.contains(&expected), "{expected:?} in {found:?}");
    }
    assert_eq!(found.len(), 12, "{found:?}");
    let found = drift(&full, &look(Depth::Full).await, |_, (grant, _)| grant == ours.grant);
    assert!(found.contains(&Drift::New("setuid /usr/local/bin/spare".to_owned())), "{found:?}");
    assert_eq!(found.len(), 13, "{found:?}");
    t.host.root("rm /etc/ld.so.preload");
    assert_eq!(said(&t.as_account("svc", "true")), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_switch_runs_is_told_when_it_is_not_ours_and_made_good() {
    let t = Bench::start("drift-switch");
    let look = async || t.linux.snapshot(&t.target, Depth::Quick).await.expect("the host answers");
    let before = look().await;
    let sudo = t.sudo("svc-x1", 70_074, &["ALL"]);
    let switch = t.dead_man(vec![&sudo]);
    let is_ours = |_: &Drift, (grant, _): DriftMark| grant == sudo.grant || grant == switch.grant;
    t.place(&switch).await;
    assert_eq!(drift(&before, &look().await, is_ours), []);

    t.host.root("cd /var/lib/cardea-host; for f in library-*; do echo id >>$f; done; ln -s /tmp/x grt_00000000000000000000000001");
    let found = drift(&before, &look().await, |_, _| true);
    let library = t.host.root("echo /var/lib/cardea-host/library-*");
    let link = "dead_man /var/lib/cardea-host/grt_00000000000000000000000001 -> /tmp/x".to_owned();
    assert_eq!(found, [Drift::New(link), Drift::New(format!("dead_man {}", library.trim()))]);

    t.host.root("rm /var/lib/cardea-host/grt_00000000000000000000000001");
    t.place(&switch).await;
    assert_eq!(drift(&before, &look().await, is_ours), [], "placed again, it is written anew");
    t.remove(&switch).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_found_wherever_an_account_has_its_home() {
    let t = Bench::start("homes");
    t.host.root("mkdir /srv/people; useradd -m -d /srv/people/r -u 5004 rosi; useradd -M -d /srv/nowhere -u 5005 rudi");
    let key = t.login_key("rosi", 5004);
    t.place(&key).await;

    let found = t.linux.marks(&t.target).await.expect("the host answers");

    assert_eq!(found.len(), 1, "{found:?}");
    let is_told =
        found[0].account.as_deref() == Some("rosi") && found[0].uid == Some(5004) && found[0].grant == key.grant;
    assert!(is_told && found[0].detail == "/srv/people/r/.ssh/authorized_keys", "{found:?}");
    t.remove(&key).await;
    assert_eq!(t.linux.marks(&t.target).await, Ok(vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_in_a_group_since_then_is_named() {
    let t = Bench::start("drift-group");
    t.host.root("useradd -u 5006 rune; useradd -u 5007 -G adm runa; useradd -u 5008 rufo");
    let (theirs, made) = (t.group("rune", 5006, "adm"), t.account("vick-x1", 70_075));
    let switch = t.dead_man(vec![&theirs]);
    let look = async || t.linux.snapshot(&t.target, Depth::Quick).await.expect("the host answers");
    let before = look().await;

    // Another session's come and go.
    for order in [&switch, &theirs, &made, &t.group("vick-x1", 70_075, "adm")] {
        t.place(order).await;
    }
    assert_eq!(drift(&before, &look().await, |_, (grant, _)| grant == switch.grant), []);
    t.host.root("gpasswd -a rune audio; gpasswd -a rufo adm; usermod -g adm rufo; gpasswd -d runa adm");
    t.remove(&switch).await;

    let drift = drift(&before, &look().await, |_, _| false);
    let number = t.host.root("getent group adm | cut -d: -f3");
    let member = |what: &str| format!("member {what}");
    assert_eq!(
        drift.into_iter().collect::<BTreeSet<_>>(),
        BTreeSet::from([
            Drift::Gone(member("runa of group adm")),
            Drift::New(member("rufo of group adm")),
            Drift::New(member(&format!("rufo of group number {}", number.trim()))),
            Drift::New(member("rune of group adm")),
            Drift::New(member("rune of group audio")),
        ])
    );
}
