//! What nodes tell each other with a commit: ids, and sentences for terminals and browsers. Receivers read the rows.
//!
//! PostgreSQL hands notifications out in the order of the commits, and makes committers wait for each other for that. So
//! they are sent only while another node lives; who is alone tells nothing but its own sign of life.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicBool, Ordering},
};

use cardea_domain::{SessionId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{StoreError, Tx, tx::execute};

/// The channel of a database.
pub(crate) const CHANNEL: &str = "cardea";
/// PostgreSQL takes less than 8,000 bytes.
const PAYLOAD_BYTES_MAX: usize = 7_900;
/// A longer sentence is cut.
const SENTENCE_BYTES_MAX: usize = 1_000;

/// Something that other nodes should know.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum News {
    /// Something that a person should look at. It is in the audit log.
    Alert {
        at: Timestamp,
        code: String,
        text: String,
        session: Option<SessionId>,
        /// The resource's name.
        resource: Option<String>,
    },
    /// A session waits for approval, was decided about, or waits no more.
    Approval { session: SessionId, decided: bool },
    /// A node lives.
    Beat,
    /// The configuration, or what is locked as a whole.
    Configuration,
    /// Grants of this session moved in the ledger.
    Grants(SessionId),
    /// Something to be said on a session's terminals.
    Say { session: SessionId, sentence: String },
    /// A session changed.
    Session(SessionId),
}

/// What a listener hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// From another node.
    News(Vec<News>),
    /// Anything may have been missed: everything is to be read anew.
    Lost,
}

/// This process's place among the nodes of its database.
pub(crate) struct Seat {
    pub(crate) node: String,
    /// Another node lives, or did a moment ago.
    shared: AtomicBool,
}

#[derive(Serialize, Deserialize)]
struct Letter {
    from: String,
    news: Vec<News>,
}

impl Seat {
    pub(crate) fn new(node: &str) -> Self {
        Self { node: node.to_owned(), shared: AtomicBool::new(false) }
    }

    pub(crate) fn is_shared(&self) -> bool {
        self.shared.load(Ordering::Relaxed)
    }

    pub(crate) fn set_shared(&self, shared: bool) {
        self.shared.store(shared, Ordering::Relaxed);
    }

    /// What a payload says, unless this node said it itself. What cannot be read (of another version, say) may have been anything.
    pub(crate) fn read(&self, payload: &str) -> Option<Heard> {
        match serde_json::from_str::<Letter>(payload) {
            Ok(letter) if letter.from == self.node => None,
            Ok(letter) => Some(Heard::News(letter.news)),
            Err(_) => Some(Heard::Lost),
        }
    }

    /// The payloads that say this, none longer than PostgreSQL takes.
    fn write(&self, news: Vec<News>) -> Vec<String> {
        let mut seen = HashSet::new();
        let mut letters = vec![Letter { from: self.node.clone(), news: Vec::new() }];
        let (empty, mut length) = (self.node.len() + 32, 0);
        for one in news.into_iter().filter(|one| seen.insert(one.clone())) {
            // As JSON, a byte of a sentence takes six at most.
            let size = match &one {
                News::Say { sentence, .. } => 6 * sentence.len() + 96,
                News::Alert { code, text, resource, .. } => {
                    6 * (code.len() + text.len() + resource.as_ref().map_or(0, String::len)) + 192
                }
                _ => 96,
            };
            if length + size + empty > PAYLOAD_BYTES_MAX {
                letters.push(Letter { from: self.node.clone(), news: Vec::new() });
                length = 0;
            }
            length += size;
            letters.last_mut().expect("there is one").news.push(one);
        }
        letters.iter().filter(|letter| !letter.news.is_empty()).map(crate::row::to_json).collect()
    }
}

impl Tx {
    /// Tells the other nodes, with this unit's commit. Nobody is told while there is no other.
    pub fn tell(&mut self, news: News) {
        let is_heard = self.seat.as_ref().is_some_and(|seat| seat.is_shared() || news == News::Beat);
        if is_heard {
            self.news.push(bounded(news));
        }
    }

    pub(crate) async fn send_news(&mut self) -> Result<(), StoreError> {
        let (Some(seat), false) = (self.seat.clone(), self.news.is_empty()) else { return Ok(()) };
        let Some(sql) = self.notify_sql() else { return Ok(()) };
        for payload in seat.write(std::mem::take(&mut self.news)) {
            execute!(self, sql, CHANNEL, payload)?;
        }
        Ok(())
    }
}

fn bounded(mut news: News) -> News {
    if let News::Say { sentence: text, .. } | News::Alert { text, .. } = &mut news {
        text.truncate(text.floor_char_boundary(SENTENCE_BYTES_MAX));
    }
    news
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Random;

    #[test]
    fn whatever_is_told_fits_and_is_told_once() {
        let (random, seat, other) = (Random::default(), Seat::new("a"), Seat::new(&"b".repeat(64)));
        let ids: Vec<_> = (0..500).map(|n| SessionId::mint(Timestamp::from_micros(n), &random)).collect();
        let mut news: Vec<_> = ids.iter().map(|id| News::Session(*id)).collect();
        news.push(bounded(News::Say { session: ids[0], sentence: "\u{1}ß".repeat(4_000) }));
        let (code, resource) = ("c".repeat(30), Some("r".repeat(64)));
        let (at, text) = (Timestamp::from_micros(7), "\u{1}ß".repeat(4_000));
        news.push(bounded(News::Alert { at, code, text, session: Some(ids[1]), resource }));
        let twice = news.iter().chain(&news).cloned().collect();
        let payloads = other.write(twice);
        assert!(payloads.iter().all(|payload| payload.len() < 8_000), "{:?}", payloads.iter().map(String::len).max());
        let heard: Vec<_> = payloads
            .iter()
            .flat_map(|payload| match seat.read(payload) {
                Some(Heard::News(news)) => news,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(heard, news);
        assert_eq!(other.read(&payloads[0]), None, "nobody hears themselves");
        assert_eq!(seat.read("from another version"), Some(Heard::Lost));
    }
}
