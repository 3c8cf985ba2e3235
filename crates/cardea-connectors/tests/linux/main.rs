//! The Linux connector against real OpenSSH hosts. Needs root, openssh-server and sudo.

mod bench;
mod life;
