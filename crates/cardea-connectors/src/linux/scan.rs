//! Scans of a whole host: one at a time, and one for all who wait.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use cardea_domain::{ConnectorError, ScanFinding, UidRange};
use tokio::sync::Mutex as AsyncMutex;

use super::host::Host;

/// How long a scan of a whole host may take.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// The scans of one host. Whoever asked before a scan began is served by it; many sessions end at the same time.
#[derive(Default)]
pub(super) struct Scans {
    /// What is asked for and not served yet.
    wanted: Mutex<Vec<UidRange>>,
    last: AsyncMutex<Option<Scan>>,
}

struct Scan {
    began_at: Instant,
    range: UidRange,
    found: Vec<ScanFinding>,
}

impl Scans {
    /// What a scan that began after this call found in this range.
    pub(super) async fn run(&self, host: &Host, range: UidRange) -> Result<Vec<ScanFinding>, ConnectorError> {
        let asked_at = Instant::now();
        self.wanted().push(range);
        let mut last = self.last.lock().await;
        if let Some(scan) = last.as_ref().filter(|scan| scan.serves(asked_at, range)) {
            return Ok(scan.within(range));
        }
        let wanted = std::mem::take(&mut *self.wanted());
        let range_of_all = wanted
            .into_iter()
            .fold(range, |all, one| UidRange { first: all.first.min(one.first), last: all.last.max(one.last) });
        let began_at = Instant::now();
        let words = [range_of_all.first.to_string(), range_of_all.last.to_string()];
        let found = host.ask_apart(LIMIT, "scan", &words).await?.files();
        let scan = last.insert(Scan { began_at, range: range_of_all, found });
        Ok(scan.within(range))
    }

    fn wanted(&self) -> std::sync::MutexGuard<'_, Vec<UidRange>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Scan {
    fn serves(&self, asked_at: Instant, range: UidRange) -> bool {
        self.began_at >= asked_at && self.range.first <= range.first && range.last <= self.range.last
    }

    fn within(&self, range: UidRange) -> Vec<ScanFinding> {
        self.found.iter().filter(|file| (range.first..=range.last).contains(&file.uid)).cloned().collect()
    }
}
