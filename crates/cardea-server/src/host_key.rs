//! The gateway's host key: what users' ssh clients know the gateway by, at every node the same.

use cardea_app::App;
use cardea_domain::Secret;
use cardea_vault::System;

use crate::{data_dir::DataDir, failure::Failure};

/// Where it was kept before it was sealed in the store.
const FILE: &str = "ssh-host-key";

/// The installation's key; made if there is none.
pub(crate) async fn ensure(data: &DataDir, app: &App) -> Result<Secret, Failure> {
    let of_before = data.read(FILE)?;
    let is_old = of_before.is_some();
    let key = app.gateway_host_key(move || of_before.unwrap_or_else(|| cardea_ssh::generate_host_key(&System))).await?;
    if is_old {
        data.remove(FILE)?;
        tracing::info!("The gateway's host key is kept in the store from now on");
    }
    Ok(key)
}
