//! What each command does, one file per command.

pub(crate) mod apply;
pub(crate) mod ca;
pub(crate) mod config;
pub(crate) mod directories;
pub(crate) mod explain;
pub(crate) mod factors;
pub(crate) mod grants;
pub(crate) mod host_key;
pub(crate) mod init;
pub(crate) mod keys;
pub(crate) mod login;
pub(crate) mod migrate;
pub(crate) mod reviews;
pub(crate) mod sessions;
pub(crate) mod token;
