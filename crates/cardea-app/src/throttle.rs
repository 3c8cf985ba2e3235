//! Slows down guessing: failures per address, per account and address, and per account. In memory, bounded.
//!
//! A node counts what it sees. An account as a whole is slowed down only for networks that its user did not sign in from lately,
//! so that nobody is locked out of where they usually are by somebody who guesses from elsewhere.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use cardea_domain::{Timestamp, fold};

use crate::device::network;

/// After this long without a failure all is forgotten.
const MEMORY: Duration = Duration::from_secs(900);
const ENTRIES_MAX: usize = 20_000;

/// What is being guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// A one-time token of a session.
    Launch,
    /// By whose passkey it says that it is; nobody's, if it is not known. No address is counted: a signature is not guessed, and
    /// many people may have one address.
    Passkey,
    Password,
    /// Only those come here who know the password.
    SecondFactor,
    SetUp,
}

/// Who is being throttled.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Account(Step, String, IpAddr),
    Address(IpAddr),
    Everywhere(Step, String),
}

impl Key {
    /// Longer texts are no names; what is kept of them is bounded.
    const NAME_LENGTH_MAX: usize = 64;

    fn of(step: Step, user: &str, peer: IpAddr) -> Vec<Self> {
        let user = fold(&user.chars().take(Self::NAME_LENGTH_MAX).collect::<String>());
        let peer = network(peer);
        let mut keys = vec![Self::Account(step, user.clone(), peer)];
        if step != Step::Passkey {
            keys.push(Self::Address(peer));
        }
        keys.push(Self::Everywhere(step, user));
        keys
    }

    /// Failures that are forgiven before waiting begins. Then the wait doubles with each, up to the second.
    fn limits(&self) -> (u32, Duration) {
        match self {
            Self::Account(..) => (5, Duration::from_secs(300)),
            Self::Address(_) => (30, Duration::from_secs(300)),
            // A code has a million values and three are right: whoever has the password gets some 300 tries a day.
            Self::Everywhere(Step::SecondFactor, _) => (10, Duration::from_secs(300)),
            Self::Everywhere(Step::Launch | Step::Passkey | Step::Password | Step::SetUp, _) => {
                (100, Duration::from_secs(30))
            }
        }
    }
}

/// An attempt that has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// The address has failed too often.
    Here(Duration),
    /// Others have, with this account.
    Everywhere(Duration),
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

/// One attempt.
#[derive(Clone, Copy)]
pub(crate) struct Attempt<'a> {
    pub(crate) step: Step,
    pub(crate) user: &'a str,
    pub(crate) peer: IpAddr,
    /// Whether the user signed in from there lately: then what others do elsewhere does not matter.
    pub(crate) is_familiar: bool,
}

impl Throttle {
    /// How long this attempt has to wait, if at all. An attempt that may go on counts as failed until
    /// [`Throttle::succeeded`], so that attempts side by side cannot slip through together.
    pub(crate) fn attempt(&self, attempt: Attempt<'_>, now: Timestamp) -> Result<(), Wait> {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = Key::of(attempt.step, attempt.user, attempt.peer);
        for key in &keys {
            let wait = failures.get(key).map_or(Duration::ZERO, |entry| entry.wait(key.limits(), now));
            match key {
                _ if wait.is_zero() => {}
                Key::Everywhere(..) if attempt.is_familiar => {}
                Key::Everywhere(..) => return Err(Wait::Everywhere(wait)),
                Key::Account(..) | Key::Address(_) => return Err(Wait::Here(wait)),
            }
        }
        make_room(&mut failures, now);
        for key in keys {
            let entry = failures.entry(key).or_insert(Failures { count: 0, last: now });
            entry.count = if now.since(entry.last) >= MEMORY { 1 } else { entry.count.saturating_add(1) };
            entry.last = now;
        }
        Ok(())
    }

    /// The attempt was right: the account's failures from this address are forgotten, and this attempt is no failure.
    pub(crate) fn succeeded(&self, step: Step, user: &str, peer: IpAddr) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        for key in Key::of(step, user, peer) {
            if matches!(key, Key::Account(..)) {
                failures.remove(&key);
            } else if let Some(entry) = failures.get_mut(&key) {
                entry.count = entry.count.saturating_sub(1);
            }
        }
    }
}

/// Whoever fills the table must neither keep everybody else out nor have their own failures forgotten: half of it goes, first what
/// makes nobody wait, then the oldest.
fn make_room(failures: &mut HashMap<Key, Failures>, now: Timestamp) {
    if failures.len() >= ENTRIES_MAX {
        failures.retain(|_, entry| now.since(entry.last) < MEMORY);
    }
    if failures.len() >= ENTRIES_MAX {
        let worth = |key: &Key, entry: &Failures| (entry.count >= key.limits().0, entry.last);
        let mut worths: Vec<_> = failures.iter().map(|(key, entry)| worth(key, entry)).collect();
        worths.sort_unstable();
        let kept_from = worths[worths.len() / 2];
        failures.retain(|key, entry| worth(key, entry) > kept_from);
    }
}

impl Failures {
    fn wait(self, (free, most): (u32, Duration), now: Timestamp) -> Duration {
        let Some(over) = self.count.checked_sub(free).filter(|_| now.since(self.last) < MEMORY) else {
            return Duration::ZERO;
        };
        let pause = Duration::from_secs(1 << over.min(9)).min(most);
        pause.saturating_sub(now.since(self.last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn numbered(number: usize) -> IpAddr {
        IpAddr::V4(std::net::Ipv4Addr::from_bits(u32::try_from(number).expect("it fits")))
    }

    impl Throttle {
        fn password(&self, user: &str, peer: IpAddr, now: Timestamp) -> Result<(), Wait> {
            self.attempt(Attempt { step: Step::Password, user, peer, is_familiar: false }, now)
        }
    }

    #[test]
    fn guessing_is_slowed_down_and_only_for_the_guesser() {
        let throttle = Throttle::default();
        let (guesser, other) = (address("192.0.2.1"), address("192.0.2.2"));
        for _ in 0..5 {
            assert_eq!(throttle.password("Alice", guesser, at(0)), Ok(()));
        }
        assert_eq!(throttle.password("alice", guesser, at(0)), Err(Wait::Here(Duration::from_secs(1))));
        assert_eq!(throttle.password("alice", other, at(0)), Ok(()), "alice herself is not locked out");
        assert_eq!(throttle.password("alice", guesser, at(2)), Ok(()));
        assert_eq!(
            throttle.password("alice", guesser, at(3)),
            Err(Wait::Here(Duration::from_secs(1))),
            "and the wait doubles"
        );
        throttle.succeeded(Step::Password, "alice", guesser);
        assert_eq!(throttle.password("alice", guesser, at(3)), Ok(()));
    }

    #[test]
    fn many_addresses_guess_one_account_slowly_and_its_user_is_not_held_up() {
        let throttle = Throttle::default();
        let tries = (0..1000).filter(|n| throttle.password("alice", numbered(*n), at(0)).is_ok()).count();
        assert_eq!(tries, 100);
        let home = address("192.0.2.7");
        assert_eq!(throttle.password("alice", home, at(0)), Err(Wait::Everywhere(Duration::from_secs(1))));
        let familiar = Attempt { step: Step::Password, user: "alice", peer: home, is_familiar: true };
        assert_eq!(throttle.attempt(familiar, at(0)), Ok(()), "from where she usually is she gets in at once");
        // However long they go on, the wait stays short for everybody.
        let mut now = 0;
        let admitted = (2000..3000).filter(|n| {
            now += 1;
            throttle.password("alice", numbered(*n), at(now)).is_ok()
        });
        assert!((30..50).contains(&admitted.count()), "one in half a minute");
        let wait = throttle.password("alice", address("192.0.2.8"), at(now));
        assert!(matches!(wait, Err(Wait::Everywhere(wait)) if wait <= Duration::from_secs(30)), "{wait:?}");
    }

    #[test]
    fn codes_are_guessed_slower_than_passwords_and_apart_from_them() {
        let throttle = Throttle::default();
        let attempt = |step, peer| Attempt { step, user: "alice", peer, is_familiar: false };
        let tries = |step| (0..100).filter(|n| throttle.attempt(attempt(step, numbered(*n)), at(0)).is_ok()).count();
        assert_eq!((tries(Step::SecondFactor), tries(Step::Password)), (10, 100));
    }

    #[test]
    fn wrong_passkeys_and_the_other_guesses_of_an_address_do_not_slow_each_other_down() {
        let throttle = Throttle::default();
        let office = address("192.0.2.1");
        let attempt =
            |step, user: &str| throttle.attempt(Attempt { step, user, peer: office, is_familiar: true }, at(0));
        // Nobody's passkeys are slowed down together, those of alice by themselves.
        assert_eq!((0..100).filter(|_| attempt(Step::Passkey, "").is_ok()).count(), 5);
        assert_eq!((0..100).filter(|_| attempt(Step::Passkey, "alice").is_ok()).count(), 5);
        assert_eq!(attempt(Step::Password, "bob"), Ok(()));
        while (0..100).any(|n| attempt(Step::Password, &format!("user{n}")).is_ok()) {}
        assert!(attempt(Step::Password, "bob").is_err(), "too many passwords from there");
        assert_eq!(attempt(Step::Passkey, "bob"), Ok(()));
    }

    #[test]
    fn a_full_table_and_a_whole_network_keep_nobody_else_out() {
        let throttle = Throttle::default();
        let (one, neighbour) = (address("2001:db8::1"), address("2001:db8::ffff"));
        for number in 0..ENTRIES_MAX {
            assert_eq!(throttle.password(&number.to_string(), numbered(number), at(1)), Ok(()), "{number}");
        }
        assert!(throttle.failures.lock().expect("nobody panicked").len() < ENTRIES_MAX + 3);
        for _ in 0..5 {
            assert_eq!(throttle.password("alice", one, at(2)), Ok(()));
        }
        assert!(throttle.password("alice", neighbour, at(2)).is_err(), "the same /64 is the same person");
    }

    #[test]
    fn who_fills_the_table_is_not_forgotten() {
        let throttle = Throttle::default();
        let guesser = address("192.0.2.99");
        while throttle.password("bob", guesser, at(1)).is_ok() {}
        for number in 0..2 * ENTRIES_MAX {
            assert_eq!(throttle.password(&number.to_string(), numbered(number), at(1)), Ok(()), "{number}");
        }
        assert!(throttle.password("bob", guesser, at(1)).is_err());
    }

    #[test]
    fn many_accounts_from_one_address_are_slowed_down_too() {
        let throttle = Throttle::default();
        let guesser = address("192.0.2.1");
        let refused = (0..100).filter(|n| throttle.password(&format!("user{n}"), guesser, at(0)).is_err()).count();
        assert_eq!(refused, 70);
    }
}
