//! A real host, a connector on it, and orders to give it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use cardea_connectors::Linux;
use cardea_domain::{
    AddSudoRule, Clock, Connector, ConnectorError, Credentials, Elevation, Entropy, Evidence, Frame, GrantId,
    GroupProcesses, Kind, Leftovers, LoginAccount, Membership, ObjectId, Observation, Order, Placed, Privilege, Secret,
    SecretId, SessionId, Target, Timestamp, Undo,
};
use cardea_testkit::{LinuxHost, SeededEntropy};

pub(crate) const TOKEN: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
pub(crate) const PASSWORD: &str = "Correct horse 7 $(battery) 'staple'";
const INSTALLATION: &str = "0123456789abcdef";
/// Far longer than anything here takes; tests fail by it, not by luck.
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) struct Bench {
    pub(crate) host: LinuxHost,
    pub(crate) clock: Arc<HostClock>,
    pub(crate) entropy: Arc<SeededEntropy>,
    pub(crate) linux: Linux,
    pub(crate) target: Target,
    pub(crate) session: SessionId,
    pub(crate) key: SecretId,
    pub(crate) password: SecretId,
}

/// The host's time, read once.
pub(crate) struct HostClock {
    now: Timestamp,
    read_at: Instant,
}

impl Clock for HostClock {
    fn now(&self) -> Timestamp {
        self.now.plus(self.read_at.elapsed())
    }
}

/// Opens the service account's key and password, as the vault does.
struct Secrets {
    key: (SecretId, String),
    password: SecretId,
}

#[async_trait]
impl Credentials for Secrets {
    async fn open(&self, id: SecretId) -> Result<Secret, String> {
        if id == self.key.0 {
            return Ok(Secret::new(self.key.1.clone()));
        }
        if id == self.password {
            return Ok(Secret::new(PASSWORD.to_owned()));
        }
        Err("there is no such secret".to_owned())
    }
}

impl Bench {
    pub(crate) fn start(name: &str) -> Self {
        Self::on(LinuxHost::start(name))
    }

    pub(crate) fn on(host: LinuxHost) -> Self {
        let entropy = SeededEntropy::new(u64::from(std::process::id()));
        let now: i64 = host.root("date +%s").trim().parse().expect("seconds");
        let now = Timestamp::from_micros(now * 1_000_000);
        let clock = Arc::new(HostClock { now, read_at: Instant::now() });
        let key = SecretId::mint(now, &*entropy);
        let password = SecretId::mint(now, &*entropy);
        let target = Target {
            resource: ObjectId::mint(Kind::Resource, now, &*entropy),
            name: host.name().to_owned(),
            address: host.address().to_string(),
            port: host.port(),
            host_key: Some(host.host_key().to_owned()),
            user: LinuxHost::SERVICE_ACCOUNT.to_owned(),
            elevation: Elevation::Sudo,
            private_key: Some(key),
            password: None,
            sudo_password: None,
        };
        let session = SessionId::mint(now, &*entropy);
        let linux = connector(&host, clock.clone(), entropy.clone(), (key, password), "node");
        Self { host, clock, entropy, linux, target, session, key, password }
    }

    /// The connector of the same node after a restart: it knows nothing of the first one.
    pub(crate) fn restarted(&self) -> Linux {
        self.connector(self.clock.clone())
    }

    /// A connector with another clock.
    pub(crate) fn connector(&self, clock: Arc<dyn Clock>) -> Linux {
        connector(&self.host, clock, self.entropy.clone(), (self.key, self.password), "node")
    }

    /// The connector of another node of the same installation.
    pub(crate) fn other_node(&self) -> Linux {
        connector(&self.host, self.clock.clone(), self.entropy.clone(), (self.key, self.password), "other")
    }

    pub(crate) fn clock_now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn new_session(&self) -> SessionId {
        SessionId::mint(self.clock.now(), &*self.entropy)
    }

    pub(crate) fn frame(&self) -> Frame {
        Frame { session: self.session, fence: 1, limit: LIMIT }
    }

    pub(crate) fn order(&self, name: &str, uid: u32, privilege: Privilege) -> Order {
        Order {
            grant: GrantId::mint(self.clock.now(), &*self.entropy),
            token: TOKEN.to_owned(),
            account: LoginAccount { name: name.to_owned(), uid },
            privilege,
            expires_at: self.clock.now().plus(Duration::from_secs(3600)),
        }
    }

    pub(crate) fn account(&self, name: &str, uid: u32) -> Order {
        self.order(name, uid, Privilege::Account { leftovers: Leftovers::Chown })
    }

    pub(crate) fn sudo(&self, name: &str, uid: u32, commands: &[&str]) -> Order {
        let commands = commands.iter().map(|command| (*command).to_owned()).collect();
        self.order(name, uid, Privilege::SudoRule(AddSudoRule { commands, run_as: "root".to_owned(), password: false }))
    }

    pub(crate) fn group(&self, name: &str, uid: u32, group: &str) -> Order {
        let membership = Membership { group: group.to_owned(), processes: GroupProcesses::End };
        self.order(name, uid, Privilege::GroupMembership(membership))
    }

    /// A switch that removes these, in this order.
    pub(crate) fn dead_man(&self, undo: Vec<&Order>) -> Order {
        let account = undo.first().expect("something to undo").account.clone();
        let undo = undo.into_iter().map(|order| Undo {
            grant: order.grant,
            token: order.token.clone(),
            account: order.account.clone(),
            privilege: order.privilege.clone(),
        });
        self.order(&account.name, account.uid, Privilege::DeadMan { undo: undo.collect() })
    }

    /// The service account's key serves as the gateway's here: its private half is at hand.
    pub(crate) fn login_key(&self, name: &str, uid: u32) -> Order {
        let public = std::fs::read_to_string(self.host.service_key_file().with_extension("pub")).expect("a key");
        self.order(name, uid, Privilege::AuthorizedKey { public_key: public.trim().to_owned() })
    }

    pub(crate) async fn observe(&self, order: &Order) -> Observation {
        self.observe_at(1, order).await
    }

    pub(crate) async fn observe_at(&self, fence: i64, order: &Order) -> Observation {
        let frame = Frame { fence, ..self.frame() };
        let seen = self.linux.observe(&self.target, frame, std::slice::from_ref(order)).await;
        seen.expect("the host answers").remove(0)
    }

    pub(crate) async fn try_place(&self, order: &Order) -> Result<Placed, ConnectorError> {
        self.linux.place(&self.target, self.frame(), order).await
    }

    pub(crate) async fn place(&self, order: &Order) -> String {
        self.try_place(order).await.unwrap_or_else(|error| panic!("{:?}: {error}", order.privilege)).read_back
    }

    pub(crate) async fn try_remove(&self, order: &Order) -> Result<Evidence, ConnectorError> {
        self.linux.remove(&self.target, self.frame(), order).await
    }

    pub(crate) async fn remove(&self, order: &Order) -> Evidence {
        self.try_remove(order).await.unwrap_or_else(|error| panic!("{:?}: {error}", order.privilege))
    }

    /// Runs a command as a login account, through a real ssh client.
    pub(crate) fn as_account(&self, name: &str, command: &str) -> std::process::Output {
        let mut ssh = self.host.ssh(name, &self.host.service_key_file());
        ssh.arg(command).stdin(std::process::Stdio::null()).output().expect("the ssh client runs")
    }
}

fn connector(
    host: &LinuxHost,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    (key, password): (SecretId, SecretId),
    node: &str,
) -> Linux {
    let secrets = Secrets { key: (key, host.service_key()), password };
    Linux::new(Arc::new(secrets), clock, entropy, INSTALLATION.to_owned(), node.to_owned())
}

/// What a program wrote to its output.
pub(crate) fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
