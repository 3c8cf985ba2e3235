//! The other side of the ledger: what carries Cardea's mark on a host and is not known to be there. A restored backup is older
//! than the hosts, and a lost database knows nothing of them; the marks tell, and their tokens prove whose they are. But a copy
//! of the store that somebody started beside this Cardea (from a backup, for a test) has the same tokens and knows as little: so
//! what no row stands for is told, and taken away only when somebody said so.
//!
//! Never takes away what a live grant names: a grant is written down before the host is touched, and the ledger is read
//! after the host.

use std::{collections::BTreeMap, time::Duration};

use cardea_domain::{
    AddSudoRule, ConnectorError, Evidence, Frame, FreshPassword, Grant, GrantId, GrantState, GroupProcesses, Leftovers,
    LoginAccount, Mark, Membership, ObjectId, Order, Privilege, SecretId, SessionId, Stage, Timestamp, UidRange,
};
use cardea_store::Tx;
use serde_json::json;

use super::{
    drive,
    host::{Held, Swept, sweeper},
    poll::Unasked,
};
use crate::{App, AppError, change::Note, plan::host_of};

/// How long a host may take to tell its marks, and to take one thing away.
const LOOK_LIMIT: Duration = Duration::from_secs(45);
const REMOVE_LIMIT: Duration = Duration::from_secs(60);
/// Marks that one sweep takes away; the next one goes on.
const ORPHANS_MAX: usize = 100;
/// How long one sweep goes on with that. Polls of the host wait meanwhile.
const REMOVING_MAX: Duration = Duration::from_secs(120);
/// Marks of others that are remembered as told.
const REPORTED_MAX: usize = 500;
/// How many of them one alert names.
const NAMED_MAX: usize = 5;
/// Numbers below this are the system's own.
const SYSTEM_UIDS: u32 = 1000;

/// What a mark on a host is.
enum Finding {
    /// The ledger knows that it is there, or that it may be.
    Known,
    /// The ledger says that it is gone.
    Back(Box<Grant>),
    /// Ours by its token, and the ledger knows nothing of it.
    Orphan(Box<Orphan>),
    /// A session that stands holds the same, so what removes it would take that away too.
    Later,
    /// Not ours to touch, and why.
    Foreign(String),
}

/// Something of ours that no session knows.
#[derive(Clone)]
struct Orphan {
    mark: Mark,
    order: Order,
}

/// What the ledger says of the marks, and of the numbers that they are about.
struct Ledger {
    marked: Vec<Grant>,
    out: Vec<Grant>,
}

impl App {
    /// Looks for marks, and takes away what is ours and should not be there.
    pub(super) async fn sweep(&self, held: &Held) -> Result<Swept, Unasked> {
        let began = self.0.clock.now();
        let looked = tokio::time::timeout(LOOK_LIMIT, self.0.linux.marks(&held.target)).await;
        let late = || ConnectorError::Unknown("the host took too long to tell its marks".to_owned());
        let marks = looked.unwrap_or_else(|_| Err(late()))?;
        let ledger = self.ledger_of(held, &marks).await?;
        let (mut back, mut orphans, mut foreign) = (Vec::new(), Vec::new(), Vec::new());
        let mut is_done = true;
        for mark in &marks {
            match self.judge_mark(held, mark, &marks, &ledger, began) {
                Finding::Known => {}
                Finding::Back(grant) => back.push(*grant),
                Finding::Orphan(orphan) => orphans.push(*orphan),
                Finding::Later => is_done = false,
                Finding::Foreign(why) => foreign.push((named(mark), why)),
            }
        }
        self.take_back(held, back).await?;
        self.keep_numbers(held, &marks, &ledger).await?;
        let mut reported = Vec::new();
        if held.row.may_remove {
            let removed = self.remove_orphans(held, orphans).await?;
            is_done &= removed.done;
            foreign.extend(removed.refused);
        } else {
            let unknown = orphans.iter().map(|orphan| (named(&orphan.mark), UNKNOWN.to_owned())).collect();
            reported.extend(self.report(held, ("orphan_found", unknown)).await?);
        }
        reported.extend(self.report(held, ("foreign_mark", foreign)).await?);
        reported.truncate(REPORTED_MAX);
        Ok(Swept { done: is_done, reported })
    }

    async fn ledger_of(&self, held: &Held, marks: &[Mark]) -> Result<Ledger, AppError> {
        let ids: Vec<_> = marks.iter().map(|mark| mark.grant).collect();
        let uids: Vec<_> = marks.iter().filter_map(|mark| mark.uid).collect();
        let resources = held.resources.clone();
        let read = self.store().read(move |tx| Box::pin(async move { read_ledger(tx, &ids, &resources, &uids).await }));
        read.await
    }

    fn judge_mark(&self, held: &Held, mark: &Mark, all: &[Mark], ledger: &Ledger, began: Timestamp) -> Finding {
        let is_genuine = mark.token == self.ownership_token(mark.grant);
        let rows: Vec<_> = ledger.marked.iter().filter(|row| row.id == mark.grant || row.mark == mark.grant).collect();
        let Some(first) = rows.iter().find(|row| row.id == mark.grant).or(rows.first()) else {
            return if is_genuine { self.judge_orphan(held, mark, all, ledger) } else { foreign(STRANGE) };
        };
        if !is_genuine {
            return foreign("it names a grant of Cardea's, and its token is not Cardea's");
        }
        if host_of(&first.target) != held.row.key {
            return foreign("it is a copy: its grant was placed on another host");
        }
        if mark.uid.is_some_and(|uid| uid != first.account.uid) {
            return foreign("it is a copy: its grant was placed for another account");
        }
        if !rows.iter().all(|row| row.state == GrantState::Removed) {
            return Finding::Known;
        }
        // Removed while the host was looked at.
        if rows.iter().any(|row| row.removed_at.is_none_or(|at| at >= began)) {
            return Finding::Known;
        }
        Finding::Back(Box::new((*first).clone()))
    }

    /// Ours by its token, and no row: it is taken away if nothing speaks for its being a copy.
    fn judge_orphan(&self, held: &Held, mark: &Mark, all: &[Mark], ledger: &Ledger) -> Finding {
        let ranges = self.ranges(held);
        let is_account = mark.kind == "account";
        if mark.uid.is_some_and(|uid| uid < SYSTEM_UIDS) {
            return foreign("it stands on an account of the system");
        }
        let is_in_range =
            mark.uid.is_some_and(|uid| ranges.iter().any(|range| (range.first..=range.last).contains(&uid)));
        if is_account && !is_in_range {
            return foreign("it stands on an account whose number is outside of the resource's uid_range");
        }
        let twins = all.iter().filter(|other| other.grant == mark.grant && other.kind == mark.kind);
        if is_account && twins.count() > 1 {
            return foreign("several accounts carry it");
        }
        let is_shared = matches!(mark.kind.as_str(), "account" | "managed_account" | "group_membership");
        if is_shared && ledger.out.iter().any(|grant| Some(grant.account.uid) == mark.uid) {
            return Finding::Later;
        }
        let fallback = ranges.first().map_or(UidRange::default().first, |range| range.first);
        match self.order_of(mark, all, fallback) {
            Some(order) => Finding::Orphan(Box::new(Orphan { mark: mark.clone(), order })),
            None => foreign("this version of Cardea does not know how to remove it"),
        }
    }

    fn ranges(&self, held: &Held) -> Vec<UidRange> {
        let configuration = self.configuration();
        let specs = held.resources.iter().filter_map(|id| configuration.get(*id)?.as_resource());
        specs.map(|spec| spec.uid_range).collect()
    }

    /// What is to be removed where a mark is. Removing needs only what names the thing: what it was placed with nobody knows any more.
    fn order_of(&self, mark: &Mark, all: &[Mark], fallback: u32) -> Option<Order> {
        let nothing = SecretId::mint(self.0.clock.now(), &*self.0.entropy);
        let privilege = match mark.kind.as_str() {
            "account" => Privilege::Account { leftovers: Leftovers::default() },
            "authorized_key" | "personal_key" => Privilege::AuthorizedKey { public_key: String::new() },
            "dead_man" => Privilege::DeadMan { undo: Vec::new() },
            "group_membership" => Privilege::GroupMembership(Membership {
                group: mark.subject.clone()?,
                processes: GroupProcesses::default(),
            }),
            "managed_account" => Privilege::ManagedAccount {
                adopt: false,
                clean_home: false,
                password: None,
                leftovers: Leftovers::default(),
            },
            "password" => Privilege::Password(FreshPassword { password: nothing }),
            "sudo_rule" => {
                Privilege::SudoRule(AddSudoRule { commands: Vec::new(), run_as: "root".to_owned(), password: false })
            }
            _ => return None,
        };
        // Files of rules name the number only.
        let of_number = || all.iter().find(|other| other.uid == mark.uid && other.account.is_some())?.account.clone();
        let account = LoginAccount {
            name: mark.account.clone().or_else(of_number).unwrap_or_else(|| "nobody-known".to_owned()),
            uid: mark.uid.unwrap_or(fallback),
        };
        Some(Order { grant: mark.grant, token: mark.token.clone(), account, privilege, expires_at: self.0.clock.now() })
    }

    /// What is there again, or still, goes by its session's own clean-up.
    async fn take_back(&self, held: &Held, back: Vec<Grant>) -> Result<(), AppError> {
        let mut sessions: BTreeMap<SessionId, Vec<GrantId>> = BTreeMap::new();
        for grant in back {
            sessions.entry(grant.session).or_default().push(grant.id);
        }
        for (session, grants) in sessions {
            self.retried(|| self.reopen_for(held, session, grants.clone())).await?;
        }
        Ok(())
    }

    async fn reopen_for(&self, held: &Held, id: SessionId, grants: Vec<GrantId>) -> Result<(), AppError> {
        let (app, name) = (self.clone(), held.target.name.clone());
        let reopened = self.store().write(move |tx| {
            Box::pin(async move {
                let mut session = tx.session(id).await?.ok_or(AppError::NotFound)?;
                let mut rows = tx.grants_marked(&grants).await?;
                if rows.iter().any(|row| row.state != GrantState::Removed) {
                    return Ok(());
                }
                rows.retain(|row| grants.contains(&row.id));
                for row in &mut rows {
                    row.state = GrantState::Removing;
                    row.last_error = Some("it is on the host, where it should be no more".to_owned());
                }
                tx.save_grants(&rows).await?;
                app.announce_grants(tx, &session, &rows);
                let now = app.0.clock.now();
                if session.clean {
                    session.reopen(now);
                } else {
                    session.try_now(now);
                }
                let things: Vec<_> = rows.iter().map(|row| row.privilege.describe()).collect();
                let text = format!("{} is on {name}, where it should be no more: removing it again", things.join(", "));
                let alert = app.alert("orphan_removed", text.clone(), Some(id), Some(&name));
                app.announce_alert(tx, alert);
                app.save_session(tx, &drive()?, &mut session, Note::error(Stage::PostSession, text)).await?;
                let waker = app.clone();
                tx.after_commit(Box::new(move || waker.nudge()));
                Ok(())
            })
        });
        reopened.await
    }

    /// A number that is in use on the host is never given again, although the ledger knows nothing of it: neither one of an account
    /// that carries any mark, nor one that anything with a true token names.
    async fn keep_numbers(&self, held: &Held, marks: &[Mark], ledger: &Ledger) -> Result<(), AppError> {
        let ranges = self.ranges(held);
        let is_given = |uid: &u32| ranges.iter().any(|range| (range.first..=range.last).contains(uid));
        let is_known = |mark: &Mark| ledger.marked.iter().any(|row| row.account.uid == mark.uid.unwrap_or_default());
        let is_used = |mark: &&Mark| {
            let is_account = matches!(mark.kind.as_str(), "account" | "managed_account");
            !is_known(mark) && (is_account || mark.token == self.ownership_token(mark.grant))
        };
        let Some(highest) = marks.iter().filter(is_used).filter_map(|mark| mark.uid).filter(is_given).max() else {
            return Ok(());
        };
        let key = held.row.key.clone();
        let kept = self
            .store()
            .write(move |tx| Box::pin(async move { tx.used_uid(&key, highest).await.map_err(AppError::from) }));
        if kept.await? {
            self.0.uids.forget(&held.row.key).await;
        }
        Ok(())
    }

    /// What depends on others first, and what ends them by itself last.
    async fn remove_orphans(&self, held: &Held, mut orphans: Vec<Orphan>) -> Result<Removed, AppError> {
        let rank = |orphan: &Orphan| match orphan.order.privilege {
            Privilege::DeadMan { .. } => 2,
            _ if orphan.order.privilege.is_account() => 1,
            _ => 0,
        };
        orphans.sort_by_key(rank);
        let mut removed = Removed { done: orphans.len() <= ORPHANS_MAX, refused: Vec::new() };
        let until = tokio::time::Instant::now() + REMOVING_MAX;
        for orphan in orphans.into_iter().take(ORPHANS_MAX) {
            if tokio::time::Instant::now() >= until {
                removed.done = false;
                break;
            }
            let is_switch = matches!(orphan.order.privilege, Privilege::DeadMan { .. });
            if is_switch && (!removed.done || !removed.refused.is_empty()) {
                // It ends by itself what could not be removed.
                removed.done = false;
                continue;
            }
            if !self.is_still_unknown(held, &orphan).await? {
                removed.done = false;
                continue;
            }
            match self.remove_orphan(held, &orphan).await {
                Ok(evidence) => self.tell_removed(held, &orphan, evidence).await?,
                Err(error @ (ConnectorError::Tampered(_) | ConnectorError::Refused(_))) => {
                    removed.refused.push((named(&orphan.mark), error.to_string()));
                }
                Err(error) => {
                    tracing::warn!(host = %held.target, %error, "Could not remove {}", named(&orphan.mark));
                    removed.done = false;
                }
            }
        }
        Ok(removed)
    }

    /// Looks at the ledger once more, right before the host is touched.
    async fn is_still_unknown(&self, held: &Held, orphan: &Orphan) -> Result<bool, AppError> {
        let ledger = self.ledger_of(held, std::slice::from_ref(&orphan.mark)).await?;
        let one = std::slice::from_ref(&orphan.mark);
        Ok(ledger.marked.is_empty()
            && matches!(self.judge_orphan(held, &orphan.mark, one, &ledger), Finding::Orphan(_)))
    }

    async fn remove_orphan(&self, held: &Held, orphan: &Orphan) -> Result<Evidence, ConnectorError> {
        // Nobody knows its session: a name that is the same for the same grant keeps two removals apart.
        let text = orphan.order.grant.to_string().replacen(GrantId::PREFIX, SessionId::PREFIX, 1);
        let session = text.parse().map_err(|_| ConnectorError::Refused("the mark names no grant".to_owned()))?;
        let frame = Frame { session, fence: 1, limit: REMOVE_LIMIT };
        self.0.linux.remove(&held.target, frame, &orphan.order).await
    }

    async fn tell_removed(&self, held: &Held, orphan: &Orphan, evidence: Evidence) -> Result<(), AppError> {
        let (app, name, what) = (self.clone(), held.target.name.clone(), named(&orphan.mark));
        let grant = orphan.mark.grant;
        let told = self.store().write(move |tx| {
            Box::pin(async move {
                let text =
                    format!("Removed {what} from {name}: it carries Cardea's token, and the ledger does not know it");
                let alert = app.alert("orphan_removed", text, None, Some(&name));
                let detail = json!({ "grant": grant, "read_back": evidence.read_back, "findings": evidence.findings });
                app.raise(tx, &sweeper()?, alert, detail).await.map_err(AppError::from)
            })
        });
        told.await
    }

    /// Tells once of each mark that is left as it is. The answer is what has been told of and is still there.
    async fn report(
        &self,
        held: &Held,
        (code, left): (&'static str, Vec<(String, String)>),
    ) -> Result<Vec<String>, AppError> {
        let told = |what: &str| held.row.reported.iter().any(|known| known == what);
        let fresh: Vec<_> = left.iter().filter(|(what, _)| !told(what)).cloned().collect();
        let reported: Vec<_> = left.into_iter().map(|(what, _)| what).take(REPORTED_MAX).collect();
        if fresh.is_empty() {
            return Ok(reported);
        }
        let (app, name) = (self.clone(), held.target.name.clone());
        let text = left_sentence(&name, &fresh, code);
        tracing::warn!(host = %held.target, marks = fresh.len(), "{text}");
        let told = self.store().write(move |tx| {
            Box::pin(async move {
                let alert = app.alert(code, text, None, Some(&name));
                let detail = json!({ "marks": fresh.iter().map(|(what, why)| json!({ "mark": what, "why": why })).collect::<Vec<_>>() });
                app.raise(tx, &sweeper()?, alert, detail).await.map_err(AppError::from)
            })
        });
        told.await?;
        Ok(reported)
    }
}

/// What became of orphans.
struct Removed {
    done: bool,
    /// What the host did not let go, and why: a person has to look.
    refused: Vec<(String, String)>,
}

const UNKNOWN: &str = "its token is this Cardea's, and the ledger does not know it";
const STRANGE: &str = "its token is not this Cardea's: another one works on this host too, or somebody made it";

async fn read_ledger(tx: &mut Tx, ids: &[GrantId], resources: &[ObjectId], uids: &[u32]) -> Result<Ledger, AppError> {
    Ok(Ledger { marked: tx.grants_marked(ids).await?, out: tx.grants_out_for(resources, uids).await? })
}

fn foreign(why: &str) -> Finding {
    Finding::Foreign(why.to_owned())
}

/// A mark, as people read it and as it is remembered.
fn named(mark: &Mark) -> String {
    let whose = mark.account.as_deref().map(|name| format!(" of {name}")).unwrap_or_default();
    format!("{}{whose} ({}, {})", mark.kind.replace('_', " "), mark.grant, mark.detail)
}

fn left_sentence(name: &str, fresh: &[(String, String)], code: &str) -> String {
    let some: Vec<_> = fresh.iter().take(NAMED_MAX).map(|(what, why)| format!("{what}: {why}")).collect();
    let more = fresh.len().saturating_sub(NAMED_MAX);
    let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
    let what = if code == "orphan_found" {
        format!(
            " If no other Cardea with this master key works on {name}, have them taken away: `cardea grants sweep {name} --remove`"
        )
    } else {
        String::new()
    };
    format!("{name} has marks of Cardea that were left as they are. {}{rest}.{what}", some.join("; "))
}
