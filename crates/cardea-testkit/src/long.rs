//! How big a proof is to be, and other wishes of whoever runs the tests.

/// Whether proofs run at their full size: `cargo xtask test --long` says so.
pub fn is_long() -> bool {
    setting("CARDEA_TEST_LONG").is_some()
}

/// What the environment says under a name, if anything.
#[expect(clippy::disallowed_methods, reason = "whoever runs the tests says by the environment how big they are")]
pub fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
