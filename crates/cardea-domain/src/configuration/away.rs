//! Users whom their directory has no more, or keeps out, as the last look at it found. No spec holds that, and nobody edits it.
//!
//! It counts as long as the directory still vouches for the user.

use std::fmt;

use serde::Serialize;

use super::{Configuration, ObjectId};
use crate::Timestamp;

/// Why a directory lets a user in no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AbsenceReason {
    /// The directory says so itself.
    Disabled,
    Expired,
    /// There is no such entry any more, or the filter of people does not find it.
    Gone,
}

impl AbsenceReason {
    pub const ALL: [Self; 3] = [Self::Disabled, Self::Expired, Self::Gone];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Expired => "expired",
            Self::Gone => "gone",
        }
    }

    /// In a sentence about the user.
    pub fn phrase(self) -> &'static str {
        match self {
            Self::Disabled => "disabled in the directory",
            Self::Expired => "expired in the directory",
            Self::Gone => "gone from the directory",
        }
    }
}

impl fmt::Display for AbsenceReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A user whom a directory lets in no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absence {
    pub user: ObjectId,
    /// The directory.
    pub provider: ObjectId,
    pub reason: AbsenceReason,
    pub since: Timestamp,
}

impl Configuration {
    /// With those whom directories let in no more.
    #[must_use]
    pub fn with_absences(mut self, absences: impl IntoIterator<Item = Absence>) -> Self {
        self.away.extend(absences.into_iter().map(|absence| (absence.user, absence)));
        self
    }

    /// The user's directory lets them in no more, or does again.
    pub fn set_away(&mut self, user: ObjectId, absence: Option<Absence>) {
        match absence {
            Some(absence) => self.away.insert(user, absence),
            None => self.away.remove(&user),
        };
    }

    /// Why a user's directory lets them in no more; `None` if it does, or if none vouches for them.
    pub fn absence_of(&self, user: ObjectId) -> Option<&Absence> {
        let absence = self.away.get(&user)?;
        self.provider_of(user).filter(|(provider, _)| provider.id == absence.provider).map(|_| absence)
    }

    /// The users who are away here and not there, or the other way round, or for another reason.
    pub fn away_otherwise<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = ObjectId> + 'a {
        let users = self.away.keys().chain(other.away.keys());
        users.filter(|user| self.away.get(user) != other.away.get(user)).copied()
    }

    /// Why a user may do nothing at this moment, in a few words; `None` if they may, or if there is no such user.
    pub fn keeps_out(&self, user: ObjectId, now: Timestamp) -> Option<&'static str> {
        let spec = self.get(user)?.as_user()?;
        spec.keeps_out(now).or_else(|| self.absence_of(user).map(|absence| absence.reason.phrase()))
    }
}
