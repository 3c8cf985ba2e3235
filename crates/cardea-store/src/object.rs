//! Configuration objects: one table for all kinds, the spec as JSON.

use std::collections::BTreeSet;

use cardea_domain::{Kind, Name, Object, ObjectId, Permit, Revision, Spec, Timestamp, Verb};

use crate::{
    StoreError, Tx,
    row::{corrupt, exactly_one, from_json, id_list, must_cover, parse, to_json},
    tx::{execute, fetch_all, fetch_one, fetch_optional},
};

#[derive(sqlx::FromRow)]
struct ObjectRow {
    id: String,
    name: String,
    spec: String,
    version: i64,
    created_at: i64,
    updated_at: i64,
}

impl TryFrom<ObjectRow> for Object {
    type Error = StoreError;

    fn try_from(row: ObjectRow) -> Result<Self, StoreError> {
        let id: ObjectId = parse("object.id", &row.id)?;
        let read = |error: cardea_domain::FieldError| {
            corrupt(&format!("spec of {id}"), format!("{}: {}", error.pointer, error.message))
        };
        Ok(Self {
            id,
            name: Name::new(row.name).map_err(|error| corrupt(&format!("name of {id}"), error))?,
            spec: Spec::from_stored(id.kind(), from_json("object.spec", &row.spec)?).map_err(read)?,
            version: row.version,
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: Timestamp::from_micros(row.updated_at),
        })
    }
}

impl Tx {
    /// Every object, oldest first.
    pub async fn objects(&mut self) -> Result<Vec<Object>, StoreError> {
        let rows = fetch_all!(ObjectRow, self, "select * from object order by id")?;
        rows.into_iter().map(Object::try_from).collect()
    }

    /// Writes a new object. A name that is taken is a [`StoreError::Duplicate`] of `object`, `name`.
    pub async fn insert_object(&mut self, permit: &Permit, object: &Object) -> Result<(), StoreError> {
        const SQL: &str = "insert into object (id, kind, name, name_fold, spec, version, created_at, updated_at) \
            values ($1, $2, $3, $4, $5, $6, $7, $8)";
        let is_user = object.id.kind() == Kind::User;
        let admit = if is_user { Verb::AdmitUser } else { Verb::ChangeConfiguration(object.id.kind()) };
        must_cover(permit, &[Verb::ChangeConfiguration(object.id.kind()), admit], "object")?;
        execute!(
            self,
            SQL,
            object.id.to_string(),
            object.id.kind().as_str(),
            object.name.as_str(),
            object.name.folded(),
            object.spec.to_json().to_string(),
            object.version,
            object.created_at.as_micros(),
            object.updated_at.as_micros()
        )?;
        Ok(())
    }

    /// Replaces an object that still has the version `was`; `object` carries the new one.
    pub async fn update_object(&mut self, permit: &Permit, object: &Object, was: i64) -> Result<(), StoreError> {
        const SQL: &str = "update object set name = $2, name_fold = $3, spec = $4, version = $5, updated_at = $6 \
            where id = $1 and version = $7";
        let verbs = [Verb::ChangeConfiguration(object.id.kind()), Verb::LearnHostKey];
        must_cover(permit, &verbs, "object")?;
        let changed = execute!(
            self,
            SQL,
            object.id.to_string(),
            object.name.as_str(),
            object.name.folded(),
            object.spec.to_json().to_string(),
            object.version,
            object.updated_at.as_micros(),
            was
        )?;
        exactly_one(changed)
    }

    /// Holds a user until the unit ends: units that first count something of the same user's and then write go one by one. Comes
    /// before what is counted is read.
    pub async fn hold_user(&mut self, user: ObjectId) -> Result<(), StoreError> {
        if let Some(sql) = self.hold_user_sql() {
            fetch_optional!((String,), self, sql, user.to_string())?;
        }
        Ok(())
    }

    /// Whether every one of these objects is still as it was at that version.
    pub async fn revisions_hold(&mut self, revisions: &[Revision]) -> Result<bool, StoreError> {
        // The first list finds the rows by their key; the second compares each with its own version.
        const SQL: &str = "select count(*) from object where id in (select value from json_each($1)) \
            and id || '@' || version in (select value from json_each($2))";
        let wanted: BTreeSet<_> =
            revisions.iter().map(|revision| format!("{}@{}", revision.object, revision.version)).collect();
        let ids: Vec<_> = revisions.iter().map(|revision| revision.object).collect();
        let (found,) = fetch_one!((i64,), self, SQL, id_list(&ids), to_json(&wanted))?;
        Ok(usize::try_from(found) == Ok(wanted.len()))
    }

    /// Deletes an object that still has this version, and with it a user's password.
    pub async fn delete_object(&mut self, permit: &Permit, id: ObjectId, version: i64) -> Result<(), StoreError> {
        must_cover(permit, &[Verb::ChangeConfiguration(id.kind())], "object")?;
        exactly_one(execute!(self, "delete from object where id = $1 and version = $2", id.to_string(), version)?)
    }
}
