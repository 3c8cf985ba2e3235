//! Passwords of users: argon2id, computed off the async threads, few at a time and with few waiting.
//!
//! What a password must be: long enough, and none of those that everybody tries first. No rules of composition: they make
//! passwords that are easier to guess and harder to keep (NIST SP 800-63B, 5.1.1.2).

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use cardea_domain::{Actor, Permit, Secret, Verb, Via};
use cardea_store::{AuditEntry, Outcome};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::{App, AppError, Device, device::network, notice::Notice, throttle::Step};

/// OWASP's second recommendation for argon2id: 19 MiB, 2 passes, 1 lane.
fn argon2() -> Argon2<'static> {
    let params = Params::new(19 * 1024, 2, 1, None).expect("the parameters are within argon2's limits");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

const LENGTH_MIN: usize = 8;
const LENGTH_MAX: usize = 1024;

/// Passwords that may wait to be hashed. Each takes some 50 ms: whoever would wait longer is told to come back.
pub(crate) const WAITING_MAX: usize = 64;

/// Where strangers' passwords wait: in a line for each network, of which the first takes turns with the first of the others. Who
/// sends many at once waits for themselves.
#[derive(Default)]
pub(crate) struct Lines(Mutex<HashMap<IpAddr, Arc<Semaphore>>>);

impl Lines {
    /// The line of a network. Whoever holds it has one of the [`WAITING_MAX`] places, so there are no more lines than that.
    fn of(&self, peer: IpAddr) -> Arc<Semaphore> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= WAITING_MAX {
            lines.retain(|_, line| Arc::strong_count(line) > 1);
        }
        lines.entry(network(peer)).or_insert_with(|| Arc::new(Semaphore::new(1))).clone()
    }
}

/// The passwords that everybody tries first, folded and in order.
static COMMON: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let list = include_str!("password/common.txt");
    list.lines().filter(|line| !line.starts_with("# ")).collect()
});

/// Whether a new password is long enough, and not one that everybody tries first.
pub(crate) fn check_new(password: &Secret, pointer: &str) -> Result<(), AppError> {
    let length = password.expose(|text| text.chars().count());
    if !(LENGTH_MIN..=LENGTH_MAX).contains(&length) {
        return Err(AppError::field(pointer, format!("a password has {LENGTH_MIN} to {LENGTH_MAX} characters")));
    }
    if password.expose(|text| is_common(text)) {
        let message = "this is one of the passwords that are tried first: choose a longer sentence";
        return Err(AppError::field(pointer, message));
    }
    Ok(())
}

fn is_common(password: &str) -> bool {
    let folded = Zeroizing::new(password.to_lowercase());
    let mut characters = folded.chars();
    let first = characters.next();
    characters.all(|character| Some(character) == first) || COMMON.binary_search(&folded.as_str()).is_ok()
}

impl App {
    /// Changes one's own password: who knows the old one, or showed a second factor lately. Ends the user's other sign-ins.
    pub async fn change_password(
        &self,
        actor: &Actor,
        device: &Device,
        old: Option<Secret>,
        new: Secret,
    ) -> Result<(), AppError> {
        let asked = Permit::ask(actor, Verb::ChangePassword).map_err(AppError::from);
        let (permit, user, name, sign_in) = match (asked, actor) {
            (Ok(permit), Actor::User { id, name, via: Via::SignIn(sign_in), .. }) => (permit, *id, name, *sign_in),
            (Ok(_), _) => {
                return Err(AppError::refused("no-sign-in", "sign in in the browser to change your password"));
            }
            (Err(error), _) => {
                self.refused(actor, Verb::ChangePassword, actor.to_string(), &error).await;
                return Err(error);
            }
        };
        if self.directory_of(user).is_some() || self.way_of(user).is_some() {
            let sentence =
                "your password is kept where you sign in with it, in a directory or at a provider: change it there";
            return Err(AppError::refused("directory-password", sentence));
        }
        check_new(&new, "/new")?;
        let (hash, held) = self.known_of(user).await?;
        match old {
            Some(old) => {
                self.must_not_guess(Step::Password, name, device, Some(user)).await?;
                if !self.verify_password(Some(device.peer), old, hash).await? {
                    let error = AppError::field("/old", "this is not your password");
                    self.refused(actor, Verb::ChangePassword, user.to_string(), &error).await;
                    return Err(error);
                }
                self.0.throttle.succeeded(Step::Password, name, device.peer);
            }
            None if held.any() => self.must_be_fresh(actor, Verb::ChangePassword, &user.to_string()).await?,
            None => return Err(AppError::field("/old", "write your present password")),
        }
        let hash = self.hash_password(new).await?;
        let at = self.0.clock.now();
        let entry = AuditEntry {
            id: self.mint_audit(),
            at,
            subject: user.to_string(),
            outcome: Outcome::Ok,
            detail: Value::Null,
        };
        let app = self.clone();
        let done = self.0.store.write(move |tx| {
            Box::pin(async move {
                tx.set_password(user, &hash, at).await?;
                tx.password_shown(sign_in, at).await?;
                let ended = app.end_others(tx, user, Some(sign_in), at).await?;
                tx.record(&permit, &AuditEntry { detail: json!({ "sign_ins_ended": ended }), ..entry }).await?;
                app.notify_user(tx, user, &Notice::PasswordChanged);
                Ok(())
            })
        });
        done.await
    }

    /// The hash to store for a new password.
    pub(crate) async fn hash_password(&self, password: Secret) -> Result<String, AppError> {
        self.hash_password_from(None, password).await
    }

    async fn hash_password_from(&self, peer: Option<IpAddr>, password: Secret) -> Result<String, AppError> {
        let mut salt = [0; 16];
        self.0.entropy.fill(&mut salt);
        self.hashing(peer, move || {
            let hashed = password.expose(|text| argon2().hash_password_with_salt(text.as_bytes(), &salt));
            hashed
                .map(|hash| hash.to_string())
                .map_err(|error| AppError::Internal(format!("hashing a password: {error}")))
        })
        .await?
    }

    /// Whether the password fits the hash. Without a hash it takes as long and is never right, so that an unknown user
    /// cannot be told from a wrong password. A stranger's waits in the line of where they are.
    pub(crate) async fn verify_password(
        &self,
        peer: Option<IpAddr>,
        password: Secret,
        hash: Option<String>,
    ) -> Result<bool, AppError> {
        let Some(hash) = hash else {
            self.hash_password_from(peer, password).await?;
            return Ok(false);
        };
        self.hashing(peer, move || {
            let Ok(parsed) = PasswordHash::new(&hash) else { return false };
            password.expose(|text| argon2().verify_password(text.as_bytes(), &parsed).is_ok())
        })
        .await
    }

    async fn hashing<T: Send + 'static>(
        &self,
        peer: Option<IpAddr>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AppError> {
        let stopping = |_| AppError::Unavailable("the server is stopping".to_owned());
        let place = self.0.hashing_places.clone().try_acquire_owned();
        let place = place.map_err(|_| AppError::Unavailable("too many passwords wait to be looked at".to_owned()))?;
        let first = match peer.map(|peer| self.0.hashing_lines.of(peer)) {
            Some(line) => Some(line.acquire_owned().await.map_err(stopping)?),
            None => None,
        };
        let turn = self.0.hashing.clone().acquire_owned().await.map_err(stopping)?;
        // Nobody can stop a hash that was begun: whoever goes away keeps its place taken until it is done.
        let worked = tokio::task::spawn_blocking(move || {
            let _held = (turn, first, place);
            work()
        });
        worked.await.map_err(|_| AppError::Internal("hashing a password was cut short".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order_and_folded() {
        assert!(COMMON.len() > 10_000);
        assert!(COMMON.windows(2).all(|pair| pair[0] < pair[1]), "searching it needs an order");
        assert!(COMMON.iter().all(|word| *word == word.to_lowercase() && word.chars().count() >= LENGTH_MIN));
    }

    #[test]
    fn a_password_is_long_enough_and_not_tried_first() {
        let check =
            |text: &str| check_new(&Secret::new(text.to_owned()), "/password").map_err(|error| error.to_string());
        for wrong in ["short", "password1", "Iloveyou1", "zzzzzzzzzzzz", &"x".repeat(1025)] {
            assert!(check(wrong).is_err_and(|error| error.starts_with("/password: ")), "{wrong}");
        }
        for right in ["correct horse battery", "päßwörter sind lang", "8 chars?"] {
            assert_eq!(check(right), Ok(()), "{right}");
        }
    }
}
