//! Where a sign-in comes from: the network, and what the browser calls itself. Both are claims; neither proves anything.

use std::net::{IpAddr, Ipv6Addr};

use cardea_domain::is_unprintable;

/// What is known of whoever signs in before they have shown anything.
#[derive(Clone, Debug)]
pub struct Device {
    pub peer: IpAddr,
    /// The header `User-Agent`, cut.
    pub agent: String,
}

impl Device {
    const AGENT_LENGTH_MAX: usize = 200;

    /// A device by its address and its own words.
    pub fn new(peer: IpAddr, agent: &str) -> Self {
        let printable = agent.chars().filter(|character| !is_unprintable(*character));
        Self { peer, agent: printable.take(Self::AGENT_LENGTH_MAX).collect() }
    }

    /// The network as it is kept and compared.
    pub(crate) fn network(&self) -> String {
        network(self.peer).to_string()
    }
}

/// One person has all addresses of an IPv6 /64.
pub(crate) fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}
