//! What tests stand on: throw-away hosts and hand-set doubles of the ports. Never part of the product.

mod linux_host;

pub use linux_host::{LinuxHost, wait};
