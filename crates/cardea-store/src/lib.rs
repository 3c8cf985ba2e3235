//! cardea-store
