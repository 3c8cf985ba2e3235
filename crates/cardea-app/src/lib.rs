//! cardea-app
