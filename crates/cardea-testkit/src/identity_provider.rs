//! A real identity provider: `oidc-provider` from npm, which the browser journey's packages bring, with people who sign in there when
//! a test says so.

use std::{
    fs,
    io::{BufRead as _, BufReader, Lines, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Mutex, PoisonError},
};

use cardea_domain::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The provider. It ends with the test, and its time stands still.
pub struct IdentityProvider {
    pub issuer: String,
    line: Mutex<(ChildStdin, Lines<BufReader<ChildStdout>>)>,
    process: Child,
    _dir: TempDir,
}

impl IdentityProvider {
    /// What it knows Cardea as.
    pub const CLIENT: &str = "cardea";
    /// With characters that have to be encoded.
    pub const SECRET: &str = "a secret of one & 100%";

    /// A provider at a free port of this machine. It sends browsers back to `redirect_uri` alone; `people` are claims by subject, with
    /// the `amr` and `acr` of their sign-ins.
    pub fn start(redirect_uri: &str, now: Timestamp, people: &Value) -> Self {
        Self::start_with(redirect_uri, now, people, false)
    }

    /// One that says little in its tokens, and the rest where it is asked with one.
    pub fn start_taciturn(redirect_uri: &str, now: Timestamp, people: &Value) -> Self {
        Self::start_with(redirect_uri, now, people, true)
    }

    fn start_with(redirect_uri: &str, now: Timestamp, people: &Value, claims_in_userinfo: bool) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let options = json!({ "now": now.as_micros() / 1_000_000, "client_id": Self::CLIENT, "client_secret": Self::SECRET,
            "redirect_uri": redirect_uri, "logout_uri": "https://cardea.example.com/logout", "people": people,
            "claims_in_userinfo": claims_in_userinfo });
        let file = dir.path().join("options.json");
        fs::write(&file, options.to_string()).expect("the folder is writable");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../e2e/identity-provider.mjs");
        let process = Command::new("node").arg(&script).arg(&file).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = process.expect("Node is there: `cargo xtask test` installs what it needs");
        let orders = process.stdin.take().expect("it is piped");
        let mut answers = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        let first = answers.next().and_then(Result::ok).expect("`cargo xtask test` installs the packages of e2e/");
        let first: Value = serde_json::from_str(&first).expect("a line of JSON");
        let issuer = first["issuer"].as_str().expect("an address").to_owned();
        Self { issuer, line: Mutex::new((orders, answers)), process, _dir: dir }
    }

    /// Where its browser lands that goes to this address, and signs in as this person if it is asked. Nobody is turned away.
    pub fn visit(&self, url: &str, person: Option<&str>) -> String {
        let answer = self.order("visit", json!({ "url": url, "person": person }));
        let landed = answer["landed"].as_str();
        landed.unwrap_or_else(|| panic!("it stays there: {answer}")).to_owned()
    }

    /// Its browser signs out there: the words that go out about it.
    pub fn leave(&self) -> Vec<String> {
        let answer = self.order("leave", json!({}));
        let tokens = answer["logout_tokens"].as_array().expect("tokens");
        tokens.iter().map(|token| token.as_str().expect("a token").to_owned()).collect()
    }

    /// A token with these claims, signed `by` the `provider` itself, by `somebody else` under its key's name, by `its public key` as
    /// if that were a shared one, or by `nobody`.
    pub fn forge(&self, header: &Value, claims: &Value, by: &str) -> String {
        let answer = self.order("forge", json!({ "header": header, "claims": claims, "by": by }));
        answer["token"].as_str().expect("a token").to_owned()
    }

    /// From now on it signs with another key.
    pub fn rotate_keys(&self) {
        self.order("rotate", json!({}));
    }

    /// From now on it answers nothing but an error, or answers again.
    pub fn be_silent(&self, silent: bool) {
        self.order("silence", json!({ "silent": silent }));
    }

    /// From now on this is what it knows of a person.
    pub fn describe(&self, subject: &str, claims: &Value) {
        self.order("person", json!({ "id": subject, "claims": claims }));
    }

    /// Moves its time.
    pub fn set_time(&self, now: Timestamp) {
        self.order("time", json!({ "now": now.as_micros() / 1_000_000 }));
    }

    fn order(&self, order: &str, mut given: Value) -> Value {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        given["order"] = order.into();
        writeln!(line.0, "{given}").expect("it listens");
        let answer = line.1.next().and_then(Result::ok).expect("it answers each order");
        let answer: Value = serde_json::from_str(&answer).expect("a line of JSON");
        assert!(answer["error"].is_null(), "{order}: {answer}");
        answer
    }
}

impl Drop for IdentityProvider {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
