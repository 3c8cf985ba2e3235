//! Numbers for accounts on resources.

use crate::{StoreError, Tx, row, tx::fetch_optional};

impl Tx {
    /// The next number of a range on a host, never the same twice, whoever asks at the same time. `None` when the range is
    /// used up. Marks go by host and not by resource: two resources may be one host, and a resource may be deleted and
    /// made again. A range that is moved up goes on at its new first number; numbers below the last one that was
    /// taken never come back.
    pub async fn take_uid(&mut self, host: &str, first: u32, last: u32) -> Result<Option<u32>, StoreError> {
        const SQL: &str = "insert into uid_mark (host, next_uid) values ($1, $2 + 1) \
            on conflict (host) do update \
            set next_uid = 1 + case when uid_mark.next_uid < $2 then $2 else uid_mark.next_uid end \
            where uid_mark.next_uid <= $3 \
            returning next_uid - 1";
        let (first, last) = (i64::from(first), i64::from(last));
        let taken = fetch_optional!((i64,), self, SQL, host, first, last)?;
        taken.map(|(number,)| row::uid("uid_mark.next_uid", number)).transpose()
    }
}
