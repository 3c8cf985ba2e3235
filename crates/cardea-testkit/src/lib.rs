//! cardea-testkit
