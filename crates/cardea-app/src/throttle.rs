//! Slows down guessing: failures per address and per account-and-address. In memory, bounded.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use cardea_domain::{Timestamp, fold};

/// Failures that are forgiven before waiting begins.
const FREE_PER_ACCOUNT: u32 = 5;
const FREE_PER_ADDRESS: u32 = 30;
/// The wait doubles with each further failure, up to this.
const WAIT_MAX: Duration = Duration::from_secs(300);
/// After this long without a failure all is forgotten.
const MEMORY: Duration = Duration::from_secs(900);
const ENTRIES_MAX: usize = 20_000;

/// Who is being throttled. An account is only ever slowed down for the address that guesses, so that nobody can lock
/// another person out from elsewhere.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Account(String, IpAddr),
    Address(IpAddr),
}

impl Key {
    /// Longer texts are no names; what is kept of them is bounded.
    const NAME_LENGTH_MAX: usize = 64;

    fn account(user: &str, peer: IpAddr) -> Self {
        Self::Account(fold(&user.chars().take(Self::NAME_LENGTH_MAX).collect::<String>()), network(peer))
    }

    fn address(peer: IpAddr) -> Self {
        Self::Address(network(peer))
    }
}

/// One person has all addresses of an IPv6 /64.
fn network(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Timestamp,
}

#[derive(Default)]
pub(crate) struct Throttle {
    failures: Mutex<HashMap<Key, Failures>>,
}

impl Throttle {
    /// How long this attempt has to wait, if at all. An attempt that may go on counts as failed until
    /// [`Throttle::succeeded`], so that attempts side by side cannot slip through together.
    pub(crate) fn attempt(&self, user: &str, peer: IpAddr, now: Timestamp) -> Result<(), Duration> {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = [(Key::account(user, peer), FREE_PER_ACCOUNT), (Key::address(peer), FREE_PER_ADDRESS)];
        for (key, free) in &keys {
            let wait = failures.get(key).map_or(Duration::ZERO, |entry| entry.wait(*free, now));
            if !wait.is_zero() {
                return Err(wait);
            }
        }
        if failures.len() >= ENTRIES_MAX {
            failures.retain(|_, entry| now.since(entry.last) < MEMORY);
        }
        if failures.len() >= ENTRIES_MAX {
            // Whoever fills the table must not keep everybody else out: the oldest go.
            let mut times: Vec<_> = failures.values().map(|entry| entry.last).collect();
            times.sort_unstable();
            let kept_from = times[times.len() / 2];
            failures.retain(|_, entry| entry.last > kept_from);
        }
        for (key, _) in keys {
            let entry = failures.entry(key).or_insert(Failures { count: 0, last: now });
            entry.count = if now.since(entry.last) >= MEMORY { 1 } else { entry.count.saturating_add(1) };
            entry.last = now;
        }
        Ok(())
    }

    /// The attempt was right: the account's failures from this address are forgotten.
    pub(crate) fn succeeded(&self, user: &str, peer: IpAddr) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.remove(&Key::account(user, peer));
        if let Some(entry) = failures.get_mut(&Key::address(peer)) {
            entry.count = entry.count.saturating_sub(1);
        }
    }
}

impl Failures {
    fn wait(self, free: u32, now: Timestamp) -> Duration {
        let Some(over) = self.count.checked_sub(free).filter(|_| now.since(self.last) < MEMORY) else {
            return Duration::ZERO;
        };
        let pause = Duration::from_secs(1 << over.min(9)).min(WAIT_MAX);
        pause.saturating_sub(now.since(self.last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn guessing_is_slowed_down_and_only_for_the_guesser() {
        let throttle = Throttle::default();
        let guesser: IpAddr = "192.0.2.1".parse().expect("an address");
        let other: IpAddr = "192.0.2.2".parse().expect("an address");
        for _ in 0..FREE_PER_ACCOUNT {
            assert_eq!(throttle.attempt("Alice", guesser, at(0)), Ok(()));
        }
        assert_eq!(throttle.attempt("alice", guesser, at(0)), Err(Duration::from_secs(1)));
        assert_eq!(throttle.attempt("alice", other, at(0)), Ok(()), "alice herself is not locked out");
        assert_eq!(throttle.attempt("alice", guesser, at(2)), Ok(()));
        assert_eq!(throttle.attempt("alice", guesser, at(3)), Err(Duration::from_secs(1)), "and the wait doubles");
        throttle.succeeded("alice", guesser);
        assert_eq!(throttle.attempt("alice", guesser, at(3)), Ok(()));
    }

    #[test]
    fn a_full_table_and_a_whole_network_keep_nobody_else_out() {
        let throttle = Throttle::default();
        let one: IpAddr = "2001:db8::1".parse().expect("an address");
        let neighbour: IpAddr = "2001:db8::ffff".parse().expect("an address");
        for number in 0..ENTRIES_MAX {
            let address = IpAddr::V4(std::net::Ipv4Addr::from_bits(u32::try_from(number).expect("it fits")));
            assert_eq!(throttle.attempt(&"x".repeat(100), address, at(1)), Ok(()), "{number}");
        }
        for _ in 0..FREE_PER_ACCOUNT {
            assert_eq!(throttle.attempt("alice", one, at(2)), Ok(()));
        }
        assert!(throttle.attempt("alice", neighbour, at(2)).is_err(), "the same /64 is the same person");
    }

    #[test]
    fn many_accounts_from_one_address_are_slowed_down_too() {
        let throttle = Throttle::default();
        let guesser: IpAddr = "192.0.2.1".parse().expect("an address");
        let refused = (0..100).filter(|n| throttle.attempt(&format!("user{n}"), guesser, at(0)).is_err()).count();
        assert_eq!(refused, 70);
    }
}
