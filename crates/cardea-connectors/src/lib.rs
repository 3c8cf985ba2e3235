//! Connectors: work on targets as the engine asks, one folder per platform. They know targets, not sessions, and cannot reach
//! the store or the vault; bytes from targets are parsed here.

mod linux;

pub use linux::Linux;
