//! cardea-ssh
