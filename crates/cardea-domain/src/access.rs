//! Who may do what with Cardea itself. Pure: the same actor and verb give the same answer.

use crate::{Actor, Configuration, Kind, ObjectId, Role, Session, Via};

/// Something an actor may or may not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    ChangeConfiguration(Kind),
    /// Open a connection of one's own session.
    Connect,
    CreateSession,
    DismissSession,
    EndSession,
    /// Make an API token for oneself.
    CreateToken,
    /// Say yes or no to somebody else's request.
    DecideSession,
    /// Move a session on: provision, clean up, count connections. Cardea's own parts only.
    DriveSession,
    ExtendSession,
    /// Make an API token for any user. The operator only.
    IssueToken,
    LearnHostKey,
    /// Freeze and thaw a session, a user or a resource.
    Lock,
    /// Begin a failed session again.
    RetrySession,
    SeeAllSessions,
    SeeAudit,
    SeeConfiguration,
    SeeSession,
    /// Sign in, sign out, set the first password.
    SignIn,
    /// Have a host searched for marks that the ledger does not know, and take them away.
    SweepHost,
    /// Have a removal tried now.
    TryRemoval,
}

impl Verb {
    /// The verb in audit entries: `noun.verb`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChangeConfiguration(_) => "configuration.change",
            Self::Connect => "session.connect",
            Self::CreateSession => "session.create",
            Self::CreateToken => "token.create",
            Self::DecideSession => "session.decide",
            Self::DismissSession => "session.dismiss",
            Self::DriveSession => "session.drive",
            Self::EndSession => "session.end",
            Self::ExtendSession => "session.extend",
            Self::IssueToken => "token.issue",
            Self::LearnHostKey => "host_key.learn",
            Self::Lock => "lock",
            Self::RetrySession => "session.retry",
            Self::SeeAllSessions => "session.list_all",
            Self::SeeAudit => "audit.see",
            Self::SeeConfiguration => "configuration.see",
            Self::SeeSession => "session.see",
            Self::SignIn => "sign_in",
            Self::SweepHost => "host.sweep",
            Self::TryRemoval => "removal.try",
        }
    }
}

/// Proof that an actor may do something. [`Permit::ask`] and its siblings are the only ways to get one, and the
/// store's guarded writes take one.
#[derive(Clone, Debug)]
pub struct Permit {
    actor: Actor,
    verb: Verb,
}

/// A no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Denial {
    /// Whether the actor may not even know that the object exists: answered like one that does not.
    pub hidden: bool,
    /// Why, and what to do.
    pub sentence: String,
}

impl Permit {
    /// Asks for something that concerns no session.
    pub fn ask(actor: &Actor, verb: Verb) -> Result<Self, Denial> {
        let allowed = match verb {
            Verb::ChangeConfiguration(kind) => return Self::configuration(actor, kind),
            Verb::CreateSession => actor.has(Role::User) || actor.has(Role::Administrator),
            Verb::CreateToken => matches!(actor, Actor::User { .. }),
            Verb::DriveSession => matches!(actor, Actor::Engine | Actor::Gateway),
            Verb::IssueToken => matches!(actor, Actor::Operator { .. }),
            Verb::LearnHostKey => {
                return Self::configuration(actor, Kind::Resource).map(|_| Self { actor: actor.clone(), verb });
            }
            Verb::SeeAllSessions => actor.sees_all(),
            Verb::SeeAudit | Verb::SeeConfiguration => {
                is_operator_or(actor, Role::Administrator) || actor.has(Role::Auditor)
            }
            Verb::Lock | Verb::TryRemoval => is_operator_or(actor, Role::Administrator),
            Verb::SignIn => true,
            Verb::SweepHost => matches!(actor, Actor::Engine) || is_operator_or(actor, Role::Administrator),
            Verb::Connect
            | Verb::DecideSession
            | Verb::DismissSession
            | Verb::EndSession
            | Verb::ExtendSession
            | Verb::RetrySession
            | Verb::SeeSession => false,
        };
        if !allowed {
            return Err(visible(&format!("{actor} may not do this ({}): ask an administrator", verb.as_str())));
        }
        if verb == Verb::CreateToken && is_operator_issued(actor) {
            return Err(visible(
                "a token that the operator issued cannot make further tokens: sign in, or ask the operator for another",
            ));
        }
        Ok(Self { actor: actor.clone(), verb })
    }

    /// Asks for something that concerns one session. Who may not see it is told that it does not exist.
    pub fn for_session(actor: &Actor, verb: Verb, session: &Session) -> Result<Self, Denial> {
        let own = actor.user_id() == Some(session.user);
        if !own && !actor.sees_all() {
            return Err(Denial { hidden: true, sentence: "there is no such session".to_owned() });
        }
        let allowed = match verb {
            Verb::SeeSession => true,
            Verb::Connect => own,
            Verb::EndSession | Verb::DismissSession | Verb::ExtendSession | Verb::RetrySession => {
                own || is_operator_or(actor, Role::Administrator) || matches!(actor, Actor::Engine)
            }
            _ => false,
        };
        if !allowed {
            return Err(visible("only the session's user and administrators may do this"));
        }
        Ok(Self { actor: actor.clone(), verb })
    }

    /// Asks to see a session, which those who may decide about it may as well.
    pub fn to_see(actor: &Actor, session: &Session, configuration: &Configuration) -> Result<Self, Denial> {
        if actor.user_id().is_some_and(|user| configuration.names_approver(user, session.profile)) {
            return Ok(Self { actor: actor.clone(), verb: Verb::SeeSession });
        }
        Self::for_session(actor, Verb::SeeSession, session)
    }

    /// Asks to decide about a request. Nobody decides about their own, whoever they are.
    pub fn to_decide(actor: &Actor, session: &Session, configuration: &Configuration) -> Result<Self, Denial> {
        Self::to_see(actor, session, configuration)?;
        let Some(user) = actor.user_id() else {
            return Err(visible("requests are decided by their approvers, not by whoever runs Cardea"));
        };
        if user == session.user {
            return Err(visible("nobody decides about their own request: ask another approver"));
        }
        if is_operator_issued(actor) {
            return Err(visible("a token that the operator issued cannot decide about requests: sign in"));
        }
        if !configuration.names_approver(user, session.profile) {
            return Err(visible("only the approvers that the connection profile names may decide about this request"));
        }
        Ok(Self { actor: actor.clone(), verb: Verb::DecideSession })
    }

    /// Who acts.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// What is done.
    pub fn verb(&self) -> Verb {
        self.verb
    }

    /// Whom the actor is, if a user.
    pub fn user_id(&self) -> Option<ObjectId> {
        self.actor.user_id()
    }

    fn configuration(actor: &Actor, kind: Kind) -> Result<Self, Denial> {
        if !is_operator_or(actor, Role::Administrator) {
            return Err(visible("only administrators may change the configuration"));
        }
        // Profiles only set the rules of what is given anyway; every other kind decides who gets what, or with which secret.
        if is_operator_issued(actor) && kind != Kind::ConnectionProfile {
            let sentence = format!(
                "a token that the operator issued cannot change {kind} objects: sign in as an administrator, or use `cardea apply` beside the data directory"
            );
            return Err(visible(&sentence));
        }
        Ok(Self { actor: actor.clone(), verb: Verb::ChangeConfiguration(kind) })
    }
}

fn is_operator_or(actor: &Actor, role: Role) -> bool {
    matches!(actor, Actor::Operator { .. }) || actor.has(role)
}

fn is_operator_issued(actor: &Actor) -> bool {
    matches!(actor, Actor::User { via: Via::Token { operator_issued: true, .. }, .. })
}

fn visible(sentence: &str) -> Denial {
    Denial { hidden: false, sentence: sentence.to_owned() }
}
