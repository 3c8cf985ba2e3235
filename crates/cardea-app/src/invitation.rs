//! Invitations: a user chooses a password by a link that only their mail has. It works once and for a while, and a newer one
//! makes it void.

use std::{net::IpAddr, time::Duration};

use cardea_domain::{Actor, InvitationId, Kind, ObjectId, Permit, Role, Secret, Timestamp, Verb, Via, is_mail_address};
use cardea_store::{AuditEntry, InvitationRow, Outcome};
use serde_json::{Value, json};

use crate::{App, AppError, Device, escalation::must_not_outrank, notice::Notice, password, throttle::Step};

/// An invitation that was just made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invited {
    /// Where it goes.
    pub email: String,
    pub expires_at: Timestamp,
}

/// How long a link is good for.
const LASTS: Duration = Duration::from_secs(72 * 3600);

impl App {
    /// Sends a user a link to choose a password with.
    pub async fn invite(&self, actor: &Actor, user: &str) -> Result<Invited, AppError> {
        let invited = self.invite_guarded(actor, user).await;
        if let Err(error @ (AppError::Denied(_) | AppError::Refused { .. })) = &invited {
            self.refused(actor, Verb::InviteUser, user.chars().take(64).collect(), error).await;
        }
        invited
    }

    async fn invite_guarded(&self, actor: &Actor, user: &str) -> Result<Invited, AppError> {
        let object = self.object(actor, Kind::User, user)?;
        let (configuration, id) = (self.configuration(), object.id);
        let permit = Permit::for_object(actor, Verb::InviteUser, &object, &configuration)?;
        must_not_outrank(actor, &configuration, id)?;
        self.must_be_fresh(actor, Verb::InviteUser, user).await?;
        self.may_give_password(actor, id).await?;
        let email = object.as_user().map(|spec| spec.email.clone()).unwrap_or_default();
        if !self.sends_mail() {
            let sentence =
                "this server sends no mail: set `[mail]` in its settings, or give the user a password yourself";
            return Err(AppError::refused("no-mail", sentence));
        }
        if !is_mail_address(&email) {
            return Err(AppError::refused("no-mail-address", "the user has no mail address: set `email` first"));
        }
        if let Some(why) = self.keeps_out(id) {
            return Err(AppError::refused("user-kept-out", why));
        }
        if self.directory_of(id).is_some() || self.way_of(id).is_some() {
            let sentence = "this user signs in with the password that they have in a directory or at a provider: one of here would be \
                            nothing to them";
            return Err(AppError::refused("directory-password", sentence));
        }
        let (app, now) = (self.clone(), self.0.clock.now());
        let invitation = InvitationId::mint(now, &*self.0.entropy);
        let digest = self.invitation_digest(&self.invitation_token(invitation));
        let row = InvitationRow {
            id: invitation,
            user: id,
            digest,
            created_at: now,
            expires_at: now.plus(LASTS),
            used_at: None,
            voided_at: None,
        };
        let invited = Invited { email: email.clone(), expires_at: row.expires_at };
        let by = actor.to_string();
        let written = self.0.store.write(move |tx| {
            Box::pin(async move {
                tx.insert_invitation(&row).await?;
                app.tell_invited(tx, id, &row, &by);
                let detail = json!({ "invitation": row.id, "email": email, "expires_at": row.expires_at });
                tx.record(&permit, &app.invitation_entry(id, detail)).await.map_err(AppError::from)
            })
        });
        written.await?;
        Ok(invited)
    }

    /// Takes an invitation up: its user has this password from now on, and signs in with it like everybody.
    pub async fn accept_invitation(&self, device: &Device, token: Secret, password: Secret) -> Result<(), AppError> {
        // Each token by itself: whoever guesses keeps nobody else's invitation from being taken up, only their own address.
        let guessed = data_encoding::HEXLOWER.encode(&self.invitation_digest(&token));
        self.must_not_guess(Step::SetUp, &guessed, device, None).await?;
        let peer = device.peer;
        password::check_new(&password, "/password")?;
        let accepted = self.accept_once(peer, &token, password).await;
        if let Err(error @ AppError::Unauthenticated(_)) = &accepted {
            self.refused(&Actor::Gateway, Verb::SignIn, format!("invitation from {peer}"), error).await;
        }
        accepted?;
        self.0.throttle.succeeded(Step::SetUp, &guessed, peer);
        Ok(())
    }

    /// A new password for somebody who has one makes whoever reads that mailbox them, with all that they may say yes to.
    async fn may_give_password(&self, actor: &Actor, user: ObjectId) -> Result<(), AppError> {
        let Actor::User { roles, via, .. } = actor else { return Ok(()) };
        if matches!(via, Via::Token { .. }) && !actor.is_operator_issued() {
            let sentence = "a token cannot give anybody a password: sign in in the browser to invite them";
            return Err(AppError::refused("no-sign-in", sentence));
        }
        let (hash, _) = self.known_of(user).await?;
        if hash.is_some() && !roles.contains(&Role::Administrator) {
            let sentence = "they have a password already: only an administrator invites them to choose another";
            return Err(AppError::refused("has-password", sentence));
        }
        Ok(())
    }

    async fn accept_once(&self, peer: IpAddr, token: &Secret, password: Secret) -> Result<(), AppError> {
        let over = || {
            AppError::Unauthenticated(
                "this invitation was used already, is too old, or something of the user was changed since: ask an administrator for another"
                    .to_owned(),
            )
        };
        let digest = self.invitation_digest(token);
        let wanted = digest.clone();
        let known = self
            .0
            .store
            .read(move |tx| Box::pin(async move { tx.invitation_by_digest(&wanted).await.map_err(AppError::from) }));
        let known = known.await?.ok_or_else(over)?;
        if let Some(why) = self.keeps_out(known.user) {
            return Err(AppError::Unauthenticated(why));
        }
        // Whoever was invited was somebody else then, or reads mail elsewhere by now.
        if self.configuration().get(known.user).is_none_or(|user| user.updated_at > known.created_at) {
            return Err(over());
        }
        let hash = self.hash_password(password).await?;
        let (app, now) = (self.clone(), self.0.clock.now());
        let used = self.0.store.write(move |tx| {
            Box::pin(async move {
                if !tx.use_invitation(&digest, now).await? {
                    return Err(over());
                }
                tx.set_password(known.user, &hash, now).await?;
                let permit = Permit::ask(&Actor::Gateway, Verb::SignIn)?;
                let ended = app.end_others(tx, known.user, None, now).await?;
                app.notify_user(tx, known.user, &Notice::PasswordChanged);
                let detail = json!({
                    "invitation": known.id, "peer": peer, "password_set": true, "sign_ins_ended": ended,
                });
                tx.record(&permit, &app.invitation_entry(known.user, detail)).await.map_err(AppError::from)
            })
        });
        used.await
    }

    /// What the link of an invitation holds. It follows from the invitation's id and the master key, so that it is written
    /// down nowhere and every attempt to send it sends the same.
    pub(crate) fn invitation_token(&self, invitation: InvitationId) -> Secret {
        let bytes = self.0.keyring.digest("invitation", invitation.to_string().as_bytes());
        Secret::new(format!("cardea-invitation-{}", data_encoding::BASE64URL_NOPAD.encode(&bytes)))
    }

    fn invitation_digest(&self, token: &Secret) -> Vec<u8> {
        token.expose(|text| self.0.keyring.digest("invitation-token", text.as_bytes())).to_vec()
    }

    fn invitation_entry(&self, user: ObjectId, detail: Value) -> AuditEntry {
        let (id, at) = (self.mint_audit(), self.0.clock.now());
        AuditEntry { id, at, subject: user.to_string(), outcome: Outcome::Ok, detail }
    }
}
