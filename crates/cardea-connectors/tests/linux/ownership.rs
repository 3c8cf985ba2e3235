//! Cardea removes only what is its own, and says so when something is not.

use cardea_domain::{ConnectorError, Presence};

use crate::bench::{Bench, TOKEN, said};

#[tokio::test(flavor = "multi_thread")]
async fn accounts_of_others_are_neither_taken_nor_touched() {
    let t = Bench::start("others");
    t.host.root("useradd -m -u 70030 owner && useradd -m -u 3000 gina-x1 && mkdir /home/hugo-x1");
    let before = t.host.accounts_digest();

    for (name, uid) in [("other-x1", 70_030), ("gina-x1", 70_031), ("hugo-x1", 70_032)] {
        let order = t.account(name, uid);
        let error = t.try_place(&order).await.expect_err(name);
        assert!(matches!(error, ConnectorError::Collision(_)), "{name}: {error}");
    }
    assert_eq!(t.observe(&t.account("other-x1", 70_030)).await.presence, Presence::Foreign);
    assert_eq!(t.host.accounts_digest(), before);
    // An account of that name that carries no mark is never taken for gone.
    let error = t.try_remove(&t.account("gina-x1", 70_031)).await.expect_err("it is there");
    assert!(matches!(&error, ConnectorError::Tampered(why) if why.contains("gina-x1")), "{error}");
    assert_eq!(t.host.accounts_digest(), before, "and never touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_was_moved_to_another_number_goes_all_the_same() {
    let t = Bench::start("moved");
    let before = t.host.accounts_digest();
    for (name, uid, edit) in [
        ("nils-x1", 70_060, "s/^nils-x1:x:[0-9]*:/nils-x1:x:0:/"),
        ("nora-x1", 70_061, "s/^nora-x1:x:[0-9]*:/nora-x2:x:0:/"),
    ] {
        let order = t.account(name, uid);
        t.place(&order).await;
        t.host.root(&format!("sed -i '{edit}' /etc/passwd; sed -i 's/^nora-x1:/nora-x2:/' /etc/shadow"));
        assert_eq!(t.observe(&order).await.presence, Presence::Ours);

        let evidence = t.remove(&order).await;

        assert!(evidence.findings.iter().any(|finding| finding.contains("to 0; it was moved back")), "{evidence:?}");
        assert_eq!(t.observe(&order).await.presence, Presence::Absent);
    }
    assert_eq!(t.host.accounts_digest(), before);

    let order = t.account("nick-x1", 70_062);
    t.place(&order).await;
    t.host.root("sed -i 's/^nick-x1:x:[0-9]*:\\([0-9]*\\):[^:]*:/nick-x1:x:0:\\1:me:/' /etc/passwd");
    let error = t.try_remove(&order).await.expect_err("it carries no mark");
    assert!(matches!(error, ConnectorError::Tampered(_)), "{error}");
    assert!(t.host.root("getent shadow nick-x1").trim_end().ends_with(":1:"), "it expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_its_mark_is_locked_and_told() {
    let t = Bench::start("unmarked");
    let order = t.account("ivan-x1", 70_033);
    t.place(&order).await;
    t.host.root("usermod -c 'nothing to see' ivan-x1; su -s /bin/sh ivan-x1 -c 'setsid sleep 900 >/dev/null 2>&1 &'");

    let error = t.try_remove(&order).await.expect_err("it is not known to be ours");

    assert!(matches!(&error, ConnectorError::Tampered(why) if why.contains("userdel ivan-x1")), "{error}");
    assert_eq!(t.host.processes_of(70_033), Vec::<String>::new());
    assert!(t.host.root("getent shadow ivan-x1").trim_end().ends_with(":1:"), "it expired");
    t.host.root("userdel -r ivan-x1 2>/dev/null");
    t.remove(&order).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_account_is_still_found_by_number_and_mark() {
    let t = Bench::start("renamed");
    let order = t.account("judy-x1", 70_034);
    t.place(&order).await;
    t.host.root("usermod -l innocent judy-x1");

    t.remove(&order).await;

    assert_eq!(t.host.uid_of("innocent"), None);
    assert_eq!(t.host.root("ls /home"), "svc\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn our_mark_on_root_or_on_our_own_way_in_does_no_harm() {
    let t = Bench::start("trap");
    let order = t.account("otto-x1", 70_063);
    for trap in ["root", "svc"] {
        t.host.root(&format!(
            "sed -i 's/^\\({trap}:x:[0-9]*:[0-9]*\\):[^:]*:/\\1:cardea {} {TOKEN}:/' /etc/passwd",
            order.grant
        ));
        let before = t.host.accounts_digest();

        let error = t.try_remove(&order).await.expect_err("it is not gone");

        assert!(matches!(&error, ConnectorError::Tampered(why) if why.contains(trap)), "{error}");
        assert_eq!(t.host.accounts_digest(), before);
        t.host.root(&format!("usermod -c '' {trap} || sed -i 's/:cardea [^:]*:/::/' /etc/passwd"));
    }
    t.remove(&order).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_edited_by_hand_goes_while_it_carries_the_mark() {
    let t = Bench::start("edited");
    let order = t.sudo("kim-x1", 70_035, &["/usr/bin/id"]);
    let file = format!("/etc/sudoers.d/cardea-{}", order.grant);
    t.place(&order).await;
    t.host.root(&format!("echo '#70035 ALL=(ALL) NOPASSWD: ALL' >>{file}"));
    t.remove(&order).await;

    t.host.root(&format!("echo half >{file}.new"));
    assert_eq!(t.observe(&order).await.presence, Presence::Ours);
    t.remove(&order).await;
    assert!(t.host.try_root(&format!("test -e {file}.new")).is_err(), "half-written rules go too");

    t.place(&order).await;
    t.host.root(&format!("sed -i 1d {file}"));
    let error = t.try_remove(&order).await.expect_err("it carries no mark");
    assert!(matches!(&error, ConnectorError::Tampered(why) if why.contains(&file)), "{error}");
    t.host.root(&format!("rm {file}"));
    t.remove(&order).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sudo_commands_mean_what_they_say_and_no_more() {
    let t = Bench::start("odd");
    let (name, uid) = ("lena-x1", 70_036);
    let odd = r#"/usr/bin/printf a,b:c=d#e\\ "$(touch /tmp/pwned)" `touch /tmp/pwned` ; touch /tmp/pwned"#;
    let orders = [
        t.account(name, uid),
        t.sudo(name, uid, &[odd, "/usr/bin/id -u", "/usr/bin/printf x,/usr/bin/touch"]),
        t.login_key(name, uid),
    ];
    for order in &orders {
        t.place(order).await;
    }

    let run = |command: &str| t.as_account(name, &format!("sudo -n {command}")).status.success();
    assert!(run("/usr/bin/id -u"));
    assert!(run(
        r#"/usr/bin/printf 'a,b:c=d#e\' '"$(touch' '/tmp/pwned)"' '`touch' '/tmp/pwned`' ';' touch /tmp/pwned"#
    ));
    assert!(!run("/usr/bin/touch /tmp/pwned"));
    assert!(!run("/usr/bin/id"));
    assert_eq!(t.host.root("ls /tmp"), "");

    let error = t.try_place(&t.sudo(name, uid, &["/bin/cat ^.*$"])).await.expect_err("a regular expression");
    assert!(matches!(error, ConnectorError::Refused(_)), "{error}");
    let error = t.try_place(&t.group(name, uid, "no-such-group")).await.expect_err("no group");
    assert!(error.to_string().contains("no-such-group"), "{error}");
    let mut system = t.account("root", 0);
    system.account.uid = 0;
    assert!(t.try_remove(&system).await.is_err(), "system accounts are out of reach");
    let mut shell = t.account("x; touch /tmp/pwned", 70_037);
    assert!(t.try_place(&shell).await.is_err());
    shell.account.name = "-rf".to_owned();
    assert!(t.try_place(&shell).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_plants_in_their_home_is_never_followed() {
    let t = Bench::start("planted");
    let (name, uid) = ("mona-x1", 70_038);
    let account = t.account(name, uid);
    let first = t.login_key(name, uid);
    t.place(&account).await;
    t.place(&first).await;
    let root_keys = t.host.root("sha256sum /root/.ssh/authorized_keys");
    // Nothing stands in the way of their own keys then but what Cardea does next: as on a file system without chattr.
    let let_loose = || t.host.root("chattr -i /home/mona-x1/.ssh");
    assert_eq!(
        said(&t.as_account(name, "mv .ssh mine 2>/dev/null || rm -r .ssh 2>/dev/null || echo pinned")),
        "pinned\n"
    );
    let_loose();
    t.as_account(
        name,
        "mv .ssh mine; mkdir evil; echo 'ssh-ed25519 AAAA evil' >evil/authorized_keys; ln -s /root/.ssh .ssh",
    );

    let second = t.login_key(name, uid);
    t.place(&second).await;
    assert_eq!(
        said(&t.as_account(name, "stat -c '%U %F' .ssh; grep -c . .ssh/authorized_keys")),
        "root directory\n1\n"
    );
    let_loose();
    t.as_account(name, "mv .ssh mine2; mkdir .ssh; mkfifo .ssh/authorized_keys");
    t.remove(&second).await;
    t.remove(&first).await;

    assert!(!t.as_account(name, "true").status.success());
    assert_eq!(t.host.root("sha256sum /root/.ssh/authorized_keys"), root_keys);
    t.remove(&account).await;
    assert_eq!(t.host.root("ls -A /home"), "svc\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_roots_that_others_may_write_is_not_trusted_with_keys() {
    let t = Bench::start("handed-over");
    let first = t.account("nell-x1", 70_039);
    t.place(&first).await;
    t.host.root(
        "setpriv --reuid 70039 --clear-groups sh -c 'umask 0; mkdir -p /var/tmp/deep/ssh /var/tmp/deep/mine; cd /var/tmp/deep/ssh; \
         ln -s /etc/shadow authorized_keys; touch ../open'; chown svc /var/tmp/deep/mine",
    );
    t.remove(&first).await;
    let modes = t.host.root("cd /var/tmp/deep; stat -c '%U %a' . ssh open mine");
    assert_eq!(modes, "root 755\nroot 755\nroot 644\nsvc 777\n", "what root is given, others cannot write");

    let (name, uid) = ("nora-x1", 70_040);
    let digest = || t.host.root("sha256sum /etc/passwd; stat -c '%U %a %s' /etc/passwd /etc/shadow");
    let account = t.account(name, uid);
    t.place(&account).await;
    let before = digest();
    // What an older hand-over left behind, brought in, and a file that was root's alone later than it was somebody's.
    let plants = [
        "mkdir -m 777 .ssh; cd .ssh; ln -s /etc/shadow authorized_keys; ln -s /etc/passwd authorized_keys.new",
        "mkdir -m 775 .ssh; echo 'ssh-ed25519 AAAA evil' >.ssh/authorized_keys",
        "mkdir -m 755 .ssh; cd .ssh; ln -s /etc/shadow authorized_keys; ln -s /etc/passwd authorized_keys.new",
        "mkdir -m 755 .ssh; cd .ssh; echo 'ssh-ed25519 AAAA evil' >authorized_keys; chmod 666 authorized_keys",
    ];
    for plant in plants {
        t.host.root(&format!("cd /home/{name}; chattr -f -i .ssh; rm -rf .ssh*; {plant}"));
        let key = t.login_key(name, uid);
        t.place(&key).await;

        let keys =
            t.host.root(&format!("cd /home/{name}/.ssh; stat -c '%U %a %F' . authorized_keys; wc -l <authorized_keys"));
        assert_eq!(keys, "root 755 directory\nroot 644 regular file\n1\n", "{plant}");
        assert_eq!(digest(), before, "{plant}");
        assert_eq!(said(&t.as_account(name, "echo in")), "in\n", "{plant}");
        t.remove(&key).await;
        assert!(!t.as_account(name, "true").status.success(), "{plant}");
    }
    t.host.root(&format!(
        "mkdir -p /home/{name}/.ssh; ln -s /home/svc/.ssh/authorized_keys /home/{name}/.ssh/authorized_keys"
    ));
    t.remove(&t.login_key(name, uid)).await;
    assert!(
        t.host.try_root(&format!("test -L /home/{name}/.ssh/authorized_keys")).is_err(),
        "a link is no way in either"
    );
    t.remove(&account).await;
}
