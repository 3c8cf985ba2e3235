//! Which addresses a webhook may be at. An address inside is somebody's who trusts whoever is inside: a webhook must not
//! become a way in, so those are refused unless the operator allows them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// What is allowed beside public addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allow {
    /// This machine, also without TLS.
    pub loopback: bool,
    /// Private networks.
    pub private: bool,
}

impl Allow {
    /// Whether a webhook may be there. Link-local addresses never are: clouds hand out their keys there.
    pub(crate) fn covers(self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => self.covers_v4(address),
            IpAddr::V6(address) => self.covers_v6(address),
        }
    }

    fn covers_v4(self, address: Ipv4Addr) -> bool {
        let [a, b, c, _] = address.octets();
        // RFC 6598: addresses of carriers' inner networks.
        let is_shared = a == 100 && (64..128).contains(&b);
        if address.is_loopback() {
            return self.loopback;
        }
        if address.is_private() || is_shared {
            return self.private;
        }
        let is_special = a == 0 || a >= 224 || (a, b, c) == (192, 0, 0) || (a == 198 && (18..20).contains(&b));
        !is_special && !address.is_link_local() && !address.is_documentation()
    }

    fn covers_v6(self, address: Ipv6Addr) -> bool {
        let first = address.segments();
        if address.is_loopback() {
            return self.loopback;
        }
        if address.is_unique_local() {
            return self.private;
        }
        // Ways to name an IPv4 address: 64:ff9b::/96 (RFC 6052) at the end, 2002::/16 (RFC 3056) behind the prefix.
        let [.., high, low] = first;
        if first[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
            return self.covers_v4(v4(high, low));
        }
        if first[0] == 0x2002 {
            return self.covers_v4(v4(first[1], first[2]));
        }
        // 2000::/3 is all that is public, but for documentation, tests and Teredo, which hides an address as well.
        let is_special = first[0] == 0x2001 && (first[1] < 0x200 || first[1] == 0xdb8) || first[0] == 0x3fff;
        first[0] & 0xe000 == 0x2000 && !is_special
    }
}

fn v4(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}

/// Finds only addresses that are allowed. What is connected to is what was looked at here: no second answer comes between.
pub(crate) struct Guarded(pub(crate) Allow);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let allow = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let (fine, wrong): (Vec<SocketAddr>, Vec<SocketAddr>) =
                found.partition(|address| allow.covers(address.ip()));
            // One that is not allowed among others is no accident.
            if let Some(wrong) = wrong.first() {
                return Err(refusal(wrong.ip()).into());
            }
            Ok(Box::new(fine.into_iter()) as Addrs)
        })
    }
}

pub(crate) fn refusal(address: IpAddr) -> String {
    format!("{address} is no public address: allow `private` or `loopback` if it is meant")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Allow = Allow { loopback: false, private: false };

    fn covers(allow: Allow, address: &str) -> bool {
        allow.covers(address.parse().expect("an address"))
    }

    #[test]
    fn only_public_addresses_are_covered_unless_something_is_allowed() {
        for public in ["8.8.8.8", "100.63.0.1", "172.32.0.1", "2606:4700::1111", "2002:808:808::1", "64:ff9b::808:808"]
        {
            assert!(covers(NOTHING, public), "{public}");
        }
        let private = [
            "10.0.0.1",
            "172.16.9.9",
            "192.168.1.1",
            "100.64.0.1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::1",
        ];
        for private in private {
            assert!(!covers(NOTHING, private), "{private}");
            assert!(!covers(Allow { loopback: true, ..NOTHING }, private), "{private}");
            assert!(covers(Allow { private: true, ..NOTHING }, private), "{private}");
        }
        for own in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"] {
            assert!(!covers(NOTHING, own) && !covers(Allow { private: true, ..NOTHING }, own), "{own}");
            assert!(covers(Allow { loopback: true, ..NOTHING }, own), "{own}");
        }
    }

    #[test]
    fn some_addresses_are_never_covered() {
        let all = Allow { loopback: true, private: true };
        for never in [
            "0.0.0.0",
            "169.254.169.254",
            "192.0.0.8",
            "198.18.0.1",
            "203.0.113.7",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "::ffff:169.254.169.254",
            "2002:a9fe:a9fe::1",
            "::10.0.0.1",
        ] {
            assert!(!covers(all, never), "{never}");
        }
    }
}
