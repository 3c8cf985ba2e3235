//! Account numbers, taken from the store in blocks: requests for one host do not wait for each other's commits.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Mutex, PoisonError},
};

use cardea_domain::UidRange;
use cardea_store::Store;

use crate::AppError;

/// Numbers of a block. What a process had left of one is lost with it.
const BLOCK: u32 = 16;

/// What is left of the blocks of this process, by host.
#[derive(Default)]
pub(crate) struct Uids(Mutex<HashMap<String, Range<u32>>>);

impl Uids {
    /// A number of the range that nobody had on this host; `None` if there is none left.
    pub(crate) async fn next(&self, store: &Store, host: &str, range: UidRange) -> Result<Option<u32>, AppError> {
        if let Some(number) = self.left(host, range) {
            return Ok(Some(number));
        }
        // Near the end of a range a whole block is not left.
        for count in [BLOCK, 1] {
            let key = host.to_owned();
            let taken = store.write(move |tx| {
                Box::pin(async move { tx.take_uids(&key, range, count).await.map_err(AppError::from) })
            });
            if let Some(first) = taken.await? {
                self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(host.to_owned(), first + 1..first + count);
                return Ok(Some(first));
            }
        }
        Ok(None)
    }

    /// Numbers of the host's block may be in use there: the next ones are taken anew.
    pub(crate) fn forget(&self, host: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(host);
    }

    fn left(&self, host: &str, range: UidRange) -> Option<u32> {
        let mut blocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = blocks.get_mut(host)?.next()?;
        (range.first <= number && number <= range.last).then_some(number)
    }
}
