//! Sign-ins and tokens as lists: one's own, or for administrators anybody's, to be looked at and ended.

use cardea_domain::{Actor, ObjectId, Permit, SignInId, TokenId, Verb, Via};
use cardea_store::{AuditEntry, Outcome, SignInRow, TokenRow};
use serde_json::{Value, json};

use crate::{App, AppError};

impl App {
    /// Sign-ins that are not over, newest first: one's own, or for administrators and auditors anybody's.
    pub async fn sign_ins(&self, actor: &Actor, user: Option<&str>) -> Result<Vec<SignInRow>, AppError> {
        let user = self.user_or_oneself(actor, Verb::SeeSignIns, user)?;
        let (now, idle) = (self.0.clock.now(), self.0.sign_in.idle);
        let rows = self.0.store.read(move |tx| Box::pin(async move { tx.open_sign_ins(user, now).await }));
        Ok(rows.await?.into_iter().filter(|row| now.since(row.last_seen_at) <= idle).collect())
    }

    /// Ends one sign-in.
    pub async fn end_sign_in(&self, actor: &Actor, id: SignInId) -> Result<(), AppError> {
        let row = self.0.store.read(move |tx| Box::pin(async move { tx.sign_in(id).await })).await?;
        let row = row.ok_or(AppError::NotFound)?;
        let permit = self.to_end(actor, Verb::EndSignIn, row.user, id.to_string()).await?;
        let entry = self.ended_entry(id.to_string(), json!({ "user": row.user }));
        let done = self.0.store.write(move |tx| {
            Box::pin(async move {
                tx.end_sign_in(id, entry.at).await?;
                tx.record(&permit, &entry).await?;
                Ok(())
            })
        });
        done.await
    }

    /// Ends every sign-in of a user, with those that are half done; `keep_own` spares the one that asks. How many.
    pub async fn end_sign_ins(&self, actor: &Actor, user: Option<&str>, keep_own: bool) -> Result<u64, AppError> {
        let asked = self.user_or_oneself(actor, Verb::EndSignIn, user);
        let asked = asked.and_then(|user| Ok((self.to_touch(actor, Verb::EndSignIn, user)?, user)));
        if let Err(error @ AppError::Denied(_)) = &asked {
            let subject = user.unwrap_or_default().chars().take(64).collect();
            self.refused(actor, Verb::EndSignIn, subject, error).await;
        }
        let (permit, user) = asked?;
        let own = match actor {
            Actor::User { via: Via::SignIn(id), .. } if keep_own => Some(*id),
            _ => None,
        };
        let entry = self.ended_entry(user.to_string(), Value::Null);
        let app = self.clone();
        let done = self.0.store.write(move |tx| {
            Box::pin(async move {
                let ended = app.end_others(tx, user, own, entry.at).await?;
                let detail = json!({ "sign_ins_ended": ended, "but": own });
                tx.record(&permit, &AuditEntry { detail, ..entry }).await?;
                Ok(ended)
            })
        });
        done.await
    }

    /// Tokens that are not over, newest first: one's own, or for administrators and auditors anybody's.
    pub async fn tokens(&self, actor: &Actor, user: Option<&str>) -> Result<Vec<TokenRow>, AppError> {
        let user = self.user_or_oneself(actor, Verb::SeeSignIns, user)?;
        let now = self.0.clock.now();
        Ok(self.0.store.read(move |tx| Box::pin(async move { tx.open_tokens(user, now).await })).await?)
    }

    /// Ends one token.
    pub async fn revoke_token(&self, actor: &Actor, id: TokenId) -> Result<(), AppError> {
        let row = self.0.store.read(move |tx| Box::pin(async move { tx.token(id).await })).await?;
        let row = row.ok_or(AppError::NotFound)?;
        let permit = self.to_end(actor, Verb::RevokeToken, row.user, id.to_string()).await?;
        let entry = self.ended_entry(id.to_string(), json!({ "user": row.user, "name": row.name }));
        let done = self.0.store.write(move |tx| {
            Box::pin(async move {
                tx.revoke_token(id, entry.at).await?;
                tx.record(&permit, &entry).await?;
                Ok(())
            })
        });
        done.await
    }

    /// The permit to end something of a user. For whoever may not see it, it is not there.
    async fn to_end(&self, actor: &Actor, verb: Verb, user: ObjectId, subject: String) -> Result<Permit, AppError> {
        let denied = match self.to_touch(actor, verb, user) {
            Ok(permit) => return Ok(permit),
            Err(error) => error,
        };
        self.refused(actor, verb, subject, &denied).await;
        let configuration = self.configuration();
        let sees = match configuration.get(user) {
            Some(user) => Permit::for_user(actor, Verb::SeeSignIns, user, &configuration).is_ok(),
            None => Permit::ask(actor, Verb::SeeSignIns).is_ok(),
        };
        Err(if sees { denied } else { AppError::NotFound })
    }

    fn ended_entry(&self, subject: String, detail: Value) -> AuditEntry {
        AuditEntry { id: self.mint_audit(), at: self.0.clock.now(), subject, outcome: Outcome::Ok, detail }
    }
}
