//! Linux hosts over SSH: one warm connection per host, a few root shells on it, framed work through them.
//!
//! The other end is a shell script of ours (`linux/host/`), sent over the shell's stdin; nothing is installed on a host.
//! It never decides whether something may be placed, and it never assumes that an unanswered command did or did not happen.

mod answer;
mod dial;
mod host;
mod link;
mod order;
mod scan;
mod shell;
mod sudoers;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use cardea_domain::{
    Clock, Connector, ConnectorError, Credentials, Entropy, Evidence, Frame, Observation, Order, Placed, ScanFinding,
    Target, UidRange,
};

use self::host::Host;

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
        let answer = self.host(target).run(frame, "place", &|facts| order::place(order, facts)).await?;
        Ok(Placed { read_back: answer.read_back()? })
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

    async fn host_key(&self, address: &str, port: u16) -> Result<String, ConnectorError> {
        dial::learn_host_key(address, port).await
    }
}

/// Only characters that make one plain file name on a host.
fn file_name(mut text: String) -> String {
    text.retain(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    text.truncate(64);
    text
}
