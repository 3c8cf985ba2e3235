//! Passwords of users: argon2id, computed off the async threads and few at a time.

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use cardea_domain::Secret;

use crate::{App, AppError};

/// OWASP's second recommendation for argon2id: 19 MiB, 2 passes, 1 lane.
fn argon2() -> Argon2<'static> {
    let params = Params::new(19 * 1024, 2, 1, None).expect("the parameters are within argon2's limits");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

const LENGTH_MIN: usize = 8;
const LENGTH_MAX: usize = 1024;

/// Whether a new password is long enough to be taken.
pub(crate) fn check_new(password: &Secret, pointer: &str) -> Result<(), AppError> {
    let length = password.expose(|text| text.chars().count());
    if (LENGTH_MIN..=LENGTH_MAX).contains(&length) {
        return Ok(());
    }
    Err(AppError::field(pointer, format!("a password has {LENGTH_MIN} to {LENGTH_MAX} characters")))
}

impl App {
    /// The hash to store for a new password.
    pub(crate) async fn hash_password(&self, password: Secret) -> Result<String, AppError> {
        let mut salt = [0; 16];
        self.0.entropy.fill(&mut salt);
        self.hashing(move || {
            let hashed = password.expose(|text| argon2().hash_password_with_salt(text.as_bytes(), &salt));
            hashed
                .map(|hash| hash.to_string())
                .map_err(|error| AppError::Internal(format!("hashing a password: {error}")))
        })
        .await?
    }

    /// Whether the password fits the hash. Without a hash it takes as long and is never right, so that an unknown user
    /// cannot be told from a wrong password.
    pub(crate) async fn verify_password(&self, password: Secret, hash: Option<String>) -> Result<bool, AppError> {
        let Some(hash) = hash else {
            self.hash_password(password).await?;
            return Ok(false);
        };
        self.hashing(move || {
            let Ok(parsed) = PasswordHash::new(&hash) else { return false };
            password.expose(|text| argon2().verify_password(text.as_bytes(), &parsed).is_ok())
        })
        .await
    }

    async fn hashing<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, AppError> {
        let turn = self.0.hashing.clone().acquire_owned().await;
        let _turn = turn.map_err(|_| AppError::Unavailable("the server is stopping".to_owned()))?;
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| AppError::Internal("hashing a password was cut short".to_owned()))
    }
}
