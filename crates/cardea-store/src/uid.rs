//! Numbers for accounts on resources.

use cardea_domain::UidRange;

use crate::{
    StoreError, Tx, row,
    tx::{execute, fetch_optional},
};

impl Tx {
    /// The next `count` numbers of a range on a host, never the same twice, whoever asks at the same time: the first of them.
    /// `None` when the range has not that many left. Marks go by host and not by resource: two resources may be one host, and
    /// a resource may be deleted and made again. A range that is moved up goes on at its new first number; numbers below the
    /// last one that was taken never come back.
    pub async fn take_uids(&mut self, host: &str, range: UidRange, count: u32) -> Result<Option<u32>, StoreError> {
        const SQL: &str = "insert into uid_mark (host, next_uid) select $1, $2 + $4 where $2 + $4 <= $3 + 1 \
            on conflict (host) do update \
            set next_uid = $4 + case when uid_mark.next_uid < $2 then $2 else uid_mark.next_uid end \
            where $4 + case when uid_mark.next_uid < $2 then $2 else uid_mark.next_uid end <= $3 + 1 \
            returning next_uid - $4";
        let (first, last) = (i64::from(range.first), i64::from(range.last));
        let taken = fetch_optional!((i64,), self, SQL, host, first, last, i64::from(count))?;
        taken.map(|(number,)| row::count("uid_mark.next_uid", number)).transpose()
    }

    /// This number is in use on a host, whoever gave it: it and those below it are never given again. Whether that was new.
    pub async fn used_uid(&mut self, host: &str, uid: u32) -> Result<bool, StoreError> {
        const SQL: &str = "insert into uid_mark (host, next_uid) values ($1, $2 + 1) \
            on conflict (host) do update set next_uid = excluded.next_uid where uid_mark.next_uid < excluded.next_uid";
        Ok(execute!(self, SQL, host, i64::from(uid))? > 0)
    }
}
