//! One-time codes of authenticator apps (RFC 6238): HMAC-SHA1, six digits, thirty seconds. What every app speaks.

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use cardea_domain::{Entropy, Secret, Timestamp};
use data_encoding::BASE32_NOPAD;
use zeroize::Zeroizing;

/// Seconds that a code is shown for.
pub const TOTP_PERIOD: i64 = 30;
pub const TOTP_DIGITS: usize = 6;
/// RFC 4226, section 4: at least 128 bits, 160 recommended.
const SECRET_BYTES: usize = 20;

/// The secret that an authenticator app and Cardea share.
pub struct Totp(Zeroizing<Vec<u8>>);

impl Totp {
    /// A new one, as text for the app: base32.
    pub fn generate(entropy: &dyn Entropy) -> Secret {
        let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
        entropy.fill(bytes.as_mut_slice());
        Secret::new(BASE32_NOPAD.encode(bytes.as_slice()))
    }

    /// Reads it as [`Totp::generate`] wrote it.
    pub fn read(secret: &Secret) -> Option<Self> {
        secret.expose(|text| BASE32_NOPAD.decode(text.as_bytes()).ok()).map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// The time step that this code stands for: the present one, or the one before or after it, since clocks differ and people
    /// type slowly. Takes as long for a wrong code as for a right one.
    pub fn step_of(&self, code: &str, now: Timestamp) -> Option<i64> {
        let present = now.as_micros().div_euclid(1_000_000 * TOTP_PERIOD);
        let mut found = None;
        for step in [present - 1, present, present + 1] {
            if verify_slices_are_equal(self.code(step).as_bytes(), code.as_bytes()).is_ok() {
                found = Some(step);
            }
        }
        found
    }

    /// The code of a time step: RFC 4226, section 5.3.
    pub fn code(&self, step: i64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let digest = tag.as_ref();
        let offset = usize::from(digest[digest.len() - 1] & 15);
        let four = &digest[offset..offset + 4];
        let number = four.iter().fold(0, |number: u32, byte| number << 8 | u32::from(*byte)) & 0x7fff_ffff;
        format!("{:0TOTP_DIGITS$}", number % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn of_the_rfc() -> Totp {
        Totp::read(&Secret::new(BASE32_NOPAD.encode(b"12345678901234567890"))).expect("base32")
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        // RFC 6238, appendix B, SHA-1; the last six of the eight digits.
        let known = [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ];
        for (seconds, code) in known {
            assert_eq!(of_the_rfc().code(seconds / TOTP_PERIOD), code);
            assert_eq!(of_the_rfc().step_of(code, at(seconds)), Some(seconds / TOTP_PERIOD));
        }
    }

    #[test]
    fn a_code_is_good_for_its_step_and_its_neighbours_and_nothing_else() {
        let totp = of_the_rfc();
        let code = totp.code(100);
        assert_eq!(totp.step_of(&code, at(99 * 30)), Some(100));
        assert_eq!(totp.step_of(&code, at(101 * 30 + 29)), Some(100));
        for (code, seconds) in
            [(code.as_str(), 98 * 30 + 29), (&code, 102 * 30), ("", 3000), ("28708", 59), ("2870820", 59)]
        {
            assert_eq!(totp.step_of(code, at(seconds)), None, "{code} at {seconds}");
        }
    }
}
