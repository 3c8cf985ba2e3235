//! Points in time and lengths of time. UTC everywhere; people's zones are the browser's business.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Microseconds since 1970, UTC. The only time type below the HTTP layer; on the wire it is RFC 3339 with `Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Takes microseconds since 1970.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, rounded down.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This point in time, `by` later. Saturates at the end of time.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This point in time, `by` earlier.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// `20261231235959Z`: the UTC form that sudoers `NOTAFTER` and sshd's `expiry-time` read. Rounded up to a second.
    pub fn compact(self) -> String {
        let whole = self.0.saturating_add(999_999).div_euclid(1_000_000);
        civil(whole.saturating_mul(1_000_000)).strftime("%Y%m%d%H%M%SZ").to_string()
    }

    /// The first UTC day (`2026-12-31`) that lies wholly after this time: where a platform counts expiry in days.
    pub fn day_after(self) -> String {
        civil(self.0.saturating_add(86_400_000_000)).strftime("%Y-%m-%d").to_string()
    }
}

fn civil(micros: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::MAX)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", civil(self.0).strftime("%Y-%m-%dT%H:%M:%S%.6fZ"))
    }
}

impl FromStr for Timestamp {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed: jiff::Timestamp =
            text.parse().map_err(|_| format!("`{text}` is not a time: write it as 2026-12-31T23:59:00Z"))?;
        Ok(Self(parsed.as_microsecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time", "examples": ["2026-12-31T23:59:00Z"] })
    }
}

/// A length of time in configuration: written `1h30m` or `PT1H30M`, read back as ISO 8601. At most 366 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(Duration);

impl Period {
    const MAX: Duration = Duration::from_secs(366 * 86_400);

    /// The length.
    pub const fn get(self) -> Duration {
        self.0
    }

    /// Microseconds.
    pub fn as_micros(self) -> i64 {
        i64::try_from(self.0.as_micros()).unwrap_or(i64::MAX)
    }

    /// A period of so many microseconds, within the same bounds as a written one.
    pub fn from_micros(micros: i64) -> Result<Self, String> {
        Self::bounded(Duration::from_micros(u64::try_from(micros).unwrap_or(0)), &format!("{micros} µs"))
    }

    fn bounded(length: Duration, text: &str) -> Result<Self, String> {
        if length.is_zero() || length > Self::MAX {
            return Err(format!("`{text}` is out of range: it must be more than nothing and at most 366 days"));
        }
        Ok(Self(length))
    }

    /// A period of whole seconds.
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a length of time: write it as 1h30m or PT1H30M");
        let signed: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
        Self::bounded(Duration::try_from(signed).map_err(|_| wrong())?, text)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signed = jiff::SignedDuration::try_from(self.0).unwrap_or(jiff::SignedDuration::MAX);
        write!(f, "{signed}")
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl schemars::JsonSchema for Period {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "duration", "examples": ["PT1H", "1h30m"] })
    }
}

/// Where the time comes from. The product has one real clock; tests set theirs by hand.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_that_hosts_read_are_rounded_up() {
        let at: Timestamp = "2026-12-31T23:59:58.000001Z".parse().expect("a time");
        assert_eq!(at.compact(), "20261231235959Z");
        assert_eq!(at.day_after(), "2027-01-01");
        assert_eq!(at.to_string(), "2026-12-31T23:59:58.000001Z");
    }

    #[test]
    fn both_spellings_of_a_period_are_read_and_nonsense_is_not() {
        for text in ["1h30m", "PT1H30M", "90m"] {
            assert_eq!(text.parse::<Period>().expect(text).to_string(), "PT1H30M", "{text}");
        }
        for text in ["", "soon", "-1h", "0s", "9999h", "1"] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }
}
