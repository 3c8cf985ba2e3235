//! The texts of mails: a subject and lines with `{placeholders}`. No loops, no files, no code: what a template can do is say
//! facts, and what it says is bounded.

use std::collections::BTreeMap;

use cardea_domain::{Facts, NoticeKind};

/// A longer template is refused.
const TEMPLATE_BYTES_MAX: usize = 16 * 1024;
/// What a subject is cut to: more is not shown anywhere.
const SUBJECT_CHARS_MAX: usize = 200;
const SUBJECT: &str = "Subject: ";

/// What is wrong with a template, and at which line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateFault {
    /// From 1.
    pub line: usize,
    pub message: String,
}

/// One text for each kind of notice.
#[derive(Clone, Debug)]
pub struct Templates(BTreeMap<NoticeKind, Template>);

impl Templates {
    /// The texts that Cardea comes with.
    pub fn built_in() -> Self {
        let read = |kind| Template::parse(kind, text_of(kind)).expect("a test reads every text that is built in");
        Self(NoticeKind::ALL.into_iter().map(|kind| (kind, read(kind))).collect())
    }

    /// Takes an operator's own text for a kind. One that is broken is refused, and what was there stays.
    pub fn replace(&mut self, kind: NoticeKind, text: &str) -> Result<(), TemplateFault> {
        self.0.insert(kind, Template::parse(kind, text)?);
        Ok(())
    }

    /// Subject and text for these facts.
    pub(crate) fn render(&self, kind: NoticeKind, facts: &Facts) -> (String, String) {
        self.0.get(&kind).map(|template| template.render(facts)).unwrap_or_default()
    }
}

/// The text of a kind that Cardea comes with.
fn text_of(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::RequestWaiting => include_str!("texts/request_waiting.txt"),
        NoticeKind::RequestDecided => include_str!("texts/request_decided.txt"),
        NoticeKind::SessionStarting => include_str!("texts/session_starting.txt"),
        NoticeKind::SessionEnding => include_str!("texts/session_ending.txt"),
        NoticeKind::CleanupStalled => include_str!("texts/cleanup_stalled.txt"),
        NoticeKind::Invited => include_str!("texts/invited.txt"),
        NoticeKind::NewDevice => include_str!("texts/new_device.txt"),
        NoticeKind::NewKey => include_str!("texts/new_key.txt"),
    }
}

#[derive(Clone, Debug)]
struct Template {
    subject: Vec<Piece>,
    lines: Vec<Vec<Piece>>,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Fact(&'static str),
}

impl Template {
    fn parse(kind: NoticeKind, text: &str) -> Result<Self, TemplateFault> {
        let fault = |line: usize, message: String| TemplateFault { line, message };
        if text.len() > TEMPLATE_BYTES_MAX {
            return Err(fault(1, format!("a template has at most {} KiB", TEMPLATE_BYTES_MAX >> 10)));
        }
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        let subject = first.strip_prefix(SUBJECT).filter(|subject| !subject.trim().is_empty());
        let subject = subject.ok_or_else(|| fault(1, "begin with a line `Subject: …`".to_owned()))?;
        if lines.next().is_some_and(|line| !line.trim().is_empty()) {
            return Err(fault(2, "leave a line empty behind the subject".to_owned()));
        }
        let subject = pieces(kind, subject).map_err(|message| fault(1, message))?;
        let lines =
            lines.enumerate().map(|(index, line)| pieces(kind, line).map_err(|message| fault(index + 3, message)));
        let lines: Vec<_> = lines.collect::<Result<_, _>>()?;
        if lines.iter().all(Vec::is_empty) {
            return Err(fault(3, "write what the mail says".to_owned()));
        }
        Ok(Self { subject, lines })
    }

    /// A line whose facts are all empty is left out.
    fn render(&self, facts: &Facts) -> (String, String) {
        let subject = said(&self.subject, facts).unwrap_or_default();
        let lines = self.lines.iter().filter_map(|line| said(line, facts));
        let text = lines.fold(String::new(), |text, line| text + &line + "\n");
        (subject.chars().take(SUBJECT_CHARS_MAX).collect(), text)
    }
}

fn said(pieces: &[Piece], facts: &Facts) -> Option<String> {
    let (mut line, mut asked, mut known) = (String::new(), false, false);
    for piece in pieces {
        match piece {
            Piece::Text(text) => line.push_str(text),
            Piece::Fact(name) => {
                let value = facts.get(*name).map(String::as_str).unwrap_or_default();
                (asked, known) = (true, known || !value.is_empty());
                line.push_str(value);
            }
        }
    }
    (!asked || known).then_some(line)
}

/// `{name}` is a fact, `{{` and `}}` are brackets.
fn pieces(kind: NoticeKind, line: &str) -> Result<Vec<Piece>, String> {
    let (mut pieces, mut text, mut rest) = (Vec::new(), String::new(), line);
    while let Some(at) = rest.find(['{', '}']) {
        text.push_str(&rest[..at]);
        let bracket = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(bracket) {
            text.push_str(bracket);
            rest = after;
            continue;
        }
        let name = rest.split_once('}').filter(|_| bracket == "{");
        let (name, after) = name.ok_or("a bracket stands alone: write `{name}`, or `{{` and `}}` for brackets")?;
        let known = kind.facts().iter().find(|fact| **fact == name).ok_or_else(|| {
            let known = kind.facts().join(", ");
            format!("there is no `{{{}}}` here: write one of {known}", name.chars().take(40).collect::<String>())
        })?;
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
        }
        pieces.push(Piece::Fact(known));
        rest = after;
    }
    text.push_str(rest);
    if !text.trim().is_empty() || !pieces.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}

/// The text as HTML: paragraphs and lines as they are, Cardea's own link as one, everything else escaped. What people wrote into
/// a request is no link: the mail is Cardea's.
pub(crate) fn html(text: &str, link: &str) -> String {
    let paragraphs = text.trim().split("\n\n").map(|paragraph| {
        let lines: Vec<_> = paragraph.trim().lines().map(|line| linked(line, link)).collect();
        format!("<p>{}</p>\n", lines.join("<br>\n"))
    });
    let body: String = paragraphs.collect();
    format!("<!doctype html>\n<html><head><meta charset=\"utf-8\"></head><body>\n{body}</body></html>\n")
}

fn linked(line: &str, link: &str) -> String {
    let words = line.split(' ').map(|word| match word == link {
        true => format!("<a href=\"{0}\">{0}</a>", escaped(word)),
        false => escaped(word),
    });
    words.collect::<Vec<_>>().join(" ")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(pairs: &[(&str, &str)]) -> Facts {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn every_text_that_is_built_in_reads_well() {
        for kind in NoticeKind::ALL {
            let all = kind.facts().iter().map(|name| ((*name).to_owned(), format!("<{name}>"))).collect();
            let (subject, text) = Templates::built_in().render(kind, &all);
            assert!(!subject.is_empty() && text.contains("<link>") && !text.contains(['{', '}']), "{kind}: {text}");
        }
    }

    #[test]
    fn a_line_of_which_nothing_is_known_is_left_out() {
        let mut templates = Templates::built_in();
        let text = "Subject: {user} {{x}}\n\nTicket: {ticket}\nNotes: {notes} {user}\n\nBye\n";
        templates.replace(NoticeKind::RequestWaiting, text).expect("it is sound");
        let (subject, text) = templates.render(NoticeKind::RequestWaiting, &facts(&[("user", "{notes}")]));
        assert_eq!((subject.as_str(), text.as_str()), ("{notes} {x}", "Notes:  {notes}\n\nBye\n"));
    }

    #[test]
    fn a_broken_template_is_refused_at_its_line_and_the_old_one_stays() {
        let mut templates = Templates::built_in();
        let before = templates.render(NoticeKind::Invited, &facts(&[("by", "admin")]));
        for (text, line) in [
            ("", 1),
            ("Hello\n\nx\n", 1),
            ("Subject: \n\nx\n", 1),
            ("Subject: {nobody}\n\nx\n", 1),
            ("Subject: x\ntext\n", 2),
            ("Subject: x\n\n\n", 3),
            ("Subject: x\n\na\nb {ticket}\n", 4),
            ("Subject: x\n\na\nb\n{by\n", 5),
            ("Subject: x\n\na }\n", 3),
        ] {
            assert_eq!(templates.replace(NoticeKind::Invited, text).expect_err(text).line, line, "{text}");
        }
        let long = format!("Subject: x\n\n{}", "x".repeat(TEMPLATE_BYTES_MAX));
        assert_eq!(templates.replace(NoticeKind::Invited, &long).expect_err("it is too long").line, 1);
        assert_eq!(templates.render(NoticeKind::Invited, &facts(&[("by", "admin")])), before);
    }

    #[test]
    fn nothing_that_a_fact_says_is_markup() {
        let link = "https://x.example/?a=1&b=\"><script>";
        let html = html(&format!("Hello <b>\"you\"</b>\nsee {link}\nand not https://evil.example\n\nBye"), link);
        assert!(!html.contains("<b>") && !html.contains("<script>"), "{html}");
        assert!(html.contains("<a href=\"https://x.example/?a=1&amp;b=&quot;&gt;&lt;script&gt;\">"), "{html}");
        assert_eq!((html.matches("<p>").count(), html.matches("<a ").count()), (2, 1));
    }
}
