//! Which objects users changed lately.

use cardea_domain::{ObjectId, Timestamp};

use crate::{
    StoreError, Tx,
    row::parse,
    tx::{execute, fetch_all},
};

impl Tx {
    /// Notes that a user changed an object, and forgets what they changed before `since`.
    pub async fn note_rule_change(
        &mut self,
        user: ObjectId,
        object: ObjectId,
        now: Timestamp,
        since: Timestamp,
    ) -> Result<(), StoreError> {
        const OLD: &str = "delete from rule_change where user_id = $1 and at < $2";
        execute!(self, OLD, user.to_string(), since.as_micros())?;
        const SQL: &str = "insert into rule_change (user_id, object_id, at) values ($1, $2, $3) \
            on conflict (user_id, object_id) do update set at = excluded.at";
        execute!(self, SQL, user.to_string(), object.to_string(), now.as_micros())?;
        Ok(())
    }

    /// What a user changed since `since`, and when last, oldest first.
    pub async fn rule_changes_of(
        &mut self,
        user: ObjectId,
        since: Timestamp,
    ) -> Result<Vec<(ObjectId, Timestamp)>, StoreError> {
        const SQL: &str =
            "select object_id, at from rule_change where user_id = $1 and at >= $2 order by at, object_id";
        let rows = fetch_all!((String, i64), self, SQL, user.to_string(), since.as_micros())?;
        rows.iter().map(|(id, at)| Ok((parse("rule_change.object_id", id)?, Timestamp::from_micros(*at)))).collect()
    }
}
