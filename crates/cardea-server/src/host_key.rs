//! The gateway's host key: what users' ssh clients know the gateway by.

use cardea_domain::Secret;
use cardea_vault::System;

use crate::{data_dir::DataDir, failure::Failure};

const FILE: &str = "ssh-host-key";

/// The key in the data directory; made if there is none.
pub(crate) fn ensure(data: &DataDir) -> Result<Secret, Failure> {
    if let Some(key) = data.read(FILE)? {
        return Ok(key);
    }
    let key = cardea_ssh::generate_host_key(&System);
    key.expose(|text| data.write(FILE, text))?;
    tracing::info!("Made a host key for the SSH gateway");
    Ok(key)
}
