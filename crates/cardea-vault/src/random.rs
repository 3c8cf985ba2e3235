//! Randomness from the operating system.

use aws_lc_rs::rand;
use cardea_domain::Entropy;

/// The product's one source of randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Entropy for System {
    fn fill(&self, bytes: &mut [u8]) {
        // Without randomness nothing here is safe: stopping is the only right answer.
        rand::fill(bytes).expect("the operating system gives random bytes");
    }
}
