//! One-time tokens with which a session's user comes in through the gateway without a key: made in the browser, typed or pasted
//! where `ssh` asks for a password, good once and for a minute.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use cardea_domain::{
    Actor, Admission, Credential, GateRefusal, Permit, Secret, Session, SessionId, Stage, Timestamp, Verb, Via,
};
use cardea_store::Tx;
use serde_json::json;

use crate::{
    App, AppError,
    change::Note,
    gate::refusal,
    session::permit,
    sign_in::actor_of,
    throttle::{Attempt, Step},
};

/// A token that was just made. Its value is shown once.
pub struct Launch {
    pub token: Secret,
    pub expires_at: Timestamp,
}

const LASTS: Duration = Duration::from_secs(60);
/// Unused tokens of one session at a time.
const UNUSED_MAX: i64 = 6;
/// Longer texts are no tokens.
const TOKEN_BYTES_MAX: usize = 256;
/// The same for every token that opens nothing, so that nobody learns from it which sessions there are.
pub(crate) const WRONG: &str = "this is not a token that opens this session now, nor your password. A token is good once and for a \
                                minute: press Launch for another.";
/// What a token begins with, as [`App::random_token`] makes it: nobody's password does.
const PREFIX: &str = "cardea-launch-";

impl App {
    /// Makes a token with which the session's user joins it once.
    pub async fn launch_session(&self, actor: &Actor, id: SessionId, peer: IpAddr) -> Result<Launch, AppError> {
        let launched = match self.must_be_fresh_to_launch(actor, id, peer).await {
            Ok(()) => self.retried(|| self.launch_once(actor, id, peer)).await,
            Err(error) => Err(error),
        };
        if let Err(
            error @ (AppError::Denied(_)
            | AppError::FactorNeeded { .. }
            | AppError::Refused { .. }
            | AppError::Throttled { .. }),
        ) = &launched
        {
            self.refused(actor, Verb::Launch, format!("{id} from {peer}"), error).await;
        }
        launched
    }

    async fn launch_once(&self, actor: &Actor, id: SessionId, peer: IpAddr) -> Result<Launch, AppError> {
        let token = self.random_token("launch");
        let digest = self.launch_digest(&token);
        let (app, actor, now) = (self.clone(), actor.clone(), self.0.clock.now());
        let expires_at = now.plus(LASTS);
        let written = self.0.store.write(move |tx| {
            Box::pin(async move {
                let mut session = app.visible(tx, &actor, id).await?;
                let permit = permit(&actor, Verb::Launch, &session)?;
                app.check_open(&session).map_err(|no| AppError::refused(no.code, no.sentence))?;
                if !session.rules.has_login {
                    return Err(AppError::refused(
                        "no-login",
                        "the activity has no log-in, so there is nothing to launch",
                    ));
                }
                tx.hold_user(session.user).await?;
                if tx.launches_of(id, now).await? >= UNUSED_MAX {
                    return Err(AppError::Throttled { retry_after: LASTS });
                }
                tx.insert_launch(&digest, (id, session.user), now, expires_at).await?;
                let sentence = format!("{actor} made a one-time token to connect with, from {peer}");
                let note = Note::info(Stage::Session, sentence).with(json!({ "peer": peer, "expires_at": expires_at }));
                app.save_session(tx, &permit, &mut session, note).await?;
                Ok::<_, AppError>(())
            })
        });
        written.await?;
        Ok(Launch { token, expires_at })
    }

    /// Whether somebody typed a token, and not a password.
    pub(crate) fn is_launch_token(typed: &Secret) -> bool {
        typed.expose(|typed| typed.starts_with(PREFIX))
    }

    /// Uses a token up, at whichever node it is shown. Every wrong one costs its address a try, as a wrong password does.
    pub(crate) async fn redeem_launch(
        &self,
        user_name: &str,
        token: Secret,
        peer: SocketAddr,
    ) -> Result<Admission, GateRefusal> {
        let wrong = || refusal(GateRefusal::WRONG_TOKEN, WRONG);
        // Who guesses from elsewhere does not slow its user down: nobody guesses 256 bits.
        let attempt = Attempt { step: Step::Launch, user: user_name, peer: peer.ip(), is_familiar: true };
        if self.0.throttle.attempt(attempt, self.0.clock.now()).is_err() {
            return Err(wrong());
        }
        let redeemed = match user_name.parse() {
            Ok(id) if token.expose(String::len) <= TOKEN_BYTES_MAX => self.redeem_once(id, &token, peer).await,
            Ok(_) | Err(_) => Ok(None),
        };
        match redeemed {
            Ok(Some((session, user_name))) => {
                self.0.throttle.succeeded(Step::Launch, &session.id.to_string(), peer.ip());
                self.must_be_let_in(session.user)?;
                self.check_open(&session)?;
                let (user, credential) = (session.user, Credential::Token);
                Ok(Admission { session: session.id, user, user_name, credential, peer })
            }
            Ok(None) => {
                let subject: String = user_name.chars().take(64).collect();
                let error = AppError::Unauthenticated("a wrong one-time token".to_owned());
                self.refused(&Actor::Gateway, Verb::Launch, format!("session {subject:?} from {peer}"), &error).await;
                Err(wrong())
            }
            Err(error) => Err(self.gate_failure(&error)),
        }
    }

    /// The token's session and the name of its user, if it was good. It is good no more, whatever comes of it.
    async fn redeem_once(
        &self,
        id: SessionId,
        token: &Secret,
        peer: SocketAddr,
    ) -> Result<Option<(Session, String)>, AppError> {
        let digest = self.launch_digest(token);
        let app = self.clone();
        let used = self.0.store.write(move |tx| {
            Box::pin(async move {
                let now = app.0.clock.now();
                let Some(user) = tx.use_launch(&digest, id, now).await? else { return Ok(None) };
                let Some(session) = tx.session(id).await?.filter(|session| session.user == user) else {
                    return Ok(None);
                };
                app.write_down_use(tx, &session, peer, now).await
            })
        });
        used.await
    }

    async fn write_down_use(
        &self,
        tx: &mut Tx,
        session: &Session,
        peer: SocketAddr,
        now: Timestamp,
    ) -> Result<Option<(Session, String)>, AppError> {
        let configuration = self.configuration();
        let Some(user) = configuration.get(session.user) else { return Ok(None) };
        let permit = Permit::for_session(&actor_of(&configuration, user, Via::Launch)?, Verb::Launch, session)?;
        let note = Note::info(Stage::Session, format!("A one-time token was used, from {peer}"));
        self.write_note(tx, &permit, session, note.with(json!({ "used": true, "peer": peer })), now).await?;
        Ok(Some((session.clone(), user.name.to_string())))
    }

    fn launch_digest(&self, token: &Secret) -> Vec<u8> {
        token.expose(|text| self.0.keyring.digest("launch", text.as_bytes())).to_vec()
    }
}
