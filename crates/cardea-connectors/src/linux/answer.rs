//! What a host answered: tagged lines that our script wrote, and what its commands said beside them.

use cardea_domain::{ConnectorError, Observation, Presence, ScanFinding};

/// Longest text of a command that is kept for an error message.
const NOISE_CHARS_MAX: usize = 600;
const FINDINGS_MAX: usize = 200;
const LINE_CHARS_MAX: usize = 4096;

/// One frame's answer.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// Word and text of each line that carried the frame's nonce.
    tagged: Vec<(String, String)>,
    /// What commands wrote, without control characters.
    noise: String,
}

impl Answer {
    /// Takes in one line. Gives the status when it is the last one.
    pub(super) fn take(&mut self, nonce: &str, line: &str) -> Option<i32> {
        let Some(rest) = line.strip_prefix(nonce).and_then(|rest| rest.strip_prefix(' ')) else {
            self.take_noise(line);
            return None;
        };
        let (word, text) = rest.split_once(' ').unwrap_or((rest, ""));
        if word == "end" {
            return Some(text.parse().unwrap_or(-1));
        }
        self.tagged.push((word.to_owned(), readable(text)));
        None
    }

    fn take_noise(&mut self, line: &str) {
        let room = NOISE_CHARS_MAX.saturating_sub(self.noise.chars().count());
        if line.trim().is_empty() || room == 0 {
            return;
        }
        if !self.noise.is_empty() {
            self.noise.push_str("; ");
        }
        self.noise.extend(readable(line.trim()).chars().take(room));
    }

    /// The answer if the frame ended well, else what went wrong. The numbers are those of `host/frame.sh`.
    pub(super) fn judge(self, status: i32) -> Result<Self, ConnectorError> {
        let why = self.why();
        match status {
            0 => Ok(self),
            11 => Err(ConnectorError::Collision(why)),
            12 => Err(ConnectorError::Tampered(why)),
            13 => Err(ConnectorError::Superseded {
                // A newer connection is told without a fence.
                seen: self.text("newest").and_then(|fence| fence.parse().ok()).unwrap_or(0),
            }),
            // Nothing was begun (14) or something else still runs (15): look again later.
            14 | 15 => Err(ConnectorError::Unknown(why)),
            10 => Err(ConnectorError::Refused(why)),
            _ => Err(ConnectorError::Unknown(format!("the shell on the host broke off with status {status}: {why}"))),
        }
    }

    /// The one line with this word.
    pub(super) fn text(&self, word: &str) -> Option<&str> {
        self.tagged.iter().find(|(tag, _)| tag == word).map(|(_, text)| text.as_str())
    }

    /// What was looked at, in the order of asking.
    pub(super) fn observations(&self) -> Vec<Observation> {
        let seen = self.texts("seen").filter_map(|text| {
            let (presence, detail) = text.split_once(' ')?;
            let presence = match presence {
                "absent" => Presence::Absent,
                "ours" => Presence::Ours,
                "foreign" => Presence::Foreign,
                _ => return None,
            };
            Some(Observation { presence, detail: detail.to_owned() })
        });
        seen.collect()
    }

    /// What was read back.
    pub(super) fn read_back(&self) -> Result<String, ConnectorError> {
        self.text("read").map(str::to_owned).ok_or_else(|| self.incomplete())
    }

    /// What else was found and dealt with.
    pub(super) fn findings(&self) -> Vec<String> {
        self.texts("found").take(FINDINGS_MAX).map(str::to_owned).collect()
    }

    /// What a scan found.
    pub(super) fn files(&self) -> Vec<ScanFinding> {
        let files = self.texts("file").filter_map(|text| {
            let (uid, path) = text.split_once(' ')?;
            Some(ScanFinding { uid: uid.parse().ok()?, path: path.to_owned() })
        });
        files.collect()
    }

    /// The frame ended well, but did not say what it should have.
    pub(super) fn incomplete(&self) -> ConnectorError {
        ConnectorError::Unknown(format!("the host's answer is incomplete: {}", self.noise))
    }

    /// The texts of all lines with this word, in the order in which they came.
    pub(super) fn texts(&self, word: &'static str) -> impl Iterator<Item = &str> {
        self.tagged.iter().filter(move |(tag, _)| tag == word).map(|(_, text)| text.as_str())
    }

    fn why(&self) -> String {
        let sentence = self.text("because").unwrap_or("the command failed");
        if self.noise.is_empty() { sentence.to_owned() } else { format!("{sentence} ({})", self.noise) }
    }
}

/// Text from a host as a person may see it: one line, no control characters, not endless.
pub(super) fn readable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LINE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_with_the_nonce_are_believed() {
        let mut answer = Answer::default();
        for line in ["useradd: warning\x1b[31m", "xyz read forged", "abc read account alice", "abc found file /tmp/x"] {
            assert_eq!(answer.take("abc", line), None);
        }
        assert_eq!(answer.take("abc", "abcd end 0"), None);
        assert_eq!(answer.take("abc", "abc end 10"), Some(10));
        assert_eq!(answer.read_back(), Ok("account alice".to_owned()));
        assert_eq!(answer.findings(), ["file /tmp/x"]);
        let error = answer.judge(10).expect_err("refused").to_string();
        assert!(error.contains("useradd: warning [31m"), "{error}");
    }

    #[test]
    fn what_commands_say_is_cut_short() {
        let mut answer = Answer::default();
        for _ in 0..1000 {
            answer.take("abc", &"x".repeat(1000));
        }
        assert!(answer.noise.len() <= NOISE_CHARS_MAX + 2);
    }
}
