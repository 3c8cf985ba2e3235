//! A policy's hours: when it gives what it gives, in the zone of the people who live by it.

use jiff::{civil, tz::TimeZone};
use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Days and hours on which a policy holds. It holds in any of the windows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// An IANA zone: `Europe/Berlin`, `UTC`.
    pub zone: String,
    pub windows: Vec<Window>,
}

/// A part of some days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The days on which it opens; every day if left out.
    #[serde(default = "every_day")]
    pub days: Vec<Day>,
    /// When it opens, `08:00`.
    pub from: String,
    /// When it closes: `18:00`, or `24:00` for the end of the day. Earlier than `from` means on the next day.
    pub to: String,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

fn every_day() -> Vec<Day> {
    vec![Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri, Day::Sat, Day::Sun]
}

impl Day {
    fn of(weekday: civil::Weekday) -> Self {
        match weekday {
            civil::Weekday::Monday => Self::Mon,
            civil::Weekday::Tuesday => Self::Tue,
            civil::Weekday::Wednesday => Self::Wed,
            civil::Weekday::Thursday => Self::Thu,
            civil::Weekday::Friday => Self::Fri,
            civil::Weekday::Saturday => Self::Sat,
            civil::Weekday::Sunday => Self::Sun,
        }
    }
}

impl Schedule {
    /// Windows that touch are followed this often to find where they end together: two weeks of days.
    const CHAIN_MAX: usize = 15;

    /// What is wrong: the key below the schedule, and what to write instead.
    pub(crate) fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        if TimeZone::get(&self.zone).is_err() {
            faults.push(("zone".to_owned(), "write an IANA time zone, like Europe/Berlin or UTC".to_owned()));
        }
        if self.windows.is_empty() || self.windows.len() > 50 {
            faults.push(("windows".to_owned(), "list 1 to 50 windows".to_owned()));
        }
        for (index, window) in self.windows.iter().enumerate() {
            if window.days.is_empty() {
                faults.push((format!("windows/{index}/days"), "name at least one day: mon, tue, …".to_owned()));
            }
            for (key, text) in [("from", &window.from), ("to", &window.to)] {
                if minutes(text).is_none() || (key == "from" && text == "24:00") {
                    faults.push((format!("windows/{index}/{key}"), "write a time of day, like 08:00".to_owned()));
                }
            }
            if window.from == window.to {
                let message = "opens and closes at the same time: for a whole day write 00:00 to 24:00";
                faults.push((format!("windows/{index}/to"), message.to_owned()));
            }
        }
        faults
    }

    /// Until when it is open at this moment; `None` if it is shut. Windows that follow each other without a gap count as one.
    /// A schedule whose zone is not known is shut.
    pub fn open_until(&self, at: Timestamp) -> Option<Timestamp> {
        let zone = TimeZone::get(&self.zone).ok()?;
        let mut until = self.window_at(at, &zone)?;
        for _ in 0..Self::CHAIN_MAX {
            match self.window_at(until, &zone) {
                Some(later) if later > until => until = later,
                _ => break,
            }
        }
        Some(until)
    }

    /// When it opens next after this moment, if it does within the next eight days: windows come every week.
    pub fn opens_after(&self, at: Timestamp) -> Option<Timestamp> {
        let zone = TimeZone::get(&self.zone).ok()?;
        let today = jiff::Timestamp::from_microsecond(at.as_micros()).ok()?.to_zoned_datetime(zone.clone()).date();
        let days = std::iter::successors(Some(today), |day| day.tomorrow().ok()).take(9);
        let windows = days.flat_map(|day| self.windows.iter().map(move |window| (window, day)));
        let opens = windows.filter_map(|(window, day)| window.on(day, &zone));
        opens.filter(|(from, to)| *from > at && to > from).map(|(from, _)| from).min()
    }

    /// The latest end of the windows that are open at this moment.
    fn window_at(&self, at: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let today = jiff::Timestamp::from_microsecond(at.as_micros()).ok()?.to_zoned_datetime(zone.clone()).date();
        // One that opened yesterday may reach into today.
        let days = [today.yesterday().ok()?, today];
        let windows = days.iter().flat_map(|day| self.windows.iter().filter_map(|window| window.on(*day, zone)));
        windows.filter(|(from, to)| *from <= at && at < *to).map(|(_, to)| to).max()
    }
}

impl Window {
    /// The window that opens on this day, in real time: on a day when clocks change it is longer or shorter.
    fn on(&self, day: civil::Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
        if !self.days.contains(&Day::of(day.weekday())) {
            return None;
        }
        let (from, to) = (minutes(&self.from)?, minutes(&self.to)?);
        let closing_day = if to <= from { day.tomorrow().ok()? } else { day };
        Some((moment(day, from, zone)?, moment(closing_day, to, zone)?))
    }
}

/// Minutes since midnight of `08:00`.
fn minutes(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hours) || !digits(minutes) {
        return None;
    }
    let (hours, minutes) = (hours.parse::<u32>().ok()?, minutes.parse::<u32>().ok()?);
    (minutes < 60 && hours * 60 + minutes <= 24 * 60).then_some(hours * 60 + minutes)
}

fn moment(day: civil::Date, minutes: u32, zone: &TimeZone) -> Option<Timestamp> {
    let (day, minutes) = if minutes == 24 * 60 { (day.tomorrow().ok()?, 0) } else { (day, minutes) };
    let time = civil::Time::new(i8::try_from(minutes / 60).ok()?, i8::try_from(minutes % 60).ok()?, 0, 0).ok()?;
    // A time that clocks skip counts as the one after the gap; one that comes twice as the first.
    let zoned = zone.to_zoned_datetime(day.to_datetime(time)).ok()?;
    Some(Timestamp::from_micros(zoned.timestamp().as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(days: &[Day], from: &str, to: &str) -> Window {
        Window { days: days.to_vec(), from: from.to_owned(), to: to.to_owned() }
    }

    fn berlin(windows: Vec<Window>) -> Schedule {
        let schedule = Schedule { zone: "Europe/Berlin".to_owned(), windows };
        assert_eq!(schedule.faults(), []);
        schedule
    }

    fn until(schedule: &Schedule, at: &str) -> Option<String> {
        schedule.open_until(at.parse().expect("a time")).map(|at| at.to_string())
    }

    #[test]
    fn hours_are_those_of_the_zone_on_both_sides_of_a_clock_change() {
        let office = berlin(vec![window(&[Day::Fri, Day::Mon], "08:00", "18:00")]);
        // Friday in summer time, Monday in winter time: clocks went back on 2026-10-25.
        assert_eq!(until(&office, "2026-10-23T06:00:00Z").as_deref(), Some("2026-10-23T16:00:00.000000Z"));
        assert_eq!(until(&office, "2026-10-23T05:59:59Z"), None);
        assert_eq!(until(&office, "2026-10-26T07:00:00Z").as_deref(), Some("2026-10-26T17:00:00.000000Z"));
        assert_eq!(until(&office, "2026-10-26T17:00:00Z"), None);
        assert_eq!(until(&office, "2026-10-24T10:00:00Z"), None);
        // From Friday evening to Monday morning; and from within a window to the next one.
        for (at, opens) in [
            ("2026-10-23T16:00:00Z", "2026-10-26T07:00:00.000000Z"),
            ("2026-10-23T10:00:00Z", "2026-10-26T07:00:00.000000Z"),
            ("2026-10-23T05:00:00Z", "2026-10-23T06:00:00.000000Z"),
        ] {
            let next = office.opens_after(at.parse().expect("a time")).map(|at| at.to_string());
            assert_eq!(next.as_deref(), Some(opens), "{at}");
        }
    }

    #[test]
    fn windows_over_midnight_and_windows_that_touch_are_one() {
        let night = berlin(vec![window(&[Day::Mon], "22:00", "06:00"), window(&[Day::Tue], "06:00", "24:00")]);
        assert_eq!(until(&night, "2026-11-23T23:30:00Z").as_deref(), Some("2026-11-24T23:00:00.000000Z"));
        assert_eq!(until(&night, "2026-11-24T23:00:00Z"), None);
        // Open every hour of every day: it never closes, which two weeks stand for.
        let always = berlin(vec![window(&every_day(), "00:00", "24:00")]);
        assert!(until(&always, "2026-11-24T10:00:00Z").is_some_and(|at| at.as_str() > "2026-12-01"));
    }

    #[test]
    fn schedules_that_cannot_be_meant_are_refused_where_they_are_wrong() {
        let schedule = Schedule {
            zone: "Europe/Atlantis".to_owned(),
            windows: vec![window(&[], "24:00", "7:00"), window(&[Day::Mon], "08:00", "08:00")],
        };
        let pointers: Vec<_> = schedule.faults().into_iter().map(|(pointer, _)| pointer).collect();
        assert_eq!(pointers, ["zone", "windows/0/days", "windows/0/from", "windows/0/to", "windows/1/to"]);
        assert_eq!(until(&schedule, "2026-11-24T10:00:00Z"), None);
    }
}
