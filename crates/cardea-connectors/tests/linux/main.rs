//! The Linux connector against real OpenSSH hosts. Needs root, openssh-server and sudo.

mod bench;
mod faults;
mod fences;
mod leftovers;
mod life;
mod ownership;
