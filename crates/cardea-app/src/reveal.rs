//! Showing the password of a session's login account to its user. An account that was made for the session and has none gets
//! one when it is first asked for: a grant like any other, written down before the host is touched.

use std::{net::IpAddr, time::Duration};

use cardea_domain::{
    Actor, ConnectorError, Credentials as _, Frame, FreshPassword, Grant, GrantState, PasswordAccess, Permit,
    Privilege, Secret, SecretId, Session, SessionId, Stage, Verb,
};
use cardea_store::Tx;
use serde_json::json;
use tracing::Instrument as _;

use crate::{App, AppError, change::Note, gate::order, session::permit};

/// The password of a login account, for the eyes of its user.
pub struct Revealed {
    /// The account's name on the resource.
    pub user: String,
    pub password: Secret,
    /// How long it stays on the screen.
    pub hide_after: Duration,
}

/// How long setting it on the host may take; looking first may take as long again.
const SET_LIMIT: Duration = Duration::from_secs(12);

/// Where the password of a session is.
enum Place {
    /// Nowhere yet: the account is there and was given none.
    Nowhere,
    /// Sealed, and on the host.
    Set(SecretId),
    /// Sealed, and perhaps on the host.
    Begun(Box<Grant>),
}

/// What asking came to.
enum Asked {
    Lacking,
    /// It is written down that it was shown.
    Shown(Box<Session>, SecretId),
}

impl App {
    /// The password of the session's login account, where its profile lets its user see it.
    pub async fn reveal_password(&self, actor: &Actor, id: SessionId, peer: IpAddr) -> Result<Revealed, AppError> {
        let revealed = self.reveal(actor, id, peer).await;
        if let Err(
            error @ (AppError::Denied(_)
            | AppError::FactorNeeded { .. }
            | AppError::Refused { .. }
            | AppError::Throttled { .. }),
        ) = &revealed
        {
            self.refused(actor, Verb::RevealPassword, format!("{id} from {peer}"), error).await;
        }
        revealed
    }

    async fn reveal(&self, actor: &Actor, id: SessionId, peer: IpAddr) -> Result<Revealed, AppError> {
        self.may_be_shown(actor, id).await?;
        self.is_fresh(actor).await?;
        self.0.reveals.step(id, self.0.clock.now())?;
        let mut asked = self.retried(|| self.ask_for_password(actor, id, peer)).await?;
        if matches!(asked, Asked::Lacking) {
            // One of several who ask at once sets it, and the others find it.
            let _turn = self.0.doors.joining.lock(id).await;
            self.retried(|| self.give_password(actor, id)).await?;
            asked = self.retried(|| self.ask_for_password(actor, id, peer)).await?;
        }
        let Asked::Shown(session, secret) = asked else {
            return Err(AppError::Unavailable("the password was taken away again meanwhile".to_owned()));
        };
        let password = self.0.keyring.open(secret).await.map_err(AppError::Internal)?;
        Ok(Revealed {
            user: session.account.name.clone(),
            password,
            hide_after: session.rules.password_hide_after.get(),
        })
    }

    async fn may_be_shown(&self, actor: &Actor, id: SessionId) -> Result<(), AppError> {
        let (app, actor) = (self.clone(), actor.clone());
        let asked = self.0.store.read(move |tx| {
            Box::pin(async move {
                let session = app.visible(tx, &actor, id).await?;
                app.permit_to_reveal(&actor, &session).map(drop)
            })
        });
        asked.await
    }

    /// Whose it is, what its profile said, and whether it is open.
    fn permit_to_reveal(&self, actor: &Actor, session: &Session) -> Result<Permit, AppError> {
        let permit = permit(actor, Verb::RevealPassword, session)?;
        if session.rules.password_access != PasswordAccess::Reveal {
            return Err(no_password("the connection profile lets nobody see the password of the login account"));
        }
        self.check_open(session).map_err(|no| AppError::refused(no.code, no.sentence))?;
        Ok(permit)
    }

    /// Writes down that it is shown, if there is one to show. Nobody sees a password before that is durable.
    async fn ask_for_password(&self, actor: &Actor, id: SessionId, peer: IpAddr) -> Result<Asked, AppError> {
        let (app, actor) = (self.clone(), actor.clone());
        let asked = self.0.store.write(move |tx| {
            Box::pin(async move {
                let mut session = app.visible(tx, &actor, id).await?;
                let permit = app.permit_to_reveal(&actor, &session)?;
                let Place::Set(secret) = password_of(&tx.grants_of(id).await?)? else {
                    return Ok::<_, AppError>(Asked::Lacking);
                };
                let sentence = format!("{actor} was shown the password of the login account, from {peer}");
                let detail = json!({ "peer": peer, "login_account": session.account.name });
                let note = Note::info(Stage::Session, sentence).with(detail);
                app.save_session(tx, &permit, &mut session, note).await?;
                Ok(Asked::Shown(Box::new(session), secret))
            })
        });
        asked.await
    }

    /// Sets a fresh password on the host, unless there is one by now.
    async fn give_password(&self, actor: &Actor, id: SessionId) -> Result<(), AppError> {
        let Some((session, mut grant)) = self.begin_password(actor, id).await? else { return Ok(()) };
        let frame = Frame { session: id, fence: session.fence, limit: SET_LIMIT };
        let span = self.step_span(&session).await;
        if grant.state == GrantState::Planned {
            let seen = self.0.linux.observe(&grant.target, frame, &[order(&grant)]).instrument(span.clone()).await;
            grant.before = seen.map_err(overtaken_or)?.pop();
            grant = self.write_down_password(session.clone(), grant).await?;
        }
        match self.0.linux.place(&grant.target, frame, &order(&grant)).instrument(span).await {
            Ok(placed) => self.retried(|| self.password_set(id, grant.clone(), placed.read_back.clone())).await,
            // The engine spoke to the host meanwhile: once more, with a newer fence.
            Err(ConnectorError::Superseded { seen }) => {
                self.catch_up(id, seen).await?;
                Err(AppError::Conflict)
            }
            Err(error) => {
                let what = "set a password for the login account";
                let failed = self.retried(|| self.not_placed(id, grant.clone(), what, error.to_string())).await;
                failed.and(Err(AppError::from(error)))
            }
        }
    }

    /// A fence of its own, and the grant to place: one that was begun before, or a new one that is not written down yet. `None`
    /// if there is a password.
    async fn begin_password(&self, actor: &Actor, id: SessionId) -> Result<Option<(Session, Grant)>, AppError> {
        let (app, actor) = (self.clone(), actor.clone());
        let begun = self.0.store.write(move |tx| {
            Box::pin(async move {
                let session = app.visible(tx, &actor, id).await?;
                app.permit_to_reveal(&actor, &session)?;
                let grants = tx.grants_of(id).await?;
                let begun = match password_of(&grants)? {
                    Place::Set(_) => return Ok(None),
                    Place::Begun(grant) => Some(grant),
                    Place::Nowhere => None,
                };
                let session = tx.raise_fence(id).await?;
                Ok::<_, AppError>(Some((session, grants, begun)))
            })
        });
        let Some((session, grants, begun)) = begun.await? else { return Ok(None) };
        if let Some(grant) = begun {
            return Ok(Some((session, *grant)));
        }
        let target = self.target_of_session(&session, &grants).await?;
        let ordinal = grants.iter().map(|grant| grant.ordinal + 1).max().unwrap_or(0);
        let password = SecretId::mint(self.0.clock.now(), &*self.0.entropy);
        let privilege = Privilege::Password(FreshPassword { password });
        let mut grant = self.planned(&session, ordinal, target, privilege);
        grant.stage = Stage::Session;
        Ok(Some((session, grant)))
    }

    /// The ledger has the password, sealed, before the host does. Refused if anything moved the session since `session` was read.
    async fn write_down_password(&self, session: Session, mut grant: Grant) -> Result<Grant, AppError> {
        let end = session.end_at.unwrap_or_else(|| self.0.clock.now());
        grant.state = GrantState::Placing;
        grant.expires_at = Some(end.plus(Session::EXPIRY_MARGIN));
        let Some(secret) = grant.privilege.secret() else { return Err(AppError::NotFound) };
        let sealed = self.sealed_password(secret, grant.target.resource);
        let app = self.clone();
        let written = self.0.store.write(move |tx| {
            Box::pin(async move {
                let mut session = session;
                app.check_open(&session).map_err(|no| AppError::refused(no.code, no.sentence))?;
                tx.insert_secret(&sealed).await?;
                tx.insert_grants(std::slice::from_ref(&grant)).await?;
                tx.save_session(&Permit::ask(&Actor::Engine, Verb::DriveSession)?, &mut session).await?;
                app.announce_grants(tx, &session, std::slice::from_ref(&grant));
                Ok::<_, AppError>(grant)
            })
        });
        written.await
    }

    async fn password_set(&self, id: SessionId, mut grant: Grant, read_back: String) -> Result<(), AppError> {
        let app = self.clone();
        let written = self.0.store.write(move |tx| {
            Box::pin(async move {
                let mut session = tx.session(id).await?.ok_or(AppError::NotFound)?;
                still_placing(tx, &session, &grant).await?;
                grant.state = GrantState::Placed;
                grant.placed_at = Some(app.0.clock.now());
                tx.save_grant(&grant).await?;
                app.announce_grants(tx, &session, std::slice::from_ref(&grant));
                let note = Note::info(Stage::Session, "Set a fresh password for the login account")
                    .with(json!({ "grant": grant.id, "read_back": read_back }));
                let permit = Permit::ask(&Actor::Engine, Verb::DriveSession)?;
                app.save_session(tx, &permit, &mut session, note).await.map_err(AppError::from)
            })
        });
        written.await
    }
}

/// The end may have come first, and turned the grant towards removal.
async fn still_placing(tx: &mut Tx, session: &Session, grant: &Grant) -> Result<(), AppError> {
    let is_placing = tx.grant(grant.id).await?.is_some_and(|known| known.state == GrantState::Placing);
    if session.status.is_open() && is_placing {
        return Ok(());
    }
    Err(AppError::refused("not-open", "the session ended, or was locked, while its password was being set"))
}

fn overtaken_or(error: ConnectorError) -> AppError {
    match error {
        ConnectorError::Superseded { .. } => AppError::Conflict,
        other => AppError::from(other),
    }
}

fn no_password(sentence: &str) -> AppError {
    AppError::refused("no-password", sentence)
}

/// Where the password is of the account that these grants work with.
fn password_of(grants: &[Grant]) -> Result<Place, AppError> {
    let is_live = |grant: &&Grant| !matches!(grant.state, GrantState::Removed | GrantState::Preexisting);
    let mut live = grants.iter().filter(is_live);
    if let Some(grant) = live.clone().find(|grant| matches!(grant.privilege, Privilege::Password(_))) {
        let soon = |sentence| Err(AppError::refused("no-password-yet", sentence));
        return match (grant.state, grant.privilege.secret()) {
            (GrantState::Placed, Some(secret)) => Ok(Place::Set(secret)),
            (GrantState::Placing, _) => Ok(Place::Begun(Box::new(grant.clone()))),
            (GrantState::Planned, _) => {
                soon("the password of the login account is still to be set: try again in a moment")
            }
            _ => soon("a password that could not be set is being taken away: try again in a moment"),
        };
    }
    match live.find(|grant| grant.privilege.is_account() && grant.state == GrantState::Placed) {
        Some(Grant { privilege: Privilege::ManagedAccount { password: Some(secret), .. }, .. }) => {
            Ok(Place::Set(*secret))
        }
        Some(Grant { privilege: Privilege::Account { .. }, .. }) => Ok(Place::Nowhere),
        Some(_) => Err(no_password("the managed account was opened without a password, for the gateway alone")),
        None => Err(no_password("the session works with an account whose password Cardea does not know")),
    }
}
