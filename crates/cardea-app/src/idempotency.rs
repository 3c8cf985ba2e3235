//! Requests that are sent twice: a caller's key makes them one.

use std::time::Duration;

use cardea_domain::{Actor, ObjectId, RequestId, Session, Timestamp, fold};
use cardea_store::{IdempotencyKey, StoreError, Tx};
use serde_json::json;

use crate::{App, AppError, NewRequest, SessionDetail, session::details};

/// How long a key is remembered.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
const KEY_MAX: usize = 255;

/// A key, and what was asked with it.
pub(crate) struct Asked {
    user: ObjectId,
    key: String,
    resources: Vec<String>,
    /// Of everything that the request says.
    digest: Vec<u8>,
}

impl App {
    /// The request's key, if it has one.
    pub(crate) fn asked(&self, actor: &Actor, request: &NewRequest) -> Result<Option<Asked>, AppError> {
        let (Some(key), Some(user)) = (&request.idempotency_key, actor.user_id()) else { return Ok(None) };
        if key.is_empty() || key.len() > KEY_MAX || !key.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            let message = format!("write 1 to {KEY_MAX} printable ASCII characters into the header `Idempotency-Key`");
            return Err(AppError::field("/idempotency_key", message));
        }
        let NewRequest { activity, resources, policy, notes, ticket, custom, start_at, idempotency_key: _ } = request;
        let said = json!([activity, resources, policy, notes, ticket, custom, start_at]).to_string();
        let digest = self.0.keyring.digest("request", said.as_bytes()).to_vec();
        Ok(Some(Asked { user, key: key.clone(), resources: resources.clone(), digest }))
    }

    /// What became of the same request before, if it was sent before.
    pub(crate) async fn answered(&self, asked: &Asked) -> Result<Option<Vec<SessionDetail>>, AppError> {
        let (user, key, since) = (asked.user, asked.key.clone(), self.since());
        let read = self.0.store.read(move |tx| {
            Box::pin(async move {
                let Some(known) = tx.idempotency_key(user, &key, since).await? else { return Ok(None) };
                let sessions = tx.sessions_of_request(known.request).await?;
                Ok::<_, AppError>(Some((known.digest, details(tx, sessions).await?)))
            })
        });
        match read.await? {
            Some((digest, mut sessions)) if digest == asked.digest => {
                // In the order in which the request names their resources.
                sessions.sort_by_key(|detail| place_of(&detail.session, &asked.resources));
                Ok(Some(sessions))
            }
            Some(_) => {
                let sentence =
                    "this idempotency key was used for another request within the last 24 hours: use a new key";
                Err(AppError::refused("key-used", sentence))
            }
            None => Ok(None),
        }
    }

    /// Writes the key down with the request, in its unit. [`AppError::Conflict`] if the same key came in between: the
    /// caller looks again.
    pub(crate) async fn remember(&self, tx: &mut Tx, asked: Asked, request: RequestId) -> Result<(), AppError> {
        let Asked { user, key, digest, .. } = asked;
        tx.purge_idempotency_keys(self.since()).await?;
        let row = IdempotencyKey { user, key, digest, request, at: self.0.clock.now() };
        tx.insert_idempotency_key(&row).await.map_err(|error| match error {
            StoreError::Duplicate { .. } => AppError::Conflict,
            other => other.into(),
        })
    }

    /// Keys from before are forgotten.
    fn since(&self) -> Timestamp {
        self.0.clock.now().minus(REMEMBERED)
    }
}

fn place_of(session: &Session, resources: &[String]) -> Option<usize> {
    let is_it = |name: &String| fold(name) == fold(&session.resource_name) || *name == session.resource.to_string();
    resources.iter().position(is_it)
}
