//! What people are told, made safe for their terminals.

use cardea_domain::is_unprintable;

/// What `ssh` shows of a message at most.
const LETTERS_MAX: usize = 400;

/// The sentence without control characters: reasons are typed by people, and a terminal obeys escape sequences.
pub(crate) fn plain(sentence: &str) -> String {
    sentence.chars().map(|letter| if is_unprintable(letter) { ' ' } else { letter }).take(LETTERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        assert_eq!(plain("ended: \x1b[2J\u{9b}31m\r\nbye, Zoë"), "ended:  [2J 31m  bye, Zoë");
        assert_eq!(plain(&"x".repeat(1000)).len(), LETTERS_MAX);
    }
}
