//! Sending. Each outlet has a lane of its own, so that one that does not answer holds up nothing of another. A notice is
//! claimed, handed over and settled; whoever dies in between leaves it due, so it may arrive twice and is never lost.

use std::{collections::HashSet, panic::AssertUnwindSafe, time::Duration};

use cardea_domain::{
    Claim, Facts, Mail, NoticeId, NoticeKind, NoticeState, Session, Status, Timestamp, is_unprintable,
};
use cardea_store::NoticeRow;
use futures_util::FutureExt as _;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::{MAIL, Outlets, URGENT_MAIL, WEBHOOK, person, template};
use crate::{App, AppError};

/// Notices of one outlet that are sent at once.
const AT_ONCE: usize = 4;
/// One attempt takes no longer, whatever the courier does.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(45);
/// For how long a notice is in a node's hands: an attempt, and the writing down of how it went.
const LEASE: Duration = Duration::from_secs(90);
/// The pause after the first attempt; doubled each time, up to [`AGAIN_MAX`].
const AGAIN: Duration = Duration::from_secs(10);
const AGAIN_MAX: Duration = Duration::from_secs(1800);
/// The pause after the store failed to answer.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// How long attempts may go on after a stop. What is cut off is made again at the next start.
const DRAIN: Duration = Duration::from_secs(5);
/// A longer error is cut.
const ERROR_CHARS_MAX: usize = 500;

/// How often the outbox is tidied.
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// The same where nothing is sent: what others left behind has time.
const TIDY_AT_REST: Duration = Duration::from_secs(3600);
/// What was sent is kept this long, and what was given up.
const KEEP_SENT: Duration = Duration::from_secs(7 * 86_400);
const KEEP_FAILED: Duration = Duration::from_secs(30 * 86_400);
/// Notices that are forgotten at once.
const TOGETHER: u32 = 1000;

/// What became of an attempt.
enum Attempt {
    Sent,
    /// It is not true any more.
    Dropped,
    /// Its time was over before it was tried.
    TooLate,
}

impl App {
    /// Sends notices until `stop`, then lets running attempts finish.
    pub async fn run_notices(&self, stop: CancellationToken) {
        let (mut lanes, outlets) = (JoinSet::new(), self.outlet_names());
        let mut tidying = interval(if outlets.is_empty() { TIDY_AT_REST } else { TIDY_EVERY });
        for outlet in outlets {
            lanes.spawn(self.clone().run_lane(outlet, stop.clone()));
        }
        tidying.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                // It never ends by itself: without it nothing of its outlet would go out.
                Some(_) = lanes.join_next() => break,
                _ = tidying.tick() => {
                    if let Err(error) = self.tidy_outbox().await {
                        warn!(%error, "The outbox could not be tidied; trying again");
                    }
                }
            }
        }
        while lanes.join_next().await.is_some() {}
    }

    fn outlet_names(&self) -> Vec<String> {
        let Some(outlets) = self.0.outbox.outlets.get() else { return Vec::new() };
        let webhooks = outlets.webhooks.iter().map(|webhook| format!("{WEBHOOK}{}", webhook.name));
        let mail = outlets.mail.iter().flat_map(|_| [MAIL, URGENT_MAIL].map(str::to_owned));
        mail.chain(webhooks).collect()
    }

    async fn run_lane(self, outlet: String, stop: CancellationToken) {
        let (mut workers, mut busy) = (JoinSet::new(), HashSet::new());
        let mut due = self.0.outbox.due.subscribe();
        loop {
            let pause = match self.send_due(&outlet, &mut workers, &mut busy).await {
                Ok(pause) => pause,
                Err(error) => {
                    error!(%error, outlet, "Notices cannot be read; trying again");
                    STORE_PAUSE
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                _ = due.changed() => {}
                () = sleep(pause) => {}
                Some(Ok(id)) = workers.join_next() => drop(busy.remove(&id)),
            }
        }
        let drained = timeout(DRAIN, async { while workers.join_next().await.is_some() {} });
        if drained.await.is_err() {
            debug!(outlet, "Attempts to send notices were cut off by the stop; they are made again at the next start");
        }
    }

    /// Starts an attempt for every notice that is due; says how long to sleep.
    async fn send_due(
        &self,
        outlet: &str,
        workers: &mut JoinSet<NoticeId>,
        busy: &mut HashSet<NoticeId>,
    ) -> Result<Duration, AppError> {
        let most = self.sleep_max();
        let room = AT_ONCE.saturating_sub(busy.len());
        if room == 0 {
            return Ok(most);
        }
        let (now, node, name) = (self.0.clock.now(), self.0.node.clone(), outlet.to_owned());
        let exclude: Vec<_> = busy.iter().copied().collect();
        let held = exclude.clone();
        let read = self.0.store.read(move |tx| {
            Box::pin(async move { tx.next_notice_wake(&name, (now, &node), &held).await.map_err(AppError::from) })
        });
        match read.await? {
            None => return Ok(most),
            Some(at) if at > now => return Ok(at.since(now).min(most)),
            Some(_) => {}
        }
        let (name, claim) = (outlet.to_owned(), Claim { node: self.0.node.clone(), until: now.plus(LEASE) });
        let limit = u32::try_from(room).unwrap_or(1);
        let claimed = self.0.store.write(move |tx| {
            Box::pin(
                async move { tx.claim_notices(&name, (now, &claim), &exclude, limit).await.map_err(AppError::from) },
            )
        });
        for notice in claimed.await? {
            let (app, id) = (self.clone(), notice.id);
            busy.insert(id);
            workers.spawn(async move {
                // Whatever happens, its place is free again, and it is due as it was.
                if AssertUnwindSafe(app.send(notice)).catch_unwind().await.is_err() {
                    error!(notice = %id, "A fault inside Cardea while a notice was sent; it is sent again");
                    sleep(STORE_PAUSE).await;
                }
                id
            });
        }
        // There may be more of them than there was room for.
        Ok(if busy.len() < AT_ONCE { Duration::ZERO } else { most })
    }

    /// One attempt, and how it went written down.
    async fn send(&self, mut notice: NoticeRow) {
        let attempt = AssertUnwindSafe(self.attempt(&notice)).catch_unwind();
        let outcome = match timeout(ATTEMPT_LIMIT, attempt).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err("a fault inside Cardea: look for it in its log".to_owned()),
            Err(_) => Err(format!("it was not taken within {} s", ATTEMPT_LIMIT.as_secs())),
        };
        let now = self.0.clock.now();
        match outcome {
            Ok(Attempt::Sent) => {
                notice.attempts += 1;
                notice.finish(NoticeState::Sent, None, now);
            }
            Ok(Attempt::Dropped) => notice.finish(NoticeState::Dropped, None, now),
            Ok(Attempt::TooLate) => {
                let error =
                    notice.last_error.take().or_else(|| Some("its time was over before it could be sent".to_owned()));
                notice.finish(NoticeState::Failed, error, now);
            }
            Err(error) => {
                let mut jitter = [0];
                self.0.entropy.fill(&mut jitter);
                self.try_later(&mut notice, &error, (now, jitter[0]));
            }
        }
        let settled = notice.clone();
        let written = self
            .0
            .store
            .write(move |tx| Box::pin(async move { tx.settle_notice(&settled).await.map_err(AppError::from) }));
        match written.await {
            // Somebody wanted it sent anew meanwhile, or another node has it by now.
            Ok(()) | Err(AppError::Conflict) => {}
            Err(error) => {
                error!(notice = %notice.id, %error, "It could not be written down how a notice went; it may be sent again");
                // It is due as it was, as soon as this worker is gone.
                sleep(STORE_PAUSE).await;
            }
        }
    }

    fn try_later(&self, notice: &mut NoticeRow, error: &str, (now, jitter): (Timestamp, u8)) {
        notice.attempts += 1;
        let error = clean(error);
        let at = now.plus(pause(notice.attempts, jitter));
        if at >= notice.give_up_at {
            warn!(notice = %notice.id, kind = %notice.kind, outlet = notice.outlet, error, "A notice was given up");
            return notice.finish(NoticeState::Failed, Some(error), now);
        }
        debug!(notice = %notice.id, kind = %notice.kind, outlet = notice.outlet, error, "A notice was not taken; trying again");
        notice.last_error = Some(error);
        notice.wake_at = Some(at);
    }

    async fn attempt(&self, notice: &NoticeRow) -> Result<Attempt, String> {
        let now = self.0.clock.now();
        let holds = self.is_still_so(notice).await.map_err(|_| "the store did not answer".to_owned())?;
        if !holds {
            return Ok(Attempt::Dropped);
        }
        if now >= notice.give_up_at {
            return Ok(Attempt::TooLate);
        }
        let outlets = self.0.outbox.outlets.get().ok_or("this node sends no notices")?;
        if [MAIL, URGENT_MAIL].contains(&notice.outlet.as_str()) {
            let templates = outlets.mail.as_ref().ok_or("this node sends no mail")?;
            let facts = self.facts_for(outlets, notice);
            let (subject, text) = templates.render(notice.kind, &facts);
            let html = template::html(&text, facts.get("link").map_or("", String::as_str));
            let mail = Mail { id: notice.id, at: notice.created_at, to: notice.receiver.clone(), subject, text, html };
            outlets.courier.mail(&mail).await?;
        } else {
            let webhook = outlets.webhooks.iter().find(|webhook| webhook.name == notice.receiver);
            let webhook = webhook.ok_or("this node has no such webhook")?;
            let post = webhook.key.post(notice, &self.facts_for(outlets, notice), now);
            outlets.courier.post(&webhook.name, &post).await?;
        }
        Ok(Attempt::Sent)
    }

    /// The facts with what depends on the receiver. A link opens nothing by itself but for that of an invitation, which only
    /// the invited person's mail has.
    fn facts_for(&self, outlets: &Outlets, notice: &NoticeRow) -> Facts {
        let mut facts = notice.facts.clone();
        let url = &outlets.public_url;
        let link = match (notice.kind, notice.invitation) {
            (NoticeKind::Invited, Some(invitation)) if notice.user.is_some() => {
                self.invitation_token(invitation).expose(|token| format!("{url}/invitation#{token}"))
            }
            _ => format!("{url}/{}", page(notice)),
        };
        facts.insert("link".to_owned(), link);
        let configuration = self.configuration();
        let recipient = notice.user.map(|user| person(&configuration, user, "")).unwrap_or_default();
        facts.insert("recipient".to_owned(), recipient);
        facts
    }

    /// Whether it is still so. What happened stays so; what waits or is to come may have passed.
    async fn is_still_so(&self, notice: &NoticeRow) -> Result<bool, AppError> {
        let (kind, sessions, invitation) = (notice.kind, notice.sessions.clone(), notice.invitation);
        let now = self.0.clock.now();
        let read = self.0.store.read(move |tx| {
            Box::pin(async move {
                if let Some(invitation) = invitation {
                    let known = tx.invitation(invitation).await?;
                    let is_open = known.is_some_and(|known| {
                        known.used_at.is_none() && known.voided_at.is_none() && now < known.expires_at
                    });
                    return Ok(is_open);
                }
                let is_so: fn(&Session) -> bool = match kind {
                    NoticeKind::RequestWaiting => |session| session.question().is_some(),
                    NoticeKind::SessionStarting => {
                        |session| matches!(session.status, Status::Scheduled | Status::Provisioning)
                    }
                    NoticeKind::SessionEnding => |session| session.status.is_standing(),
                    NoticeKind::RequestDecided
                    | NoticeKind::CleanupStalled
                    | NoticeKind::Invited
                    | NoticeKind::NewDevice
                    | NoticeKind::NewKey => return Ok(true),
                };
                for id in sessions {
                    if tx.session(id).await?.is_some_and(|session| is_so(&session)) {
                        return Ok(true);
                    }
                }
                Ok(false)
            })
        });
        read.await
    }

    /// Gives up what no node has an outlet for, and forgets what is long done.
    async fn tidy_outbox(&self) -> Result<(), AppError> {
        let now = self.0.clock.now();
        let tidied = self.0.store.write(move |tx| {
            Box::pin(async move {
                let why = "no node that runs has this outlet in its settings";
                tx.give_up_notices(now, why, TOGETHER).await?;
                tx.forget_notices(now.minus(KEEP_SENT), now.minus(KEEP_FAILED), TOGETHER).await.map_err(AppError::from)
            })
        });
        tidied.await.map(drop)
    }
}

trait Finish {
    /// Nothing is to be done any more.
    fn finish(&mut self, state: NoticeState, error: Option<String>, now: Timestamp);
}

impl Finish for NoticeRow {
    fn finish(&mut self, state: NoticeState, error: Option<String>, now: Timestamp) {
        self.state = state;
        self.wake_at = None;
        self.done_at = Some(now);
        self.last_error = error;
    }
}

/// Where in the web interface a notice's sessions are: in which list, and which of it.
fn page(notice: &NoticeRow) -> String {
    let is = |name: &str, value: &str| notice.facts.get(name).is_some_and(|fact| fact == value);
    let list = match notice.kind {
        NoticeKind::RequestWaiting => "approvals",
        // The newest of the past is on top; ids are not searched there.
        NoticeKind::RequestDecided if !is("decision", "approved") => return "history".to_owned(),
        NoticeKind::RequestDecided if !is("start", "") => "scheduled",
        NoticeKind::SessionStarting => "scheduled",
        NoticeKind::NewDevice | NoticeKind::NewKey => "profile",
        NoticeKind::RequestDecided | NoticeKind::SessionEnding | NoticeKind::CleanupStalled | NoticeKind::Invited => "",
    };
    match notice.sessions.as_slice() {
        [one] => format!("{list}?q={one}"),
        _ => list.to_owned(),
    }
}

/// The pause behind so many attempts; up to a quarter more, so that many do not come back at once.
fn pause(attempts: u32, jitter: u8) -> Duration {
    let doubled = AGAIN.saturating_mul(1 << attempts.saturating_sub(1).min(10)).min(AGAIN_MAX);
    doubled + doubled.mul_f64(f64::from(jitter) / 1024.0)
}

/// What somebody outside answered, fit for a line of a log.
fn clean(error: &str) -> String {
    error.chars().take(ERROR_CHARS_MAX).map(|c| if is_unprintable(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_bounded() {
        assert_eq!(pause(1, 0), AGAIN);
        assert_eq!(pause(3, 0), AGAIN * 4);
        assert_eq!(pause(u32::MAX, 0), AGAIN_MAX);
        assert!(pause(u32::MAX, 255) < AGAIN_MAX * 5 / 4);
    }

    #[test]
    fn an_answer_cannot_make_lines_of_its_own() {
        assert_eq!(clean("no\r\nsuch\tuser"), "no  such user");
        assert_eq!(clean(&"x".repeat(1000)).len(), ERROR_CHARS_MAX);
    }
}
