//! API tokens: opaque, expiring, only their digest stored.

use std::time::Duration;

use cardea_domain::{
    Actor, Kind, ObjectId, Permit, Secret, Timestamp, TokenId, TokenScopes, Verb, Via, is_unprintable,
};
use cardea_store::{AuditEntry, Outcome, TokenRow};
use serde_json::json;

use crate::{App, AppError};

/// A token that was just made. Its value is shown once.
pub struct NewToken {
    pub id: TokenId,
    pub token: Secret,
    pub name: String,
    pub expires_at: Timestamp,
    pub scopes: TokenScopes,
}

/// What a token is to be.
#[derive(Clone, Debug, Default)]
pub struct TokenWish {
    pub name: String,
    pub expires_at: Option<Timestamp>,
    /// Whatever the user may do, if left out.
    pub scopes: Option<TokenScopes>,
}

/// A token lasts this long unless something else was asked for.
const LASTS: Duration = Duration::from_secs(30 * 86_400);
const LASTS_MAX: Duration = Duration::from_secs(366 * 86_400);
/// `last_used_at` is written at most this often.
const USED_EVERY: Duration = Duration::from_secs(60);

impl App {
    /// Makes a token for the actor, who showed lately who they are: the token is not asked again.
    pub async fn create_token(&self, actor: &Actor, wish: TokenWish) -> Result<NewToken, AppError> {
        let asked = Permit::ask(actor, Verb::CreateToken).map_err(AppError::from);
        let permit = match asked {
            Ok(permit) => permit,
            Err(error) => {
                self.refused(actor, Verb::CreateToken, wish.name.chars().take(64).collect(), &error).await;
                return Err(error);
            }
        };
        let user =
            actor.user_id().ok_or_else(|| AppError::Internal("a permit to make a token without a user".to_owned()))?;
        self.must_be_fresh(actor, Verb::CreateToken, &user.to_string()).await?;
        self.insert_token(permit, user, wish).await
    }

    /// Makes a token for any user. The operator only; the token is marked and may not change users or policies.
    pub async fn issue_token(
        &self,
        actor: &Actor,
        user: &str,
        expires_at: Option<Timestamp>,
    ) -> Result<NewToken, AppError> {
        let permit = match Permit::ask(actor, Verb::IssueToken).map_err(AppError::from) {
            Ok(permit) => permit,
            Err(error) => {
                self.refused(actor, Verb::IssueToken, user.chars().take(64).collect(), &error).await;
                return Err(error);
            }
        };
        let configuration = self.configuration();
        let found = configuration.find(Kind::User, user);
        let id = found.ok_or_else(|| AppError::field("/user", format!("there is no user `{user}`")))?.id;
        let wish = TokenWish { name: "issued by the operator".to_owned(), expires_at, scopes: None };
        self.insert_token(permit, id, wish).await
    }

    async fn insert_token(
        &self,
        permit: Permit,
        user: ObjectId,
        TokenWish { name, expires_at, scopes }: TokenWish,
    ) -> Result<NewToken, AppError> {
        let now = self.0.clock.now();
        let expires_at = expires_at.unwrap_or_else(|| now.plus(LASTS));
        if expires_at <= now || expires_at > now.plus(LASTS_MAX) {
            return Err(AppError::field("/expires_at", "a token ends in the future, within 366 days"));
        }
        if name.chars().count() > 64 || name.contains(is_unprintable) {
            return Err(AppError::field("/name", "a token's name has at most 64 printable characters"));
        }
        let id = TokenId::mint(now, &*self.0.entropy);
        let token = self.random_token("token");
        let digest = token.expose(|text| self.0.keyring.digest("token", text.as_bytes())).to_vec();
        let scopes = scopes.unwrap_or(TokenScopes::ALL);
        let operator_issued = permit.verb() == Verb::IssueToken;
        let row = TokenRow {
            id,
            user,
            name: name.clone(),
            digest,
            created_at: now,
            expires_at,
            operator_issued,
            last_used_at: None,
            scopes,
            revoked_at: None,
        };
        let detail = json!({
            "user": user, "expires_at": expires_at, "operator_issued": operator_issued, "scopes": scopes,
        });
        let entry =
            AuditEntry { id: self.mint_audit(), at: now, subject: id.to_string(), outcome: Outcome::Ok, detail };
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    tx.insert_token(&row).await?;
                    tx.record(&permit, &entry).await?;
                    Ok::<_, AppError>(())
                })
            })
            .await?;
        Ok(NewToken { id, token, name, expires_at, scopes })
    }

    /// Who shows this token.
    pub async fn actor_by_token(&self, token: &Secret) -> Result<Actor, AppError> {
        let wrong = || AppError::Unauthenticated("the token is not known or has expired: make a new one".to_owned());
        let now = self.0.clock.now();
        let digest = token.expose(|text| self.0.keyring.digest("token", text.as_bytes())).to_vec();
        let row = self
            .0
            .store
            .read(move |tx| Box::pin(async move { tx.token_by_digest(&digest).await }))
            .await?
            .ok_or_else(wrong)?;
        if now >= row.expires_at || row.revoked_at.is_some() {
            return Err(wrong());
        }
        if row.last_used_at.is_none_or(|at| now.since(at) > USED_EVERY) {
            self.0.store.write(move |tx| Box::pin(async move { tx.touch_token(row.id, now).await })).await?;
        }
        self.let_in(row.user, Via::Token { id: row.id, operator_issued: row.operator_issued, scopes: row.scopes })
    }
}
