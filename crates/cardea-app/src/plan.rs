//! What a session will place, and on which account: an activity's stages as rows of the ledger.

use std::time::Duration;

use cardea_domain::{
    Action, Asked, AskedTier, Configuration, CustomValues, DirectLogin, FieldError, Given, Grant, GrantId, GrantState,
    Kind, LoginAccount, LoginAccountSpec, Object, ObjectId, Offer, OwnChange, Period, Permit, Pins, Privilege,
    Progress, Protocol, Rules, Secret, SecretField, SecretId, Session, Shortage, Stage, StageEntry, Target, Timestamp,
    UidRange, Undo,
};
use cardea_store::{SecretRow, Tx};

use crate::{App, AppError, ground::touched};

/// For how long an approver is told that the requester changed a rule that the request goes by.
pub(crate) const OWN_CHANGE_TOLD: Duration = Duration::from_secs(7 * 86_400);
const OWN_CHANGES_MAX: usize = 20;

/// Characters of a password that Cardea makes: 5 bits each, 140 in all.
const PASSWORD_LENGTH: usize = 28;

/// What a session will place, without what only the store can give: the account's number.
pub(crate) struct Plan {
    pub(crate) pins: Pins,
    pub(crate) rules: Rules,
    /// Who has to say yes first, and how long the session may wait for them, if somebody has to.
    pub(crate) asks: Option<(Asked, Period)>,
    /// How soon after it began somebody has to review it, if somebody has to.
    pub(crate) review_within: Option<Period>,
    pub(crate) target: Target,
    pub(crate) account: LoginAccount,
    /// In the order of placing.
    steps: Vec<Step>,
    secrets: Vec<SecretRow>,
}

struct Step {
    privilege: Privilege,
    stage: Stage,
    continue_on_error: bool,
}

impl App {
    /// Lays out what this offer places for this user. Errors point into the request.
    pub(crate) async fn plan(
        &self,
        configuration: &Configuration,
        user: &Object,
        offer: &Offer<'_>,
    ) -> Result<Plan, AppError> {
        let activity = offer.activity_spec();
        let target = self.target(configuration, offer).await?;
        let profile = offer.profile_spec();
        let mut plan = Plan {
            pins: pins_of(offer),
            rules: Rules { has_login: has_login(offer), ..profile.rules() },
            asks: self.asks(configuration, user, offer).await?,
            review_within: profile.break_glass.as_ref().map(|break_glass| break_glass.review_within),
            target,
            account: LoginAccount { name: String::new(), uid: 0 },
            steps: Vec::new(),
            secrets: Vec::new(),
        };
        self.plan_account(&mut plan, user, offer)?;
        if plan.makes_account() {
            let range = offer.resource_spec().uid_range;
            plan.account.uid = self.number_for(&plan, range, offer.resource).await?;
        }
        let stages = [
            (Stage::PreSession, &activity.pre_session),
            (Stage::Session, &activity.session),
            (Stage::PostSession, &activity.post_session),
        ];
        for (stage, entry) in stages.into_iter().flat_map(|(stage, list)| list.iter().map(move |entry| (stage, entry)))
        {
            self.plan_entry(&mut plan, user, stage, entry)?;
        }
        Ok(plan)
    }

    /// Whom the session would ask for approval now.
    async fn asks(
        &self,
        configuration: &Configuration,
        user: &Object,
        offer: &Offer<'_>,
    ) -> Result<Option<(Asked, Period)>, AppError> {
        let Some(approval) = &offer.profile_spec().approval else { return Ok(None) };
        let now = self.0.clock.now();
        let mut asked = configuration.ask(approval, user.id, now);
        must_be_askable(&asked, (offer.profile.name.as_str(), user.name.as_str()), "/resources")?;
        let (id, since) = (user.id, now.minus(OWN_CHANGE_TOLD));
        let changes = self.0.store.read(move |tx| Box::pin(async move { tx.rule_changes_of(id, since).await }));
        asked.own_changes = changes
            .await?
            .into_iter()
            .filter(|(object, _)| decides(configuration, *object, (user, offer, &asked)))
            .map(|(object, at)| {
                let name = configuration.get(object).map_or_else(|| object.to_string(), |known| known.name.to_string());
                OwnChange { object, name, at }
            })
            .take(OWN_CHANGES_MAX)
            .collect();
        Ok(Some((asked, approval.window)))
    }

    fn plan_account(&self, plan: &mut Plan, user: &Object, offer: &Offer<'_>) -> Result<(), AppError> {
        let privilege = match &offer.activity_spec().login_account {
            None => return Ok(()),
            Some(LoginAccountSpec::ActivityToken { template }) => {
                plan.account.name = template.name(user.name.as_str(), &*self.0.entropy);
                Privilege::Account { leftovers: plan.rules.leftovers }
            }
            Some(LoginAccountSpec::Managed { account, adopt, clean_home }) => {
                plan.account.name = account.clone();
                let password = match plan.rules.direct_login {
                    DirectLogin::Deny if asks_for_password(offer) => return Err(no_password()),
                    DirectLogin::Deny => None,
                    DirectLogin::Alert | DirectLogin::Allow => Some(self.fresh_password(plan)),
                };
                let leftovers = plan.rules.leftovers;
                Privilege::ManagedAccount { adopt: *adopt, clean_home: *clean_home, password, leftovers }
            }
            Some(LoginAccountSpec::Requester {}) => {
                plan.account.name = own_account(user, offer)?;
                return Ok(());
            }
        };
        plan.steps.push(Step { privilege, stage: Stage::PreSession, continue_on_error: false });
        Ok(())
    }

    fn plan_entry(&self, plan: &mut Plan, user: &Object, stage: Stage, entry: &StageEntry) -> Result<(), AppError> {
        let ssh_keys = &self.keys_of(user)[..];
        let password = entry.action.takes_password().then(|| self.fresh_password(plan));
        let Rules { direct_login, group_processes, .. } = plan.rules;
        let given = Given { ssh_keys, password, direct_login, group_processes };
        let privileges = entry.action.privileges(&given);
        for privilege in privileges.map_err(|why| AppError::field("/activity", why))? {
            plan.steps.push(Step { privilege, stage, continue_on_error: entry.continue_on_error });
        }
        Ok(())
    }

    /// A password that nobody has seen, sealed. It lives as long as the session's ledger is not clean.
    fn fresh_password(&self, plan: &mut Plan) -> SecretId {
        let id = SecretId::mint(self.0.clock.now(), &*self.0.entropy);
        plan.secrets.push(self.sealed_password(id, plan.target.resource));
        id
    }

    /// A fresh password under this id, of an account on this resource.
    pub(crate) fn sealed_password(&self, id: SecretId, resource: ObjectId) -> SecretRow {
        let mut bytes = [0; PASSWORD_LENGTH];
        self.0.entropy.fill(&mut bytes);
        let text: String =
            bytes.iter().map(|byte| char::from(b"abcdefghijkmnpqrstuvwxyz23456789"[usize::from(byte & 31)])).collect();
        self.0.keyring.seal(id, resource, SecretField::Password, &Secret::new(text), self.0.clock.now())
    }

    /// Writes what was made for the plan, and gives the session its account; the session is the caller's to write.
    pub(crate) async fn insert_plan(&self, tx: &mut Tx, session: &mut Session, plan: &Plan) -> Result<(), AppError> {
        session.account = plan.account.clone();
        for secret in &plan.secrets {
            tx.insert_secret(secret).await?;
        }
        Ok(())
    }

    /// The number of an account that Cardea makes: the one that a kept account has, or one that the host never had.
    async fn number_for(&self, plan: &Plan, range: UidRange, resource: &Object) -> Result<u32, AppError> {
        let (host, name) = (host_of(&plan.target), plan.account.name.clone());
        if plan.keeps_account() {
            let key = host.clone();
            let known = self.0.store.read(move |tx| Box::pin(async move { tx.managed_account(&key, &name).await }));
            if let Some(known) = known.await? {
                return Ok(known.uid);
            }
        }
        self.0.uids.next(&self.0.store, &host, range).await?.ok_or_else(|| {
            let UidRange { first, last } = range;
            let name = &resource.name;
            let sentence =
                format!("all user ids of {name} ({first} to {last}) were used: give the resource a new `uid_range`");
            AppError::refused("uid-range-used-up", sentence)
        })
    }

    /// The ledger's rows of a plan, from this ordinal on. The dead man's switch comes first: it undoes all the others.
    pub(crate) fn planned_grants(&self, session: &Session, plan: &Plan, first: i64) -> Vec<Grant> {
        let mut grants: Vec<_> = (first + 1..)
            .zip(&plan.steps)
            .map(|(ordinal, step)| {
                let mut grant = self.planned(session, ordinal, plan.target.clone(), step.privilege.clone());
                grant.stage = step.stage;
                grant.continue_on_error = step.continue_on_error;
                grant.share_key = plan.share_key(step);
                grant
            })
            .collect();
        if grants.iter().any(|grant| grant.privilege.stays()) {
            let undo = undo_of_all(&grants);
            grants.insert(0, self.planned(session, first, plan.target.clone(), Privilege::DeadMan { undo }));
        }
        grants
    }

    /// Puts a session on a new plan: fresh pins, rules and duration, an account as the plan has it, and grants behind those that
    /// it had, none of which may be on the host any more. The caller saves the session in the same unit.
    pub(crate) async fn replan(
        &self,
        tx: &mut Tx,
        permit: &Permit,
        session: &mut Session,
        plan: Plan,
    ) -> Result<(), AppError> {
        self.remove_all(tx, session).await?;
        tx.check_in(session.id).await?;
        tx.delete_snapshot(session.id).await?;
        let known = tx.grants_of(session.id).await?;
        let first = known.iter().map(|grant| grant.ordinal + 1).max().unwrap_or(0);
        self.insert_plan(tx, session, &plan).await?;
        let grants = self.planned_grants(session, &plan, first);
        tx.insert_grants(&grants).await?;
        self.announce_grants(tx, session, &grants);
        session.duration = plan.pins.max_duration;
        session.pins = plan.pins;
        session.rules = plan.rules;
        tx.repin_session(permit, session).await?;
        if let Some(within) = plan.review_within {
            self.owe_review(tx, permit, session, within).await?;
        }
        Ok(())
    }

    /// A grant that is written down and not yet begun.
    pub(crate) fn planned(&self, session: &Session, ordinal: i64, target: Target, privilege: Privilege) -> Grant {
        let id = GrantId::mint(self.0.clock.now(), &*self.0.entropy);
        Grant {
            id,
            session: session.id,
            ordinal,
            target,
            account: session.account.clone(),
            privilege,
            mark: id,
            share_key: None,
            stage: Stage::PreSession,
            continue_on_error: false,
            token: self.ownership_token(id),
            state: GrantState::Planned,
            expires_at: None,
            before: None,
            placed_at: None,
            removed_at: None,
            attempts: 0,
            last_error: None,
            evidence: None,
            scanned_at: None,
        }
    }

    /// The resource and the way to work on it, as they are now: what the session's grants pin.
    pub(crate) async fn target(&self, configuration: &Configuration, offer: &Offer<'_>) -> Result<Target, AppError> {
        self.target_of(configuration, offer.resource).await
    }

    /// The way to work on the session's resource: as its grants pin it, or as it is now if it has none.
    pub(crate) async fn target_of_session(&self, session: &Session, grants: &[Grant]) -> Result<Target, AppError> {
        if let Some(last) = grants.last() {
            return Ok(last.target.clone());
        }
        let configuration = self.configuration();
        let resource = configuration.get(session.resource).ok_or(AppError::NotFound)?;
        self.target_of(&configuration, resource).await
    }

    /// The way to work on a resource, as it is now.
    pub(crate) async fn target_of(&self, configuration: &Configuration, resource: &Object) -> Result<Target, AppError> {
        let spec = resource.as_resource().ok_or(AppError::NotFound)?;
        let account = configuration.find(Kind::ServiceAccount, &spec.service_account).ok_or(AppError::NotFound)?;
        let service = account.as_service_account().ok_or(AppError::NotFound)?;
        let secrets = self.0.log_ins.of(&self.0.store, account).await?;
        let secret = |field| secrets.iter().find(|(known, _)| *known == field).map(|(_, id)| *id);
        Ok(Target {
            resource: resource.id,
            name: resource.name.to_string(),
            address: spec.address.clone(),
            port: spec.port,
            host_key: spec.host_key.clone(),
            user: service.user.clone(),
            elevation: service.elevation,
            private_key: secret(SecretField::PrivateKey),
            password: secret(SecretField::Password),
            sudo_password: secret(SecretField::SudoPassword),
        })
    }
}

impl Plan {
    /// Whether its account is made by Cardea, now or once before.
    fn makes_account(&self) -> bool {
        self.steps.iter().any(|step| step.privilege.is_account())
    }

    /// Whether its account is there before and after the session.
    fn keeps_account(&self) -> bool {
        !self.steps.iter().any(|step| matches!(step.privilege, Privilege::Account { .. }))
    }

    /// Names what other sessions may hold as well: only what is placed on an account that is not this session's alone.
    fn share_key(&self, step: &Step) -> Option<String> {
        let is_shared = self.keeps_account() && step.privilege.needs_account() && step.privilege.stays();
        let privilege = serde_json::to_string(&step.privilege.held()).ok()?;
        is_shared.then(|| format!("{} {} {privilege}", host_of(&self.target), self.account.name))
    }

    /// What people see before the engine has begun.
    pub(crate) fn first_step(&self) -> Progress {
        let ahead = 1 + self.steps.iter().filter(|step| step.stage == Stage::PreSession).count();
        let of = u32::try_from(ahead).unwrap_or(u32::MAX);
        Progress { step: 1, of, text: "connecting to the host".to_owned() }
    }
}

/// Why nothing could be laid out for this user by this offer; `None` if it could. Makes nothing.
pub(crate) fn misfit(user: &Object, offer: &Offer<'_>) -> Option<String> {
    let activity = offer.activity_spec();
    let rules = offer.profile_spec().rules();
    let fault = match &activity.login_account {
        Some(LoginAccountSpec::Managed { .. })
            if rules.direct_login == DirectLogin::Deny && asks_for_password(offer) =>
        {
            Some(no_password())
        }
        Some(LoginAccountSpec::Requester {}) => own_account(user, offer).err(),
        _ => None,
    };
    if let Some(AppError::Invalid(mut fields)) = fault {
        return fields.pop().map(|field| field.message);
    }
    let ssh_keys = user.as_user().map_or(&[][..], |spec| &spec.ssh_keys);
    let Rules { direct_login, group_processes, .. } = rules;
    let mut entries = activity.stages().into_iter().flat_map(|(_, entries)| entries);
    // Whether a password was made is for the sealing to say, not for this.
    entries.find_map(|StageEntry { action, .. }| {
        let given = Given { ssh_keys, password: None, direct_login, group_processes };
        if action.takes_password() { None } else { action.privileges(&given).err().map(|why| why.to_string()) }
    })
}

/// There is no use in waiting for people who do not exist.
pub(crate) fn must_be_askable(asked: &Asked, (profile, user): (&str, &str), pointer: &str) -> Result<(), AppError> {
    let Some(Shortage { tiers, needed, people }) = asked.shortage() else { return Ok(()) };
    let message = format!(
        "nobody could approve it: {tiers} of the profile {profile} must have {needed} approvers beside {user}, and there are \
         {people}: ask an administrator"
    );
    Err(AppError::field(pointer, message))
}

/// Whether sudo is to ask for the password of the login account.
fn asks_for_password(offer: &Offer<'_>) -> bool {
    let stages = offer.activity_spec().stages();
    let mut entries = stages.into_iter().flat_map(|(_, entries)| entries);
    entries.any(|entry| matches!(&entry.action, Action::AddSudoRule(rule) if rule.password))
}

fn no_password() -> AppError {
    let sentence = "sudo asks for the account's password, and the connection profile denies log-ins past the gateway, so the \
                    account has none: use another profile, or write `password: false` in add_sudo_rule";
    AppError::Invalid(vec![FieldError::new("/activity", sentence)])
}

/// The user's own account on the resource.
fn own_account(user: &Object, offer: &Offer<'_>) -> Result<String, AppError> {
    let accounts = user.as_user().map(|spec| &spec.accounts);
    let named = accounts.into_iter().flatten().find(|(resource, _)| offer.resource.is_called(resource));
    named.map(|(_, account)| account.clone()).ok_or_else(|| {
        let (user, resource) = (&user.name, &offer.resource.name);
        AppError::Invalid(vec![FieldError::new(
            "/resources",
            format!("the activity uses an account of your own, and {user} has none on {resource}: ask an administrator to set `accounts` of the user"),
        )])
    })
}

/// What the dead man's switch of these grants undoes, in the order of removing.
pub(crate) fn undo_of_all(grants: &[Grant]) -> Vec<Undo> {
    let is_undone = |grant: &&Grant| {
        let is_switch = matches!(grant.privilege, Privilege::DeadMan { .. });
        let is_ours = match grant.state {
            GrantState::Preexisting => false,
            // Nobody has looked yet whether it is there by somebody else's hand.
            GrantState::Planned | GrantState::Removed => !is_unmarked(grant),
            GrantState::Placing | GrantState::Placed | GrantState::Removing => true,
        };
        grant.privilege.stays() && !is_switch && is_ours
    };
    grants.iter().rev().filter(is_undone).map(undo_of).collect()
}

/// How the switch undoes it.
pub(crate) fn undo_of(grant: &Grant) -> Undo {
    Undo {
        grant: grant.mark,
        token: grant.token.clone(),
        account: grant.account.clone(),
        privilege: grant.privilege.clone(),
    }
}

/// Whether it could be on its account before Cardea, and nothing on the host tells whose it is.
pub(crate) fn is_unmarked(grant: &Grant) -> bool {
    grant.share_key.is_some() && grant.privilege.may_preexist()
}

/// Whether an object has a say in what a request by these rules is given, or in who says yes to it.
fn decides(
    configuration: &Configuration,
    object: ObjectId,
    (user, offer, asked): (&Object, &Offer<'_>, &Asked),
) -> bool {
    let rules = [offer.policy.id, offer.profile.id, offer.activity.id, offer.resource.id];
    let is_asked = |tier: &AskedTier| tier.asks(object);
    object == user.id
        || asked.tiers.iter().any(is_asked)
        || touched(configuration, vec![object]).iter().any(|touched| rules.contains(touched))
}

/// What a session pins that is requested by this offer.
pub(crate) fn pins_of(offer: &Offer<'_>) -> Pins {
    Pins {
        policy: offer.policy.revision(),
        activity: offer.activity.revision(),
        profile: offer.profile.revision(),
        resource: offer.resource.revision(),
        max_duration: offer.profile_spec().max_duration,
    }
}

/// The offer that the session was requested by, if its policy still gives it.
pub(crate) fn offer_of<'a>(
    configuration: &'a Configuration,
    session: &Session,
    now: Timestamp,
) -> Result<Offer<'a>, AppError> {
    let offers = configuration.fitting(session.user, session.activity, session.resource);
    let offer = offers.into_iter().find(|offer| offer.policy.id == session.policy);
    offer.filter(|_| configuration.may_act(session.user, now)).ok_or_else(|| {
        let Session { policy_name, activity_name, resource_name, user_name, .. } = session;
        let sentence = format!(
            "the policy {policy_name} does not give {activity_name} on {resource_name} to {user_name} any more"
        );
        AppError::refused("not-offered", sentence)
    })
}

/// Why a session cannot begin at this time; `None` if it can.
pub(crate) fn closed_at(offer: &Offer<'_>, at: Timestamp) -> Option<String> {
    let schedule = offer.schedule().filter(|schedule| schedule.open_until(at).is_none())?;
    let name = &offer.policy.name;
    Some(match schedule.opens_after(at) {
        Some(opens) => format!("the policy `{name}` is closed at that time: it opens at {opens}"),
        None => format!("the policy `{name}` is closed, and stays so"),
    })
}

/// What tells one host from another: its key, or its address while it has none.
pub(crate) fn host_of(target: &Target) -> String {
    target.host_key.clone().unwrap_or_else(|| format!("{}:{}", target.address, target.port))
}

/// Whether people log in to what the activity gives.
fn has_login(offer: &Offer<'_>) -> bool {
    offer.activity_spec().protocol != Protocol::None
}

/// What scripts of a session read in their environment.
pub(crate) fn environment(session: &Session, stage: Stage) -> Vec<(String, String)> {
    let custom: &CustomValues = &session.custom;
    let fixed = [
        ("SESSION", session.id.to_string()),
        ("USER", session.user_name.clone()),
        ("RESOURCE", session.resource_name.clone()),
        ("ACTIVITY", session.activity_name.clone()),
        ("ACCOUNT", session.account.name.clone()),
        ("STAGE", stage.as_str().to_owned()),
    ];
    let named = custom.iter().map(|(name, value)| (format!("CUSTOM_{}", name.to_uppercase()), value.clone()));
    let all = fixed.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(named);
    all.map(|(name, value)| (format!("CARDEA_{name}"), value)).collect()
}
