//! Loopback addresses for what shares the machine's network and wants ports of its own.

use std::{
    net::{Ipv4Addr, TcpListener},
    sync::atomic::{AtomicU32, Ordering},
};

/// An address of 127.64.0.0/10 at whose port nobody listens. Tests run as processes side by side, so it starts from ours.
pub(crate) fn free(port: u16) -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const TRIES_MAX: u32 = 1000;
    for _ in 0..TRIES_MAX {
        let ours = std::process::id().wrapping_mul(61).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        // Neither .0 nor .255, which some tools take for networks.
        let [_, high, middle, low] = (ours & 0x003f_ffff).to_be_bytes();
        let address = Ipv4Addr::new(127, 64 + high, middle, low.clamp(1, 254));
        if TcpListener::bind((address, port)).is_ok() {
            return address;
        }
    }
    panic!("no free loopback address in 127.64.0.0/10 after {TRIES_MAX} tries");
}
