//! cardea-http
