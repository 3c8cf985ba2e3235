//! cardea-connectors
