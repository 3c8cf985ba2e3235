//! A unit of work on its way: the caller's closure, what it answered, and who waits for it.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::{sync::oneshot, time::timeout};

use crate::{StoreError, Tx, tx::Effect};

/// No unit holds a transaction for longer. Units only talk to the database, so this is far from what any needs.
pub(crate) const UNIT_TIME_MAX: Duration = Duration::from_secs(30);

/// A unit whose types are its caller's business.
pub(crate) trait Unit: Send {
    /// Runs the closure and keeps its answer. True if its work is to be kept.
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, bool>;

    /// Answers the caller: what the closure said, unless its work could not be committed.
    fn finish(self: Box<Self>, committed: Result<(), StoreError>);
}

pub(crate) struct Pending<T, E, F> {
    unit: Option<F>,
    result: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> Pending<T, E, F> {
    pub(crate) fn new(unit: F) -> (Self, oneshot::Receiver<Result<T, E>>) {
        let (answer, heard) = oneshot::channel();
        (Self { unit: Some(unit), result: None, answer }, heard)
    }
}

impl<T, E, F> Unit for Pending<T, E, F>
where
    F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Result<T, E>> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let Some(unit) = self.unit.take() else { return false };
            let guarded = AssertUnwindSafe(async {
                let done = unit(tx).await?;
                tx.flush().await?;
                Ok(done)
            })
            .catch_unwind();
            let result = match timeout(UNIT_TIME_MAX, guarded).await {
                Err(_) => Err(StoreError::TooSlow.into()),
                Ok(Err(_)) => Err(StoreError::Panicked.into()),
                Ok(Ok(Ok(_))) if tx.is_broken() => Err(StoreError::Swallowed.into()),
                Ok(Ok(result)) => result,
            };
            let keep = result.is_ok();
            self.result = Some(result);
            keep
        })
    }

    fn finish(self: Box<Self>, committed: Result<(), StoreError>) {
        let result = match (self.result, committed) {
            (Some(Ok(_)) | None, Err(error)) => Err(error.into()),
            (Some(result), _) => result,
            (None, Ok(())) => Err(StoreError::Closed.into()),
        };
        // Nobody listens if the caller went away: the work is done all the same.
        drop(self.answer.send(result));
    }
}

/// Runs effects in order. One that panics does not keep the others from running.
pub(crate) fn run_effects(effects: Vec<Effect>) {
    for effect in effects {
        if std::panic::catch_unwind(AssertUnwindSafe(effect)).is_err() {
            tracing::error!("What should follow a commit panicked; the commit itself holds");
        }
    }
}
