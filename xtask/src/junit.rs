//! Counting what a test runner reports in JUnit's XML.

use std::{fs, path::Path};

use anyhow::{Context, Result};

/// How many checks passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Count {
    /// One check that passed.
    pub(crate) const ONE: Self = Self { passed: 1, failed: 0 };
    /// One check that failed.
    pub(crate) const FAULT: Self = Self { passed: 0, failed: 1 };
}

impl std::ops::AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Reads the totals of a report. Skipped tests count as failed: nothing in this project may be skipped.
pub(crate) fn read(report: &Path) -> Result<Count> {
    let text = fs::read_to_string(report).with_context(|| format!("there is no report {}", report.display()))?;
    count(&text).with_context(|| format!("{} is not a JUnit report", report.display()))
}

fn count(text: &str) -> Option<Count> {
    let root = text.split_once("<testsuites")?.1;
    let root = &root[..root.find('>')?];
    let tests = attribute(root, "tests")?;
    let failed = attribute(root, "failures")? + attribute(root, "errors").unwrap_or(0);
    let skipped = text.matches("<skipped").count() as u64;
    let failed = failed + skipped;
    Some(Count { passed: tests.saturating_sub(failed), failed })
}

fn attribute(element: &str, name: &str) -> Option<u64> {
    let value = element.split_once(&format!(" {name}=\""))?.1;
    value[..value.find('"')?].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_read_from_the_root_element() {
        let nextest = r#"<?xml version="1.0"?><testsuites name="nextest-run" tests="12" failures="2" errors="1" uuid="x">
            <testsuite name="cardea-domain" tests="9" disabled="0" errors="0" failures="0"></testsuite></testsuites>"#;
        assert_eq!(count(nextest), Some(Count { passed: 9, failed: 3 }));
    }

    #[test]
    fn a_skipped_test_is_a_failed_one() {
        let vitest = r#"<testsuites name="vitest tests" tests="3" failures="0" errors="0" time="1">
            <testcase name="a"><skipped/></testcase></testsuites>"#;
        assert_eq!(count(vitest), Some(Count { passed: 2, failed: 1 }));
    }

    #[test]
    fn a_broken_report_counts_nothing() {
        assert_eq!(count("<html></html>"), None);
    }
}
