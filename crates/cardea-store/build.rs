//! Has the crate built again when a migration file is added.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
