//! What the gateway asks for beside a key: a second factor where the profile wants one, and the password of whoever has no key.
//!
//! A factor that was shown within the last minutes from the same network is not asked for again, wherever it was shown. What is
//! shown is used up, and guessing it is slowed down, as in the browser.

use std::net::{IpAddr, SocketAddr};

use cardea_domain::{
    Actor, Admission, ConnectAuth, Credential, Entry, GateRefusal, Object, Permit, Secret, Session, SessionId, Verb,
    Via,
};
use cardea_store::{AuditEntry, Outcome, Tx};
use serde_json::json;

use crate::{
    App, AppError, Device, Shown, device::network, gate::refusal, launch::WRONG, second_step::without_spaces,
    sign_in::actor_of, throttle::Step,
};

/// What is still asked of somebody who has shown something right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StillAsked {
    Nothing,
    Factor,
    /// They have none, and must.
    Enrolment,
}

/// What the gateway's clients call themselves where browsers have a name.
const AGENT: &str = "ssh";
const NO_FACTOR: &str = "you have to have a second factor here and have none: sign in to Cardea in your browser, set one up, and \
                         connect again";
const NO_FACTOR_IN_TOKEN: &str = "this session takes your second factor, which an API token does not show: press Launch in your \
                                  browser, or show the factor there or by `ssh` from this network, and ask again";
const PASSWORD_ALONE: &str = "your password alone opens nothing here: sign in to Cardea in your browser and set up a second factor, \
                              or register an SSH key";

impl App {
    /// What is still asked of the session's user, who has shown this.
    pub(crate) async fn still_asked(
        &self,
        tx: &mut Tx,
        session: &Session,
        credential: &Credential,
        peer: IpAddr,
    ) -> Result<StillAsked, AppError> {
        let by_password = *credential == Credential::Password;
        if session.rules.connect_auth == ConnectAuth::Key && !by_password {
            return Ok(StillAsked::Nothing);
        }
        let app = tx.totp(session.user).await?.map(|totp| totp.at);
        let passkey = tx.passkeys(session.user).await?.last().map(|passkey| passkey.created_at);
        let Some(set_up) = app.max(passkey) else {
            let must = by_password || self.must_have_factor(session.user);
            return Ok(if must { StillAsked::Enrolment } else { StillAsked::Nothing });
        };
        // What was shown before the newest was set up may have been somebody else's.
        let since = self.0.clock.now().minus(self.0.sign_in.fresh).max(set_up);
        let shown = tx.showed_factor_since(session.user, &network(peer).to_string(), since).await?;
        Ok(if shown { StillAsked::Nothing } else { StillAsked::Factor })
    }

    /// Lets somebody in by the password of the session's user, whom a second factor is asked of in any case.
    pub(crate) async fn enter_by_password(
        &self,
        user_name: &str,
        password: Secret,
        peer: SocketAddr,
    ) -> Result<Entry, GateRefusal> {
        let failed = |error: AppError| self.gate_failure(&error);
        let found = self.session_and_user(user_name).await.map_err(failed)?;
        let (name, whose) = match &found {
            Some((_, user)) => (user.name.to_string(), Some(user.id)),
            None => (user_name.to_owned(), None),
        };
        let device = Device::new(peer.ip(), AGENT);
        self.must_not_guess(Step::Password, &name, &device, whose).await.map_err(failed)?;
        // Asked for nobody as well, so that it takes as long.
        let right = self.is_password_of(Some(peer.ip()), whose, password).await.map_err(failed)?;
        let (true, Some((session, user))) = (right, found) else {
            let error = AppError::Unauthenticated("the password is wrong, or opens no session".to_owned());
            let subject: String = name.chars().take(64).collect();
            self.refused(&Actor::Gateway, Verb::SignIn, format!("user {subject:?} from {peer}"), &error).await;
            return Err(refusal(GateRefusal::WRONG_TOKEN, WRONG));
        };
        self.must_be_let_in(user.id)?;
        self.check_open(&session)?;
        let (app, of) = (self.clone(), session.clone());
        let read = self
            .0
            .store
            .read(move |tx| Box::pin(async move { app.still_asked(tx, &of, &Credential::Password, peer.ip()).await }));
        let asked = read.await.map_err(failed)?;
        // Until the factor is shown it is one attempt, as in the browser.
        if asked != StillAsked::Factor {
            self.0.throttle.succeeded(Step::Password, &name, peer.ip());
        }
        let (session, credential) = (session.id, Credential::Password);
        entry(Admission { session, user: user.id, user_name: name, credential, peer }, asked)
    }

    async fn session_and_user(&self, user_name: &str) -> Result<Option<(Session, Object)>, AppError> {
        let Ok(id) = user_name.parse::<SessionId>() else { return Ok(None) };
        let read = self.0.store.read(move |tx| Box::pin(async move { tx.session(id).await.map_err(AppError::from) }));
        let configuration = self.configuration();
        let found = read.await?;
        Ok(found.and_then(|session| configuration.get(session.user).cloned().map(|user| (session, user))))
    }

    /// Takes a second factor of somebody who has shown the first. Nobody is asked again for a while who comes from there.
    pub(crate) async fn show_factor_to_connect(
        &self,
        half: &Admission,
        typed: Secret,
    ) -> Result<Admission, GateRefusal> {
        let failed = |error: AppError| self.gate_failure(&error);
        let device = Device::new(half.peer.ip(), AGENT);
        let account = half.user.to_string();
        self.must_not_guess(Step::SecondFactor, &account, &device, Some(half.user)).await.map_err(failed)?;
        self.must_be_let_in(half.user)?;
        if !self.keeps_factor(half, shown(typed), &device).await.map_err(failed)? {
            let error = AppError::Unauthenticated("the code is wrong or was used before".to_owned());
            let subject = format!("{account} from {}", half.peer);
            self.refused(&Actor::Gateway, Verb::SignIn, subject, &error).await;
            let sentence = "the code is wrong, or it was used before: try again with the next one";
            return Err(refusal(GateRefusal::WRONG_FACTOR, sentence));
        }
        self.0.throttle.succeeded(Step::SecondFactor, &account, device.peer);
        if half.credential == Credential::Password {
            self.0.throttle.succeeded(Step::Password, &half.user_name, device.peer);
        }
        Ok(half.clone())
    }

    /// Uses a factor up; whether it was one.
    async fn keeps_factor(&self, half: &Admission, shown: Shown, device: &Device) -> Result<bool, AppError> {
        let configuration = self.configuration();
        let user = configuration.get(half.user).ok_or(AppError::NotFound)?;
        let permit = Permit::ask(&actor_of(&configuration, user, half.via())?, Verb::SignIn)?;
        let now = self.0.clock.now();
        let detail = json!({ "shown": shown.proof().as_str(), "to_connect": half.session, "peer": half.peer });
        let entry =
            AuditEntry { id: self.mint_audit(), at: now, subject: half.user.to_string(), outcome: Outcome::Ok, detail };
        let (app, user, since) = (self.clone(), half.user, now.minus(self.0.sign_in.fresh));
        let device = device.clone();
        let kept = self.0.store.write(move |tx| {
            Box::pin(async move {
                if !app.uses_factor(tx, (user, &device), &shown, now).await? {
                    return Ok(false);
                }
                tx.factor_shown_at_gateway(user, &device.network(), now, since).await?;
                tx.record(&permit, &entry).await?;
                Ok::<_, AppError>(true)
            })
        });
        kept.await
    }

    /// Refuses a one-time token to whoever has not shown a factor lately, where the gateway would ask for one: in the sign-in, or
    /// for an API token, which shows none by itself, from the same network.
    pub(crate) async fn must_be_fresh_to_launch(
        &self,
        actor: &Actor,
        id: SessionId,
        peer: IpAddr,
    ) -> Result<(), AppError> {
        let by_sign_in = matches!(actor, Actor::User { via: Via::SignIn(_), .. });
        let app = self.clone();
        let read = self.0.store.read(move |tx| {
            Box::pin(async move {
                let Some(session) = tx.session(id).await? else { return Ok(StillAsked::Nothing) };
                if !by_sign_in {
                    return app.still_asked(tx, &session, &Credential::Token, peer).await;
                }
                let is_asked = session.rules.connect_auth == ConnectAuth::KeyAndFactor;
                let is_asked = is_asked && tx.held_factors(session.user).await?.any();
                Ok::<_, AppError>(if is_asked { StillAsked::Factor } else { StillAsked::Nothing })
            })
        });
        match read.await? {
            StillAsked::Nothing => Ok(()),
            StillAsked::Factor if by_sign_in => self.is_fresh(actor).await,
            StillAsked::Factor => Err(AppError::refused("no-sign-in", NO_FACTOR_IN_TOKEN)),
            StillAsked::Enrolment => Err(AppError::refused("no-factor", NO_FACTOR)),
        }
    }
}

/// How far somebody is.
pub(crate) fn entry(admission: Admission, asked: StillAsked) -> Result<Entry, GateRefusal> {
    match asked {
        StillAsked::Nothing => Ok(Entry::Open(admission)),
        StillAsked::Factor => Ok(Entry::Factor(admission)),
        StillAsked::Enrolment if admission.credential == Credential::Password => {
            Err(refusal("no-factor", PASSWORD_ALONE))
        }
        StillAsked::Enrolment => Err(refusal("no-factor", NO_FACTOR)),
    }
}

/// Digits are a code of the app; anything else is a recovery code.
fn shown(typed: Secret) -> Shown {
    let is_of_app = typed.expose(|typed| without_spaces(typed).chars().all(|letter| letter.is_ascii_digit()));
    if is_of_app { Shown::Totp(typed) } else { Shown::RecoveryCode(typed) }
}
