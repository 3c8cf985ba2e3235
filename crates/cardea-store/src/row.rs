//! From columns to domain values and back. What cannot be read is reported, never guessed.

use std::{fmt::Display, str::FromStr};

use cardea_domain::{Permit, Timestamp, Verb};
use serde::{Serialize, de::DeserializeOwned};

use crate::StoreError;

/// A column that holds something else than this version of Cardea writes there.
pub(crate) fn corrupt(column: &str, what: impl Display) -> StoreError {
    StoreError::Corrupt(format!("{column}: {what}"))
}

pub(crate) fn parse<T: FromStr<Err: Display>>(column: &str, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|error| corrupt(column, error))
}

pub(crate) fn parse_optional<T: FromStr<Err: Display>>(
    column: &str,
    text: Option<&str>,
) -> Result<Option<T>, StoreError> {
    text.map(|text| parse(column, text)).transpose()
}

/// Finds the value whose name stands in the column.
pub(crate) fn one_of<T: Copy>(
    column: &str,
    all: impl IntoIterator<Item = T>,
    name: fn(T) -> &'static str,
    text: &str,
) -> Result<T, StoreError> {
    all.into_iter().find(|value| name(*value) == text).ok_or_else(|| corrupt(column, format!("unknown word `{text}`")))
}

pub(crate) fn from_json<T: DeserializeOwned>(column: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| corrupt(column, error))
}

pub(crate) fn from_json_optional<T: DeserializeOwned>(
    column: &str,
    text: Option<&str>,
) -> Result<Option<T>, StoreError> {
    text.map(|text| from_json(column, text)).transpose()
}

pub(crate) fn to_json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("stored values hold only texts, numbers, lists and maps with text keys")
}

/// A JSON list of ids, for `in (select value from json_each($1))`.
pub(crate) fn id_list<T: Display>(ids: &[T]) -> String {
    to_json(&ids.iter().map(T::to_string).collect::<Vec<_>>())
}

pub(crate) fn micros(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::as_micros)
}

pub(crate) fn time(micros: Option<i64>) -> Option<Timestamp> {
    micros.map(Timestamp::from_micros)
}

pub(crate) fn count(column: &str, value: i64) -> Result<u32, StoreError> {
    u32::try_from(value).map_err(|error| corrupt(column, error))
}

/// PostgreSQL has no NUL in texts. For texts that come from outside and must be written whatever they hold.
pub(crate) fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Decided by the caller, checked again here: the permit is for this kind of write.
pub(crate) fn must_cover(permit: &Permit, verbs: &[Verb], table: &'static str) -> Result<(), StoreError> {
    if verbs.contains(&permit.verb()) {
        return Ok(());
    }
    Err(StoreError::NotCovered { verb: permit.verb().as_str(), table })
}

/// One row was to change. If none did, it has another version by now, or is gone.
pub(crate) fn exactly_one(changed: u64) -> Result<(), StoreError> {
    if changed == 1 { Ok(()) } else { Err(StoreError::Conflict) }
}
