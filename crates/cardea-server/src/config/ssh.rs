//! `[ssh]`: the SSH gateway.

use std::net::{Ipv4Addr, SocketAddr};

use serde::Deserialize;
use serde_json::{Value, json};

use super::Listen;

/// Where the gateway listens.
pub(crate) struct Ssh {
    pub(crate) listen: SocketAddr,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Layer {
    listen: Option<Listen>,
}

impl Layer {
    pub(super) fn over(self, under: Self) -> Self {
        Self { listen: self.listen.or(under.listen) }
    }

    pub(super) fn resolve(self) -> Ssh {
        Ssh { listen: self.listen.map_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 4422)), |listen| listen.0) }
    }
}

impl Ssh {
    pub(super) fn shown(&self) -> Value {
        json!({ "listen": self.listen })
    }
}
