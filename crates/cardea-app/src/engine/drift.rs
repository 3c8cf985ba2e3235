//! What a person with root changed on a host so as to keep it: the host before the session and after it, compared.

use std::{cell::RefCell, collections::BTreeSet};

use cardea_domain::{Depth, Drift, Grant, GrantId, Session, Target, Timestamp, drift};

use super::Stop;
use crate::App;

/// Differences that the evidence names.
const NAMED_MAX: usize = 100;

impl App {
    /// What is different on the host since before the session, a sentence each; nothing if the session gave no root.
    pub(super) async fn drifted(&self, session: &Session, target: Option<Target>) -> Result<Vec<String>, Stop> {
        let id = session.id;
        let before = self.store().read(move |tx| Box::pin(async move { tx.snapshot(id).await })).await?;
        let (Some(before), Some(target)) = (before, target) else { return Ok(Vec::new()) };
        let began = self.0.clock.now();
        let after = match self.0.linux.snapshot(&target, Depth::Quick).await {
            Ok(after) => after,
            Err(error) => return Ok(vec![format!("what was changed as root could not be looked at: {error}")]),
        };
        // Only files of grants that are on this host are left out: anybody may name a file like one.
        let named = RefCell::new(BTreeSet::new());
        drift(&before, &after, |_, (grant, _)| {
            named.borrow_mut().insert(grant);
            true
        });
        let named: Vec<GrantId> = named.into_inner().into_iter().collect();
        let known = self.store().read(move |tx| Box::pin(async move { tx.grants_marked(&named).await })).await?;
        let found = drift(&before, &after, |drift, (mark, kind)| {
            known.iter().any(|known| {
                let is_here = known.target.address == target.address && known.target.port == target.port;
                let is_named = known.mark == mark && known.privilege.kind() == kind;
                // What this session had is proven gone: it is there only if somebody put it there.
                let is_there = known.session != id && is_out_since(known, began);
                is_here && is_named && (is_there || matches!(drift, Drift::Gone(_)))
            })
        });
        let more = found.len().saturating_sub(NAMED_MAX);
        let mut sentences: Vec<_> = found.into_iter().take(NAMED_MAX).map(|one| sentence(&one)).collect();
        if more > 0 {
            sentences.push(format!("and {more} more differences"));
        }
        Ok(sentences)
    }
}

/// Whether it is out, or was when the host was looked at.
fn is_out_since(grant: &Grant, began: Timestamp) -> bool {
    grant.state.is_out() || grant.removed_at.is_some_and(|at| at >= began)
}

fn sentence(drift: &Drift) -> String {
    match drift {
        Drift::Changed(what) => format!("changed while the person was root: {what}"),
        Drift::Gone(what) => format!("gone since the person was root: {what}"),
        Drift::New(what) => format!("new since the person was root: {what}"),
    }
}
