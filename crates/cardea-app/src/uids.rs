//! Account numbers, taken from the store in blocks: requests for one host do not wait for each other's commits.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use cardea_domain::UidRange;
use cardea_store::Store;

use crate::AppError;

/// Numbers of a block. What a process had left of one is lost with it.
const BLOCK: u32 = 16;

/// What is left of the blocks of this process, by host. Who finds a block used up takes the next one for all who wait.
#[derive(Default)]
pub(crate) struct Uids(Mutex<HashMap<String, Block>>);

type Block = Arc<tokio::sync::Mutex<Range<u32>>>;

impl Uids {
    /// A number of the range that nobody had on this host; `None` if there is none left.
    pub(crate) async fn next(&self, store: &Store, host: &str, range: UidRange) -> Result<Option<u32>, AppError> {
        let block = self.block(host);
        let mut block = block.lock().await;
        if let Some(number) = block.next().filter(|number| (range.first..=range.last).contains(number)) {
            return Ok(Some(number));
        }
        // Near the end of a range a whole block is not left.
        for count in [BLOCK, 1] {
            let key = host.to_owned();
            let taken = store.write(move |tx| {
                Box::pin(async move { tx.take_uids(&key, range, count).await.map_err(AppError::from) })
            });
            if let Some(first) = taken.await? {
                *block = first + 1..first + count;
                return Ok(Some(first));
            }
        }
        Ok(None)
    }
    /// Numbers of the host's block may be in use there: the next ones are taken anew.
    pub(crate) async fn forget(&self, host: &str) {
        *self.block(host).lock().await = 0..0;
    }

    fn block(&self, host: &str) -> Block {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(host.to_owned()).or_default().clone()
    }
}
