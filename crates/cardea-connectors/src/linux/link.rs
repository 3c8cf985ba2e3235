//! One connection to one host, and the shells on it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use cardea_domain::{ConnectorError, SessionId, Target, Timestamp};
use russh::Disconnect;
use tokio::{
    sync::{Mutex as AsyncMutex, Semaphore, SemaphorePermit},
    time::{timeout, timeout_at},
};

use super::{
    Ground,
    answer::Answer,
    dial::{self, Line},
    program,
    shell::{Hello, Shell},
};

/// Root shells per host that take frames, each opened when all others are busy. sshd allows ten channels (MaxSessions).
const SHELLS_MAX: usize = 4;
/// Shells beside these that run one thing each: scans, scripts.
const APART_MAX: usize = 5;
/// How long ending a shell that gave no answer may take.
const REAP_LIMIT: Duration = Duration::from_secs(15);
const CLAIM_LIMIT: Duration = Duration::from_secs(20);
/// A connection that was silent for longer is asked whether it still answers, before a command is given to it: whoever is root
/// on the host may have stopped it.
const SILENCE_MAX: Duration = Duration::from_secs(1);
const PING_LIMIT: Duration = Duration::from_secs(3);
const GOODBYE_LIMIT: Duration = Duration::from_secs(2);
/// Clocks that differ by less are taken for equal: both are read in whole seconds.
const SKEW_SECONDS_MIN: i64 = 2;

/// What was learned of a host when connecting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    hello: Hello,
    /// The target's wall clock minus ours, in seconds.
    skew: i64,
    /// Whether its sshd reads `expiry-time` in UTC (OpenSSH 9.1 and later); older ones only in their own zone.
    pub(super) sshd_reads_utc: bool,
}

/// For which session, and by which claim of it, a frame is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) session: SessionId,
    pub(super) fence: i64,
}

/// A connection whose older siblings' shells are gone.
pub(super) struct Link {
    line: Line,
    target: Target,
    ground: Arc<Ground>,
    facts: Facts,
    /// The folder in which this node's shells for this target are written down on the host.
    slot: String,
    generation: String,
    idle: Mutex<Vec<Shell>>,
    free: Semaphore,
    apart: Semaphore,
    /// Shells that gave no answer: what they run must end before anything else is done.
    orphans: Mutex<Vec<String>>,
    reaping: AsyncMutex<()>,
    used_at: Mutex<Instant>,
    /// When a shell last answered.
    heard_at: Mutex<Instant>,
    /// A newer connection of this node works on the host.
    given_up: AtomicBool,
}

impl Link {
    /// Connects, and ends what older connections of this node left running on the host.
    pub(super) async fn open(target: &Target, ground: &Arc<Ground>) -> Result<Self, ConnectorError> {
        let line = dial::dial(target, &*ground.credentials).await?;
        let (mut shell, hello) = Shell::open(&line.handle, target, &*ground.credentials, &ground.installation).await?;
        let ours = ground.clock.now().as_seconds();
        let skew = if (hello.epoch - ours).abs() < SKEW_SECONDS_MIN { 0 } else { hello.epoch - ours };
        if skew != 0 {
            tracing::warn!(target.name = %target.name, skew, "The clock of `{}` is {skew} s off ours", target.name);
        }
        let facts = Facts { hello, skew, sshd_reads_utc: reads_utc(&line.version) };
        let slot = slot(&ground.node, target);
        let deadline = Instant::now() + CLAIM_LIMIT;
        let words = format!("claim {} - 0 {slot}", facts.uptime_at(deadline));
        let claimed = shell.frame(&words, deadline, &*ground.entropy).await??;
        let generation = claimed.text("generation").ok_or_else(|| claimed.incomplete())?.to_owned();
        tracing::info!(target.name = %target.name, "Connected to {target}");
        Ok(Self {
            line,
            target: target.clone(),
            ground: ground.clone(),
            facts,
            slot,
            generation,
            idle: Mutex::new(vec![shell]),
            free: Semaphore::new(SHELLS_MAX),
            apart: Semaphore::new(APART_MAX),
            orphans: Mutex::default(),
            reaping: AsyncMutex::default(),
            used_at: Mutex::new(Instant::now()),
            heard_at: Mutex::new(Instant::now()),
            given_up: AtomicBool::new(false),
        })
    }

    /// Whether the connection is over.
    pub(super) fn is_closed(&self) -> bool {
        self.line.handle.is_closed() || self.given_up.load(Ordering::Relaxed)
    }

    /// What is known of the host.
    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// When it last had work; now, if it has work.
    pub(super) fn used_at(&self) -> Instant {
        if self.free.available_permits() < SHELLS_MAX || self.apart.available_permits() < APART_MAX {
            return Instant::now();
        }
        *self.used_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the host still answers on it. A connection that does not is given up: the next one ends its shells.
    pub(super) async fn answers(&self) -> bool {
        if self.heard_at.lock().unwrap_or_else(PoisonError::into_inner).elapsed() < SILENCE_MAX {
            return true;
        }
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(shell) = idle {
            let mut taken = Taken { link: self, shell: Some(shell), unanswered: false };
            let deadline = Instant::now() + PING_LIMIT;
            if taken.ask(&self.line(None, deadline, "ping", &[]), deadline).await.is_ok() {
                return true;
            }
        }
        // A shell alone may hang, or all of them are at work.
        let pong = timeout(PING_LIMIT, self.line.handle.send_ping()).await;
        let answers = matches!(pong, Ok(Ok(()))) && !self.line.handle.is_closed();
        if !answers {
            tracing::warn!(target.name = %self.target.name, "{} does not answer on its connection: it is dialled anew", self.target);
            self.given_up.store(true, Ordering::Relaxed);
        }
        answers
    }

    /// Says goodbye.
    pub(super) async fn close(&self) {
        let goodbye = self.line.handle.disconnect(Disconnect::ByApplication, "idle", "en");
        // It is over either way: an error means that it was over before.
        let _over = timeout(GOODBYE_LIMIT, goodbye).await;
    }

    /// One frame.
    pub(super) async fn run(
        &self,
        claim: Option<Claim>,
        deadline: Instant,
        verb: &str,
        words: &[String],
    ) -> Result<Answer, ConnectorError> {
        let _permit = permit(&self.free, deadline).await?;
        let mut taken = self.shell().await?;
        self.reap(&mut taken).await?;
        taken.ask(&self.line(claim, deadline, verb, words), deadline).await
    }

    /// One frame on a shell of its own that ends with it. It must be begun at `begin_by`, and answered `limit` after that.
    pub(super) async fn run_apart(
        &self,
        claim: Option<Claim>,
        (begin_by, limit): (Instant, Duration),
        verb: &str,
        words: &[String],
    ) -> Result<Answer, ConnectorError> {
        let _permit = permit(&self.apart, begin_by).await?;
        let mut taken = Taken { link: self, shell: Some(self.new_shell().await?), unanswered: false };
        let answer = taken.ask(&self.line(claim, begin_by, verb, words), begin_by + limit).await?;
        if let Some(shell) = taken.shell.take() {
            shell.close().await;
        }
        Ok(answer)
    }

    fn line(&self, claim: Option<Claim>, begin_by: Instant, verb: &str, words: &[String]) -> String {
        let uptime = self.facts.uptime_at(begin_by);
        let head = match claim {
            Some(Claim { session, fence }) => format!("{verb} {uptime} {session} {fence}"),
            None => format!("{verb} {uptime} - 0"),
        };
        line(head, words)
    }

    async fn shell(&self) -> Result<Taken<'_>, ConnectorError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let shell = match idle {
            Some(shell) => shell,
            None => self.new_shell().await?,
        };
        Ok(Taken { link: self, shell: Some(shell), unanswered: false })
    }

    /// A further shell of this connection; refused by the host when a newer connection has taken over.
    async fn new_shell(&self) -> Result<Shell, ConnectorError> {
        let ground = &self.ground;
        let (mut shell, _) =
            Shell::open(&self.line.handle, &self.target, &*ground.credentials, &ground.installation).await?;
        let deadline = Instant::now() + CLAIM_LIMIT;
        let words = format!("join {} - 0 {} {}", self.facts.uptime_at(deadline), self.slot, self.generation);
        match shell.frame(&words, deadline, &*ground.entropy).await? {
            Err(ConnectorError::Superseded { .. }) => {
                self.given_up.store(true, Ordering::Relaxed);
                Err(ConnectorError::Unreachable(
                    "a newer connection of this node took over; it is tried again".to_owned(),
                ))
            }
            joined => joined.map(|_| shell),
        }
    }

    /// Ends what unanswered shells still run. Everybody waits for that.
    async fn reap(&self, taken: &mut Taken<'_>) -> Result<(), ConnectorError> {
        let _alone = self.reaping.lock().await;
        let orphans = self.orphans.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if orphans.is_empty() {
            return Ok(());
        }
        let deadline = Instant::now() + REAP_LIMIT;
        let head = format!("reap {} - 0 {}", self.facts.uptime_at(deadline), self.slot);
        taken.ask(&line(head, &orphans), deadline).await?;
        self.orphans.lock().unwrap_or_else(PoisonError::into_inner).retain(|orphan| !orphans.contains(orphan));
        Ok(())
    }
}

/// A shell in use. Dropped without an answer to its last frame, it is an orphan: also when nobody waits any more.
struct Taken<'a> {
    link: &'a Link,
    shell: Option<Shell>,
    unanswered: bool,
}

impl Taken<'_> {
    async fn ask(&mut self, words: &str, deadline: Instant) -> Result<Answer, ConnectorError> {
        let shell = self.shell.as_mut().expect("a shell is taken out only when it is closed");
        self.unanswered = true;
        let answer = shell.frame(words, deadline, &*self.link.ground.entropy).await?;
        self.unanswered = false;
        *self.link.heard_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        answer
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let Some(shell) = self.shell.take() else { return };
        if self.unanswered {
            let target = &self.link.target;
            tracing::warn!(target.name = %target.name, "A command on {target} gave no answer: it is ended before the next one");
            self.link.orphans.lock().unwrap_or_else(PoisonError::into_inner).push(shell.id().to_owned());
        } else {
            self.link.idle.lock().unwrap_or_else(PoisonError::into_inner).push(shell);
        }
        *self.link.used_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

impl Facts {
    /// A point in time as the target's own clock will show it.
    pub(super) fn on_target(&self, at: Timestamp) -> Timestamp {
        Timestamp::from_micros(at.as_micros().saturating_add(self.skew.saturating_mul(1_000_000)))
    }

    /// What the host's monotonic clock will show then, in hundredths of a second.
    fn uptime_at(&self, at: Instant) -> u64 {
        let since = u64::try_from(at.saturating_duration_since(self.hello.heard_at).as_millis()).unwrap_or(u64::MAX);
        self.hello.uptime.saturating_add(since / 10)
    }
}

async fn permit(shells: &Semaphore, deadline: Instant) -> Result<SemaphorePermit<'_>, ConnectorError> {
    timeout_at(deadline.into(), shells.acquire())
        .await
        .map_err(|_| ConnectorError::Unreachable("its shells are all busy; it is tried again".to_owned()))?
        .map_err(|_| ConnectorError::Unreachable("the connection was given up".to_owned()))
}

fn line(head: String, words: &[String]) -> String {
    words.iter().fold(head, |line, word| line + " " + word)
}

/// OpenSSH 9.1 taught sshd to read `expiry-time` in UTC. Other servers are asked the older way.
fn reads_utc(version: &str) -> bool {
    let Some((_, rest)) = version.split_once("OpenSSH_") else { return false };
    let mut numbers = rest.split(|c: char| !c.is_ascii_digit()).map(|digits| digits.parse::<u32>().unwrap_or(0));
    let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    (major, minor) >= (9, 1)
}

/// A folder name that is the same for the same node and pinned target in every run.
fn slot(node: &str, target: &Target) -> String {
    format!("{node}.{:016x}", program::fnv(&format!("{target:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_servers_are_told_apart() {
        for (version, utc) in [
            ("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3", true),
            ("SSH-2.0-OpenSSH_10.0", true),
            ("SSH-2.0-OpenSSH_9.0p1", false),
            ("SSH-2.0-OpenSSH_8.7", false),
            ("SSH-2.0-dropbear", false),
        ] {
            assert_eq!(reads_utc(version), utc, "{version}");
        }
    }
}
