//! Nobody gives away more than they have, and nobody changes a user who may do more than they.
//!
//! Judged by what follows from a change for everybody, not by what was written: a label that moves a resource into the scope of a
//! role gives that role away as much as naming it does.

use cardea_domain::{Actor, Configuration, Denial, Kind, Object, ObjectId, Permission, Role};

/// Whether the actor may bring the configuration from what it was to what it would be.
pub(crate) fn must_not_rise(
    actor: &Actor,
    before: &Configuration,
    after: &Configuration,
    changed: &[ObjectId],
) -> Result<(), Denial> {
    // What is written down for later: nobody has it yet, and the next administrator may not look twice.
    for id in changed {
        let (old, new) = (before.get(*id), after.get(*id));
        match id.kind() {
            Kind::User if old.is_some() => {
                must_not_outrank(actor, before, *id)?;
                must_not_choose_manager(actor, (old, new))?;
                must_not_choose_identity(actor, (old, new))?;
            }
            Kind::Role => {
                let role = |configuration: &Configuration| configuration.role(&id.to_string());
                if let Some(role) = role(after).filter(|new| role(before).as_ref() != Some(new)) {
                    must_have(actor, &role, &format!("put into the role `{role}`"))?;
                }
            }
            Kind::Group => {
                let had = old.and_then(Object::as_group).map_or(&[][..], |spec| &spec.roles);
                let has = new.and_then(Object::as_group).map_or(&[][..], |spec| &spec.roles);
                for role in has.iter().filter(|name| !had.contains(name)).filter_map(|name| after.role(name)) {
                    must_have(actor, &role, &format!("give the role `{role}` to a group"))?;
                }
            }
            Kind::IdentityProvider => must_not_vouch(actor, before, after, *id)?,
            _ => {}
        }
    }
    let (had, has) = (before.all_roles(), after.all_roles());
    for (user, roles) in &has {
        let known = had.get(user);
        for role in roles.iter().filter(|role| !known.is_some_and(|known| known.contains(role))) {
            let whom = after.get(*user).map_or_else(|| user.to_string(), |user| user.name.to_string());
            must_have(actor, role, &format!("give the role `{role}` to {whom}"))?;
        }
    }
    Ok(())
}

/// Whoever chooses their own manager chooses who approves what they ask for. An administrator could rewrite the rules as well.
fn must_not_choose_manager(actor: &Actor, (old, new): (Option<&Object>, Option<&Object>)) -> Result<(), Denial> {
    let manager = |object: Option<&Object>| object.and_then(Object::as_user).and_then(|spec| spec.manager.clone());
    let is_own = actor.user_id().is_some() && actor.user_id() == new.map(|user| user.id);
    if is_own && manager(old) != manager(new) && actor.lacks(&Role::Administrator).is_some() {
        let sentence = "you cannot choose your own manager, who approves what you ask for: ask an administrator";
        return Err(Denial { hidden: false, sentence: sentence.to_owned() });
    }
    Ok(())
}

/// Whoever says whom somebody is at a provider chooses who signs in as them, with all that they may say yes to. An approver has no
/// role that would tell.
fn must_not_choose_identity(actor: &Actor, (old, new): (Option<&Object>, Option<&Object>)) -> Result<(), Denial> {
    let identity = |object: Option<&Object>| object.and_then(Object::as_user).and_then(|spec| spec.identity.clone());
    if new.is_some() && identity(old) != identity(new) && actor.lacks(&Role::Administrator).is_some() {
        let sentence =
            "only an administrator says who somebody is at an identity provider: it decides who signs in as them";
        return Err(Denial { hidden: false, sentence: sentence.to_owned() });
    }
    Ok(())
}

/// Whoever says how a provider is asked can have it vouch for anybody whom it vouches for, and for themselves in any of its groups.
fn must_not_vouch(
    actor: &Actor,
    before: &Configuration,
    after: &Configuration,
    provider: ObjectId,
) -> Result<(), Denial> {
    for configuration in [before, after] {
        for (user, _) in configuration.users_of_provider(provider) {
            must_not_outrank(actor, configuration, user.id)?;
        }
        for group in configuration.groups_around(configuration.groups_of_provider(provider, |_| true)) {
            let group = configuration.get(group);
            let roles = group.and_then(Object::as_group).map_or(&[][..], |spec| &spec.roles);
            for role in roles.iter().filter_map(|name| configuration.role(name)) {
                must_have(actor, &role, &format!("have somebody else give the role `{role}`"))?;
            }
        }
    }
    Ok(())
}

/// Whether the actor has all that a user may do: else whoever changes the user could become them.
pub(crate) fn must_not_outrank(actor: &Actor, configuration: &Configuration, user: ObjectId) -> Result<(), Denial> {
    if actor.user_id() == Some(user) {
        return Ok(());
    }
    for role in configuration.roles_of(user) {
        if let Some(missing) = actor.lacks(&role) {
            let name = configuration.get(user).map_or_else(|| user.to_string(), |user| user.name.to_string());
            return Err(denial(&format!("touch {name}, who may do more than you"), missing));
        }
    }
    Ok(())
}

fn must_have(actor: &Actor, role: &Role, what: &str) -> Result<(), Denial> {
    actor.lacks(role).map_or(Ok(()), |missing| Err(denial(what, missing)))
}

fn denial(what: &str, missing: Permission) -> Denial {
    let sentence = format!(
        "you cannot {what}: you do not have the permission `{missing}` as widely yourself, and nobody gives away more than they have"
    );
    Denial { hidden: false, sentence }
}
