//! A session's transitions. Each checks the state that it leaves and says when the session wants to be looked at next.

use std::time::Duration;

use super::{EndCause, Lock, LockStage, OnChange, Reason, Refusal, Session, Status};
use crate::{Actor, Asked, Period, Question, Timestamp, Wish};

impl Session {
    /// A failed session whose clean-up is complete stays on the list this long.
    pub const FAILED_LISTED: Duration = Duration::from_secs(3600);
    /// Clean-up that fails for longer than this is called stalled.
    pub const STALLED_AFTER: Duration = Duration::from_secs(60);
    /// How far beyond a session's end the target's own expiry lies: clocks differ, and clean-up comes first.
    pub const EXPIRY_MARGIN: Duration = Duration::from_secs(300);
    /// Retries of clean-up never end; they come at most this far apart.
    const RETRY_MAX: Duration = Duration::from_secs(300);
    /// The second look, and the scan for forgotten files, come this long after clean-up: longer than a node's hold on a session
    /// and the longest step together, so that no command of before can still be under way; and one scan serves many sessions.
    const SCAN_AFTER: Duration = Duration::from_secs(90);

    /// It waits for the yes of those whom it asked, until `by`.
    pub fn wait_for_approval(&mut self, asked: Asked, by: Timestamp) {
        self.status = Status::WaitingForApproval;
        self.approve_by = Some(by);
        self.asked = Some(asked);
        self.progress = None;
        self.claim = None;
        self.wait_on();
    }

    /// When it wants to be looked at while it waits: at the end of its window, or when more people are to be asked.
    fn wait_on(&mut self) {
        let escalates_at = self.asked.as_ref().and_then(Asked::escalates_at);
        self.wake_at = [self.approve_by, escalates_at].into_iter().flatten().min();
    }

    /// It is this tier's turn, by the votes that count now. Whether that is another than before.
    pub fn turn_to(&mut self, tier: usize, now: Timestamp) -> bool {
        let is_new = self.asked.as_mut().is_some_and(|asked| asked.turn_to(tier, now));
        if self.is_waiting().is_ok() {
            self.wait_on();
        }
        is_new
    }

    /// More people are asked, if it is time to. Whether it was.
    pub fn escalate(&mut self, now: Timestamp) -> bool {
        if self.is_waiting().is_err() {
            return false;
        }
        let is_time = self.asked.as_mut().is_some_and(|asked| asked.escalate(now));
        self.claim = None;
        self.wait_on();
        is_time
    }

    /// Nothing stands in its way but time: it begins now, or when its user wants it to.
    pub fn ready(&mut self, now: Timestamp) {
        self.claim = None;
        self.approve_by = None;
        self.wake_at = Some(now);
        self.status = match self.wanted_start_at {
            Some(at) if at > now => {
                self.wake_at = Some(at);
                Status::Scheduled
            }
            // It begins when it is unlocked.
            _ if self.lock.is_some() => {
                self.wake_at = None;
                Status::Scheduled
            }
            _ => Status::Provisioning,
        };
    }

    /// A start that has come is put off until the lock is lifted.
    pub fn wait_for_unlock(&mut self) {
        self.wake_at = None;
        self.claim = None;
    }

    /// Somebody said no.
    pub fn denied(&mut self, reason: Reason, now: Timestamp) -> Result<(), Refusal> {
        self.is_waiting()?;
        self.never_begins(Status::Denied, reason, now);
        Ok(())
    }

    /// Nobody answered in time.
    pub fn expired(&mut self, now: Timestamp) -> Result<(), Refusal> {
        self.is_waiting()?;
        let reason = Reason::new("not_approved", "Nobody approved it within the approval window: request it again.");
        self.never_begins(Status::Expired, reason, now);
        Ok(())
    }

    /// Whether it waits for approval.
    pub fn is_waiting(&self) -> Result<(), Refusal> {
        if self.status == Status::WaitingForApproval { Ok(()) } else { Err(Refusal::NotWaiting(self.status)) }
    }

    /// What its approvers are asked now: whether it begins, or whether it becomes longer.
    pub fn question(&self) -> Option<Question<'_>> {
        if self.is_waiting().is_ok() {
            return self.asked.as_ref().map(|asked| Question { asked, extension: 0 });
        }
        let wish = self.wish.as_ref().filter(|wish| self.status.is_standing() && !wish.asked.is_complete())?;
        Some(Question { asked: &wish.asked, extension: wish.number })
    }

    /// It is over before anything was placed.
    fn never_begins(&mut self, status: Status, reason: Reason, now: Timestamp) {
        self.status = status;
        self.reason = Some(reason);
        self.progress = None;
        self.approve_by = None;
        self.asked = None;
        self.end_at = Some(now);
        self.listed = false;
        self.clean = true;
        self.wake_at = None;
        self.claim = None;
    }

    /// The pre-session stage is done: the session starts now. `closes_at` is when its policy's hours end, if they do.
    pub fn provisioned(&mut self, now: Timestamp, closes_at: Option<Timestamp>) -> Result<(), Refusal> {
        if self.status != Status::Provisioning {
            return Err(Refusal::NotProvisioning(self.status));
        }
        self.status = if self.lock.is_some() { Status::Locked } else { Status::Available };
        self.progress = None;
        self.reason = None;
        self.start_at = Some(now);
        self.closes_at = closes_at.filter(|_| self.rules.on_hours_close == OnChange::End);
        let end = now.plus(self.duration.get());
        self.end_at = Some(self.closes_at.map_or(end, |closes| closes.min(end)));
        self.idle_since = Some(now);
        self.cleanup_attempts = 0;
        self.skip_warnings(now);
        self.rest(now);
        Ok(())
    }

    /// Lets a standing session go, until it wants to be looked at next.
    pub fn rest(&mut self, now: Timestamp) {
        self.claim = None;
        let locking = self.lock.as_ref().is_some_and(|lock| lock.stage != LockStage::Locked).then_some(now);
        // An extension is carried out when the session is unlocked.
        let wish = self.wish.as_ref().filter(|wish| self.status.is_open() || !wish.asked.is_complete());
        let wish = wish.and_then(Wish::wake_at);
        self.wake_at = [self.end_at, self.next_warning(), self.idle_until(), locking, wish].into_iter().flatten().min();
    }

    /// What it waits for is not there yet: lets it go until `at`. One that stands on its resource is looked at before if something
    /// else is due for it.
    pub fn put_off(&mut self, at: Timestamp) {
        if self.status.is_standing() {
            self.rest(at);
        }
        self.claim = None;
        self.wake_at = self.wake_at.filter(|_| self.status.is_standing()).map_or(Some(at), |due| Some(due.min(at)));
    }

    /// Wants to be looked at no later than this. Only the engine, which looks at everything, puts it off.
    fn wake_by(&mut self, at: Option<Timestamp>) {
        self.wake_at = [self.wake_at, at].into_iter().flatten().min();
    }

    /// When to warn next.
    pub(super) fn next_warning(&self) -> Option<Timestamp> {
        let before = self.rules.end_warnings.get(usize::try_from(self.warned).unwrap_or(usize::MAX))?;
        self.end_at.map(|end| end.minus(before.get()))
    }

    /// Gives the warning that is due, if one is: how long the session still lasts.
    pub fn warn(&mut self, now: Timestamp) -> Option<Duration> {
        self.next_warning().filter(|at| *at <= now)?;
        self.skip_warnings(now);
        Some(self.end_at?.since(now))
    }

    /// Counts as given what lies behind: a session that is shorter than its first warning starts with the next.
    fn skip_warnings(&mut self, now: Timestamp) {
        while self.next_warning().is_some_and(|at| at <= now) {
            self.warned += 1;
        }
    }

    /// When it ends because nobody is on it.
    pub fn idle_until(&self) -> Option<Timestamp> {
        // Nobody can be on one without a log-in.
        let since = self.idle_since.filter(|_| self.rules.has_login)?;
        Some(since.plus(self.rules.idle_limit?.get()))
    }

    /// A step failed: what was placed is taken away at once, under the status Failed.
    pub fn failed(&mut self, reason: Reason, now: Timestamp) -> Result<(), Refusal> {
        if self.status != Status::Provisioning {
            return Err(Refusal::NotProvisioning(self.status));
        }
        self.status = Status::Failed;
        self.reason = Some(reason);
        self.begin_cleanup(now);
        Ok(())
    }

    /// Begins again after a failure that left nothing behind.
    pub fn retry(&mut self, now: Timestamp) -> Result<(), Refusal> {
        if self.status != Status::Failed || !self.listed {
            return Err(Refusal::NotRetryable(self.status));
        }
        if !self.clean {
            return Err(Refusal::NotClean);
        }
        self.clean = false;
        self.reason = None;
        self.end_at = None;
        self.cleanup_since = None;
        self.cleanup_attempts = 0;
        self.ready(now);
        Ok(())
    }

    /// The first connection is open.
    pub fn logged_in(&mut self) -> Result<(), Refusal> {
        if !self.status.is_open() {
            return Err(Refusal::NotOpen(self.status));
        }
        self.status = Status::LoggedIn;
        self.idle_since = None;
        Ok(())
    }

    /// The last connection is closed. Nothing to do if the session is ending.
    pub fn logged_out(&mut self, now: Timestamp) {
        if self.status == Status::LoggedIn {
            self.status = Status::Available;
        }
        if self.status.is_standing() && self.idle_since.is_none() {
            self.idle_since = Some(now);
            self.wake_by(self.idle_until());
        }
    }

    /// The end that an extension would move it to: by as much as the profile allows, or by `by` if that is less.
    pub fn extended_end(&self, by: Option<Duration>) -> Result<Timestamp, Refusal> {
        if !self.status.is_open() {
            return Err(Refusal::NotExtendable(self.status));
        }
        let rule = self.rules.extension.ok_or(Refusal::ExtensionNotAllowed)?;
        if self.extensions >= rule.limit {
            return Err(Refusal::ExtensionUsedUp(self.extensions));
        }
        let by = by.unwrap_or(rule.by.get());
        if by > rule.by.get() {
            return Err(Refusal::ExtensionTooLong(rule.by));
        }
        let end = self.end_at.ok_or(Refusal::NotExtendable(self.status))?.plus(by);
        match self.closes_at {
            Some(closes) if end > closes => Err(Refusal::BeyondHours(closes)),
            _ => Ok(end),
        }
    }

    /// Somebody wishes it longer, and others have to approve that.
    pub fn wish_longer(&mut self, wish: Wish) -> Result<(), Refusal> {
        if self.wish.is_some() {
            return Err(Refusal::ExtensionWaits);
        }
        self.wake_by(wish.wake_at());
        self.wish = Some(wish);
        Ok(())
    }

    /// The wish moved on: to another tier, or to its end.
    pub fn wish_moved(&mut self) {
        self.wake_by(self.wish.as_ref().and_then(Wish::wake_at));
    }

    /// The end is moved: the resource's own expiries were moved before.
    pub fn extend(&mut self, end: Timestamp, now: Timestamp) {
        self.wish = None;
        self.end_at = Some(end);
        self.extensions += 1;
        self.warned = 0;
        self.skip_warnings(now);
        self.wake_by(self.next_warning());
    }

    /// The policy's hours are others now: they end at `closes_at`, if they do. Whether that changed anything. An end that
    /// was extended never moves to later: nobody said by how much.
    pub fn hours_changed(&mut self, closes_at: Option<Timestamp>, now: Timestamp) -> bool {
        let closes_at = closes_at.filter(|_| self.rules.on_hours_close == OnChange::End);
        let (Some(start), Some(end)) = (self.start_at, self.end_at) else { return false };
        if !self.status.is_standing() || closes_at == self.closes_at {
            return false;
        }
        let whole = if self.extensions == 0 { start.plus(self.duration.get()) } else { end };
        let moved = closes_at.map_or(whole, |closes| closes.min(whole));
        self.closes_at = closes_at;
        self.end_at = Some(moved);
        self.warned = 0;
        self.skip_warnings(now);
        self.wake_by([Some(moved), self.next_warning()].into_iter().flatten().min());
        true
    }

    /// Somebody wants the removal that keeps failing tried now, and often again.
    pub fn try_now(&mut self, now: Timestamp) {
        self.cleanup_attempts = 0;
        self.wake_by(Some(now));
    }

    /// Freezes it. What has not begun yet does not begin.
    pub fn lock(&mut self, lock: Lock, now: Timestamp) -> Result<(), Refusal> {
        if self.lock.as_ref().is_some_and(|known| known.stage != LockStage::Unlocking) {
            return Err(Refusal::AlreadyLocked);
        }
        if !self.status.is_ahead() && self.status != Status::Provisioning && !self.status.is_standing() {
            return Err(Refusal::NotLockable(self.status));
        }
        self.lock = Some(lock);
        self.cleanup_attempts = 0;
        if self.status.is_standing() {
            self.status = Status::Locked;
            self.wake_by(Some(now));
        }
        Ok(())
    }

    /// What it shared with others is its own alone now, and so to be suspended too.
    pub fn lock_again(&mut self, now: Timestamp) {
        if let Some(lock) = self.lock.as_mut().filter(|lock| lock.stage == LockStage::Locked) {
            lock.stage = LockStage::Locking;
            self.wake_by(Some(now));
        }
    }

    /// Begins to restore what was before the lock. A session that does not stand on the resource yet is free at once.
    pub fn unlock(&mut self, now: Timestamp) -> Result<(), Refusal> {
        let lock = self.lock.as_mut().filter(|lock| lock.stage != LockStage::Unlocking).ok_or(Refusal::NotLocked)?;
        self.cleanup_attempts = 0;
        if self.status == Status::Locked {
            lock.stage = LockStage::Unlocking;
            self.wake_by(Some(now));
            return Ok(());
        }
        self.lock = None;
        if self.status == Status::Scheduled {
            self.ready(now);
        }
        Ok(())
    }

    /// The resource confirmed the lock, or that all is as it was before it. `connections` is how many are open.
    pub fn lock_settled(&mut self, connections: i64, now: Timestamp) {
        let Some(lock) = self.lock.as_mut().filter(|_| self.status == Status::Locked) else { return };
        self.cleanup_attempts = 0;
        lock.last_error = None;
        if lock.stage == LockStage::Unlocking {
            self.lock = None;
            self.status = if connections > 0 { Status::LoggedIn } else { Status::Available };
            self.skip_warnings(now);
        } else {
            lock.stage = LockStage::Locked;
        }
        self.rest(now);
    }

    /// The resource could not lock or unlock: when to ask again.
    pub fn lock_failed(&mut self, error: String, now: Timestamp, jitter: u8) {
        let wake = now.plus(self.next_pause(jitter));
        if let Some(lock) = &mut self.lock {
            lock.last_error = Some(error);
        }
        self.rest(wake);
    }

    /// Ends the session: from now on nobody connects, and everything is taken away.
    pub fn end(&mut self, cause: &EndCause, now: Timestamp) -> Result<(), Refusal> {
        if !self.status.can_end() {
            return Err(Refusal::AlreadyEnding(self.status));
        }
        let reason = self.reason_to_end(cause);
        if self.status.is_ahead() {
            self.never_begins(Status::Canceled, reason, now);
            return Ok(());
        }
        let own = matches!(cause, EndCause::By { actor, .. } if actor.user_id() == Some(self.user));
        self.closes_as = Some(match cause {
            EndCause::ReachedEnd | EndCause::Idle | EndCause::Done => Status::Completed,
            EndCause::By { .. } if own && self.start_at.is_some() => Status::Completed,
            EndCause::By { .. } | EndCause::GroundLost(_) | EndCause::DirectLogin(_) => Status::Canceled,
        });
        self.reason = Some(reason);
        self.status = Status::Canceling;
        self.begin_cleanup(now);
        Ok(())
    }

    fn reason_to_end(&self, cause: &EndCause) -> Reason {
        match cause {
            EndCause::ReachedEnd if self.closes_at.is_some() && self.closes_at <= self.end_at => {
                Reason::new("hours_closed", "The hours of its policy are over.")
            }
            EndCause::ReachedEnd => Reason::new("reached_end", "The session reached its end."),
            EndCause::Idle => Reason::new("idle", "Nobody was on it for as long as its profile allows."),
            EndCause::GroundLost(what) => Reason::new("ground_lost", what.clone()),
            EndCause::DirectLogin(who) => Reason::new("direct_login", who.clone()),
            EndCause::Done => Reason::new("done", "Its actions ran."),
            EndCause::By { actor, reason } if actor.user_id() == Some(self.user) => {
                Reason::new("ended_by_user", said("Ended by its user", reason.as_deref()))
            }
            EndCause::By { actor: Actor::User { name, .. }, reason } => {
                Reason::new("ended_by_administrator", said(&format!("Ended by {name}"), reason.as_deref()))
            }
            EndCause::By { actor, reason } => {
                Reason::new("ended_by_operator", said(&format!("Ended by {actor}"), reason.as_deref()))
            }
        }
    }

    fn begin_cleanup(&mut self, now: Timestamp) {
        self.progress = None;
        self.lock = None;
        self.wish = None;
        self.idle_since = None;
        self.end_at = Some(now);
        self.cleanup_since = Some(now);
        self.cleanup_attempts = 0;
        self.wake_at = Some(now);
        self.claim = None;
    }

    /// Nothing of it is out there any more, read back and stored.
    pub fn cleaned(&mut self, now: Timestamp) {
        self.clean = true;
        self.cleanup_stalled = false;
        self.progress = None;
        self.claim = None;
        self.wake_at = Some(now.plus(Self::SCAN_AFTER));
        // Failed ones stay to be read, then leave the list by themselves.
        if let Some(status) = self.closes_as {
            self.status = status;
            self.asked = None;
            self.listed = false;
        }
    }

    /// Something of it is there again, after it had been removed: it is cleaned up once more.
    pub fn reopen(&mut self, now: Timestamp) {
        if !self.clean {
            // It is being cleaned up already, or was tried again and has a life of its own.
            return;
        }
        if self.status != Status::Failed {
            self.closes_as = Some(self.status);
            self.status = Status::Canceling;
        }
        let end = self.end_at;
        self.listed = true;
        self.clean = false;
        self.begin_cleanup(now);
        self.end_at = end;
    }

    /// A round of clean-up failed: when to try again.
    pub fn cleanup_failed(&mut self, now: Timestamp, jitter: u8) {
        self.claim = None;
        let next = now.plus(self.next_pause(jitter));
        let stalls_at = self.cleanup_since.map(|since| since.plus(Self::STALLED_AFTER));
        self.cleanup_stalled = stalls_at.is_some_and(|at| at <= now);
        // That it is stalled is told when it is, not behind a long pause.
        self.wake_at = Some(stalls_at.filter(|at| *at > now).map_or(next, |at| at.min(next)));
    }

    /// Doubles from half a second to five minutes; `jitter` (0 to 255) spreads it by up to a quarter.
    fn next_pause(&mut self, jitter: u8) -> Duration {
        let doubled = Duration::from_millis(500).saturating_mul(1 << self.cleanup_attempts.clamp(0, 12));
        let pause = doubled.min(Self::RETRY_MAX);
        self.cleanup_attempts += 1;
        pause - pause / 4 * u32::from(jitter) / 256
    }

    /// The scan for forgotten files is done; a failed session still has to leave the list later.
    pub fn scanned(&mut self) {
        self.claim = None;
        self.wake_at = (self.listed && self.status == Status::Failed)
            .then(|| self.end_at.map(|at| at.plus(Self::FAILED_LISTED)))
            .flatten();
    }

    /// Whether it is a failed one that was there to be read for its time.
    pub fn is_listed_long_enough(&self, now: Timestamp) -> bool {
        let until = self.end_at.map(|at| at.plus(Self::FAILED_LISTED));
        self.status == Status::Failed && self.listed && until.is_some_and(|until| until <= now)
    }

    /// Takes a failed session off the list.
    pub fn dismiss(&mut self) -> Result<(), Refusal> {
        if self.status != Status::Failed || !self.listed {
            return Err(Refusal::NotDismissable(self.status));
        }
        if !self.clean {
            return Err(Refusal::NotClean);
        }
        self.listed = false;
        Ok(())
    }

    /// Makes it shorter than the profile allows: an approver's condition. Longer is not taken.
    pub fn shorten(&mut self, to: Period) {
        self.duration = self.duration.min(to);
    }
}

fn said(what: &str, reason: Option<&str>) -> String {
    match reason {
        Some(reason) if !reason.trim().is_empty() => format!("{what}: {}", reason.trim()),
        _ => format!("{what}."),
    }
}
