//! Places where a test may end this process: behind everything that became durable, and around every word to a target.
//!
//! They stand in the few functions that all steps go through, so a new step has them too. Without the feature `fail-points`,
//! which no shipped binary has, passing one is nothing.

#[cfg(feature = "fail-points")]
use std::sync::OnceLock;

/// What happens at a place: its name, and what passes.
#[cfg(feature = "fail-points")]
pub type FailPointHook = Box<dyn Fn(&str, &str) + Send + Sync>;

#[cfg(feature = "fail-points")]
static HOOK: OnceLock<FailPointHook> = OnceLock::new();

/// Has every passage told to this hook from now on. The first one stays.
#[cfg(feature = "fail-points")]
pub fn on_fail_points(hook: FailPointHook) {
    // A second one is a fault of the test: it would wait in vain.
    let _is_first = HOOK.set(hook);
}

/// Passes a place.
#[cfg(feature = "fail-points")]
pub fn fail_point(place: &str, what: &str) {
    if let Some(hook) = HOOK.get() {
        hook(place, what);
    }
}

/// Passes a place.
#[cfg(not(feature = "fail-points"))]
#[inline]
pub fn fail_point(_place: &str, _what: &str) {}
