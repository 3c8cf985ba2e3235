//! The Linux connector against real OpenSSH hosts. Needs root, openssh-server and sudo.

mod actions;
mod bench;
mod dead_man;
mod faults;
mod fences;
mod leftovers;
mod life;
mod locks;
mod looks;
mod managed;
mod ownership;
mod requester;
mod scripts;
mod stopped;
