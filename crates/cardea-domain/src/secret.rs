//! Values that must never be seen by accident.

use zeroize::Zeroize;

/// A secret. It has no Debug, Display, Clone or Serialize, so it cannot reach a log, an error or an answer; its
/// memory is wiped when it is dropped. The one way to read it is [`Secret::expose`], a word one can grep for.
pub struct Secret<T: Zeroize = String>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes a value into custody.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Lets `read` see the value.
    pub fn expose<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        read(&self.0)
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
