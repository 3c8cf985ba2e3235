//! How many strangers may stand at the door, and how many connections one user may have.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cardea_domain::ObjectId;

use crate::Limits;

/// Counts connections: for each address those that have not logged in, for each user those that have.
#[derive(Clone)]
pub(crate) struct Crowd {
    limits: Limits,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Default)]
struct Counts {
    open: usize,
    waiting: HashMap<IpAddr, usize>,
    seated: HashMap<ObjectId, usize>,
}

/// One logged-in connection of a user; dropping it gives it up.
pub(crate) struct Seat {
    crowd: Crowd,
    user: ObjectId,
}

/// One connection's place; dropping it gives it up.
pub(crate) struct Place {
    crowd: Crowd,
    waiting: Option<IpAddr>,
}

impl Crowd {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, counts: Arc::default() }
    }

    /// A place for a new connection, unless there are too many.
    pub(crate) fn enter(&self, peer: IpAddr) -> Option<Place> {
        let mut counts = self.counts();
        let waiting = counts.waiting.get(&peer).copied().unwrap_or(0);
        if counts.open >= self.limits.connections_max || waiting >= self.limits.unauthenticated_per_peer_max {
            return None;
        }
        counts.open += 1;
        counts.waiting.insert(peer, waiting + 1);
        Some(Place { crowd: self.clone(), waiting: Some(peer) })
    }

    /// A seat for a user who has logged in, unless they have too many.
    pub(crate) fn sit(&self, user: ObjectId) -> Option<Seat> {
        let mut counts = self.counts();
        let seated = counts.seated.entry(user).or_default();
        if *seated >= self.limits.per_user_max {
            return None;
        }
        *seated += 1;
        Some(Seat { crowd: self.clone(), user })
    }

    /// How many one user may have.
    pub(crate) fn seats_max(&self) -> usize {
        self.limits.per_user_max
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The person is in: no longer a stranger.
    pub(crate) fn logged_in(&mut self) {
        let Some(peer) = self.waiting.take() else { return };
        let mut counts = self.crowd.counts();
        if let Some(waiting) = counts.waiting.get_mut(&peer) {
            *waiting -= 1;
            if *waiting == 0 {
                counts.waiting.remove(&peer);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.logged_in();
        self.crowd.counts().open -= 1;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.crowd.counts();
        if let Some(seated) = counts.seated.get_mut(&self.user) {
            *seated -= 1;
            if *seated == 0 {
                counts.seated.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn places_are_limited_per_address_and_in_all_and_come_back() {
        let crowd = Crowd::new(Limits { connections_max: 3, unauthenticated_per_peer_max: 2, ..Limits::default() });
        let mut first = crowd.enter(ONE).expect("the first");
        let second = crowd.enter(ONE).expect("the second");
        assert!(crowd.enter(ONE).is_none(), "too many of one address");

        first.logged_in();
        let third = crowd.enter(ONE).expect("one of them is no stranger any more");
        assert!(crowd.enter(OTHER).is_none(), "too many in all");

        drop((first, second, third));
        assert!(crowd.enter(OTHER).is_some());
        assert!(crowd.counts().waiting.is_empty(), "nothing is remembered of those that left");
    }

    #[test]
    fn seats_are_limited_per_user_and_come_back() {
        let crowd = Crowd::new(Limits { per_user_max: 2, ..Limits::default() });
        let user = |number: u8| format!("usr_0000000000000000000000000{number}").parse().expect("an id");
        let seats = [crowd.sit(user(1)), crowd.sit(user(1))];
        assert!(crowd.sit(user(1)).is_none() && crowd.sit(user(2)).is_some());
        drop(seats);
        assert!(crowd.sit(user(1)).is_some());
        assert!(crowd.counts().seated.is_empty(), "nobody is remembered who left");
    }
}
