//! The throw-away hosts themselves: what tests rely on when they say that a host is away, wrong or full.

use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use cardea_testkit::{LinuxHost, wait};

/// How long what must come may take, on a machine that compiles at the same time.
const PATIENCE: Duration = Duration::from_secs(60);
/// Long for a neighbour that answers, short for one that never will.
const KNOCK: Duration = Duration::from_secs(2);
/// Set for the process that a test kills.
const VICTIM: &str = "CARDEA_TESTKIT_VICTIM";

fn knock(host: &LinuxHost) -> Result<TcpStream, ErrorKind> {
    TcpStream::connect_timeout(&(host.address(), host.port()).into(), KNOCK).map_err(|error| error.kind())
}

fn seconds(text: &str) -> i64 {
    text.trim().parse().expect("seconds")
}

#[test]
fn a_host_whose_link_is_down_neither_answers_nor_refuses() {
    let host = LinuxHost::plan("far").own_network().start();
    assert_eq!(host.address().octets()[..2], [10, 77]);
    knock(&host).expect("it is reachable");
    let mut open = host
        .ssh("root", &root_key(&host))
        .arg("echo ready; read -r word; echo \"$word\"")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("ssh runs");
    let mut said = BufReader::new(open.stdout.take().expect("a pipe"));
    let mut line = String::new();
    said.read_line(&mut line).expect("it answers");
    assert_eq!(line, "ready\n");
    host.link_down();
    assert_eq!(knock(&host).expect_err("it is away"), ErrorKind::TimedOut);
    let mut typed = open.stdin.take().expect("a pipe");
    writeln!(typed, "late").expect("the client takes it");
    host.link_up();
    line.clear();
    said.read_line(&mut line).expect("the open connection goes on");
    assert_eq!(line, "late\n");
    open.wait().expect("it is our child");
    knock(&host).expect("it is reachable again");
}

#[test]
fn a_host_with_a_network_of_its_own_survives_a_power_cut_and_leaves_no_interface() {
    let mut host = LinuxHost::plan("far").own_network().start();
    let link = link_of(host.address());
    assert!(link.exists());
    host.stop();
    wait(PATIENCE, "the kernel removes the pair", || !link.exists());
    host.resume();
    assert_eq!(host.root("hostname").trim(), "far");
    drop(host);
    wait(PATIENCE, "the kernel removes the pair", || !link.exists());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "tells the process that is killed from the one that kills it")]
fn a_killed_test_leaves_no_host() {
    if std::env::var_os(VICTIM).is_some() {
        let host = LinuxHost::plan("orphan").own_network().start();
        println_raw(&format!("host {}\n", host.address()));
        std::io::stdin().read_to_end(&mut Vec::new()).expect("nothing comes");
        panic!("the test that killed us is gone");
    }
    let mut victim = Command::new(std::env::current_exe().expect("we are a program"))
        .args(["--exact", "a_killed_test_leaves_no_host", "--nocapture"])
        .env(VICTIM, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("we run again");
    let said = BufReader::new(victim.stdout.take().expect("a pipe"));
    let address = said
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.split_once("host ")?.1.trim().parse::<Ipv4Addr>().ok())
        .expect("it has started a host");
    let (link, folder) = (link_of(address), format!("cardea-host-{}-", victim.id()));
    assert!(link.exists() && !folders(&folder).is_empty());
    victim.kill().expect("it is our child");
    victim.wait().expect("it is our child");
    wait(PATIENCE, "the host ends with its owner", || !link.exists());
    let _next = LinuxHost::start("next");
    assert_eq!(folders(&folder), Vec::<PathBuf>::new());
}

#[test]
fn cron_and_at_run_and_can_be_missing() {
    let host = LinuxHost::start("with");
    host.root("echo 'echo done >/root/by-at' | at now 2>&1");
    wait(PATIENCE, "the job runs", || host.root("cat /root/by-at 2>/dev/null; true") == "done\n");
    host.root("pgrep -x cron");

    let host = LinuxHost::plan("without").without_cron().without_at().start();
    assert_eq!(host.root("command -v cron crontab at atd atq atrm batch; true"), "");
    assert_eq!(host.root("pgrep -x 'cron|atd'; true"), "");
    let host = LinuxHost::plan("no-at").without_at().start();
    assert_eq!(host.root("pgrep -x atd; true"), "");
    host.root("pgrep -x cron && command -v crontab");
}

#[test]
fn sshd_has_its_default_limits() {
    let host = LinuxHost::start("limits");
    let refused = sessions_refused(&host, 12);
    assert_eq!(refused, 2, "MaxSessions is 10");
    // From the tenth that has not logged in, sshd drops some; from the hundredth, all.
    let open: Vec<TcpStream> = (0..120).map(|_| knock(&host).expect("the kernel takes it")).collect();
    let greeted: Vec<bool> = open.iter().map(greets).collect();
    assert!(greeted[..10].iter().all(|greeted| *greeted), "MaxStartups lets ten in");
    assert!(greeted.iter().filter(|greeted| **greeted).count() <= 100, "MaxStartups is at most 100");
}

/// Of this many commands at once over one connection, how many sshd refused.
fn sessions_refused(host: &LinuxHost, count: usize) -> usize {
    let control = tempfile::tempdir().expect("a temporary folder");
    let control = format!("ControlPath={}", control.path().join("socket").display());
    let key = root_key(host);
    let through = |options: &[&str]| {
        let mut ssh = host.ssh("root", &key);
        ssh.args(["-o", &control]).args(options).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        ssh
    };
    // Only `-N` takes no session itself. A client that sshd refuses would go and connect by itself: it may not.
    let mut master = through(&["-o", "ControlMaster=yes", "-N"]).spawn().expect("ssh runs");
    wait(PATIENCE, "the connection is open", || {
        through(&["-O", "check"]).output().is_ok_and(|check| check.status.success())
    });
    let mut clients: Vec<_> =
        (0..count).map(|_| through(&["-o", "ProxyCommand=false", "echo in; cat"]).spawn().expect("ssh runs")).collect();
    let refused = clients
        .iter_mut()
        .map(|client| {
            let mut line = String::new();
            BufReader::new(client.stdout.take().expect("a pipe")).read_line(&mut line).expect("it answers or ends");
            line != "in\n"
        })
        .filter(|refused| *refused)
        .count();
    for mut client in clients {
        drop(client.stdin.take());
        let _ended = client.kill();
        client.wait().expect("it is our child");
    }
    master.kill().expect("it is our child");
    master.wait().expect("it is our child");
    refused
}

/// Whether sshd began to speak its protocol on this connection, instead of dropping it.
fn greets(mut connection: &TcpStream) -> bool {
    connection.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut begin = [0; 4];
    connection.read_exact(&mut begin).is_ok() && &begin == b"SSH-"
}

#[test]
fn a_clock_that_is_off_is_off_for_all_that_read_it() {
    let right = LinuxHost::start("right");
    let mut host = LinuxHost::plan("early").clock_off("+1h").start();
    for _ in 0..2 {
        let off = |command: &str| seconds(&host.root(command)) - seconds(&right.root("date +%s"));
        for command in ["date +%s", "sudo -n -u nobody date +%s", "env -i /usr/bin/date +%s", "su svc -c 'date +%s'"] {
            assert!((3590..3660).contains(&off(command)), "{command}: {}", off(command));
        }
        // The kernel's own: when the machine was started.
        assert_eq!(host.root("grep btime /proc/stat"), right.root("grep btime /proc/stat"));
        // sshd: a key that is good for half an hour is out of date here, and one for two hours is not.
        assert!(!lets_in(&host, "+30 minutes"));
        assert!(lets_in(&host, "+2 hours"));
        // A power cut changes none of it.
        host.stop();
        host.resume();
    }
}

/// Whether the service account gets in with a key that ends this long from now, by the right clock.
fn lets_in(host: &LinuxHost, end: &str) -> bool {
    let end = Command::new("date").args(["-u", "-d", end, "+%Y%m%d%H%MZ"]).output().expect("date runs");
    let end = String::from_utf8_lossy(&end.stdout).trim().to_owned();
    host.root(&format!("sed -i 's/^.*ssh-ed25519/expiry-time=\"{end}\" ssh-ed25519/' /home/svc/.ssh/authorized_keys"));
    let tried = host.ssh(LinuxHost::SERVICE_ACCOUNT, &host.service_key_file()).arg("true").output();
    tried.expect("ssh runs").status.success()
}

#[test]
fn a_fingerprint_changes_with_each_privilege_and_back_again() {
    let host = LinuxHost::start("print");
    host.root("useradd -m -s /bin/bash bob && echo 'bob:secret' | chpasswd");
    let before = host.fingerprint();
    assert_eq!(host.fingerprint(), before);
    assert!(before.contains("\nbob:") && !before.contains("$y$"), "a password is a digest: {before}");
    for (change, undo) in [
        ("gpasswd -a bob adm", "gpasswd -d bob adm"),
        (
            "cp -a /etc/shadow /root/.s && usermod -L bob && cp -a /root/.s /tmp/s && rm /root/.s",
            "cp -a /tmp/s /etc/shadow",
        ),
        ("echo 'bob ALL=(ALL) ALL' >/etc/sudoers.d/bob", "rm /etc/sudoers.d/bob"),
        ("chmod 777 /etc/sudoers.d/svc", "chmod 440 /etc/sudoers.d/svc"),
        ("mkdir -p /home/bob/.ssh && echo key >/home/bob/.ssh/authorized_keys", "rm -r /home/bob/.ssh"),
        ("chown root /home/bob", "chown bob /home/bob"),
        ("ln -s /etc/shadow /root/link", "rm /root/link"),
        ("echo '* * * * * true' | crontab -u bob -", "crontab -u bob -r"),
        ("echo true | at now + 1 hour", "atrm $(atq | cut -f 1)"),
        ("echo '* * * * * root true' >/etc/cron.d/x", "rm /etc/cron.d/x"),
        ("printf 'x:100000:65536' >>/etc/subuid", "sed -i '/^x:/d' /etc/subuid"),
        (
            "su bob -c 'setsid sleep 600 >/dev/null 2>&1 </dev/null & true'",
            "pkill -KILL -u bob; while pgrep -u bob; do :; done",
        ),
    ] {
        host.root(change);
        assert_ne!(host.fingerprint(), before, "{change}");
        host.root(undo);
        assert_eq!(host.fingerprint(), before, "{undo}");
    }
}

#[test]
fn a_small_disk_fills_up() {
    let host = LinuxHost::start_small("full", "64m");
    let error = host.try_root("dd if=/dev/zero of=/var/big bs=1M count=80").expect_err("it does not fit");
    assert!(error.contains("No space left"), "{error}");
}

fn root_key(host: &LinuxHost) -> PathBuf {
    host.service_key_file().with_file_name("root")
}

/// The machine's end of a host's pair of interfaces.
fn link_of(address: Ipv4Addr) -> PathBuf {
    let [_, _, high, low] = address.octets();
    Path::new("/sys/class/net").join(format!("cardea{high:02x}{low:02x}"))
}

fn folders(prefix: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(std::env::temp_dir()).expect("a folder");
    let entries =
        entries.filter_map(Result::ok).filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
    entries.map(|entry| entry.path()).collect()
}

/// Past the test runner, which holds back what a test prints.
fn println_raw(text: &str) {
    std::io::stdout().write_all(text.as_bytes()).expect("somebody listens");
}
