//! What must hold: always, when nothing is under way, and when everything is over.

use std::collections::BTreeSet;

use cardea_domain::{Approval, Grant, LockStage, Privilege, Session};
use cardea_store::ManagedAccount;

use super::{
    world::{HOSTS, PEOPLE},
    *,
};
use crate::plan::host_of;

/// Everything that the store says about the walk's sessions at one moment.
struct Picture {
    sessions: Vec<Session>,
    grants: Vec<Grant>,
    approvals: Vec<Approval>,
}

impl Picture {
    fn of<'a>(&'a self, session: &'a Session) -> impl Iterator<Item = &'a Grant> {
        self.grants.iter().filter(move |grant| grant.session == session.id)
    }
}

impl Walk {
    async fn look(&self) -> Result<Picture, Fault> {
        let ids: Vec<_> = self.sessions.iter().map(|known| known.id).collect();
        let read = self.store.read(move |tx| {
            Box::pin(async move {
                let mut sessions = Vec::with_capacity(ids.len());
                for id in &ids {
                    sessions.extend(tx.session(*id).await?);
                }
                let (grants, approvals) = (tx.grants_of_many(&ids).await?, tx.approvals_of(&ids).await?);
                Ok::<_, AppError>(Picture { sessions, grants, approvals })
            })
        });
        read.await.map_err(|error| format!("the store cannot be read: {error}"))
    }

    pub(super) async fn read_session(&self, id: SessionId) -> Result<Session, Fault> {
        let read =
            self.store.read(move |tx| Box::pin(async move { tx.session(id).await.map_err(AppError::from) })).await;
        read.map_err(|error| error.to_string())?.ok_or_else(|| format!("{id} is gone"))
    }

    pub(super) async fn read_grants(&self, id: SessionId) -> Result<Vec<Grant>, Fault> {
        let read = self.store.read(move |tx| Box::pin(async move { tx.grants_of(id).await.map_err(AppError::from) }));
        read.await.map_err(|error| error.to_string())
    }

    /// What holds at every moment.
    pub(super) async fn check(&mut self) -> Result<(), Fault> {
        let errors = self.errors.take();
        if !errors.is_empty() {
            return Err(format!("the engine met an error of its own: {errors:?}"));
        }
        let picture = self.look().await?;
        self.check_target(&picture)?;
        let now = self.clock.now();
        for (index, session) in picture.sessions.iter().enumerate() {
            let wrong = |what: &str| Err(format!("{what}: {}\n{:#?}", short(session), brief(picture.of(session))));
            let mut outs = picture.of(session).filter(|grant| grant.state.is_out());
            let is_out = outs.next().is_some();
            let known = &mut self.sessions[index];
            if session.fence < known.fence {
                return wrong("its fence fell");
            }
            known.fence = session.fence;
            if session.clean && is_out {
                return wrong("it counts as clean and something is out");
            }
            if session.status.is_ahead() && is_out {
                return wrong("it has not begun and something is out");
            }
            let is_over =
                session.status != Status::Failed && !session.status.can_end() && session.status != Status::Canceling;
            if is_over && !session.clean {
                return wrong("it is over and not clean");
            }
            if let Err(what) = check_reason(session, known.ended) {
                return wrong(&what);
            }
            if let Err(what) = check_end(session, known) {
                return wrong(&what);
            }
            // Users 1 and 3 while they are disabled, user 2 while she is out of the group that approves.
            let changed = self.changed;
            let has_lost = |name: &str| {
                (name == PEOPLE[1] && changed[8])
                    || (name == PEOPLE[3] && changed[12])
                    || (name == PEOPLE[2] && changed[13])
            };
            if let Err(what) = check_approvals(session, &picture.approvals, has_lost) {
                return wrong(&what);
            }
            let is_busy = self.busy.held().contains(&session.id);
            // Others are before it on its host.
            let waits = self.app.as_ref().is_some_and(|app| !app.0.turns.has_room(session));
            if session.wake_at.is_some_and(|at| at <= now) && !is_busy && !waits && self.app.is_some() {
                return wrong("it is due and nobody works on it");
            }
            let waits = session.status == Status::Scheduled && session.lock.is_some();
            let is_owed = session.status.can_end() || !session.clean;
            if is_owed && session.wake_at.is_none() && !waits {
                return wrong("nothing will ever wake it");
            }
        }
        self.check_holders(&picture)?;
        self.check_connections(&picture)
    }

    /// No privilege without a row that says so.
    fn check_target(&self, picture: &Picture) -> Result<(), Fault> {
        for (key, thing) in self.target.things() {
            let Some(mark) = thing.grant else { continue };
            let row = picture.grants.iter().find(|grant| grant.mark == mark && grant.state.is_out());
            if row.is_none() {
                let rows = brief(picture.grants.iter().filter(|grant| grant.mark == mark));
                return Err(format!("{key} is on the target and the ledger says otherwise: {rows:#?}"));
            }
        }
        Ok(())
    }

    /// A kept account is one session's at a time.
    fn check_holders(&self, picture: &Picture) -> Result<(), Fault> {
        for host in HOSTS {
            let is_kept = |grant: &&Grant| {
                matches!(grant.privilege, Privilege::ManagedAccount { .. })
                    && grant.state.is_out()
                    && grant.target.name == host
            };
            let holders: BTreeSet<_> = picture.grants.iter().filter(is_kept).map(|grant| grant.session).collect();
            if holders.len() > 1 {
                return Err(format!("a kept account of {host} is had by several: {holders:?}"));
            }
        }
        Ok(())
    }

    /// No connection without a live session, and none that passes anything while it is locked.
    fn check_connections(&mut self, picture: &Picture) -> Result<(), Fault> {
        for held in &self.held {
            let Some(session) = picture.sessions.get(held.session) else { continue };
            if !session.status.is_standing() {
                return Err(format!("a connection of a session that is {} was not cut", session.status));
            }
            let is_locked = session.status == Status::Locked;
            if held.is_frozen != is_locked {
                return Err(format!(
                    "a connection is frozen: {}, and its session is {}",
                    held.is_frozen, session.status
                ));
            }
        }
        for (index, session) in picture.sessions.iter().enumerate().filter(|(_, session)| session.status.is_open()) {
            let connections = self.held.iter().filter(|held| held.session == index).count();
            if self.app.is_some() && (connections > 0) != (session.status == Status::LoggedIn) {
                return Err(format!("{connections} connections, and the session is {}", session.status));
            }
        }
        Ok(())
    }

    /// When the session that still owes something wants to be looked at next; `None` if none owes anything.
    pub(super) async fn owed(&self) -> Result<Option<Timestamp>, Fault> {
        let picture = self.look().await?;
        let owes = |session: &&Session| {
            let is_locking = session.lock.as_ref().is_some_and(|lock| lock.stage != LockStage::Locked);
            let is_unclean = !session.clean && !session.status.is_ahead() && !session.status.is_standing();
            let is_stray =
                session.status.is_standing() && picture.of(session).any(|grant| grant.state == GrantState::Removing);
            is_unclean || is_stray || (is_locking && session.status.is_standing())
        };
        let soonest = picture.sessions.iter().filter(owes).filter_map(|session| session.wake_at).min();
        Ok(soonest.map(|at| at.max(self.clock.now())))
    }

    /// What holds when nothing is under way and nothing failed of late.
    pub(super) async fn check_calm(&self) -> Result<(), Fault> {
        let picture = self.look().await?;
        let things = self.target.things();
        let mut expected = BTreeSet::new();
        for session in picture.sessions.iter().filter(|session| session.status.is_standing()) {
            if session.claim.is_some() {
                return Err(format!("nobody works on it and it is claimed: {}", short(session)));
            }
            let is_locked = session.status == Status::Locked;
            for grant in
                picture.of(session).filter(|grant| grant.state == GrantState::Placed && grant.privilege.stays())
            {
                expected.insert(grant.mark);
                let Some((key, thing)) = things.iter().find(|(_, thing)| thing.grant == Some(grant.mark)) else {
                    if self.expired {
                        continue;
                    }
                    return Err(format!(
                        "{} of a live session is not there: {}",
                        grant.privilege.describe(),
                        short(session)
                    ));
                };
                let dead_man = matches!(grant.privilege, Privilege::DeadMan { .. });
                if thing.locked != is_locked && grant.share_key.is_none() && !dead_man {
                    return Err(format!("{key} is suspended: {}, and its session is {}", thing.locked, session.status));
                }
                if thing.expires_at < session.end_at && grant.share_key.is_none() {
                    return Err(format!(
                        "{key} ends at {:?} on the host, before its session: {}",
                        thing.expires_at,
                        short(session)
                    ));
                }
            }
            let is_left = |grant: &Grant| grant.stage == Stage::Session && grant.state == GrantState::Planned;
            if !is_locked && picture.of(session).any(is_left) {
                return Err(format!("a step of it never ran: {}\n{:#?}", short(session), brief(picture.of(session))));
            }
            // What may or may not be there.
            let unsure = picture.of(session).filter(|grant| grant.state == GrantState::Placing);
            expected.extend(unsure.map(|grant| grant.mark));
        }
        for (key, thing) in &things {
            let holds =
                |grant: &&Grant| Some(grant.mark) == thing.grant && grant.share_key.is_some() && grant.state.is_out();
            let holders = picture.grants.iter().filter(holds);
            let is_locked: Vec<_> = holders
                .filter_map(|grant| picture.sessions.iter().find(|session| session.id == grant.session))
                .map(|session| session.status == Status::Locked)
                .collect();
            if !is_locked.is_empty() && thing.locked != is_locked.iter().all(|is_locked| *is_locked) {
                return Err(format!(
                    "{key} is suspended: {}, and those who hold it are locked: {is_locked:?}",
                    thing.locked
                ));
            }
        }
        let strange: Vec<_> =
            things.iter().filter(|(_, thing)| thing.grant.is_some_and(|mark| !expected.contains(&mark))).collect();
        if !strange.is_empty() {
            return Err(format!("no live session holds what is on the target: {strange:?}"));
        }
        self.check_store(&picture).await
    }

    /// Nothing is kept for a session that is clean.
    async fn check_store(&self, picture: &Picture) -> Result<(), Fault> {
        let clean: Vec<_> = picture.sessions.iter().filter(|session| session.clean).map(|session| session.id).collect();
        let of_clean = |grant: &&Grant| clean.contains(&grant.session);
        let secrets: Vec<_> =
            picture.grants.iter().filter(of_clean).filter_map(|grant| grant.privilege.secret()).collect();
        let hosts: BTreeSet<_> = picture.grants.iter().map(|grant| host_of(&grant.target)).collect();
        let ids = clean.clone();
        let read = self.store.read(move |tx| {
            Box::pin(async move {
                let mut left = Vec::new();
                for secret in secrets {
                    left.extend(tx.secret(secret).await?.map(|_| format!("the secret {secret}")));
                }
                for id in ids {
                    left.extend(tx.snapshot(id).await?.map(|_| format!("the snapshot of {id}")));
                }
                let mut accounts: Vec<ManagedAccount> = Vec::new();
                for host in hosts {
                    accounts.extend(tx.managed_account(&host, "dba").await?);
                }
                Ok::<_, AppError>((left, accounts))
            })
        });
        let (left, accounts) = read.await.map_err(|error| error.to_string())?;
        if !left.is_empty() {
            return Err(format!("left in the store: {left:?}"));
        }
        match accounts.iter().filter_map(|account| account.holder).find(|holder| clean.contains(holder)) {
            Some(holder) => Err(format!("a kept account is checked out to {holder}, which is clean")),
            None => Ok(()),
        }
    }

    /// The target has nothing of Cardea's, and all that it had before.
    pub(super) fn check_empty(&self) -> Result<(), Fault> {
        let fresh = FakeConnector::new();
        world::furnish_hosts(&fresh);
        let (before, after) = (fresh.things(), self.target.things());
        if before == after {
            Ok(())
        } else {
            Err(format!("the target was {:?}, and is {:?}", before.keys(), after.keys()))
        }
    }

    /// Whether no session is alive or ahead.
    pub(super) async fn is_over(&self) -> Result<bool, Fault> {
        Ok(self.look().await?.sessions.iter().all(|session| session.clean))
    }

    /// Everything is over.
    pub(super) async fn check_over(&mut self) -> Result<(), Fault> {
        self.check_empty()?;
        let picture = self.look().await?;
        for reason in picture.sessions.iter().filter_map(|session| session.reason.as_ref()) {
            *self.met.entry(reason.code.clone()).or_default() += 1;
        }
        let live = picture.sessions.iter().find(|session| !session.clean || session.status.can_end());
        if let Some(session) = live {
            return Err(format!("it is not over: {}", short(session)));
        }
        match picture.grants.iter().find(|grant| grant.state.is_out() || grant.state == GrantState::Planned) {
            Some(grant) => Err(format!("the ledger still has it out: {grant:#?}")),
            None => Ok(()),
        }
    }

    pub(super) async fn picture(&self) -> String {
        match self.look().await {
            Ok(picture) => format!(
                "{:#?}\n{:#?}",
                picture.sessions.iter().map(short).collect::<Vec<_>>(),
                brief(picture.grants.iter())
            ),
            Err(fault) => fault,
        }
    }
}

fn short(session: &Session) -> String {
    let Session {
        id, activity_name, policy_name, status, reason, clean, wake_at, start_at, end_at, lock, claim, ..
    } = session;
    let reason = reason.as_ref().map(|reason| &reason.code);
    let lock = lock.as_ref().map(|lock| (lock.scope, lock.stage));
    let at = |at: &Option<Timestamp>| at.map_or("-".to_owned(), |at| at.to_string());
    format!(
        "{id} {activity_name} by {policy_name}: {status} {reason:?}, clean {clean}, wakes {}, starts {}, ends {}, {lock:?}, {claim:?}",
        at(wake_at),
        at(start_at),
        at(end_at)
    )
}

fn brief<'a>(grants: impl Iterator<Item = &'a Grant>) -> Vec<String> {
    let line = |grant: &Grant| {
        let Grant { session, ordinal, state, stage, mark, last_error, .. } = grant;
        format!("{session} {ordinal} {} {state:?} {stage:?} mark {mark} {last_error:?}", grant.privilege.kind())
    };
    grants.map(line).collect()
}

/// The reason agrees with the status, and with who was told that they ended it.
fn check_reason(session: &Session, ended: Option<&'static str>) -> Result<(), Fault> {
    const ENDS: [&str; 4] = ["reached_end", "hours_closed", "idle", "done"];
    const TAKEN: [&str; 3] = ["ended_by_administrator", "ended_by_operator", "ground_lost"];
    let code = session.reason.as_ref().map(|reason| reason.code.as_str());
    let status = match (session.status, session.closes_as) {
        (Status::Canceling, Some(status)) => status,
        (Status::Canceling, None) => return Err("it is ending as nothing".to_owned()),
        (status, _) => status,
    };
    let by_user = code == Some("ended_by_user");
    let fits = match status {
        Status::Completed => code.is_some_and(|code| ENDS.contains(&code)) || (by_user && session.start_at.is_some()),
        Status::Canceled => code.is_some_and(|code| TAKEN.contains(&code)) || (by_user && session.start_at.is_none()),
        Status::Denied => code == Some("denied"),
        Status::Expired => code == Some("not_approved"),
        Status::Failed => code.is_some_and(|code| !ENDS.contains(&code) && !TAKEN.contains(&code)) && !by_user,
        _ => code.is_none(),
    };
    if !fits {
        return Err(format!("it is {status} for the reason {code:?}"));
    }
    if ended.is_some() && ended != code {
        return Err(format!("it was ended by {ended:?} and says {code:?}"));
    }
    Ok(())
}

/// It lasts no longer than its profile and its extensions allow, and its end never moves by itself.
fn check_end(session: &Session, known: &mut Known) -> Result<(), Fault> {
    if !session.status.is_standing() {
        return Ok(());
    }
    let (Some(start), Some(end)) = (session.start_at, session.end_at) else { return Err("it has no end".to_owned()) };
    if session.duration > session.pins.max_duration {
        return Err("it lasts longer than its profile allows".to_owned());
    }
    let extension = session.rules.extension.map_or(Duration::ZERO, |extension| extension.by.get());
    let limit = session.rules.extension.map_or(0, |extension| extension.limit);
    if session.extensions > limit || end > start.plus(session.duration.get()).plus(extension * session.extensions) {
        return Err("it ends later than it may".to_owned());
    }
    known.end_max = Some(end);
    Ok(())
}

/// Nobody approved their own, nobody twice, and it does not go on without the whole quorum of each tier, by people who may
/// still give it. `has_lost` says of somebody whether they may not any more.
fn check_approvals(session: &Session, approvals: &[Approval], has_lost: impl Fn(&str) -> bool) -> Result<(), Fault> {
    let own: Vec<_> = approvals.iter().filter(|approval| approval.session == session.id).collect();
    if own.iter().any(|approval| approval.approver == session.user) {
        return Err("its user decided about it".to_owned());
    }
    // Also of whoever has no say at the moment: it would count again when they have.
    let given = own.iter().filter(|approval| {
        let tier = session.asked.as_ref().and_then(|asked| asked.tiers.get(approval.tier));
        approval.counts_for(&session.pins) && tier.is_some_and(|tier| tier.asks(approval.approver))
    });
    let who: Vec<_> = given.map(|approval| approval.approver).collect();
    if who.iter().collect::<BTreeSet<_>>().len() != who.len() {
        return Err("somebody approved twice".to_owned());
    }
    let counting: Vec<_> = own
        .iter()
        .filter(|approval| approval.counts_for(&session.pins) && !has_lost(&approval.approver_name))
        .collect();
    let has_begun = session.status.is_standing() || matches!(session.status, Status::Provisioning | Status::Scheduled);
    if session.profile_name != "asked" || !has_begun {
        return Ok(());
    }
    let tiers = session.asked.as_ref().map(|asked| &asked.tiers[..]).unwrap_or_default();
    if tiers.len() != 2 {
        return Err("it does not know whom it asked".to_owned());
    }
    let mut seen = BTreeSet::new();
    for (index, tier) in tiers.iter().enumerate() {
        let votes = counting.iter().filter(|approval| approval.tier == index && tier.asks(approval.approver));
        let people: BTreeSet<_> = votes.map(|approval| approval.approver).filter(|who| seen.insert(*who)).collect();
        if people.len() < tier.quorum as usize {
            return Err(format!("it goes on without approval of tier {}: {own:#?}", index + 1));
        }
    }
    Ok(())
}
