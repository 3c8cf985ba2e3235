//! What several sessions may hold, and what the dead man's switch undoes of it.

use cardea_domain::{Grant, GrantState, Presence, Privilege, Session};
use cardea_store::Tx;

use super::provision::{Halt, SHARED_PAUSE};
use crate::{
    App, AppError,
    plan::{is_unmarked, undo_of, undo_of_all},
};

impl App {
    /// What was found there and counts as not Cardea's: another session may have taken it away behind the look, because it was that
    /// session's. It had written that down by then, so a further look tells.
    pub(super) async fn check_found(&self, session: &Session, grants: &[Grant], due: &[usize]) -> Result<(), Halt> {
        let is_found = |at: &usize| grants[*at].state == GrantState::Preexisting && grants[*at].share_key.is_some();
        let found: Vec<_> = due.iter().copied().filter(is_found).collect();
        if found.is_empty() {
            return Ok(());
        }
        let seen = self.observe(session, grants, &found).await;
        // What cannot be looked at is not known to be there either.
        let is_gone = |at: &usize| match &seen {
            Ok(seen) => seen[*at].as_ref().is_some_and(|seen| seen.presence == Presence::Absent),
            Err(_) => true,
        };
        let anew =
            |at: usize| Grant { state: GrantState::Planned, before: None, expires_at: None, ..grants[at].clone() };
        let gone: Vec<_> = found.into_iter().filter(is_gone).map(anew).collect();
        let is_empty = gone.is_empty();
        if !is_empty {
            self.plan_anew(session, gone).await?;
        }
        seen?;
        if is_empty { Ok(()) } else { Err(Halt::Wait(SHARED_PAUSE)) }
    }

    async fn plan_anew(&self, session: &Session, gone: Vec<Grant>) -> Result<(), AppError> {
        let (app, session) = (self.clone(), session.clone());
        let planned = self.store().write(move |tx| {
            Box::pin(async move {
                let ids: Vec<_> = gone.iter().map(|grant| grant.id).collect();
                Self::still(tx, session.id, &ids, &[GrantState::Preexisting]).await?;
                tx.save_grants(&gone).await?;
                app.announce_grants(tx, &session, &gone);
                Ok::<_, AppError>(())
            })
        });
        planned.await
    }
}

/// How a grant stands to others of the same privilege.
pub(super) enum Shared {
    No,
    Leaving,
    /// The clean-up that takes it away is stalled.
    Stuck,
    InTheWay(String),
}

/// Decides how a grant is placed, in the unit that writes it down: with the mark of a session that holds the same, or with its
/// own; or not at all, if it was there before Cardea.
pub(super) async fn share(tx: &mut Tx, grant: &mut Grant) -> Result<Shared, AppError> {
    // An unresolved `placing` means ours, whoever wrote it.
    if grant.state != GrantState::Planned {
        return Ok(Shared::No);
    }
    let mut holders = match &grant.share_key {
        Some(key) => tx.holders(key).await?,
        None => Vec::new(),
    };
    holders.retain(|holder| holder.id != grant.id);
    if let Some(leaving) = holders.iter().find(|holder| holder.state == GrantState::Removing) {
        let is_stuck = tx.session(leaving.session).await?.is_some_and(|session| session.cleanup_stalled);
        return Ok(if is_stuck { Shared::Stuck } else { Shared::Leaving });
    }
    if let Some(holder) = holders.first() {
        grant.mark = holder.mark;
        grant.token.clone_from(&holder.token);
        grant.expires_at = holders.iter().filter_map(|holder| holder.expires_at).chain(grant.expires_at).max();
        grant.before.clone_from(&holder.before);
    } else if let Some(before) = grant.before.as_ref().filter(|before| before.presence == Presence::Foreign) {
        if !grant.privilege.may_preexist() {
            return Ok(Shared::InTheWay(before.detail.clone()));
        }
        grant.state = GrantState::Preexisting;
        return Ok(Shared::No);
    }
    grant.state = GrantState::Placing;
    Ok(Shared::No)
}

/// The dead man's switch undoes what carries the marks that were decided on just now.
pub(super) async fn restate_dead_man(tx: &mut Tx, grants: &mut [Grant]) -> Result<(), AppError> {
    let undo = undo_of_all(grants);
    let Some(switch) = grants.iter_mut().find(|grant| matches!(grant.privilege, Privilege::DeadMan { .. })) else {
        return Ok(());
    };
    let stated = Privilege::DeadMan { undo };
    if switch.privilege != stated && switch.placed_at.is_none() {
        switch.privilege = stated;
        tx.replan_grant(switch).await?;
    }
    Ok(())
}

/// Whether a step that is about to be placed is not what a switch of before undoes: it carries another's mark, or could have been
/// there before.
pub(super) fn is_undone_otherwise(grant: &Grant) -> bool {
    grant.state == GrantState::Placing && (grant.mark != grant.id || is_unmarked(grant))
}

/// The same for a switch that is on the host already, when later steps share what others hold, or turn out to be Cardea's. `None` if
/// nothing changes.
pub(super) async fn restate_placed_switch(
    tx: &mut Tx,
    session: &Session,
    unknown: Vec<&Grant>,
) -> Result<Option<Grant>, AppError> {
    if unknown.is_empty() {
        return Ok(None);
    }
    let is_placed = |grant: &Grant| grant.state == GrantState::Placed;
    let mut switches = tx.grants_of(session.id).await?;
    switches.retain(|grant| is_placed(grant) && matches!(grant.privilege, Privilege::DeadMan { .. }));
    let Some(mut switch) = switches.pop() else { return Ok(None) };
    let Privilege::DeadMan { undo } = &mut switch.privilege else { return Ok(None) };
    for grant in unknown {
        match undo.iter_mut().find(|known| known.grant == grant.id || known.privilege == grant.privilege) {
            Some(known) => (known.grant, known.token) = (grant.mark, grant.token.clone()),
            // What comes later is undone first.
            None => undo.insert(0, undo_of(grant)),
        }
    }
    tx.restate_grant(&switch).await?;
    Ok(Some(switch))
}
