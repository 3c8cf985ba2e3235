//! What the operating system says of this process.

use std::fs;

use cardea_http::ProcessFigures;

/// The kernel counts processor time for programs in hundredths of a second (USER_HZ, proc(5)).
const TICKS_PER_SECOND: f64 = 100.0;

/// Looks at `/proc`; nothing where that is not as expected.
pub(crate) fn figures() -> Option<ProcessFigures> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in parentheses, whatever that holds; the third stands behind it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes: u64 = value(&status, "VmRSS:")?.parse().ok()?;
    let booted_at: f64 = value(&fs::read_to_string("/proc/stat").ok()?, "btime ")?.parse().ok()?;
    Some(ProcessFigures {
        cpu_seconds: (ticks(14)? + ticks(15)?) / TICKS_PER_SECOND,
        resident_bytes: kibibytes * 1024,
        open_files: u64::try_from(fs::read_dir("/proc/self/fd").ok()?.count()).ok()?,
        started_at_seconds: booted_at + ticks(22)? / TICKS_PER_SECOND,
    })
}

/// The first word behind what a line begins with.
fn value<'a>(text: &'a str, beginning: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(beginning))?.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use cardea_domain::Clock as _;

    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn this_process_has_memory_files_and_a_start_in_the_past() {
        let figures = figures().expect("Linux says");
        assert!(figures.resident_bytes > 1 << 20 && figures.open_files >= 3, "{figures:?}");
        let now = SystemClock.now().as_seconds() as f64;
        assert!(figures.started_at_seconds <= now + 1.0 && figures.started_at_seconds > now - 3600.0, "{figures:?}");
    }
}
