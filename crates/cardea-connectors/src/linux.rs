//! Linux hosts over SSH: one warm connection per host, a few root shells on it, framed work through them.
//!
//! The other end is a shell script of ours (`linux/host/`), sent over the shell's stdin; nothing is installed on a host.
//! It never decides whether something may be placed, and it never assumes that an unanswered command did or did not happen.

mod answer;
mod dial;
mod host;
mod link;
mod log_in;
mod look;
mod order;
mod program;
mod scan;
mod script;
mod shell;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use cardea_domain::{
    Clock, Connector, ConnectorError, Credentials, Depth, Entropy, Evidence, Frame, KnownAccount, Locked, LogIn, Mark,
    Observation, Order, Placed, ScanFinding, Script, ScriptOutcome, Snapshot, Target, UidRange,
};

use self::{answer::Answer, host::Host};

/// How long a look at a host that belongs to no session may take.
const LOOK_LIMIT: Duration = Duration::from_secs(30);
const FULL_SNAPSHOT_LIMIT: Duration = Duration::from_secs(30 * 60);
/// Accounts whose log-ins are asked for at once: what one line of words holds on any host.
const LOG_INS_MAX: usize = 5_000;

/// The connector for Linux hosts.
pub struct Linux {
    ground: Arc<Ground>,
    /// One entry per pinned target; entries without a connection are dropped when the next one comes.
    hosts: Mutex<HashMap<Target, Arc<Host>>>,
}

/// What every host needs from the outside.
struct Ground {
    credentials: Arc<dyn Credentials>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    installation: String,
    node: String,
}

impl Linux {
    /// A connector that dials when it is first asked to. `installation` and `node` name this Cardea and this process's
    /// place in it: hosts keep fences per installation, and a new connection of a node ends what its last one left running.
    pub fn new(
        credentials: Arc<dyn Credentials>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        installation: String,
        node: String,
    ) -> Self {
        let (installation, node) = (file_name(installation), file_name(node));
        let ground = Arc::new(Ground { credentials, clock, entropy, installation, node });
        Self { ground, hosts: Mutex::default() }
    }

    /// A frame with the words of placing.
    async fn as_placed(
        &self,
        target: &Target,
        frame: Frame,
        (verb, order): (&str, &Order),
    ) -> Result<Answer, ConnectorError> {
        let opened = order::open(order, &*self.ground.credentials).await?;
        self.host(target).run(frame, verb, &|facts| order::place(order, facts, &opened)).await
    }

    fn host(&self, target: &Target) -> Arc<Host> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get(target) {
            return host.clone();
        }
        hosts.retain(|_, host| Arc::strong_count(host) > 1 || host.is_connected());
        let host = Arc::new(Host::new(target.clone(), self.ground.clone()));
        hosts.insert(target.clone(), host.clone());
        host
    }
}

#[async_trait]
impl Connector for Linux {
    async fn observe(
        &self,
        target: &Target,
        frame: Frame,
        orders: &[Order],
    ) -> Result<Vec<Observation>, ConnectorError> {
        let mut words = Vec::with_capacity(orders.len() * 6);
        for order in orders {
            words.extend(order::observe(order)?);
        }
        let answer = self.host(target).run(frame, "observe", &|_| Ok(words.clone())).await?;
        let seen = answer.observations();
        if seen.len() == orders.len() { Ok(seen) } else { Err(answer.incomplete()) }
    }

    async fn place(&self, target: &Target, frame: Frame, order: &Order) -> Result<Placed, ConnectorError> {
        if order.privilege.is_unproven() {
            return Err(ConnectorError::Refused("a script is run on a channel of its own, not placed".to_owned()));
        }
        placed(&self.as_placed(target, frame, ("place", order)).await?)
    }

    async fn remove(&self, target: &Target, frame: Frame, order: &Order) -> Result<Evidence, ConnectorError> {
        let answer = self.host(target).run(frame, "remove", &|_| order::remove(order)).await?;
        Ok(Evidence {
            read_at: self.ground.clock.now(),
            read_back: answer.read_back()?,
            self_reported: false,
            findings: answer.findings(),
        })
    }

    async fn scan(&self, target: &Target, range: UidRange) -> Result<Vec<ScanFinding>, ConnectorError> {
        self.host(target).scan(range).await
    }

    async fn account(&self, target: &Target, frame: Frame, name: &str) -> Result<Option<KnownAccount>, ConnectorError> {
        let words = vec![order::account_name(name)?];
        look::known_account(&self.host(target).run(frame, "known_account", &|_| Ok(words.clone())).await?)
    }

    async fn run_script(
        &self,
        target: &Target,
        frame: Frame,
        script: &Script,
    ) -> Result<ScriptOutcome, ConnectorError> {
        let (words, limit) = (script::words(script)?, script::answer_limit(script));
        script::outcome(&self.host(target).run_apart(frame, limit, "run_script", &words).await?)
    }

    async fn extend(&self, target: &Target, frame: Frame, orders: &[Order]) -> Result<Vec<Placed>, ConnectorError> {
        let mut moved = Vec::with_capacity(orders.len());
        for order in orders {
            moved.push(placed(&self.as_placed(target, frame, ("extend", order)).await?)?);
        }
        Ok(moved)
    }

    async fn lock(&self, target: &Target, frame: Frame, orders: &[Order]) -> Result<Locked, ConnectorError> {
        let mut read_back = Vec::with_capacity(orders.len());
        for order in orders {
            let answer = self.host(target).run(frame, "lock", &|_| order::remove(order)).await?;
            read_back.push(answer.read_back()?);
        }
        Ok(Locked { read_back: read_back.join("; ") })
    }

    async fn unlock(&self, target: &Target, frame: Frame, orders: &[Order]) -> Result<Locked, ConnectorError> {
        let mut read_back = Vec::with_capacity(orders.len());
        // The account last: nobody goes on before everything is as it was.
        for order in orders.iter().rev() {
            read_back.push(self.as_placed(target, frame, ("unlock", order)).await?.read_back()?);
        }
        Ok(Locked { read_back: read_back.join("; ") })
    }

    async fn log_ins(&self, target: &Target, uids: &[u32]) -> Result<Vec<LogIn>, ConnectorError> {
        let mut found = Vec::new();
        for some in uids.chunks(LOG_INS_MAX) {
            let words: Vec<_> = some.iter().map(u32::to_string).collect();
            found.extend(log_in::log_ins(&self.host(target).ask(LOOK_LIMIT, "log_ins", &words).await?));
        }
        Ok(found)
    }

    async fn marks(&self, target: &Target) -> Result<Vec<Mark>, ConnectorError> {
        Ok(look::marks(&self.host(target).ask(LOOK_LIMIT, "marks", &[]).await?))
    }

    async fn snapshot(&self, target: &Target, depth: Depth) -> Result<Snapshot, ConnectorError> {
        let host = self.host(target);
        let answer = match depth {
            Depth::Quick => host.ask(LOOK_LIMIT, "snapshot", &["quick".to_owned()]).await?,
            Depth::Full => host.ask_apart(FULL_SNAPSHOT_LIMIT, "snapshot", &["full".to_owned()]).await?,
        };
        Ok(look::snapshot(&answer))
    }

    async fn host_key(&self, address: &str, port: u16) -> Result<String, ConnectorError> {
        dial::learn_host_key(address, port).await
    }
}

/// What was read back, and what else was found on the way.
fn placed(answer: &Answer) -> Result<Placed, ConnectorError> {
    let found = answer.findings();
    Ok(Placed { read_back: answer.read_back()?, warning: (!found.is_empty()).then(|| found.join("; ")) })
}

/// Only characters that make one plain file name on a host.
fn file_name(mut text: String) -> String {
    text.retain(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    text.truncate(64);
    text
}
