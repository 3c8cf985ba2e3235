//! People's own accounts: given grants, and left as they were.

use cardea_domain::{
    ConnectorError, FreshPassword, GroupProcesses, LogOffUser, Membership, Order, PersonalKey, Presence, Privilege,
};
use cardea_testkit::wait;

use crate::bench::{Bench, said};

const UID: u32 = 5001;
const OWN_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOwnKeyOfRitaOwnKeyOfRitaOwnKeyOfRita12345";

fn rita(name: &str) -> Bench {
    let t = Bench::start(name);
    t.host.root(&format!(
        "useradd -m -u {UID} -s /bin/bash -c 'Rita R,,,' -e 2040-01-01 rita; printf 'rita:her-own' | chpasswd; \
         mkdir -m 700 /home/rita/.ssh; printf '# mine\\n{OWN_KEY} rita@home\\n' >/home/rita/.ssh/authorized_keys; \
         chmod 600 /home/rita/.ssh/authorized_keys; chown -R rita:rita /home/rita/.ssh; \
         setsid su rita -c 'exec sleep 7000' >/dev/null 2>&1 </dev/null &"
    ));
    wait(std::time::Duration::from_secs(20), "she works", || !t.host.processes_of(UID).is_empty());
    t
}

fn personal(t: &Bench, key: &str) -> Order {
    t.order("rita", UID, Privilege::PersonalKey(PersonalKey { public_key: key.to_owned() }))
}

fn keys(t: &Bench) -> String {
    t.host
        .root("cat /home/rita/.ssh/authorized_keys; stat -c '%U %G %a' /home/rita/.ssh /home/rita/.ssh/authorized_keys")
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_come_and_go_and_nothing_else_changes() {
    let t = rita("requester");
    let (before, keys_before, work) = (t.host.accounts_digest(), keys(&t), t.host.processes_of(UID));
    let orders = [t.sudo("rita", UID, &["ALL"]), t.group("rita", UID, "adm"), t.login_key("rita", UID)];
    for order in &orders {
        assert_eq!(t.observe(order).await.presence, Presence::Absent);
        t.place(order).await;
        t.place(order).await;
        assert_ne!(t.observe(order).await.presence, Presence::Absent);
    }
    assert_eq!(said(&t.as_account("rita", "sudo -n id -u; id -nG")), "0\nrita adm\n");
    assert!(keys(&t).starts_with(&format!("# mine\n{OWN_KEY} rita@home\nrestrict,pty,")), "{}", keys(&t));
    t.as_account("rita", "setsid sleep 900 >/dev/null 2>&1 </dev/null & exit 0");

    let mut found = Vec::new();
    for order in orders.iter().rev() {
        found.extend(t.remove(order).await.findings);
        t.remove(order).await;
        assert_eq!(t.observe(order).await.presence, Presence::Absent);
    }

    assert_eq!(t.host.accounts_digest(), before);
    assert_eq!(keys(&t), keys_before);
    assert_eq!(t.host.processes_of(UID), work, "what she had started before goes on");
    assert!(found.iter().any(|finding| finding.contains("(sleep) was in group adm and was ended")), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_in_a_group_go_on_where_the_profile_only_wants_to_know() {
    let t = rita("report");
    let membership = Membership { group: "adm".to_owned(), processes: GroupProcesses::Report };
    let order = t.order("rita", UID, Privilege::GroupMembership(membership));
    t.place(&order).await;
    t.host.root("setsid setpriv --reuid 5001 --regid 5001 --init-groups sleep 903 >/dev/null 2>&1 </dev/null &");
    wait(std::time::Duration::from_secs(20), "it runs", || t.host.try_root("pgrep -f '[s]leep 903'").is_ok());

    let evidence = t.remove(&order).await;

    assert!(evidence.findings.iter().any(|it| it.contains("(sleep) was in group adm and goes on")), "{evidence:?}");
    let process = t.host.root("pgrep -f '[s]leep 903'");
    assert!(evidence.read_back.contains(process.trim()), "{evidence:?}");
    assert_eq!(t.observe(&order).await.presence, Presence::Absent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_she_had_already_is_left_alone() {
    let t = rita("haskey");
    let keys_before = keys(&t);
    let had = personal(&t, OWN_KEY);
    assert_eq!(t.observe(&had).await.presence, Presence::Foreign);
    t.remove(&had).await;
    assert_eq!(keys(&t), keys_before);

    t.host.root("rm -r /home/rita/.ssh");
    let fresh = personal(&t, OWN_KEY);
    assert_eq!(t.observe(&fresh).await.presence, Presence::Absent);
    t.place(&fresh).await;
    t.place(&fresh).await;
    assert_eq!(t.observe(&fresh).await.presence, Presence::Ours);
    assert_eq!(t.host.root("grep -c . /home/rita/.ssh/authorized_keys"), "1\n");
    t.remove(&fresh).await;
    assert!(t.host.try_root("test -e /home/rita/.ssh").is_err(), "as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_she_puts_in_the_way_harms_nobody() {
    let t = rita("planted");
    let root_keys = t.host.root("sha256sum /root/.ssh/authorized_keys");
    let order = t.login_key("rita", UID);
    t.host.root("su rita -c 'cd; mv .ssh mine; ln -s /root/.ssh .ssh'");
    assert!(matches!(t.try_place(&order).await, Err(ConnectorError::Refused(_))));
    t.host.root("su rita -c 'cd; rm .ssh; mkdir .ssh; mkfifo .ssh/authorized_keys'");
    assert!(matches!(t.try_place(&order).await, Err(ConnectorError::Refused(_))));
    t.remove(&order).await;
    t.host.root("su rita -c 'cd; rm .ssh/authorized_keys; ln -s /root/.ssh/authorized_keys .ssh/authorized_keys'");
    assert!(matches!(t.try_place(&order).await, Err(ConnectorError::Refused(_))));
    assert_eq!(t.host.root("sha256sum /root/.ssh/authorized_keys"), root_keys);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_given_back_is_refused() {
    let t = rita("refused");
    t.host.root("useradd -r -u 701 -m daemonic");
    let before = t.host.accounts_digest();
    let password = t.order("rita", UID, Privilege::Password(FreshPassword { password: t.password }));
    let error = t.try_place(&password).await.expect_err("it has one");
    assert!(matches!(&error, ConnectorError::Refused(why) if why.contains("given back")), "{error}");
    t.remove(&password).await;
    let service = t.host.uid_of("svc").expect("there");
    for (name, uid) in [("daemonic", 701), ("root", 0), ("svc", service)] {
        let log_off = t.order(name, uid, Privilege::LogOff(LogOffUser {}));
        for order in [t.sudo(name, uid, &["ALL"]), t.group(name, uid, "adm"), t.login_key(name, uid), log_off] {
            let error = t.try_place(&order).await.expect_err(name);
            assert!(matches!(error, ConnectorError::Refused(_)), "{name}: {error}");
        }
    }
    // Her account is nobody's to delete or to put to rest.
    let account = t.account("rita", 70_250);
    assert!(matches!(t.try_remove(&account).await, Err(ConnectorError::Tampered(_))));
    assert_eq!(t.host.accounts_digest(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_text_in_her_keys_stays() {
    let t = rita("binary");
    t.host.root("printf '# caf\\351\\n\\000\\n' >>/home/rita/.ssh/authorized_keys");
    assert_eq!(t.host.root("tr -dc '\\000\\351' </home/rita/.ssh/authorized_keys | wc -c"), "2\n");
    let before = t.host.root("sha256sum /home/rita/.ssh/authorized_keys");
    let order = t.login_key("rita", UID);
    t.place(&order).await;
    assert_eq!(said(&t.as_account("rita", "echo in")), "in\n");
    t.remove(&order).await;
    assert_eq!(t.host.root("sha256sum /home/rita/.ssh/authorized_keys"), before);
}
