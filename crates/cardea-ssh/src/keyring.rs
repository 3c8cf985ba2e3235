//! The keys with which the gateway logs in to targets: one for each session, in memory only.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use cardea_domain::{Entropy, SessionId};
use russh::keys::PrivateKey;
use tokio::time::Instant;

/// Keys held at once. More sessions than this cannot be connected: see `Limits::connections_max`.
const KEYS_MAX: usize = 4096;
/// A key is kept this long after its last use: the next connection of the session then needs no new grant.
const KEPT_UNUSED: Duration = Duration::from_secs(15 * 60);

pub(crate) struct Keyring {
    entropy: Arc<dyn Entropy>,
    held: Mutex<HashMap<SessionId, Held>>,
}

/// Its memory is wiped when the last copy of the `Arc` goes.
struct Held {
    key: Arc<PrivateKey>,
    used_at: Instant,
}

impl Keyring {
    pub(crate) fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self { entropy, held: Mutex::default() }
    }

    /// The session's key; a new one if there is none.
    pub(crate) fn key(&self, session: SessionId) -> Arc<PrivateKey> {
        let mut held = self.held();
        if held.len() >= KEYS_MAX && !held.contains_key(&session) {
            drop_oldest(&mut held);
        }
        let entry = held.entry(session).or_insert_with(|| Held {
            key: Arc::new(crate::key::generate(self.entropy.as_ref())),
            used_at: Instant::now(),
        });
        entry.used_at = Instant::now();
        Arc::clone(&entry.key)
    }

    /// A connection of the session is over, the session is not.
    pub(crate) fn rest(&self, session: SessionId) {
        if let Some(held) = self.held().get_mut(&session) {
            held.used_at = Instant::now();
        }
    }

    /// The session is over.
    pub(crate) fn forget(&self, session: SessionId) {
        self.held().remove(&session);
    }

    /// Drops what has not been used for long. To be called now and then.
    pub(crate) fn sweep(&self) {
        self.held().retain(|_, held| is_in_use(held) || held.used_at.elapsed() < KEPT_UNUSED);
    }

    fn held(&self) -> MutexGuard<'_, HashMap<SessionId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_in_use(held: &Held) -> bool {
    Arc::strong_count(&held.key) > 1
}

fn drop_oldest(held: &mut HashMap<SessionId, Held>) {
    let unused = held.iter().filter(|(_, held)| !is_in_use(held));
    if let Some(oldest) = unused.min_by_key(|(_, held)| held.used_at).map(|(session, _)| *session) {
        held.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use cardea_domain::Timestamp;

    use super::*;

    struct Counting(AtomicU64);

    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            let count = self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes();
            for (byte, value) in bytes.iter_mut().zip(count.iter().cycle()) {
                *byte = *value;
            }
        }
    }

    fn keyring() -> (Keyring, impl Fn() -> SessionId) {
        let entropy = Arc::new(Counting(AtomicU64::new(1)));
        let minting = Arc::clone(&entropy);
        (Keyring::new(entropy), move || SessionId::mint(Timestamp::from_micros(0), minting.as_ref()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_keeps_its_key_until_it_is_over_or_long_unused() {
        let (keyring, session) = keyring();
        let (one, other) = (session(), session());
        let public = |session| keyring.key(session).public_key().clone();
        let first = public(one);
        assert_eq!(first, public(one));
        assert_ne!(first, public(other));

        let in_use = keyring.key(other);
        tokio::time::advance(KEPT_UNUSED).await;
        keyring.sweep();
        assert_eq!(in_use.public_key(), &public(other), "a key in use stays");
        assert_ne!(first, public(one), "an unused key is gone");

        let second = public(one);
        keyring.forget(one);
        assert_ne!(second, public(one));
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_keys_is_bounded() {
        let (keyring, session) = keyring();
        let first = session();
        let before = keyring.key(first).public_key().clone();
        for _ in 0..KEYS_MAX {
            tokio::time::advance(Duration::from_millis(1)).await;
            keyring.key(session());
        }
        assert_eq!(keyring.held().len(), KEYS_MAX);
        assert_ne!(&before, keyring.key(first).public_key());
    }
}
