//! Who is vouched for outside: which person there is which user here, and the groups that this gives.

use std::collections::BTreeSet;

use cardea_domain::{GivenMembership, ObjectId, Permit, Timestamp, Verb};

use crate::{
    StoreError, Tx,
    row::{must_cover, parse},
    tx::{execute, fetch_all, fetch_optional},
};

/// A person at a provider, who is a user here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityRow {
    pub provider: ObjectId,
    /// What the provider never changes about them.
    pub subject: String,
    pub user: ObjectId,
    /// What they were called there when they were linked.
    pub name: String,
    pub linked_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row {
    provider_id: String,
    subject: String,
    user_id: String,
    name: String,
    linked_at: i64,
}

impl TryFrom<Row> for IdentityRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            provider: parse("external_identity.provider_id", &row.provider_id)?,
            subject: row.subject,
            user: parse("external_identity.user_id", &row.user_id)?,
            name: row.name,
            linked_at: Timestamp::from_micros(row.linked_at),
        })
    }
}

impl Tx {
    /// Links a person to a user. [`StoreError::Duplicate`] of `external_identity` if either is linked.
    pub async fn insert_identity(&mut self, permit: &Permit, identity: &IdentityRow) -> Result<(), StoreError> {
        const SQL: &str = "insert into external_identity (provider_id, subject, user_id, name, linked_at) \
            values ($1, $2, $3, $4, $5)";
        must_cover(permit, &[Verb::AdmitUser], "external_identity")?;
        let IdentityRow { provider, subject, user, name, linked_at } = identity;
        execute!(self, SQL, provider.to_string(), subject, user.to_string(), name, linked_at.as_micros())?;
        Ok(())
    }

    /// The link of a person.
    pub async fn identity(&mut self, provider: ObjectId, subject: &str) -> Result<Option<IdentityRow>, StoreError> {
        const SQL: &str = "select * from external_identity where provider_id = $1 and subject = $2";
        let row = fetch_optional!(Row, self, SQL, provider.to_string(), subject)?;
        row.map(IdentityRow::try_from).transpose()
    }

    /// The link of a user.
    pub async fn identity_of(&mut self, user: ObjectId) -> Result<Option<IdentityRow>, StoreError> {
        const SQL: &str = "select * from external_identity where user_id = $1";
        let row = fetch_optional!(Row, self, SQL, user.to_string())?;
        row.map(IdentityRow::try_from).transpose()
    }

    /// Everybody whom a provider's people are linked to.
    pub async fn identities_by(&mut self, provider: ObjectId) -> Result<Vec<IdentityRow>, StoreError> {
        const SQL: &str = "select * from external_identity where provider_id = $1 order by user_id";
        fetch_all!(Row, self, SQL, provider.to_string())?.into_iter().map(IdentityRow::try_from).collect()
    }

    /// Forgets whom a user is linked to, and what that gave them.
    pub async fn forget_identity(&mut self, permit: &Permit, user: ObjectId) -> Result<(), StoreError> {
        must_cover(permit, &[Verb::ChangeConfiguration(user.kind())], "external_identity")?;
        execute!(self, "delete from external_identity where user_id = $1", user.to_string())?;
        execute!(self, "delete from external_membership where user_id = $1", user.to_string())?;
        execute!(self, "delete from directory_absence where user_id = $1", user.to_string())?;
        Ok(())
    }

    /// Every membership that a provider gave.
    pub async fn memberships(&mut self) -> Result<Vec<GivenMembership>, StoreError> {
        const SQL: &str = "select user_id, group_id from external_membership order by user_id, group_id";
        let rows = fetch_all!((String, String), self, SQL)?;
        let membership = |(user, group): (String, String)| {
            let user = parse("external_membership.user_id", &user)?;
            Ok(GivenMembership { user, group: parse("external_membership.group_id", &group)? })
        };
        rows.into_iter().map(membership).collect()
    }

    /// Gives a user these groups, and takes all others that a provider gave.
    pub async fn set_memberships(
        &mut self,
        permit: &Permit,
        user: ObjectId,
        groups: &BTreeSet<ObjectId>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const DROP: &str = "delete from external_membership where user_id = $1 \
            and group_id not in (select value from json_each($2))";
        const ADD: &str = "insert into external_membership (user_id, group_id, since) \
            select $1, value, $3 from json_each($2) where true on conflict (user_id, group_id) do nothing";
        must_cover(permit, &[Verb::AdmitUser], "external_membership")?;
        let groups = crate::row::id_list(&groups.iter().collect::<Vec<_>>());
        execute!(self, DROP, user.to_string(), &groups)?;
        execute!(self, ADD, user.to_string(), &groups, now.as_micros())?;
        Ok(())
    }
}
