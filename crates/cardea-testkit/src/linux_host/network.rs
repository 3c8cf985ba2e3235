//! Networks of their own: a pair of interfaces between the machine and one host.
//!
//! The host's script makes the pair and the kernel removes it with the host, so nothing is left to sweep.

use std::{
    net::Ipv4Addr,
    path::Path,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

/// How many pairs 10.77.0.0/16 holds, as a mask.
const PAIRS_MASK: u32 = 0x7fff;
const TRIES_MAX: u32 = 1000;

/// The host's address of a pair that nobody uses. Tests run as processes side by side, so it starts from ours.
pub(super) fn free_address() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..TRIES_MAX {
        let ours = std::process::id().wrapping_mul(61).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let [_, _, high, low] = ((ours & PAIRS_MASK) << 1 | 1).to_be_bytes();
        let address = Ipv4Addr::new(10, 77, high, low);
        // Neither .0 nor .255, which some tools take for networks.
        if low != 1 && low != 255 && !Path::new("/sys/class/net").join(link(address)).exists() {
            return address;
        }
    }
    panic!("no free pair of addresses in 10.77.0.0/16 after {TRIES_MAX} tries");
}

/// The name of the machine's end of the pair with this address.
pub(super) fn link(address: Ipv4Addr) -> String {
    let [_, _, high, low] = address.octets();
    format!("cardea{high:02x}{low:02x}")
}

/// Takes the host's end up or down.
pub(super) fn set_link(first_process: &Path, state: &str) {
    let space = first_process.join("ns/net");
    let output = Command::new("nsenter")
        .arg(format!("--net={}", space.display()))
        .args(["ip", "link", "set", "eth0", state])
        .output()
        .expect("nsenter runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cannot set the host's link {state}: {}", said.trim());
}
