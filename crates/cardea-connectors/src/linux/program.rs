//! What runs on a host: our functions, and the loop that reads frames.

use std::sync::LazyLock;

use cardea_domain::Privilege;

/// The functions, in this order. They are also what a dead man's switch runs when Cardea is gone.
static LIBRARY: LazyLock<String> = LazyLock::new(|| {
    [
        include_str!("host/frame.sh"),
        include_str!("host/orders.sh"),
        include_str!("host/account.sh"),
        include_str!("host/leftovers.sh"),
        include_str!("host/managed.sh"),
        include_str!("host/key.sh"),
        include_str!("host/known.sh"),
        include_str!("host/expire.sh"),
        include_str!("host/lock.sh"),
        include_str!("host/script.sh"),
        include_str!("host/scan.sh"),
        include_str!("host/marks.sh"),
        include_str!("host/snapshot.sh"),
        include_str!("host/dead_man.sh"),
    ]
    .concat()
        + &Privilege::LINUX_EFFECTS.concat()
});
const LOOP: &str = include_str!("host/serve.sh");

/// What a new shell is sent. It keeps the functions' text beside the functions, in one quoted word.
pub(super) fn text(installation: &str) -> String {
    let quoted = LIBRARY.replace('\'', "'\\''");
    format!("state=/run/cardea/{installation}\nlibrary='{quoted}'\neval \"$library\"\n{LOOP}")
}

/// Names the functions' text: other text, other name (FNV-1a, 64 bits).
pub(super) fn version() -> String {
    format!("{:016x}", fnv(&LIBRARY))
}

/// The same number for the same text in every run.
pub(super) fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
