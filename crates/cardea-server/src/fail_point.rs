//! Kills this process at a chosen place, as `kill -9` would, or says which places it passes. For tests: only a binary with the
//! feature `fail-points` has this.

use std::{
    collections::HashMap,
    fs::OpenOptions,
    io::Write as _,
    sync::{Mutex, PoisonError},
};

use rustix::process::{Signal, getpid, kill_process};

use crate::config::Environment;

/// `PLACE:N`: the N-th passage of this place is the process's end. The place `any` is each.
const KILL: &str = "CARDEA_FAIL_POINT";
/// A file that every passage is written to, a line each, before anything else happens.
const LOG: &str = "CARDEA_FAIL_POINT_LOG";
const ANY: &str = "any";

/// Does what the environment says from the first passage on.
pub(crate) fn arm(environment: &Environment) {
    let doom = environment.get(KILL).and_then(|text| {
        let (place, number) = text.rsplit_once(':')?;
        Some((place.to_owned(), number.parse::<u32>().ok()?))
    });
    let log = environment.get(LOG).and_then(|path| OpenOptions::new().create(true).append(true).open(path).ok());
    let passed = Mutex::new((log, HashMap::<String, u32>::new()));
    cardea_domain::on_fail_points(Box::new(move |place, what| {
        let name = format!("{place} {}", what.trim_end_matches("::{{closure}}"));
        let mut passed = passed.lock().unwrap_or_else(PoisonError::into_inner);
        let (log, counts) = &mut *passed;
        if let Some(log) = log {
            // A test that reads a short list fails by itself.
            let _written = writeln!(log, "{name}");
        }
        for place in [name.as_str(), ANY] {
            let count = counts.entry(place.to_owned()).or_default();
            *count += 1;
            if doom.as_ref().is_some_and(|(doomed, number)| doomed == place && number == count) {
                die();
            }
        }
    }));
}

/// Nothing of ours runs after this: no destructor, no flush, no goodbye.
fn die() -> ! {
    loop {
        // It cannot fail for oneself; if it did, standing still is what the test would notice.
        let _sent = kill_process(getpid(), Signal::KILL);
    }
}
