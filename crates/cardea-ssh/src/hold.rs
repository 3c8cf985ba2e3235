//! What a connection hears while it lasts: whether anything passes, and sentences for its terminals.

use std::{future::pending, sync::Arc};

use cardea_domain::Word;
use tokio::sync::watch;

use crate::words::plain;

/// The connection's side: takes what it hears and hands it to its channels.
pub(crate) struct Holder(watch::Sender<State>);

/// A channel's side.
#[derive(Clone)]
pub(crate) struct Hold(watch::Receiver<State>);

#[derive(Default)]
struct State {
    /// Nothing passes, and why.
    frozen: Option<Arc<str>>,
    /// The newest sentence, and how many there were. Of several at once the last is enough.
    said: Option<Arc<str>>,
    count: u64,
}

impl Holder {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::default())
    }

    pub(crate) fn hear(&self, word: &Word) {
        self.0.send_modify(|state| {
            let (Word::Frozen(sentence) | Word::Notice(sentence) | Word::Thawed(sentence)) = word;
            let sentence: Arc<str> = plain(sentence).into();
            match word {
                Word::Frozen(_) => state.frozen = Some(Arc::clone(&sentence)),
                Word::Thawed(_) => state.frozen = None,
                Word::Notice(_) => {}
            }
            state.said = Some(sentence);
            state.count += 1;
        });
    }

    pub(crate) fn hold(&self) -> Hold {
        Hold(self.0.subscribe())
    }
}

impl Hold {
    /// Why nothing passes; it does if `None`.
    pub(crate) fn frozen(&self) -> Option<Arc<str>> {
        self.0.borrow().frozen.clone()
    }

    pub(crate) async fn until_frozen(&self) {
        self.until(|state| state.frozen.is_some()).await;
    }

    pub(crate) async fn until_thawed(&self) {
        self.until(|state| state.frozen.is_none()).await;
    }

    /// How many sentences there were so far, for [`Hold::next_sentence`].
    pub(crate) fn heard(&self) -> u64 {
        self.0.borrow().count
    }

    /// The newest sentence, once there were more than `heard`, which becomes their number.
    pub(crate) async fn next_sentence(&self, heard: &mut u64) -> Arc<str> {
        let mut receiver = self.0.clone();
        let newest = receiver.wait_for(|state| state.count > *heard).await;
        let newest = newest.ok().and_then(|state| Some((state.count, state.said.clone()?)));
        match newest {
            Some((count, sentence)) => {
                *heard = count;
                sentence
            }
            None => pending().await,
        }
    }

    async fn until(&self, holds: impl FnMut(&State) -> bool) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(holds).await.is_err() {
            // The connection is gone, and ends its channels by itself.
            pending::<()>().await;
        }
    }
}
