//! `[ssh]`: the SSH gateway.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use cardea_app::CERTIFICATE_LASTS;
use cardea_domain::Period;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Listen;

/// Where the gateway listens.
pub(crate) struct Ssh {
    pub(crate) listen: SocketAddr,
    /// How long certificates for people's keys last at most.
    pub(crate) certificates_last: Duration,
}

const CERTIFICATES_LAST: Duration = Duration::from_secs(8 * 3600);

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Layer {
    listen: Option<Listen>,
    certificates_last: Option<Lasting>,
}

/// Between a minute and a day.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "Period")]
struct Lasting(Duration);

impl TryFrom<Period> for Lasting {
    type Error = String;

    fn try_from(period: Period) -> Result<Self, String> {
        let lasts = period.get();
        if CERTIFICATE_LASTS.contains(&lasts) { Ok(Self(lasts)) } else { Err("write 1m to 24h".to_owned()) }
    }
}

impl Layer {
    pub(super) fn over(self, under: Self) -> Self {
        Self {
            listen: self.listen.or(under.listen),
            certificates_last: self.certificates_last.or(under.certificates_last),
        }
    }

    pub(super) fn resolve(self) -> Ssh {
        Ssh {
            listen: self.listen.map_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 4422)), |listen| listen.0),
            certificates_last: self.certificates_last.map_or(CERTIFICATES_LAST, |lasting| lasting.0),
        }
    }
}

impl Ssh {
    pub(super) fn shown(&self) -> Value {
        let certificates_last = Period::from_seconds(self.certificates_last.as_secs());
        json!({ "listen": self.listen, "certificates_last": certificates_last })
    }
}
