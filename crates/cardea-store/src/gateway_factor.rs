//! When and from where users last showed a second factor to connect.

use cardea_domain::{ObjectId, Timestamp};

use crate::{
    StoreError, Tx,
    tx::{execute, fetch_one},
};

impl Tx {
    /// Notes that a second factor was shown at the gateway, and forgets what its user showed before `since`.
    pub async fn factor_shown_at_gateway(
        &mut self,
        user: ObjectId,
        network: &str,
        now: Timestamp,
        since: Timestamp,
    ) -> Result<(), StoreError> {
        const OLD: &str = "delete from gateway_factor where user_id = $1 and shown_at < $2";
        execute!(self, OLD, user.to_string(), since.as_micros())?;
        const SQL: &str = "insert into gateway_factor (user_id, network, shown_at) values ($1, $2, $3) \
            on conflict (user_id, network) do update set shown_at = excluded.shown_at";
        execute!(self, SQL, user.to_string(), network, now.as_micros())?;
        Ok(())
    }

    /// Whether the user showed a second factor from this network since `since`: at the gateway, or in a sign-in that goes on.
    pub async fn showed_factor_since(
        &mut self,
        user: ObjectId,
        network: &str,
        since: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "select exists(select 1 from gateway_factor \
            where user_id = $1 and network = $2 and shown_at >= $3 union all \
            select 1 from sign_in where user_id = $1 and peer = $2 and factor_at >= $3 and ended_at is null)";
        let (shown,) = fetch_one!((bool,), self, SQL, user.to_string(), network, since.as_micros())?;
        Ok(shown)
    }
}
