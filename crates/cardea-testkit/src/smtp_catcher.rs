//! A real mail server that keeps what it gets: `smtp-server` from npm, which the browser journey's packages bring.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long a test waits for the next mail before it looks again, and how often it looks. Patience is counted in looks: the time in
/// which this process is stopped, and nothing can arrive, is none of it.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOOKS_MAX: u32 = 600;

/// How the line to a catcher is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    Plain,
    StartTls,
    Tls,
}

/// A mail that arrived.
#[derive(Clone, Debug)]
pub struct Caught {
    /// The envelope.
    pub from: String,
    pub to: Vec<String>,
    /// Whether the line was encrypted.
    pub secure: bool,
    /// Who had signed in.
    pub user: Option<String>,
    /// Headers and bodies as they came.
    pub raw: String,
}

/// The server. It ends with the test.
pub struct SmtpCatcher {
    pub port: u16,
    process: Child,
    caught: Arc<(Mutex<Vec<Caught>>, Condvar)>,
    dir: TempDir,
}

impl SmtpCatcher {
    /// Who may send by an encrypted line.
    pub const USER: &str = "cardea";
    pub const PASSWORD: &str = "mail and nothing else";

    /// A server at a free port of this machine. On an encrypted line it wants user and password.
    pub fn start(line: Line) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        fs::write(dir.path().join("ca.pem"), &cert).expect("the folder is writable");
        let options = match line {
            Line::Plain => json!({ "secure": false }),
            Line::StartTls | Line::Tls => json!({
                "secure": line == Line::Tls, "key": key, "cert": cert, "user": Self::USER, "password": Self::PASSWORD,
            }),
        };
        let file = dir.path().join("options.json");
        fs::write(&file, options.to_string()).expect("the folder is writable");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../e2e/smtp-catcher.mjs");
        let process = Command::new("node").arg(&script).arg(&file).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = process.expect("Node is there: `cargo xtask test` installs what it needs");
        let mut lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        let first = lines.next().and_then(Result::ok).expect("`cargo xtask test` installs the packages of e2e/");
        let first: Value = serde_json::from_str(&first).expect("a line of JSON");
        let port = first["port"].as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port");
        let caught = Arc::<(Mutex<Vec<_>>, Condvar)>::default();
        let keep = Arc::clone(&caught);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let (list, more) = &*keep;
                list.lock().unwrap_or_else(PoisonError::into_inner).push(read(&line));
                more.notify_all();
            }
        });
        Self { port, process, caught, dir }
    }

    /// The server's own certificate, in PEM.
    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// From now on it answers nothing; the system still takes connections for it.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// It goes on where it was.
    pub fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.process.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill {signal}");
    }

    /// Every mail so far.
    pub fn caught(&self) -> Vec<Caught> {
        self.caught.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until a mail is there for which this holds.
    pub fn until(&self, what: &str, is_it: impl Fn(&Caught) -> bool) -> Caught {
        let (list, more) = &*self.caught;
        let mut caught = list.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..LOOKS_MAX {
            if let Some(found) = caught.iter().find(|mail| is_it(mail)) {
                return found.clone();
            }
            (caught, _) = more.wait_timeout(caught, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner);
        }
        panic!("{what} never came; these did: {caught:#?}");
    }
}

fn read(line: &str) -> Caught {
    let value: Value = serde_json::from_str(line).expect("a line of JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Caught {
        from: text(&value["from"]),
        to: value["to"].as_array().into_iter().flatten().map(text).collect(),
        secure: value["secure"] == true,
        user: value["user"].as_str().map(str::to_owned),
        raw: text(&value["raw"]),
    }
}

impl Caught {
    /// A header as it stands in the mail, its folded lines joined. Of two, the first.
    pub fn header(&self, name: &str) -> Option<String> {
        let head = self.raw.split("\r\n\r\n").next().unwrap_or_default().replace("\r\n ", " ");
        let prefix = format!("{}: ", name.to_lowercase());
        head.split("\r\n")
            .find(|line| line.to_lowercase().starts_with(&prefix))
            .map(|line| line[prefix.len()..].to_owned())
    }

    /// The names of all headers, lower case, in their order.
    pub fn header_names(&self) -> Vec<String> {
        let head = self.raw.split("\r\n\r\n").next().unwrap_or_default().replace("\r\n ", " ");
        head.split("\r\n").filter_map(|line| line.split_once(':')).map(|(name, _)| name.to_lowercase()).collect()
    }

    /// Everything behind the headers, quoted-printable undone as far as plain ASCII goes.
    pub fn text(&self) -> String {
        let body = self.raw.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        body.replace("=\r\n", "").replace("=3D", "=")
    }
}

impl Drop for SmtpCatcher {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
