//! What a change of an identity provider would give away.

use cardea_domain::{IdentityProtocol, LdapSpec, Object, SecretField};

/// What makes a provider another one, whose people are not those whom users are linked to.
pub(super) fn knows_others(old: Option<&Object>, new: &Object) -> Option<&'static str> {
    match (&old?.as_identity_provider()?.protocol, &new.as_identity_provider()?.protocol) {
        (IdentityProtocol::Oidc(old), IdentityProtocol::Oidc(new)) => (old.issuer != new.issuer).then_some("issuer"),
        // In a directory people are known by a number that no other has.
        (IdentityProtocol::Ldap(_), IdentityProtocol::Ldap(_)) => None,
        _ => Some("protocol"),
    }
}

/// What Cardea would show to others than before: the password of its account in a directory, its secret at a provider.
pub(super) fn sent_elsewhere(old: Option<&Object>, new: &Object) -> Option<SecretField> {
    let (old, new) = (old?.as_identity_provider()?, new.as_identity_provider()?);
    let directory = |spec: &LdapSpec| (spec.url.clone(), spec.start_tls, spec.ca.clone(), spec.bind_dn.clone());
    let is_other = match (&old.protocol, &new.protocol) {
        (IdentityProtocol::Ldap(old), IdentityProtocol::Ldap(new)) => {
            new.bind_dn.is_some() && directory(old) != directory(new)
        }
        (IdentityProtocol::Oidc(old), IdentityProtocol::Oidc(new)) => (&old.issuer, &old.ca) != (&new.issuer, &new.ca),
        (IdentityProtocol::Ldap(_), IdentityProtocol::Oidc(_))
        | (IdentityProtocol::Oidc(_), IdentityProtocol::Ldap(_)) => true,
    };
    let field = match new.protocol {
        IdentityProtocol::Ldap(_) => SecretField::BindPassword,
        IdentityProtocol::Oidc(_) => SecretField::ClientSecret,
    };
    is_other.then_some(field)
}
