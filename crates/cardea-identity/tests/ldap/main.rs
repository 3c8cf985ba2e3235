//! The LDAP client against a real Active Directory, and against servers that are none.

mod nonsense;
mod people;
mod world;
