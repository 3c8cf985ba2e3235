//! Who may do what with Cardea itself. Pure: the same actor and verb give the same answer, by the table of permissions.

use crate::{Actor, Asked, Configuration, Kind, Object, ObjectId, Permission, Session, token_scope::must_cover};

/// Something an actor may or may not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Let in whom an identity provider vouches for: as a new user, and in the groups that it names.
    AdmitUser,
    /// Have a key of one's own certified.
    Certify,
    ChangeConfiguration(Kind),
    /// Set up, renew and take off one's own second factor.
    ChangeFactors,
    /// Change one's own password.
    ChangePassword,
    /// Register or take away SSH keys of one's own.
    ChangeOwnKeys,
    /// Open a connection of one's own session.
    Connect,
    CreateSession,
    DismissSession,
    EndSession,
    /// End a sign-in: one's own, or an administrator somebody else's.
    EndSignIn,
    /// Make an API token for oneself.
    CreateToken,
    /// Say yes or no to somebody else's request.
    DecideSession,
    /// Move a session on: provision, clean up, count connections. Cardea's own parts only.
    DriveSession,
    /// Ask why somebody may, or may not, do something.
    ExplainAccess,
    ExtendSession,
    /// Have a user choose a password by a link in a mail.
    InviteUser,
    /// Make an API token for any user. The operator only.
    IssueToken,
    LearnHostKey,
    /// Make a one-time token that opens the gateway for one's own session.
    Launch,
    /// Freeze and thaw a session, a user or a resource.
    Lock,
    /// Take an SSH key away that somebody else registered.
    RemoveKey,
    /// Take somebody's second factor off, who lost it.
    ResetFactors,
    /// Look at notices, and have one sent now.
    ManageNotices,
    /// Begin a failed session again.
    RetrySession,
    /// Say whether it was right to begin somebody else's session without approval.
    ReviewSession,
    /// Be shown the password of one's own session's login account.
    RevealPassword,
    /// End a token: one's own, or an administrator somebody else's.
    RevokeToken,
    SeeAllSessions,
    SeeAudit,
    SeeConfiguration,
    /// Read the figures at `/metrics`.
    SeeFigures,
    SeeSession,
    /// See sign-ins, tokens, factors and SSH keys of others.
    SeeSignIns,
    /// Sign in, sign out, set the first password.
    SignIn,
    /// Have a host searched for marks that the ledger does not know, and take them away.
    SweepHost,
    /// Look who is in a directory still, and end what those have who are not.
    SyncDirectory,
    /// Have a removal tried now.
    TryRemoval,
}

impl Verb {
    /// The verb in audit entries: `noun.verb`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AdmitUser => "user.admit",
            Self::Certify => "ssh_certificate.issue",
            Self::SyncDirectory => "directory.sync",
            Self::ChangeConfiguration(_) => "configuration.change",
            Self::ChangeFactors => "factor.change",
            Self::ChangePassword => "password.change",
            Self::ChangeOwnKeys => "ssh_key.change",
            Self::Connect => "session.connect",
            Self::CreateSession => "session.create",
            Self::CreateToken => "token.create",
            Self::DecideSession => "session.decide",
            Self::DismissSession => "session.dismiss",
            Self::DriveSession => "session.drive",
            Self::EndSession => "session.end",
            Self::EndSignIn => "sign_in.end",
            Self::ExplainAccess => "access.explain",
            Self::ExtendSession => "session.extend",
            Self::InviteUser => "user.invite",
            Self::IssueToken => "token.issue",
            Self::Launch => "session.launch",
            Self::LearnHostKey => "host_key.learn",
            Self::Lock => "lock",
            Self::RemoveKey => "ssh_key.remove",
            Self::ResetFactors => "factor.reset",
            Self::ManageNotices => "notice.manage",
            Self::RetrySession => "session.retry",
            Self::RevealPassword => "session.password",
            Self::RevokeToken => "token.revoke",
            Self::ReviewSession => "session.review",
            Self::SeeAllSessions => "session.list_all",
            Self::SeeAudit => "audit.see",
            Self::SeeConfiguration => "configuration.see",
            Self::SeeFigures => "figures.see",
            Self::SeeSession => "session.see",
            Self::SeeSignIns => "sign_in.see",
            Self::SignIn => "sign_in",
            Self::SweepHost => "host.sweep",
            Self::TryRemoval => "removal.try",
        }
    }
}

impl Verb {
    /// The permission that it takes where the thing is not the actor's own; `None` for what no role gives.
    pub fn permission(self) -> Option<Permission> {
        Some(match self {
            Self::Certify => Permission::SshKeysCertify,
            Self::ChangeConfiguration(kind) => Permission::to_change(kind),
            Self::CreateSession => Permission::SessionsRequest,
            Self::CreateToken => Permission::TokensCreate,
            Self::DecideSession | Self::ReviewSession => Permission::SessionsDecide,
            Self::DismissSession => Permission::SessionsDismissAny,
            Self::EndSession => Permission::SessionsEndAny,
            Self::EndSignIn | Self::RevokeToken => Permission::SignInsEnd,
            Self::ExplainAccess => Permission::AccessExplain,
            Self::ExtendSession => Permission::SessionsExtendAny,
            // A password is theirs to set anyway.
            Self::InviteUser => Permission::ChangeUsers,
            Self::LearnHostKey => Permission::ChangeResources,
            Self::Lock => Permission::SessionsLock,
            Self::RemoveKey | Self::ResetFactors => Permission::FactorsReset,
            Self::ManageNotices => Permission::NoticesManage,
            Self::RetrySession => Permission::SessionsRetryAny,
            Self::SeeAllSessions | Self::SeeSession => Permission::SessionsSeeAll,
            Self::SeeAudit => Permission::AuditSee,
            Self::SeeConfiguration => Permission::ConfigurationSee,
            Self::SeeFigures => Permission::FiguresSee,
            Self::SeeSignIns => Permission::SignInsSee,
            Self::SweepHost => Permission::ResourcesSweep,
            Self::SyncDirectory => Permission::ChangeIdentityProviders,
            Self::TryRemoval => Permission::RemovalsTry,
            Self::AdmitUser
            | Self::ChangeFactors
            | Self::ChangeOwnKeys
            | Self::ChangePassword
            | Self::Connect
            | Self::DriveSession
            | Self::IssueToken
            | Self::Launch
            | Self::RevealPassword
            | Self::SignIn => return None,
        })
    }

    /// The same for something done to an object of this kind.
    fn permission_on(self, kind: Kind) -> Option<Permission> {
        match (self, kind) {
            (Self::Lock, Kind::User) => Some(Permission::UsersLock),
            (Self::Lock, Kind::Resource) => Some(Permission::ResourcesLock),
            (Self::Lock, _) => None,
            _ => self.permission(),
        }
    }

    /// Whether a session's own user may, without any permission.
    fn is_for_owner(self) -> bool {
        matches!(
            self,
            Self::Connect
                | Self::DismissSession
                | Self::EndSession
                | Self::ExtendSession
                | Self::Launch
                | Self::RetrySession
                | Self::RevealPassword
                | Self::SeeSession
        )
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
    /// Asks for something that concerns no session, object or user in particular: takes the permission everywhere.
    pub fn ask(actor: &Actor, verb: Verb) -> Result<Self, Denial> {
        must_cover(actor, verb)?;
        let allowed = match verb {
            Verb::ChangeFactors | Verb::ChangeOwnKeys | Verb::ChangePassword => matches!(actor, Actor::User { .. }),
            Verb::AdmitUser | Verb::DriveSession => matches!(actor, Actor::Engine | Actor::Gateway),
            Verb::SyncDirectory => matches!(actor, Actor::Engine) || actor.may(Permission::ChangeIdentityProviders),
            Verb::IssueToken => matches!(actor, Actor::Operator { .. }),
            Verb::SignIn => true,
            _ => verb.permission().is_some_and(|permission| actor.may(permission)),
        };
        if allowed { Ok(Self { actor: actor.clone(), verb }) } else { Err(refused(actor, verb, verb.permission())) }
    }

    /// Whether the actor may do something to anything at all. No permit: what it is done to is asked about by itself.
    pub fn somewhere(actor: &Actor, verb: Verb) -> Result<(), Denial> {
        must_cover(actor, verb)?;
        let permission = verb.permission();
        let is_held = permission.is_some_and(|permission| actor.reach(permission).is_somewhere());
        if is_held { Ok(()) } else { Err(refused(actor, verb, permission)) }
    }

    /// Asks for something done to a configuration object. Who may not see it is told that it does not exist.
    pub fn for_object(
        actor: &Actor,
        verb: Verb,
        object: &Object,
        configuration: &Configuration,
    ) -> Result<Self, Denial> {
        must_cover(actor, verb)?;
        let permission = verb.permission_on(object.id.kind());
        let reach = permission.map(|permission| actor.reach(permission)).filter(|reach| reach.is_somewhere());
        let Some(reach) = reach else { return Err(refused(actor, verb, permission)) };
        if configuration.is_within(&reach, object) {
            return Ok(Self { actor: actor.clone(), verb });
        }
        if configuration.is_within(&actor.reach(Permission::ConfigurationSee), object) {
            return Err(refused(actor, verb, permission));
        }
        Err(Denial { hidden: true, sentence: "there is no such object".to_owned() })
    }

    /// Asks for something about one user's sign-ins, tokens or factors: their own, or others' to look after. Who sees a part of the
    /// configuration is not told about users outside of it.
    pub fn for_user(actor: &Actor, verb: Verb, user: &Object, configuration: &Configuration) -> Result<Self, Denial> {
        let is_for_oneself = matches!(verb, Verb::EndSignIn | Verb::RevokeToken | Verb::SeeSignIns);
        if is_for_oneself && actor.user_id() == Some(user.id) {
            must_cover(actor, verb)?;
            return Ok(Self { actor: actor.clone(), verb });
        }
        let sees = actor.reach(Permission::ConfigurationSee);
        let is_hidden = sees.is_somewhere() && !configuration.is_within(&sees, user);
        let asked = Self::for_object(actor, verb, user, configuration);
        asked.map_err(|denial| Denial { hidden: denial.hidden || is_hidden, ..denial })
    }

    /// Asks for something that concerns one session. Who may not see it is told that it does not exist.
    pub fn for_session(actor: &Actor, verb: Verb, session: &Session) -> Result<Self, Denial> {
        let own = actor.user_id() == Some(session.user);
        if !own && !actor.reach(Permission::SessionsSeeAll).has_session(session) {
            return Err(Denial { hidden: true, sentence: "there is no such session".to_owned() });
        }
        must_cover(actor, verb)?;
        if verb == Verb::RevealPassword && actor.is_operator_issued() {
            return Err(visible("a token that the operator issued cannot reveal a password: sign in"));
        }
        let permission = verb.permission();
        let has = permission.is_some_and(|permission| actor.reach(permission).has_session(session));
        if has || (own && verb.is_for_owner()) {
            return Ok(Self { actor: actor.clone(), verb });
        }
        Err(refused(actor, verb, permission))
    }

    /// Asks to see a session, which those who may decide about it may as well.
    pub fn to_see(actor: &Actor, session: &Session, configuration: &Configuration) -> Result<Self, Denial> {
        if actor.user_id().is_some_and(|user| configuration.names_approver(user, session.profile, session.user)) {
            must_cover(actor, Verb::SeeSession)?;
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
        if actor.is_operator_issued() {
            return Err(visible("a token that the operator issued cannot decide about requests: sign in"));
        }
        if !configuration.names_approver(user, session.profile, session.user) {
            return Err(visible("only the approvers that the connection profile names may decide about this request"));
        }
        must_cover(actor, Verb::DecideSession)?;
        let wish = session.wish.as_ref().filter(|_| session.is_waiting().is_err());
        if wish.is_some_and(|wish| wish.user == Some(user)) {
            return Err(visible("nobody decides about an extension that they asked for: ask another approver"));
        }
        let was_asked = |asked: &Asked| asked.tiers.iter().any(|tier| tier.asks(user));
        if !wish.map(|wish| &wish.asked).or(session.asked.as_ref()).is_none_or(was_asked) {
            return Err(visible(
                "you became an approver after this was requested: those decide who were approvers then and still are",
            ));
        }
        Ok(Self { actor: actor.clone(), verb: Verb::DecideSession })
    }

    /// Asks to review a session that began without approval. Nobody reviews their own, whoever they are.
    pub fn to_review(actor: &Actor, session: &Session, configuration: &Configuration) -> Result<Self, Denial> {
        Self::to_see(actor, session, configuration)?;
        let Some(user) = actor.user_id() else {
            return Err(visible("sessions are reviewed by their reviewers, not by whoever runs Cardea"));
        };
        if user == session.user {
            return Err(visible("nobody reviews their own session: ask another reviewer"));
        }
        if actor.is_operator_issued() {
            return Err(visible("a token that the operator issued cannot review sessions: sign in"));
        }
        if !configuration.names_approver(user, session.profile, session.user) {
            return Err(visible("only the reviewers that the connection profile names may review this session"));
        }
        must_cover(actor, Verb::ReviewSession)?;
        Ok(Self { actor: actor.clone(), verb: Verb::ReviewSession })
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
}

/// Why not, and what to do.
fn refused(actor: &Actor, verb: Verb, permission: Option<Permission>) -> Denial {
    let Some(permission) = permission else {
        return visible(&format!("{actor} may not do this ({}), and no role gives it", verb.as_str()));
    };
    if actor.is_operator_issued() && !permission.is_of(crate::Holder::OperatorsToken) {
        let sentence = format!(
            "a token that the operator issued does not carry the permission `{permission}`: sign in, or use the command line beside the data directory"
        );
        return visible(&sentence);
    }
    let place = if actor.reach(permission).is_somewhere() { " here" } else { "" };
    visible(&format!(
        "{actor} does not have the permission `{permission}`{place}: ask an administrator for a role with it"
    ))
}

fn visible(sentence: &str) -> Denial {
    Denial { hidden: false, sentence: sentence.to_owned() }
}
