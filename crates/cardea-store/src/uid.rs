//! Numbers for accounts on resources.

use cardea_domain::ObjectId;

use crate::{StoreError, Tx, row, tx::fetch_optional};

impl Tx {
    /// The next number of a resource's range, never the same twice, whoever asks at the same time. `None` when the
    /// range is used up. A range that is moved up goes on at its new first number; numbers below the last one that was
    /// taken never come back.
    pub async fn take_uid(&mut self, resource: ObjectId, first: u32, last: u32) -> Result<Option<u32>, StoreError> {
        const SQL: &str = "insert into uid_mark (resource_id, next_uid) values ($1, $2 + 1) \
            on conflict (resource_id) do update \
            set next_uid = 1 + case when uid_mark.next_uid < $2 then $2 else uid_mark.next_uid end \
            where uid_mark.next_uid <= $3 \
            returning next_uid - 1";
        let (first, last) = (i64::from(first), i64::from(last));
        let taken = fetch_optional!((i64,), self, SQL, resource.to_string(), first, last)?;
        taken.map(|(number,)| row::uid("uid_mark.next_uid", number)).transpose()
    }
}
