//! A provider's word that somebody has left: their sign-ins by it end at once, and their sessions if it is set so.

use std::{collections::BTreeSet, time::Duration};

use cardea_domain::{Actor, EndCause, ObjectId, OpenIdLeaver, Permit, Verb};
use cardea_store::{AuditEntry, Outcome};
use serde_json::json;

use super::{Provider, fault_of};
use crate::{App, AppError, Device};

/// A word is taken once. It is remembered for longer than any counts.
const REMEMBERED: Duration = Duration::from_secs(1_800);

impl App {
    /// A provider says that somebody has left.
    pub async fn leave(&self, device: &Device, provider: &str, token: &str) -> Result<(), AppError> {
        let said: String = provider.chars().take(64).collect();
        let left = match self.openid_provider(provider).await {
            Ok(provider) => self.leave_once(&provider, token).await,
            Err(error) => Err(error),
        };
        if let Err(error @ AppError::Refused { .. }) = &left {
            let subject = format!("identity provider {said:?} from {}", device.peer);
            self.refused(&Actor::Gateway, Verb::SignIn, subject, error).await;
        }
        left
    }

    async fn leave_once(&self, provider: &Provider, token: &str) -> Result<(), AppError> {
        let leaver = provider.by.leaver(&provider.asked, token, self.0.clock.now()).await;
        let leaver = leaver.map_err(|fault| fault_of(&provider.object, &fault))?;
        let users = self.end_theirs(provider, leaver).await?;
        if provider.asked.spec.logout_ends_sessions && !users.is_empty() {
            let users: Vec<_> = users.into_iter().collect();
            let sessions = self.0.store.read(move |tx| Box::pin(async move { tx.sessions_on(&users).await })).await?;
            let why = format!("{} says that they have signed out", provider.object.name);
            for session in sessions.into_iter().filter(|session| session.status.can_end()) {
                self.end_because(session.id, &EndCause::GroundLost(why.clone())).await?;
            }
            self.nudge();
        }
        Ok(())
    }

    /// Ends the sign-ins of whoever left. Whose they were.
    async fn end_theirs(&self, provider: &Provider, leaver: OpenIdLeaver) -> Result<BTreeSet<ObjectId>, AppError> {
        let (app, id, now) = (self.clone(), provider.object.id, self.0.clock.now());
        let OpenIdLeaver { sid, subject, word } = leaver;
        let digest = self.0.keyring.digest("oidc logout", word.as_bytes()).to_vec();
        let ended = self.0.store.write(move |tx| {
            Box::pin(async move {
                if !tx.note_logout(id, &digest, (now, now.plus(REMEMBERED))).await? {
                    return Err(AppError::refused("provider-fault", "it said so before: each word counts once"));
                }
                let ended = tx.end_external_sign_ins(id, (sid.as_deref(), subject.as_deref()), now).await?;
                let mut users: BTreeSet<_> = ended.iter().map(|(_, user)| *user).collect();
                if let Some(subject) = &subject {
                    users.extend(tx.identity(id, subject).await?.map(|row| row.user));
                }
                for user in &users {
                    let theirs = ended.iter().filter(|(_, of)| of == user).map(|(sign_in, _)| sign_in);
                    let entry = AuditEntry {
                        id: app.mint_audit(),
                        at: now,
                        subject: user.to_string(),
                        outcome: Outcome::Ok,
                        detail: json!({ "left": app.name_of(id), "sign_ins_ended": theirs.collect::<Vec<_>>() }),
                    };
                    tx.record(&Permit::ask(&Actor::Gateway, Verb::SignIn)?, &entry).await?;
                }
                Ok(users)
            })
        });
        ended.await
    }
}
