//! cardea-vault
