//! What browsers hear about: every change, as soon as it is committed.
//!
//! Events live in memory. An id is `EPOCH-NUMBER`; the epoch is new with each start of the process, so a client that
//! comes back with an old or forgotten one hears `Reset` and reads everything again. Nothing can be missed silently.

use std::{
    borrow::Cow,
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use cardea_domain::{Approval, Grant, ObjectId, Session, SessionId, Timestamp};
use futures_util::{Stream, StreamExt as _};
use tokio::sync::broadcast;
use tokio_stream::wrappers::{BroadcastStream, errors::BroadcastStreamRecvError};

/// Something that a person should look at. It is in the audit log too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    pub at: Timestamp,
    /// Stable: `direct_login`, `orphan_removed`, …
    pub code: Cow<'static, str>,
    /// A sentence for people.
    pub text: String,
    pub session: Option<SessionId>,
    /// The resource's name.
    pub resource: Option<String>,
}

/// A change.
#[derive(Clone, Debug)]
pub enum Event {
    /// Something that a person should look at; only those who see everything hear it, and whose account it is about.
    Alert(Arc<Alert>),
    /// A session waits for approval, was decided about, or waits no more. `approval` is what was just decided.
    Approval { session: Arc<Session>, approval: Option<Arc<Approval>> },
    /// A configuration object changed: what somebody may do could be different now.
    Configuration,
    /// A grant moved in the ledger.
    Grant(Arc<Grant>),
    /// Events were lost to this listener: read everything again.
    Reset,
    /// A session changed.
    Session(Arc<Session>),
}

#[derive(Clone, Debug)]
struct Entry {
    number: u64,
    /// Whom it concerns; nobody in particular if `None`.
    audience: Option<Audience>,
    event: Event,
}

/// Whom an event concerns, beside those who see everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Audience {
    /// The session's user, or whose account it is about.
    pub(crate) owner: ObjectId,
    /// The session's policy and its resource: some see what is theirs.
    pub(crate) place: Option<(ObjectId, ObjectId)>,
    /// The connection profile whose approvers hear it too.
    pub(crate) profile: Option<ObjectId>,
}

impl Audience {
    /// Whom a session concerns; its approvers are not among them.
    pub(crate) fn of(session: &Session) -> Self {
        Self { owner: session.user, place: Some((session.policy, session.resource)), profile: None }
    }

    /// And its approvers.
    pub(crate) fn with_approvers(session: &Session) -> Self {
        Self { profile: Some(session.profile), ..Self::of(session) }
    }
}

/// Somebody who hears only what concerns them: asked for each event, as the configuration is then.
pub(crate) type Listener = Box<dyn Fn(&Audience) -> bool + Send + Sync>;

/// Hands events to every listener and remembers the latest for those who come back.
pub(crate) struct Hub {
    epoch: String,
    recent: Mutex<Recent>,
    sender: broadcast::Sender<Entry>,
}

struct Recent {
    next: u64,
    entries: VecDeque<Entry>,
}

/// How many events a listener may lie behind, or come back after.
const REMEMBERED: usize = 8192;

impl Hub {
    pub(crate) fn new(epoch: String) -> Self {
        let recent = Mutex::new(Recent { next: 1, entries: VecDeque::new() });
        Self { epoch, recent, sender: broadcast::channel(REMEMBERED).0 }
    }

    pub(crate) fn publish(&self, audience: Option<Audience>, event: Event) {
        // Sending under the lock keeps the order of numbers and the order of delivery the same.
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = Entry { number: recent.next, audience, event };
        recent.next += 1;
        if recent.entries.len() == REMEMBERED {
            recent.entries.pop_front();
        }
        recent.entries.push_back(entry.clone());
        // Nobody listening is fine.
        drop(self.sender.send(entry));
    }

    /// Everything after `last`, then everything new; only what concerns `only`, if given.
    pub(crate) fn subscribe(&self, only: Option<Listener>, last: Option<&str>) -> Subscription {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let stream = BroadcastStream::new(self.sender.subscribe());
        let newest = recent.next - 1;
        let mut waiting = VecDeque::new();
        if let Some(last) = last {
            let oldest = recent.entries.front().map_or(recent.next, |entry| entry.number);
            let number = last
                .strip_prefix(&self.epoch)
                .and_then(|rest| rest.strip_prefix('-'))
                .and_then(|n| n.parse::<u64>().ok());
            match number {
                Some(number) if number <= newest && number + 1 >= oldest => {
                    waiting.extend(recent.entries.iter().filter(|entry| entry.number > number).cloned());
                }
                _ => waiting.push_back(Entry { number: newest, audience: None, event: Event::Reset }),
            }
        }
        Subscription { epoch: self.epoch.clone(), position: newest, only, waiting, stream }
    }
}

/// A listener's stream of `(id, event)`. Ends only when it is dropped.
pub struct Subscription {
    epoch: String,
    position: u64,
    only: Option<Listener>,
    waiting: VecDeque<Entry>,
    stream: BroadcastStream<Entry>,
}

impl Subscription {
    /// The id to come back with if nothing was heard yet.
    pub fn position(&self) -> String {
        format!("{}-{}", self.epoch, self.position)
    }

    fn concerns(&self, entry: &Entry) -> bool {
        if entry.audience.is_none() && matches!(entry.event, Event::Alert(_)) {
            return self.only.is_none();
        }
        let (Some(only), Some(audience)) = (&self.only, entry.audience) else { return true };
        only(&audience)
    }
}

impl Stream for Subscription {
    type Item = (String, Event);

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let entry = match self.waiting.pop_front() {
                Some(entry) => entry,
                None => match self.stream.poll_next_unpin(context) {
                    Poll::Ready(Some(Ok(entry))) => entry,
                    Poll::Ready(Some(Err(BroadcastStreamRecvError::Lagged(missed)))) => {
                        let number = self.position + missed;
                        Entry { number, audience: None, event: Event::Reset }
                    }
                    Poll::Ready(None) => return Poll::Ready(None),
                    Poll::Pending => return Poll::Pending,
                },
            };
            self.position = self.position.max(entry.number);
            if self.concerns(&entry) {
                return Poll::Ready(Some((format!("{}-{}", self.epoch, entry.number), entry.event)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ids(subscription: Subscription, count: usize) -> Vec<(String, bool)> {
        subscription.take(count).map(|(id, event)| (id, matches!(event, Event::Reset))).collect().await
    }

    #[tokio::test]
    async fn a_listener_that_comes_back_misses_nothing() {
        let hub = Hub::new("e1".to_owned());
        let first = hub.subscribe(None, None);
        assert_eq!(first.position(), "e1-0");
        for _ in 0..3 {
            hub.publish(None, Event::Configuration);
        }
        assert_eq!(ids(first, 1).await, [("e1-1".to_owned(), false)]);
        assert_eq!(
            ids(hub.subscribe(None, Some("e1-1")), 2).await,
            [("e1-2".to_owned(), false), ("e1-3".to_owned(), false)]
        );
    }

    #[tokio::test]
    async fn a_listener_from_another_life_or_too_far_behind_reads_everything_again() {
        let hub = Hub::new("e2".to_owned());
        for _ in 0..=REMEMBERED {
            hub.publish(None, Event::Configuration);
        }
        for last in ["e1-1", "e2-0", "e2-99999999", "nonsense"] {
            assert!(ids(hub.subscribe(None, Some(last)), 1).await[0].1, "{last}");
        }
        let slow = hub.subscribe(None, None);
        for _ in 0..REMEMBERED + 10 {
            hub.publish(None, Event::Configuration);
        }
        assert!(ids(slow, 1).await[0].1);
    }
}
