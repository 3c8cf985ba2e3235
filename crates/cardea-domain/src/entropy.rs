//! Where randomness comes from.

/// A source of unpredictable bytes. The product has one, backed by the operating system; tests seed theirs.
pub trait Entropy: Send + Sync {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}
