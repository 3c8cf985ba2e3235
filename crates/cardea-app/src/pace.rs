//! How often somebody may have something that they are allowed to have: so many times a minute for each session.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use cardea_domain::{SessionId, Timestamp};

use crate::AppError;

/// Times that one session's user is served within [`WINDOW`].
const TIMES_MAX: usize = 6;
const WINDOW: Duration = Duration::from_secs(60);
/// Beyond, what is older than the window is dropped.
const SESSIONS_MAX: usize = 4096;

#[derive(Default)]
pub(crate) struct Pace(Mutex<HashMap<SessionId, VecDeque<Timestamp>>>);

impl Pace {
    /// Counts one time, or says how long to wait. To be asked only for those who may.
    pub(crate) fn step(&self, session: SessionId, now: Timestamp) -> Result<(), AppError> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= SESSIONS_MAX {
            all.retain(|_, times| times.back().is_some_and(|last| now.since(*last) < WINDOW));
        }
        let times = all.entry(session).or_default();
        while times.front().is_some_and(|first| now.since(*first) >= WINDOW) {
            times.pop_front();
        }
        if let Some(first) = times.front().filter(|_| times.len() >= TIMES_MAX) {
            return Err(AppError::Throttled { retry_after: WINDOW.saturating_sub(now.since(*first)) });
        }
        times.push_back(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use cardea_testkit::SeededEntropy;

    use super::*;

    #[test]
    fn one_session_is_served_so_often_a_minute_and_no_other_waits_for_it() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let entropy = SeededEntropy::new(1);
        let (one, other) = (SessionId::mint(at(0), &*entropy), SessionId::mint(at(0), &*entropy));
        let pace = Pace::default();
        assert!((0..6).all(|second| pace.step(one, at(second)).is_ok()));
        let wait = pace.step(one, at(20));
        assert!(
            matches!(wait, Err(AppError::Throttled { retry_after }) if retry_after == Duration::from_secs(40)),
            "{wait:?}"
        );
        assert!(pace.step(other, at(20)).is_ok());
        assert!(pace.step(one, at(60)).is_ok());
        assert!(pace.step(one, at(60)).is_err(), "only the first of them is a minute ago");
    }
}
