//! Randomness from the operating system.

use aws_lc_rs::rand;
use cardea_domain::{Entropy, Secret};
use data_encoding::BASE64URL_NOPAD;
use zeroize::Zeroizing;

/// The product's one source of randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Entropy for System {
    fn fill(&self, bytes: &mut [u8]) {
        // Without randomness nothing here is safe: stopping is the only right answer.
        rand::fill(bytes).expect("the operating system gives random bytes");
    }
}

/// A new token: 256 random bits as 43 characters that are safe in URLs, headers and user names.
pub fn random_token() -> Secret {
    let mut bytes = Zeroizing::new([0; 32]);
    System.fill(bytes.as_mut_slice());
    Secret::new(BASE64URL_NOPAD.encode(bytes.as_slice()))
}
