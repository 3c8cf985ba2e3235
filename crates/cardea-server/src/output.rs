//! What commands print.

use std::io::{self, Write};

use cardea_domain::is_unprintable;
use serde_json::Value;

use crate::failure::Failure;

/// Prints a line. What users wrote must be [`printable`] before.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    print(&format!("{text}\n"))
}

/// Prints an answer for scripts.
pub(crate) fn json(value: &Value) -> Result<(), Failure> {
    print(&format!("{value:#}\n"))
}

/// Says something beside the answer.
pub(crate) fn remark(text: &str) {
    // Nobody is left to tell if even this fails.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints rows under a head, each column as wide as it needs.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> Result<(), Failure> {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].len()]).max().unwrap_or_default()
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let render = |cells: [&str; N]| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    line(&render(head))?;
    rows.iter().try_for_each(|row| line(&render(row.each_ref().map(String::as_str))))
}

/// The text without what could move the cursor, hide or reorder: notes and names are other people's.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unprintable(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| Failure::No(format!("the answer could not be printed: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_cannot_touch_the_terminal() {
        assert_eq!(printable("plain Äö 日本"), "plain Äö 日本");
        assert_eq!(printable("a\x1b[2Jb\nc\u{9b}d\u{202e}e"), "a\\u{1b}[2Jb\\nc\\u{9b}d\\u{202e}e");
    }
}
