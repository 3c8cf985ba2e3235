//! A directory with somebody in it, and how it is asked.

use std::sync::Arc;

use cardea_domain::{
    Directories as _, Directory, DirectoryFault, DirectoryUrl, DirectoryVerdict, Searcher, Secret, Sought,
};
use cardea_identity::Ldap;
use cardea_testkit::Samba;

pub(crate) const PASSWORD: &str = "Right-Passw0rd";

/// The settings for a directory at this address.
pub(crate) fn directory(url: &str) -> Directory {
    Directory {
        url: DirectoryUrl::parse(url).expect("an address"),
        start_tls: false,
        ca: None,
        searcher: Some(Searcher {
            dn: Samba::SEARCHER.to_owned(),
            password: Secret::new(Samba::SEARCHER_PASSWORD.to_owned()),
        }),
        base_dn: Samba::BASE.to_owned(),
        user_filter: Directory::USER_FILTER.to_owned(),
        group_filter: Directory::GROUP_FILTER.to_owned(),
        user_attribute: Directory::USER_ATTRIBUTE.to_owned(),
        name_attribute: Directory::NAME_ATTRIBUTE.to_owned(),
        email_attribute: Directory::EMAIL_ATTRIBUTE.to_owned(),
    }
}

/// The settings that reach a domain controller.
pub(crate) fn of(samba: &Samba) -> Directory {
    Directory { ca: Some(samba.ca()), ..directory(&samba.url()) }
}

pub(crate) async fn sign_in(
    directory: Directory,
    user: &str,
    password: &str,
) -> Result<DirectoryVerdict, DirectoryFault> {
    Ldap::default().sign_in(&Arc::new(directory), Sought::Name(user), &Secret::new(password.to_owned())).await
}
